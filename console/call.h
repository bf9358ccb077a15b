// call - one invocation of the console: its arguments, its options, its connection.
#pragma once

#include <stdbool.h>
#include "base/rmt_config.h"
#include "console/view.h"
#include "facts/rmt_endpoint.h"
#include "net/rmt_client.h"
#include "base/rmt_error.h"
#include "crypto/rmt_key.h"
#include "base/rmt_record.h"
#include "wire/rmt_msg.h"

typedef struct command command_t;

// By what the requests of a call are named that may be made a second time, when its
// answer was lost, and has its effect once: the second call has the same.
typedef struct {
    uint8_t key[RMT_UID_SIZE];     // Of all that is asked under it
    uint8_t content[RMT_UID_SIZE]; // Of what is asked
} call_once_t;

typedef struct {
    const command_t *command;
    rmt_record_t *options; // Long options that were given; flags have "yes"
    char **operands;       // Borrowed from argv
    size_t operand_count;
    view_t view;                              // How lists are shown
    bool json;                                // The view's format is JSON
    const char *config_path;                  // NULL: the default places
    rmt_config_t *config;                     // Read when it is needed
    rmt_client_t *client;                     // Made at the first request
    rmt_key_t own;                            // Of the connection; valid with client
    char broker_host[RMT_ENDPOINT_HOST_SIZE]; // Of the first broker
    const call_once_t *once;                  // NULL: the call is made once
    unsigned act_count;                       // Requests of call_act
    rmt_records_t *said;                      // Where call_say goes; NULL: standard error
} call_t;

// Connect when needed and ask; the reply has code 0 and is the caller's.
// NULL: what the broker said, UNAVAILABLE, CONFIG. Blocks until answered or timed out.
rmt_msg_t *call_request(call_t *self, const char *verb, rmt_record_t *body,
                        rmt_records_t *items, rmt_error_t *error);

// The same for the request by which the call acts.
rmt_msg_t *call_act(call_t *self, const char *verb, rmt_record_t *body,
                    rmt_records_t *items, rmt_error_t *error);

// Tell the user something beside the result: a line, without its end.
void call_say(const call_t *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Ask a list verb to its last page. Caller owns. NULL as above.
rmt_records_t *call_list(call_t *self, const char *verb, rmt_record_t *body,
                         rmt_error_t *error);

// The same, with the body of the first page. Caller owns. NULL as above.
rmt_msg_t *call_whole(call_t *self, const char *verb, rmt_record_t *body,
                      rmt_error_t *error);

// Connect without asking. 0, or -1: CONFIG, UNAVAILABLE.
int call_connect(call_t *self, rmt_error_t *error);

// A connection to this broker (host:base-port) alone, which gives it some seconds for an
// answer. Caller owns the result. NULL: CONFIG, USAGE.
rmt_client_t *call_client(call_t *self, const char *broker, rmt_error_t *error);

// Announce the key that the configuration names, made when it is missing, with a token,
// and wait until it may act. body: {role, name}. Caller owns the answer {name, role,
// place}; an empty record when the key was there already. NULL: as rmt_enrol_find.
rmt_record_t *call_enrol(call_t *self, const char *token, const rmt_record_t *body,
                         rmt_error_t *error);

// The configuration; call keeps it. NULL: CONFIG.
const rmt_config_t *call_config(call_t *self, rmt_error_t *error);

// Write every setting of the console, as rmt_config_print does.
void call_print_settings(FILE *out);

// A path that the configuration has, or "". NULL: CONFIG.
const char *call_path(call_t *self, const char *name, rmt_error_t *error);

// Operand at index, or NULL.
const char *call_operand(const call_t *self, size_t index);

// The command line of this call without --yes and --count, with all other options that it
// was given, for people to paste, with more at its end. Caller owns (free).
char *call_line(const call_t *self, const char *more);

// A new body record that holds the given options under their names.
rmt_record_t *call_body(const call_t *self);

void call_close(call_t *self);
