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

extern const rmt_filter_call_t RMT_FILTER_CALLS[];
extern const size_t RMT_FILTER_CALL_COUNT;
extern const rmt_filter_argument_t RMT_FILTER_ARGUMENTS[];
extern const size_t RMT_FILTER_ARGUMENT_COUNT;
