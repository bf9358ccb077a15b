// writer_process - the program that writes disks, started as its agent starts it.
#pragma once

#include <sys/types.h>

#include "agent/disk_tools/pipe.h"

// A writer that waits for its order. Caller owns *pipe_out, and waits for the process.
pid_t writer_process_start(rmt_pipe_t **pipe_out);
