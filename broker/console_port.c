#include "broker/console_port.h"

#include "broker/guard.h"
#include "broker/keyring.h"
#include "base/rmt_clock.h"
#include "broker/ask.h"

#define BATCH 256 // Messages of one port before the others have their turn

static void
s_take_request(rmt_broker_t *broker, rmt_packet_t *packet)
{
    zsock_t *port = broker->ports[RMT_PORT_CONSOLE];
    const rmt_record_t *key = rmt_keyring_find(broker->keyring, packet->user);
    if (key) {
        rmt_ask_answer(broker, port, key, packet);
    } else if (!rmt_broker_is_open(broker)) {
        rmt_ask_refuse(broker, port, packet, RMT_E_UNAVAILABLE,
                       rmt_broker_not_open(broker));
    } else {
        rmt_guard_refuse_key(broker, RMT_PORT_CONSOLE, packet);
        rmt_ask_refuse(broker, port, packet, RMT_E_NOT_ALLOWED, RMT_BROKER_NO_KEY);
    }
}

static void
s_take_packet(rmt_broker_t *broker, int rc, rmt_packet_t *packet, rmt_error_t *error)
{
    const char *busy;
    const bool is_heard = rmt_guard_admits(broker, RMT_PORT_CONSOLE, packet, &busy);
    if (!is_heard && !busy)
        return;
    if (rc == 1 && packet->msg->kind != RMT_MSG_REQUEST)
        rc = rmt_fail(error, RMT_E_PROTOCOL, "a console may not send this message");
    if (rc == -1)
        rmt_guard_refuse(broker, packet->user, &packet->origin, "console", error->text);
    else if (busy)
        rmt_ask_refuse(broker, broker->ports[RMT_PORT_CONSOLE], packet, RMT_E_BUSY, busy);
    else
        s_take_request(broker, packet);
}

void
rmt_console_port_handle(rmt_broker_t *broker)
{
    rmt_packet_t packet = {0};
    rmt_error_t error = {0};
    const int64_t until = rmt_clock_ms() + RMT_TURN_MS;
    for (int i = 0; i < BATCH && rmt_clock_ms() < until; i++) {
        const int rc = rmt_socket_recv(broker->ports[RMT_PORT_CONSOLE], &packet, &error);
        if (rc == 0)
            break;
        s_take_packet(broker, rc, &packet, &error);
    }
    rmt_packet_clear(&packet);
}
