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

int
deploy_choose(deploy_t *self, call_t *call, rmt_record_t *body, const char *list,
              rmt_error_t *error)
{
    *self = (deploy_t){.body = body};
    if (s_take_boot_timeout(body, error) == -1)
        return -1;
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
