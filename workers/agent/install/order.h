// order - the order of a task (rmt_order), as it comes in, and its name.
#pragma once

#include "crypto/rmt_id.h"
#include "facts/rmt_order.h"

// Caller owns the result. NULL: PROTOCOL, TOO_BIG, and what rmt_order_read says.
rmt_order_t *rmt_order_unpack(const void *data, size_t size, rmt_error_t *error);

// What names an order that was prepared by one start of an agent.
void rmt_order_plan(const void *data, size_t size, const uint8_t nonce[16],
                    rmt_id_t *plan_out);
