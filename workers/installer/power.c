// The power of this engine's machines: several at once, so that one BMC that does not
// answer holds up no other.
#include "installer/installer.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"
#include "net/rmt_findings.h"
#include "place/holder.h"
#include "power/rmt_power.h"
#include "wire/rmt_codec.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AT_ONCE 32
#define TELL_MS 500
#define RECORD_SIZE_MAX ((size_t) 200 * 1024)

typedef struct {
    rmt_record_t *target; // NULL: the engine has no such target any longer
    rmt_power_end_t end;
    rmt_error_t why; // Code OK: done
} machine_t;

typedef struct {
    rmt_task_t *task;
    rmt_power_config_t config;
    rmt_power_action_t action;
    const char *word; // For the action
    const char *engine;
    bool is_forced;
    rmt_records_t *names; // {name}
    machine_t *machines;  // As many as names
    size_t count;
    pthread_mutex_t mutex;
    pthread_cond_t changed, released;
    size_t next, ready, idle, done; // Under the mutex; ready: how many have a record
} power_t;

// ---- The records

static bool
s_breaks(rmt_power_action_t action)
{
    return action == RMT_POWER_OFF || action == RMT_POWER_CYCLE ||
           action == RMT_POWER_NETBOOT;
}

// What came up since the request was made; the broker has looked before. The record was
// read when a thread was free for the machine, however long the others took.
static int
s_check(const power_t *self, const rmt_record_t *target, rmt_error_t *error)
{
    const char *name = rmt_record_text(target, "name", "?");
    const char *protected = rmt_record_text(target, "protected", "");
    if (!s_breaks(self->action))
        return 0;
    if (*protected)
        return rmt_fail(error, RMT_E_REFUSED, "target %s is protected: %.200s", name,
                        protected);
    if (!self->is_forced && rmt_record_is(target, "state", "locked"))
        return rmt_fail(
            error, RMT_E_LOCKED,
            "target %s is locked by job %s, which may write its disk; wait for "
            "its end, cancel it, or add --force",
            name, rmt_record_text(target, "job", "?"));
    return 0;
}

static void
s_take_page(power_t *self, size_t end, const rmt_records_t *items)
{
    for (size_t i = self->ready; i < end; i++) {
        const char *name = rmt_record_text(rmt_records_at(self->names, i), "name", "");
        const rmt_record_t *target = rmt_records_find(items, "name", name);
        if (target && !self->machines[i].target)
            self->machines[i].target = rmt_record_dup(target);
    }
}

// The records of the machines from ready to end. 0, or -1.
static int
s_load(power_t *self, size_t end, rmt_error_t *error)
{
    rmt_auto_str cursor = rmt_text("%s", "");
    do {
        rmt_auto(rmt_record) body = rmt_record_new();
        rmt_record_set(body, "engine", self->engine);
        rmt_record_set(body, "brief", "yes");
        rmt_record_set(body, "cursor", cursor);
        rmt_auto(rmt_msg) reply =
            rmt_task_request(self->task, "target.page", body, NULL, error);
        if (!reply)
            return -1;
        s_take_page(self, end, reply->items);
        free(cursor);
        cursor = rmt_text("%s", reply->cursor ? reply->cursor : "");
    } while (*cursor);
    return 0;
}

// The end of those whose records are read at once: what breaks nothing needs no newer
// ones.
static size_t
s_end(const power_t *self, size_t more)
{
    const size_t left = self->count - self->ready;
    return self->ready + (s_breaks(self->action) && more < left ? more : left);
}

// ---- The machines

static bool
s_go_on(void *context)
{
    const power_t *self = context;
    return !rmt_task_cancelled(self->task);
}

static void
s_do(power_t *self, machine_t *machine, const char *name)
{
    rmt_error_t error = {0};
    int rc;
    machine->end = (rmt_power_end_t){.what = "unknown"};
    if (rmt_task_cancelled(self->task))
        rc = rmt_fail(&error, RMT_E_CANCELLED, "target %s: cancelled", name);
    else if (machine->why.code != RMT_E_OK)
        rc = rmt_fail(&error, machine->why.code, "target %s was not switched: %.300s",
                      name, machine->why.text);
    else if (!machine->target)
        rc = rmt_fail(&error, RMT_E_NOT_FOUND,
                      "target %s does not belong to this engine any longer", name);
    else
        rc = s_check(self, machine->target, &error);
    if (rc == 0)
        rc = rmt_power_do(&self->config, machine->target, self->action, s_go_on, self,
                          &machine->end, &error);
    if (rc == -1)
        machine->why = error;
    rmt_log(rc == 0 ? RMT_INFO : RMT_WARN, rc == 0 ? "power.done" : "power.failed",
            "target=%s action=%s power=%s text=\"%s\"", name, self->word,
            rc == 0 ? machine->end.what : "unknown",
            rc == 0 ? machine->end.text : error.text);
}

static void *
s_work(void *context)
{
    power_t *self = context;
    pthread_mutex_lock(&self->mutex);
    while (self->next < self->count) {
        if (self->next == self->ready) {
            self->idle++;
            pthread_cond_signal(&self->changed);
            pthread_cond_wait(&self->released, &self->mutex);
            self->idle--;
            continue;
        }
        const size_t i = self->next++;
        pthread_mutex_unlock(&self->mutex);
        s_do(self, &self->machines[i],
             rmt_record_text(rmt_records_at(self->names, i), "name", ""));
        pthread_mutex_lock(&self->mutex);
        self->done++;
        pthread_cond_signal(&self->changed);
    }
    pthread_mutex_unlock(&self->mutex);
    return NULL;
}

// For each thread that waits one machine, by its record of now. Under the mutex.
static void
s_release(power_t *self)
{
    rmt_error_t error = {0};
    const size_t end = s_end(self, self->idle);
    pthread_mutex_unlock(&self->mutex);
    const int rc = s_load(self, end, &error);
    pthread_mutex_lock(&self->mutex);
    for (size_t i = self->ready; rc == -1 && i < self->count; i++)
        self->machines[i].why = error;
    self->ready = rc == -1 ? self->count : end;
    pthread_cond_broadcast(&self->released);
}

// In the thread of the task, which alone may tell of it and make requests.
static void
s_follow(power_t *self)
{
    pthread_mutex_lock(&self->mutex);
    while (self->done < self->count) {
        if (self->next == self->ready && self->idle > 0) {
            s_release(self);
            continue;
        }
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += TELL_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        (void) pthread_cond_timedwait(&self->changed, &self->mutex, &until);
        rmt_task_progress(self->task, "power", self->done, self->count, NULL);
        rmt_task_tick(self->task);
    }
    pthread_mutex_unlock(&self->mutex);
}

static int
s_do_all(power_t *self, rmt_error_t *error)
{
    pthread_t threads[AT_ONCE];
    size_t started = 0;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->changed, &attributes);
    pthread_cond_init(&self->released, NULL);
    pthread_condattr_destroy(&attributes);
    while (started < AT_ONCE && started < self->count &&
           pthread_create(&threads[started], NULL, s_work, self) == 0)
        started++;
    if (started > 0)
        s_follow(self);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_cond_destroy(&self->changed);
    pthread_cond_destroy(&self->released);
    pthread_mutex_destroy(&self->mutex);
    return started > 0 ? 0 : rmt_fail(error, RMT_E_IO, "no thread could be started");
}

// ---- The task

// One finding a machine, in the order of the request. 0, or -1.
static int
s_tell(power_t *self, rmt_error_t *error)
{
    uint64_t failed = 0;
    rmt_auto(rmt_findings) findings = rmt_findings_new(self->task);
    for (size_t i = 0; i < self->count; i++) {
        const machine_t *machine = &self->machines[i];
        const bool is_good = machine->why.code == RMT_E_OK;
        rmt_record_t *finding = rmt_record_new();
        rmt_record_set(finding, "target",
                       rmt_record_text(rmt_records_at(self->names, i), "name", ""));
        rmt_record_set(finding, "what", is_good ? machine->end.what : "failed");
        rmt_record_set_u64(finding, "code", machine->why.code);
        rmt_record_set(finding, "text", is_good ? machine->end.text : machine->why.text);
        failed += !is_good;
        rmt_findings_add(findings, &finding);
    }
    if (rmt_findings_finish(findings, error) == -1)
        return -1;
    rmt_record_set_u64(rmt_task_outputs(self->task), "failed", failed);
    if (failed > 0)
        return rmt_fail(error, RMT_E_UNAVAILABLE, "%" PRIu64 " of %zu machines failed",
                        failed, self->count);
    return 0;
}

static void
s_clear(power_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        rmt_record_destroy(&self->machines[i].target);
    free(self->machines);
    rmt_records_destroy(&self->names);
}

static rmt_power_config_t
s_config(const rmt_config_t *config)
{
    return (rmt_power_config_t){
        .secrets = rmt_config_text(config, "power-secrets"),
        .program = rmt_config_text(config, "power-program"),
        .broadcast = rmt_config_text(config, "power-wol"),
        .ca = rmt_config_text(config, "power-ca"),
        .cipher = (uint32_t) rmt_config_number(config, "power-cipher"),
        .timeout_ms = 1000 * (uint32_t) rmt_config_number(config, "power-timeout-s")};
}

static int
s_begin(power_t *self, rmt_task_t *task, rmt_error_t *error)
{
    const rmt_record_t *body = rmt_task_body(task);
    self->is_forced = rmt_record_flag(body, "force");
    self->word = rmt_record_text(body, "action", "");
    rmt_auto_str names = rmt_text("%s", rmt_record_text(body, "machines", ""));
    char *rest = NULL;
    for (char *name = strtok_r(names, " ", &rest); name;
         name = strtok_r(NULL, " ", &rest))
        rmt_record_set(rmt_records_add(self->names), "name", name);
    self->count = rmt_records_count(self->names);
    self->machines = calloc(self->count + 1, sizeof *self->machines);
    assert(self->machines);
    if (!rmt_power_action(self->word, &self->action))
        return rmt_fail(error, RMT_E_USAGE, "no action is called '%.16s'", self->word);
    // What was begun may have been done, and a machine is not switched off twice.
    if (rmt_task_attempt(task) > 1 && s_breaks(self->action))
        return rmt_fail(
            error, RMT_E_REFUSED,
            "an installer ended while it did this, and it is not done twice; look "
            "with: ramet target power LIST status");
    return 0;
}

int
installer_power(rmt_task_t *task, void *holder, rmt_error_t *error)
{
    power_t self = {.task = task,
                    .config = s_config(rmt_holder_config(holder)),
                    .engine = rmt_holder_place(holder),
                    .names = rmt_records_new()};
    int rc = s_begin(&self, task, error);
    const size_t first = s_end(&self, AT_ONCE);
    if (rc == 0)
        rc = s_load(&self, first, error);
    self.ready = first;
    if (rc == 0)
        rc = s_do_all(&self, error);
    if (rc == 0)
        rc = s_tell(&self, error);
    s_clear(&self);
    return rc;
}

// ---- A machine that a deployment brings to its agent

// Its record as it was when the task was taken; by Wake-on-LAN it can only be switched
// on.
static int
s_begin_wake(power_t *self, machine_t *machine, rmt_error_t *error)
{
    size_t size = 0;
    const rmt_record_t *body = rmt_task_body(self->task);
    const void *packed = rmt_record_get(body, "record", &size);
    rmt_auto(rmt_records) records =
        packed ? rmt_codec_unpack_records(packed, size, RECORD_SIZE_MAX, error)
               : rmt_records_new();
    if (!records)
        return -1;
    if (rmt_records_count(records) == 0)
        return rmt_fail(error, RMT_E_PROTOCOL, "the task has no record of its target");
    machine->target = rmt_record_dup(rmt_records_at(records, 0));
    self->action =
        rmt_record_is(machine->target, "power", "wol") ? RMT_POWER_ON : RMT_POWER_NETBOOT;
    self->word = self->action == RMT_POWER_ON ? "on" : "netboot";
    rmt_record_set(rmt_records_add(self->names), "name",
                   rmt_record_text(body, "target", ""));
    return 0;
}

// What was begun and not told may be done again: nothing is written on the machine before
// this has ended. The lock is that of the job itself.
int
installer_wake(rmt_task_t *task, void *holder, rmt_error_t *error)
{
    if (rmt_record_flag(rmt_task_body(task), "present"))
        return 0;
    machine_t machine = {.target = NULL};
    power_t self = {.task = task,
                    .config = s_config(rmt_holder_config(holder)),
                    .engine = rmt_holder_place(holder),
                    .is_forced = true,
                    .machines = &machine,
                    .count = 1,
                    .ready = 1,
                    .names = rmt_records_new()};
    int rc = s_begin_wake(&self, &machine, error);
    if (rc == 0)
        rc = s_do_all(&self, error);
    if (rc == 0 && machine.why.code != RMT_E_OK)
        rc = rmt_fail(error, machine.why.code,
                      "%.800s; look with: ramet target power %s status", machine.why.text,
                      rmt_record_text(machine.target, "name", "NAME"));
    rmt_record_destroy(&machine.target);
    rmt_records_destroy(&self.names);
    return rc;
}
