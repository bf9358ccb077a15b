#include "broker/settings.h"
#include "base/rmt_auto.h"
#include "crypto/rmt_secret.h"
#include "net/rmt_socket.h"

#include <string.h>

const rmt_config_row_t rmt_settings_rows[] = {
    {"listen", RMT_CONFIG_TEXT, "*", 1, 255,
     "Address to listen at; * is every interface."},
    {"port", RMT_CONFIG_NUMBER, "7700", 1, 65531,
     "Base port. The five ports from it on are: enrol, agents, workers, console, "
     "events."},
    {"key", RMT_CONFIG_PATH, NULL, 0, 0, "Key pair of the broker."},
    {"redis", RMT_CONFIG_TEXT, "/run/redis-ramet/redis.sock", 1, 255,
     "Unix socket of Redis, or host:port. Not looked at when redis-sentinels has any."},
    {"redis-user", RMT_CONFIG_TEXT, "", 0, 255,
     "User of Redis, by its ACL; empty: the default user."},
    {"redis-password", RMT_CONFIG_PATH, "", 0, 0,
     "File with the password for Redis, which no other user can read; empty: none."},
    {"redis-database", RMT_CONFIG_NUMBER, "0", 0, 65535, "Number of the database."},
    {"redis-sentinels", RMT_CONFIG_LIST, "", 0, RMT_SENTINELS_MAX,
     "host:port of each sentinel. The broker uses the primary that more than half of "
     "them "
     "name."},
    {"redis-primary", RMT_CONFIG_TEXT, "ramet", 1, 255,
     "Name that the sentinels have for the primary."},
    {"redis-replicas", RMT_CONFIG_NUMBER, "1", 0, 15,
     "With sentinels: how many replicas must have a change before the broker "
     "answers."},
    {"sentinel-user", RMT_CONFIG_TEXT, "", 0, 255,
     "User of the sentinels, by their ACL; empty: the default user."},
    {"sentinel-password", RMT_CONFIG_PATH, "", 0, 0,
     "File with the password for the sentinels, as redis-password; empty: none."},
    {"admins", RMT_CONFIG_LIST, NULL, 1, 256, "Public key files of administrators."},
    {"state", RMT_CONFIG_PATH, NULL, 0, 0,
     "File with the era and the youngest audit entry. By it the broker knows a Redis "
     "that was restored from an older copy."},
    {"audit", RMT_CONFIG_PATH, "", 0, 0,
     "Folder for the audit files of this broker, and the key that signs them. Each "
     "broker has its own; empty: the path of the state file with .audit behind it."},
    {"redis-timeout-ms", RMT_CONFIG_NUMBER, "5000", 100, 60000,
     "Milliseconds until Redis counts as gone."},
    {"beat-ms", RMT_CONFIG_NUMBER, "3000", 100, 30000, "Milliseconds between beats."},
    {"lease-ms", RMT_CONFIG_NUMBER, "15000", 300, 300000,
     "Milliseconds that a task stays with a silent worker."},
    {"grace-ms", RMT_CONFIG_NUMBER, "20000", 0, 300000,
     "Milliseconds of contact with Redis before this broker ends leases that have run "
     "out."},
    {"scan-ms", RMT_CONFIG_NUMBER, "1000", 50, 10000,
     "Milliseconds between two scans of queues that other brokers fill."},
    {"stuck-s", RMT_CONFIG_NUMBER, "12", 1, 3600,
     "Seconds that a task waits for a worker before its job is shown as stuck."},
    {"silent-s", RMT_CONFIG_NUMBER, "600", 1, 86400,
     "Seconds that a machine may be silent before its task fails."},
    {"broker-wait-s", RMT_CONFIG_NUMBER, "120", 1, 86400,
     "Seconds after a start of Redis for which a broker that has not come back is "
     "awaited. No target is written meanwhile; then its locks are void."},
    {"mute-s", RMT_CONFIG_NUMBER, "60", 1, 3600,
     "Seconds for which the broker does not hear a key that broke the rules too often."},
    {"handshake-ms", RMT_CONFIG_NUMBER, "6000", RMT_HANDSHAKE_MS_MIN,
     RMT_HANDSHAKE_MS_MAX,
     "Milliseconds that a connection has until its peer has shown its key: four round "
     "trips of the slowest link."},
    {"relays", RMT_CONFIG_BOOL, "yes", 0, 0,
     "Targets of one job give each other chunks, so that the engine sends them once."},
    {NULL, RMT_CONFIG_TEXT, NULL, 0, 0, NULL},
};

static uint32_t
s_number(const rmt_config_t *config, const char *path)
{
    return (uint32_t) rmt_config_number(config, path);
}

// The first line of a file. No path: no password, and so no user.
static int
s_read_password(const rmt_config_t *config, const char *user, const char *setting,
                char out[RMT_PASSWORD_SIZE], rmt_error_t *error)
{
    const char *path = rmt_config_text(config, setting);
    if (!*path && !*rmt_config_text(config, user))
        return 0;
    if (!*path)
        return rmt_fail(error, RMT_E_CONFIG,
                        "%s is given without %s, the file with its password", user,
                        setting);
    rmt_auto_secret text = NULL;
    if (rmt_secret_load(path, setting, &text, error) == -1)
        return -1;
    const size_t size = strcspn(text, "\r\n");
    if (size == 0 || size >= RMT_PASSWORD_SIZE)
        return rmt_fail(error, RMT_E_CONFIG,
                        "the first line of %s, the %s, has %zu octets; a password has 1 "
                        "to %d",
                        path, setting, size, RMT_PASSWORD_SIZE - 1);
    memcpy(out, text, size);
    out[size] = '\0';
    return 0;
}

static int
s_read_redis(rmt_settings_t *self, const rmt_config_t *config, rmt_error_t *error)
{
    if (s_read_password(config, "redis-user", "redis-password", self->redis_password,
                        error) == -1 ||
        s_read_password(config, "sentinel-user", "sentinel-password",
                        self->sentinel_password, error) == -1)
        return -1;
    self->redis = (rmt_state_server_t){
        .address = rmt_config_text(config, "redis"),
        .user = rmt_config_text(config, "redis-user"),
        .password = self->redis_password,
        .database = s_number(config, "redis-database"),
        .sentinels = rmt_config_list(config, "redis-sentinels"),
        .primary = rmt_config_text(config, "redis-primary"),
        .sentinel_user = rmt_config_text(config, "sentinel-user"),
        .sentinel_password = self->sentinel_password,
        .replicas = s_number(config, "redis-replicas"),
        .timeout_ms = s_number(config, "redis-timeout-ms"),
    };
    return 0;
}

int
rmt_settings_read(rmt_settings_t *self, const rmt_config_t *config, rmt_error_t *error)
{
    *self = (rmt_settings_t){
        .host = rmt_config_text(config, "listen"),
        .port = (uint16_t) rmt_config_number(config, "port"),
        .state_file = rmt_config_text(config, "state"),
        .audit_folder = rmt_config_text(config, "audit"),
        .admins = rmt_config_list(config, "admins"),
        .beat_ms = s_number(config, "beat-ms"),
        .lease_ms = s_number(config, "lease-ms"),
        .grace_ms = s_number(config, "grace-ms"),
        .scan_ms = s_number(config, "scan-ms"),
        .stuck_s = s_number(config, "stuck-s"),
        .silent_s = s_number(config, "silent-s"),
        .broker_wait_s = s_number(config, "broker-wait-s"),
        .mute_s = s_number(config, "mute-s"),
        .handshake_ms = s_number(config, "handshake-ms"),
        .relays = rmt_config_bool(config, "relays"),
    };
    if (s_read_redis(self, config, error) == -1)
        return -1;
    return rmt_key_load(&self->own, rmt_config_text(config, "key"), error);
}
