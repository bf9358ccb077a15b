#include "broker/settings.h"
#include "net/rmt_socket.h"

const rmt_config_row_t rmt_settings_rows[] = {
    {"listen", RMT_CONFIG_TEXT, "*", 1, 255,
     "Address to listen at; * is every interface."},
    {"port", RMT_CONFIG_NUMBER, "7700", 1, 65531,
     "Base port. The five ports from it on are: enrol, agents, workers, console, "
     "events."},
    {"key", RMT_CONFIG_PATH, NULL, 0, 0, "Key pair of the broker."},
    {"redis", RMT_CONFIG_TEXT, "/run/redis-ramet/redis.sock", 1, 255,
     "Unix socket of Redis, or host:port."},
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
    {NULL, RMT_CONFIG_TEXT, NULL, 0, 0, NULL},
};

static uint32_t
s_number(const rmt_config_t *config, const char *path)
{
    return (uint32_t) rmt_config_number(config, path);
}

int
rmt_settings_read(rmt_settings_t *self, const rmt_config_t *config, rmt_error_t *error)
{
    *self = (rmt_settings_t){
        .host = rmt_config_text(config, "listen"),
        .port = (uint16_t) rmt_config_number(config, "port"),
        .redis = rmt_config_text(config, "redis"),
        .state_file = rmt_config_text(config, "state"),
        .audit_folder = rmt_config_text(config, "audit"),
        .admins = rmt_config_list(config, "admins"),
        .redis_timeout_ms = s_number(config, "redis-timeout-ms"),
        .beat_ms = s_number(config, "beat-ms"),
        .lease_ms = s_number(config, "lease-ms"),
        .grace_ms = s_number(config, "grace-ms"),
        .scan_ms = s_number(config, "scan-ms"),
        .stuck_s = s_number(config, "stuck-s"),
        .silent_s = s_number(config, "silent-s"),
        .broker_wait_s = s_number(config, "broker-wait-s"),
        .mute_s = s_number(config, "mute-s"),
        .handshake_ms = s_number(config, "handshake-ms"),
    };
    return rmt_key_load(&self->own, rmt_config_text(config, "key"), error);
}
