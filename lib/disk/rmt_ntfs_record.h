// rmt_ntfs_record - records of the master file table, their attributes and the runs in
// which these lie. Private to rmt_ntfs.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/rmt_error.h"

#define RMT_NTFS_RECORD_MAX ((size_t) 65536)
#define RMT_NTFS_BLOCK 512 // Each ends in two bytes that are told elsewhere

enum {
    RMT_NTFS_LIST = 0x20, // Where other attributes of the file lie
    RMT_NTFS_INFORMATION = 0x70,
    RMT_NTFS_DATA = 0x80,
    RMT_NTFS_INDEX_ROOT = 0x90,
    RMT_NTFS_INDEX = 0xa0,
};

typedef struct {
    uint64_t first, count; // Clusters of the file
    uint64_t at;           // Cluster of the volume
    bool is_hole;
} rmt_ntfs_run_t;

typedef struct {
    rmt_ntfs_run_t *items; // free
    size_t count;
    uint64_t clusters; // That they cover, from the first
    uint64_t bytes;    // Of the attribute
} rmt_ntfs_runs_t;

typedef struct {
    int fd;
    uint64_t offset, bytes; // Of the part of the disk
    uint64_t cluster;       // Bytes
    uint64_t clusters;
    uint64_t record; // Bytes
    rmt_ntfs_runs_t mft;
} rmt_ntfs_volume_t;

// An attribute, inside of its record.
typedef struct {
    uint8_t *data;
    size_t size;
    bool is_resident;
    uint8_t *value; // Of a resident one
    size_t value_size;
} rmt_ntfs_attribute_t;

// "the NTFS is damaged: what". Returns -1: CORRUPT.
int rmt_ntfs_damaged(const char *what, rmt_error_t *error);

// Put the true ends of blocks back into a record or index block. false: it was torn.
bool rmt_ntfs_mend(uint8_t *data, size_t size, const char *magic);

// Read record number of the table into data (record bytes). 0, or -1: CORRUPT, IO.
int rmt_ntfs_read_record(const rmt_ntfs_volume_t *self, uint64_t number, uint8_t *data,
                         rmt_error_t *error);

// Find an attribute in a record that was read; name: of ASCII, "" for none. false: it is
// not there, or does not fit into the record.
bool rmt_ntfs_find(const rmt_ntfs_volume_t *self, uint8_t *record, uint32_t type,
                   const char *name, rmt_ntfs_attribute_t *attribute_out);

// The runs of an attribute of a file, wherever they are told. They are appended to those
// that are there. 0 (with no runs when it has none, or is resident), or -1: CORRUPT, IO.
int rmt_ntfs_runs(rmt_ntfs_volume_t *self, uint64_t number, uint32_t type,
                  const char *name, rmt_ntfs_runs_t *runs, rmt_error_t *error);

// Read bytes of an attribute. 0, or -1: CORRUPT (it ends before), IO.
int rmt_ntfs_read(const rmt_ntfs_volume_t *self, const rmt_ntfs_runs_t *runs, uint64_t at,
                  void *data, size_t size, rmt_error_t *error);
