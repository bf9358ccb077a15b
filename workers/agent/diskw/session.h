// session - the dialogue of ramet-diskw: one order, its trees, its end.
#pragma once

#include "agent/disk_tools/pipe.h"
#include "base/rmt_error.h"

// Serve frames until DONE was answered, or something failed, which is told as ERROR.
// Everything is unmounted and detached when it returns. 0, or -1: what failed.
int rmt_session_run(rmt_pipe_t *pipe, int signals, rmt_error_t *error);
