// console_port - requests of people and dashboards.
#pragma once

#include "broker/broker.h"

void rmt_console_port_handle(rmt_broker_t *broker);
