// agent - the common part of agents: settings, key, name, hardware.
//
// An agent without a key makes one and enrols it with its token. Its hardware is that of
// this computer, or that of a facts file; with a disk file or a tree, that is its disk.
#pragma once

#include "facts/rmt_hosts.h"
#include "base/rmt_config.h"
#include "base/rmt_error.h"
#include "crypto/rmt_key.h"
#include "wire/rmt_msg.h"
#include "base/rmt_record.h"
#include "net/rmt_worker.h"

extern const rmt_config_row_t RMT_AGENT_ROWS[];

// For a screen: all are called in the thread that runs the agent, and must not block.
typedef struct {
    // Called about once a second until the key is approved; text says why it is not.
    void (*on_enrol)(void *context, bool is_pending, const char *text);
    rmt_link_fn *on_link;
    rmt_told_fn *on_told;
    void *context;
} rmt_agent_watch_t;

typedef struct {
    const rmt_config_t *config;
    const rmt_agent_watch_t *watch; // Or NULL
    const char *role;               // "source" or "target"
    char *name;
    char broker_key[RMT_KEY_TEXT_SIZE];
    rmt_key_t key;
    rmt_hosts_t *hosts;                     // Agents' ports
    rmt_records_t *hardware;                // docs/spec/3-facts.md
    uint8_t nonce[RMT_UID_SIZE];            // Of the start of the process
    struct rmt_initramfs_memory *initramfs; // Of a source; NULL: nothing is kept
} rmt_agent_t;

// Borrows config, role and watch (may be NULL) for its whole life. Blocks until the key
// is approved, or a signal. Caller owns the result. NULL: CONFIG, NOT_ALLOWED, CANCELLED,
// IO.
rmt_agent_t *rmt_agent_new(const rmt_config_t *config, const char *role,
                           const rmt_agent_watch_t *watch, rmt_error_t *error);
void rmt_agent_destroy(rmt_agent_t **self_p);
