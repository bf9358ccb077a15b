// relays - this target among those that install the same image: its relay while it writes
// and until it restarts, and what it and the broker tell each other of it.
//
// All of it is a help: whatever fails here leaves the engine alone to give everything.
#pragma once

#include "agent/agent.h"
#include "exchange/rmt_peering.h"
#include "net/rmt_worker.h"

typedef struct rmt_relays rmt_relays_t;

// Borrows agent. Caller owns the result.
rmt_relays_t *rmt_relays_new(const rmt_agent_t *agent);
void rmt_relays_destroy(rmt_relays_t **self_p);

// Leave the relay of the last install, and open that of this one. Returns it, or NULL:
// relays are off, the job has this one target, or no relay can be opened; it is valid
// until the next begin.
rmt_peering_t *rmt_relays_begin(rmt_relays_t *self, rmt_task_t *task,
                                const rmt_id_t *image);
// Tell the broker now and then where the install is, and hear of others. Never waits.
void rmt_relays_tick(rmt_relays_t *self, rmt_task_t *task);
// The install has ended, and so many chunks came from others: what was read is given
// further.
void rmt_relays_end(rmt_relays_t *self, uint64_t relayed);

// What the broker says of a newcomer; in another thread than the rest.
void rmt_relays_told(rmt_relays_t *self, const rmt_records_t *items);
