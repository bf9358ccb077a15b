// confirm - asks a broker, until one answers, to take down that this system is up.
#pragma once

#include "rmt_error.h"
#include "rmt_key.h"
#include "rmt_record.h"

typedef struct {
    const char *const *brokers; // "host:port" of agents' ports, NULL-terminated
    const rmt_key_t *own;
    const char *broker_key;
    const char *name; // Of the target
} rmt_confirm_config_t;

// Send target.confirm with this body over and over until a broker has answered it; a
// broker that is busy is asked again. Blocks until then, or until SIGTERM or SIGINT.
// Returns 0, or -1: the code of a refusal, CANCELLED, IO.
int rmt_confirm_run(const rmt_confirm_config_t *config, const rmt_record_t *body,
                    rmt_error_t *error);
