// rmt_holder - the common part of imagers and installers: a worker over the store of a
// place, with a key, a data port, and the link to the broker.
#pragma once

#include "base/rmt_config.h"
#include "base/rmt_error.h"
#include "crypto/rmt_key.h"
#include "exchange/rmt_serve.h"
#include "net/rmt_worker.h"

typedef struct rmt_holder rmt_holder_t;

// The settings of such a program; ends with a row without path.
extern const rmt_config_row_t RMT_HOLDER_ROWS[];

// Load the key, or make and enrol one with the token; open the store, start the data
// port, which tells event what it sees (see rmt_serve.h). role: "imager" (takes streams
// too) or "installer". Borrows config. Blocks until the key is approved. Caller owns the
// result. NULL: CONFIG, NOT_ALLOWED, CANCELLED, IO.
rmt_holder_t *rmt_holder_new(const rmt_config_t *config, const char *role,
                             rmt_serve_event_fn *event, rmt_error_t *error);
void rmt_holder_destroy(rmt_holder_t **self_p);

// One service of the place: verb "commit" is offered as "commit@PLACE".
typedef struct {
    const char *verb;
    uint32_t slots;
    rmt_task_fn *run; // Its context is the holder
} rmt_holder_service_t;

// Offer services and run until SIGTERM. 0, or -1: IO.
int rmt_holder_run(rmt_holder_t *self, const rmt_holder_service_t *services, size_t count,
                   rmt_error_t *error);

const rmt_config_t *rmt_holder_config(const rmt_holder_t *self);
const char *rmt_holder_store(const rmt_holder_t *self); // Folder
const char *rmt_holder_place(const rmt_holder_t *self);
const rmt_key_t *rmt_holder_key(const rmt_holder_t *self);
