#include "gateway/listener.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "console/cursor.h"
#include "console/object.h"
#include "gateway/topics.h"
#include "net/rmt_client.h"

#include <assert.h>
#include <string.h>

#define ASK_MS 5000  // Until a broker counts as away
#define LOOK_MS 2000 // Between two looks whether it answers, and whether events were lost
#define FRESH_MS 60000 // Between two snapshots while events come
#define REST_TIMES 20  // A snapshot waits for so many times as long as the last one took
#define TAKE_MAX 1000  // Messages at once, so that requests are answered as well

struct listener {
    zactor_t *actor;
};

// Of the thread.
typedef struct {
    zsock_t *pipe;
    rmt_client_t *client;
    topics_t *topics;
    char missed[CURSOR_SIZE]; // An entry that is not heard, seen at the look before
    bool is_up, is_dirty;     // The snapshot is no longer all
    int64_t look_ms, fresh_ms;
} work_t;

// ---- To the owner

static void
s_tell(work_t *work, const char *act, const char *topic, const rmt_record_t *value)
{
    rmt_auto(rmt_record) record = rmt_record_new();
    rmt_record_set(record, "topic", topic);
    rmt_record_merge(record, value);
    rmt_auto_str json = object_line(record);
    if (strlen(json) <= FEED_VALUE_SIZE_MAX)
        zstr_sendx(work->pipe, act, topic, json, NULL);
}

static void
s_set_up(work_t *work, bool is_up, const char *text)
{
    if (work->is_up == is_up)
        return;
    work->is_up = is_up;
    rmt_auto(rmt_record) record = rmt_record_new();
    rmt_record_set(record, "state", is_up ? "up" : "away");
    rmt_record_set(record, "text", text);
    s_tell(work, "value", "broker", record);
}

static void
s_told(void *context, const char *topic, const rmt_record_t *value)
{
    rmt_auto(rmt_record) none = rmt_record_new();
    s_tell(context, value ? "value" : "end", topic, value ? value : none);
}

// ---- The snapshot

static int
s_snapshot(work_t *work, rmt_error_t *error)
{
    const int64_t begin = rmt_clock_ms();
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto(rmt_msg) all =
        rmt_client_whole(work->client, "events.snapshot", body, error);
    if (!all)
        return -1;
    const topics_change_t change = topics_snapshot(work->topics, all);
    if (change.has_ended)
        zstr_sendx(work->pipe, "sweep", NULL);
    work->is_dirty = change.has_missing;
    const int64_t now = rmt_clock_ms(), rest_ms = (now - begin) * REST_TIMES;
    work->fresh_ms = now + (rest_ms > FRESH_MS ? rest_ms : FRESH_MS);
    return 0;
}

// The youngest audit entry: that of a snapshot of nothing. An entry that is younger than
// all events, at two looks, was lost, or is not for those who listen.
static bool
s_has_lost(work_t *work, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "topic", "none/");
    const rmt_request_t request = {"events.snapshot", body, NULL, NULL, NULL};
    rmt_auto(rmt_msg) reply = rmt_client_request(work->client, &request, error);
    if (!reply)
        return false;
    const char *last = rmt_record_text(reply->body, "cursor", "");
    if (!cursor_is_newer(last, topics_heard(work->topics))) {
        *work->missed = '\0';
        return false;
    }
    if (*work->missed && !cursor_is_newer(work->missed, topics_heard(work->topics)))
        *work->missed = '\0';
    if (*work->missed)
        return true;
    snprintf(work->missed, sizeof work->missed, "%s", last);
    return false;
}

static void
s_look(work_t *work)
{
    rmt_error_t error = {0};
    const int64_t now = rmt_clock_ms();
    const bool has_lost = work->is_up && s_has_lost(work, &error);
    const bool is_due =
        !work->is_up || (now >= work->fresh_ms && (work->is_dirty || has_lost));
    if (error.code == RMT_E_OK && (!is_due || s_snapshot(work, &error) == 0))
        s_set_up(work, true, "");
    if (error.code != RMT_E_OK)
        s_set_up(work, false, error.text);
    work->look_ms = rmt_clock_ms() + LOOK_MS;
}

// ---- The thread

static void
s_run(zsock_t *pipe, void *argument)
{
    work_t work = {.pipe = pipe, .client = argument};
    work.topics = topics_new(s_told, &work);
    zsock_signal(pipe, 0);
    work.is_up = true; // So that the first word is told
    s_set_up(&work, false, "the broker has not answered yet");
    for (;;) {
        zmq_pollitem_t item = {zsock_resolve(pipe), 0, ZMQ_POLLIN, 0};
        if (zmq_poll(&item, 1, 0) > 0)
            break; // $TERM is all that comes
        if (rmt_clock_ms() >= work.look_ms)
            s_look(&work);
        rmt_error_t ignored = {0};
        rmt_auto(rmt_msg) event = rmt_client_next_event(work.client, 100, &ignored);
        if (event && topics_apply(work.topics, event))
            work.is_dirty = true;
    }
    topics_destroy(&work.topics);
    rmt_client_destroy(&work.client);
}

listener_t *
listener_new(const settings_t *settings, rmt_error_t *error)
{
    assert(settings && error);
    rmt_auto(rmt_client) client =
        rmt_client_new(rmt_hosts_list(settings->brokers), &settings->own,
                       settings->broker_key, ASK_MS, error);
    if (!client || rmt_client_subscribe(client, "", error) == -1)
        return NULL;
    listener_t *self = zmalloc(sizeof *self);
    self->actor = zactor_new(s_run, rmt_take(&client));
    assert(self->actor);
    return self;
}

void
listener_destroy(listener_t **self_p)
{
    assert(self_p);
    listener_t *self = rmt_take(self_p);
    if (!self)
        return;
    zactor_destroy(&self->actor);
    free(self);
}

zsock_t *
listener_pipe(listener_t *self)
{
    return zactor_sock(self->actor);
}

// Is it the topic of a job itself, and not of a target or a task of it?
static bool
s_is_of_job(const char *topic)
{
    const size_t size = strlen(topic);
    return strncmp(topic, "job/", 4) == 0 && size > 6 &&
           streq(topic + size - 6, "/state");
}

bool
listener_take(listener_t *self, feed_t *feed)
{
    bool has_job = false;
    void *socket = zsock_resolve(listener_pipe(self));
    zmq_pollitem_t item = {socket, 0, ZMQ_POLLIN, 0};
    for (int i = 0; i < TAKE_MAX && zmq_poll(&item, 1, 0) > 0; i++) {
        rmt_auto(zmsg) msg = zmsg_recv(self->actor);
        rmt_auto_str act = zmsg_popstr(msg);
        rmt_auto_str topic = zmsg_popstr(msg);
        rmt_auto_str json = zmsg_popstr(msg);
        if (!json)
            feed_sweep(feed);
        else if (streq(act, "end"))
            feed_end_topic(feed, topic, json);
        else
            feed_put(feed, topic, json);
        has_job = has_job || (json && s_is_of_job(topic));
    }
    return has_job;
}
