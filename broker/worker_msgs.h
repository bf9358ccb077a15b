// worker_msgs - the messages of a member that has said HELLO.
#pragma once

#include "broker/roster.h"

// Borrows msg, but may take its body.
void rmt_worker_msgs_beat(rmt_broker_t *broker, rmt_member_t *member, rmt_msg_t *msg);
void rmt_worker_msgs_credit(rmt_broker_t *broker, rmt_member_t *member, rmt_msg_t *msg);
void rmt_worker_msgs_progress(rmt_broker_t *broker, rmt_member_t *member, rmt_msg_t *msg);
void rmt_worker_msgs_result(rmt_broker_t *broker, rmt_member_t *member, rmt_msg_t *msg);

// A message (act: its kind) names a task, and the member does not have this attempt of
// it. That is an act to be refused when the task is another's: count, log and audit it.
void rmt_worker_msgs_claim(rmt_broker_t *broker, const rmt_member_t *member,
                           const char *act, const char *task, uint32_t attempt);
