#include "broker/events_port.h"

#include "base/rmt_clock.h"
#include "broker/guard.h"
#include "broker/keyring.h"

static void
s_take(rmt_broker_t *broker, const rmt_subscription_t *subscription)
{
    const rmt_origin_t *origin = &subscription->origin;
    if (origin->fd == -1)
        return; // Its end is told for each that a connection leaves behind
    rmt_inflow_heard(broker->inflow, origin);
    if (!rmt_keyring_find(broker->keyring, subscription->user)) {
        rmt_origin_cut(origin); // Its key ended before it had subscribed to anything
        return;
    }
    rmt_connection_t *connection =
        rmt_guard_connection(broker, RMT_PORT_EVENTS, subscription->user, origin);
    if (connection && !subscription->is_on)
        return;
    if (connection && subscription->size <= RMT_TOPIC_MAX &&
        ++connection->subscriptions <= RMT_SUBSCRIPTIONS_MAX)
        return;
    rmt_guard_cut(broker, subscription->user, origin,
                  connection ? "it subscribes to more than it may"
                             : RMT_GUARD_CONNECTIONS);
}

void
rmt_events_port_handle(rmt_broker_t *broker)
{
    const int64_t until = rmt_clock_ms() + RMT_TURN_MS;
    rmt_subscription_t subscription;
    while (rmt_clock_ms() < until &&
           rmt_socket_recv_subscription(broker->ports[RMT_PORT_EVENTS], &subscription))
        s_take(broker, &subscription);
}
