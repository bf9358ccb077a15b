// rmt_watch - who looks on while a store is checked: hears what is wrong, and may end it.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_error.h"

// Something that is wrong. All but what and text may be NULL; valid during the call.
typedef struct {
    const char *what;  // damaged, missing, unread, orphan
    const char *image; // Id of the image that is hit
    const char *chunk; // Id
    const char *path;  // Of the file in the image
    const char *pack;  // Name
    const char *text;  // One line for a person, which says all of it
} rmt_store_finding_t;

// True when the disk has refused to read: nothing is known of the contents, which may be
// whole. False: what was read is wrong.
bool rmt_watch_is_unread(const rmt_error_t *why);

// Every function may be NULL.
typedef struct {
    void (*finding)(void *context, const rmt_store_finding_t *finding);
    // Called often. done and total are bytes; false ends the work with CANCELLED.
    bool (*alive)(void *context, uint64_t done, uint64_t total);
    void *context;
} rmt_store_watch_t;

// Tell a finding; text by format. finding->text is ignored. self may be NULL.
void rmt_watch_tell(const rmt_store_watch_t *self, const rmt_store_finding_t *finding,
                    const char *format, ...) __attribute__((format(printf, 3, 4)));
// 0, or -1: CANCELLED. self may be NULL.
int rmt_watch_alive(const rmt_store_watch_t *self, uint64_t done, uint64_t total,
                    rmt_error_t *error);
