// window - entries and their contents on the way to the writer, in manifest order.
//
// Contents are asked for many chunks at once and come in any order; here they wait until
// all of one window are there. Memory is bounded by RMT_WINDOW_SIZE and one entry.
#pragma once

#include "base/rmt_error.h"
#include "store/rmt_manifest.h"
#include "agent/disk_tools/pipe.h"
#include "agent/install/supply.h"

#define RMT_WINDOW_SIZE ((size_t) 8 * 1024 * 1024)

typedef struct rmt_window rmt_window_t;

// Borrows both until destroyed. Caller owns the result.
rmt_window_t *rmt_window_new(rmt_supply_t *supply, rmt_pipe_t *pipe);
void rmt_window_destroy(rmt_window_t **self_p);

// Add an entry with its contents. Blocks for a whole window when one is full.
// 0, or -1: what supply and pipe say.
int rmt_window_add(rmt_window_t *self, const rmt_entry_t *entry, rmt_error_t *error);
// Send what is left.
int rmt_window_flush(rmt_window_t *self, rmt_error_t *error);
