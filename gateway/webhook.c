#include "gateway/webhook.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"
#include "console/job.h"
#include "console/object.h"
#include "crypto/rmt_id.h"
#include "crypto/rmt_hmac.h"
#include "http/rmt_http.h"
#include "net/rmt_client.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#define ASK_MS 5000   // The broker
#define TELL_MS 10000 // The webhook
#define ANSWER_MAX 4096
#define LOOK_MS 30000 // Between two looks at the jobs when no event wakes
#define REST_MS 500   // Between two looks when events wake
#define WAIT_MS 1000  // After a failure; then twice as long each time
#define WAIT_MAX_MS 300000
#define FILE_SIZE_MAX ((size_t) 16 * 1024 * 1024)

struct webhook {
    zactor_t *actor;
    atomic_bool is_woken; // A word is on its way to the thread; more would fill the pipe
    atomic_uint_least64_t told, failed; // By the thread
    atomic_bool is_away;                // Likewise
};

// Of the thread.
typedef struct {
    zsock_t *pipe;
    webhook_t *own; // Of which the thread knows what is atomic alone
    bool is_over;
    call_t call;
    const settings_t *settings;
    size_t index;
    char *path;
    zhashx_t *told;    // Uid of a job: the state that the webhook has taken
    zhashx_t *refused; // Uid of a job: the state that it has not taken, until again_ms
    bool is_new;       // There is no file: what is over is not told
    bool is_away;      // It did not answer: news does not make the next look sooner
    int64_t looked_ms, look_ms, again_ms, wait_ms;
} work_t;

// ---- The address

static bool
s_is_own_computer(const char *host, size_t size)
{
    return (size == 9 && strncmp(host, "localhost", size) == 0) ||
           (size == 5 && strncmp(host, "[::1]", size) == 0) ||
           (strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == size);
}

// Without TLS a message would be read, and answered, by others on its way.
static int
s_check_url(const char *url, rmt_error_t *error)
{
    const bool is_safe = strncmp(url, "https://", 8) == 0;
    const bool is_plain = strncmp(url, "http://", 7) == 0;
    const char *host = url + 7;
    const size_t size =
        is_plain ? *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#") : 0;
    if (!strchr(url, '@') && (is_safe || (is_plain && s_is_own_computer(host, size) &&
                                          strchr(":/?#", host[size]))))
        return 0;
    return rmt_fail(error, RMT_E_CONFIG,
                    "the setting webhooks has an address that is not https://HOST/PATH; "
                    "http is for this computer alone, as http://127.0.0.1:8080/");
}

// ---- What is told

static int
s_load(work_t *work, rmt_error_t *error)
{
    void *data = NULL;
    size_t size = 0;
    if (rmt_io_load(work->path, FILE_SIZE_MAX, &data, &size, error) == -1) {
        work->is_new = error->code == RMT_E_NOT_FOUND;
        return work->is_new ? 0 : -1;
    }
    rmt_auto_ptr text = data;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        char *blank = strchr(line, ' ');
        if (!blank)
            continue;
        *blank = '\0';
        zhashx_update(work->told, line, blank + 1);
    }
    return 0;
}

static void
s_save(work_t *work)
{
    char *text = NULL;
    size_t size = 0;
    rmt_error_t error = {0};
    FILE *out = open_memstream(&text, &size);
    assert(out);
    for (const char *state = zhashx_first(work->told); state;
         state = zhashx_next(work->told))
        fprintf(out, "%s %s\n", (const char *) zhashx_cursor(work->told), state);
    fclose(out);
    if (rmt_io_save(work->path, text, size, 0600, &error) == -1)
        rmt_log(RMT_WARN, "webhook.failed", "index=%zu code=%s text=\"%s\"", work->index,
                rmt_code_name(error.code), error.text);
    free(text);
}

// Jobs that are no longer kept are forgotten.
static void
s_forget(work_t *work, const rmt_records_t *jobs)
{
    rmt_auto(zhashx) kept = zhashx_new();
    for (size_t i = 0; i < rmt_records_count(jobs); i++)
        zhashx_update(kept, rmt_record_text(rmt_records_at(jobs, i), "id", ""), work);
    rmt_auto(zlistx) uids = zhashx_keys(work->told);
    for (const char *uid = zlistx_first(uids); uid; uid = zlistx_next(uids))
        if (!zhashx_lookup(kept, uid))
            zhashx_delete(work->told, uid);
}

// 0; 1 for an answer that does not take it; -1 when nothing took it.
static int
s_tell(const work_t *work, const rmt_record_t *job, rmt_error_t *error)
{
    rmt_auto(rmt_record) record = rmt_record_new();
    rmt_record_set(record, "what", "job.state");
    rmt_record_merge(record, job);
    rmt_auto_str body = object_line(record);
    const int64_t now_s = rmt_clock_wall_ms() / 1000;
    rmt_auto_str content = rmt_text("%" PRId64 ".%s", now_s, body);
    char mac[RMT_HMAC_TEXT_SIZE];
    rmt_hmac_compute(work->settings->webhook_secret, content, strlen(content), mac);
    rmt_auto_str signature = rmt_text("Ramet-Signature: t=%" PRId64 ",v1=%s", now_s, mac);
    rmt_auto_str delivery =
        rmt_text("Ramet-Delivery: %s-%s", rmt_record_text(job, "id", ""),
                 rmt_record_text(job, "state", ""));
    const char *const headers[] = {signature, delivery,
                                   "User-Agent: ramet-gateway/" RMT_VERSION, NULL};
    const rmt_http_ask_t ask = {.method = "POST",
                                .url = work->settings->webhooks[work->index],
                                .ca = work->settings->webhook_ca,
                                .json = body,
                                .headers = headers,
                                .is_plain = true,
                                .timeout_ms = TELL_MS,
                                .answer_max = ANSWER_MAX};
    rmt_http_answer_t answer;
    if (rmt_http_do(&ask, &answer, error) == -1)
        return error->code == RMT_E_TOO_BIG ? 1 : -1;
    const unsigned status = answer.status;
    rmt_http_answer_clear(&answer);
    if (status >= 200 && status < 300)
        return 0;
    (void) rmt_fail(error, RMT_E_REFUSED, "the webhook answers with the status %u",
                    status);
    return status >= 500 ? -1 : 1;
}

// News, or the end.
static void
s_listen(work_t *work, int64_t wait_ms)
{
    zmq_pollitem_t item = {zsock_resolve(work->pipe), 0, ZMQ_POLLIN, 0};
    if (zmq_poll(&item, 1, (long) wait_ms) < 1)
        return;
    rmt_auto_str word = zstr_recv(work->pipe);
    work->is_over = !word || streq(word, "$TERM");
    atomic_store(&work->own->is_woken, false);
    if (!work->is_away && work->look_ms > work->looked_ms + REST_MS)
        work->look_ms = work->looked_ms + REST_MS;
}

static bool
s_is_of(zhashx_t *states, const rmt_record_t *job)
{
    const char *state = zhashx_lookup(states, rmt_record_text(job, "id", ""));
    return state && streq(state, rmt_record_text(job, "state", ""));
}

// Tell what is new, the oldest job first. What is refused does not hinder what follows;
// a webhook that does not answer is left alone for a while. 0: all is told; 1: some is
// refused; -1: it did not answer.
static int
s_tell_all(work_t *work, const rmt_records_t *jobs)
{
    rmt_error_t error = {0};
    int worst = 0;
    for (size_t i = rmt_records_count(jobs); i-- > 0 && worst != -1 && !work->is_over;) {
        const rmt_record_t *job = rmt_records_at(jobs, i);
        const char *uid = rmt_record_text(job, "id", "");
        const char *state = rmt_record_text(job, "state", "");
        if (s_is_of(work->told, job))
            continue;
        if (s_is_of(work->refused, job)) {
            worst = 1;
            continue;
        }
        const int rc = work->is_new ? 0 : s_tell(work, job, &error);
        s_listen(work, 0);
        if (rc != 0) {
            worst = rc;
            atomic_fetch_add(&work->own->failed, 1);
            zhashx_update(work->refused, uid, (void *) (uintptr_t) state);
            continue;
        }
        zhashx_update(work->told, uid, (void *) (uintptr_t) state);
        if (work->is_new)
            continue;
        s_save(work);
        atomic_fetch_add(&work->own->told, 1);
        rmt_log(RMT_INFO, "webhook.told", "index=%zu job=%s state=%s", work->index, uid,
                state);
    }
    if (error.code != RMT_E_OK)
        rmt_log(RMT_WARN, "webhook.failed", "index=%zu code=%s text=\"%s\"", work->index,
                rmt_code_name(error.code), error.text);
    return worst;
}

static void
s_look(work_t *work)
{
    rmt_error_t error = {0};
    const bool is_due = rmt_clock_ms() >= work->again_ms;
    if (is_due)
        zhashx_purge(work->refused);
    int worst = -1;
    rmt_auto(rmt_records) jobs = job_list(&work->call, &error);
    if (jobs) {
        worst = s_tell_all(work, jobs);
        atomic_store(&work->own->is_away, worst == -1);
        s_forget(work, jobs);
        if (work->is_new)
            s_save(work);
        work->is_new = false;
    }
    work->is_away = worst == -1;
    work->looked_ms = rmt_clock_ms();
    if (worst == 0) {
        work->wait_ms = work->again_ms = 0;
        work->look_ms = work->looked_ms + LOOK_MS;
        return;
    }
    if (is_due) {
        const int64_t twice_ms = work->wait_ms ? 2 * work->wait_ms : WAIT_MS;
        work->wait_ms = twice_ms < WAIT_MAX_MS ? twice_ms : WAIT_MAX_MS;
        work->again_ms = work->looked_ms + work->wait_ms;
    }
    work->look_ms = work->again_ms;
}

// ---- The thread

static void
s_close(work_t **work_p)
{
    work_t *work = *work_p;
    rmt_client_destroy(&work->call.client);
    zhashx_destroy(&work->told);
    zhashx_destroy(&work->refused);
    free(work->path);
    free(work);
    *work_p = NULL;
}

static void
s_run(zsock_t *pipe, void *argument)
{
    work_t *work = argument;
    work->pipe = pipe;
    zsock_signal(pipe, 0);
    while (!work->is_over) {
        const int64_t left_ms = work->look_ms - rmt_clock_ms();
        if (left_ms > 0)
            s_listen(work, left_ms);
        else
            s_look(work);
    }
    s_close(&work);
}

static zhashx_t *
s_states_new(void)
{
    zhashx_t *states = zhashx_new();
    zhashx_set_duplicator(states, (zhashx_duplicator_fn *) strdup);
    zhashx_set_destructor(states, (zhashx_destructor_fn *) zstr_free);
    return states;
}

webhook_t *
webhook_new(const settings_t *settings, size_t index, rmt_error_t *error)
{
    assert(settings && error);
    const char *url = settings->webhooks[index];
    if (s_check_url(url, error) == -1)
        return NULL;
    rmt_id_t id;
    char name[RMT_ID_TEXT_SIZE];
    rmt_id_compute(&id, url, strlen(url));
    work_t *work = zmalloc(sizeof *work);
    work->settings = settings;
    work->index = index;
    work->path =
        rmt_text("%s/webhook-%.16s", settings->state, rmt_id_text(&id, name) + 2);
    work->told = s_states_new();
    work->refused = s_states_new();
    work->call.client =
        s_load(work, error) == 0
            ? rmt_client_new(rmt_hosts_list(settings->brokers), &settings->own,
                             settings->broker_key, ASK_MS, error)
            : NULL;
    if (!work->call.client) {
        s_close(&work);
        return NULL;
    }
    webhook_t *self = zmalloc(sizeof *self);
    work->own = self;
    self->actor = zactor_new(s_run, work);
    assert(self->actor);
    return self;
}

void
webhook_destroy(webhook_t **self_p)
{
    assert(self_p);
    webhook_t *self = rmt_take(self_p);
    if (!self)
        return;
    zactor_destroy(&self->actor);
    free(self);
}

void
webhook_wake(webhook_t *self)
{
    if (!atomic_exchange(&self->is_woken, true))
        (void) zstr_send(self->actor, "wake");
}

webhook_counts_t
webhook_counts(const webhook_t *self)
{
    return (webhook_counts_t){.told = atomic_load(&self->told),
                              .failed = atomic_load(&self->failed),
                              .is_up = !atomic_load(&self->is_away)};
}
