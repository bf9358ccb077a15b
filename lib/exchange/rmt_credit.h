// rmt_credit - the cost of a frame of bytes in a window.
//
// Small frames cost more than their bytes in queues, so each has a surcharge, which
// also bounds how many messages a window can hold. Both sides count the same way.
#pragma once

#include <stdint.h>

#define RMT_CREDIT_SURCHARGE ((uint64_t) 8 * 1024)

static inline uint64_t
rmt_credit_cost(uint64_t size)
{
    return size + RMT_CREDIT_SURCHARGE;
}
