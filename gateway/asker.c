#include "gateway/asker.h"
#include "gateway/routes.h"
#include "base/rmt_auto.h"
#include "net/rmt_client.h"

#include <assert.h>
#include <string.h>

#define TIMEOUT_MS 5000 // Until a broker, or all of them, count as away

struct asker {
    zactor_t *actor;
    bool is_asked;
};

static void
s_answer(zsock_t *pipe, call_t *call, const char *question)
{
    asker_answer_t answer = {0};
    answer.body = routes_answer(call, question, &answer.error);
    if (answer.body)
        answer.error = (rmt_error_t){0};
    zmq_send(zsock_resolve(pipe), &answer, sizeof answer, 0);
}

static void
s_run(zsock_t *pipe, void *argument)
{
    call_t call = {.client = argument};
    zsock_signal(pipe, 0);
    for (;;) {
        rmt_auto_str question = zstr_recv(pipe);
        if (!question || streq(question, "$TERM"))
            break;
        s_answer(pipe, &call, question);
    }
    rmt_client_destroy(&call.client);
}

asker_t *
asker_new(const settings_t *settings, rmt_error_t *error)
{
    assert(settings && error);
    rmt_client_t *client =
        rmt_client_new(rmt_hosts_list(settings->brokers), &settings->own,
                       settings->broker_key, TIMEOUT_MS, error);
    if (!client)
        return NULL;
    asker_t *self = zmalloc(sizeof *self);
    self->actor = zactor_new(s_run, client);
    assert(self->actor);
    return self;
}

void
asker_destroy(asker_t **self_p)
{
    assert(self_p);
    asker_t *self = rmt_take(self_p);
    if (!self)
        return;
    asker_answer_t late = {0};
    if (self->is_asked)
        asker_take(self, &late);
    free(late.body);
    zactor_destroy(&self->actor);
    free(self);
}

void
asker_ask(asker_t *self, const char *question)
{
    assert(!self->is_asked);
    self->is_asked = true;
    zstr_send(self->actor, question);
}

zsock_t *
asker_pipe(asker_t *self)
{
    return zactor_sock(self->actor);
}

void
asker_take(asker_t *self, asker_answer_t *answer_out)
{
    rmt_auto(zframe) frame = zframe_recv(asker_pipe(self));
    assert(frame && zframe_size(frame) == sizeof *answer_out);
    self->is_asked = false;
    memcpy(answer_out, zframe_data(frame), sizeof *answer_out);
}
