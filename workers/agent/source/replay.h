// replay - file systems that were not cleanly unmounted, as their own machine would see
// them at its next start: the log is replayed, or fsck has mended them, on layers that
// are thrown away. The disk itself is not written.
#pragma once

#include <stdint.h>
#include "agent/disk_tools/scratch.h"
#include "base/rmt_config.h"
#include "base/rmt_error.h"
#include "base/rmt_record.h"

typedef struct rmt_replay rmt_replay_t;

// Where a file system lies, for people and programs.
typedef struct {
    const char *words;   // "partition 1", "logical volume vg/root"
    const char *disk;    // Its path
    uint32_t sector;     // Its logical sector size
    uint64_t number;     // Of the partition; 0: all of the disk, or a logical volume
    const char *logical; // "group/name", or NULL
} rmt_replay_place_t;

// config: of the agent (state, replay-mib). Borrows config and scratch for its whole
// life. Call all of this in the thread of the scratch. Caller owns the result.
rmt_replay_t *rmt_replay_new(const rmt_config_t *config, const rmt_scratch_t *scratch);
// What is mounted from its layers must be unmounted before.
void rmt_replay_destroy(rmt_replay_t **self_p);

// *format_p is what rmt_fs_probe found on the device *device_p. When that was not cleanly
// unmounted, both are exchanged for those of a layer on which it was. One that is in use
// is left as it is. 0, or -1 with a text that begins "not cleanly unmounted: ": REFUSED
// (its log is not one that this kernel replays, or fsck leaves it to a person), NO_SPACE
// (over replay-mib); UNSUPPORTED (also a log on another device), IO.
int rmt_replay_settle(rmt_replay_t *self, const rmt_replay_place_t *place,
                      char **device_p, rmt_record_t **format_p, rmt_error_t *error);

// What was done: {path, reason, bytes (of the layer)}, borrowed.
const rmt_records_t *rmt_replay_told(const rmt_replay_t *self);
