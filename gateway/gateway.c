#include "gateway/gateway.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "base/rmt_signals.h"
#include "crypto/rmt_id.h"
#include "gateway/acts.h"
#include "gateway/asker.h"
#include "gateway/webhook.h"
#include "gateway/listener.h"
#include "gateway/metrics.h"
#include "gateway/operators.h"
#include "gateway/page.h"
#include "gateway/routes.h"
#include "gateway/web.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#define QUESTIONS_MAX 64 // That wait for the broker
#define ACTS_MAX 16      // That wait for those before
#define ASK_MS 5000      // Until a broker, or all of them, count as away
#define TURN_MS 1000
#define NEWS_MS 250
#define WAKE_MS 5000
#define KEY_SIZE_MIN 8
#define KEY_SIZE_MAX 64

// A question, and the requests that get its answer. An act has one request, and its body
// is that of the request.
typedef struct {
    char *path;
    const char *operator_name; // Of an act; borrowed
    zlistx_t *requests;
} question_t;

// Questions that are put one after the other.
typedef struct {
    asker_t *asker;
    zlistx_t *questions; // The first one is asked
    size_t limit;
} line_t;

struct gateway {
    const settings_t *settings;
    web_t *web;
    call_t reader; // Of the thread that asks
    operators_t *operators;
    line_t asks, acts;
    listener_t *listener;
    webhook_t *hooks[SETTINGS_WEBHOOKS_MAX]; // As many as the settings have
    feed_t *feed;
    page_t *page;              // NULL: it is not there
    int64_t woken_ms, wake_ms; // When streams are looked after, if not before
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

// Is the host, with a port or without, one of the setting hosts?
static bool
s_is_own_host(const gateway_t *self, const char *text)
{
    if (!text)
        return false;
    const char *end = *text == '[' ? strchr(text, ']') : NULL;
    const size_t size = end ? (size_t) (end - text) + 1 : strcspn(text, ":");
    for (const char *const *host = self->settings->hosts; *host; host++)
        if (strlen(*host) == size && strncasecmp(*host, text, size) == 0)
            return true;
    return false;
}

// A browser says of which page a request is. An act is asked for by the gateway's own
// page, or by a program that is no browser.
static bool
s_is_own_page(const web_request_t *request)
{
    const char *origin = web_header(request, "Origin");
    const char *site = web_header(request, "Sec-Fetch-Site");
    const char *host = web_header(request, "Host");
    const char *of = origin ? strstr(origin, "://") : NULL;
    return (!origin || (of && host && strcasecmp(of + 3, host) == 0)) &&
           (!site || streq(site, "same-origin"));
}

// The secret that a request gives; NULL: none.
static const char *
s_secret(const web_request_t *request)
{
    static const char scheme[] = "Bearer ";
    const char *header = web_header(request, "Authorization");
    return header && strncasecmp(header, scheme, sizeof scheme - 1) == 0
               ? header + sizeof scheme - 1
               : NULL;
}

static const char *
s_operator(const gateway_t *self, const web_request_t *request)
{
    const char *given = s_secret(request);
    return given ? operators_find(self->operators, given) : NULL;
}

// Digests are compared, so that the time tells nothing of the secret. An operator may
// read as well.
static bool
s_may_read(const gateway_t *self, const web_request_t *request)
{
    if (!self->settings->read_token)
        return true;
    const char *given = s_secret(request);
    if (!given)
        return false;
    rmt_id_t a, b;
    rmt_id_compute(&a, given, strlen(given));
    rmt_id_compute(&b, self->settings->read_token, strlen(self->settings->read_token));
    return rmt_id_equal(&a, &b) || s_operator(self, request);
}

// Answer a request that may not be. Returns false.
static bool __attribute__((format(printf, 4, 5)))
s_deny(web_request_t *request, unsigned status, rmt_code_t code, const char *format, ...)
{
    char text[sizeof((rmt_error_t *) NULL)->text];
    rmt_error_t error = {0};
    va_list arguments;
    va_start(arguments, format);
    (void) vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    rmt_fail(&error, code, "%s", text);
    web_refuse(request, status, &error);
    return false;
}

// Refuse what may not be asked. False: it is answered.
static bool
s_admit(gateway_t *self, web_request_t *request)
{
    const char *method = web_method(request);
    // A page of another name may stand for this address, so that it could read the farm
    // (DNS rebinding).
    if (!s_is_own_host(self, web_header(request, "Host")))
        return s_deny(request, 421, RMT_E_REFUSED,
                      "this gateway is not asked under that name; add it to the setting "
                      "hosts");
    if (!page_find(self->page, web_path(request)).type && !s_may_read(self, request))
        return s_deny(request, 401, RMT_E_NOT_ALLOWED,
                      "give the secret of read-token, as in: curl -H 'Authorization: "
                      "Bearer SECRET'");
    if (web_has_parameters(request))
        return s_deny(request, 0, RMT_E_USAGE, "a request here has no parameters");
    if (acts_has(web_path(request)) && streq(method, "POST"))
        return true;
    if (acts_has(web_path(request)) || (!streq(method, "GET") && !streq(method, "HEAD")))
        return s_deny(request, 0, RMT_E_UNSUPPORTED,
                      "%.128s is %s; docs/spec/11-http.md has the paths and methods",
                      web_path(request),
                      acts_has(web_path(request)) ? "an act: the method is POST"
                                                  : "read: the methods are GET and HEAD");
    if (web_body_size(request) > 0)
        return s_deny(request, 0, RMT_E_USAGE, "a question has no body");
    return true;
}

static bool
s_is_key(const char *key)
{
    const size_t size = key ? strlen(key) : 0;
    for (size_t i = 0; i < size; i++)
        if (key[i] <= ' ' || key[i] > '~')
            return false;
    return size >= KEY_SIZE_MIN && size <= KEY_SIZE_MAX;
}

// The operator in whose name the request is. NULL: it is answered.
static const char *
s_need_operator(const gateway_t *self, web_request_t *request)
{
    const char *name = s_operator(self, request);
    if (!name && !operators_are_any(self->operators))
        s_deny(
            request, 0, RMT_E_NOT_ALLOWED,
            "this gateway only reads, since its setting operators is empty; to act, use "
            "the console");
    else if (!name)
        s_deny(request, 401, RMT_E_NOT_ALLOWED,
               "to act, give the secret of an operator, as in: curl -H 'Authorization: "
               "Bearer SECRET'");
    return name;
}

static bool
s_admit_act(const gateway_t *self, web_request_t *request, const char *name)
{
    const char *type = web_header(request, "Content-Type");
    const size_t size = strlen("application/json");
    // A form of a foreign page has another type.
    if (!type || strncasecmp(type, "application/json", size) != 0 ||
        (type[size] && !strchr("; \t", type[size])))
        return s_deny(request, 415, RMT_E_UNSUPPORTED,
                      "an act is JSON: give the header Content-Type: application/json");
    if (strlen(web_body(request)) != web_body_size(request))
        return s_deny(request, 0, RMT_E_USAGE, "the body has an octet 0");
    if (!s_is_key(web_header(request, "Idempotency-Key")))
        return s_deny(
            request, 0, RMT_E_USAGE,
            "an act needs the header Idempotency-Key with %d to %d letters, new "
            "ones for each act, so that it may be sent again when its answer is "
            "lost; make them with: openssl rand "
            "-hex 16",
            KEY_SIZE_MIN, KEY_SIZE_MAX);
    if (!operators_take_act(self->operators, name, rmt_clock_ms()))
        return s_deny(request, 429, RMT_E_BUSY,
                      "%s acts too often: %d acts at once, then one a second", name,
                      OPERATORS_ACTS_MAX);
    return true;
}

// ---- What is asked

static void
s_ask_first(line_t *line)
{
    const question_t *first = zlistx_first(line->questions);
    if (!first)
        return;
    const web_request_t *act =
        first->operator_name ? zlistx_first(first->requests) : NULL;
    const char *key = act ? web_header(act, "Idempotency-Key") : NULL;
    const asker_question_t question = {.path = first->path,
                                       .operator_name = act ? first->operator_name : "",
                                       .key = key ? key : "",
                                       .body = act ? web_body(act) : ""};
    asker_ask(line->asker, &question);
}

// A question that has not gone to the broker yet may have many who wait for it. Of one
// that has gone, the answer may be older than who asks.
static question_t *
s_find_question(const line_t *line, const char *path)
{
    (void) zlistx_first(line->questions);
    question_t *question = zlistx_next(line->questions);
    while (question && !streq(question->path, path))
        question = zlistx_next(line->questions);
    return question;
}

// Put a request into the line; one of an operator has a question of its own.
static void
s_ask(line_t *line, web_request_t *request, const char *operator_name)
{
    question_t *question =
        operator_name ? NULL : s_find_question(line, web_path(request));
    const size_t count = zlistx_size(line->questions);
    if (!question && count >= line->limit) {
        s_deny(request, 0, RMT_E_BUSY, "%zu %s wait for the broker; ask again later",
               count, operator_name ? "acts" : "questions");
        return;
    }
    if (!question) {
        question = zmalloc(sizeof *question);
        question->path = strdup(web_path(request));
        question->operator_name = operator_name;
        question->requests = zlistx_new();
        zlistx_add_end(line->questions, question);
    }
    zlistx_add_end(question->requests, request);
    if (count == 0)
        s_ask_first(line);
}

static void
s_act(gateway_t *self, web_request_t *request)
{
    if (!s_is_own_page(request)) {
        s_deny(request, 0, RMT_E_NOT_ALLOWED,
               "an act is asked for by the page of this gateway, not by one of another "
               "place");
        return;
    }
    const char *name = s_need_operator(self, request);
    const bool is_question = streq(web_path(request), OPERATORS_WHO);
    if (name && (is_question || s_admit_act(self, request, name)))
        s_ask(&self->acts, request, name);
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
    if (!web_stream(request))
        s_deny(request, 0, RMT_E_BUSY,
               "%u event streams are open, as many as the setting streams allows",
               self->settings->streams);
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
    if (!self->page)
        return !s_deny(request, 0, RMT_E_NOT_FOUND,
                       "the page is not installed here: the setting page names its "
                       "folder, \"%s\"; the JSON is at /api/v1/jobs and beside it",
                       self->settings->page);
    web_answer(request, file.answer);
    return true;
}

static void
s_handle(void *context, web_request_t *request)
{
    gateway_t *self = context;
    if (!s_admit(self, request) || s_give_page(self, request))
        return;
    if (streq(web_path(request), "/api/v1/events"))
        s_stream(self, request);
    else if (acts_has(web_path(request)) || streq(web_path(request), OPERATORS_WHO))
        s_act(self, request);
    else if (routes_has(web_path(request)))
        s_ask(&self->asks, request, NULL);
    else
        s_deny(request, 0, RMT_E_NOT_FOUND,
               "the path %.128s does not exist; docs/spec/11-http.md has the paths, such "
               "as /api/v1/jobs",
               web_path(request));
}

// ---- Answers

// A broker that is away is a figure as well.
static web_answer_t *
s_metrics(const gateway_t *self, const asker_answer_t *answer)
{
    const web_counts_t counts = web_counts(self->web);
    const bool is_up = answer->error.code == RMT_E_OK;
    webhook_counts_t hooks[SETTINGS_WEBHOOKS_MAX];
    size_t count = 0;
    for (; count < SETTINGS_WEBHOOKS_MAX && self->hooks[count]; count++)
        hooks[count] = webhook_counts(self->hooks[count]);
    rmt_auto_str own = metrics_own(&counts, hooks, count, is_up);
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
s_give_first(const gateway_t *self, line_t *line, const asker_answer_t *answer)
{
    question_t *question = zlistx_detach(line->questions, NULL);
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
s_take_answer(const gateway_t *self, line_t *line)
{
    asker_answer_t answer;
    asker_take(line->asker, &answer);
    s_give_first(self, line, &answer);
    while (answer.error.code == RMT_E_UNAVAILABLE && zlistx_size(line->questions) > 0)
        s_give_first(self, line, &answer);
    free(answer.body);
    s_ask_first(line);
}

static char *
s_answer_question(void *context, const asker_question_t *question, rmt_error_t *error)
{
    return routes_answer(context, question->path, error);
}

static char *
s_answer_act(void *context, const asker_question_t *question, rmt_error_t *error)
{
    const operators_act_t act = {question->operator_name, question->path, question->body,
                                 question->key};
    return operators_act(context, &act, error);
}

static void
s_open_line(line_t *line, size_t limit, asker_fn *answer, void *context)
{
    line->questions = zlistx_new();
    zlistx_set_destructor(line->questions, s_free_question);
    line->limit = limit;
    line->asker = asker_new(answer, context);
}

static void
s_close_line(line_t *line)
{
    asker_destroy(&line->asker);
    zlistx_destroy(&line->questions);
}

static int
s_open_lines(gateway_t *self, rmt_error_t *error)
{
    const settings_t *settings = self->settings;
    self->operators = operators_new(settings->operators, error);
    self->reader.client =
        self->operators
            ? rmt_client_new(rmt_hosts_list(settings->brokers), &settings->own,
                             settings->broker_key, ASK_MS, error)
            : NULL;
    if (!self->reader.client)
        return -1;
    s_open_line(&self->asks, QUESTIONS_MAX, s_answer_question, &self->reader);
    s_open_line(&self->acts, ACTS_MAX, s_answer_act, self->operators);
    return 0;
}

static int
s_open_hooks(gateway_t *self, rmt_error_t *error)
{
    for (size_t i = 0; self->settings->webhooks[i]; i++) {
        assert(i < SETTINGS_WEBHOOKS_MAX);
        self->hooks[i] = webhook_new(self->settings, i, error);
        if (!self->hooks[i])
            return -1;
    }
    return 0;
}

// ---- The whole

gateway_t *
gateway_new(const settings_t *settings, rmt_error_t *error)
{
    assert(settings && error);
    gateway_t *self = zmalloc(sizeof *self);
    self->settings = settings;
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
    self->listener =
        s_open_lines(self, error) == 0 ? listener_new(settings, error) : NULL;
    self->web =
        self->listener && s_open_hooks(self, error) == 0 ? web_new(&config, error) : NULL;
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
    s_close_line(&self->asks);
    s_close_line(&self->acts);
    rmt_client_destroy(&self->reader.client);
    operators_destroy(&self->operators);
    for (size_t i = 0; i < SETTINGS_WEBHOOKS_MAX; i++)
        webhook_destroy(&self->hooks[i]);
    listener_destroy(&self->listener);
    feed_destroy(&self->feed);
    page_destroy(&self->page);
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
        const bool has_job = listener_take(self->listener, self->feed);
        for (size_t i = 0; has_job && i < SETTINGS_WEBHOOKS_MAX && self->hooks[i]; i++)
            webhook_wake(self->hooks[i]);
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
            {zsock_resolve(asker_pipe(self->asks.asker)), 0, ZMQ_POLLIN, 0},
            {zsock_resolve(asker_pipe(self->acts.asker)), 0, ZMQ_POLLIN, 0},
            {zsock_resolve(listener_pipe(self->listener)), 0, ZMQ_POLLIN, 0},
        };
        if (zmq_poll(items, 5, web_timeout_ms(self->web, s_wait_ms(self))) == -1 &&
            errno != EINTR)
            return rmt_fail_errno(error, "wait for requests");
        if (rmt_signals_read(signals))
            return 0;
        if (items[2].revents)
            s_take_answer(self, &self->asks);
        if (items[3].revents)
            s_take_answer(self, &self->acts);
        s_feed_streams(self, items[4].revents);
        web_run(self->web);
    }
}
