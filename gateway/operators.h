// operators - who may act over HTTP. Each has two files: NAME.cfg, the settings of a
// console with the keys by which the operator acts, and beside it NAME.token, whose
// secret the operator gives.
//
// operators_act belongs to the thread that does acts, the other functions to the one that
// serves HTTP; what they use is not shared.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_error.h"

#define OPERATORS_MAX 32
#define OPERATORS_ACTS_MAX 30 // At once of one operator; then one a second

typedef struct operators operators_t;

// Read the files of these paths of settings. Caller owns the result. NULL: CONFIG (a file
// that others can read, a secret that is short or that two have), NOT_FOUND, IO.
operators_t *operators_new(const char *const *paths, rmt_error_t *error);
void operators_destroy(operators_t **self_p);

bool operators_are_any(const operators_t *self);

// Whose secret this is; NULL: of none. Valid as long as the object.
const char *operators_find(const operators_t *self, const char *secret);

// May this operator act once more at this time? It is counted.
bool operators_take_act(operators_t *self, const char *name, int64_t now_ms);

typedef struct {
    const char *name; // Of the operator
    const char *path; // One that acts_has, or OPERATORS_WHO
    const char *body; // JSON
    const char *key;  // Under which the act has its effect once
} operators_act_t;
#define OPERATORS_WHO "/api/v1/operator" // Who the operator is to the brokers

// Blocks until the brokers have answered, or some seconds. Caller owns the answer (JSON).
// NULL: as acts_run, CONFIG, UNAVAILABLE.
char *operators_act(operators_t *self, const operators_act_t *act, rmt_error_t *error);
