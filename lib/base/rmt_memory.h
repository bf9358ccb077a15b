// rmt_memory - how the allocator treats the buffers of programs that carry chunks.
#pragma once

// Keep freed memory of up to some MiB in each thread's share instead of giving it back at
// once: frames of 256 KiB come and go thousands of times, and clean pages from the kernel
// cost more than the copying into them. Once, before other threads are.
void rmt_memory_keep(void);

// Give back what is free, when a large piece of work is over.
void rmt_memory_return(void);
