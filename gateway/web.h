// web - the HTTP server: connections with limits, requests, answers. The door to
// libmicrohttpd.
//
// It never blocks and has no thread: its owner polls one descriptor and lets it run. Each
// request goes to the owner once, whole; the owner answers it at once or later, or makes
// it a stream. A connection that does not send a whole request, or does not take its
// answer, in its time is closed. An instance belongs to one thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/rmt_error.h"
#include "gateway/feed.h"

#define WEB_HEADER_SIZE_MAX (16 * 1024) // Octets of request line and headers
#define WEB_BODY_SIZE_MAX (64 * 1024)
#define WEB_HEADER_MS 10000  // From the connection, or the answer before, to the headers
#define WEB_ANSWER_MS 60000  // From the headers until the answer is taken
#define WEB_SILENCE_MS 60000 // A stream of which nothing is taken for so long is closed

typedef struct web web_t;
typedef struct web_request web_request_t;

typedef void(web_handle_fn)(void *context, web_request_t *request);

// What a stream has for its client: at most max octets into out, max being
// WEB_BLOCK_SIZE. 0: nothing now. mark is the client's own.
#define WEB_BLOCK_SIZE ((size_t) 32 * 1024)
typedef size_t(web_read_fn)(void *context, feed_mark_t *mark, char *out, size_t max);

typedef struct {
    const char *listen;      // "address:port"; the address is one of IPv4 or IPv6 in []
    const char *certificate; // PEM texts; NULL: plain HTTP
    const char *private_key;
    unsigned connections_max, streams_max;
    unsigned address_max; // Connections of one address; 0: no limit
    unsigned silence_ms;  // WEB_SILENCE_MS, but in tests
    web_handle_fn *handle;
    web_read_fn *read;
    void *context;
} web_config_t;

// Bind and listen. Borrows what context points at. Caller owns the result. NULL: USAGE
// (the address), IO (bind), CONFIG (the certificate).
web_t *web_new(const web_config_t *config, rmt_error_t *error);
// Waiting requests are answered before with UNAVAILABLE.
void web_destroy(web_t **self_p);

uint16_t web_port(const web_t *self);
// Becomes readable when there is something to do.
int web_fd(const web_t *self);
// For how long it may be left alone, at most max_ms.
int web_timeout_ms(const web_t *self, int max_ms);
// Do what is to be done. Calls handle and read.
void web_run(web_t *self);
// There may be something new for the streams.
void web_wake_streams(web_t *self);

typedef struct {
    uint64_t requests, refused; // Answered; of these with a status from 400 on
    unsigned connections, streams;
} web_counts_t;
web_counts_t web_counts(const web_t *self);

// ---- Of a request. Texts are valid until it is answered.

const char *web_method(const web_request_t *request);
const char *web_path(const web_request_t *request); // Decoded; without parameters
bool web_has_parameters(const web_request_t *request);
// NULL when there is none.
const char *web_header(const web_request_t *request, const char *name);
size_t web_body_size(const web_request_t *request);
// With a NUL behind it; "" when there is none.
const char *web_body(const web_request_t *request);

// An answer, which many requests may have without a copy of its body.
typedef struct web_answer web_answer_t;

// Takes *body_p (malloc'ed). Caller owns the result.
web_answer_t *web_answer_new(unsigned status, const char *type, char **body_p,
                             size_t size);
// Requests that have it keep it.
void web_answer_destroy(web_answer_t **self_p);

// Answer, once for each request; at once or later.
void web_answer(web_request_t *request, web_answer_t *answer);
// The same with an error as JSON; status 0: that of its code.
void web_refuse(web_request_t *request, unsigned status, const rmt_error_t *error);
// Instead of an answer: go on with what read has, as text/event-stream. False: there are
// too many streams, and the request is still to be answered.
bool web_stream(web_request_t *request);
