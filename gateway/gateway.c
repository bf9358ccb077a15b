#include "gateway/gateway.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "base/rmt_signals.h"
#include "crypto/rmt_id.h"
#include "gateway/asker.h"
#include "gateway/listener.h"
#include "gateway/metrics.h"
#include "gateway/page.h"
#include "gateway/routes.h"
#include "gateway/web.h"

#include <assert.h>
#include <string.h>

#define QUESTIONS_MAX 64 // That wait for the broker
#define TURN_MS 1000
#define NEWS_MS 250
#define WAKE_MS 5000

// A question, and the requests that get its answer.
typedef struct {
    char *path;
    zlistx_t *requests;
} question_t;

struct gateway {
    const settings_t *settings;
    web_t *web;
    asker_t *asker;
    listener_t *listener;
    feed_t *feed;
    page_t *page;              // NULL: it is not there
    int64_t woken_ms, wake_ms; // When streams are looked after, if not before
    zlistx_t *questions;       // The first one is asked
};

static void
s_free_question(void **question_p)
{
    question_t *question = *question_p;
    zlistx_destroy(&question->requests);
    free(question->path);
    free(question);
    *question_p = NULL;
}

// ---- Who may ask

// The host of a browser's page: one of another name may stand for this address, so that a
// foreign page could read it (DNS rebinding).
static bool
s_is_own_host(const gateway_t *self, const char *header)
{
    if (!header)
        return false;
    const char *end = *header == '[' ? strchr(header, ']') : NULL;
    const size_t size = end ? (size_t) (end - header) + 1 : strcspn(header, ":");
    for (const char *const *host = self->settings->hosts; *host; host++)
        if (strlen(*host) == size && strncasecmp(*host, header, size) == 0)
            return true;
    return false;
}

// Digests are compared, so that the time tells nothing of the secret.
static bool
s_has_token(const gateway_t *self, const char *header)
{
    static const char scheme[] = "Bearer ";
    if (!self->settings->read_token)
        return true;
    if (!header || strncasecmp(header, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *given = header + sizeof scheme - 1;
    rmt_id_t a, b;
    rmt_id_compute(&a, given, strlen(given));
    rmt_id_compute(&b, self->settings->read_token, strlen(self->settings->read_token));
    return rmt_id_equal(&a, &b);
}

// Refuse what may not be asked. False: it is answered.
static bool
s_admit(gateway_t *self, web_request_t *request)
{
    rmt_error_t error = {0};
    unsigned status = 0;
    const char *method = web_method(request);
    if (!s_is_own_host(self, web_header(request, "Host"))) {
        status = 421;
        rmt_fail(
            &error, RMT_E_REFUSED,
            "this gateway is not asked under that name; add it to the setting hosts");
    } else if (!page_find(self->page, web_path(request)).type &&
               !s_has_token(self, web_header(request, "Authorization"))) {
        status = 401;
        rmt_fail(&error, RMT_E_NOT_ALLOWED,
                 "give the secret of read-token, as in: curl -H 'Authorization: Bearer "
                 "SECRET'");
    } else if (!streq(method, "GET") && !streq(method, "HEAD")) {
        rmt_fail(&error, RMT_E_UNSUPPORTED,
                 "this gateway only reads: the methods are GET and HEAD; to act, use the "
                 "console");
    } else if (web_body_size(request) > 0 || web_has_parameters(request)) {
        rmt_fail(&error, RMT_E_USAGE, "a request here has no body and no parameters");
    } else {
        return true;
    }
    web_refuse(request, status, &error);
    return false;
}

// ---- What is asked

static void
s_ask_first(gateway_t *self)
{
    const question_t *first = zlistx_first(self->questions);
    if (first)
        asker_ask(self->asker, first->path);
}

// A question that has not gone to the broker yet may have many who wait for it. Of one
// that has gone, the answer may be older than who asks.
static question_t *
s_find_question(const gateway_t *self, const char *path)
{
    (void) zlistx_first(self->questions);
    question_t *question = zlistx_next(self->questions);
    while (question && !streq(question->path, path))
        question = zlistx_next(self->questions);
    return question;
}

static void
s_ask(gateway_t *self, web_request_t *request)
{
    question_t *question = s_find_question(self, web_path(request));
    const size_t count = zlistx_size(self->questions);
    if (!question && count >= QUESTIONS_MAX) {
        rmt_error_t error = {0};
        rmt_fail(&error, RMT_E_BUSY, "%zu questions wait for the broker; ask again later",
                 count);
        web_refuse(request, 0, &error);
        return;
    }
    if (!question) {
        question = zmalloc(sizeof *question);
        question->path = strdup(web_path(request));
        question->requests = zlistx_new();
        zlistx_add_end(self->questions, question);
    }
    zlistx_add_end(question->requests, request);
    if (count == 0)
        s_ask_first(self);
}

// ---- Streams

static size_t
s_read(void *context, feed_mark_t *mark, char *out, size_t max)
{
    const gateway_t *self = context;
    return feed_read(self->feed, mark, rmt_clock_ms(), out, max);
}

static void
s_stream(gateway_t *self, web_request_t *request)
{
    rmt_error_t error = {0};
    if (web_stream(request))
        return;
    rmt_fail(&error, RMT_E_BUSY,
             "%u event streams are open, as many as the setting streams allows",
             self->settings->streams);
    web_refuse(request, 0, &error);
}

// ---- Requests

// False: the path is no file of the page. The page itself is no secret: what it shows, it
// asks for with the secret of its user.
static bool
s_give_page(const gateway_t *self, web_request_t *request)
{
    const page_file_t file = page_find(self->page, web_path(request));
    if (!file.type)
        return false;
    if (!self->page) {
        rmt_error_t error = {0};
        rmt_fail(&error, RMT_E_NOT_FOUND,
                 "the page is not installed here: the setting page names its folder, "
                 "\"%s\"; the JSON is at /api/v1/jobs and beside it",
                 self->settings->page);
        web_refuse(request, 0, &error);
        return true;
    }
    web_answer(request, file.answer);
    return true;
}

static void
s_handle(void *context, web_request_t *request)
{
    gateway_t *self = context;
    if (!s_admit(self, request) || s_give_page(self, request))
        return;
    if (streq(web_path(request), "/api/v1/events")) {
        s_stream(self, request);
        return;
    }
    if (routes_has(web_path(request))) {
        s_ask(self, request);
        return;
    }
    rmt_error_t error = {0};
    rmt_fail(
        &error, RMT_E_NOT_FOUND,
        "the path %.128s does not exist; docs/spec/11-http.md has the paths, such as "
        "/api/v1/jobs",
        web_path(request));
    web_refuse(request, 0, &error);
}

// ---- Answers

// A broker that is away is a figure as well.
static web_answer_t *
s_metrics(const gateway_t *self, const asker_answer_t *answer)
{
    const web_counts_t counts = web_counts(self->web);
    const bool is_up = answer->error.code == RMT_E_OK;
    rmt_auto_str own = metrics_own(&counts, is_up);
    char *text = rmt_text("%s%s", own, is_up ? answer->body : "");
    const size_t size = strlen(text);
    return web_answer_new(200, "text/plain; version=0.0.4; charset=utf-8", &text, size);
}

// What all who put the question get. Caller owns. NULL: the error.
static web_answer_t *
s_answer(const gateway_t *self, const question_t *question, const asker_answer_t *answer)
{
    if (streq(question->path, "/metrics"))
        return s_metrics(self, answer);
    if (answer->error.code != RMT_E_OK)
        return NULL;
    char *text = rmt_text("%s\n", answer->body);
    const size_t size = strlen(text);
    return web_answer_new(200, "application/json", &text, size);
}

static void
s_give_first(gateway_t *self, const asker_answer_t *answer)
{
    question_t *question = zlistx_detach(self->questions, NULL);
    rmt_auto(web_answer) given = s_answer(self, question, answer);
    void *request;
    while ((request = zlistx_detach(question->requests, NULL))) {
        if (given)
            web_answer(request, given);
        else
            web_refuse(request, 0, &answer->error);
    }
    void *item = question;
    s_free_question(&item);
}

// When the broker is away, all who wait are told at once, and not each after its time.
static void
s_take_answer(gateway_t *self)
{
    asker_answer_t answer;
    asker_take(self->asker, &answer);
    s_give_first(self, &answer);
    while (answer.error.code == RMT_E_UNAVAILABLE && zlistx_size(self->questions) > 0)
        s_give_first(self, &answer);
    free(answer.body);
    s_ask_first(self);
}

// ---- The whole

gateway_t *
gateway_new(const settings_t *settings, rmt_error_t *error)
{
    assert(settings && error);
    gateway_t *self = zmalloc(sizeof *self);
    self->settings = settings;
    self->questions = zlistx_new();
    zlistx_set_destructor(self->questions, s_free_question);
    const web_config_t config = {.listen = settings->listen,
                                 .certificate = settings->certificate,
                                 .private_key = settings->private_key,
                                 .connections_max = settings->connections,
                                 .streams_max = settings->streams,
                                 .address_max = settings->connections_per_address,
                                 .silence_ms = WEB_SILENCE_MS,
                                 .handle = s_handle,
                                 .read = s_read,
                                 .context = self};
    self->feed = feed_new();
    self->page = *settings->page ? page_new(settings->page) : NULL;
    self->asker = asker_new(settings, error);
    self->listener = self->asker ? listener_new(settings, error) : NULL;
    self->web = self->listener ? web_new(&config, error) : NULL;
    if (!self->web)
        gateway_destroy(&self);
    return self;
}

void
gateway_destroy(gateway_t **self_p)
{
    assert(self_p);
    gateway_t *self = rmt_take(self_p);
    if (!self)
        return;
    web_destroy(&self->web);
    asker_destroy(&self->asker);
    listener_destroy(&self->listener);
    feed_destroy(&self->feed);
    page_destroy(&self->page);
    zlistx_destroy(&self->questions);
    free(self);
}

uint16_t
gateway_port(const gateway_t *self)
{
    return web_port(self->web);
}

// News are told some times a second, not each by itself. Streams without news get a sign
// of life, by which those that are gone are found.
static void
s_feed_streams(gateway_t *self, bool has_news)
{
    const int64_t now = rmt_clock_ms();
    if (has_news) {
        listener_take(self->listener, self->feed);
        if (self->wake_ms > self->woken_ms + NEWS_MS)
            self->wake_ms = self->woken_ms + NEWS_MS;
    }
    if (now < self->wake_ms)
        return;
    self->woken_ms = now;
    self->wake_ms = now + WAKE_MS;
    web_wake_streams(self->web);
}

static int
s_wait_ms(const gateway_t *self)
{
    const int64_t wait_ms = self->wake_ms - rmt_clock_ms();
    return wait_ms < 0 ? 0 : wait_ms < TURN_MS ? (int) wait_ms : TURN_MS;
}

int
gateway_run(gateway_t *self, int signals, rmt_error_t *error)
{
    for (;;) {
        zmq_pollitem_t items[] = {
            {NULL, signals, ZMQ_POLLIN, 0},
            {NULL, web_fd(self->web), ZMQ_POLLIN, 0},
            {zsock_resolve(asker_pipe(self->asker)), 0, ZMQ_POLLIN, 0},
            {zsock_resolve(listener_pipe(self->listener)), 0, ZMQ_POLLIN, 0},
        };
        if (zmq_poll(items, 4, web_timeout_ms(self->web, s_wait_ms(self))) == -1 &&
            errno != EINTR)
            return rmt_fail_errno(error, "wait for requests");
        if (rmt_signals_read(signals))
            return 0;
        if (items[2].revents)
            s_take_answer(self);
        s_feed_streams(self, items[3].revents);
        web_run(self->web);
    }
}
