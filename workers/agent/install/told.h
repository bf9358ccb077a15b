// told - what the screen of a bare machine shows of what its agent does and hears.
//
// Each life of the agent greets anew, so the end of the last order stays on the screen
// through a greeting, until something else is heard of.
#pragma once

#include <stdbool.h>
#include "agent/install/screen.h"
#include "base/rmt_error.h"
#include "wire/rmt_msg.h"

typedef struct {
    rmt_screen_t *screen; // Borrowed
    rmt_error_t no_disk;  // Code OK: there is one
    const char *idle;     // What an agent does that is in touch and has no order
    rmt_code_t refusal;   // Of the last order, with its words; OK: none
    char *refusal_text;
    bool is_writing; // A disk is being changed
    bool is_refused; // The broker no longer knows our key
} rmt_told_t;

void rmt_told_begin(rmt_told_t *self, rmt_screen_t *screen);
void rmt_told_end(rmt_told_t *self);

// Show what is being done; what is wrong, which is logged as well, or that nothing is.
void rmt_told_doing(rmt_told_t *self, const char *text);
void rmt_told_trouble(rmt_told_t *self, const rmt_error_t *error);

// What an agent tells, as in rmt_agent_watch_t. rmt_told_link returns false when the
// agent has to end, for it needs another key.
void rmt_told_enrol(rmt_told_t *self, bool is_pending, const char *text);
bool rmt_told_link(rmt_told_t *self, bool is_welcome, const rmt_error_t *trouble);
void rmt_told_msg(rmt_told_t *self, const rmt_msg_t *msg);
