#include "gateway/web.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "facts/rmt_endpoint.h"
#include "console/object.h"
#include "gateway/outflow.h"

#include <assert.h>
#include <czmq.h>
#include <microhttpd.h>
#include <string.h>
#include <sys/socket.h>

#define IDLE_S 20 // Below the deadlines, for what they do not see
#define LOOKS 20  // For streams that are silent, in the time that they have

// A connection. In the list of web until it is closed.
typedef struct peer {
    struct peer *next, *before;
    int fd;
    int64_t deadline_ms; // 0: none
    bool is_stream;
    outflow_t outflow; // Of a stream
} peer_t;

// Of libmicrohttpd, which lets go of the body after the last of its connections.
struct web_answer {
    struct MHD_Response *response;
    unsigned status;
    size_t holders; // Its owner, and requests that have not sent it yet
};

typedef enum { READING, HANDLED, WAITING, ANSWERED, STREAMING } state_t;

struct web_request {
    web_t *web;
    web_request_t *next, *before; // Of the streams and of those that wait
    struct MHD_Connection *connection;
    peer_t *peer;
    state_t state;
    bool is_suspended;
    char *method, *path;
    char *body;
    size_t body_size;
    web_answer_t *answer; // That is not sent yet
    char *block;          // Of a stream, as are the following
    size_t block_size, block_sent;
    feed_mark_t mark;
};

struct web {
    web_config_t config;
    struct MHD_Daemon *daemon;
    peer_t *peers;
    web_request_t *requests;
    web_counts_t counts;
    int64_t look_ms; // The last one for streams that are silent
};

// ---- Answers

static const struct {
    const char *name, *value;
} s_headers[] = {
    {"Cache-Control", "no-store"},
    {"Content-Security-Policy",
     "default-src 'self'; img-src data:; frame-ancestors 'none'; "
     "base-uri 'none'; form-action 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
};

static void
s_add_headers(struct MHD_Response *response, unsigned status, const char *type)
{
    for (size_t i = 0; i < sizeof s_headers / sizeof *s_headers; i++)
        MHD_add_response_header(response, s_headers[i].name, s_headers[i].value);
    MHD_add_response_header(response, "Content-Type", type);
    if (status == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, "Allow", "GET, HEAD, POST");
    // What is left of the request is not read.
    if (status == MHD_HTTP_CONTENT_TOO_LARGE || status == MHD_HTTP_LENGTH_REQUIRED)
        MHD_add_response_header(response, "Connection", "close");
}

web_answer_t *
web_answer_new(unsigned status, const char *type, char **body_p, size_t size)
{
    assert(type && body_p && *body_p);
    web_answer_t *self = zmalloc(sizeof *self);
    self->response =
        MHD_create_response_from_buffer(size, rmt_take(body_p), MHD_RESPMEM_MUST_FREE);
    assert(self->response);
    s_add_headers(self->response, status, type);
    self->status = status;
    self->holders = 1;
    return self;
}

void
web_answer_destroy(web_answer_t **self_p)
{
    assert(self_p);
    web_answer_t *self = rmt_take(self_p);
    if (!self || --self->holders > 0)
        return;
    MHD_destroy_response(self->response);
    free(self);
}

static enum MHD_Result
s_send(web_request_t *request)
{
    rmt_auto(web_answer) answer = rmt_take(&request->answer);
    return MHD_queue_response(request->connection, answer->status, answer->response);
}

static void
s_resume(web_request_t *request)
{
    if (!request->is_suspended)
        return;
    request->is_suspended = false;
    MHD_resume_connection(request->connection);
}

void
web_answer(web_request_t *request, web_answer_t *answer)
{
    assert(request->state == READING || request->state == HANDLED ||
           request->state == WAITING);
    request->state = ANSWERED;
    request->answer = answer;
    answer->holders++;
    request->web->counts.requests++;
    request->web->counts.refused += answer->status >= 400;
    s_resume(request);
}

static const struct {
    rmt_code_t code;
    unsigned status;
} s_statuses[] = {
    {RMT_E_USAGE, MHD_HTTP_BAD_REQUEST},
    {RMT_E_NOT_FOUND, MHD_HTTP_NOT_FOUND},
    {RMT_E_EXISTS, MHD_HTTP_CONFLICT},
    {RMT_E_REFUSED, MHD_HTTP_CONFLICT},
    {RMT_E_LOCKED, MHD_HTTP_CONFLICT},
    {RMT_E_NOT_ALLOWED, MHD_HTTP_FORBIDDEN},
    {RMT_E_TOO_BIG, MHD_HTTP_CONTENT_TOO_LARGE},
    {RMT_E_TIMEOUT, MHD_HTTP_GATEWAY_TIMEOUT},
    {RMT_E_UNAVAILABLE, MHD_HTTP_SERVICE_UNAVAILABLE},
    {RMT_E_BUSY, MHD_HTTP_SERVICE_UNAVAILABLE},
    {RMT_E_UNSUPPORTED, MHD_HTTP_METHOD_NOT_ALLOWED},
};

void
web_refuse(web_request_t *request, unsigned status, const rmt_error_t *error)
{
    for (size_t i = 0; status == 0 && i < sizeof s_statuses / sizeof *s_statuses; i++)
        if (s_statuses[i].code == error->code)
            status = s_statuses[i].status;
    rmt_auto_str object = object_error(error);
    char *text = rmt_text("%s\n", object);
    const size_t size = strlen(text);
    rmt_auto(web_answer) answer =
        web_answer_new(status ? status : MHD_HTTP_INTERNAL_SERVER_ERROR,
                       "application/json", &text, size);
    web_answer(request, answer);
}

// ---- Lists

static void
s_link(web_request_t *request)
{
    web_request_t **first_p = &request->web->requests;
    request->next = *first_p;
    if (*first_p)
        (*first_p)->before = request;
    *first_p = request;
}

static void
s_unlink(web_request_t *request)
{
    if (request->before)
        request->before->next = request->next;
    else
        request->web->requests = request->next;
    if (request->next)
        request->next->before = request->before;
}

// ---- Streams

// libmicrohttpd may take less at once than a value has, so a block waits here.
static ssize_t
s_read_stream(void *context, uint64_t position, char *out, size_t max)
{
    web_request_t *request = context;
    (void) position;
    const web_config_t *config = &request->web->config;
    if (!request->block) {
        rmt_auto_str block = malloc(WEB_BLOCK_SIZE);
        assert(block);
        request->block_size =
            config->read(config->context, &request->mark, block, WEB_BLOCK_SIZE);
        request->block_sent = 0;
        if (request->block_size)
            request->block = realloc(rmt_take(&block), request->block_size);
    }
    if (!request->block) {
        request->is_suspended = true;
        MHD_suspend_connection(request->connection);
        return 0;
    }
    const size_t left = request->block_size - request->block_sent;
    const size_t size = left < max ? left : max;
    memcpy(out, request->block + request->block_sent, size);
    request->block_sent += size;
    request->peer->outflow.given += (int64_t) size;
    if (size == left) {
        free(request->block);
        request->block = NULL;
    }
    return (ssize_t) size;
}

bool
web_stream(web_request_t *request)
{
    web_t *self = request->web;
    if (self->counts.streams >= self->config.streams_max)
        return false;
    self->counts.requests++;
    self->counts.streams++;
    request->state = STREAMING;
    request->peer->deadline_ms = 0;
    request->peer->is_stream = true;
    // That of libmicrohttpd sees what the kernel takes, and not the client.
    MHD_set_connection_option(request->connection, MHD_CONNECTION_OPTION_TIMEOUT, 0U);
    return true;
}

static enum MHD_Result
s_send_stream(web_request_t *request)
{
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, WEB_BLOCK_SIZE, s_read_stream, request, NULL);
    assert(response);
    s_add_headers(response, MHD_HTTP_OK, "text/event-stream");
    const enum MHD_Result rc =
        MHD_queue_response(request->connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return rc;
}

void
web_wake_streams(web_t *self)
{
    for (web_request_t *one = self->requests; one; one = one->next)
        if (one->state == STREAMING)
            s_resume(one);
}

// ---- Requests

static web_request_t *
s_begin(web_t *self, struct MHD_Connection *connection, const char *path,
        const char *method)
{
    web_request_t *request = zmalloc(sizeof *request);
    request->web = self;
    request->connection = connection;
    request->method = strdup(method);
    request->path = strdup(path);
    request->peer =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
            ->socket_context;
    request->peer->deadline_ms = rmt_clock_ms() + WEB_ANSWER_MS;
    s_link(request);
    return request;
}

// A body that is announced as larger than it may be, or without its size, is refused
// before it comes: later no answer would be possible. False: it is answered.
static bool
s_admit_body(web_request_t *request)
{
    rmt_error_t error = {0};
    unsigned status = 0;
    const char *size = web_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (web_header(request, MHD_HTTP_HEADER_TRANSFER_ENCODING)) {
        status = MHD_HTTP_LENGTH_REQUIRED;
        rmt_fail(&error, RMT_E_USAGE, "a body needs the header Content-Length");
    } else if (size &&
               (strlen(size) > 9 || strtoull(size, NULL, 10) > WEB_BODY_SIZE_MAX)) {
        rmt_fail(&error, RMT_E_TOO_BIG, "the body of a request has at most %d octets",
                 WEB_BODY_SIZE_MAX);
    } else {
        return true;
    }
    web_refuse(request, status, &error);
    return false;
}

// What is over the limit was refused by its Content-Length.
static void
s_take_body(web_request_t *request, const char *data, size_t size)
{
    if (request->state != READING || request->body_size + size > WEB_BODY_SIZE_MAX)
        return;
    request->body = realloc(request->body, request->body_size + size + 1);
    assert(request->body);
    memcpy(request->body + request->body_size, data, size);
    request->body_size += size;
    request->body[request->body_size] = '\0';
}

// Of libmicrohttpd, which gives eight parameters.
static enum MHD_Result
// NOLINTNEXTLINE(readability-function-size)
s_access(void *context, struct MHD_Connection *connection, const char *path,
         const char *method, const char *version, const char *data, size_t *size_p,
         void **request_p)
{
    web_t *self = context;
    web_request_t *request = *request_p;
    (void) version;
    if (!request) {
        *request_p = request = s_begin(self, connection, path, method);
        return s_admit_body(request) ? MHD_YES : s_send(request);
    }
    if (*size_p) {
        s_take_body(request, data, *size_p);
        *size_p = 0;
        return MHD_YES;
    }
    if (request->state == READING) {
        request->state = HANDLED;
        self->config.handle(self->config.context, request);
    }
    if (request->state == ANSWERED)
        return s_send(request);
    if (request->state == STREAMING)
        return s_send_stream(request);
    request->state = WAITING;
    request->is_suspended = true;
    MHD_suspend_connection(connection);
    return MHD_YES;
}

static void
s_end(void *context, struct MHD_Connection *connection, void **request_p,
      enum MHD_RequestTerminationCode code)
{
    web_t *self = context;
    web_request_t *request = *request_p;
    (void) connection;
    (void) code;
    if (!request)
        return;
    if (request->state == STREAMING)
        self->counts.streams--;
    request->peer->deadline_ms = rmt_clock_ms() + WEB_HEADER_MS;
    s_unlink(request);
    free(request->method);
    free(request->path);
    free(request->body);
    free(request->block);
    web_answer_destroy(&request->answer);
    free(request);
    *request_p = NULL;
}

const char *
web_method(const web_request_t *request)
{
    return request->method;
}

const char *
web_path(const web_request_t *request)
{
    return request->path;
}

bool
web_has_parameters(const web_request_t *request)
{
    return MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, NULL,
                                     NULL) > 0;
}

const char *
web_header(const web_request_t *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

size_t
web_body_size(const web_request_t *request)
{
    return request->body_size;
}

const char *
web_body(const web_request_t *request)
{
    return request->body ? request->body : "";
}

// ---- Connections

static void
s_peer(void *context, struct MHD_Connection *connection, void **peer_p,
       enum MHD_ConnectionNotificationCode code)
{
    web_t *self = context;
    peer_t *peer = *peer_p;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *peer_p = peer = zmalloc(sizeof *peer);
        peer->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
                       ->connect_fd;
        outflow_limit(peer->fd, self->config.silence_ms);
        peer->deadline_ms = rmt_clock_ms() + WEB_HEADER_MS;
        peer->next = self->peers;
        if (self->peers)
            self->peers->before = peer;
        self->peers = peer;
        self->counts.connections++;
        return;
    }
    if (peer->before)
        peer->before->next = peer->next;
    else
        self->peers = peer->next;
    if (peer->next)
        peer->next->before = peer->before;
    self->counts.connections--;
    free(peer);
    *peer_p = NULL;
}

static void
s_close_late(web_t *self)
{
    const int64_t now = rmt_clock_ms();
    if (now >= self->look_ms + self->config.silence_ms / LOOKS) {
        self->look_ms = now;
        for (peer_t *peer = self->peers; peer; peer = peer->next)
            if (peer->is_stream &&
                outflow_is_silent(&peer->outflow, peer->fd, now, self->config.silence_ms))
                peer->deadline_ms = now;
    }
    for (peer_t *peer = self->peers; peer; peer = peer->next) {
        if (!peer->deadline_ms || peer->deadline_ms > now)
            continue;
        peer->deadline_ms = 0;
        (void) shutdown(peer->fd, SHUT_RDWR); // libmicrohttpd sees the end, and closes it
    }
}

// ---- The server

typedef union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} address_t;

static int
s_address(const char *listen, address_t *address_out, rmt_error_t *error)
{
    address_t address = {0};
    char host[RMT_ENDPOINT_HOST_SIZE];
    uint16_t port = 0;
    if (rmt_endpoint_split(listen, host, &port, error) == -1)
        return rmt_wrap(error, "the setting listen");
    const size_t size = strlen(host);
    if (*host == '[' && host[size - 1] == ']') {
        host[size - 1] = '\0';
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(port);
        if (inet_pton(AF_INET6, host + 1, &address.v6.sin6_addr) == 1) {
            *address_out = address;
            return 0;
        }
    }
    address.v4.sin_family = AF_INET;
    address.v4.sin_port = htons(port);
    if (inet_pton(AF_INET, host, &address.v4.sin_addr) != 1)
        return rmt_fail(error, RMT_E_USAGE,
                        "the setting listen: %s is not an address with a port; write one "
                        "such as 127.0.0.1:7780 or [::1]:7780",
                        listen);
    *address_out = address;
    return 0;
}

web_t *
web_new(const web_config_t *config, rmt_error_t *error)
{
    assert(config && config->listen && config->handle && config->read && error);
    address_t address;
    if (s_address(config->listen, &address, error) == -1)
        return NULL;
    web_t *self = zmalloc(sizeof *self);
    self->config = *config;
    const bool has_tls = config->certificate && config->private_key;
    const struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *) (uintptr_t) config->certificate},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *) (uintptr_t) config->private_key},
        {MHD_OPTION_HTTPS_PRIORITIES, 0,
         (void *) (uintptr_t) "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1"},
        {MHD_OPTION_END, 0, NULL},
    };
    const unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME |
                           (has_tls ? MHD_USE_TLS : 0) |
                           (address.any.sa_family == AF_INET6 ? MHD_USE_IPv6 : 0);
    errno = 0;
    self->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, s_access, self, MHD_OPTION_SOCK_ADDR, &address.any,
        MHD_OPTION_CONNECTION_LIMIT, config->connections_max,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, config->address_max,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned) IDLE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) WEB_HEADER_SIZE_MAX,
        MHD_OPTION_LISTENING_ADDRESS_REUSE, 1U, MHD_OPTION_NOTIFY_COMPLETED, s_end, self,
        MHD_OPTION_NOTIFY_CONNECTION, s_peer, self, MHD_OPTION_ARRAY,
        has_tls ? tls : tls + 3, MHD_OPTION_END);
    if (!self->daemon) {
        if (errno)
            rmt_fail_errno(error, "listen at %s", config->listen);
        else
            rmt_fail(error, RMT_E_CONFIG, "listen at %s: %s", config->listen,
                     has_tls ? "the certificate and its key cannot be used"
                             : "libmicrohttpd refused");
        free(self);
        return NULL;
    }
    return self;
}

void
web_destroy(web_t **self_p)
{
    assert(self_p);
    web_t *self = rmt_take(self_p);
    if (!self)
        return;
    rmt_error_t error = {0};
    rmt_fail(&error, RMT_E_UNAVAILABLE, "the gateway ends");
    // libmicrohttpd may not stop while a connection is suspended.
    for (web_request_t *one = self->requests; one; one = one->next) {
        if (one->state == WAITING)
            web_refuse(one, 0, &error);
        s_resume(one);
    }
    MHD_stop_daemon(self->daemon);
    free(self);
}

uint16_t
web_port(const web_t *self)
{
    return MHD_get_daemon_info(self->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

int
web_fd(const web_t *self)
{
    return MHD_get_daemon_info(self->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

int
web_timeout_ms(const web_t *self, int max_ms)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms = 0;
    if (MHD_get_timeout(self->daemon, &timeout_ms) == MHD_YES &&
        timeout_ms < (unsigned) max_ms)
        return (int) timeout_ms;
    return max_ms;
}

void
web_run(web_t *self)
{
    s_close_late(self);
    MHD_run(self->daemon);
}

web_counts_t
web_counts(const web_t *self)
{
    return self->counts;
}
