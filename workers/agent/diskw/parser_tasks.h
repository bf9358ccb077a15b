// parser_tasks - what a parser does with a volume's frames. Private to the parser.
#pragma once

#include "agent/disk_tools/pipe.h"
#include "agent/diskw/parser_link.h"
#include "base/rmt_error.h"
#include "crypto/rmt_id.h"
#include "tree/rmt_compare.h"

typedef struct {
    rmt_pipe_t *pipe; // The volume's frames
    int link;         // To the writer
    int root;         // The folder of the volume
    int device;       // Of a raw one
    bool is_vfat, is_raw;
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

// ---- For parser_raw.c

// Tell how much is done, at most four times a second. 0, or -1: IO.
int rmt_parse_tell(rmt_parse_t *self, rmt_error_t *error);
// A chunk of the manifest that is verified with; these come unasked, in the order in
// which a reader needs them: the agent drives the same reader. A rmt_chunk_source_fn.
int rmt_parse_read_chunk(void *context, const rmt_id_t *id, void *plain_out,
                         size_t *size_out, rmt_error_t *error);
// Tell a difference. 0, or -1: IO.
int rmt_parse_find(rmt_parse_t *self, const rmt_compare_finding_t *finding,
                   rmt_error_t *error);
// Take what is left of the manifest. 0, or -1: PROTOCOL, IO.
int rmt_parse_drain(rmt_pipe_t *pipe, rmt_error_t *error);
