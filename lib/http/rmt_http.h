// rmt_http - one request over HTTPS, and its answer. The door to libcurl.
//
// The server's certificate is always checked, TLS is 1.2 or later, redirections are not
// followed, no proxy and no file of the user's settings plays a part.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/rmt_error.h"

// Borrowed; NULL for what is not there.
typedef struct {
    const char *method; // GET, POST, PATCH
    const char *url;    // https://...
    const char *user, *password;
    const char *ca;   // File of certificates that the server's must lead to, by its name
    const char *pin;  // In place of that: file with the server's public key (PEM)
    const char *json; // What is sent
    const char *const *headers; // More of them, "Name: value"; NULL-terminated
    bool is_plain;              // http:// is asked as well
    uint32_t timeout_ms;
    size_t answer_max; // Octets
} rmt_http_ask_t;

typedef struct {
    unsigned status; // Such as 200
    char *body;      // With a NUL behind it (free)
    size_t size;
} rmt_http_answer_t;

// For several threads. Blocks for timeout_ms at most. 0, whatever the status is, or -1:
// CONFIG (neither ca nor pin, or a file that cannot be read), NOT_ALLOWED (the
// certificate is another one), TIMEOUT, TOO_BIG, UNAVAILABLE.
int rmt_http_do(const rmt_http_ask_t *ask, rmt_http_answer_t *answer_out,
                rmt_error_t *error);
void rmt_http_answer_clear(rmt_http_answer_t *answer);
