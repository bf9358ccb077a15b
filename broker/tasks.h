// tasks - hands tasks out to the members who offer their service and have credit.
//
// The queues are in Redis; never more tasks are sent than a member has credit for.
#pragma once

#include "broker/broker.h"
#include "broker/roster.h"

// There may be tasks of this service: those who offer it and have credit take some.
void rmt_tasks_wake(rmt_broker_t *broker, const char *service);

// Take tasks for all that this member offers.
void rmt_tasks_feed(rmt_broker_t *broker, rmt_member_t *member);

// Forget a task in hand, with its percentage: it has ended, or is another's.
void rmt_tasks_land(rmt_broker_t *broker, const char *task);

// Forget the tasks of members that have gone.
void rmt_tasks_expire(rmt_broker_t *broker);

// A task that no longer belongs to the member. item: {task, attempt}.
void rmt_tasks_cancel(const rmt_member_t *member, const rmt_record_t *item);
