// parser_tasks - what a parser does with a volume's frames. Private to the parser.
#pragma once

#include "agent/disk_tools/pipe.h"
#include "agent/diskw/parser_link.h"
#include "base/rmt_error.h"
#include "crypto/rmt_id.h"

typedef struct {
    rmt_pipe_t *pipe; // The volume's frames
    int link;         // To the writer
    int root;         // The folder of the volume
    bool is_vfat;
    unsigned threads;
    rmt_id_t manifest; // To verify with
    uint64_t done, entries;
    int64_t told_ms;
    rmt_parser_message_t message; // Of the main thread
} rmt_parse_t;

// Make the tree that comes. 0, or -1: what lib/tree says; UNSUPPORTED, PROTOCOL, IO.
int rmt_parse_unpack(rmt_parse_t *self, rmt_error_t *error);
// Compare the tree with the manifest that comes; differences are told as findings.
// 0, or -1: CORRUPT (a chunk of the manifest), PROTOCOL, IO.
int rmt_parse_verify(rmt_parse_t *self, rmt_error_t *error);
