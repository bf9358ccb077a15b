#include "act.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#define TEXT_SIZE 4096
#define MAP_COUNT 256

void
act_fail(const char *what, const char *file, int line)
{
    print_error("%s:%d: %s: %s\n", file, line, what, strerror(errno));
    fail();
}

int
act_open(int root, const char *name)
{
    const int fd = openat(root, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    ACT(fd != -1);
    return fd;
}

int
act_create(int root, const char *name)
{
    const int fd = openat(root, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    ACT(fd != -1);
    return fd;
}

void
act_write(int fd, const void *data, size_t size, off_t offset)
{
    ACT(pwrite(fd, data, size, offset) == (ssize_t) size);
}

void
act_file(int root, const char *name, const char *text)
{
    const int fd = act_create(root, name);
    act_write(fd, text, strlen(text), 0);
    close(fd);
}

void
act_folder(int root, const char *name)
{
    ACT(mkdirat(root, name, 0755) == 0);
}

void
act_time(int root, const char *name, int64_t seconds, long ns)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {seconds, ns}};
    ACT(utimensat(root, name, times, AT_SYMLINK_NOFOLLOW) == 0);
    const struct stat status = act_stat(root, name);
    ACT(status.st_mtim.tv_sec == seconds && status.st_mtim.tv_nsec == ns);
}

static const char *
s_path(char *path, size_t room, int root, const char *name)
{
    snprintf(path, room, "/proc/self/fd/%d/%s", root, name);
    return path;
}

void
act_xattr(int root, const char *name, const char *attribute, const void *value,
          size_t size)
{
    char path[TEXT_SIZE];
    ACT(lsetxattr(s_path(path, sizeof path, root, name), attribute, value, size, 0) == 0);
}

ssize_t
act_get_xattr(int root, const char *name, const char *attribute, void *value, size_t room)
{
    char path[TEXT_SIZE];
    return lgetxattr(s_path(path, sizeof path, root, name), attribute, value, room);
}

bool
act_has_xattr(int root, const char *name, const char *attribute, const void *value,
              size_t size)
{
    char *found = malloc(XATTR_SIZE_MAX);
    const ssize_t got = act_get_xattr(root, name, attribute, found, XATTR_SIZE_MAX);
    const bool has = got == (ssize_t) size && memcmp(found, value, size) == 0;
    free(found);
    return has;
}

bool
act_try_flags(int root, const char *name, unsigned flags)
{
    const int fd = act_open(root, name);
    unsigned have = 0;
    bool done = ioctl(fd, FS_IOC_GETFLAGS, &have) == 0;
    have |= flags;
    done = done && ioctl(fd, FS_IOC_SETFLAGS, &have) == 0 &&
           ioctl(fd, FS_IOC_GETFLAGS, &have) == 0 && (have & flags) == flags;
    close(fd);
    return done;
}

void
act_flags(int root, const char *name, unsigned flags)
{
    ACT(act_try_flags(root, name, flags));
}

unsigned
act_get_flags(int root, const char *name)
{
    const int fd = act_open(root, name);
    unsigned have = 0;
    ACT(ioctl(fd, FS_IOC_GETFLAGS, &have) == 0);
    close(fd);
    return have;
}

void
act_project(int root, const char *name, uint32_t project, bool inherit)
{
    const int fd = act_open(root, name);
    struct fsxattr attributes = {0};
    ACT(ioctl(fd, FS_IOC_FSGETXATTR, &attributes) == 0);
    attributes.fsx_projid = project;
    if (inherit)
        attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
    ACT(ioctl(fd, FS_IOC_FSSETXATTR, &attributes) == 0);
    close(fd);
    ACT(act_get_project(root, name) == project);
}

void
act_hints(int root, const char *name, uint32_t bits, uint32_t size, uint32_t cow_size)
{
    const int fd = act_open(root, name);
    struct fsxattr attributes = {0};
    ACT(ioctl(fd, FS_IOC_FSGETXATTR, &attributes) == 0);
    attributes.fsx_xflags |= bits;
    attributes.fsx_extsize = size;
    attributes.fsx_cowextsize = cow_size;
    ACT(ioctl(fd, FS_IOC_FSSETXATTR, &attributes) == 0);
    close(fd);
}

uint32_t
act_get_extent_size(int root, const char *name)
{
    const int fd = act_open(root, name);
    struct fsxattr attributes = {0};
    ACT(ioctl(fd, FS_IOC_FSGETXATTR, &attributes) == 0);
    close(fd);
    return attributes.fsx_extsize;
}

uint32_t
act_get_project(int root, const char *name)
{
    const int fd = act_open(root, name);
    struct fsxattr attributes = {0};
    ACT(ioctl(fd, FS_IOC_FSGETXATTR, &attributes) == 0);
    close(fd);
    return attributes.fsx_projid;
}

struct stat
act_stat(int root, const char *name)
{
    struct stat status = {0};
    ACT(fstatat(root, name, &status, AT_SYMLINK_NOFOLLOW) == 0);
    return status;
}

char *
act_text(int root, const char *name)
{
    const int fd = act_open(root, name);
    char *text = calloc(1, TEXT_SIZE);
    ACT(read(fd, text, TEXT_SIZE - 1) >= 0);
    close(fd);
    return text;
}

act_map_t
act_map(int root, const char *name)
{
    const int fd = act_open(root, name);
    const uint64_t size = (uint64_t) act_stat(root, name).st_size;
    union {
        struct fiemap head;
        char room[sizeof(struct fiemap) + MAP_COUNT * sizeof(struct fiemap_extent)];
    } answer = {.head = {.fm_length = FIEMAP_MAX_OFFSET,
                         .fm_flags = FIEMAP_FLAG_SYNC,
                         .fm_extent_count = MAP_COUNT}};
    ACT(ioctl(fd, FS_IOC_FIEMAP, &answer) == 0);
    close(fd);
    act_map_t map = {0};
    for (unsigned i = 0; i < answer.head.fm_mapped_extents; i++) {
        const struct fiemap_extent *extent = &answer.head.fm_extents[i];
        if (extent->fe_flags & FIEMAP_EXTENT_UNWRITTEN) {
            map.reserved += extent->fe_length / 1024;
            map.reserved_behind |= extent->fe_logical + extent->fe_length > size + 65536;
        } else {
            map.data += extent->fe_length / 1024;
        }
    }
    return map;
}

char *
act_kinds(const char *lines)
{
    char *kinds = rmt_text("%s", "");
    for (const char *line = lines; *line; line += strcspn(line, "\n") + 1) {
        const int size = (int) strcspn(line, " ");
        rmt_auto_str word = rmt_text(",%.*s,", size, line);
        rmt_auto_str known = rmt_text(",%s,", kinds);
        if (strstr(known, word))
            continue;
        char *longer = rmt_text("%s%s%.*s", kinds, *kinds ? "," : "", size, line);
        free(kinds);
        kinds = longer;
    }
    if (*kinds)
        return kinds;
    free(kinds);
    return rmt_text("-");
}
