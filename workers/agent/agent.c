#include "agent/agent.h"
#include "kernel/rmt_initramfs.h"
#include "agent/hardware.h"
#include "base/rmt_auto.h"
#include "base/rmt_random.h"
#include "wire/rmt_codec.h"
#include "net/rmt_enrol.h"
#include "crypto/rmt_id.h"
#include "facts/rmt_layout.h"
#include "machine/rmt_inventory.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define TEXT_SIZE_MAX ((size_t) 4096)

const rmt_config_row_t RMT_AGENT_ROWS[] = {
    {"brokers", RMT_CONFIG_LIST, NULL, 1, 16, "Brokers, as host or host:base-port."},
    {"broker-key", RMT_CONFIG_TEXT, "", 0, 4096,
     "Public key of the brokers, or the path of its file; empty: the key in the token."},
    {"key", RMT_CONFIG_PATH, "/var/lib/ramet/agent.key", 0, 0,
     "Key file of this agent; without it the agent makes and enrols a key."},
    {"token", RMT_CONFIG_SECRET, "", 0, 4096,
     "Token that enrols the key, or the path of a file with the token."},
    {"name", RMT_CONFIG_TEXT, "", 0, 63,
     "Name of this machine; empty: the name that the broker has for it."},
    {"engine", RMT_CONFIG_TEXT, "", 0, 63,
     "Target: engine that it belongs to; empty: the engine that the token was made for."},
    {"role", RMT_CONFIG_TEXT, "", 0, 16,
     "Role, source or target, where the command line has none."},
    {"hardware", RMT_CONFIG_PATH, "", 0, 0,
     "File with hardware facts that the agent sends instead of this computer's own (for "
     "tests)."},
    {"trust-root", RMT_CONFIG_TEXT, "", 0, RMT_ID_TEXT_SIZE - 1,
     "Target: id of the trust root, as `ramet trust show` prints it; empty: that of the "
     "token. An agent that was told none carries out no order."},
    {"root", RMT_CONFIG_PATH, "", 0, 0, "Source: the tree to image."},
    {"layout", RMT_CONFIG_PATH, "", 0, 0,
     "Source: facts that describe the disk of root."},
    {"disk", RMT_CONFIG_PATH, "", 0, 0,
     "Disk image file or device that stands for all disks of this machine, together with "
     "further-disks."},
    {"further-disks", RMT_CONFIG_LIST, "", 0, RMT_LAYOUT_DISKS_MAX - 1,
     "Absolute paths of further disk image files or devices beside disk."},
    {"state", RMT_CONFIG_PATH, "/var/lib/ramet/agent", 0, 0,
     "Folder for key, name and stat caches."},
    {"profile", RMT_CONFIG_LIST, "default", 1, 16,
     "Source: profiles of paths to leave out: default, clean, or paths of files."},
    {"hook-before", RMT_CONFIG_PATH, "", 0, 0,
     "Source: program that runs before a capture, such as one that flushes a database."},
    {"hook-after", RMT_CONFIG_PATH, "", 0, 0,
     "Source: program that runs after the capture, or once all snapshots are made; it "
     "runs whenever hook-before was started."},
    {"hook-timeout-s", RMT_CONFIG_NUMBER, "60", 1, 100,
     "Source: seconds until a hook that still runs is ended."},
    {"snapshot", RMT_CONFIG_BOOL, "yes", 0, 0,
     "Source: read from a snapshot on volumes that can have one (btrfs, LVM)."},
    {"freeze-s", RMT_CONFIG_NUMBER, "0", 0, 60,
     "Source: freeze a volume without a snapshot while the agent reads it, for at most "
     "this many seconds; 0: never. The agent never freezes a volume that it writes to."},
    {"replay-mib", RMT_CONFIG_NUMBER, "4096", 1, 1048576,
     "Source: MiB that the agent may write below state while it images a volume that was "
     "not cleanly unmounted, to replay its log; what needs more is refused."},
    {"cache-margin-s", RMT_CONFIG_NUMBER, "60", 0, 86400,
     "Source: a file that changed within this many seconds before a capture is read "
     "again by the next one, because writes by mapped memory change its times late."},
    {"diskw", RMT_CONFIG_PATH, "", 0, 0,
     "Program that writes disks; empty: ramet-diskw in the folder of this program."},
    {"relays", RMT_CONFIG_BOOL, "yes", 0, 0,
     "Target: give chunks to the other targets of a job, and take chunks from them."},
    {"relay-mib", RMT_CONFIG_NUMBER, "0", 0, 1048576,
     "Target: MiB of memory that keep chunks for others while it installs; 0: a quarter "
     "of the machine's memory."},
    {"reboot", RMT_CONFIG_BOOL, "no", 0, 0,
     "Target: restart the machine after the install."},
    {NULL, 0, NULL, 0, 0, NULL},
};

static char *
s_load_text(const char *path, rmt_error_t *error)
{
    void *data;
    size_t size;
    if (rmt_io_load(path, TEXT_SIZE_MAX, &data, &size, error) == -1)
        return NULL;
    char *text = data;
    text[strcspn(text, " \t\r\n")] = '\0';
    return text;
}

static char *
s_name_path(const rmt_agent_t *self)
{
    return rmt_text("%s/name", rmt_config_text(self->config, "state"));
}

static void
s_on_wait(void *context, bool is_pending, const char *text)
{
    const rmt_agent_t *self = context;
    rmt_log(RMT_DEBUG, "enrol.wait", "pending=%s text=\"%s\"", is_pending ? "yes" : "no",
            text);
    if (self->watch)
        self->watch->on_enrol(self->watch->context, is_pending, text);
}

static rmt_record_t *
s_enrol_body(const rmt_agent_t *self)
{
    rmt_record_t *body = rmt_record_new();
    rmt_record_set(body, "role", self->role);
    if (*rmt_config_text(self->config, "name"))
        rmt_record_set(body, "name", rmt_config_text(self->config, "name"));
    if (*rmt_config_text(self->config, "engine"))
        rmt_record_set(body, "place", rmt_config_text(self->config, "engine"));
    rmt_auto_str identity = rmt_inventory_identity(self->hardware);
    if (identity)
        rmt_record_set(body, "identity", identity);
    rmt_auto(zchunk) packed = rmt_codec_pack_records(self->hardware);
    rmt_record_put(body, "hardware", zchunk_data(packed), zchunk_size(packed));
    return body;
}

// The name that the broker has given is kept beside the key.
static int
s_find_key(rmt_agent_t *self, rmt_error_t *error)
{
    rmt_auto_str token = rmt_token_find(rmt_config_text(self->config, "token"), error);
    if (!token)
        return -1;
    rmt_auto(rmt_record) body = s_enrol_body(self);
    rmt_auto(rmt_record) answer = NULL;
    const rmt_enrol_config_t config = {.brokers =
                                           rmt_config_list(self->config, "brokers"),
                                       .broker_key = self->broker_key,
                                       .token = token,
                                       .nonce = self->nonce,
                                       .body = body,
                                       .by_signals = true,
                                       .told = s_on_wait,
                                       .context = self};
    if (rmt_enrol_find(&config, rmt_config_text(self->config, "key"), &self->key, &answer,
                       error) == -1)
        return -1;
    if (!answer)
        return 0;
    const char *name = rmt_record_text(answer, "name", "");
    rmt_log(RMT_INFO, "enrol.approved", "role=%s name=%s key=%s", self->role, name,
            self->key.public_text);
    rmt_auto_str path = s_name_path(self);
    return rmt_io_save(path, name, strlen(name), 0644, error);
}

static int
s_find_name(rmt_agent_t *self, rmt_error_t *error)
{
    const char *name = rmt_config_text(self->config, "name");
    if (*name) {
        self->name = rmt_text("%s", name);
        return 0;
    }
    rmt_auto_str path = s_name_path(self);
    self->name = s_load_text(path, error);
    return self->name ? 0 : rmt_wrap(error, "read the name of this machine");
}

static int
s_setup(rmt_agent_t *self, rmt_error_t *error)
{
    if (rmt_io_mkdirs(rmt_config_text(self->config, "state"), 0700, error) == -1 ||
        rmt_token_broker_key(rmt_config_text(self->config, "broker-key"),
                             rmt_config_text(self->config, "token"), self->broker_key,
                             error) == -1)
        return -1;
    self->hosts =
        rmt_hosts_new(rmt_config_list(self->config, "brokers"), RMT_PORT_AGENTS, error);
    if (!self->hosts)
        return -1;
    self->hardware = rmt_hardware_new(self->config, self->role, error);
    if (!self->hardware)
        return -1;
    if (s_find_key(self, error) == -1)
        return -1;
    return s_find_name(self, error);
}

rmt_agent_t *
rmt_agent_new(const rmt_config_t *config, const char *role,
              const rmt_agent_watch_t *watch, rmt_error_t *error)
{
    rmt_auto(rmt_agent) self = calloc(1, sizeof *self);
    assert(self);
    self->config = config;
    self->role = role;
    self->watch = watch;
    rmt_random_bytes(self->nonce, sizeof self->nonce);
    if (s_setup(self, error) == -1)
        return NULL;
    return rmt_take(&self);
}

void
rmt_agent_destroy(rmt_agent_t **self_p)
{
    rmt_agent_t *self = *self_p;
    if (!self)
        return;
    rmt_key_wipe(&self->key);
    rmt_hosts_destroy(&self->hosts);
    rmt_records_destroy(&self->hardware);
    rmt_initramfs_memory_destroy(&self->initramfs);
    free(self->name);
    free(self);
    *self_p = NULL;
}
