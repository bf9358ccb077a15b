// rmt_cache - the stat cache: the names and entries of a tree's last capture, so that the
// next one reads only files that may have changed.
//
// A file of its own format, in manifest order: for each name its stat key (inode, type
// and mode, owner, size, mtime, ctime) and its manifest entry. It is a hint and never a
// truth: each block is checked against its digest, a file of another version, tree or
// file system is as good as none, and damage ends it early. It never holds a file that
// changed within a margin before the capture began: the times of such a file cannot show
// a later change.
//
// A reader and a writer belong to one thread each; these may be different threads.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include "base/rmt_error.h"
#include "crypto/rmt_id.h"
#include "store/rmt_manifest.h"

// Longer entries, of files over some 50 GB, are read every time.
#define RMT_CACHE_ENTRY_MAX ((size_t) 16 * 1024 * 1024)

// What a cache of the tree at root_fd must have been made of: file system and folder.
// Caller owns the text (free). NULL when the times of this kind of file system do not
// tell every change.
char *rmt_cache_lineage(int root_fd);

// ---- Reading

typedef struct rmt_cache_reader rmt_cache_reader_t;

// Never fails: what cannot be used is empty. Caller owns the result.
rmt_cache_reader_t *rmt_cache_reader_new(const char *path, const char *lineage);
void rmt_cache_reader_destroy(rmt_cache_reader_t **self_p);
// The manifest of the capture that wrote it, which names every chunk the entries need;
// NULL when the cache is of no use. Valid while self lives.
const rmt_id_t *rmt_cache_reader_root(const rmt_cache_reader_t *self);
// Do not tell entries that need one of these chunks. Copies ids.
void rmt_cache_reader_distrust(rmt_cache_reader_t *self, const rmt_id_t *ids,
                               size_t count);
// The encoded entry (rmt_entry_decode) of a path with this status, or NULL; valid until
// the next call. Paths rise in manifest order.
const void *rmt_cache_reader_find(rmt_cache_reader_t *self, const char *path,
                                  size_t path_size, const struct stat *status,
                                  size_t *size_out);
// Why it ended before its end, or NULL.
const char *rmt_cache_reader_trouble(const rmt_cache_reader_t *self);

// ---- Writing

typedef struct rmt_cache_writer rmt_cache_writer_t;

// Begin the cache that is to be at path; the file there stays until
// rmt_cache_writer_save. To be called before the first look at the tree. margin_s: see
// above. Caller owns the result. NULL: IO.
rmt_cache_writer_t *rmt_cache_writer_new(const char *path, const char *lineage,
                                         uint32_t margin_s, rmt_error_t *error);
// Removes what was not saved.
void rmt_cache_writer_destroy(rmt_cache_writer_t **self_p);
// Note an entry and the status its contents were held against; paths rise in manifest
// order. Failures are kept for save.
void rmt_cache_writer_add(rmt_cache_writer_t *self, const struct stat *status,
                          const rmt_entry_t *entry);
// The same for the encoded entry that a reader has told.
void rmt_cache_writer_add_again(rmt_cache_writer_t *self, const struct stat *status,
                                const char *path, size_t path_size, const void *entry,
                                size_t entry_size);
// Put the new file in place of the old one; root names the manifest that was captured.
// 0, or -1: IO, NO_SPACE; the old one stays.
int rmt_cache_writer_save(rmt_cache_writer_t *self, const rmt_id_t *root,
                          rmt_error_t *error);
