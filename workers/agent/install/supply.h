// supply - the chunks of one image from an engine, for as long as a holder has them.
//
// Holders are asked for by the verb `holders` at the start and again when none of those
// known still answers: an engine's installer may be replaced by another one in the
// middle. A broker is needed only then.
#pragma once

#include "base/rmt_error.h"
#include "exchange/rmt_fetch.h"
#include "crypto/rmt_key.h"
#include "net/rmt_worker.h"
#include "agent/install/relays.h"

typedef struct rmt_supply rmt_supply_t;

// relays: of those that install the same image; NULL: all comes from the engine. Borrows
// all but place until destroyed. Caller owns the result. NULL: what the broker
// says, UNAVAILABLE, CANCELLED.
rmt_supply_t *rmt_supply_new(rmt_task_t *task, const rmt_key_t *own, const char *place,
                             const rmt_id_t *image, rmt_relays_t *relays,
                             rmt_error_t *error);
void rmt_supply_destroy(rmt_supply_t **self_p);

// A rmt_chunk_source_fn with a rmt_supply_t as its context, and what it will be asked
// for.
int rmt_supply_read(void *supply, const rmt_id_t *id, void *plain_out, size_t *size_out,
                    rmt_error_t *error);
void rmt_supply_expect(rmt_supply_t *self, const rmt_id_t *ids, size_t count);

// Contents, in the order in which they are expected.
int rmt_supply_read_contents(rmt_supply_t *self, const rmt_id_t *id, void *plain_out,
                             size_t *size_out, rmt_error_t *error);
// One more is expected.
void rmt_supply_expect_contents(rmt_supply_t *self, const rmt_id_t *id, uint32_t size);
