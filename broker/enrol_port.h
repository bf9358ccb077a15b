// enrol_port - new keys announce themselves here with a token.
#pragma once

#include "broker/broker.h"

void rmt_enrol_port_handle(rmt_broker_t *broker);
