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
s_set_uuid(rmt_record_t *record, const char *field, const char *purpose, const char *name)
{
    rmt_auto_str text = rmt_text("ramet layout %s of %s", purpose, name);
    rmt_id_t id;
    rmt_id_compute(&id, text, strlen(text));
    uint8_t *b = id.bytes + 1;
    b[6] = (uint8_t) ((b[6] & 0x0f) | 0x80);
    b[8] = (uint8_t) ((b[8] & 0x3f) | 0x80);
    rmt_record_setf(
        record, field,
        "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
        b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
        b[14], b[15]);
}

rmt_records_t *
rmt_default_layout_new(const char *name, const char *uuid)
{
    rmt_records_t *records = rmt_records_new();
    rmt_record_t *disk = rmt_records_add(records);
    rmt_record_set(disk, "class", "disk");
    rmt_record_set(disk, "role", RMT_HARDWARE_ROLE);
    rmt_record_set(disk, "table", "gpt");
    rmt_record_set_u64(disk, "logical-sector", SECTOR);
    rmt_record_set(disk, "grow", "yes");
    s_set_uuid(disk, "guid", "disk", name);
    rmt_record_t *partition = rmt_records_add(records);
    rmt_record_set(partition, "class", "partition");
    rmt_record_set(partition, "disk", RMT_HARDWARE_ROLE);
    rmt_record_set(partition, "number", "1");
    rmt_record_set_u64(partition, "start", START);
    rmt_record_set(partition, "type", TYPE_LINUX);
    rmt_record_set(partition, "name", "root");
    s_set_uuid(partition, "guid", "partition", name);
    rmt_record_t *volume = rmt_records_add(records);
    rmt_record_set(volume, "class", "volume");
    rmt_record_set(volume, "disk", RMT_HARDWARE_ROLE);
    rmt_record_set(volume, "partition", "1");
    rmt_record_set(volume, "fs", "ext4");
    rmt_record_set(volume, "features", EXT4_FEATURES);
    rmt_record_set_u64(volume, "block-size", BLOCK);
    rmt_record_set(volume, "inode-size", "256");
    rmt_record_set(volume, "mount", "/");
    if (uuid)
        rmt_record_set(volume, "uuid", uuid);
    else
        s_set_uuid(volume, "uuid", "root", name);
    return records;
}

// Blocks, not bytes, fill a disk: each file is counted with half a block and its inode.
// The density of inodes is that of mke2fs, or what the tree needs.
void
rmt_default_layout_settle(rmt_records_t *records)
{
    rmt_record_t *disk = rmt_records_find(records, "class", "disk");
    rmt_record_t *partition = rmt_records_find(records, "class", "partition");
    rmt_record_t *volume = rmt_records_find(records, "class", "volume");
    const uint64_t files = rmt_record_u64(volume, "files", 0);
    const uint64_t tree = rmt_record_u64(volume, "bytes-tree", 0) +
                          rmt_record_u64(volume, "bytes-reserved", 0) +
                          files * (BLOCK / 2 + 256);
    const uint64_t bytes = (tree + tree * 3 / 10 + 256 * MIB + MIB - 1) / MIB * MIB;
    const uint64_t usual = bytes / 16384;
    const uint64_t wanted = files + files / 8 + 1024;
    rmt_record_set_u64(volume, "bytes", bytes);
    rmt_record_set_u64(volume, "inodes", usual > wanted ? usual : wanted);
    rmt_record_set_u64(volume, "inodes-used", files);
    rmt_record_set_u64(partition, "size", bytes / SECTOR);
    // One MiB before and one behind: the second table stands at the end.
    rmt_record_set_u64(disk, "bytes", bytes + 2 * MIB);
}
