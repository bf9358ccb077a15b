#include "agent/install/target.h"
#include "agent/source/compare.h"
#include "agent/install/feed.h"
#include "agent/hardware.h"
#include "agent/install/prepare.h"
#include "agent/install/relays.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "crypto/rmt_box.h"
#include "crypto/rmt_secret.h"
#include "disk/rmt_fuse_disk.h"
#include "disk/rmt_luks.h"
#include "wire/rmt_codec.h"
#include "machine/rmt_inventory.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"
#include "agent/install/gate.h"
#include "agent/install/trust.h"
#include "agent/install/twins.h"

#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>

typedef struct {
    rmt_agent_t *agent;
    rmt_gate_t *gate; // Shared by the threads of both services, as trust is
    rmt_trust_t *trust;
    rmt_worker_t *worker;
    rmt_relays_t *relays;
    bool reboot; // Read when the worker has ended
    // An install goes before a comparison, which leaves the disk when it is wanted.
    atomic_bool is_disk_wanted, is_comparing;
} target_t;

#define CONTENTS_MAX 512 // That a greeting tells; all are looked at before ARM
#define LEAVE_MS 30000
#define LEAVE_STEP_MS 20

// ---- Comparing

static int
s_compare(rmt_task_t *task, void *context, rmt_error_t *error)
{
    target_t *self = context;
    atomic_store(&self->is_comparing, true);
    const int result =
        atomic_load(&self->is_disk_wanted)
            ? rmt_fail(error, RMT_E_REFUSED, "an install of this machine is running")
            : rmt_compare_task(task, self->agent, &self->is_disk_wanted, error);
    atomic_store(&self->is_comparing, false);
    return result;
}

static int
s_claim_disk(target_t *self, rmt_task_t *task, rmt_error_t *error)
{
    atomic_store(&self->is_disk_wanted, true);
    const int64_t until = rmt_clock_ms() + LEAVE_MS;
    while (atomic_load(&self->is_comparing)) {
        const struct timespec step = {.tv_nsec = LEAVE_STEP_MS * 1000000L};
        if (rmt_clock_ms() > until)
            return rmt_fail(error, RMT_E_UNAVAILABLE,
                            "a comparison did not close the disk within %d s",
                            LEAVE_MS / 1000);
        nanosleep(&step, NULL);
        rmt_task_tick(task);
    }
    return 0;
}

// ---- Installing

// The order of a task, as bytes and unpacked. Caller owns *order_out.
static int
s_read_order(rmt_task_t *task, const void **data_out, size_t *size_out,
             rmt_order_t **order_out, rmt_error_t *error)
{
    const void *data = rmt_record_get(rmt_task_body(task), "order", size_out);
    if (!data)
        return rmt_fail(error, RMT_E_PROTOCOL, "the task has no order");
    *order_out = rmt_order_unpack(data, *size_out, error);
    *data_out = data;
    return *order_out ? 0 : -1;
}

// *warning_out, if it is asked for: about other disks, or NULL. These are looked at then,
// before the target is armed. Caller owns both.
static rmt_records_t *
s_find_disks(const target_t *self, const rmt_order_t *order, char **warning_out,
             rmt_error_t *error)
{
    if (strcmp(order->target, self->agent->name) != 0) {
        rmt_fail(error, RMT_E_REFUSED, "the order is for %.63s, and this machine is %s",
                 order->target, self->agent->name);
        return NULL;
    }
    // Disks may have come and gone since the start.
    rmt_auto(rmt_records) hardware =
        rmt_hardware_new(self->agent->config, "target", error);
    if (!hardware)
        return NULL;
    const char *only = rmt_config_text(self->agent->config, "disk");
    rmt_auto(rmt_records) disks = rmt_prepare_disks(order, hardware, error);
    if (!disks || !warning_out)
        return rmt_take(&disks);
    rmt_twins_read(self->agent->config, SIZE_MAX, hardware);
    if (rmt_twins_check(order, hardware, disks, error) == -1)
        return NULL;
    // The hardware of a laboratory's machine is told, and its other disks are nowhere.
    if (!*only)
        *warning_out = rmt_twins_warning(order, hardware, disks);
    return rmt_take(&disks);
}

// The passphrase of the order's encrypted partitions, NULL where it has none: sealed for
// this start of the machine. Caller gives *text_out back to rmt_secret_free. 0, or -1:
// REFUSED, CONFIG.
static int
s_open_secret(const target_t *self, rmt_task_t *task, const rmt_order_t *order,
              char **text_out, rmt_error_t *error)
{
    const char *box = rmt_record_text(rmt_task_body(task), "secret", "");
    if (order->layout->crypt_count == 0)
        return 0;
    rmt_error_t ignored = {0};
    *text_out = rmt_box_open(&self->agent->key, box, &ignored);
    if (!*text_out)
        return rmt_fail(error, RMT_E_REFUSED,
                        "the passphrase of the order is not sealed for this start of the "
                        "machine; when the job has ended, make a new order: ramet job "
                        "retry JOB --failed");
    return rmt_box_check_passphrase(*text_out, error);
}

static int
s_prepare_disk(target_t *self, rmt_task_t *task, rmt_error_t *error)
{
    const void *data;
    size_t size;
    rmt_auto(rmt_order) order = NULL;
    if (s_read_order(task, &data, &size, &order, error) == -1)
        return -1;
    rmt_auto_str warning = NULL;
    rmt_auto(rmt_records) disks = s_find_disks(self, order, &warning, error);
    rmt_auto_str signers = NULL;
    rmt_auto_secret passphrase = NULL;
    if (!disks || s_open_secret(self, task, order, &passphrase, error) == -1 ||
        rmt_trust_check(self->trust, task, order, &signers, error) == -1)
        return -1;
    rmt_gate_plan_t plan;
    if (rmt_gate_prepare(self->gate, data, size, &plan, error) == -1)
        return -1;
    char plan_text[RMT_ID_TEXT_SIZE];
    char nonce_text[33];
    rmt_record_t *outputs = rmt_task_outputs(task);
    rmt_record_set(outputs, "plan", rmt_id_text(&plan.plan, plan_text));
    rmt_record_set(outputs, "nonce", rmt_uid_text(plan.nonce, nonce_text));
    rmt_record_set(outputs, "key", plan.key.public_text);
    if (warning)
        rmt_record_set(outputs, "warning", warning);
    if (signers)
        rmt_record_set(outputs, "signed-by", signers);
    rmt_key_wipe(&plan.key);
    rmt_log(RMT_INFO, "target.prepared", "target=%s plan=%s", self->agent->name,
            plan_text);
    return 0;
}

static int
s_prepare(rmt_task_t *task, void *context, rmt_error_t *error)
{
    target_t *self = context;
    const int result =
        s_claim_disk(self, task, error) == 0 ? s_prepare_disk(self, task, error) : -1;
    atomic_store(&self->is_disk_wanted, false);
    return result;
}

// key_out: that of the plan. -1: FENCED.
static int
s_pass_gate(const target_t *self, rmt_task_t *task, const void *order, size_t size,
            rmt_key_t *key_out, rmt_error_t *error)
{
    const rmt_record_t *body = rmt_task_body(task);
    const rmt_go_t go = {.order = order,
                         .size = size,
                         .plan = rmt_record_text(body, "plan", ""),
                         .nonce = rmt_record_text(body, "nonce", ""),
                         .fence = {.era = rmt_task_era(task),
                                   .epoch = rmt_task_epoch(task),
                                   .attempt = rmt_task_attempt(task)}};
    if (rmt_gate_go(self->gate, &go, key_out, error) == 0)
        return 0;
    rmt_log(RMT_WARN, "order.refused", "target=%s error=\"%s\"", self->agent->name,
            error->text);
    return -1;
}

static char *
s_find_diskw(const rmt_config_t *config, rmt_error_t *error)
{
    const char *path = rmt_config_text(config, "diskw");
    if (*path)
        return rmt_text("%s", path);
    char own[PATH_MAX];
    const ssize_t size = readlink("/proc/self/exe", own, sizeof own - 1);
    if (size == -1) {
        rmt_fail_errno(error, "find the path of this program");
        return NULL;
    }
    own[size] = '\0';
    *(strrchr(own, '/') + 1) = '\0';
    return rmt_text("%sramet-diskw", own);
}

static char *
s_marker_path(const rmt_config_t *config)
{
    const char *disk = rmt_config_text(config, "disk");
    return *disk && strncmp(disk, "/dev/", 5) != 0
               ? rmt_text("%s.installed", disk)
               : rmt_text("%s/installed", rmt_config_text(config, "state"));
}

// Firmware that is played by a laboratory has no other way to see that it may boot.
static int
s_set_marker(const target_t *self, const rmt_order_t *order, rmt_error_t *error)
{
    char image[RMT_ID_TEXT_SIZE];
    rmt_auto_str path = s_marker_path(self->agent->config);
    rmt_auto_str text = rmt_text("%s\n", rmt_id_text(&order->image, image));
    return rmt_io_save(path, text, strlen(text), 0644, error);
}

static int
s_feed(target_t *self, rmt_task_t *task, const rmt_order_t *order, const rmt_key_t *key,
       rmt_error_t *error)
{
    rmt_auto(rmt_records) disks = s_find_disks(self, order, NULL, error);
    rmt_auto_str program = s_find_diskw(self->agent->config, error);
    rmt_auto_secret passphrase = NULL;
    if (!disks || !program || s_open_secret(self, task, order, &passphrase, error) == -1)
        return -1;
    // The image's holders are asked before anything is touched.
    rmt_auto(rmt_supply) supply = rmt_supply_new(task, &self->agent->key, order->place,
                                                 &order->image, self->relays, error);
    if (!supply)
        return -1;
    rmt_auto_str marker = s_marker_path(self->agent->config);
    (void) unlink(marker);
    rmt_auto(rmt_child) child = rmt_child_new(program, task, error);
    if (!child)
        return -1;
    const rmt_feed_t feed = {.agent = self->agent,
                             .order = order,
                             .disks = disks,
                             .boot_key = key,
                             .passphrase = passphrase,
                             .child = child,
                             .supply = supply};
    rmt_auto(rmt_record) answer = NULL;
    if (rmt_feed_run(&feed, &answer, error) == -1)
        return -1;
    if (s_set_marker(self, order, error) == -1)
        return -1;
    const char *warning = rmt_record_text(answer, "warning", "");
    if (*warning)
        rmt_log(RMT_WARN, "write.warning", "target=%s text=\"%s\"", self->agent->name,
                warning);
    rmt_record_merge(rmt_task_outputs(task), answer);
    rmt_task_progress(task, "reboot", 0, 1, NULL);
    return 0;
}

// *has_begun_out: the gate has let it pass, so a writer may have begun.
static int
s_write_disk(target_t *self, rmt_task_t *task, bool *has_begun_out, rmt_error_t *error)
{
    const void *data;
    size_t size;
    rmt_auto(rmt_order) order = NULL;
    if (s_read_order(task, &data, &size, &order, error) == -1)
        return -1;
    rmt_key_t key;
    if (s_pass_gate(self, task, data, size, &key, error) == -1)
        return -1;
    *has_begun_out = true;
    rmt_log(RMT_INFO, "write.start", "target=%s era=%u epoch=%" PRIu64 " attempt=%u",
            self->agent->name, rmt_task_era(task), rmt_task_epoch(task),
            rmt_task_attempt(task));
    // Again: the GO may have been held back until the warrant had ended.
    rmt_auto_str signers = NULL;
    const int rc = rmt_trust_check(self->trust, task, order, &signers, error) == -1
                       ? -1
                       : s_feed(self, task, order, &key, error);
    rmt_key_wipe(&key);
    if (rc == -1) {
        rmt_log(RMT_ERROR, "write.failed", "target=%s code=%s error=\"%s\"",
                self->agent->name, rmt_code_name(error->code), error->text);
        return -1;
    }
    rmt_log(RMT_INFO, "write.done", "target=%s", self->agent->name);
    return 0;
}

static int
s_write(rmt_task_t *task, void *context, rmt_error_t *error)
{
    target_t *self = context;
    bool has_begun = false;
    const int result = s_claim_disk(self, task, error) == 0
                           ? s_write_disk(self, task, &has_begun, error)
                           : -1;
    atomic_store(&self->is_disk_wanted, false);
    // The writer was waited for (rmt_child). A GO that was refused began none: the job
    // prepares again, and what another job has prepared meanwhile stays good.
    if (has_begun)
        rmt_gate_renew(self->gate);
    return result;
}

// What boots next was written before, maybe by another start of this machine. The result
// is recorded before the worker ends.
static int
s_reboot(rmt_task_t *task, void *context, rmt_error_t *error)
{
    (void) task;
    (void) error;
    target_t *self = context;
    if (rmt_config_bool(self->agent->config, "reboot")) {
        self->reboot = true;
        rmt_worker_stop(self->worker);
    }
    return 0;
}

static bool
s_on_link(void *context, bool is_welcome, const rmt_error_t *trouble)
{
    const rmt_agent_watch_t *watch = ((target_t *) context)->agent->watch;
    return !watch || watch->on_link(watch->context, is_welcome, trouble);
}

static void
s_on_told(void *context, const rmt_msg_t *msg)
{
    target_t *self = context;
    const rmt_agent_t *agent = self->agent;
    // The new life is told before the result that it came with.
    if (msg->kind == RMT_MSG_RESULT) {
        uint8_t nonce[RMT_UID_SIZE];
        rmt_gate_life(self->gate, nonce);
        rmt_worker_renew(self->worker, nonce);
    }
    if (msg->kind == RMT_MSG_NOTICE)
        rmt_log(RMT_WARN, "target.notice", "target=%s code=%s text=\"%s\"", agent->name,
                rmt_code_name(rmt_code_from(msg->code)), msg->text ? msg->text : "");
    if (agent->watch)
        agent->watch->on_told(agent->watch->context, msg);
}

static void
s_on_peers(void *context, const char *place, const rmt_records_t *items)
{
    (void) place;
    rmt_relays_told(((target_t *) context)->relays, items);
}

// What this system has beside its hardware: programs that some images need, and what lies
// on its disks.
static rmt_records_t *
s_told(const rmt_agent_t *agent)
{
    rmt_error_t ignored = {0};
    rmt_records_t *told = rmt_records_dup(agent->hardware);
    rmt_twins_read(agent->config, CONTENTS_MAX, told);
    if (rmt_luks_check(&ignored) == 0 && rmt_fuse_disk_check(&ignored) == 0) {
        rmt_record_t *program = rmt_records_add(told);
        rmt_record_set(program, "class", "program");
        rmt_record_set(program, "name", "cryptsetup");
    }
    return told;
}

// The broker's record of this machine has the hardware of the last time it greeted.
static rmt_record_t *
s_hello(const rmt_agent_t *agent, const rmt_trust_t *trust)
{
    char told[RMT_ID_TEXT_SIZE];
    rmt_record_t *hello = rmt_record_new();
    rmt_auto_str identity = rmt_inventory_identity(agent->hardware);
    if (identity)
        rmt_record_set(hello, "identity", identity);
    rmt_record_set(hello, "trust-root", rmt_trust_told(trust, told));
    rmt_auto(rmt_records) all = s_told(agent);
    rmt_auto(zchunk) packed = rmt_codec_pack_records(all);
    rmt_record_put(hello, "hardware", zchunk_data(packed), zchunk_size(packed));
    return hello;
}

int
rmt_target_run(rmt_agent_t *agent, bool *reboot_out, rmt_error_t *error)
{
    rmt_auto_str prepare = rmt_text("prepare@target/%s", agent->name);
    rmt_auto_str write = rmt_text("write@target/%s", agent->name);
    rmt_auto_str restart = rmt_text("reboot@target/%s", agent->name);
    rmt_auto_str compare = rmt_text("compare@target/%s", agent->name);
    rmt_auto(rmt_trust) trust = rmt_trust_new(agent, error);
    if (!trust)
        return -1;
    rmt_auto(rmt_record) hello = s_hello(agent, trust);
    // Without a disk of its own the agent has nothing to hold against an image.
    const bool has_disk = *rmt_config_text(agent->config, "disk") != '\0';
    const rmt_service_t services[] = {{prepare, 1, s_prepare},
                                      {write, 1, s_write},
                                      {restart, 1, s_reboot},
                                      {compare, 1, s_compare}};
    target_t self = {.agent = agent};
    const rmt_worker_config_t config = {.brokers = rmt_hosts_list(agent->hosts),
                                        .own = &agent->key,
                                        .broker_key = agent->broker_key,
                                        .role = "target",
                                        .name = agent->name,
                                        .nonce = agent->nonce,
                                        .hello = hello,
                                        .services = services,
                                        .service_count = has_disk ? 4 : 3,
                                        .context = &self,
                                        .on_link = s_on_link,
                                        .on_told = s_on_told,
                                        .on_peers = s_on_peers,
                                        .leave_ms = 70000};
    rmt_auto(rmt_gate) gate = rmt_gate_new(agent->nonce);
    // What a writer that was killed leaves running becomes a child of this process.
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == -1)
        return rmt_fail_errno(error, "become the parent of what a writer leaves");
    rmt_auto(rmt_relays) relays = rmt_relays_new(agent);
    self.relays = relays;
    rmt_auto(rmt_worker) worker = rmt_worker_new(&config, error);
    if (!worker)
        return -1;
    self.gate = gate;
    self.trust = trust;
    self.worker = worker;
    const int rc = rmt_worker_run(worker, error);
    *reboot_out = self.reboot;
    return rc;
}
