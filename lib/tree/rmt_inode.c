#include "tree/rmt_inode.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

// Of the process: descriptors, which are what this is about, are so too.
static const rmt_inode_door_t *s_door;

void
rmt_inode_use_door(const rmt_inode_door_t *door)
{
    assert(door && door->call);
    s_door = door;
}

// ---- By descriptor, or by /proc for kinds that cannot be opened

#define PATH_SIZE 32

static const char *
s_path(int fd, char *path)
{
    snprintf(path, PATH_SIZE, "/proc/self/fd/%d", fd);
    return path;
}

static bool
s_begins(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

// Without CAP_SYS_ADMIN they are not even seen.
static bool
s_is_trusted(const char *name)
{
    return s_begins(name, "trusted.");
}

// To change them needs CAP_SYS_ADMIN, or CAP_SETFCAP.
static bool
s_is_privileged(const char *name)
{
    return s_is_trusted(name) || s_begins(name, "security.");
}

ssize_t
rmt_inode_list(const rmt_inode_t *self, char *names, size_t room)
{
    char path[PATH_SIZE];
    if (s_door && (!self->is_open || s_door->sees_trusted))
        return s_door->call(s_door->context, &(rmt_inode_request_t){.act = RMT_INODE_LIST,
                                                                    .fd = self->fd,
                                                                    .answer = names,
                                                                    .size = room});
    return self->is_open ? flistxattr(self->fd, names, room)
                         : listxattr(s_path(self->fd, path), names, room);
}

ssize_t
rmt_inode_get(const rmt_inode_t *self, const char *name, void *value, size_t room)
{
    char path[PATH_SIZE];
    if (s_door && (!self->is_open || s_is_trusted(name)))
        return s_door->call(s_door->context, &(rmt_inode_request_t){.act = RMT_INODE_GET,
                                                                    .fd = self->fd,
                                                                    .name = name,
                                                                    .answer = value,
                                                                    .size = room});
    return self->is_open ? fgetxattr(self->fd, name, value, room)
                         : getxattr(s_path(self->fd, path), name, value, room);
}

int
rmt_inode_set(const rmt_inode_t *self, const char *name, const void *value, size_t size)
{
    char path[PATH_SIZE];
    if (s_door && (!self->is_open || s_is_privileged(name)))
        return (int) s_door->call(s_door->context,
                                  &(rmt_inode_request_t){.act = RMT_INODE_SET,
                                                         .fd = self->fd,
                                                         .name = name,
                                                         .value = value,
                                                         .size = size});
    return self->is_open ? fsetxattr(self->fd, name, value, size, 0)
                         : setxattr(s_path(self->fd, path), name, value, size, 0);
}

int
rmt_inode_remove(const rmt_inode_t *self, const char *name)
{
    char path[PATH_SIZE];
    if (s_door && (!self->is_open || s_is_privileged(name)))
        return (int) s_door->call(
            s_door->context, &(rmt_inode_request_t){
                                 .act = RMT_INODE_REMOVE, .fd = self->fd, .name = name});
    return self->is_open ? fremovexattr(self->fd, name)
                         : removexattr(s_path(self->fd, path), name);
}

int
rmt_inode_chmod(const rmt_inode_t *self, mode_t mode)
{
    char path[PATH_SIZE];
    if (self->is_open)
        return fchmod(self->fd, mode);
    if (s_door)
        return (int) s_door->call(
            s_door->context,
            &(rmt_inode_request_t){.act = RMT_INODE_CHMOD, .fd = self->fd, .mode = mode});
    return chmod(s_path(self->fd, path), mode);
}

// ---- The other side of a door

// What may be changed for another process. ACLs: of inodes that it cannot open.
static bool
s_is_served(const char *name)
{
    return s_is_privileged(name) || strcmp(name, "system.posix_acl_access") == 0 ||
           strcmp(name, "system.posix_acl_default") == 0;
}

ssize_t
rmt_inode_serve(const rmt_inode_request_t *request)
{
    char path[PATH_SIZE];
    const char *name = request->name;
    const bool is_change =
        request->act == RMT_INODE_SET || request->act == RMT_INODE_REMOVE;
    s_path(request->fd, path);
    if (is_change && !s_is_served(name)) {
        errno = EPERM;
        return -1;
    }
    switch (request->act) {
    case RMT_INODE_LIST:
        return listxattr(path, request->answer, request->size);
    case RMT_INODE_GET:
        return getxattr(path, name, request->answer, request->size);
    case RMT_INODE_SET:
        return setxattr(path, name, request->value, request->size, 0);
    case RMT_INODE_REMOVE:
        return removexattr(path, name);
    case RMT_INODE_CHMOD:
        return chmod(path, request->mode & 07777);
    }
    errno = EPERM;
    return -1;
}
