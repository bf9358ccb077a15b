// rmt_location - where a file lies that an engine fetches: https://host[:port]/path or
// ssh://[user@]host[:port]/path, the latter from the root of that computer.
//
// Foreign text: only what stands in these forms gets through. Secrets have no place in a
// location, so https knows no user. Pure functions; nothing is resolved.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_error.h"

#define RMT_LOCATION_SIZE 1024

typedef struct {
    bool is_ssh;
    char user[64];                // ssh; "" for none
    char host[256];               // Without brackets
    uint16_t port;                // 0 for the usual one
    char path[RMT_LOCATION_SIZE]; // With its slash; https: with the query
} rmt_location_t;

// 0, or -1: USAGE, with the location and what is wrong with it.
int rmt_location_parse(const char *text, rmt_location_t *location_out,
                       rmt_error_t *error);
