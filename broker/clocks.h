// clocks - which clocks of the farm differ from that of the broker.
//
// A wrong time of day harms nothing in ramet, but logs, certificates and people rest on
// it.
#pragma once

#include "broker/roster.h"

// Look at the wall-ms of a HELLO: when the peer's time of day differs, log it and leave
// clock-ahead-s in the body for Redis. wall-ms goes.
void rmt_clocks_look(const rmt_member_t *member, rmt_record_t *body);

// Put Redis before the clocks of a farm.status when its redis-ms differs. redis-ms goes.
void rmt_clocks_add_redis(rmt_record_t *body);
