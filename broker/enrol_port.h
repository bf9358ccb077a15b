// enrol_door - new keys announce themselves here with a token.
#pragma once

#include "broker/broker.h"

void rmt_enrol_door_handle(rmt_broker_t *broker);
