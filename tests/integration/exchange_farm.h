// exchange_farm - a server of chunks over a store, with the keys of those who may ask it
// and of one who may not.
#pragma once

#include "exchange/rmt_serve.h"
#include "net/rmt_socket.h"
#include "tools/rmt_test.h"
#include "unit/store_fixture.h"

#define EXCHANGE_WINDOW ((uint64_t) 1024 * 1024) // Of a peer of the server

typedef struct {
    char *root, *other; // Store of the server; another one
    rmt_key_t server, alice, mallory;
    rmt_zap_t *zap;
    rmt_serve_t *serve;
    rmt_records_t *holders;
    int events; // fetch.refused
    int cuts;   // peer.cut
} exchange_farm_t;

// cmocka set-up and tear-down: *state is an exchange_farm_t.
int exchange_farm_open(void **state);
int exchange_farm_close(void **state);

// Tell the server what the broker would; image NULL: may offer.
void exchange_peers(const exchange_farm_t *farm, const char *op, const rmt_key_t *key,
                    const rmt_id_t *image);

// The same of a grant to offer that ends after a time.
void exchange_grant(const exchange_farm_t *farm, const rmt_key_t *key, uint64_t left_ms);

// What the server has counted.
rmt_serve_stats_t exchange_stats(const exchange_farm_t *farm);

// A socket of this key to the server. Caller owns the result.
zsock_t *exchange_raw(const exchange_farm_t *farm, const rmt_key_t *own);

// The next message; NULL when none comes in that time. Caller owns the result.
rmt_msg_t *exchange_recv(zsock_t *socket, int timeout_ms);

void exchange_say(zsock_t *socket, const rmt_msg_t *msg);

// FETCH of so many chunks, with this credit. Caller owns the result.
rmt_msg_t *exchange_fetch(const rmt_id_t *image, const rmt_id_t *ids, size_t count,
                          uint64_t window);

#define CASE(name)                                                                       \
    cmocka_unit_test_setup_teardown(name, exchange_farm_open, exchange_farm_close)
