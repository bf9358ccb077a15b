// broker - the context that all parts share; loop.h makes it and turns it.
//
// One thread, one rmt_broker. Nothing here is durable: kill it at any moment, and what
// was acknowledged is in Redis. The fields are for the files of this folder.
#pragma once

#include <czmq.h>
#include "facts/rmt_endpoint.h"
#include "net/rmt_connections.h"
#include "net/rmt_inflow.h"
#include "net/rmt_socket.h"
#include "state/rmt_state.h"
#include "net/rmt_zap.h"
#include "broker/fold.h"
#include "broker/lanes.h"
#include "broker/quota.h"
#include "broker/settings.h"

typedef struct rmt_broker rmt_broker_t;
typedef struct rmt_keyring rmt_keyring_t;
typedef struct rmt_roster rmt_roster_t;
typedef struct rmt_driver rmt_driver_t;
typedef struct rmt_events rmt_events_t;
typedef struct rmt_audit rmt_audit_t;
typedef struct rmt_saver rmt_saver_t;

// Answers of all ports: before Redis has been read, and to a key that may not act.
#define RMT_BROKER_NOT_OPEN                                                              \
    "the broker has no contact with Redis, or is still starting; try again later"
#define RMT_BROKER_NO_KEY                                                                \
    "this key is unknown, revoked or not approved; an admin sees it with: ramet key "    \
    "list"

// An entry of the audit stream that a broker knows: its id, and the moment of Redis' time
// of day in which it was made. A Redis that lost entries may give an id again, but not in
// the same moment.
typedef struct {
    char id[48];
    char moment[24];
} rmt_known_t;

struct rmt_broker {
    const rmt_settings_t *settings;
    rmt_zap_t *zap;
    rmt_state_t *state;
    zsock_t *ports[RMT_PORT_EVENTS + 1];
    rmt_keyring_t *keyring;
    rmt_roster_t *roster;
    rmt_driver_t *driver;
    rmt_events_t *events;
    rmt_audit_t *audit_files;
    rmt_saver_t *saver;
    rmt_lanes_t *lanes;
    rmt_quota_t *quota;   // Of keys
    rmt_quota_t *callers; // Of addresses at the enrol port
    rmt_fold_t *fold;
    rmt_connections_t *connections[RMT_PORT_EVENTS + 1]; // None of the enrol port
    rmt_inflow_t *inflow;
    size_t knocks;      // At the enrol port, on their way to Redis
    uint32_t era;       // 0 until Redis has said it
    uint32_t file_era;  // As in the state file
    uint32_t asked_era; // Of the last time that Redis was opened; 0: the first time
    char id[33];        // Of this broker, in its state file
    bool is_id_saved;
    char audit[48];          // The last id read of the audit stream; "" before the first
    rmt_known_t known, file; // The youngest that this broker knows; that in the file
    int64_t up_at;           // Since when Redis is there; 0: it is not
    int64_t scan_at, presence_at;
    bool is_linked, is_opening;
    char away[400]; // Why there is no contact with Redis; "": there is, or not known yet
    uint64_t refused;   // Acts that were not allowed, since the start
    uint64_t strangers; // Handshakes of unknown keys, since the start
    uint64_t tested;    // Of them, by the self-test
};

// Era and keys are known: requests can be served.
bool rmt_broker_is_open(const rmt_broker_t *self);

// What people are told meanwhile: why Redis is away, where that is known.
const char *rmt_broker_not_open(const rmt_broker_t *self);

// Read the state file; none is a broker's first start, with a new id. 0, or -1: CONFIG,
// IO.
int rmt_broker_load(rmt_broker_t *self, rmt_error_t *error);

// The broker knows of this entry, which may be older than others that it knows.
void rmt_broker_know(rmt_broker_t *self, const char *id, const char *moment);

// What the state file says, or is to say.
typedef struct {
    uint32_t era;
    rmt_known_t known;
    char id[33];
} rmt_broker_file_t;

// Whether the file is to say something newer: id, era or the youngest known entry.
bool rmt_broker_file_due(const rmt_broker_t *self, rmt_broker_file_t *file_out);
// Write that durably. Blocks for an fsync; for any thread. 0, or -1: IO, NO_SPACE.
int rmt_broker_file_write(const rmt_broker_t *self, const rmt_broker_file_t *file,
                          rmt_error_t *error);
// It is written.
void rmt_broker_file_written(rmt_broker_t *self, const rmt_broker_file_t *file);

// All three, when Redis is opened; blocks. An ARM and a GO are saved by saver.h.
// 0, or -1: IO, NO_SPACE.
int rmt_broker_save(rmt_broker_t *self, rmt_error_t *error);

// Could the state file be written now? 0, or -1: IO, NO_SPACE.
int rmt_broker_check(const rmt_broker_t *self, rmt_error_t *error);

// Put `broker`, the name by which brokers are told apart, into a record: host and port.
void rmt_broker_tell_name(const rmt_broker_t *self, rmt_record_t *record);

// A call of the function library in the broker's own name.
void rmt_broker_call(rmt_broker_t *self, const char *function, const rmt_record_t *body,
                     rmt_state_fn *fn, void *context);

// Count, log and audit an act that a key may not do: of each key and act once a minute,
// with the number of the others after it. address: from where, or "".
void rmt_broker_refuse(rmt_broker_t *self, const char *user, const char *address,
                       const char *act, const char *why);

// Tell what was folded.
void rmt_broker_tick(rmt_broker_t *self, int64_t now);
