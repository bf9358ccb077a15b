// farm - the broker's keys, doors and ZAP thread, for tests that play the broker.
#pragma once

#include "net/rmt_socket.h"
#include "net/rmt_zap.h"

#define WAIT_MS 10000
#define QUIET_MS 300

typedef struct {
    rmt_zap_t *zap;
    rmt_key_t broker, own;
    zsock_t *workers, *console;
} farm_t;

// Set up and tear down a farm_t in *state; its own key may enter all domains of a broker.
int farm_open(void **state);
int farm_close(void **state);

// Where a server socket is to be reached. Caller owns the result (free).
char *farm_address(zsock_t *socket);

// Wait for anything: what rmt_socket_recv says, 0 for silence.
int farm_receive(zsock_t *socket, rmt_packet_t *packet, int wait_ms);

#define CASE(name) cmocka_unit_test_setup_teardown(name, farm_open, farm_close)
