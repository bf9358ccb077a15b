// act - system calls of the fidelity cases, by a folder and a name in it; each fails the
// test when it fails. They do not go through the code that is tested.
#pragma once

#include <stdbool.h>
#include "tools/rmt_test.h"
#include <sys/stat.h>
#include <sys/types.h>

// Fail with the text of errno.
#define ACT(condition)                                                                   \
    do {                                                                                 \
        if (!(condition))                                                                \
            act_fail(#condition, __FILE__, __LINE__);                                    \
    } while (0)
void act_fail(const char *what, const char *file, int line);

// Open what exists, or a new file for reading and writing (0644).
int act_open(int root, const char *name);
int act_create(int root, const char *name);
void act_file(int root, const char *name, const char *text);
void act_folder(int root, const char *name);
void act_write(int fd, const void *data, size_t size, off_t offset);
void act_time(int root, const char *name, int64_t seconds, long ns);
void act_xattr(int root, const char *name, const char *attribute, const void *value,
               size_t size);
// Bytes of the value, or -1 with errno. Follows no symlink.
ssize_t act_get_xattr(int root, const char *name, const char *attribute, void *value,
                      size_t room);
// True when the attribute has this value.
bool act_has_xattr(int root, const char *name, const char *attribute, const void *value,
                   size_t size);
// Add inode flags. False when the file system refuses them or drops some.
bool act_try_flags(int root, const char *name, unsigned flags);
void act_flags(int root, const char *name, unsigned flags);
unsigned act_get_flags(int root, const char *name);
void act_project(int root, const char *name, uint32_t project, bool inherit);
// Set bits of fsx_xflags with their sizes in bytes.
void act_hints(int root, const char *name, uint32_t bits, uint32_t size,
               uint32_t cow_size);
uint32_t act_get_extent_size(int root, const char *name);
uint32_t act_get_project(int root, const char *name);
struct stat act_stat(int root, const char *name);
// The text of a small file. Caller owns it (free).
char *act_text(int root, const char *name);
// Kilobytes that a file has of data, of holes and of reserved room, as the kernel maps
// it.
typedef struct {
    uint64_t data, reserved;
    bool reserved_behind; // Some of it behind the size
} act_map_t;
act_map_t act_map(int root, const char *name);

// "flags,mtime" of lines "flags a/b", each kind once; "-" for none. Caller owns.
char *act_kinds(const char *lines);
