// doctor - what "ramet doctor" finds: by the key files of this computer, by each broker
// that the settings name, and what the first broker that answers says of the farm.
#pragma once

#include "console/call.h"

typedef struct {
    rmt_record_t *status;    // Of the broker that answered; empty when none was asked
    rmt_records_t *services; // Of the farm
    rmt_records_t *own;      // Findings {level, check, text, next} of this computer
    rmt_records_t *told;     // Findings of the broker
} doctor_t;

// Caller owns the result.
doctor_t *doctor_new(void);
void doctor_destroy(doctor_t **self_p);

// Look and ask. Without a sound key of its own the console asks no broker, and says why.
// 0, or -1: what the brokers said, UNAVAILABLE when none has answered, CONFIG, USAGE.
int doctor_ask(doctor_t *self, call_t *call, rmt_error_t *error);
