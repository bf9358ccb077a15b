// worker_msgs - the messages of a member that has said HELLO.
#pragma once

#include "broker/roster.h"

// Borrows msg, but may take its body.
void rmt_worker_msgs_beat(rmt_broker_t *broker, rmt_member_t *member, rmt_msg_t *msg);
void rmt_worker_msgs_credit(rmt_broker_t *broker, rmt_member_t *member, rmt_msg_t *msg);
void rmt_worker_msgs_progress(rmt_broker_t *broker, rmt_member_t *member, rmt_msg_t *msg);
void rmt_worker_msgs_result(rmt_broker_t *broker, rmt_member_t *member, rmt_msg_t *msg);

// Redis says of a task that a message of this kind named that it is no longer the
// member's: forget it, cancel it, and refuse the act when the task is another's. item:
// {task, attempt}.
void rmt_worker_msgs_gone(rmt_broker_t *broker, const rmt_member_t *member,
                          rmt_msg_kind_t kind, const rmt_record_t *item);
