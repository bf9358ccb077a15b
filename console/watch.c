#include "console/watch.h"
#include "console/command.h"
#include "console/field.h"
#include "console/output.h"
#include "console/moment.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BAR_WIDTH 24
#define POLL_MS 1000
#define LINES_MAX 40

typedef struct {
    const char *state;
    int exit_status;
} end_row_t;

static const end_row_t s_ends[] = {
    {"done", 0}, {"partial", 1}, {"failed", 2}, {"cancelled", 2}, {NULL, 0},
};

typedef struct {
    rmt_records_t *lines; // {key, name, phase, done, total, text, said}
    bool live;            // A terminal: lines are drawn over again
    bool quiet;
    size_t drawn;
    int64_t started_ms;
    char stuck[256]; // What the job waited for when that was last said
} board_t;

// Set by the signal handler alone; a signal has no other way to a loop in this thread.
static volatile sig_atomic_t s_interrupted;

static void
s_interrupt(int signal_number)
{
    (void) signal_number;
    s_interrupted = 1;
}

static void
s_draw_bar(const rmt_record_t *line)
{
    const uint64_t done = rmt_record_u64(line, "done", 0);
    const uint64_t total = rmt_record_u64(line, "total", 0);
    char bar[BAR_WIDTH + 1];
    const size_t full = total ? (size_t) ((double) done / (double) total * BAR_WIDTH) : 0;
    for (size_t i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < full ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    char had[16], wanted[16];
    fprintf(stderr, "\r\033[K  %-20s %-20s ", rmt_record_text(line, "name", "?"),
            rmt_record_text(line, "phase", ""));
    const char *stuck = rmt_record_text(line, "stuck", "");
    if (*stuck) {
        fprintf(stderr, "%s\n", stuck);
        return;
    }
    if (total)
        fprintf(stderr, "[%s] %3.0f%% %s of %s", bar,
                100.0 * (double) done / (double) total, field_bytes(done, had),
                field_bytes(total, wanted));
    fprintf(stderr, " %s\n", rmt_record_text(line, "text", ""));
}

static void
s_draw(board_t *board)
{
    if (!board->live || board->quiet)
        return;
    if (board->drawn)
        fprintf(stderr, "\033[%zuA", board->drawn);
    const size_t count = rmt_records_count(board->lines);
    board->drawn = count < LINES_MAX ? count : LINES_MAX;
    for (size_t i = 0; i < board->drawn; i++)
        s_draw_bar(rmt_records_at(board->lines, i));
}

// Without a terminal a line is written when a phase changes, or a task waits.
static void
s_say(board_t *board, rmt_record_t *line)
{
    const char *phase = rmt_record_text(line, "phase", "");
    const char *stuck = rmt_record_text(line, "stuck", "");
    rmt_auto_str news = rmt_text("%s%s", phase, stuck);
    if (board->live || board->quiet ||
        strcmp(rmt_record_text(line, "said", ""), news) == 0)
        return;
    rmt_record_set(line, "said", news);
    fprintf(stderr, "%6.1fs  %-20s %-20s %s\n",
            (double) (rmt_clock_ms() - board->started_ms) / 1000,
            rmt_record_text(line, "name", "?"), phase,
            *stuck ? stuck : rmt_record_text(line, "text", ""));
}

static void
s_update(board_t *board, const char *name, const rmt_record_t *news)
{
    rmt_record_t *line = rmt_records_find(board->lines, "name", name);
    if (!line) {
        line = rmt_records_add(board->lines);
        rmt_record_set(line, "name", name);
    }
    static const char *const fields[] = {"phase", "done", "total",
                                         "text",  "code", "stuck"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        rmt_record_set(line, fields[i], rmt_record_text(news, fields[i], ""));
    const char *why = rmt_record_text(news, "error", NULL);
    if (why && *why)
        rmt_record_set(line, "text", why);
    s_say(board, line);
}

static void
s_apply_event(board_t *board, const rmt_msg_t *event)
{
    const char *target = rmt_record_text(event->body, "target", "");
    const char *last = strrchr(event->topic, '/');
    if (*target)
        s_update(board, target, event->body);
    else if (last && strstr(event->topic, "/task/") &&
             rmt_record_has(event->body, "phase"))
        s_update(board, strstr(event->topic, "/task/") + 6, event->body);
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

// What the job as a whole waits for, once each. A job that is waited for in silence says
// this alone.
static void
s_say_stuck(board_t *board, const char *stuck)
{
    bool is_shown = false; // By the line of a target
    for (size_t i = 0; !board->quiet && i < rmt_records_count(board->lines); i++)
        is_shown |= *rmt_record_text(rmt_records_at(board->lines, i), "stuck", "") != 0;
    if (is_shown || strcmp(board->stuck, stuck) == 0)
        return;
    snprintf(board->stuck, sizeof board->stuck, "%s", stuck);
    if (!*stuck)
        return;
    board->drawn = 0; // The lines are drawn again below it
    fprintf(stderr, "%sstuck: %s\n", board->live ? "\r\033[K" : "", stuck);
}

// Ask for the whole state: the safety net below the events. Returns the job's exit
// status, -2 while it goes on, -1 with error.
static int
s_poll(call_t *call, board_t *board, const char *job, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "job", job);
    rmt_auto(rmt_msg) reply = call_request(call, "job.show", body, NULL, error);
    if (!reply)
        return error->code == RMT_E_UNAVAILABLE || error->code == RMT_E_BUSY ? -2 : -1;
    for (size_t i = 0; i < rmt_records_count(reply->items); i++) {
        const rmt_record_t *target = rmt_records_at(reply->items, i);
        s_update(board, rmt_record_text(target, "name", "?"), target);
    }
    s_say_stuck(board, rmt_record_text(reply->body, "stuck", ""));
    const char *state = rmt_record_text(reply->body, "state", "");
    const int end = s_end_of(state);
    if (end == -1)
        return -2;
    s_draw(board);
    if (!board->quiet) {
        const char *why = rmt_record_text(reply->body, "error", "");
        fprintf(stderr, "job %s: %s%s%s\n", job, state, *why ? ": " : "", why);
    }
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
            const int end = s_poll(call, board, job, error);
            if (end != -2)
                return s_interrupted ? WATCH_INTERRUPTED : end;
            s_draw(board);
            next_poll = rmt_clock_ms() + POLL_MS;
        }
        if (timeout_s && now - start > (int64_t) timeout_s * 1000)
            return rmt_fail(error, RMT_E_TIMEOUT, "job %s is still running after %u s",
                            job, timeout_s);
        rmt_error_t silence = {0};
        rmt_auto(rmt_msg) event = rmt_client_next_event(call->client, 200, &silence);
        if (event) {
            s_apply_event(board, event);
            s_draw(board);
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
    const char *terminal = getenv("TERM");
    rmt_auto(rmt_records) lines = rmt_records_new();
    board_t board = {.lines = lines, .quiet = quiet, .started_ms = rmt_clock_ms()};
    board.live = isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb") != 0;
    void (*before)(int) = signal(SIGINT, s_interrupt);
    const int status = s_follow(call, &board, job, timeout_s, error);
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
