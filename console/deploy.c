#include "console/deploy.h"
#include "console/moment.h"
#include "console/select.h"
#include "console/targets.h"
#include "console/warrant.h"
#include "base/rmt_auto.h"

// The request has seconds.
static int
s_take_boot_timeout(rmt_record_t *body, rmt_error_t *error)
{
    unsigned seconds = 0;
    const char *text = rmt_record_text(body, "boot-timeout", NULL);
    if (!text)
        return 0;
    if (moment_parse_span(text, &seconds, error) == -1)
        return rmt_wrap(error, "--boot-timeout");
    rmt_record_set_u64(body, "boot-timeout-s", seconds);
    rmt_record_remove(body, "boot-timeout");
    return 0;
}

// When it may begin: how long from now, and in which part of each day.
static int
s_take_times(rmt_record_t *body, bool utc, rmt_error_t *error)
{
    unsigned seconds = 0;
    moment_window_t window;
    const char *at = rmt_record_text(body, "at", NULL);
    const char *text = rmt_record_text(body, "window", NULL);
    if (at && moment_parse_ahead(at, utc, &seconds, error) == -1)
        return rmt_wrap(error, "--at");
    if (at)
        rmt_record_set_u64(body, "after-s", seconds);
    rmt_record_remove(body, "at");
    if (!text)
        return 0;
    if (moment_parse_window(text, utc, &window, error) == -1)
        return rmt_wrap(error, "--window");
    rmt_record_set(body, "window", window.text);
    rmt_record_set_u64(body, "window-from-s", window.from_s);
    rmt_record_set_u64(body, "window-s", window.length_s);
    return 0;
}

// In the list of machines "power" is what their power is.
static void
s_take_power(rmt_record_t *body)
{
    if (rmt_record_flag(body, "power"))
        rmt_record_set(body, "wake", "yes");
    rmt_record_remove(body, "power");
}

int
deploy_choose(deploy_t *self, call_t *call, rmt_record_t *body, const char *list,
              rmt_error_t *error)
{
    *self = (deploy_t){.body = body};
    if (s_take_boot_timeout(body, error) == -1 ||
        s_take_times(body, call->view.utc, error) == -1)
        return -1;
    s_take_power(body);
    // A warrant is over what the broker has; a person selects by what a list shows.
    rmt_auto(rmt_record) none = rmt_record_new();
    self->known = call_list(call, "target.list", none, error);
    rmt_auto(rmt_records) shown = self->known ? targets_list(call, error) : NULL;
    self->items = shown ? select_targets(list, shown, error) : NULL;
    return self->items ? 0 : -1;
}

void
deploy_free(deploy_t *self)
{
    rmt_records_destroy(&self->known);
    rmt_records_destroy(&self->items);
}

rmt_msg_t *
deploy_start(deploy_t *self, call_t *call, rmt_error_t *error)
{
    if (warrant_sign_all(call, self->body, self->items, self->known, error) == -1)
        return NULL;
    return call_act(call, "deploy.start", self->body, self->items, error);
}
