#include "broker/console_port.h"

#include "broker/keyring.h"
#include "base/rmt_auto.h"
#include "broker/verbs.h"

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
        rmt_broker_cut(packet->user, &packet->origin);
}

void
rmt_console_port_handle(rmt_broker_t *broker)
{
    rmt_packet_t packet = {0};
    rmt_error_t error = {0};
    for (int i = 0; i < BATCH; i++) {
        const int rc = rmt_socket_recv(broker->ports[RMT_PORT_CONSOLE], &packet, &error);
        if (rc == 0)
            break;
        if (rc == -1) {
            rmt_broker_refuse(broker, packet.user, "console", error.text);
            continue;
        }
        const rmt_record_t *key = rmt_keyring_find(broker->keyring, packet.user);
        if (packet.msg->kind != RMT_MSG_REQUEST)
            continue;
        if (key) {
            rmt_verbs_answer(broker, broker->ports[RMT_PORT_CONSOLE], key, &packet);
        } else if (!rmt_broker_is_open(broker)) {
            s_refuse(broker, &packet, RMT_E_UNAVAILABLE, RMT_BROKER_NOT_OPEN);
        } else {
            rmt_broker_refuse(broker, packet.user, "console", "the key may not act");
            s_refuse(broker, &packet, RMT_E_NOT_ALLOWED, RMT_BROKER_NO_KEY);
        }
    }
    rmt_packet_clear(&packet);
}
