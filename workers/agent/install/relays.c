#include "agent/install/relays.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_log.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#define TELL_MS 5000
#define FIRST_TELL_MS 1000 // Those that begin together hear of each other then

struct rmt_relays {
    const rmt_agent_t *agent;
    rmt_zap_t *zap;        // Made with the first relay
    pthread_mutex_t mutex; // Of relay, for the thread that is told
    rmt_peering_t *relay;  // NULL: none
    bool is_open;          // The install of relay goes on
    uint64_t ask;          // That is not answered; 0: none
    int64_t tell_ms;       // When the broker is told next
};

rmt_relays_t *
rmt_relays_new(const rmt_agent_t *agent)
{
    rmt_relays_t *self = calloc(1, sizeof *self);
    assert(self);
    self->agent = agent;
    pthread_mutex_init(&self->mutex, NULL);
    return self;
}

static void
s_replace(rmt_relays_t *self, rmt_peering_t *relay)
{
    pthread_mutex_lock(&self->mutex);
    rmt_peering_t *last = self->relay;
    self->relay = relay;
    pthread_mutex_unlock(&self->mutex);
    rmt_peering_destroy(&last);
}

void
rmt_relays_destroy(rmt_relays_t **self_p)
{
    rmt_relays_t *self = rmt_take(self_p);
    if (!self)
        return;
    s_replace(self, NULL);
    rmt_zap_destroy(&self->zap);
    pthread_mutex_destroy(&self->mutex);
    free(self);
}

// What the setting says, else a quarter of memory.
static size_t
s_ring_bytes(const rmt_agent_t *agent)
{
    struct sysinfo info;
    const int64_t mib = rmt_config_number(agent->config, "relay-mib");
    if (mib)
        return (size_t) mib * 1024 * 1024;
    return sysinfo(&info) == 0 ? (size_t) info.totalram * info.mem_unit / 4 : 0;
}

// What becomes of peers is for those who look closely, but wrong bytes are not.
static void
s_on_event(void *context, const char *event, const char *key, const char *text)
{
    (void) context;
    if (strcmp(event, "relay.used") == 0)
        rmt_log(RMT_DEBUG, "relay.used", "peer=%s", key);
    else if (strcmp(event, "relay.left") == 0)
        rmt_log(RMT_DEBUG, "relay.left", "peer=%s text=\"%s\"", key, text);
    else if (strcmp(event, "relay.lied") == 0)
        rmt_log(RMT_WARN, "relay.lied", "peer=%s", key);
    else
        rmt_log(RMT_DEBUG, "relay.asked", "peer=%s what=%s text=\"%s\"", key, event,
                text);
}

static rmt_peering_t *
s_open(rmt_relays_t *self, const rmt_id_t *image, rmt_error_t *error)
{
    if (!self->zap && !(self->zap = rmt_zap_new(error)))
        return NULL;
    const rmt_peering_config_t config = {.endpoint = "*:0",
                                         .own = &self->agent->key,
                                         .image = image,
                                         .zap = self->zap,
                                         .ring_bytes = s_ring_bytes(self->agent),
                                         .event = s_on_event};
    return rmt_peering_new(&config, error);
}

static void
s_learn(rmt_relays_t *self, const rmt_msg_t *reply)
{
    rmt_peering_learn(self->relay, reply->body, reply->items);
    rmt_log(RMT_DEBUG, "relay.peers", "count=%zu rank=%s",
            rmt_records_count(reply->items), rmt_record_text(reply->body, "rank", ""));
}

// 0, or -1: the broker has none, or the job has no other target.
static int
s_join(rmt_relays_t *self, rmt_task_t *task, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_peering_tell(self->relay, body);
    rmt_auto(rmt_msg) reply = rmt_task_request(task, "relays", body, NULL, error);
    if (!reply)
        return -1;
    if (rmt_record_u64(reply->body, "targets", 0) < 2)
        return rmt_fail(error, RMT_E_NOT_FOUND, "the job has no other target");
    s_learn(self, reply);
    return 0;
}

rmt_peering_t *
rmt_relays_begin(rmt_relays_t *self, rmt_task_t *task, const rmt_id_t *image)
{
    rmt_error_t error = {0};
    self->is_open = false;
    self->ask = 0;
    s_replace(self, NULL);
    if (!rmt_config_bool(self->agent->config, "relays"))
        return NULL;
    rmt_peering_t *relay = s_open(self, image, &error);
    s_replace(self, relay);
    if (!relay || s_join(self, task, &error) == -1) {
        rmt_log(RMT_INFO, "relay.none", "text=\"%s\"", error.text);
        s_replace(self, NULL);
        return NULL;
    }
    self->is_open = true;
    self->tell_ms = rmt_clock_ms() + FIRST_TELL_MS;
    return self->relay;
}

void
rmt_relays_tick(rmt_relays_t *self, rmt_task_t *task)
{
    rmt_error_t error = {0};
    if (!self->is_open)
        return;
    if (self->ask && rmt_task_is_answered(task, self->ask)) {
        rmt_auto(rmt_msg) reply = rmt_task_answer(task, self->ask, &error);
        self->ask = 0;
        if (reply)
            s_learn(self, reply);
    }
    if (self->ask || rmt_clock_ms() < self->tell_ms)
        return;
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_peering_tell(self->relay, body);
    (void) rmt_task_ask(task, "relays", body, NULL, &self->ask, &error);
    self->tell_ms = rmt_clock_ms() + TELL_MS;
}

void
rmt_relays_end(rmt_relays_t *self, uint64_t relayed)
{
    if (self->relay) {
        rmt_peering_stop(self->relay);
        rmt_log(RMT_INFO, "relay.end", "chunks-from-peers=%" PRIu64, relayed);
    }
    self->is_open = false;
}

void
rmt_relays_told(rmt_relays_t *self, const rmt_records_t *items)
{
    pthread_mutex_lock(&self->mutex);
    if (self->relay)
        rmt_peering_learn(self->relay, NULL, items);
    pthread_mutex_unlock(&self->mutex);
}
