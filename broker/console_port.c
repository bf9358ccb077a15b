#include "broker/console_port.h"

#include "broker/guard.h"
#include "broker/keyring.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "broker/ask.h"

#define BATCH 256 // Messages of one port before the others have their turn

static void
s_refuse(rmt_broker_t *broker, const rmt_packet_t *packet, rmt_code_t code,
         const char *text)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) reply = rmt_msg_new(RMT_MSG_REPLY);
    reply->sequence = packet->msg->sequence;
    reply->code = code;
    rmt_msg_text(&reply->text, text);
    if (rmt_socket_send(broker->ports[RMT_PORT_CONSOLE], packet->route, reply, false,
                        &error) == -1 &&
        error.code == RMT_E_UNAVAILABLE)
        rmt_guard_cut(broker, packet->user, &packet->origin, RMT_GUARD_DEAF);
}

void
rmt_console_port_handle(rmt_broker_t *broker)
{
    rmt_packet_t packet = {0};
    rmt_error_t error = {0};
    const int64_t until = rmt_clock_ms() + RMT_TURN_MS;
    for (int i = 0; i < BATCH && rmt_clock_ms() < until; i++) {
        int rc = rmt_socket_recv(broker->ports[RMT_PORT_CONSOLE], &packet, &error);
        if (rc == 0)
            break;
        if (!rmt_guard_admits(broker, RMT_PORT_CONSOLE, &packet))
            continue;
        if (rc == 1 && packet.msg->kind != RMT_MSG_REQUEST)
            rc = rmt_fail(&error, RMT_E_PROTOCOL, "a console may not send this message");
        if (rc == -1) {
            rmt_guard_refuse(broker, packet.user, &packet.origin, "console", error.text);
            continue;
        }
        const rmt_record_t *key = rmt_keyring_find(broker->keyring, packet.user);
        if (key) {
            rmt_ask_answer(broker, broker->ports[RMT_PORT_CONSOLE], key, &packet);
        } else if (!rmt_broker_is_open(broker)) {
            s_refuse(broker, &packet, RMT_E_UNAVAILABLE, RMT_BROKER_NOT_OPEN);
        } else {
            s_refuse(broker, &packet, RMT_E_NOT_ALLOWED, RMT_BROKER_NO_KEY);
            rmt_guard_refuse(broker, packet.user, &packet.origin, "console",
                             "the key may not act");
        }
    }
    rmt_packet_clear(&packet);
}
