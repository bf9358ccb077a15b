// confirm - asks a broker, until one answers, to take down that this system is up.
#pragma once

#include "base/rmt_error.h"
#include "crypto/rmt_key.h"
#include "base/rmt_record.h"

typedef struct {
    const char *const *brokers; // "host:port" of agents' ports, NULL-terminated
    const rmt_key_t *own;
    const char *broker_key;
    const char *name; // Of the target
} rmt_confirm_config_t;

// Send target.confirm with this body and the outcomes of scripts over and over until a
// broker has answered it, however long that takes; a broker that is busy is asked again.
// Pauses grow from a second to a minute, each by chance between half and one and a half
// of it, so that a farm that boots at once does not ask at once. Blocks until then, or
// until SIGTERM or SIGINT. Returns 0, or -1: the code of a refusal, CANCELLED, IO.
int rmt_confirm_run(const rmt_confirm_config_t *config, const rmt_record_t *body,
                    const rmt_records_t *outcomes, rmt_error_t *error);

// Say once how far this boot is, as news for people; whether it is heard is not told.
// Blocks for at most some seconds.
void rmt_confirm_say(const rmt_confirm_config_t *config, const char *text);
