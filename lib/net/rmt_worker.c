#include "net/rmt_worker.h"
#include "base/rmt_auto.h"
#include "base/rmt_random.h"
#include "base/rmt_clock.h"
#include "base/rmt_failpoint.h"
#include "base/rmt_grow.h"
#include "net/rmt_held_task.h"
#include "base/rmt_signals.h"

#include <assert.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/statvfs.h>

#define LEAVE_MS 5000
#define NO_SERVICE SIZE_MAX
// A CREDIT and a TASK may cross on the wire, so a few more than the slots are taken and
// wait; a broker that sends more still will offer them again.
#define SPARE_SLOTS 8

struct rmt_worker {
    char *role, *name;
    uint8_t nonce[RMT_UID_SIZE];
    rmt_record_t *hello;
    char *store;
    rmt_service_t *services; // Own copies of the names
    size_t service_count;
    void *context;
    rmt_peers_fn *on_peers;
    rmt_welcome_fn *on_welcome;
    rmt_link_fn *on_link;
    rmt_told_fn *on_told;
    bool was_welcome; // What on_link was told last
    rmt_error_t trouble;
    uint32_t leave_ms;
    rmt_peer_t *peer;
    int signal_fd, stop_fd;
    rmt_held_task_t **runs;
    size_t count, run_room, item_room;
    zmq_pollitem_t *items; // Those of the runs and the three fixed ones
    uint64_t sequence, beats;
    bool leaving;
    int64_t leave_at;
};

enum { ITEM_SIGNAL, ITEM_STOP, ITEM_PEER, ITEM_FIXED };

// ---- Messages that the peer asks for

static void
s_tell_space(const char *store, rmt_record_t *body)
{
    struct statvfs space;
    if (!store || statvfs(store, &space) == -1)
        return;
    rmt_record_set_u64(body, "store-free", (uint64_t) space.f_bavail * space.f_frsize);
    rmt_record_set_u64(body, "store-size", (uint64_t) space.f_blocks * space.f_frsize);
}

static rmt_msg_t *
s_make_hello(void *argument)
{
    const rmt_worker_t *self = argument;
    rmt_msg_t *msg = rmt_msg_new(RMT_MSG_HELLO);
    msg->version_min = msg->version_max = RMT_WIRE_VERSION;
    rmt_msg_text(&msg->role, self->role);
    rmt_msg_text(&msg->name, self->name);
    memcpy(msg->nonce, self->nonce, RMT_UID_SIZE);
    for (size_t i = 0; i < self->service_count; i++) {
        rmt_record_t *record = rmt_records_add(rmt_msg_items(msg));
        rmt_record_set(record, "service", self->services[i].service);
        rmt_record_set_u64(record, "slots", self->services[i].slots);
    }
    msg->hand = rmt_records_new();
    for (size_t i = 0; i < self->count; i++) {
        char text[33];
        rmt_record_t *record = rmt_records_add(msg->hand);
        rmt_record_set(record, "task",
                       rmt_uid_text(rmt_held_task_id(self->runs[i]), text));
        rmt_record_set_u64(record, "attempt", rmt_held_task_attempt(self->runs[i]));
    }
    msg->body = rmt_record_dup(self->hello);
    rmt_record_set(msg->body, "version", RMT_VERSION);
    s_tell_space(self->store, msg->body);
    rmt_record_set_u64(msg->body, "wall-ms", (uint64_t) rmt_clock_wall_ms());
    return msg;
}

// A task that is in the list keeps its lease; one that stands still is left out.
static rmt_msg_t *
s_make_beat(void *argument)
{
    rmt_worker_t *self = argument;
    rmt_msg_t *msg = rmt_msg_new(RMT_MSG_BEAT);
    const int64_t now = rmt_clock_ms();
    rmt_records_t *items = rmt_msg_items(msg);
    self->beats++;
    for (size_t i = 0; i < self->count; i++) {
        rmt_held_task_t *run = self->runs[i];
        if (!rmt_held_task_is_alive(run, now))
            continue;
        char text[33];
        rmt_record_t *record = rmt_records_add(items);
        rmt_record_set(record, "task", rmt_uid_text(rmt_held_task_id(run), text));
        rmt_record_set_u64(record, "attempt", rmt_held_task_attempt(run));
        rmt_record_set_u64(record, "counter", rmt_held_task_ticks(run) + self->beats);
    }
    return msg;
}

// ---- Life

static int
s_copy_services(rmt_worker_t *self, const rmt_worker_config_t *config, rmt_error_t *error)
{
    self->services = zmalloc((config->service_count + 1) * sizeof *self->services);
    for (size_t i = 0; i < config->service_count; i++) {
        self->services[i] = config->services[i];
        self->services[i].service = strdup(config->services[i].service);
        assert(self->services[i].service && self->services[i].run);
        self->service_count++;
        if (self->services[i].slots == 0)
            return rmt_fail(error, RMT_E_USAGE,
                            "service %s has no slots; set slots to 1 or more",
                            self->services[i].service);
    }
    return 0;
}

rmt_worker_t *
rmt_worker_new(const rmt_worker_config_t *config, rmt_error_t *error)
{
    assert(config && config->role && config->name && error);
    rmt_auto(rmt_worker) self = zmalloc(sizeof *self);
    self->signal_fd = self->stop_fd = -1;
    self->role = strdup(config->role);
    self->name = strdup(config->name);
    if (config->nonce)
        memcpy(self->nonce, config->nonce, RMT_UID_SIZE);
    else
        rmt_random_bytes(self->nonce, RMT_UID_SIZE);
    self->hello = config->hello ? rmt_record_dup(config->hello) : rmt_record_new();
    self->store = config->store ? strdup(config->store) : NULL;
    self->context = config->context;
    self->on_peers = config->on_peers;
    self->on_welcome = config->on_welcome;
    self->on_link = config->on_link;
    self->on_told = config->on_told;
    self->leave_ms = config->leave_ms ? config->leave_ms : LEAVE_MS;
    rmt_grow(&self->items, &self->item_room, ITEM_FIXED);
    if (s_copy_services(self, config, error) == -1)
        return NULL;
    const rmt_peer_config_t peer = {config->brokers, config->own, config->broker_key,
                                    s_make_hello,    s_make_beat, self};
    self->peer = rmt_peer_new(&peer, error);
    if (!self->peer)
        return NULL;
    self->signal_fd = rmt_signals_open(error);
    if (self->signal_fd == -1)
        return NULL;
    self->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (self->stop_fd == -1) {
        rmt_fail_errno(error, "create a descriptor to stop by");
        return NULL;
    }
    return rmt_take(&self);
}

void
rmt_worker_destroy(rmt_worker_t **self_p)
{
    assert(self_p);
    rmt_worker_t *self = rmt_take(self_p);
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        rmt_held_task_destroy(&self->runs[i]);
    rmt_peer_destroy(&self->peer);
    for (size_t i = 0; i < self->service_count; i++)
        free((char *) (uintptr_t) self->services[i].service);
    rmt_auto_close(&self->signal_fd);
    rmt_auto_close(&self->stop_fd);
    rmt_record_destroy(&self->hello);
    free(self->store);
    free(self->services);
    free(self->runs);
    free(self->items);
    free(self->role);
    free(self->name);
    free(self);
}

void
rmt_worker_stop(rmt_worker_t *self)
{
    assert(self);
    const uint64_t one = 1;
    (void) !write(self->stop_fd, &one, sizeof one);
}

void
rmt_worker_renew(rmt_worker_t *self, const uint8_t *nonce)
{
    assert(self && nonce);
    if (memcmp(self->nonce, nonce, RMT_UID_SIZE) == 0)
        return;
    memcpy(self->nonce, nonce, RMT_UID_SIZE);
    rmt_peer_greet(self->peer);
}

// ---- The list of runs

static rmt_held_task_t *
s_find_run(const rmt_worker_t *self, const uint8_t *id)
{
    for (size_t i = 0; i < self->count; i++)
        if (memcmp(rmt_held_task_id(self->runs[i]), id, RMT_UID_SIZE) == 0)
            return self->runs[i];
    return NULL;
}

static rmt_held_task_t *
s_add_run(rmt_worker_t *self, rmt_msg_t **msg_p, size_t service)
{
    rmt_grow(&self->runs, &self->run_room, self->count + 1);
    rmt_grow(&self->items, &self->item_room, ITEM_FIXED + self->count + 1);
    self->runs[self->count] = rmt_held_task_new(msg_p, service);
    return self->runs[self->count++];
}

static void
s_drop_run(rmt_worker_t *self, rmt_held_task_t *run)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->runs[i] == run) {
            rmt_held_task_destroy(&self->runs[i]);
            self->runs[i] = self->runs[--self->count];
            return;
        }
}

static size_t
s_find_service(const rmt_worker_t *self, const char *name)
{
    for (size_t i = 0; i < self->service_count; i++)
        if (streq(self->services[i].service, name))
            return i;
    return NO_SERVICE;
}

// Runs of a service; all, or those with a thread.
static uint32_t
s_count_runs(const rmt_worker_t *self, size_t service, bool running)
{
    uint32_t count = 0;
    for (size_t i = 0; i < self->count; i++)
        if (rmt_held_task_service(self->runs[i]) == service &&
            (!running || rmt_held_task_state(self->runs[i]) == RMT_HELD_TASK_RUNNING))
            count++;
    return count;
}

// ---- What the broker says

static void
s_send_credit(rmt_worker_t *self, size_t service)
{
    if (service == NO_SERVICE || self->leaving)
        return;
    const uint32_t slots = self->services[service].slots;
    const uint32_t held = s_count_runs(self, service, false);
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_CREDIT);
    rmt_msg_text(&msg->service, self->services[service].service);
    msg->slots = held < slots ? slots - held : 0;
    // If it cannot go out now, the next WELCOME brings another.
    (void) rmt_peer_send(self->peer, msg, &error);
}

static void
s_take_welcome(rmt_worker_t *self, const rmt_msg_t *msg)
{
    if (self->on_welcome)
        self->on_welcome(self->context, msg, rmt_peer_host(self->peer));
    for (size_t i = 0; i < self->service_count; i++)
        s_send_credit(self, i);
    for (size_t i = 0; i < self->count; i++)
        rmt_held_task_resend(self->runs[i], self->peer, true);
}

static void
s_refuse_unknown(rmt_held_task_t *run)
{
    if (rmt_held_task_service(run) == NO_SERVICE)
        rmt_held_task_cancel(run, RMT_E_UNSUPPORTED,
                             "this worker does not offer the service");
}

static void
s_take_known_task(rmt_worker_t *self, rmt_held_task_t *run, rmt_msg_t **msg_p)
{
    const uint32_t attempt = (*msg_p)->attempt;
    if (attempt > rmt_held_task_attempt(run)) {
        rmt_held_task_replace(run, msg_p);
        s_refuse_unknown(run);
    } else if (attempt == rmt_held_task_attempt(run)) {
        // The broker does not know our result, if there is one.
        rmt_held_task_resend(run, self->peer, true);
    }
}

static void
s_take_task(rmt_worker_t *self, rmt_msg_t **msg_p)
{
    rmt_held_task_t *run = s_find_run(self, (*msg_p)->task);
    if (self->leaving)
        return;
    if (run) {
        s_take_known_task(self, run, msg_p);
        return;
    }
    const size_t service = s_find_service(self, (*msg_p)->service);
    const uint32_t held = s_count_runs(self, service, false);
    const uint32_t slots = service == NO_SERVICE ? 0 : self->services[service].slots;
    if (held < slots + SPARE_SLOTS)
        s_refuse_unknown(s_add_run(self, msg_p, service));
}

static void
s_take_recorded(rmt_worker_t *self, const rmt_msg_t *msg)
{
    rmt_held_task_t *run = s_find_run(self, msg->task);
    // A run that is not over was recorded as an earlier attempt.
    if (!run || rmt_held_task_state(run) != RMT_HELD_TASK_ENDED ||
        rmt_held_task_attempt(run) > msg->attempt)
        return;
    const size_t service = rmt_held_task_service(run);
    s_drop_run(self, run);
    s_send_credit(self, service);
}

static void
s_take_cancel(rmt_worker_t *self, const rmt_msg_t *msg)
{
    rmt_held_task_t *run = s_find_run(self, msg->task);
    if (run && (msg->attempt == 0 || rmt_held_task_attempt(run) <= msg->attempt))
        rmt_held_task_cancel(run, RMT_E_CANCELLED,
                             msg->text && *msg->text ? msg->text : "cancelled");
}

static void
s_take_msg(rmt_worker_t *self, rmt_msg_t **msg_p)
{
    rmt_msg_t *msg = *msg_p;
    switch (msg->kind) {
    case RMT_MSG_WELCOME:
        s_take_welcome(self, msg);
        break;
    case RMT_MSG_TASK:
        s_take_task(self, msg_p);
        break;
    case RMT_MSG_RECORDED:
        s_take_recorded(self, msg);
        break;
    case RMT_MSG_CANCEL:
        s_take_cancel(self, msg);
        break;
    case RMT_MSG_PEERS:
        if (self->on_peers)
            self->on_peers(self->context, msg->place, msg->items);
        break;
    case RMT_MSG_NOTICE:
        if (self->on_told)
            self->on_told(self->context, msg);
        break;
    case RMT_MSG_REPLY:
        for (size_t i = 0; i < self->count; i++)
            if (rmt_held_task_take_reply(self->runs[i], msg, rmt_peer_host(self->peer)))
                break;
        break;
    default:
        // Of a later version; what matters to us has its own kind above.
        break;
    }
}

// ---- The loop

static void
s_leave(rmt_worker_t *self)
{
    if (self->leaving)
        return;
    self->leaving = true;
    self->leave_at = rmt_clock_ms() + self->leave_ms;
    for (size_t i = 0; i < self->count; i++)
        rmt_held_task_cancel(self->runs[i], RMT_E_CANCELLED, "this worker is ending");
}

static int
s_wait(rmt_worker_t *self, int timeout_ms, rmt_error_t *error)
{
    zsock_t *socket = rmt_peer_socket(self->peer);
    self->items[ITEM_SIGNAL] = (zmq_pollitem_t){NULL, self->signal_fd, ZMQ_POLLIN, 0};
    self->items[ITEM_STOP] = (zmq_pollitem_t){NULL, self->stop_fd, ZMQ_POLLIN, 0};
    size_t count = ITEM_PEER;
    if (socket)
        self->items[count++] = (zmq_pollitem_t){zsock_resolve(socket), 0, ZMQ_POLLIN, 0};
    for (size_t i = 0; i < self->count; i++) {
        zsock_t *pipe = rmt_held_task_pipe(self->runs[i]);
        if (pipe)
            self->items[count++] =
                (zmq_pollitem_t){zsock_resolve(pipe), 0, ZMQ_POLLIN, 0};
    }
    if ((RMT_FAILPOINT("worker.wait") == -1 ||
         zmq_poll(self->items, (int) count, timeout_ms) == -1) &&
        errno != EINTR)
        return rmt_fail(error, RMT_E_IO, "wait for messages: %s", zmq_strerror(errno));
    return 0;
}

static void
s_obey_signals(rmt_worker_t *self)
{
    uint64_t times = 0;
    for (int number; (number = rmt_signals_read(self->signal_fd)) != 0;)
        if (number == SIGTERM || number == SIGINT)
            s_leave(self);
    if (read(self->stop_fd, &times, sizeof times) == (ssize_t) sizeof times)
        s_leave(self);
}

static void
s_move_runs(rmt_worker_t *self)
{
    const rmt_held_task_ear_t ear = {self->on_told, self->context};
    for (size_t i = 0; i < self->count; i++) {
        rmt_held_task_t *run = self->runs[i];
        const size_t service = rmt_held_task_service(run);
        rmt_held_task_read(run, self->peer, &self->sequence, &ear);
        rmt_held_task_resend(run, self->peer, false);
        if (rmt_held_task_state(run) != RMT_HELD_TASK_WAITING ||
            s_count_runs(self, service, true) >= self->services[service].slots)
            continue;
        const rmt_task_setup_t setup = {self->services[service].run, self->context,
                                        rmt_peer_host(self->peer)};
        rmt_held_task_start(run, &setup);
    }
}

static void
s_tell_link(rmt_worker_t *self)
{
    const bool is_welcome = rmt_peer_is_welcome(self->peer);
    const rmt_error_t *trouble = rmt_peer_trouble(self->peer);
    if (!self->on_link || (is_welcome == self->was_welcome &&
                           strcmp(trouble->text, self->trouble.text) == 0))
        return;
    self->was_welcome = is_welcome;
    self->trouble = *trouble;
    if (!self->on_link(self->context, is_welcome, &self->trouble))
        s_leave(self);
}

int
rmt_worker_turn(rmt_worker_t *self)
{
    assert(self);
    s_obey_signals(self);
    rmt_msg_t *msg;
    while ((msg = rmt_peer_recv(self->peer)) != NULL) {
        s_take_msg(self, &msg);
        rmt_msg_destroy(&msg);
    }
    const int wait_ms = rmt_peer_tick(self->peer);
    s_tell_link(self);
    s_move_runs(self);
    const bool is_at_end =
        self->leaving && (self->count == 0 || rmt_clock_ms() >= self->leave_at);
    return is_at_end ? -1 : wait_ms;
}

int
rmt_worker_run(rmt_worker_t *self, rmt_error_t *error)
{
    assert(self && error);
    int wait_ms;
    while ((wait_ms = rmt_worker_turn(self)) != -1)
        if (s_wait(self, wait_ms, error) == -1)
            return -1;
    return 0;
}
