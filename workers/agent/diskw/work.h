// work - the state of ramet-diskw while it writes the disks of one machine: the disks,
// the volumes on them, and what was made this machine's own.
//
// A class of one thread. Destroying it at any point unmounts and detaches everything.
#pragma once

#include "agent/disk_tools/pipe.h"
#include "agent/disk_tools/scratch.h"
#include "disk/rmt_blockdev.h"
#include "disk/rmt_crypt.h"
#include "disk/rmt_fuse_disk.h"
#include "disk/rmt_mapping.h"
#include "base/rmt_error.h"
#include "base/rmt_record.h"
#include "facts/rmt_layout.h"

typedef struct {
    const rmt_layout_disk_t *ordered; // Of work's layout
    rmt_blockdev_t *device;
    int lock;             // Held against other writers
    char *words;          // For people
    rmt_layout_t *layout; // Of this disk, as written
} rmt_work_disk_t;

// An array of md over the ordered disks, or a logical volume in pieces, shown as a
// device.
typedef struct {
    rmt_mapping_t *mapping;
    rmt_fuse_blocks_t blocks;
    rmt_fuse_disk_t *disk;
} rmt_work_shown_t;

// An encrypted partition or logical volume, shown as what lies in it.
typedef struct {
    int fd; // Of the logical volume; -1: none
    rmt_crypt_t *crypt;
    rmt_fuse_blocks_t blocks;
    rmt_fuse_disk_t *disk;
} rmt_work_crypt_t;

typedef struct {
    const rmt_layout_volume_t *ordered; // Of work's layout
    char *device;
    char *folder; // Where it is mounted, or where a FAT volume's files wait
    bool mounted;
    bool written, verified;
    bool has_trusted; // Attributes trusted.* were set in it
} rmt_work_volume_t;

typedef struct {
    rmt_pipe_t *pipe; // Borrowed
    int signals;      // Borrowed
    rmt_scratch_t *scratch;
    rmt_layout_t *layout; // As ordered
    rmt_work_disk_t disks[RMT_LAYOUT_DISKS_MAX];
    size_t disk_count;
    rmt_work_shown_t arrays[RMT_LAYOUT_ARRAYS_MAX];     // As in the layout
    rmt_work_shown_t logicals[RMT_LAYOUT_LOGICALS_MAX]; // As in the layout, where spread
    rmt_work_crypt_t crypts[RMT_LAYOUT_CRYPTS_MAX];     // As in the layout
    char *passphrase;          // Of its encrypted partitions; NULL for none
    const rmt_work_disk_t *at; // Of the step that goes on; NULL: of none
    rmt_work_volume_t volumes[RMT_LAYOUT_VOLUMES_MAX];
    size_t volume_count;
    size_t joined;        // Volumes that are bound into the whole tree
    rmt_records_t *boot;  // Boot code and entries of firmware, written last
    rmt_records_t *files; // For the first boot
    rmt_records_t *own;   // Paths that are this machine's own
    rmt_records_t *made;  // Mount points that the image lacks, {path, what}
    rmt_record_t *report; // Added to the last answer
    bool is_machine;      // Its disks are devices, not files that stand for them
    uint64_t total;       // Bytes of all trees
    uint64_t done;
    uint64_t file_count, byte_count, verified_count;
    int64_t told_ms;   // When progress was last sent
    const char *phase; // That progress was last told of
} rmt_work_t;

rmt_work_t *rmt_work_new(rmt_pipe_t *pipe, int signals);
void rmt_work_destroy(rmt_work_t **self_p);

// FAT volumes are never mounted: their files wait in a folder.
static inline bool
rmt_work_is_vfat(const rmt_work_volume_t *volume)
{
    return volume->ordered->fs == RMT_FS_VFAT;
}

// Raw ones have no files: their blocks are written to the device.
static inline bool
rmt_work_is_raw(const rmt_work_volume_t *volume)
{
    return volume->ordered->fs == RMT_FS_RAW;
}

// Where a volume is mounted, for people; "" for nowhere.
const char *rmt_work_mount_point(const rmt_work_volume_t *volume);

// The target's disk for the layout's disk at an index, or NULL.
rmt_work_disk_t *rmt_work_disk_of(rmt_work_t *self, size_t disk);

// Put the words of the disk before those of an error that it gave; others stay as they
// are. Returns -1.
int rmt_work_name_disk(const rmt_work_t *self, rmt_error_t *error);

// Take the whole tree that rmt_work_join made apart; nothing when there is none.
void rmt_work_part(rmt_work_t *self);

// Tell where the work is: at most four times a second, but always at the start of a
// phase (done 0) and its end. 0, or -1: IO (the agent has ended).
int rmt_work_progress(rmt_work_t *self, const char *phase, uint64_t done, uint64_t total,
                      rmt_error_t *error);

// True when a signal asks for the end, or the other half is gone. Cheap.
bool rmt_work_is_over(rmt_work_t *self);

// ---- disks.c: from an order to empty file systems

// Open the disks that the order names, hold identity and size against what was opened,
// wipe them, write their tables, make their file systems. 0, or -1: INCOMPATIBLE,
// REFUSED, NO_SPACE, IO and what the libraries say.
int rmt_work_format(rmt_work_t *self, const rmt_records_t *order, rmt_error_t *error);

// ---- arrays.c: arrays of md over the disks

// The tables are written: write the superblocks of all members, and show the arrays as
// devices. 0, or -1: USAGE (a role without a disk), NO_SPACE, UNSUPPORTED (no FUSE), IO.
int rmt_work_make_arrays(rmt_work_t *self, rmt_error_t *error);
// Show a mapping, which is taken, as a device, under a name for its folder. 0, or -1:
// UNSUPPORTED (no FUSE), IO.
int rmt_work_show(rmt_work_t *self, rmt_work_shown_t *shown, const char *name,
                  rmt_mapping_t **mapping_p, uint32_t sector, rmt_error_t *error);
// What the kernel still holds of all that is shown goes to the disks. 0, or -1: IO.
int rmt_work_flush_shown(rmt_work_t *self, rmt_error_t *error);
void rmt_work_close_shown(rmt_work_t *self);

// ---- logicals.c: groups of LVM

// The tables are written: write the heads of all physical volumes. 0, or -1: USAGE (a
// role without a disk), TOO_BIG, IO.
int rmt_work_write_groups(rmt_work_t *self, rmt_error_t *error);
// The device of a logical volume, on which nothing of an older layout is left. Caller
// owns the result (free). NULL: UNSUPPORTED, IO.
char *rmt_work_device_of_logical(rmt_work_t *self, const rmt_layout_logical_t *logical,
                                 rmt_error_t *error);

// ---- crypts.c: partitions that LUKS encrypts

// Take the passphrase of an order's record {class=secret, passphrase}. 0, or -1: CONFIG.
int rmt_work_take_secret(rmt_work_t *self, const rmt_record_t *secret,
                         rmt_error_t *error);
// The tables are written: make the headers of partitions with new keys, and show what
// lies in them as devices. 0, or -1: USAGE (a role without a disk, no passphrase),
// UNSUPPORTED (no FUSE, no cryptsetup), IO.
int rmt_work_make_crypts(rmt_work_t *self, rmt_error_t *error);
// The same for logical volumes, when the groups are written. The passphrase is forgotten.
int rmt_work_make_inner_crypts(rmt_work_t *self, rmt_error_t *error);
// What the kernel still holds of those of logical volumes (is_inner), or of partitions,
// goes to what is below them. 0, or -1: IO.
int rmt_work_flush_crypts(rmt_work_t *self, bool is_inner, rmt_error_t *error);
void rmt_work_close_crypts(rmt_work_t *self, bool is_inner);

// ---- volumes.c: trees on them

// The volume that a record of its {disk, partition, subvolume} means. NULL: USAGE.
rmt_work_volume_t *rmt_work_find(rmt_work_t *self, const rmt_record_t *record,
                                 rmt_error_t *error);
int rmt_work_mount(rmt_work_t *self, rmt_work_volume_t *volume, bool read_only,
                   rmt_error_t *error);
int rmt_work_unmount(rmt_work_t *self, rmt_work_volume_t *volume, rmt_error_t *error);
// Take a volume's entries and data from the pipe until it ends.
int rmt_work_unpack(rmt_work_t *self, rmt_work_volume_t *volume, rmt_error_t *error);
// Everything mounted in one tree, as the installed system will see it: a mount point may
// lead over symlinks of the tree, and is made where it is missing. Returns a descriptor
// that the caller closes, or -1: IO, REFUSED (a mount point that is no folder).
int rmt_work_join(rmt_work_t *self, rmt_error_t *error);

// ---- swap.c: swap files, which an image names without contents

// Make those of a volume that is mounted at root and was unpacked. 0, or -1: NO_SPACE,
// REFUSED (a symlink in a path), IO.
int rmt_work_make_swaps(rmt_work_t *self, const rmt_work_volume_t *volume, int root,
                        rmt_error_t *error);
// Label them when the volumes are joined at root. 0, or -1: IO.
int rmt_work_label_swaps(const rmt_work_t *self, int root, rmt_error_t *error);
// Does a path of the volume differ from the image because of a swap file? what: the kind
// of difference.
bool rmt_work_is_swap(const rmt_work_t *self, const rmt_work_volume_t *volume,
                      const char *path, const char *what);

// ---- subvolumes.c: of btrfs; volumes of one device are its subvolumes

// Make those that lie directly in one that was unpacked. 0, or -1: IO.
int rmt_work_make_subvolumes(rmt_work_t *self, const rmt_work_volume_t *volume,
                             rmt_error_t *error);
// Nothing more is written to it: make it read-only if the image's is. 0, or -1: IO.
int rmt_work_close_subvolume(const rmt_work_volume_t *volume, rmt_error_t *error);
// Is a mounted one what the record says? 0, or -1: CORRUPT, IO.
int rmt_work_check_subvolume(const rmt_work_volume_t *volume, rmt_error_t *error);

// ---- personal.c: what makes it a computer of its own

// Take one file for the first boot; its contents follow in the pipe.
int rmt_work_take_file(rmt_work_t *self, const rmt_record_t *file, rmt_error_t *error);
// personal: class=target, class=script, class=command {command}.
int rmt_work_configure(rmt_work_t *self, const rmt_records_t *personal,
                       rmt_error_t *error);
// The same for the volumes that the root does not mount (others.c); target: its record of
// class target. 0, or -1.
int rmt_work_configure_others(rmt_work_t *self, const rmt_record_t *target,
                              rmt_error_t *error);
// Path of the whole system for one of a volume, without a leading slash; of one that the
// root does not mount "//NUMBER/PATH". Caller owns the result (free).
char *rmt_work_whole_path(const rmt_work_t *self, const rmt_work_volume_t *volume,
                          const char *path);
// True when a difference at this path of the whole system is our own doing.
bool rmt_work_is_own(const rmt_work_t *self, const char *path, const char *what);

// ---- verify.c

// Write everything out, forget the caches, and mount read-only.
int rmt_work_settle(rmt_work_t *self, rmt_error_t *error);
// Compare a volume with the manifest that comes over the pipe. -1: CORRUPT names the
// first differences.
int rmt_work_verify(rmt_work_t *self, rmt_work_volume_t *volume, rmt_error_t *error);

// ---- boot.c

// Plan mounts that are told by numbers which are others on a copy; appended to the
// actions.
int rmt_work_plan_mounts(const rmt_work_t *self, int root, rmt_records_t *actions,
                         rmt_error_t *error);
// Plan a mount of /var that systemd makes on the source by the GUID of its partition
// (discovered.c). 0, or -1: what rmt_rooted_load says.
int rmt_work_plan_discovered(const rmt_work_t *self, int root, rmt_records_t *actions,
                             rmt_error_t *error);
// Give a FAT volume that is an EFI system partition its fallback loader, before it is
// written. 0, or -1: UNSUPPORTED, NO_SPACE, IO.
int rmt_work_complete_esp(rmt_work_t *self, const rmt_work_volume_t *volume,
                          rmt_error_t *error);
// Is there a place for all boot code? 0, or -1: REFUSED (a piece that lies where no boot
// code may be), USAGE.
int rmt_work_check_boot(const rmt_work_t *self, rmt_error_t *error);
// Write the boot code of all disks and read it back. 0, or -1: CORRUPT, IO.
int rmt_work_write_boot(rmt_work_t *self, rmt_error_t *error);

// ---- nvram.c

// Have the firmware of this machine start the disk: the entries of the image, else one of
// its loader. `boot-entry` of the report names the first. A disk with a fallback starts
// without one as well, so a refusal is a field `warning` there; so is one of the next
// start. 0, or -1: what rmt_nvram_set says, where the disk has no fallback.
int rmt_work_enter_firmware(rmt_work_t *self, rmt_error_t *error);

// ---- finish.c

// Every volume was verified: write FAT volumes and boot code, read them back, close
// the disks. 0, or -1: REFUSED (something was not verified), CORRUPT, IO.
int rmt_work_finish(rmt_work_t *self, rmt_error_t *error);
