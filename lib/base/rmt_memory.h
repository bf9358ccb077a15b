// rmt_memory - the memory of this process, and how the allocator treats the buffers of
// programs that carry chunks.
#pragma once

#include <stddef.h>

// Keep freed memory of up to some MiB in each thread's share instead of giving it back at
// once: frames of 256 KiB come and go thousands of times, and clean pages from the kernel
// cost more than the copying into them. Once, before other threads are.
void rmt_memory_keep(void);

// Give back what is free, when a large piece of work is over.
void rmt_memory_return(void);

// Resident memory of this process, in octets; 0 when it is not known.
size_t rmt_memory_resident(void);
