#include "console/watch.h"
#include "console/board.h"
#include "console/command.h"
#include "console/output.h"
#include "console/moment.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLL_MS 1000
#define MANY 100 // Targets, from which on the whole state is asked for less often
#define POLL_MANY_MS 5000

typedef struct {
    const char *state;
    int exit_status;
} end_row_t;

static const end_row_t s_ends[] = {
    {"done", 0}, {"partial", 1}, {"failed", 2}, {"cancelled", 2}, {NULL, 0},
};

// Set by the signal handler alone; a signal has no other way to a loop in this thread.
static volatile sig_atomic_t s_interrupted;

static void
s_interrupt(int signal_number)
{
    (void) signal_number;
    s_interrupted = 1;
}

static void
s_apply_event(board_t *board, const rmt_msg_t *event)
{
    const char *target = rmt_record_text(event->body, "target", "");
    const char *task = strstr(event->topic, "/task/");
    if (*target)
        board_update(board, target, event->body);
    else if (task && rmt_record_is(event->body, "what", "task.result"))
        board_drop(board, task + strlen("/task/"));
    else if (task && rmt_record_has(event->body, "phase"))
        board_update(board, task + strlen("/task/"), event->body);
}

// A change of the job itself may be its end: then the whole state is asked for at once.
static bool
s_is_job_state(const rmt_msg_t *event)
{
    const size_t size = strlen(event->topic);
    return size > 6 && strcmp(event->topic + size - 6, "/state") == 0;
}

static int
s_end_of(const char *state)
{
    for (const end_row_t *row = s_ends; row->state; row++) {
        if (strcmp(row->state, state) == 0)
            return row->exit_status;
    }
    return -1;
}

// Ask for the whole state: the safety net below the events. Returns the job's exit
// status, -2 while it goes on, -1 with error.
static int
s_poll(call_t *call, board_t *board, const char *job, int64_t *next_ms,
       rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "job", job);
    rmt_auto(rmt_msg) reply = call_whole(call, "job.show", body, error);
    *next_ms = rmt_clock_ms() + POLL_MS;
    if (!reply)
        return error->code == RMT_E_UNAVAILABLE || error->code == RMT_E_BUSY ? -2 : -1;
    if (rmt_records_count(reply->items) > MANY)
        *next_ms = rmt_clock_ms() + POLL_MANY_MS;
    for (size_t i = 0; i < rmt_records_count(reply->items); i++) {
        const rmt_record_t *target = rmt_records_at(reply->items, i);
        board_update(board, rmt_record_text(target, "name", "?"), target);
    }
    board_set_stuck(board, rmt_record_text(reply->body, "stuck", ""));
    const char *state = rmt_record_text(reply->body, "state", "");
    const int end = s_end_of(state);
    if (end == -1)
        return -2;
    board_end(board, state, rmt_record_text(reply->body, "error", ""));
    return end;
}

static int
s_follow(call_t *call, board_t *board, const char *job, unsigned timeout_s,
         rmt_error_t *error)
{
    const int64_t start = rmt_clock_ms();
    int64_t next_poll = start;
    while (!s_interrupted) {
        const int64_t now = rmt_clock_ms();
        if (now >= next_poll) {
            const int end = s_poll(call, board, job, &next_poll, error);
            if (end != -2)
                return s_interrupted ? WATCH_INTERRUPTED : end;
            board_draw(board);
        }
        if (timeout_s && now - start > (int64_t) timeout_s * 1000)
            return rmt_fail(error, RMT_E_TIMEOUT, "job %s is still running after %u s",
                            job, timeout_s);
        rmt_error_t silence = {0};
        rmt_auto(rmt_msg) event = rmt_client_next_event(call->client, 200, &silence);
        if (event) {
            s_apply_event(board, event);
            board_draw(board);
            if (s_is_job_state(event))
                next_poll = 0;
        }
    }
    fprintf(stderr, "\nthe job continues; follow it with: ramet job watch %s\n", job);
    return WATCH_INTERRUPTED;
}

int
watch_job(call_t *call, const char *job, unsigned timeout_s, bool quiet,
          rmt_error_t *error)
{
    if (call_connect(call, error) == -1)
        return -1;
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "job", job);
    rmt_auto(rmt_msg) reply = call_request(call, "job.show", body, NULL, error);
    if (!reply)
        return -1;
    rmt_auto_str prefix = NULL;
    if (asprintf(&prefix, "job/%s/", rmt_record_text(reply->body, "id", "")) == -1)
        abort();
    if (rmt_client_subscribe(call->client, prefix, error) == -1)
        return -1;
    uint8_t uid[RMT_UID_SIZE];
    char name[11];
    if (rmt_uid_parse(uid, rmt_record_text(reply->body, "id", ""), error) == -1)
        return rmt_wrap(error, "the broker's answer");
    rmt_auto(board) board = board_new(rmt_job_text(uid, name), quiet);
    void (*before)(int) = signal(SIGINT, s_interrupt);
    const int status = s_follow(call, board, name, timeout_s, error);
    (void) signal(SIGINT, before);
    return status;
}

// With --json the job as it ended, as "job show" prints it.
static int
s_print_end(call_t *call, const char *job, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "job", job);
    rmt_auto(rmt_msg) reply = call_whole(call, "job.show", body, error);
    return reply ? output_record(reply->body, "targets", reply->items, NULL, &call->view,
                                 error)
                 : -1;
}

int
watch_made(call_t *call, const rmt_msg_t *reply, rmt_error_t *error)
{
    const char *uid = rmt_record_text(reply->body, "job", "");
    uint8_t job[RMT_UID_SIZE];
    if (rmt_uid_parse(job, uid, error) == -1)
        return rmt_wrap(error, "the broker's answer");
    char name[11];
    rmt_job_text(job, name);
    rmt_record_set(reply->body, "name", name);
    if (!rmt_record_has(call->options, "wait")) {
        if (call->json)
            return output_record(reply->body, NULL, NULL, NULL, &call->view, error);
        puts(name);
        fprintf(stderr, "follow it with: ramet job watch %s\n", name);
        return 0;
    }
    unsigned timeout_s = 0;
    const char *timeout = rmt_record_text(call->options, "timeout", NULL);
    if (timeout && moment_parse_span(timeout, &timeout_s, error) == -1)
        return -1;
    if (!call->json)
        puts(name);
    fflush(stdout);
    const int status = watch_job(call, uid, timeout_s, false, error);
    return status >= 0 && call->json && s_print_end(call, uid, error) == -1 ? -1 : status;
}
