#include "base/rmt_memory.h"

#include <malloc.h>

#define KEEP_SIZE (4 * 1024 * 1024)

void
rmt_memory_keep(void)
{
    // A refusal leaves things as they were.
    (void) mallopt(M_MMAP_THRESHOLD, KEEP_SIZE);
    (void) mallopt(M_TRIM_THRESHOLD, KEEP_SIZE);
}

void
rmt_memory_return(void)
{
    (void) malloc_trim(0);
}
