// ask - requests on their way to Redis and back, each key in its lane. Both ports use it.
#pragma once

#include "broker/broker.h"

// Answer a REQUEST of a key that is known. Takes *packet's route and message; the REPLY
// goes to port. key: the record of the sender.
void rmt_ask_answer(rmt_broker_t *broker, zsock_t *port, const rmt_record_t *key,
                    rmt_packet_t *packet);

// Answer a REQUEST that is not heard. Takes *packet's route and message.
void rmt_ask_refuse(rmt_broker_t *broker, zsock_t *port, rmt_packet_t *packet,
                    rmt_code_t code, const char *text);
