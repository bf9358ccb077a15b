// tree_lab - what the tests of lib/tree share: chunks in memory, a tree that is hard to
// copy, and captures, writes and comparisons that fail the test when they fail.
#pragma once

#include "tools/rmt_test.h"
#include "base/rmt_auto.h"
#include "tree/rmt_capture.h"
#include "tree/rmt_compare.h"
#include "tree/rmt_writer.h"

typedef struct tree_lab tree_lab_t;

// A fresh folder with the empty trees source/ and copy/.
tree_lab_t *tree_lab_new(void);
// Also clears inode flags below it, so that all of it can be removed.
void tree_lab_destroy(tree_lab_t **self_p);
const char *tree_lab_folder(const tree_lab_t *self);
int tree_lab_source(const tree_lab_t *self);
int tree_lab_copy(const tree_lab_t *self);
// Have the source or the copy somewhere else; borrows fd.
void tree_lab_set_source(tree_lab_t *self, int fd);
void tree_lab_set_copy(tree_lab_t *self, int fd);

// Hard links across directories, all kinds of symlinks and nodes, holes, attributes,
// ACLs, odd names, times and ids at their limits, depth beyond PATH_MAX, inode flags.
void tree_lab_fill(int root_fd);
// Write a file of so many bytes made from seed.
void tree_lab_file(int dir_fd, const char *name, size_t size, unsigned seed);

// Chunks in memory; the functions fit a capture's sink and a manifest's source.
int tree_lab_put(void *self, const rmt_chunk_t *chunk, rmt_error_t *error);
int tree_lab_get(void *self, const rmt_id_t *id, void *plain_out, size_t *size_out,
                 rmt_error_t *error);

// Wait until the clock of files has passed all that was written: a capture reads a file
// again that is as young as that clock's tick.
void tree_lab_settle(void);

// Capture the source with so many threads. The report is cleared with the lab.
rmt_id_t tree_lab_capture(tree_lab_t *self, unsigned threads,
                          const char *const *excludes);
// Mode, owner, size and marks of a path in a manifest; all zero when it is not there.
rmt_entry_t tree_lab_find(tree_lab_t *self, const rmt_id_t *root, const char *path);
const rmt_capture_report_t *tree_lab_report(const tree_lab_t *self);
// Write the manifest to the copy; try_write says with 0 or -1 whether that worked.
rmt_writer_report_t tree_lab_write(tree_lab_t *self, const rmt_id_t *root);
int tree_lab_try_write(tree_lab_t *self, const rmt_id_t *root,
                       rmt_writer_report_t *report_out, rmt_error_t *error);

// Compare source, or the manifest when root is given, with the copy. Returns the findings
// as lines "what path"; Caller owns (free).
char *tree_lab_compare(tree_lab_t *self, const rmt_id_t *root,
                       const char *const *ignores);

// Run a program and take it for granted that it works.
#define tree_lab_run(...) tree_lab_run_list((const char *const[]){__VA_ARGS__, NULL})
void tree_lab_run_list(const char *const *arguments);
