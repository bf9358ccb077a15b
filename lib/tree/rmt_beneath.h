// rmt_beneath - opening names that cannot lead out of a folder.
#pragma once

#include <stddef.h>
#include <sys/types.h>

// Open path below dir_fd: "..", absolute names, symlinks (O_PATH | O_NOFOLLOW gets the
// last one itself), magic links and mount points are refused by the kernel. Paths may be
// longer than PATH_MAX. Always O_NOFOLLOW and O_CLOEXEC. The descriptor, or -1 with
// errno.
int rmt_beneath_open(int dir_fd, const char *path, int flags, mode_t mode);
