#include "agent/install/told.h"
#include "agent/install/uplink.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"

#include <stdlib.h>

#define IDLE "waiting for orders"

void
rmt_told_begin(rmt_told_t *self, rmt_screen_t *screen)
{
    *self = (rmt_told_t){.screen = screen, .idle = IDLE};
}

void
rmt_told_end(rmt_told_t *self)
{
    free(self->refusal_text);
    self->refusal_text = NULL;
}

void
rmt_told_doing(rmt_told_t *self, const char *text)
{
    rmt_screen_set(self->screen, RMT_SCREEN_DOING, text);
    rmt_screen_show(self->screen);
}

void
rmt_told_trouble(rmt_told_t *self, const rmt_error_t *error)
{
    if (error->code)
        rmt_log(RMT_WARN, "bare.trouble", "code=%s error=\"%s\"",
                rmt_code_name(error->code), error->text);
    rmt_screen_set_trouble(self->screen, error);
    rmt_screen_show(self->screen);
}

// As a whole: an error would cut the words of a console.
static void
s_show_refusal(rmt_told_t *self)
{
    const rmt_error_t advice = {.code = self->refusal};
    rmt_screen_set_trouble(self->screen, &advice);
    rmt_screen_set(self->screen, RMT_SCREEN_TROUBLE, self->refusal_text);
    rmt_screen_show(self->screen);
}

static void
s_set_refusal(rmt_told_t *self, rmt_code_t code, const char *text)
{
    self->refusal = code;
    free(self->refusal_text);
    self->refusal_text = text ? rmt_text("%s", text) : NULL;
}

static void
s_set_idle(rmt_told_t *self, const char *text)
{
    self->is_writing = false;
    self->idle = text;
    rmt_screen_set(self->screen, RMT_SCREEN_DOING, text);
}

void
rmt_told_enrol(rmt_told_t *self, bool is_pending, const char *text)
{
    rmt_error_t trouble = {0};
    rmt_screen_set(self->screen, RMT_SCREEN_DOING, "enrolling");
    if (*text)
        rmt_fail(&trouble, RMT_E_UNAVAILABLE, "%s", text);
    rmt_screen_set_trouble(self->screen, &trouble);
    if (is_pending && *text)
        rmt_screen_set(self->screen, RMT_SCREEN_ADVICE,
                       "approve it at a console: ramet target approve NAME");
    rmt_screen_show(self->screen);
}

bool
rmt_told_link(rmt_told_t *self, bool is_welcome, const rmt_error_t *trouble)
{
    rmt_auto_str addresses = rmt_uplink_addresses();
    rmt_screen_set(self->screen, RMT_SCREEN_ADDRESSES, addresses);
    if (!self->is_writing)
        rmt_screen_set(self->screen, RMT_SCREEN_DOING,
                       is_welcome ? self->idle : "calling the broker");
    rmt_error_t shown = *trouble;
    if (is_welcome && !shown.code)
        shown = self->no_disk;
    if (is_welcome && self->refusal)
        s_show_refusal(self);
    else if (!is_welcome || !self->is_writing)
        rmt_told_trouble(self, &shown);
    rmt_screen_show(self->screen);
    // A write needs no broker until it is done; anything else starts again with a key
    // that is enrolled.
    self->is_refused = trouble->code == RMT_E_NOT_ALLOWED && !self->is_writing;
    return !self->is_refused;
}

// Prepare tells no phase, its result has the plan.
void
rmt_told_msg(rmt_told_t *self, const rmt_msg_t *msg)
{
    rmt_error_t trouble = {0};
    if (msg->kind == RMT_MSG_NOTICE) {
        // Orders end elsewhere as well, such as in the match.
        s_set_refusal(self, rmt_code_from(msg->code), msg->text);
        s_show_refusal(self);
        return;
    }
    s_set_refusal(self, RMT_E_OK, NULL);
    rmt_screen_set_progress(self->screen, 0, 0);
    if (msg->kind == RMT_MSG_PROGRESS) {
        self->is_writing = true;
        rmt_screen_set(self->screen, RMT_SCREEN_DOING, msg->phase);
        rmt_screen_set_progress(self->screen, msg->done, msg->total);
    } else if (msg->code != RMT_E_OK) {
        s_set_idle(self, IDLE);
        rmt_fail(&trouble, rmt_code_from(msg->code), "%s", msg->text ? msg->text : "");
        s_set_refusal(self, trouble.code, trouble.text);
    } else if (msg->body && rmt_record_has(msg->body, "plan")) {
        s_set_idle(self, "prepared, waiting for GO");
    } else {
        s_set_idle(self, "written, waiting for the restart");
    }
    rmt_told_trouble(self, &trouble);
}
