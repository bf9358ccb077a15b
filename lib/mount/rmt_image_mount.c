#include "mount/rmt_image_mount.h"
#include "mount/rmt_image_read.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define VALID_S 86400.0 // Nothing of an image changes
#define BLOCK_BYTES 4096
#define TURN 64       // Requests of the kernel before the caller looks around again
#define BACKGROUND 64 // Reads ahead by the kernel that may wait

struct rmt_image_mount {
    const rmt_image_tree_t *tree;
    rmt_image_reads_t *reads;
    rmt_image_contents_t **contents; // Of each inode that is open
    rmt_entry_buffer_t *room;
    struct fuse_session *session;
    bool is_mounted, for_others;
};

// The kernel numbers from 1, where the root is.
static uint32_t
s_inode(fuse_ino_t number)
{
    return (uint32_t) (number - 1);
}

static rmt_image_mount_t *
s_self(fuse_req_t request)
{
    return fuse_req_userdata(request);
}

// ---- Attributes

static struct stat
s_status(const rmt_image_mount_t *self, uint32_t inode)
{
    const rmt_image_inode_t *shown = rmt_image_tree_inode(self->tree, inode);
    const uint64_t blocks = (shown->data_size + BLOCK_BYTES - 1) / BLOCK_BYTES;
    return (struct stat){
        .st_ino = (ino_t) inode + 1,
        .st_mode = shown->mode,
        .st_nlink = shown->links,
        .st_uid = shown->uid,
        .st_gid = shown->gid,
        .st_rdev = makedev(shown->rdev_major, shown->rdev_minor),
        .st_size = (off_t) shown->size,
        .st_blksize = BLOCK_BYTES,
        .st_blocks = (blkcnt_t) (blocks * (BLOCK_BYTES / 512)),
        .st_mtim = {.tv_sec = shown->mtime_s, .tv_nsec = shown->mtime_ns},
        .st_atim = {.tv_sec = shown->mtime_s, .tv_nsec = shown->mtime_ns},
        .st_ctim = {.tv_sec = shown->mtime_s, .tv_nsec = shown->mtime_ns},
    };
}

static struct fuse_entry_param
s_entry(const rmt_image_mount_t *self, uint32_t inode)
{
    return (struct fuse_entry_param){.ino = (fuse_ino_t) inode + 1,
                                     .attr = s_status(self, inode),
                                     .attr_timeout = VALID_S,
                                     .entry_timeout = VALID_S};
}

static void
s_lookup(fuse_req_t request, fuse_ino_t folder, const char *name)
{
    rmt_image_mount_t *self = s_self(request);
    // Number 0 lets the kernel remember that there is no such name.
    struct fuse_entry_param entry = {.entry_timeout = VALID_S};
    uint32_t inode;
    if (rmt_image_tree_find(self->tree, s_inode(folder), name, &inode))
        entry = s_entry(self, inode);
    (void) fuse_reply_entry(request, &entry);
}

static void
s_getattr(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
    (void) info;
    const struct stat status = s_status(s_self(request), s_inode(number));
    (void) fuse_reply_attr(request, &status, VALID_S);
}

// All that the image has of an inode; false when the request was answered with EIO.
static bool
s_describe(fuse_req_t request, fuse_ino_t number, rmt_entry_t *entry_out)
{
    rmt_image_mount_t *self = s_self(request);
    rmt_error_t ignored = {0};
    if (rmt_image_tree_entry(self->tree, s_inode(number), self->room, entry_out,
                             &ignored) == 0)
        return true;
    (void) fuse_reply_err(request, EIO);
    return false;
}

static void
s_readlink(fuse_req_t request, fuse_ino_t number)
{
    rmt_entry_t entry;
    if (s_describe(request, number, &entry))
        (void) fuse_reply_readlink(request, entry.target ? entry.target : "");
}

static void
s_statfs(fuse_req_t request, fuse_ino_t number)
{
    (void) number;
    rmt_image_tree_counts_t counts;
    rmt_image_tree_count(s_self(request)->tree, &counts);
    const struct statvfs space = {.f_bsize = BLOCK_BYTES,
                                  .f_frsize = BLOCK_BYTES,
                                  .f_blocks =
                                      (counts.bytes + BLOCK_BYTES - 1) / BLOCK_BYTES,
                                  .f_files = counts.inodes,
                                  .f_namemax = 255};
    (void) fuse_reply_statfs(request, &space);
}

// Answer with bytes, or with their count where the caller asks for that.
static void
s_reply_sized(fuse_req_t request, const void *data, size_t size, size_t room)
{
    if (room == 0)
        (void) fuse_reply_xattr(request, size);
    else if (room < size)
        (void) fuse_reply_err(request, ERANGE);
    else
        (void) fuse_reply_buf(request, data, size);
}

static void
s_getxattr(fuse_req_t request, fuse_ino_t number, const char *name, size_t room)
{
    rmt_entry_t entry;
    if (!s_describe(request, number, &entry))
        return;
    for (size_t i = 0; i < entry.xattr_count; i++)
        if (strcmp(entry.xattrs[i].name, name) == 0) {
            s_reply_sized(request, entry.xattrs[i].value, entry.xattrs[i].value_size,
                          room);
            return;
        }
    (void) fuse_reply_err(request, ENODATA);
}

static void
s_listxattr(fuse_req_t request, fuse_ino_t number, size_t room)
{
    rmt_entry_t entry;
    if (!s_describe(request, number, &entry))
        return;
    rmt_buffer_t names = {0};
    const bool is_root = fuse_req_ctx(request)->uid == 0;
    for (size_t i = 0; i < entry.xattr_count; i++)
        // As the kernel's own file systems, which show these to root alone.
        if (is_root || strncmp(entry.xattrs[i].name, "trusted.", 8) != 0)
            rmt_buffer_add(&names, entry.xattrs[i].name,
                           strlen(entry.xattrs[i].name) + 1);
    s_reply_sized(request, names.data, names.used, room);
    rmt_buffer_clear(&names);
}

// Inode flags, project and hints, as lsattr asks for them. libfuse says what it is given.
static void
// NOLINTNEXTLINE(readability-function-size)
s_ioctl(fuse_req_t request, fuse_ino_t number, unsigned command, void *argument,
        struct fuse_file_info *info, unsigned flags, const void *in, size_t in_size,
        size_t out_size)
{
    (void) argument;
    (void) info;
    (void) flags;
    (void) in;
    (void) in_size;
    rmt_entry_t entry;
    if (!s_describe(request, number, &entry))
        return;
    const struct fsxattr extended = {.fsx_xflags = entry.hints,
                                     .fsx_extsize = entry.extent_size,
                                     .fsx_projid = entry.project,
                                     .fsx_cowextsize = entry.cow_extent_size};
    if (command == (unsigned) FS_IOC_GETFLAGS && out_size >= sizeof entry.flags)
        (void) fuse_reply_ioctl(request, 0, &entry.flags, sizeof entry.flags);
    else if (command == (unsigned) FS_IOC_FSGETXATTR && out_size >= sizeof extended)
        (void) fuse_reply_ioctl(request, 0, &extended, sizeof extended);
    else
        (void) fuse_reply_err(request, ENOTTY);
}

// ---- Folders

static void
s_opendir(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
    (void) number;
    info->cache_readdir = 1;
    info->keep_cache = 1;
    (void) fuse_reply_open(request, info);
}

// The name at a place of a folder, where "." and ".." are the first two. NULL: the end.
static const char *
s_name_at(const rmt_image_mount_t *self, uint32_t folder, size_t place,
          uint32_t *inode_out)
{
    *inode_out = place == 0 ? folder : rmt_image_tree_parent(self->tree, folder);
    if (place < 2)
        return place == 0 ? "." : "..";
    return rmt_image_tree_name(self->tree, folder, place - 2, inode_out);
}

static void
s_list(fuse_req_t request, fuse_ino_t number, size_t room, off_t offset,
       bool with_entries)
{
    rmt_image_mount_t *self = s_self(request);
    rmt_auto_str list = malloc(room + 1);
    assert(list);
    size_t used = 0;
    uint32_t inode;
    const char *name;
    for (size_t place = (size_t) offset;
         (name = s_name_at(self, s_inode(number), place, &inode)); place++) {
        struct fuse_entry_param entry = s_entry(self, inode);
        if (place < 2)
            entry.ino = 0; // These are not looked up
        const off_t next = (off_t) place + 1;
        const size_t size = with_entries
                                ? fuse_add_direntry_plus(request, list + used,
                                                         room - used, name, &entry, next)
                                : fuse_add_direntry(request, list + used, room - used,
                                                    name, &entry.attr, next);
        if (size > room - used)
            break;
        used += size;
    }
    (void) fuse_reply_buf(request, list, used);
}

static void
s_readdir(fuse_req_t request, fuse_ino_t number, size_t room, off_t offset,
          struct fuse_file_info *info)
{
    (void) info;
    s_list(request, number, room, offset, false);
}

static void
s_readdirplus(fuse_req_t request, fuse_ino_t number, size_t room, off_t offset,
              struct fuse_file_info *info)
{
    (void) info;
    s_list(request, number, room, offset, true);
}

// ---- Files

static rmt_image_file_t *
s_file(const struct fuse_file_info *info)
{
    return (rmt_image_file_t *) (uintptr_t) info->fh;
}

static void
s_open(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
    rmt_entry_t entry;
    if (!s_describe(request, number, &entry))
        return;
    if ((info->flags & O_ACCMODE) != O_RDONLY || entry.unreadable) {
        (void) fuse_reply_err(request, entry.unreadable ? EIO : EROFS);
        return;
    }
    rmt_image_file_t *file =
        rmt_image_file_new(&s_self(request)->contents[s_inode(number)], &entry);
    info->fh = (uintptr_t) file;
    info->keep_cache = 1;
    // Not opened: the caller was interrupted meanwhile.
    if (fuse_reply_open(request, info) == -ENOENT)
        rmt_image_file_destroy(&file);
}

static void
s_release(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
    (void) number;
    rmt_image_file_t *file = s_file(info);
    rmt_image_file_destroy(&file);
    (void) fuse_reply_err(request, 0);
}

static void
s_read(fuse_req_t request, fuse_ino_t number, size_t size, off_t at,
       struct fuse_file_info *info)
{
    (void) number;
    rmt_image_reads_start(s_self(request)->reads, request, s_file(info), size, at);
}

static void
s_lseek(fuse_req_t request, fuse_ino_t number, off_t at, int whence,
        struct fuse_file_info *info)
{
    (void) number;
    const off_t found = rmt_image_file_seek(s_file(info), at, whence == SEEK_DATA);
    if (found == -1)
        (void) fuse_reply_err(request, ENXIO);
    else
        (void) fuse_reply_lseek(request, found);
}

// ---- The session

static void
s_init(void *context, struct fuse_conn_info *connection)
{
    const rmt_image_mount_t *self = context;
    connection->max_background = BACKGROUND;
    connection->want |= connection->capable & FUSE_CAP_CACHE_SYMLINKS;
    if (self->for_others) // The kernel checks ACLs as well
        connection->want |= connection->capable & FUSE_CAP_POSIX_ACL;
}

static const struct fuse_lowlevel_ops s_ops = {
    .init = s_init,
    .lookup = s_lookup,
    .getattr = s_getattr,
    .readlink = s_readlink,
    .open = s_open,
    .read = s_read,
    .release = s_release,
    .opendir = s_opendir,
    .readdir = s_readdir,
    .statfs = s_statfs,
    .getxattr = s_getxattr,
    .listxattr = s_listxattr,
    .ioctl = s_ioctl,
    .readdirplus = s_readdirplus,
    .lseek = s_lseek,
};

static int
s_check_folder(const char *folder, rmt_error_t *error)
{
    rmt_auto_fd fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd == -1 && errno == ENOENT)
        return rmt_fail(error, RMT_E_NOT_FOUND,
                        "the folder %s does not exist; make it with: mkdir %s", folder,
                        folder);
    if (fd == -1 && errno == ENOTCONN)
        return rmt_fail(error, RMT_E_EXISTS,
                        "%s is a mount whose program has ended; unmount it with: "
                        "fusermount3 -u %s",
                        folder, folder);
    struct stat status, above;
    if (fd == -1 || fstat(fd, &status) == -1 || fstatat(fd, "..", &above, 0) == -1)
        return rmt_fail_errno(error, "use the folder %s", folder);
    if (status.st_dev != above.st_dev || status.st_ino == above.st_ino)
        return rmt_fail(error, RMT_E_EXISTS,
                        "something is mounted on %s already; unmount it, or choose "
                        "another folder",
                        folder);
    DIR *names = fdopendir(rmt_take_fd(&fd));
    assert(names);
    size_t count = 0;
    while (readdir(names))
        count++;
    closedir(names);
    return count <= 2
               ? 0
               : rmt_fail(error, RMT_E_EXISTS,
                          "the folder %s is not empty; choose an empty one", folder);
}

int
rmt_image_mount_check(const char *folder, bool for_others, rmt_error_t *error)
{
    if (for_others && geteuid() != 0)
        return rmt_fail(error, RMT_E_NOT_ALLOWED,
                        "only root may show a mounted image to other users");
    if (access("/dev/fuse", F_OK) == -1)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "this kernel has no FUSE; load it with: modprobe fuse");
    if (access("/dev/fuse", R_OK | W_OK) == -1)
        return rmt_fail(error, RMT_E_NOT_ALLOWED,
                        "this user may not use FUSE: /dev/fuse cannot be opened");
    return s_check_folder(folder, error);
}

static int
s_mount(rmt_image_mount_t *self, const rmt_image_mount_setup_t *setup, rmt_error_t *error)
{
    rmt_auto_str options =
        rmt_text("ro,nosuid,nodev,noatime,subtype=ramet,fsname=ramet:%s%s", setup->name,
                 setup->for_others ? ",allow_other,default_permissions" : "");
    char program[] = "ramet", option[] = "-o";
    char *words[] = {program, option, options, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(3, words);
    self->session = fuse_session_new(&args, &s_ops, sizeof s_ops, self);
    fuse_opt_free_args(&args);
    if (!self->session || fuse_session_mount(self->session, setup->folder) == -1)
        return rmt_fail(error, RMT_E_IO,
                        "mount on %s: the kernel, or fusermount3 (package fuse3), "
                        "refused it",
                        setup->folder);
    self->is_mounted = true;
    const int fd = fuse_session_fd(self->session);
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == -1)
        return rmt_fail_errno(error, "use FUSE without waiting");
    return 0;
}

rmt_image_mount_t *
rmt_image_mount_new(const rmt_image_mount_setup_t *setup, rmt_error_t *error)
{
    rmt_auto(rmt_image_mount) self = calloc(1, sizeof *self);
    assert(self);
    self->tree = setup->tree;
    self->for_others = setup->for_others;
    self->contents = calloc(rmt_image_tree_end(self->tree), sizeof *self->contents);
    assert(self->contents);
    self->room = rmt_entry_buffer_new();
    self->reads = rmt_image_reads_new(setup);
    return s_mount(self, setup, error) == 0 ? rmt_take(&self) : NULL;
}

void
rmt_image_mount_destroy(rmt_image_mount_t **self_p)
{
    rmt_image_mount_t *self = rmt_take(self_p);
    if (!self)
        return;
    rmt_image_reads_destroy(&self->reads);
    if (self->is_mounted)
        fuse_session_unmount(self->session);
    if (self->session)
        fuse_session_destroy(self->session);
    rmt_entry_buffer_destroy(&self->room);
    free(self->contents);
    free(self);
}

int
rmt_image_mount_fd(const rmt_image_mount_t *self)
{
    return fuse_session_fd(self->session);
}

bool
rmt_image_mount_serve(rmt_image_mount_t *self)
{
    struct fuse_buf buffer = {0};
    int got = 1;
    for (size_t i = 0; i < TURN && got > 0; i++) {
        got = fuse_session_receive_buf(self->session, &buffer);
        if (got > 0)
            fuse_session_process_buf(self->session, &buffer);
    }
    free(buffer.mem);
    rmt_image_reads_sweep(self->reads);
    return !fuse_session_exited(self->session) &&
           (got > 0 || got == -EAGAIN || got == -EINTR);
}

void
rmt_image_mount_give(rmt_image_mount_t *self, const rmt_id_t *id, const void *plain,
                     size_t size)
{
    rmt_image_reads_give(self->reads, id, plain, size);
}

void
rmt_image_mount_fail(rmt_image_mount_t *self, const rmt_id_t *ids, size_t count,
                     bool is_final)
{
    rmt_image_reads_fail(self->reads, ids, count, is_final);
}

size_t
rmt_image_mount_expire(rmt_image_mount_t *self)
{
    return rmt_image_reads_expire(self->reads);
}
