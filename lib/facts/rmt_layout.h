// rmt_layout - how disks are divided, and what lies in the parts, as a type.
//
// A layout comes from outside: from an image, a file, an order, a disk that was read. Its
// records (classes disk, partition, array, member, crypt, group, physical, logical,
// piece, volume; docs/spec/3-facts.md) are read once, at the door, by rmt_layout_read,
// and the owner of an rmt_layout_t knows that each field is what the page says, and that
// the parts fit each other (rmt_layout_check).
//
// Arrays belong to the layout; adding to one moves its items. Pure, a class of one
// thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"
#include "crypto/rmt_id.h"

#define RMT_LAYOUT_DISKS_MAX 64
#define RMT_LAYOUT_PARTITIONS_MAX 1024 // Of all disks
#define RMT_LAYOUT_VOLUMES_MAX 1024
#define RMT_LAYOUT_SWAPS_MAX 32 // What Linux uses at once
#define RMT_LAYOUT_GUID_SIZE 40 // With its NUL
#define RMT_LAYOUT_GROUPS_MAX 64
#define RMT_LAYOUT_PHYSICALS_MAX 64
#define RMT_LAYOUT_LOGICALS_MAX 100
#define RMT_LAYOUT_PIECES_MAX 1024
#define RMT_LAYOUT_ARRAYS_MAX 64
#define RMT_LAYOUT_MEMBERS_MAX 256
#define RMT_LAYOUT_CRYPTS_MAX 64
#define RMT_LAYOUT_LVM_SIZE 128 // A name or uuid of LVM with its NUL

typedef enum { RMT_TABLE_NONE, RMT_TABLE_GPT, RMT_TABLE_DOS } rmt_table_t;

typedef enum {
    RMT_FS_NONE, // Not formatted
    RMT_FS_EXT2,
    RMT_FS_EXT3,
    RMT_FS_EXT4,
    RMT_FS_XFS,
    RMT_FS_BTRFS,
    RMT_FS_VFAT,
    RMT_FS_SWAP,
    RMT_FS_RAW, // Blocks in use of what is not read
} rmt_fs_kind_t;

typedef struct {
    char role[RMT_RECORD_NAME_MAX + 1];
    rmt_table_t table;
    char guid[RMT_LAYOUT_GUID_SIZE]; // Of the table; "" for none
    uint64_t sector;                 // Bytes of a logical sector
    uint64_t bytes;                  // 0: not told, as with all below
    uint64_t required_bytes;         // Of a disk without partitions
    uint64_t entries, first_lba;     // GPT
    bool grow;                       // rmt_layout_growing gets the rest of the disk
} rmt_layout_disk_t;

typedef struct {
    size_t disk;     // Index of its disk
    uint64_t number; // From 1
    uint64_t start, size;
    uint64_t min_size;               // It may shrink to; 0: not told
    char type[RMT_LAYOUT_GUID_SIZE]; // GUID, or 2 hex digits
    char guid[RMT_LAYOUT_GUID_SIZE]; // "" for none
    char *name;                      // Owned; NULL for none
    uint64_t attrs;                  // GPT
    bool boot;                       // DOS
    bool at_end;                     // Moves with the end of a disk that grows
} rmt_layout_partition_t;

// An array of md (Linux software RAID), by the names of its superblock.
typedef struct {
    char uuid[RMT_LAYOUT_GUID_SIZE]; // 32 hexadecimal digits
    char *name;                      // Owned: "host:name"; NULL for none
    char *metadata;                  // Owned: 0.90, 1.0, 1.1 or 1.2
    uint64_t minor;                  // Of 0.90: the N of /dev/mdN
    uint64_t level, layout;
    uint64_t chunk; // Bytes; 0 for a mirror
    uint64_t slots; // Members that it has when it is whole
    uint64_t size;  // Bytes of each member that hold data; 0: each its own
} rmt_layout_array_t;

// A partition that is a member of an array.
typedef struct {
    size_t disk, array;
    uint64_t partition; // Number
    uint64_t slot;
    uint64_t data_start, data_size; // Bytes
} rmt_layout_member_t;

// A partition that LUKS encrypts: its volume, or its physical volume, lies inside; or a
// logical volume. Never a key.
typedef struct {
    size_t disk;
    uint64_t partition; // Number; 0: a logical volume
    char *logical;      // Owned: "group/name"; NULL: a partition
    uint64_t version;   // 1 or 2
    char uuid[RMT_LAYOUT_GUID_SIZE];
    char *name;          // Owned: below /dev/mapper on the source; NULL: not told
    char *label;         // Owned: of the header; NULL for none
    char *cipher;        // Owned: as cryptsetup takes it, such as aes-xts-plain64
    uint64_t key_bytes;  // Of the volume's key
    uint64_t sector;     // Bytes that are encrypted as one
    char *hash, *pbkdf;  // Owned: by which a passphrase becomes a key
    uint64_t data_start; // Bytes from the partition's start to the encrypted ones
} rmt_layout_crypt_t;

// A volume group of LVM.
typedef struct {
    char name[RMT_LAYOUT_LVM_SIZE], uuid[RMT_LAYOUT_LVM_SIZE];
    uint64_t extent_size; // Bytes
} rmt_layout_group_t;

// A physical volume of a group: a partition, a whole disk, or an array.
typedef struct {
    size_t disk, group;               // Of an array the disk of its first member
    uint64_t partition;               // Number; 0: a whole disk, or an array
    char array[RMT_LAYOUT_GUID_SIZE]; // Its uuid; "": no array
    char uuid[RMT_LAYOUT_LVM_SIZE];
    uint64_t bytes;      // Of a whole disk or an array
    uint64_t data_start; // Bytes from its start, or that of its encryption's data, to the
                         // first extent
    uint64_t extents;
} rmt_layout_physical_t;

// A logical volume. On a target it lies in one piece on one physical volume, unless it
// is spread (rmt_layout_is_spread).
typedef struct {
    size_t disk, group;
    uint64_t partition; // Of its physical volume, or of the one of its first piece
    char array[RMT_LAYOUT_GUID_SIZE]; // The same
    char name[RMT_LAYOUT_LVM_SIZE], uuid[RMT_LAYOUT_LVM_SIZE];
    uint64_t extents;
    uint64_t min_extents;           // It may shrink to; 0: not told
    bool grow;                      // Gets what its physical volume has more
    char raid[RMT_LAYOUT_LVM_SIZE]; // "": none, else LVM's word for the kind of RAID
    uint64_t region;                // Bytes of which such a one notes that they are equal
} rmt_layout_logical_t;

// A range of extents of a logical volume on one physical volume. A segment of the volume
// is one piece, or goes round several in chunks. Records are those of spread volumes.
typedef struct {
    size_t logical, disk;             // Indexes
    uint64_t partition, segment;      // Numbers; segments lie one behind the other
    char array[RMT_LAYOUT_GUID_SIZE]; // As its physical volume has it
    uint64_t extents;
    uint64_t chunk; // Bytes; 0: its segment is this piece alone, or a mirror
    // Of a leg of RAID: before its data are those about it, as another volume of LVM.
    uint64_t meta_extents;
    char uuid[RMT_LAYOUT_LVM_SIZE], meta_uuid[RMT_LAYOUT_LVM_SIZE];
    uint64_t first, meta_first; // Where it was read; no record
} rmt_layout_piece_t;

typedef struct {
    size_t disk;
    uint64_t partition; // Number; 0: the whole disk, or a logical volume
    char *logical;      // Owned: "group/name"; NULL: it lies on no logical volume
    char *array;        // Owned: uuid; NULL: it lies on no array. Its disk is a member's
    rmt_fs_kind_t fs;
    rmt_record_t *format; // Owned: how the file system is made, as rmt_fs_make takes it
    char *subvolume;      // Owned: path from the top of a btrfs; NULL: no subvolume
    uint64_t subvolume_id;
    bool is_default, is_read_only; // Of subvolumes
    char *mount;                   // Owned; NULL: not mounted
    bool has_root;
    rmt_id_t root; // Of its manifest
    uint64_t files, bytes_tree, bytes_reserved;
} rmt_layout_volume_t;

// A file that the system swaps to: it has no contents, and is made again at its place.
typedef struct {
    size_t disk;
    uint64_t partition;
    char *logical;   // Owned; NULL: its volume lies on no logical volume
    char *array;     // Owned; NULL: its volume lies on no array
    char *subvolume; // Owned; NULL: its volume is no subvolume
    char *path;      // Owned: from the top of its volume
    uint64_t bytes;
    uint64_t mode;
    char *uuid, *label; // Owned; NULL for none
} rmt_layout_swap_t;

typedef struct {
    uint64_t start, size; // Bytes
} rmt_layout_run_t;

typedef struct {
    rmt_layout_disk_t *disks;
    size_t disk_count;
    rmt_layout_partition_t *partitions;
    size_t partition_count;
    rmt_layout_array_t *arrays;
    size_t array_count;
    rmt_layout_member_t *members;
    size_t member_count;
    rmt_layout_crypt_t *crypts;
    size_t crypt_count;
    rmt_layout_group_t *groups;
    size_t group_count;
    rmt_layout_physical_t *physicals;
    size_t physical_count;
    rmt_layout_logical_t *logicals;
    size_t logical_count;
    rmt_layout_piece_t *pieces; // Those of one volume in their order
    size_t piece_count;
    rmt_layout_volume_t *volumes;
    size_t volume_count;
    rmt_layout_swap_t *swaps;
    size_t swap_count;
} rmt_layout_t;

rmt_layout_t *rmt_layout_new(void);
void rmt_layout_destroy(rmt_layout_t **self_p);
// A copy of one disk and its partitions, without the volumes. Caller owns the result.
rmt_layout_t *rmt_layout_select(const rmt_layout_t *self, size_t disk);
// Take the disk of such a layout, and its partitions, as one more disk.
void rmt_layout_join(rmt_layout_t *self, const rmt_layout_t *one);

// Add an empty item (a sector of 512 bytes, a format of class volume). It may be changed;
// rmt_layout_check is asked when all is in. The pointer is valid until the next one.
rmt_layout_disk_t *rmt_layout_add_disk(rmt_layout_t *self, const char *role);
rmt_layout_partition_t *rmt_layout_add_partition(rmt_layout_t *self, size_t disk);
rmt_layout_array_t *rmt_layout_add_array(rmt_layout_t *self, const char *uuid);
rmt_layout_member_t *rmt_layout_add_member(rmt_layout_t *self, size_t disk);
rmt_layout_crypt_t *rmt_layout_add_crypt(rmt_layout_t *self, size_t disk);
rmt_layout_group_t *rmt_layout_add_group(rmt_layout_t *self, const char *name);
rmt_layout_physical_t *rmt_layout_add_physical(rmt_layout_t *self, size_t disk);
rmt_layout_logical_t *rmt_layout_add_logical(rmt_layout_t *self, size_t disk);
// A piece of the logical volume at an index, which may be added after it.
rmt_layout_piece_t *rmt_layout_add_piece(rmt_layout_t *self, size_t logical);
rmt_layout_volume_t *rmt_layout_add_volume(rmt_layout_t *self, size_t disk);
// The same volume once more, without its tree: another subvolume of its file system.
rmt_layout_volume_t *rmt_layout_add_sibling(rmt_layout_t *self, size_t volume);

// Take a partition out; those behind it move in the array.
void rmt_layout_remove_partition(rmt_layout_t *self, size_t index);

// A swap file in a volume; its texts are set by the caller.
rmt_layout_swap_t *rmt_layout_add_swap(rmt_layout_t *self, size_t volume);

// ---- rmt_layout_fields.c: the door

// Read records whose part is layout, or who have none; those of other parts are skipped.
// Caller owns the result. NULL: USAGE (class, field, value, and what would be right),
// TOO_BIG.
rmt_layout_t *rmt_layout_read(const rmt_records_t *records, rmt_error_t *error);

// Take the format of a volume, and its kind of file system from that. 0, or -1: USAGE
// (no fs, or a field that no volume has); *format_p is nulled in either case.
int rmt_layout_set_format(rmt_layout_volume_t *volume, rmt_record_t **format_p,
                          rmt_error_t *error);

// ---- rmt_layout_write.c

// Append disks, partitions, volumes, swap files as records, in this order.
void rmt_layout_write(const rmt_layout_t *self, rmt_records_t *records);
// One volume as a record. Caller owns the result.
rmt_record_t *rmt_layout_write_volume(const rmt_layout_t *self,
                                      const rmt_layout_volume_t *volume);

// ---- rmt_layout_check.c

// Do the parts fit each other: roles and numbers that stand once, partitions inside their
// disk and outside each other, volumes on partitions that are there? 0, or -1: USAGE.
int rmt_layout_check(const rmt_layout_t *self, rmt_error_t *error);

// ---- rmt_layout_md.c: arrays and their members

#define RMT_LAYOUT_OFFSET ((uint64_t) 1 << 16) // Of layouts of level 10

rmt_layout_array_t *rmt_layout_find_array(const rmt_layout_t *self, const char *uuid);
// The member in a partition, or NULL.
rmt_layout_member_t *rmt_layout_find_member(const rmt_layout_t *self, size_t disk,
                                            uint64_t partition);
// The array on which a volume lies; NULL for none.
const rmt_layout_array_t *rmt_layout_array_of(const rmt_layout_t *self,
                                              const rmt_layout_volume_t *volume);
// Its uuid, or that of the one below the logical volume on which a volume lies; "" for
// none.
const char *rmt_layout_array_below(const rmt_layout_t *self,
                                   const rmt_layout_volume_t *volume);
// Members of each stripe without data: 0, 1 or 2.
unsigned rmt_layout_parity(const rmt_layout_array_t *array);

// The part of rmt_layout_check about them.
int rmt_layout_check_arrays(const rmt_layout_t *self, rmt_error_t *error);

// ---- rmt_layout_crypt.c: what LUKS encrypts

#define RMT_LAYOUT_CIPHER "aes-xts-plain64" // The one that is carried

// The encryption of the partition or logical volume in which a volume lies; NULL for
// none.
const rmt_layout_crypt_t *rmt_layout_crypt_of(const rmt_layout_t *self,
                                              const rmt_layout_volume_t *volume);
// That in which a physical volume lies; NULL for none.
const rmt_layout_crypt_t *rmt_layout_crypt_around(const rmt_layout_t *self,
                                                  const rmt_layout_physical_t *physical);
// Whether it is that of a volume, or one around a physical volume on which its logical
// one has a part: there may be several, and all must be open.
bool rmt_layout_is_in_crypt(const rmt_layout_t *self, const rmt_layout_volume_t *volume,
                            const rmt_layout_crypt_t *crypt);
// Bytes of a partition that its encryption does not leave to what lies in it; 0 without
// one.
uint64_t rmt_layout_crypt_bytes(const rmt_layout_t *self, size_t disk,
                                uint64_t partition);
// What is left to a volume of the bytes of its partition or logical volume.
uint64_t rmt_layout_crypt_rest(const rmt_layout_t *self,
                               const rmt_layout_volume_t *volume, uint64_t bytes);
// "partition 2", "logical volume group/name". Caller owns the result (free).
char *rmt_layout_crypt_words(const rmt_layout_crypt_t *crypt);

// The parts of rmt_layout_check about partitions, before their groups are checked, and
// about logical volumes.
int rmt_layout_check_crypts(const rmt_layout_t *self, rmt_error_t *error);
int rmt_layout_check_inner_crypts(const rmt_layout_t *self, rmt_error_t *error);

// ---- rmt_layout_lvm.c: groups and their volumes

bool rmt_layout_is_lvm_name(const char *text);
bool rmt_layout_is_lvm_uuid(const char *text);

rmt_layout_group_t *rmt_layout_find_group(const rmt_layout_t *self, const char *name);
// The physical volume on an array, or, where that is "", in a partition (0: on the whole
// disk); NULL for none.
rmt_layout_physical_t *rmt_layout_find_physical(const rmt_layout_t *self, size_t disk,
                                                uint64_t partition, const char *array);
// The logical volume "group/name", or NULL.
rmt_layout_logical_t *rmt_layout_find_logical(const rmt_layout_t *self, const char *path);
// That on which a volume lies; NULL for none.
const rmt_layout_logical_t *rmt_layout_logical_of(const rmt_layout_t *self,
                                                  const rmt_layout_volume_t *volume);
// "group/name". Caller owns the result (free).
char *rmt_layout_logical_path(const rmt_layout_t *self,
                              const rmt_layout_logical_t *logical);

// The node of a logical volume below /dev/mapper. Caller owns the result (free).
char *rmt_layout_lvm_node(const char *group, const char *name);

// Do two volumes lie on the same device, as subvolumes do?
bool rmt_layout_is_beside(const rmt_layout_volume_t *one, const rmt_layout_volume_t *two);

// Extents of a physical volume whose device has so many bytes.
uint64_t rmt_layout_extents(const rmt_layout_t *self,
                            const rmt_layout_physical_t *physical, uint64_t bytes);
// Where a logical volume lies on a target, in extents of its physical volume, whose
// device has so many bytes: one behind the other, as they are listed; the one that may
// grow gets the extents that the physical volume has more than the image's, or gives
// those that it has less, after those that are free. Returns how many it has.
uint64_t rmt_layout_place(const rmt_layout_t *self, const rmt_layout_logical_t *logical,
                          uint64_t bytes, uint64_t *first_out);
// Do its pieces lie on several physical volumes, in stripes, or are they legs of RAID?
// Then it has on a target the pieces that it has here, and neither grows nor shrinks.
bool rmt_layout_is_spread(const rmt_layout_t *self, const rmt_layout_logical_t *logical);
// First extent of a piece of such a volume on a target, likewise; of a leg of RAID that
// of the data about it, behind which it lies itself.
uint64_t rmt_layout_place_piece(const rmt_layout_t *self, const rmt_layout_piece_t *piece,
                                uint64_t bytes);
// So many extents of a physical volume, in bytes of its disk, its array, or the data of
// the encryption around it.
rmt_layout_run_t rmt_layout_run(const rmt_layout_t *self,
                                const rmt_layout_physical_t *physical, uint64_t first,
                                uint64_t extents);
// A number that no partition of its disk has, for the logical volume at an index.
uint32_t rmt_layout_free_number(const rmt_layout_t *self, size_t logical);
// Bytes that the device of a physical volume must have at least: of an encrypted
// partition the data.
uint64_t rmt_layout_physical_min_bytes(const rmt_layout_t *self,
                                       const rmt_layout_physical_t *physical);

// A kind of RAID of logical volumes.
typedef struct {
    const char *name;
    unsigned parity; // Legs of each stripe without data
    unsigned layout; // By md's number; of parity
    unsigned copies; // Of each chunk; 0: each leg has all
} rmt_layout_raid_t;
// NULL: one that ramet refuses.
const rmt_layout_raid_t *rmt_layout_find_raid(const char *name);
// Extents of a volume with so many legs of so many extents; 0: there is none.
uint64_t rmt_layout_raid_extents(const rmt_layout_raid_t *raid, uint64_t legs,
                                 uint64_t extents);

// The part of rmt_layout_check about them.
int rmt_layout_check_groups(const rmt_layout_t *self, rmt_error_t *error);

// ---- Questions

const char *rmt_fs_kind_name(rmt_fs_kind_t kind);

rmt_layout_disk_t *rmt_layout_find_disk(const rmt_layout_t *self, const char *role);
rmt_layout_partition_t *rmt_layout_find_partition(const rmt_layout_t *self, size_t disk,
                                                  uint64_t number);
// The partition of a volume; NULL for a whole disk, a logical volume, an array.
const rmt_layout_partition_t *rmt_layout_partition_of(const rmt_layout_t *self,
                                                      const rmt_layout_volume_t *volume);
// The volume of a swap file, or NULL.
const rmt_layout_volume_t *rmt_layout_volume_of(const rmt_layout_t *self,
                                                const rmt_layout_swap_t *swap);
// The partition of a disk with the highest end, no extended one; NULL for none.
rmt_layout_partition_t *rmt_layout_last(const rmt_layout_t *self, size_t disk);
// The one that follows the size of the disk, where that grows: the last that is not
// at-end; NULL for none.
rmt_layout_partition_t *rmt_layout_growing(const rmt_layout_t *self, size_t disk);
// How many of these sectors the growing partition takes. Those at the end that fill no
// 4096 bytes stay unused, because encryption may need that, unless the partition would
// become smaller than it is in the layout, or than its min_size.
uint64_t rmt_layout_grown(const rmt_layout_t *self,
                          const rmt_layout_partition_t *partition, uint64_t sectors);
// The volume that is mounted on /, or NULL.
const rmt_layout_volume_t *rmt_layout_root(const rmt_layout_t *self);

// What a target puts into /usr/lib/ramet for its first boot: the agent with its
// libraries.
#define RMT_LAYOUT_FIRST_BOOT ((uint64_t) 24 * 1024 * 1024)
// Those bytes for the volume on which that folder lies, 0 for all others.
uint64_t rmt_layout_first_boot(const rmt_layout_t *self,
                               const rmt_layout_volume_t *volume);

// First sector behind a partition.
uint64_t rmt_layout_end(const rmt_layout_partition_t *partition);
// A DOS partition that holds others and nothing of its own.
bool rmt_layout_is_extended(const rmt_layout_partition_t *partition);
// A partition that holds GRUB's core and nothing else (BIOS boot).
bool rmt_layout_is_bios_boot(const rmt_layout_partition_t *partition);
// Is something of it written through FUSE: an array, LUKS, a volume that is spread?
bool rmt_layout_needs_fuse(const rmt_layout_t *self);
// Partitions in which firmware finds a volume: its own, or each member of the mirror on
// which it lies, if its file system begins with the partition (metadata 0.90 and 1.0).
// They are borrowed. Returns how many there are.
size_t rmt_layout_firmware_partitions(
    const rmt_layout_t *self, const rmt_layout_volume_t *volume,
    const rmt_layout_partition_t *partitions[RMT_LAYOUT_MEMBERS_MAX]);
// Is one of these an EFI system partition?
bool rmt_layout_is_esp(const rmt_layout_t *self, const rmt_layout_volume_t *volume);
// Does a volume have files, as swap and unformatted ones do not?
bool rmt_layout_has_tree(const rmt_layout_volume_t *volume);

// Sectors that the copy of a table takes at the end of its disk.
uint64_t rmt_layout_tail(const rmt_layout_disk_t *disk);
// Bytes that a disk must have at least to take the layout of this one.
uint64_t rmt_layout_min_bytes(const rmt_layout_t *self, size_t disk);
