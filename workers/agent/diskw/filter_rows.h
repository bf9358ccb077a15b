// filter_rows - which system calls each stage of the filter names. Private to diskw.
#pragma once

#include "agent/diskw/filter.h"

#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>

// A call, up to and with this stage; where RMT_FILTER_ARGUMENTS has rows of it, one of
// them must fit.
typedef struct {
    int call;
    rmt_filter_stage_t last;
} rmt_filter_call_t;

// (argument & mask) must be value.
typedef struct {
    int call;
    rmt_filter_stage_t last;
    unsigned argument;
    uint64_t mask, value;
} rmt_filter_argument_t;

// The lists of the writer and its programs, and of its parsers.
typedef struct {
    const rmt_filter_call_t *calls;
    size_t call_count;
    const rmt_filter_argument_t *arguments;
    size_t argument_count;
} rmt_filter_list_t;

extern const rmt_filter_list_t RMT_FILTER_WRITER;
extern const rmt_filter_list_t RMT_FILTER_PARSER;
