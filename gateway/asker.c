#include "gateway/asker.h"
#include "base/rmt_auto.h"

#include <assert.h>
#include <string.h>

struct asker {
    zactor_t *actor;
    bool is_asked;
    asker_fn *answer; // These two of the thread
    void *context;
};

static void
s_run(zsock_t *pipe, void *argument)
{
    const asker_t *self = argument;
    zsock_signal(pipe, 0);
    for (;;) {
        rmt_auto_str path = NULL;
        rmt_auto_str name = NULL;
        rmt_auto_str key = NULL;
        rmt_auto_str body = NULL;
        if (zstr_recvx(pipe, &path, &name, &key, &body, NULL) < 1 || streq(path, "$TERM"))
            break;
        const asker_question_t question = {path, name, key, body};
        asker_answer_t answer = {0};
        answer.body = self->answer(self->context, &question, &answer.error);
        if (answer.body)
            answer.error = (rmt_error_t){0};
        zmq_send(zsock_resolve(pipe), &answer, sizeof answer, 0);
    }
}

asker_t *
asker_new(asker_fn *answer, void *context)
{
    assert(answer);
    asker_t *self = zmalloc(sizeof *self);
    self->answer = answer;
    self->context = context;
    self->actor = zactor_new(s_run, self);
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
asker_ask(asker_t *self, const asker_question_t *question)
{
    assert(!self->is_asked);
    self->is_asked = true;
    zstr_sendx(self->actor, question->path, question->operator_name, question->key,
               question->body, NULL);
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
