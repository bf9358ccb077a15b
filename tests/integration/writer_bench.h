// writer_bench - a writer of disks with all that its agent gives it: a captured tree in a
// store, and a file that stands for a disk. Needs root.
#pragma once

#include "tools/rmt_test.h"

#include "agent/disk_tools/pipe.h"
#include "facts/rmt_layout.h"
#include "store/rmt_store.h"
#include "tree/rmt_capture.h"

#include <sys/types.h>

#define DISK_BYTES ((off_t) 300 * 1024 * 1024)
#define BENCH_SECRET "secret of the first boot"

typedef struct {
    char *folder, *tree, *disk;
    rmt_store_t *store;
    rmt_layout_t *layout;
    pid_t pid;
    rmt_pipe_t *pipe;
} bench_t;

int bench_setup(void **state);
int bench_teardown(void **state);
// End the writer's input and wait for it. Its status.
int bench_reap(bench_t *self);

void bench_write_file(const bench_t *self, const char *name, const void *data,
                      size_t size);
void bench_capture(const bench_t *self, rmt_id_t *root_out,
                   rmt_capture_report_t *report_out);
void bench_root(const bench_t *self, rmt_id_t *root_out);

// ---- The agent's part

// Name the volume of which the next frames are.
void bench_send_volume(const bench_t *self, rmt_pipe_kind_t kind);
void bench_send_order(bench_t *self, ino_t inode_offset);
void bench_send_tree(bench_t *self, const rmt_id_t *root);
void bench_send_personal(bench_t *self);
// What bench_send_verify does in two steps. With damage a bit of every chunk is another.
void bench_begin_verify(bench_t *self);
void bench_send_manifest(bench_t *self, const rmt_id_t *root, bool damage);
void bench_send_verify(bench_t *self, const rmt_id_t *root, bool damage);
void bench_send_finish(bench_t *self);
// The kind of the last frame; its record is the caller's.
rmt_pipe_kind_t bench_answer(bench_t *self, rmt_record_t **record_out);
void bench_assert_refused(bench_t *self, rmt_code_t code);
// Is the disk behind a loop device?
bool bench_is_attached(const bench_t *self);
