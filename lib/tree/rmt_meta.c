#include "tree/rmt_meta.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "tree/rmt_inode.h"
#include "tree/rmt_kernel_words.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#define LIST_SIZE_FIRST 1024
#define VALUE_SIZE_FIRST 256
#define TARGET_SIZE_FIRST 4096
#define EVM_TYPE_HMAC 2

struct rmt_meta {
    char *names; // Of attributes, one after the other, each with its NUL
    size_t names_room;
    uint8_t *values;
    size_t values_used, values_room;
    rmt_xattr_t *xattrs;
    size_t xattrs_room;
    char *target;
};

rmt_meta_t *
rmt_meta_new(void)
{
    rmt_meta_t *self = calloc(1, sizeof *self);
    assert(self);
    return self;
}

void
rmt_meta_destroy(rmt_meta_t **self_p)
{
    rmt_meta_t *self = *self_p;
    if (!self)
        return;
    free(self->names);
    free(self->values);
    free(self->xattrs);
    free(self->target);
    free(self);
    *self_p = NULL;
}

void
rmt_meta_from_status(rmt_entry_t *entry, const struct stat *status)
{
    entry->mode = status->st_mode;
    entry->uid = status->st_uid;
    entry->gid = status->st_gid;
    entry->mtime_s = status->st_mtim.tv_sec;
    entry->mtime_ns = (uint32_t) status->st_mtim.tv_nsec;
    if (S_ISREG(status->st_mode))
        entry->size = (uint64_t) status->st_size;
    if (S_ISCHR(status->st_mode) || S_ISBLK(status->st_mode)) {
        entry->rdev_major = major(status->st_rdev);
        entry->rdev_minor = minor(status->st_rdev);
    }
}

// ---- Reading

// Names of all attributes into self->names; their size is the result.
static ssize_t
s_read_names(rmt_meta_t *self, const rmt_inode_t *inode, rmt_error_t *error)
{
    char few[LIST_SIZE_FIRST];
    ssize_t size = rmt_inode_list(inode, few, sizeof few);
    if (size == -1 && (errno == ENOTSUP || errno == ENOSYS))
        return 0;
    if (size == -1 && errno != ERANGE)
        return rmt_fail_errno(error, "list attributes");
    if (size == 0)
        return 0;
    const size_t room = size == -1 ? XATTR_LIST_MAX : (size_t) size;
    rmt_grow(&self->names, &self->names_room, room);
    if (size > 0) {
        memcpy(self->names, few, (size_t) size);
        return size;
    }
    size = rmt_inode_list(inode, self->names, room);
    return size == -1 ? rmt_fail_errno(error, "list attributes") : size;
}

// Append the value of one attribute. 1; 0 when it is gone meanwhile; -1.
static int
s_read_value(rmt_meta_t *self, const rmt_inode_t *inode, rmt_xattr_t *xattr,
             rmt_error_t *error)
{
    size_t wanted = VALUE_SIZE_FIRST;
    for (;;) {
        rmt_grow(&self->values, &self->values_room, self->values_used + wanted);
        const ssize_t size =
            rmt_inode_get(inode, xattr->name, self->values + self->values_used, wanted);
        if (size >= 0) {
            xattr->value_size = (uint32_t) size;
            self->values_used += (size_t) size;
            return 1;
        }
        if (errno == ENODATA)
            return 0;
        if (errno != ERANGE || wanted == XATTR_SIZE_MAX)
            return rmt_fail_errno(error, "read attribute %s", xattr->name);
        wanted = XATTR_SIZE_MAX;
    }
}

// What must not travel: an HMAC in security.evm, whose first byte tells it from a
// signature, and the second face that XFS gives to ACLs.
static bool
s_is_left_out(const rmt_meta_t *self, const rmt_inode_t *inode, const rmt_xattr_t *xattr)
{
    if (strcmp(xattr->name, "security.evm") == 0) {
        const uint8_t *value = self->values + self->values_used - xattr->value_size;
        return xattr->value_size > 0 && value[0] == EVM_TYPE_HMAC;
    }
    struct statfs system;
    return strncmp(xattr->name, "trusted.SGI_ACL_", 16) == 0 &&
           fstatfs(inode->fd, &system) == 0 && system.f_type == XFS_SUPER_MAGIC;
}

static int
s_compare_names(const void *a, const void *b)
{
    return strcmp(((const rmt_xattr_t *) a)->name, ((const rmt_xattr_t *) b)->name);
}

static int
s_read_xattrs(rmt_meta_t *self, const rmt_inode_t *inode, rmt_entry_t *entry,
              rmt_error_t *error)
{
    const ssize_t size = s_read_names(self, inode, error);
    if (size == -1)
        return -1;
    self->values_used = 0;
    size_t count = 0;
    for (const char *name = self->names; size && name < self->names + size;
         name += strlen(name) + 1) {
        if (count == RMT_XATTR_COUNT_MAX)
            return rmt_fail(error, RMT_E_TOO_BIG, "the entry has more than %d attributes",
                            RMT_XATTR_COUNT_MAX);
        rmt_grow(&self->xattrs, &self->xattrs_room, count + 1);
        rmt_xattr_t *xattr = &self->xattrs[count];
        xattr->name = name;
        // The list is at most 64 KiB, so names are no part of this limit worth counting.
        if (self->values_used > RMT_XATTR_TOTAL_MAX - XATTR_LIST_MAX - XATTR_SIZE_MAX)
            return rmt_fail(error, RMT_E_TOO_BIG,
                            "the attributes of the entry have more than %zu bytes",
                            RMT_XATTR_TOTAL_MAX);
        const int found = s_read_value(self, inode, xattr, error);
        if (found == -1)
            return -1;
        if (found && s_is_left_out(self, inode, xattr))
            self->values_used -= xattr->value_size;
        else
            count += (size_t) found;
    }
    // The values stand still now, one after the other.
    const uint8_t *value = self->values;
    for (size_t i = 0; i < count; i++) {
        self->xattrs[i].value = value;
        value += self->xattrs[i].value_size;
    }
    if (count > 1)
        qsort(self->xattrs, count, sizeof *self->xattrs, s_compare_names);
    entry->xattrs = count ? self->xattrs : NULL;
    entry->xattr_count = count;
    return 0;
}

static int
s_read_target(rmt_meta_t *self, int fd, rmt_entry_t *entry, rmt_error_t *error)
{
    free(self->target);
    self->target = malloc(TARGET_SIZE_FIRST + 1);
    assert(self->target);
    const ssize_t size = readlinkat(fd, "", self->target, TARGET_SIZE_FIRST);
    if (size == -1)
        return rmt_fail_errno(error, "read symlink");
    if (size == TARGET_SIZE_FIRST)
        return rmt_fail(error, RMT_E_TOO_BIG, "the symlink has more than %d bytes",
                        TARGET_SIZE_FIRST);
    self->target[size] = '\0';
    entry->target = self->target;
    return 0;
}

// A file system without these ioctls has no flags to carry.
static bool
s_is_unsupported(void)
{
    return errno == ENOTTY || errno == ENOTSUP || errno == EINVAL || errno == ENOSYS;
}

// The kernel reads and writes an int, whatever the ioctl's number says.
static int
s_read_flags(int fd, uint32_t *flags_out, rmt_error_t *error)
{
    unsigned flags = 0;
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == -1) {
        if (!s_is_unsupported())
            return rmt_fail_errno(error, "read inode flags");
        flags = 0;
    }
    *flags_out = flags;
    return 0;
}

static void
s_take_extended(rmt_entry_t *entry, const struct fsxattr *extended)
{
    entry->project = extended->fsx_projid;
    entry->hints = extended->fsx_xflags & RMT_META_HINTS;
    // The sizes mean nothing without their hints.
    entry->extent_size = entry->hints ? extended->fsx_extsize : 0;
    entry->cow_extent_size = entry->hints ? extended->fsx_cowextsize : 0;
}

int
rmt_meta_read(rmt_meta_t *self, int fd, rmt_entry_t *entry, rmt_error_t *error)
{
    const rmt_inode_t inode = rmt_inode(fd, entry->mode);
    if (S_ISLNK(entry->mode) && s_read_target(self, fd, entry, error) == -1)
        return -1;
    if (inode.is_open) {
        uint32_t flags = 0;
        if (s_read_flags(fd, &flags, error) == -1)
            return -1;
        if (flags & FS_ENCRYPT_FL)
            return rmt_fail(error, RMT_E_UNSUPPORTED,
                            "is encrypted by the file system "
                            "(fscrypt)");
        if (flags & FS_VERITY_FL)
            return rmt_fail(error, RMT_E_UNSUPPORTED,
                            "is sealed by the file system "
                            "(fs-verity)");
        entry->flags = flags & RMT_META_FLAGS;
        struct fsxattr extended = {0};
        if (ioctl(fd, FS_IOC_FSGETXATTR, &extended) == 0)
            s_take_extended(entry, &extended);
        else if (!s_is_unsupported())
            return rmt_fail_errno(error, "read project");
    }
    return s_read_xattrs(self, &inode, entry, error);
}

// ---- Applying

static int
s_apply_owner(const rmt_inode_t *inode, const rmt_entry_t *entry, rmt_error_t *error)
{
    if (fchownat(inode->fd, "", entry->uid, entry->gid, AT_EMPTY_PATH) == -1)
        return rmt_fail_errno(error, "give to %u:%u", entry->uid, entry->gid);
    return 0;
}

static int
s_apply_mode(const rmt_inode_t *inode, const rmt_entry_t *entry, rmt_error_t *error)
{
    const mode_t mode = entry->mode & 07777;
    if (S_ISLNK(entry->mode))
        return 0;
    if (rmt_inode_chmod(inode, mode) == -1)
        return rmt_fail_errno(error, "set mode %04o", (unsigned) mode);
    return 0;
}

static bool
s_is_security(const rmt_xattr_t *xattr)
{
    return strncmp(xattr->name, "security.", 9) == 0;
}

static int
s_apply_xattrs(const rmt_inode_t *inode, const rmt_entry_t *entry, bool security,
               rmt_error_t *error)
{
    for (size_t i = 0; i < entry->xattr_count; i++) {
        const rmt_xattr_t *xattr = &entry->xattrs[i];
        if (s_is_security(xattr) == security &&
            rmt_inode_set(inode, xattr->name, xattr->value, xattr->value_size) == -1)
            return rmt_fail_errno(error, "set attribute %s", xattr->name);
    }
    return 0;
}

static int
s_remove_others(const rmt_inode_t *inode, const rmt_entry_t *entry, rmt_error_t *error)
{
    rmt_auto(rmt_meta) have = rmt_meta_new();
    rmt_entry_t found = {.mode = entry->mode};
    if (s_read_xattrs(have, inode, &found, error) == -1)
        return -1;
    for (size_t i = 0, j = 0; i < found.xattr_count; i++) {
        const char *name = found.xattrs[i].name;
        while (j < entry->xattr_count && strcmp(entry->xattrs[j].name, name) < 0)
            j++;
        if (j < entry->xattr_count && strcmp(entry->xattrs[j].name, name) == 0)
            continue;
        if (rmt_inode_remove(inode, name) == -1)
            return rmt_fail_errno(error, "remove attribute %s", name);
    }
    return 0;
}

static int
s_apply_time(const rmt_inode_t *inode, const rmt_entry_t *entry, rmt_error_t *error)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                      {entry->mtime_s, entry->mtime_ns}};
    const int result = inode->is_open ? futimens(inode->fd, times)
                                      : utimensat(inode->fd, "", times, AT_EMPTY_PATH);
    if (result == -1)
        return rmt_fail_errno(error, "set time %lld", (long long) entry->mtime_s);
    // A time that the file system cannot hold is cut to one that it can.
    struct stat status;
    if (fstat(inode->fd, &status) == -1)
        return rmt_fail_errno(error, "look at the time");
    if (status.st_mtim.tv_sec != entry->mtime_s ||
        status.st_mtim.tv_nsec != (long) entry->mtime_ns)
        return rmt_fail(error, RMT_E_IO, "time %lld.%09u became %lld.%09ld",
                        (long long) entry->mtime_s, entry->mtime_ns,
                        (long long) status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
    return 0;
}

static int
s_apply_project(int fd, const rmt_entry_t *entry, rmt_error_t *error)
{
    struct fsxattr extended = {0};
    if (ioctl(fd, FS_IOC_FSGETXATTR, &extended) == -1) {
        if (!entry->project && s_is_unsupported())
            return 0;
        return rmt_fail_errno(error, "read project");
    }
    if (extended.fsx_projid == entry->project)
        return 0;
    extended.fsx_projid = entry->project;
    if (ioctl(fd, FS_IOC_FSSETXATTR, &extended) == -1)
        return rmt_fail_errno(error, "set project %u", entry->project);
    return 0;
}

static bool
s_has_hints(const rmt_entry_t *entry, const struct fsxattr *extended)
{
    rmt_entry_t have = {0};
    s_take_extended(&have, extended);
    return have.hints == entry->hints && have.extent_size == entry->extent_size &&
           have.cow_extent_size == entry->cow_extent_size;
}

static int
s_apply_hints(int fd, const rmt_entry_t *entry, rmt_error_t *error)
{
    struct fsxattr extended = {0};
    if (ioctl(fd, FS_IOC_FSGETXATTR, &extended) == -1) {
        if (!entry->hints && s_is_unsupported())
            return 0;
        return rmt_fail_errno(error, "read allocation hints");
    }
    if (s_has_hints(entry, &extended))
        return 0;
    extended.fsx_xflags = (extended.fsx_xflags & ~RMT_META_HINTS) | entry->hints;
    extended.fsx_extsize = entry->extent_size;
    extended.fsx_cowextsize = entry->cow_extent_size;
    if (ioctl(fd, FS_IOC_FSSETXATTR, &extended) == -1)
        return rmt_fail_errno(error, "set allocation hints %#x of %u and %u bytes",
                              entry->hints, entry->extent_size, entry->cow_extent_size);
    // Some file systems take the call and drop what they do not know.
    if (ioctl(fd, FS_IOC_FSGETXATTR, &extended) == -1 || !s_has_hints(entry, &extended))
        return rmt_fail(error, RMT_E_IO,
                        "allocation hints %#x of %u and %u bytes are lost", entry->hints,
                        entry->extent_size, entry->cow_extent_size);
    return 0;
}

// Bring the flags within mask to those of the entry; the file system's own stay.
static int
s_apply_flags(int fd, const rmt_entry_t *entry, uint32_t mask, rmt_error_t *error)
{
    uint32_t flags = 0;
    if (s_read_flags(fd, &flags, error) == -1)
        return -1;
    char asked[RMT_KERNEL_WORDS_SIZE], have[RMT_KERNEL_WORDS_SIZE];
    uint32_t wanted = (flags & ~mask) | (entry->flags & mask);
    if (wanted != flags && ioctl(fd, FS_IOC_SETFLAGS, &wanted) == -1)
        return rmt_fail_errno(error, "set inode flags %s",
                              rmt_kernel_words_flags(entry->flags & mask, asked));
    // Some file systems take the call and drop what they do not know.
    if (s_read_flags(fd, &flags, error) == -1)
        return -1;
    if ((flags ^ entry->flags) & mask)
        return rmt_fail(error, RMT_E_IO, "inode flags %s became %s",
                        rmt_kernel_words_flags(entry->flags & mask, asked),
                        rmt_kernel_words_flags(flags & mask, have));
    return 0;
}

static int
s_wrap(int fd, rmt_error_t *error)
{
    char name[RMT_KERNEL_WORDS_SIZE];
    return rmt_wrap(error, "on %s", rmt_kernel_words_fs(fd, name));
}

int
rmt_meta_apply_early(int fd, const rmt_entry_t *entry, rmt_error_t *error)
{
    if (s_apply_flags(fd, entry, RMT_META_EARLY_FLAGS, error) == -1)
        return s_wrap(fd, error);
    // Folders hand theirs down, so they get them last.
    if (S_ISREG(entry->mode) && s_apply_hints(fd, entry, error) == -1)
        return s_wrap(fd, error);
    return 0;
}

static int
s_apply(int fd, const rmt_entry_t *entry, unsigned options, rmt_error_t *error)
{
    const rmt_inode_t inode = rmt_inode(fd, entry->mode);
    if (!(options & RMT_META_ONLY_FLAGS)) {
        if (!(options & RMT_META_KEEP_OWNER) && s_apply_owner(&inode, entry, error) == -1)
            return -1;
        if ((options & RMT_META_EXACT) && s_remove_others(&inode, entry, error) == -1)
            return -1;
        if (!(options & RMT_META_KEEP_MODE) && s_apply_mode(&inode, entry, error) == -1)
            return -1;
        if (s_apply_xattrs(&inode, entry, false, error) == -1 ||
            s_apply_xattrs(&inode, entry, true, error) == -1 ||
            s_apply_time(&inode, entry, error) == -1)
            return -1;
        const bool has_project = entry->project || options & RMT_META_EXACT;
        if (inode.is_open && has_project && s_apply_project(fd, entry, error) == -1)
            return -1;
        const bool has_hints = entry->hints || options & RMT_META_EXACT;
        if (S_ISDIR(entry->mode) && has_hints && s_apply_hints(fd, entry, error) == -1)
            return -1;
    }
    uint32_t mask = RMT_META_FLAGS;
    if (options & RMT_META_UNLOCKED)
        mask &= ~RMT_META_LOCK_FLAGS;
    const bool has_flags = entry->flags & mask || options & RMT_META_EXACT;
    return inode.is_open && has_flags ? s_apply_flags(fd, entry, mask, error) : 0;
}

int
rmt_meta_apply(int fd, const rmt_entry_t *entry, unsigned options, rmt_error_t *error)
{
    return s_apply(fd, entry, options, error) == -1 ? s_wrap(fd, error) : 0;
}

int
rmt_meta_unlock(int fd, uint32_t *before_out, rmt_error_t *error)
{
    uint32_t flags = 0;
    if (s_read_flags(fd, &flags, error) == -1)
        return -1;
    *before_out = flags;
    uint32_t wanted = flags & ~(RMT_META_LOCK_FLAGS | (uint32_t) FS_PROJINHERIT_FL);
    if (wanted != flags && ioctl(fd, FS_IOC_SETFLAGS, &wanted) == -1) {
        rmt_fail_errno(error, "take its lock flags away");
        return s_wrap(fd, error);
    }
    return 0;
}

// ---- Comparing

bool
rmt_meta_is_born_equal(const rmt_entry_t *a, const rmt_entry_t *b)
{
    return !((a->flags ^ b->flags) & RMT_META_EARLY_FLAGS) && a->hints == b->hints &&
           a->extent_size == b->extent_size && a->cow_extent_size == b->cow_extent_size;
}

static bool
s_are_equal(const rmt_xattr_t *a, const rmt_xattr_t *b)
{
    return strcmp(a->name, b->name) == 0 && a->value_size == b->value_size &&
           (!a->value_size || memcmp(a->value, b->value, a->value_size) == 0);
}

bool
rmt_meta_is_equal(const rmt_entry_t *a, const rmt_entry_t *b)
{
    bool same = a->mode == b->mode && a->uid == b->uid && a->gid == b->gid &&
                a->mtime_s == b->mtime_s && a->mtime_ns == b->mtime_ns &&
                a->rdev_major == b->rdev_major && a->rdev_minor == b->rdev_minor &&
                a->flags == b->flags && a->project == b->project &&
                rmt_meta_is_born_equal(a, b) && a->xattr_count == b->xattr_count;
    if (same && S_ISLNK(a->mode))
        same = strcmp(a->target, b->target) == 0;
    for (size_t i = 0; same && i < a->xattr_count; i++)
        same = s_are_equal(&a->xattrs[i], &b->xattrs[i]);
    return same;
}
