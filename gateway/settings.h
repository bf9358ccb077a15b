// settings - what the file of the gateway says, read and checked.
#pragma once

#include "base/rmt_config.h"
#include "crypto/rmt_key.h"
#include "facts/rmt_hosts.h"

#define SETTINGS_WEBHOOKS_MAX 8

extern const rmt_config_row_t settings_rows[];

// Strings are borrowed from the configuration but those that are said to be own.
typedef struct {
    const char *listen;
    rmt_hosts_t *brokers; // Own: their console ports
    char broker_key[RMT_KEY_TEXT_SIZE];
    rmt_key_t own;
    char *certificate, *private_key; // Own: PEM texts, or NULL
    char *read_token;                // Own: which readers must give, or NULL
    const char *const *hosts;
    const char *const *operators; // Paths of their settings
    const char *page;             // Folder
    const char *const *webhooks;  // URLs
    const char *webhook_ca;       // File
    char *webhook_secret;         // Own, or NULL
    const char *state;            // Folder
    unsigned connections, streams;
    unsigned connections_per_address; // 0: no limit
} settings_t;

// Make and enrol the key when it is missing. Blocks until it is approved. Free it with
// settings_free in both cases. 0, or -1: CONFIG (also for a listener that others reach,
// without what keeps it), NOT_ALLOWED, CANCELLED, IO.
int settings_read(settings_t *self, const rmt_config_t *config, rmt_error_t *error);
void settings_free(settings_t *self);

// A secret that is given as Authorization: Bearer SECRET, from a file that others cannot
// read. Caller owns *secret_out (rmt_secret_free); NULL for an empty path. 0, or -1:
// CONFIG, NOT_FOUND, IO.
int settings_load_secret(const char *path, const char *what, char **secret_out,
                         rmt_error_t *error);
