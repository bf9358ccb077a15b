// window - entries and their contents on the way to the writer, in manifest order.
//
// What is in the window is asked for, and is on its way while the writer works on what
// came before. Memory is bounded by the ids of a window, one chunk and one entry.
#pragma once

#include "base/rmt_error.h"
#include "store/rmt_manifest.h"
#include "agent/disk_tools/pipe.h"
#include "agent/install/supply.h"

#define RMT_WINDOW_SIZE ((size_t) 8 * 1024 * 1024) // Plain bytes of what is asked for

typedef struct rmt_window rmt_window_t;

// Borrows both until destroyed. Caller owns the result.
rmt_window_t *rmt_window_new(rmt_supply_t *supply, rmt_pipe_t *pipe);
void rmt_window_destroy(rmt_window_t **self_p);

// Add an entry with its contents. When the window is full, blocks until what is first in
// it was sent. 0, or -1: what supply and pipe say.
int rmt_window_add(rmt_window_t *self, const rmt_entry_t *entry, rmt_error_t *error);
// Send what is left.
int rmt_window_flush(rmt_window_t *self, rmt_error_t *error);
