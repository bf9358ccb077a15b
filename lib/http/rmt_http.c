#include "http/rmt_http.h"

#include <assert.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    rmt_http_answer_t answer;
    size_t max;
    bool is_too_big;
} sink_t;

static void
s_begin(void)
{
    (void) curl_global_init(CURL_GLOBAL_DEFAULT);
}

// As libcurl calls it: anything but size ends the transfer.
static size_t
s_take(char *data, size_t unit, size_t count, void *context)
{
    sink_t *sink = context;
    const size_t size = unit * count;
    if (size > sink->max - sink->answer.size) {
        sink->is_too_big = true;
        return 0;
    }
    char *body = realloc(sink->answer.body, sink->answer.size + size + 1);
    if (!body)
        abort();
    memcpy(body + sink->answer.size, data, size);
    sink->answer.body = body;
    sink->answer.size += size;
    body[sink->answer.size] = '\0';
    return size;
}

// A pinned key takes the place of authorities and names: a BMC signs its own certificate.
// What libcurl does not take must not leave a transfer that trusts others.
static CURLcode
s_set_trust(CURL *curl, const rmt_http_ask_t *ask)
{
    const struct {
        CURLoption option;
        long value;
    } rows[] = {{CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
                {CURLOPT_SSL_VERIFYPEER, ask->pin ? 0 : 1},
                {CURLOPT_SSL_VERIFYHOST, ask->pin ? 0 : 2},
                {CURLOPT_FOLLOWLOCATION, 0}};
    const struct {
        CURLoption option;
        const char *value;
    } words[] = {{CURLOPT_PROTOCOLS_STR, ask->is_plain ? "http,https" : "https"},
                 {CURLOPT_PROXY, ""},
                 {ask->pin ? CURLOPT_PINNEDPUBLICKEY : CURLOPT_CAINFO,
                  ask->pin ? ask->pin : ask->ca},
                 {CURLOPT_CAPATH, NULL}};
    CURLcode code = CURLE_OK;
    for (size_t i = 0; code == CURLE_OK && i < sizeof rows / sizeof *rows; i++)
        code = curl_easy_setopt(curl, rows[i].option, rows[i].value);
    for (size_t i = 0; code == CURLE_OK && i < sizeof words / sizeof *words; i++)
        code = curl_easy_setopt(curl, words[i].option, words[i].value);
    return code;
}

static CURLcode
s_set(CURL *curl, const rmt_http_ask_t *ask, sink_t *sink, struct curl_slist *headers)
{
    curl_easy_setopt(curl, CURLOPT_URL, ask->url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, ask->method);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long) ask->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, s_take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, sink);
    if (ask->user) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERNAME, ask->user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, ask->password);
    }
    if (ask->json)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, ask->json);
    return s_set_trust(curl, ask);
}

static int
s_explain(CURLcode code, const char *said, const sink_t *sink, const rmt_http_ask_t *ask,
          rmt_error_t *error)
{
    if (sink->is_too_big)
        return rmt_fail(error, RMT_E_TOO_BIG, "the answer is larger than %zu octets",
                        ask->answer_max);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return rmt_fail(error, RMT_E_TIMEOUT, "no answer within %u ms", ask->timeout_ms);
    if (code == CURLE_SSL_PINNEDPUBKEYNOTMATCH)
        return rmt_fail(error, RMT_E_NOT_ALLOWED, "the server's key is not the one in %s",
                        ask->pin);
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        return rmt_fail(error, RMT_E_NOT_ALLOWED,
                        "the server's certificate is not one of %s: %.160s", ask->ca,
                        said);
    if (code == CURLE_SSL_CACERT_BADFILE)
        return rmt_fail(error, RMT_E_CONFIG, "%s has no certificate", ask->ca);
    return rmt_fail(error, RMT_E_UNAVAILABLE, "%.200s",
                    *said ? said : curl_easy_strerror(code));
}

int
rmt_http_do(const rmt_http_ask_t *ask, rmt_http_answer_t *answer_out, rmt_error_t *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    assert(ask && ask->url && ask->method && answer_out && error);
    if (!ask->ca && !ask->pin)
        return rmt_fail(error, RMT_E_CONFIG, "nothing says which certificate is right");
    pthread_once(&once, s_begin);
    char said[CURL_ERROR_SIZE] = "";
    sink_t sink = {.max = ask->answer_max};
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
    if (ask->json)
        headers = curl_slist_append(headers, "Content-Type: application/json");
    for (const char *const *one = ask->headers; one && *one; one++)
        headers = curl_slist_append(headers, *one);
    if (!curl || !headers)
        abort();
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, said);
    CURLcode code = s_set(curl, ask, &sink, headers);
    if (code == CURLE_OK)
        code = curl_easy_perform(curl);
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    if (code != CURLE_OK) {
        free(sink.answer.body);
        return s_explain(code, said, &sink, ask, error);
    }
    sink.answer.status = (unsigned) status;
    if (!sink.answer.body && !(sink.answer.body = calloc(1, 1)))
        abort();
    *answer_out = sink.answer;
    return 0;
}

void
rmt_http_answer_clear(rmt_http_answer_t *answer)
{
    free(answer->body);
    *answer = (rmt_http_answer_t){.status = 0};
}
