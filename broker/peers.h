// peers - grants: the keys that may reach the data ports of a place.
//
// They are told to the holders of that place with PEERS. Addresses are given away as the
// holders said them; "@" is for the asker to fill in.
#pragma once

#include "broker/broker.h"
#include "broker/roster.h"

// grant: {key, root, left-ms}; root is the text of an image id, or empty for "may
// offer".
void rmt_peers_grant(rmt_broker_t *broker, const char *place, const rmt_record_t *grant);
// entry: {place, key, root} of the audit stream, which may be old: what is left of the
// grant is asked.
void rmt_peers_granted(rmt_broker_t *broker, const rmt_record_t *entry);
// A target has told of its relay: tell those that it may reach of it. relay {key, ...} as
// rmt_chooser_learn takes it; peers {key}. It is a help: losing it costs time alone.
void rmt_peers_relay(rmt_broker_t *broker, const rmt_record_t *relay,
                     const rmt_records_t *peers);
// A key that was revoked: drop it everywhere.
void rmt_peers_drop(rmt_broker_t *broker, const char *key);
// A holder said HELLO: tell it which keys have ended, and all grants of its place.
void rmt_peers_welcome(rmt_broker_t *broker, const rmt_member_t *member);
