// parser - a process that reads a volume's frames for the writer: what came through the
// network and is parsed is parsed without the rights to do harm.
//
// For each volume and each of unpacking and verifying the writer starts itself again as a
// parser. It sees the volume's folder as its root, holds the pipe of the volume's frames
// and a link to the writer, and keeps a few capabilities on files, and the system calls
// that its task needs: no device, no mount, no program, no socket, no other process, no
// file outside of the folder; to verify it changes nothing. Being another program's
// start, it has none of the writer's memory. Attributes that need more rights the writer
// sets for it, on inodes of this volume alone.
#pragma once

#include "agent/diskw/filter.h"
#include "agent/diskw/work.h"
#include "tree/rmt_compare.h"

// The argument with which the writer starts itself as a parser.
#define RMT_PARSER_WORD "parser"

typedef struct {
    rmt_filter_stage_t stage; // RMT_FILTER_UNPACK or RMT_FILTER_VERIFY
    rmt_work_volume_t *volume;
    // How far it is: bytes when it unpacks, entries when it verifies. 0, or -1: ends it.
    int (*progress_fn)(void *context, uint64_t done, rmt_error_t *error);
    void (*finding_fn)(void *context, const rmt_compare_finding_t *finding);
    void *context;
} rmt_parser_task_t;

typedef struct {
    uint64_t done;    // As it was told as progress
    uint64_t entries; // Of the tree
} rmt_parser_end_t;

// Have a volume's frames, which follow in the pipe, parsed to their end. Blocks.
// 0, or -1: what the parser says; CANCELLED by a signal; REFUSED when it made a system
// call that its filter forbids; INTERNAL when another signal ended it; PROTOCOL, IO.
int rmt_parser_run(rmt_work_t *work, const rmt_parser_task_t *task,
                   rmt_parser_end_t *end_out, rmt_error_t *error);

// Be a parser: with the pipe as standard input, the link as standard output, and the
// folder as descriptor 3. Returns the exit status of the process.
int rmt_parser_main(void);
