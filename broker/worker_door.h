// worker_door - workers and agents: who they are, what they offer, which task they get.
//
// A peer is who its key says, at every message. Never more tasks are sent than a peer
// has credit for; the queues are in Redis.
#pragma once

#include "broker.h"
#include "roster.h"

// port: RMT_PORT_WORKERS or RMT_PORT_AGENTS.
void rmt_worker_door_handle(rmt_broker_t *broker, rmt_port_t port);

// There may be tasks of this service: those who offer it and have credit take some.
void rmt_worker_door_wake(rmt_broker_t *broker, const char *service);

// Take tasks for all that this member offers.
void rmt_worker_door_feed(rmt_broker_t *broker, rmt_member_t *member);

// Tell Redis who was heard of lately.
void rmt_worker_door_presence(rmt_broker_t *broker);

// Send to a member; borrows msg. It does not matter if that fails: what counts is asked
// or offered again.
void rmt_worker_door_send(const rmt_member_t *member, const rmt_msg_t *msg);

// meta for calls in the name of a member. Caller owns the result.
rmt_record_t *rmt_worker_door_meta(const rmt_member_t *member);

// A task that is not the member's any more.
void rmt_worker_door_cancel(const rmt_member_t *member, const rmt_record_t *item);
