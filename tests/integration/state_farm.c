#include "state_farm.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_clock.h"
#include "base/rmt_signals.h"

#include <string.h>
#include "tools/rmt_test.h"

static void
s_on_reply(void *context, rmt_msg_t *reply)
{
    state_farm_t *farm = context;
    rmt_msg_t kept = *reply;
    *reply = *farm->reply;
    *farm->reply = kept;
    farm->is_answered = true;
}

static void
s_on_ready(void *context, const char *service)
{
    state_farm_t *farm = context;
    snprintf(farm->ready, sizeof farm->ready, "%s", service);
}

// "name=value name=value"; "_" in a value is a blank.
static void
s_fill(rmt_record_t *record, const char *text)
{
    rmt_auto_str copy = strdup(text);
    char *rest = NULL;
    for (char *word = strtok_r(copy, " ", &rest); word;
         word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '=');
        assert_non_null(value);
        *value++ = '\0';
        for (char *c = value; *c; c++)
            *c = *c == '_' ? ' ' : *c;
        rmt_record_set(record, word, value);
    }
}

rmt_code_t
state_farm_call(state_farm_t *farm, const char *function, const char *meta_text,
                const char *body_text, const char *items_text)
{
    rmt_auto(rmt_record) meta = rmt_record_new();
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto(rmt_records) items = rmt_records_new();
    s_fill(meta, meta_text);
    s_fill(body, body_text);
    rmt_auto_str copy = strdup(items_text);
    char *rest = NULL;
    for (char *part = strtok_r(copy, "|", &rest); part; part = strtok_r(NULL, "|", &rest))
        s_fill(rmt_records_add(items), part);
    rmt_msg_destroy(&farm->reply);
    farm->reply = rmt_msg_new(RMT_MSG_REPLY);
    farm->is_answered = false;
    const rmt_call_t call = {function, meta, body, items};
    rmt_state_call(farm->state, &call, s_on_reply, farm);
    rmt_auto(zpoller) poller = zpoller_new(rmt_state_socket(farm->state), NULL);
    const int64_t limit = rmt_clock_ms() + STATE_WAIT_MS;
    while (!farm->is_answered && rmt_clock_ms() < limit) {
        zpoller_wait(poller, 100);
        rmt_state_handle(farm->state);
    }
    assert_true(farm->is_answered);
    if (farm->reply->code == RMT_E_INTERNAL)
        fail_msg("%s", farm->reply->text);
    return rmt_code_from(farm->reply->code);
}

const char *
state_farm_body(const state_farm_t *farm, const char *name)
{
    return rmt_record_text(farm->reply->body, name, "");
}

size_t
state_farm_count(const state_farm_t *farm)
{
    return rmt_records_count(farm->reply->items);
}

const char *
state_farm_item(const state_farm_t *farm, size_t index, const char *name)
{
    assert_true(index < state_farm_count(farm));
    return rmt_record_text(rmt_records_at(farm->reply->items, index), name, "");
}

bool
state_farm_is_due(state_farm_t *farm, const char *body, const char *kind)
{
    OK("scan", "", body, "");
    return streq(state_farm_body(farm, kind), "1");
}

int
state_farm_setup(void **state)
{
    state_farm_t *farm = zmalloc(sizeof *farm);
    rmt_error_t error = {0};
    rmt_signals_block(); // As a broker: a Redis that goes away ends no program
    redis_server_new(&farm->redis);
    const rmt_state_listener_t listener = {.on_ready = s_on_ready, .context = farm};
    const rmt_state_server_t server = {.address = farm->redis.socket, .timeout_ms = 2000};
    farm->state = rmt_state_new(&server, &listener, &error);
    assert_non_null(farm->state);
    *state = farm;
    return 0;
}

int
state_farm_teardown(void **state)
{
    state_farm_t *farm = *state;
    rmt_state_destroy(&farm->state);
    rmt_msg_destroy(&farm->reply);
    redis_server_destroy(&farm->redis);
    free(farm);
    return 0;
}

void
state_farm_add_image(state_farm_t *farm)
{
    OK("record_add", "", "class=source name=web place=hq", "");
    OK("image_create", "by=a job=" UID1 " job-name=j-aaaaaaaa", "source=web name=img",
       "");
    OK("job_step", "", "job=" UID1 " rev=1",
       "op=job event=begin|op=image set.id=" IMAGE
       " set.name=img set.place=hq set.source=web "
       "set.state=COMPLETE set.hardware=hw|op=job event=finish");
}

void
state_farm_hear_clock(state_farm_t *farm)
{
    OK("scan", "", "", "");
    rmt_state_hear_clock(farm->state, strtoull(state_farm_body(farm, "clock"), NULL, 10));
}

void
state_farm_begin_deploy(state_farm_t *farm, const char *options)
{
    state_farm_add_image(farm);
    OK("record_add", "", "class=engine name=lab", "");
    OK("record_import", "", "class=target", "name=t1 engine=lab|name=t2 engine=lab");
    OK("peer_hello", "by=a1 role=target name=t1", "nonce=n1", "");
    rmt_auto_str body = rmt_text("image=img engines=lab %s", options);
    OK("deploy_start", "by=a job=" DEPLOY " job-name=j-dddddddd", body,
       "target=t1|target=t2");
    OK("verdict_put", "by=i1 place=lab", "job=" DEPLOY " engine=lab",
       "target=t1 fits=yes choice=c1|target=t2 fits=no reason=no_disk");
}

const char *
state_farm_target(state_farm_t *farm, const char *job, size_t index, const char *name)
{
    rmt_auto_str body = rmt_text("job=%s", job);
    OK("job_show", "", body, "");
    return state_farm_item(farm, index, name);
}

void
state_farm_begin_prepare(state_farm_t *farm)
{
    state_farm_begin_deploy(farm, "partial=yes");
    OK("job_step", "", "job=" DEPLOY " rev=1", LOCK);
    OK("job_step", "", "job=" DEPLOY " rev=2",
       "op=job set.stage=install|op=target target=t1 event=begin|"
       "op=task task=" PREPARE
       " service=prepare@target/t1 stage=prepare subject=t1 b.order=o");
    OK("task_take", "by=a1", "service=prepare@target/t1 nonce=n1 n=1", "");
    assert_int_equal(state_farm_count(farm), 1);
    assert_string_equal(state_farm_item(farm, 0, "epoch"), "1");
}

void
state_farm_arm(state_farm_t *farm)
{
    state_farm_begin_prepare(farm);
    OK("job_step", "", "job=" DEPLOY " rev=3 task=" PREPARE " attempt=1 worker=a1 code=0",
       "op=arm target=t1 task=" PREPARE " plan=p nonce=n1 key=" FIRSTKEY
       "|op=task task=" WRITE
       " service=write@target/t1 stage=write subject=t1 from=" PREPARE
       " b.plan=p b.nonce=n1");
    OK("lock_show", "", "target=t1", "");
    assert_string_equal(state_farm_body(farm, "armed"), "yes");
}
