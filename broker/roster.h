// roster - the peers that are connected to this broker, and the tasks in their hands.
//
// It is memory only: after a restart it fills again with the HELLOs.
#pragma once

#include "broker/broker.h"

typedef struct {
    const char *service; // Owned by the roster
    uint32_t slots;      // As HELLO said
    uint32_t credit;     // So many tasks more may be sent
    bool is_taking;      // A call of task_take is under way
    bool is_wanted;      // Another one after it: a task came meanwhile
} rmt_service_offer_t;

typedef struct {
    rmt_broker_t *broker;
    char key[RMT_USER_SIZE];
    char *role, *name, *place;
    char nonce[33];
    zsock_t *port;
    zframe_t *route;
    rmt_origin_t origin;
    int64_t heard_at;
    char greeting[33]; // Another one with every HELLO
    bool may_miss;     // Redis may have given it tasks that were not sent: it is to greet
    bool is_ready;     // Redis knows of the HELLO: tasks may be sent
    bool is_beating;   // A call of task_beat is under way
    rmt_service_offer_t *offers;
    size_t offer_count;
} rmt_member_t;

rmt_roster_t *rmt_roster_new(void);
void rmt_roster_destroy(rmt_roster_t **self_p);

// The member of a key, or NULL.
rmt_member_t *rmt_roster_find(rmt_roster_t *self, const char *key);
// A HELLO: the member is made anew. Takes the route of packet.
rmt_member_t *rmt_roster_greet(rmt_roster_t *self, const rmt_record_t *key_record,
                               zsock_t *port, rmt_packet_t *packet);
void rmt_roster_drop(rmt_roster_t *self, const char *key);
// Drop all members and flights: every peer is asked to greet again.
void rmt_roster_clear(rmt_roster_t *self);

// Walk over all; NULL at the end. Do not drop on the way.
rmt_member_t *rmt_roster_first(rmt_roster_t *self);
rmt_member_t *rmt_roster_next(rmt_roster_t *self);
size_t rmt_roster_count(const rmt_roster_t *self);

// A member that was not heard for 15 s is absent, as Redis has it: it gets no task, and
// is dropped by the next rmt_roster_expire.
bool rmt_member_is_present(const rmt_member_t *self);
void rmt_roster_expire(rmt_roster_t *self);

// The offer of a service, or NULL.
rmt_service_offer_t *rmt_member_offer(rmt_member_t *self, const char *service);
// "name=slots,..." for Redis. Caller owns the result (free).
char *rmt_member_services(const rmt_member_t *self);

// Send to a member; borrows msg. It does not matter if that fails: what counts is asked
// or offered again. A member that reads nothing loses its connection.
void rmt_member_send(const rmt_member_t *self, const rmt_msg_t *msg);

// The same where it matters. 0, or -1: NOT_FOUND, UNAVAILABLE, TOO_BIG.
int rmt_member_try_send(const rmt_member_t *self, const rmt_msg_t *msg,
                        rmt_error_t *error);

// Whether it works over the store of a place; else it is the agent of one machine.
bool rmt_member_is_holder(const rmt_member_t *self);

// meta for calls in the name of a member. Caller owns the result.
rmt_record_t *rmt_member_meta(const rmt_member_t *self);

// A call of the function library in the name of a member, whose memory may be gone when
// the answer comes.
typedef struct {
    rmt_broker_t *broker;
    char key[RMT_USER_SIZE];
    char *service;
    char greeting[33];
} rmt_asked_t;

rmt_asked_t *rmt_asked_new(rmt_broker_t *broker, const rmt_member_t *member,
                           const char *service);
void rmt_asked_destroy(rmt_asked_t **self_p);
// The member the answer is for; NULL when it has gone or greeted anew, or the broker
// ends.
rmt_member_t *rmt_asked_member(const rmt_asked_t *self, const rmt_msg_t *reply);

// Tasks in hand: {task, attempt, job, service, subject, stage, worker, phase}.
void rmt_roster_fly(rmt_roster_t *self, const char *key, const rmt_record_t *task);
rmt_record_t *rmt_roster_flight(rmt_roster_t *self, const char *task);
// The ids of tasks whose worker is no member. Caller owns the result.
zlist_t *rmt_roster_strays(rmt_roster_t *self);
void rmt_roster_land(rmt_roster_t *self, const char *task);
