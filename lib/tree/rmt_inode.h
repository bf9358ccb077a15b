// rmt_inode - what is asked and changed of one inode by its descriptor: its attributes,
// and the mode of kinds that cannot be opened.
//
// A process without privileges and without /proc leaves some of that to another one (a
// door): what concerns inodes that cannot be opened, and attributes trusted.* and
// security.*, which need CAP_SYS_ADMIN.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct {
    int fd;
    bool is_open; // Not an O_PATH descriptor: a regular file or a folder
} rmt_inode_t;

static inline rmt_inode_t
rmt_inode(int fd, uint32_t mode)
{
    const uint32_t type = mode & 0170000;
    return (rmt_inode_t){.fd = fd, .is_open = type == 0100000 || type == 0040000};
}

// Each as the system call of that name: -1 with errno.
ssize_t rmt_inode_list(const rmt_inode_t *self, char *names, size_t room);
ssize_t rmt_inode_get(const rmt_inode_t *self, const char *name, void *value,
                      size_t room);
int rmt_inode_set(const rmt_inode_t *self, const char *name, const void *value,
                  size_t size);
int rmt_inode_remove(const rmt_inode_t *self, const char *name);
int rmt_inode_chmod(const rmt_inode_t *self, mode_t mode);

// ---- What another process does

typedef enum {
    RMT_INODE_LIST,
    RMT_INODE_GET,
    RMT_INODE_SET,
    RMT_INODE_REMOVE,
    RMT_INODE_CHMOD,
} rmt_inode_act_t;

typedef struct {
    rmt_inode_act_t act;
    int fd;
    const char *name;  // Of an attribute; NULL for none
    const void *value; // Of SET
    void *answer;      // Of LIST and GET, with this room
    size_t size;       // Of value, or the room
    mode_t mode;
} rmt_inode_request_t;

// The result of the system call: -1 with errno. Called from any thread.
typedef ssize_t(rmt_inode_door_fn)(void *context, const rmt_inode_request_t *request);

typedef struct {
    rmt_inode_door_fn *call;
    void *context;
    bool sees_trusted; // Lists of files and folders go through it too
} rmt_inode_door_t;

// From now on all of this process that needs privileges goes through the door, which is
// borrowed for good. Only while there is one thread.
void rmt_inode_use_door(const rmt_inode_door_t *door);

// Do what came through a door, with the rights of this process and through its /proc:
// a descriptor of any kind. The result of the system call, -1 with errno: EPERM for what
// no door is for.
ssize_t rmt_inode_serve(const rmt_inode_request_t *request);
