#include "exchange/rmt_serve_state.h"

void
rmt_serve_tell(rmt_serve_state_t *self, const char *event, const char *key,
               const char *text)
{
    if (!self->event || self->events_left == 0)
        return;
    self->events_left--;
    self->event(self->context, event, key, text);
}

int
rmt_serve_send(rmt_serve_state_t *self, rmt_caller_t *caller, const rmt_msg_t *msg,
               rmt_error_t *error)
{
    if (rmt_socket_send(self->socket, caller->route, msg, false, error) == 0)
        return 0;
    if (error->code != RMT_E_UNAVAILABLE)
        caller->is_gone = true;
    return -1;
}

uint64_t
rmt_serve_share(const rmt_serve_state_t *self)
{
    const size_t callers = zhashx_size(self->callers);
    const uint64_t share = RMT_SERVE_BUDGET / (callers ? callers : 1);
    return share < RMT_SERVE_WINDOW ? share : RMT_SERVE_WINDOW;
}
