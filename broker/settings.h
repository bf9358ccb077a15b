// settings - the broker's configuration as a plain struct.
#pragma once

#include "base/rmt_config.h"
#include "crypto/rmt_key.h"
#include "state/rmt_state.h"

#define RMT_PASSWORD_SIZE 513

typedef struct {
    const char *host; // All are valid as long as the configuration
    uint16_t port;
    rmt_state_server_t redis;
    char redis_password[RMT_PASSWORD_SIZE], sentinel_password[RMT_PASSWORD_SIZE];
    const char *state_file;
    const char *audit_folder; // "": that beside the state file
    const char *const *admins;
    rmt_key_t own;
    uint32_t beat_ms, lease_ms, grace_ms, scan_ms;
    uint32_t stuck_s, silent_s, broker_wait_s, mute_s, handshake_ms;
    bool relays;
} rmt_settings_t;

extern const rmt_config_row_t rmt_settings_rows[];

// Read key and passwords too. Borrows config for the life of the settings, and refers to
// itself: it stays where it is. 0, or -1: CONFIG, NOT_FOUND, IO.
int rmt_settings_read(rmt_settings_t *self, const rmt_config_t *config,
                      rmt_error_t *error);
