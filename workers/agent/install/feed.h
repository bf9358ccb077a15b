// feed - the network half of writing: everything that ramet-diskw needs, in its order.
#pragma once

#include "agent/agent.h"
#include "agent/install/child.h"
#include "agent/install/order.h"
#include "crypto/rmt_key.h"
#include "agent/install/supply.h"

typedef struct {
    const rmt_agent_t *agent;
    const rmt_order_t *order;
    const rmt_records_t *disks; // Of rmt_prepare_disks
    const rmt_key_t *boot_key;  // For the first boot
    const char *passphrase;     // Of the encrypted partitions; NULL for none
    rmt_child_t *child;
    rmt_supply_t *supply;
} rmt_feed_t;

// Feed the child until everything is written, verified and bootable. Borrows feed.
// Blocks. Caller owns *answer_out {files, bytes, verified}. 0, or -1: what the child,
// the supply or the image's manifests say.
int rmt_feed_run(const rmt_feed_t *feed, rmt_record_t **answer_out, rmt_error_t *error);
