#include "tree/rmt_kernel_words.h"

#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#define FS_COUNT (sizeof s_fs / sizeof s_fs[0])
#define FLAG_COUNT (sizeof s_flags / sizeof s_flags[0])

static const struct {
    uint32_t magic;
    const char *name;
} s_fs[] = {
    {EXT4_SUPER_MAGIC, "ext4"},         {XFS_SUPER_MAGIC, "xfs"},
    {BTRFS_SUPER_MAGIC, "btrfs"},       {TMPFS_MAGIC, "tmpfs"},
    {MSDOS_SUPER_MAGIC, "vfat"},        {OVERLAYFS_SUPER_MAGIC, "overlay"},
    {F2FS_SUPER_MAGIC, "f2fs"},         {NFS_SUPER_MAGIC, "nfs"},
    {SQUASHFS_MAGIC, "squashfs"},       {RAMFS_MAGIC, "ramfs"},
    {REISERFS_SUPER_MAGIC, "reiserfs"}, {FUSE_SUPER_MAGIC, "fuse"},
};

static const struct {
    uint32_t flag;
    const char *name;
} s_flags[] = {
    {FS_SECRM_FL, "secure-deletion"},
    {FS_UNRM_FL, "undelete"},
    {FS_COMPR_FL, "compress"},
    {FS_SYNC_FL, "sync"},
    {FS_IMMUTABLE_FL, "immutable"},
    {FS_APPEND_FL, "append-only"},
    {FS_NODUMP_FL, "nodump"},
    {FS_NOATIME_FL, "noatime"},
    {FS_NOCOMP_FL, "nocompress"},
    {FS_JOURNAL_DATA_FL, "journal-data"},
    {FS_NOTAIL_FL, "notail"},
    {FS_DIRSYNC_FL, "dirsync"},
    {FS_TOPDIR_FL, "topdir"},
    {FS_NOCOW_FL, "nocow"},
    {FS_DAX_FL, "dax"},
    {FS_PROJINHERIT_FL, "project-inherit"},
    {FS_CASEFOLD_FL, "casefold"},
};

const char *
rmt_kernel_words_fs(int fd, char *text)
{
    struct statfs system;
    if (fstatfs(fd, &system) == -1) {
        snprintf(text, RMT_KERNEL_WORDS_SIZE, "an unknown file system");
        return text;
    }
    const uint32_t magic = (uint32_t) system.f_type;
    for (size_t i = 0; i < FS_COUNT; i++)
        if (s_fs[i].magic == magic) {
            snprintf(text, RMT_KERNEL_WORDS_SIZE, "%s", s_fs[i].name);
            return text;
        }
    snprintf(text, RMT_KERNEL_WORDS_SIZE, "file system %#x", magic);
    return text;
}

const char *
rmt_kernel_words_flags(uint32_t flags, char *text)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        if (!(flags & s_flags[i].flag))
            continue;
        flags &= ~s_flags[i].flag;
        used += (size_t) snprintf(text + used, RMT_KERNEL_WORDS_SIZE - used, "%s%s",
                                  used ? "," : "", s_flags[i].name);
    }
    if (flags)
        snprintf(text + used, RMT_KERNEL_WORDS_SIZE - used, "%s%#x", used ? "," : "",
                 flags);
    else if (!used)
        snprintf(text, RMT_KERNEL_WORDS_SIZE, "none");
    return text;
}
