#include "base/rmt_memory.h"
#include "base/rmt_auto.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

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

size_t
rmt_memory_resident(void)
{
    char text[128] = "";
    unsigned long pages = 0;
    rmt_auto_fd fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd == -1 || read(fd, text, sizeof text - 1) < 1 ||
        sscanf(text, "%*u %lu", &pages) != 1)
        return 0;
    return pages * (size_t) sysconf(_SC_PAGESIZE);
}
