// rmt_md - the superblock of a member of an array of md (Linux software RAID).
//
// The formats are those of the kernel's md_p.h: 0.90 at the end of a member, little
// endian; 1.0 at its end, 1.1 at its start, 1.2 at 4 KiB. They are read and written
// without mdadm and without the kernel's driver (docs/decisions.md, 35).
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_error.h"

#define RMT_MD_NAME_SIZE 33 // With its NUL
#define RMT_MD_UUID_SIZE 36 // As text
#define RMT_MD_MEMBERS_MAX 64
#define RMT_MD_SLOT_SPARE 0xffff
#define RMT_MD_SLOT_FAULTY 0xfffe
#define RMT_MD_LEVEL_LINEAR (-1)
#define RMT_MD_IN_SYNC UINT64_MAX

typedef enum { RMT_MD_0_90, RMT_MD_1_0, RMT_MD_1_1, RMT_MD_1_2 } rmt_md_version_t;

typedef struct {
    rmt_md_version_t version;
    uint8_t uuid[16];            // In the order in which mdadm shows it
    char name[RMT_MD_NAME_SIZE]; // "host:name"; "" in 0.90
    uint32_t minor;              // 0.90: of /dev/mdN, as it is wished
    int32_t level;               // linear is RMT_MD_LEVEL_LINEAR
    uint32_t layout;             // Of level 0: 0 not told, 1 or 2 (rmt_array)
    uint64_t chunk;              // Bytes; 0 for a mirror
    uint32_t count;              // Slots
    uint64_t size;               // Bytes of each member that hold data; 0: each its own
    uint64_t created;            // Seconds
    uint64_t updated;            // Seconds
    uint64_t events;             // How often a superblock was written
    uint64_t sync;               // Bytes of a member that are in sync, or RMT_MD_IN_SYNC
    bool has_bitmap;             // Of what was written lately
} rmt_md_array_t;

typedef struct {
    rmt_md_array_t array;
    uint32_t number; // In the table of devices
    uint32_t slot;   // In the array, or RMT_MD_SLOT_SPARE, RMT_MD_SLOT_FAULTY
    bool is_partial; // It was being filled when it was written
    uint64_t data_start, data_size;     // Bytes
    uint8_t uuid[16];                   // Of the member; zeros in 0.90
    uint16_t slots[RMT_MD_MEMBERS_MAX]; // Of the devices by number, as this member knows
} rmt_md_t;

// Read the superblock of a member that begins at an offset of fd and has so many bytes.
// Of several that are there the one of the array that was created last counts, as for
// mdadm. 0, or -1: NOT_FOUND, CORRUPT (a wrong sum, or something lies outside),
// UNSUPPORTED (a feature that this version does not know, or cannot carry), IO.
int rmt_md_read(int fd, uint64_t offset, uint64_t bytes, rmt_md_t *md_out,
                rmt_error_t *error);

// Write it to a member that begins at an offset of fd and has so many bytes. 0, or -1:
// IO.
int rmt_md_write(int fd, uint64_t offset, uint64_t bytes, const rmt_md_t *md,
                 rmt_error_t *error);

// Bytes that data can have on a member of so many bytes; 0: there is no space.
uint64_t rmt_md_space(rmt_md_version_t version, uint64_t bytes, uint64_t data_start);

// "0.90" and so on.
const char *rmt_md_version_name(rmt_md_version_t version);
// As mdadm shows it.
void rmt_md_show_uuid(const uint8_t uuid[16], char text[RMT_MD_UUID_SIZE]);
