// volume - one volume of a source, given to the place that receives.
//
// The stat cache lies in the agent's state folder, one file a volume. Files that it knows
// are offered by their ids. What the receiver lacks of these (its gc may have removed it,
// or it is another place) is read in a further pass; a receiver that lacks much gets a
// pass without the cache.
#pragma once

#include "agent/agent.h"
#include "agent/source/source_disk.h"
#include "tree/rmt_capture.h"
#include "exchange/rmt_offer.h"
#include "net/rmt_worker.h"

typedef struct {
    rmt_agent_t *agent;
    rmt_task_t *task; // Its body: {exclude, paranoid}
    rmt_offer_t *offer;
    const rmt_records_t *rules; // Of the profiles
    rmt_source_disk_t *disk;
    size_t index;
    int tree_fd;   // The volume's tree, or a snapshot of it
    bool is_still; // It is a snapshot
    uint64_t done; // Bytes of the volumes before this one, for the progress
} rmt_volume_setup_t;

// Capture the volume. *report_out is the caller's to clear. 0, or -1: as rmt_capture_run,
// the offer's.
int rmt_volume_capture(const rmt_volume_setup_t *setup, rmt_id_t *root_out,
                       rmt_capture_report_t *report_out, rmt_error_t *error);
