// rmt_signals - SIGTERM, SIGINT and SIGHUP as a descriptor that can be polled.
#pragma once

#include "base/rmt_error.h"

// Take CZMQ's signal handler away, ignore SIGPIPE, and block SIGTERM, SIGINT and
// SIGHUP in this thread. Call it first in main: threads inherit the mask, and a
// thread started before would be killed by the signal. rmt_signals_open does it too.
void rmt_signals_block(void);

// The same, and a descriptor on which the signals are read. Caller closes it.
// Returns the descriptor, or -1: IO.
int rmt_signals_open(rmt_error_t *error);

// The number of a signal that has arrived, or 0. Never blocks.
int rmt_signals_read(int fd);
