// rmt_chain_walk - reads the lines of an audit in their sequence, and finds the first
// fault.
//
// The reader begins with any mark, for a mark names the link before it. After the first
// fault it looks at what follows for one thing alone: whether a line that seemed to be
// gone, or changed, comes later, so that it was moved or another one was put before it.
// Pure: no file.
#pragma once

#include "crypto/rmt_chain.h"

typedef enum {
    RMT_CHAIN_WALK_WHOLE,
    RMT_CHAIN_WALK_STRANGE,  // A line does not have the form
    RMT_CHAIN_WALK_HEADLESS, // The first line is no mark
    RMT_CHAIN_WALK_CHANGED,  // Its link does not fit: it was edited, or the one before it
    RMT_CHAIN_WALK_MISSING,  // Lines from n to last were cut out before it
    RMT_CHAIN_WALK_MOVED,    // Line n comes later, at other
    RMT_CHAIN_WALK_INSERTED, // Line n stands here as well: before at other, or behind it
    RMT_CHAIN_WALK_UNSIGNED, // A mark without a true signature
} rmt_chain_walk_fault_t;

typedef struct {
    const char *file; // Borrowed
    uint64_t line;    // From 1 on; 0: none
} rmt_chain_walk_place_t;

typedef struct {
    rmt_chain_t at; // Behind the last line that is whole
    uint64_t lines, marks;
    uint64_t signed_n; // Of the last mark
    rmt_chain_walk_fault_t fault;
    rmt_chain_walk_place_t place, other; // Of the fault
    uint64_t n, last;                    // The lines that it is about
} rmt_chain_walk_t;

// Begin with {0}. The next line; the walk borrows place.file for its life. True, and
// line_out is set, when all is whole so far.
bool rmt_chain_walk_step(rmt_chain_walk_t *self, rmt_chain_walk_place_t place,
                         const char *text, size_t size, rmt_chain_line_t *line_out);

// What is wrong, in words; NULL when all is whole. Caller owns the result (free).
char *rmt_chain_walk_text(const rmt_chain_walk_t *self);
