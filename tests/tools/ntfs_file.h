// ntfs_file - a small NTFS, made byte by byte: what no tool makes at will.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define NTFS_FILE_CLUSTER 1024
#define NTFS_FILE_CLUSTERS 63
#define NTFS_FILE_BYTES 65536 // The last 1,024 belong to no cluster
#define NTFS_FILE_MFT 4       // Cluster; a record is a cluster

// A restart page of the log.
typedef struct {
    uint16_t size;    // Bytes
    uint64_t lsn;     // Age
    uint16_t clients; // In use; 0xffff: none
    uint16_t flags;
    const char *magic; // NULL: RSTR
    bool is_torn;
} ntfs_file_log_t;

typedef struct {
    uint16_t flags;          // Of $Volume
    const char *hibernation; // Four letters that hiberfil.sys begins with; NULL: none
    bool is_in_block;        // Its name stands in a block of the root folder's index
    bool is_stale;           // Its record has been used for another file since
    bool has_old_block;      // A block before that one still names an older file
    bool is_listed;          // The map of clusters is told by a list of attributes
    ntfs_file_log_t log[2];  // Restart pages; none has the size 0
    bool has_empty_log;      // It is filled with 0xff
    uint8_t map[8];          // Clusters in use, beside the system's own
} ntfs_file_t;

// A descriptor of it, in memory; the caller closes it.
int ntfs_file_make(const ntfs_file_t *self);
