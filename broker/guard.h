// guard - stands at the ports: whom the broker hears, and what a broken rule costs.
//
// It joins quota, which counts, with what is done: a peer that is muted loses its
// connections and gets none, and a target whose key was muted a second time is held. An
// admin's key loses what is over its rate and is never muted.
#pragma once

#include "broker/broker.h"

#define RMT_GUARD_DEAF "it does not read what it is sent"
#define RMT_TURN_MS 10 // Of one port before the others have their turn
#define RMT_HELLO_SIZE_MAX ((size_t) 64 * 1024) // Octets of its envelope
#define RMT_HELLO_SERVICES_MAX 64
#define RMT_HELLO_HAND_MAX 1024

#define RMT_LANE_NAME_SIZE (RMT_USER_SIZE + 12)

// Whose messages count together: those of a key; of an admin those of a connection, so
// that a script of an admin does not keep the same admin's other commands out.
char *rmt_guard_lane(const rmt_broker_t *broker, const rmt_packet_t *packet,
                     char name[RMT_LANE_NAME_SIZE]);

// A message of a known key has come by this port. False: it is dropped.
bool rmt_guard_admits(rmt_broker_t *broker, rmt_port_t port, const rmt_packet_t *packet);

// The peer did more than it may.
void rmt_guard_strike(rmt_broker_t *broker, const char *user, const rmt_origin_t *origin);

// End a connection that does what it may not; it may connect again. This is a strike.
void rmt_guard_cut(rmt_broker_t *broker, const char *user, const rmt_origin_t *origin,
                   const char *why);

// A message has come by the enrol port, which lets every key in. False: its address is
// locked out, and the message is dropped.
bool rmt_guard_admits_knock(rmt_broker_t *broker, const rmt_packet_t *packet);

// A knock from there was in vain.
void rmt_guard_fail_knock(rmt_broker_t *broker, const rmt_origin_t *origin);

// The peer did what it may not: it is counted, logged, audited, and a strike.
void rmt_guard_refuse(rmt_broker_t *broker, const char *user, const rmt_origin_t *origin,
                      const char *act, const char *why);
