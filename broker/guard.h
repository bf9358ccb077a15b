// guard - stands at the ports: whom the broker hears, and what a broken rule costs.
//
// It joins quota, which counts, with what is done: a peer that is muted loses its
// connections and gets none, and a target whose key was muted a second time is held. An
// admin's key loses what is over its rate and is never muted.
#pragma once

#include "broker/broker.h"

#define RMT_GUARD_CONNECTIONS                                                            \
    "this key has too many connections to this port; end some of them, then try again"
#define RMT_TURN_MS 10 // Of one port before the others have their turn
#define RMT_HELLO_SIZE_MAX ((size_t) 64 * 1024) // Octets of its envelope
#define RMT_HELLO_SERVICES_MAX 64
#define RMT_HELLO_HAND_MAX 1024

#define RMT_LANE_NAME_SIZE (RMT_USER_SIZE + 12)

// Whose messages count together: those of a key; of an admin those of a connection, so
// that a script of an admin does not keep the same admin's other commands out.
char *rmt_guard_lane(const rmt_broker_t *broker, const rmt_packet_t *packet,
                     char name[RMT_LANE_NAME_SIZE]);

// A message has come by a port where keys are told apart. False: it is not to be heard;
// *busy_out is the text by which it is refused as BUSY, or NULL for silence.
bool rmt_guard_admits(rmt_broker_t *broker, rmt_port_t port, const rmt_packet_t *packet,
                      const char **busy_out);

// What is kept of the connection by which a message has come; origin->fd is not -1. NULL:
// its key has too many at this port. Valid until the next call.
rmt_connection_t *rmt_guard_connection(rmt_broker_t *broker, rmt_port_t port,
                                       const char *user, const rmt_origin_t *origin);

// A key that may not act has sent this message, and the caller has told it so. A
// connection on which it goes on is ended.
void rmt_guard_refuse_key(rmt_broker_t *broker, rmt_port_t port,
                          const rmt_packet_t *packet);

typedef struct {
    zsock_t *port;
    zframe_t *route;
    const char *user;
    const rmt_origin_t *origin;
    rmt_unsent_t *unsent; // Counts the octets; NULL: they are not counted
} rmt_guard_to_t;

// Send to a peer without waiting; borrows all. A peer that reads nothing loses its
// connection. 0, or -1: NOT_FOUND, UNAVAILABLE, TOO_BIG.
int rmt_guard_send(rmt_broker_t *broker, const rmt_guard_to_t *to, const rmt_msg_t *msg,
                   rmt_error_t *error);

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
