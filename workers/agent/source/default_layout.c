#include "agent/source/default_layout.h"
#include "agent/hardware.h"
#include "base/rmt_auto.h"
#include "crypto/rmt_id.h"
#include "base/rmt_io.h"

#include <stdio.h>
#include <string.h>

#define SECTOR ((uint64_t) 512)
#define MIB ((uint64_t) 1024 * 1024)
#define START (MIB / SECTOR)
#define BLOCK ((uint64_t) 4096)
#define TYPE_LINUX "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
#define EXT4_FEATURES                                                                    \
    "has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,"         \
    "sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum"

// A UUID of version 8 (made from a digest) for a purpose.
static void
s_make_uuid(char out[RMT_LAYOUT_GUID_SIZE], const char *purpose, const char *name)
{
    rmt_auto_str text = rmt_text("ramet layout %s of %s", purpose, name);
    rmt_id_t id;
    rmt_id_compute(&id, text, strlen(text));
    uint8_t *b = id.bytes + 1;
    b[6] = (uint8_t) ((b[6] & 0x0f) | 0x80);
    b[8] = (uint8_t) ((b[8] & 0x3f) | 0x80);
    snprintf(out, RMT_LAYOUT_GUID_SIZE,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
             b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
             b[13], b[14], b[15]);
}

static void
s_add_root(rmt_layout_t *layout, const char *name, const char *uuid)
{
    char made[RMT_LAYOUT_GUID_SIZE];
    rmt_layout_volume_t *volume = rmt_layout_add_volume(layout, 0);
    volume->partition = 1;
    volume->fs = RMT_FS_EXT4;
    volume->mount = rmt_text("/");
    s_make_uuid(made, "root", name);
    rmt_record_set(volume->format, "fs", "ext4");
    rmt_record_set(volume->format, "features", EXT4_FEATURES);
    rmt_record_set_u64(volume->format, "block-size", BLOCK);
    rmt_record_set(volume->format, "inode-size", "256");
    rmt_record_set(volume->format, "uuid", uuid ? uuid : made);
}

rmt_layout_t *
rmt_default_layout_new(const char *name, const char *uuid)
{
    rmt_layout_t *layout = rmt_layout_new();
    rmt_layout_disk_t *disk = rmt_layout_add_disk(layout, RMT_HARDWARE_ROLE);
    disk->table = RMT_TABLE_GPT;
    disk->grow = true;
    s_make_uuid(disk->guid, "disk", name);
    rmt_layout_partition_t *partition = rmt_layout_add_partition(layout, 0);
    partition->number = 1;
    partition->start = START;
    partition->name = rmt_text("root");
    strcpy(partition->type, TYPE_LINUX);
    s_make_uuid(partition->guid, "partition", name);
    s_add_root(layout, name, uuid);
    return layout;
}

// Blocks, not bytes, fill a disk: each file is counted with half a block and its inode.
// The density of inodes is that of mke2fs, or what the tree needs.
void
rmt_default_layout_settle(rmt_layout_t *layout)
{
    rmt_layout_volume_t *volume = &layout->volumes[0];
    const uint64_t files = volume->files;
    const uint64_t tree =
        volume->bytes_tree + volume->bytes_reserved + files * (BLOCK / 2 + 256);
    const uint64_t bytes = (tree + tree * 3 / 10 + 256 * MIB + MIB - 1) / MIB * MIB;
    const uint64_t usual = bytes / 16384;
    const uint64_t wanted = files + files / 8 + 1024;
    rmt_record_set_u64(volume->format, "bytes", bytes);
    rmt_record_set_u64(volume->format, "inodes", usual > wanted ? usual : wanted);
    rmt_record_set_u64(volume->format, "inodes-used", files);
    layout->partitions[0].size = bytes / SECTOR;
    // One MiB before and one behind: the second table stands at the end.
    layout->disks[0].bytes = bytes + 2 * MIB;
}
