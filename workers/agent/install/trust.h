// trust - what a target asks of an order before it prepares and before it writes (P20,
// P21; docs/spec/7-trust.md).
//
// It relies on the trust root that its settings name by id, else its token, else what it
// was told last, and on the versions that follow it, which it asks a broker for and
// checks. The newest one, and when the newest warrant was issued that it has accepted,
// are kept in the state folder.
//
// The tasks of prepare and of write use it in two threads; it has a lock of its own.
#pragma once

#include "agent/agent.h"
#include "base/rmt_error.h"
#include "facts/rmt_order.h"
#include "net/rmt_worker.h"

typedef struct rmt_trust rmt_trust_t;

// Borrows agent. Caller owns the result. NULL: CONFIG (the setting is not an id), IO.
rmt_trust_t *rmt_trust_new(const rmt_agent_t *agent, rmt_error_t *error);
void rmt_trust_destroy(rmt_trust_t **self_p);

// The id of the trust root that it was told, or "".
const char *rmt_trust_told(const rmt_trust_t *self, char text_out[RMT_ID_TEXT_SIZE]);

// May this order be carried out? Its task's body has the warrant and the signatures of
// the image; the layout of the order is held against the image's descriptor, which is
// fetched, and gives the volumes of a short one. Without a trust root no order may.
// *signers_out, owned by the caller: who signed, for people. Blocks for the broker and a
// holder. 0, or -1: NOT_ALLOWED, what a broker or a holder says.
int rmt_trust_check(rmt_trust_t *self, rmt_task_t *task, rmt_order_t *order,
                    char **signers_out, rmt_error_t *error);
