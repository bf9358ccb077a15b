// rmt_meta - the attributes of one inode: read into an entry, and applied from one.
//
// Inodes are named by descriptors only. Regular files and folders are open for
// reading or writing; all other kinds, which must not be opened, are O_PATH descriptors
// and are reached through /proc/self/fd where the kernel has no call of its own, so
// /proc must be mounted. Applying needs the rights of root.
#pragma once

#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include "base/rmt_error.h"
#include "store/rmt_manifest.h"

// The inode flags that an image carries.
#define RMT_META_FLAGS                                                                   \
    ((uint32_t) (FS_SECRM_FL | FS_UNRM_FL | FS_COMPR_FL | FS_SYNC_FL | FS_IMMUTABLE_FL | \
                 FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL | FS_NOCOMP_FL |            \
                 FS_JOURNAL_DATA_FL | FS_NOTAIL_FL | FS_DIRSYNC_FL | FS_TOPDIR_FL |      \
                 FS_NOCOW_FL | FS_DAX_FL | FS_PROJINHERIT_FL | FS_CASEFOLD_FL))
// And the hints that XFS keeps about allocation.
#define RMT_META_HINTS                                                                   \
    ((uint32_t) (FS_XFLAG_EXTSIZE | FS_XFLAG_EXTSZINHERIT | FS_XFLAG_COWEXTSIZE |        \
                 FS_XFLAG_NODEFRAG | FS_XFLAG_FILESTREAM | FS_XFLAG_NOSYMLINKS))
// Of the flags, the ones that only work while an inode is empty; children inherit them.
#define RMT_META_EARLY_FLAGS                                                             \
    ((uint32_t) (FS_NOCOW_FL | FS_COMPR_FL | FS_NOCOMP_FL | FS_CASEFOLD_FL))
// And the flags that forbid every later change, even an added link.
#define RMT_META_LOCK_FLAGS ((uint32_t) (FS_IMMUTABLE_FL | FS_APPEND_FL))

// Memory of the variable parts of one entry; an object of one thread at a time.
typedef struct rmt_meta rmt_meta_t;

rmt_meta_t *rmt_meta_new(void);
void rmt_meta_destroy(rmt_meta_t **self_p);

// The parts of an entry that a status holds: mode, owner, mtime, size, device number.
void rmt_meta_from_status(rmt_entry_t *entry, const struct stat *status);
// Read target, flags, project, hints and extended attributes of the inode at fd into the
// entry, whose mode is set. They live in self until its next read. Left out are an EVM
// HMAC, which is made with a key of this machine and so is wrong on every other, and what
// XFS shows of ACLs a second time (trusted.SGI_ACL_*). 0, or -1: IO, TOO_BIG, UNSUPPORTED
// for what is encrypted (fscrypt) or sealed (fs-verity).
int rmt_meta_read(rmt_meta_t *self, int fd, rmt_entry_t *entry, rmt_error_t *error);

// All that entries of one type have beside contents and reserved space is equal; and of a
// file, what it only takes while it is empty (below).
bool rmt_meta_is_equal(const rmt_entry_t *a, const rmt_entry_t *b);
bool rmt_meta_is_born_equal(const rmt_entry_t *a, const rmt_entry_t *b);

// What rmt_meta_apply may leave out, or must do in addition.
#define RMT_META_KEEP_OWNER 1u  // Owner is right already
#define RMT_META_KEEP_MODE 2u   // And so are the permission bits
#define RMT_META_UNLOCKED 4u    // Leave RMT_META_LOCK_FLAGS for a later call
#define RMT_META_EXACT 8u       // Not a fresh inode: what the entry lacks is removed
#define RMT_META_ONLY_FLAGS 16u // Nothing but the inode flags

// Give the inode at fd the entry's attributes in the order that loses none: owner, mode,
// attributes with security.* last, mtime, project, inode flags. For fresh inodes whose
// folder hands nothing down. What the file system takes and then keeps otherwise, as
// times it cannot hold, is refused as well. 0, or -1: IO or NO_SPACE for every
// attribute that is refused, with its name and that of the file system.
int rmt_meta_apply(int fd, const rmt_entry_t *entry, unsigned options,
                   rmt_error_t *error);
// Set RMT_META_EARLY_FLAGS on an empty file or folder, and the hints of a file.
// 0, or -1: IO.
int rmt_meta_apply_early(int fd, const rmt_entry_t *entry, rmt_error_t *error);
// Take away the flags that forbid changes (RMT_META_LOCK_FLAGS), and of a folder that it
// hands its project down, so that inodes of other projects can be linked in it. 0, or -1:
// IO.
int rmt_meta_unlock(int fd, uint32_t *before_out, rmt_error_t *error);
