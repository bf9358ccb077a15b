// rmt_kernel_words - words for numbers of the kernel: file systems and inode flags.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define RMT_KERNEL_WORDS_SIZE 256

// The kind of file system that the inode at fd is on, such as "ext4" (for ext2 and ext3
// as well, which the kernel does not tell apart); one that is not known by its number.
// Writes into text, at most RMT_KERNEL_WORDS_SIZE bytes, and returns it.
const char *rmt_kernel_words_fs(int fd, char *text);
// Inode flags as words with commas, such as "immutable,nodump"; "none". Likewise.
const char *rmt_kernel_words_flags(uint32_t flags, char *text);
