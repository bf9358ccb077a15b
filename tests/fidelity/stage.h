// stage - file systems of several kinds on loop devices, two of each: one for sources,
// one for copies. Descriptors hold them, no mount is left: they end with this process.
#pragma once

typedef enum { STAGE_EXT4, STAGE_XFS, STAGE_BTRFS, STAGE_COUNT } stage_fs_t;

const char *stage_name(stage_fs_t fs);
// The root of a file system, made when it is asked for first; it stays open.
int stage_source(stage_fs_t fs);
int stage_copy(stage_fs_t fs);
// Make a file system of its own with mkfs (a NULL-terminated command line without the
// device) in a file of so many bytes, mount it, and open its root. options may be NULL.
int stage_mount(const char *const *mkfs, const char *type, const char *size,
                const char *options);
