// rmt_socket - every socket of the exchange: one table of kinds, options and limits.
//
// A message is one frame (the envelope), or two for a chunk (envelope, bytes). Other
// messages are dropped here, and the caller counts a strike.
// A socket belongs to one thread at a time.
#pragma once

#include <czmq.h>
#include "base/rmt_error.h"
#include "crypto/rmt_key.h"
#include "net/rmt_origin.h"
#include "net/rmt_unsent.h"
#include "wire/rmt_msg.h"

typedef enum {
    RMT_SOCKET_BROKER_ENROL,   // ROUTER, bind
    RMT_SOCKET_BROKER_AGENTS,  // ROUTER, bind
    RMT_SOCKET_BROKER_WORKERS, // ROUTER, bind
    RMT_SOCKET_BROKER_CONSOLE, // ROUTER, bind
    RMT_SOCKET_BROKER_EVENTS,  // XPUB, bind
    RMT_SOCKET_DATA_SERVER,    // ROUTER, bind
    RMT_SOCKET_CONTROL_CLIENT, // DEALER, connect: workers, agents, enrolment
    RMT_SOCKET_CONSOLE_CLIENT, // DEALER, connect
    RMT_SOCKET_DATA_CLIENT,    // DEALER, connect
    RMT_SOCKET_EVENTS_CLIENT,  // SUB, connect; no subscription yet
    RMT_SOCKET_KIND_COUNT
} rmt_socket_kind_t;

#define RMT_USER_SIZE 41 // A public key in Z85 and a NUL

// Zero it before its first use; rmt_socket_recv clears what an earlier call left.
typedef struct {
    zframe_t *route;          // Of a ROUTER: give it back to rmt_socket_send
    char user[RMT_USER_SIZE]; // Public key of the sender; empty on client sockets
    rmt_origin_t origin;      // Its connection; of server sockets alone
    size_t size;              // Octets of the envelope
    rmt_msg_t *msg;
} rmt_packet_t;

// The ZAP domain of a server kind: "enrol", "agents", "workers", "console", "events",
// "data"; NULL for client kinds.
const char *rmt_socket_domain(rmt_socket_kind_t kind);

// Octets of one message, and of all that a connection may have sent and the owner of a
// socket of this kind has not read.
size_t rmt_socket_message_max(rmt_socket_kind_t kind);
size_t rmt_socket_queue_max(rmt_socket_kind_t kind);

// For how long a peer may shake hands with a server, from its connection on. A handshake
// takes three round trips and a half, so RMT_HANDSHAKE_MS, the preset, lets a peer behind
// a satellite connect (1-wire.md, 10).
#define RMT_HANDSHAKE_MS 6000
#define RMT_HANDSHAKE_MS_MIN 1000
#define RMT_HANDSHAKE_MS_MAX 20000

// Make a socket and bind or connect it to "tcp://host:port" (bind: port "*" or 0 takes
// a free one; host "*" is every interface) or to plain "host:port". Client kinds need
// the server's public key; server kinds take NULL. Connecting never waits.
// Caller owns the result. NULL: USAGE (the endpoint's text), IO (bind).
zsock_t *rmt_socket_new(rmt_socket_kind_t kind, const char *endpoint,
                        const rmt_key_t *own, const char *server_key, rmt_error_t *error);

// The same for a server that gives each handshake so long (between MIN and MAX).
zsock_t *rmt_socket_new_server(rmt_socket_kind_t kind, const char *endpoint,
                               const rmt_key_t *own, uint32_t handshake_ms,
                               rmt_error_t *error);

// A client socket, and one that becomes readable when the handshake fails: a server that
// refuses our key, or has another one than we expect, closes the door without a message.
// That of a DATA_CLIENT tells also when the connection was lost.
// Caller owns both, and ends them by rmt_socket_close_watched alone: the thread of libzmq
// that serves all sockets waits for ever where it tells a watcher that is gone.
// NULL: as above.
zsock_t *rmt_socket_new_watched(rmt_socket_kind_t kind, const char *endpoint,
                                const rmt_key_t *own, const char *server_key,
                                zsock_t **watcher_out, rmt_error_t *error);

// Close such a socket and its watcher. Both may be NULL. Never blocks.
void rmt_socket_close_watched(zsock_t **socket_p, zsock_t **watcher_p);

// What a readable watcher tells, in the same words for all who connect; server is the
// address for the text. Never blocks. 0: nothing; -1: NOT_ALLOWED (our key is refused),
// CONFIG (the server does not have the key we expect; or it ended while it shook hands,
// or does not know our key yet, so a client should go on trying), UNAVAILABLE (the
// connection of a DATA_CLIENT was lost; libzmq makes another one, which is another peer
// to the server).
int rmt_socket_watch(zsock_t *watcher, const char *server, rmt_error_t *error);

// The port a server socket was bound to.
uint16_t rmt_socket_port(zsock_t *socket);

// Send a message; borrows route (of a ROUTER, else NULL) and msg. On an XPUB the
// message's topic goes before it as a frame. Without wait it never blocks.
// Returns 0, or -1: NOT_FOUND (that peer is gone), UNAVAILABLE (its queue is full),
// TOO_BIG.
int rmt_socket_send(zsock_t *socket, zframe_t *route, const rmt_msg_t *msg, bool wait,
                    rmt_error_t *error);

// Send to a peer of a ROUTER like rmt_socket_send without wait, and count the octets in
// unsent until they have gone. msg has no bytes.
int rmt_socket_reply(zsock_t *socket, zframe_t *route, const rmt_msg_t *msg,
                     rmt_unsent_t *unsent, rmt_error_t *error);

// Take one message that has arrived; never blocks. Returns 1: packet is filled;
// 0: nothing is there; -1: PROTOCOL, TOO_BIG (something was dropped: route and user
// tell whose it was, msg is NULL; user is empty when it came without one). Caller owns
// what is in the packet: take msg out of it or rmt_packet_clear. Not for XPUB, whose
// subscriptions are bare frames of the SUB side; its owner must read them as well
// (rmt_socket_recv_subscription), or they pile up.
int rmt_socket_recv(zsock_t *socket, rmt_packet_t *packet, rmt_error_t *error);

void rmt_packet_clear(rmt_packet_t *packet);

// What a subscriber of an XPUB has said.
typedef struct {
    char user[RMT_USER_SIZE]; // Empty when its connection has ended
    rmt_origin_t origin;
    bool is_on;  // It subscribes; else it no longer does
    size_t size; // Octets of the topic
} rmt_subscription_t;

// Take the next one from an XPUB; never blocks. False: nothing is there.
bool rmt_socket_recv_subscription(zsock_t *socket, rmt_subscription_t *subscription);
