// rmt_gpt - how much a GPT says that it has, looked at before a library believes it.
//
// A head names how many entries its table has and how large they are; libfdisk and
// libblkid make memory for all of them. Of a hostile disk that is up to 2^63 bytes.
#pragma once

#include <stdint.h>
#include "base/rmt_error.h"

// A part of a device or file, in bytes; size 0: up to its end.
// Look for a head, at the front and at the end, for sectors of 512 and of 4096 bytes,
// whose entries would take more than 4 MiB; a usual table has 16 KiB. *at_out is the
// place of the first one in the file, or -1. 0, or -1: IO.
int rmt_gpt_find_large(int fd, uint64_t offset, uint64_t size, int64_t *at_out,
                       rmt_error_t *error);
// The same as a refusal. 0, or -1: UNSUPPORTED, IO.
int rmt_gpt_check(int fd, uint64_t offset, uint64_t size, const char *path,
                  rmt_error_t *error);
