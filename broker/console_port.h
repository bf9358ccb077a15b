// console_door - requests of people and dashboards.
#pragma once

#include "broker/broker.h"

void rmt_console_door_handle(rmt_broker_t *broker);
