#include "integration/exchange_farm.h"

#include <czmq.h>
#include <stdlib.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_clock.h"
#include "exchange/rmt_fetch.h"

static void
s_count_event(void *context, const char *event, const char *key, const char *text)
{
    exchange_farm_t *farm = context;
    (void) key;
    (void) text;
    if (strcmp(event, "fetch.refused") == 0)
        __atomic_add_fetch(&farm->events, 1, __ATOMIC_SEQ_CST);
    if (strcmp(event, "peer.cut") == 0)
        __atomic_add_fetch(&farm->cuts, 1, __ATOMIC_SEQ_CST);
}

static rmt_serve_t *
s_serve(exchange_farm_t *farm)
{
    rmt_error_t error = {0};
    const rmt_serve_config_t config = {.endpoint = "127.0.0.1:*",
                                       .own = &farm->server,
                                       .zap = farm->zap,
                                       .store = farm->root,
                                       .receives = true,
                                       .window = EXCHANGE_WINDOW,
                                       .event = s_count_event,
                                       .context = farm};
    rmt_serve_t *serve = rmt_serve_new(&config, &error);
    assert_string_equal(error.text, "");
    return serve;
}

static rmt_records_t *
s_holders(const exchange_farm_t *farm)
{
    rmt_records_t *holders = rmt_records_new();
    rmt_record_t *record = rmt_records_add(holders);
    rmt_record_set(record, "addresses", "@");
    rmt_record_setf(record, "port", "%u", (unsigned) rmt_serve_port(farm->serve));
    rmt_record_set(record, "key", farm->server.public_text);
    rmt_record_set(record, "name", "test");
    return holders;
}

int
exchange_farm_open(void **state)
{
    rmt_error_t error = {0};
    exchange_farm_t *farm = calloc(1, sizeof(*farm));
    assert_int_equal(fixture_setup((void **) &farm->root), 0);
    assert_int_equal(fixture_setup((void **) &farm->other), 0);
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    rmt_auto(rmt_store) other = fixture_open(farm->other);
    RMT_OK(rmt_key_new(&farm->server, &error));
    RMT_OK(rmt_key_new(&farm->alice, &error));
    RMT_OK(rmt_key_new(&farm->mallory, &error));
    farm->zap = rmt_zap_new(&error);
    assert_non_null(farm->zap);
    farm->serve = s_serve(farm);
    farm->holders = s_holders(farm);
    *state = farm;
    return 0;
}

int
exchange_farm_close(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_serve_destroy(&farm->serve);
    rmt_zap_destroy(&farm->zap);
    rmt_records_destroy(&farm->holders);
    void *root = farm->root, *other = farm->other;
    fixture_teardown(&root);
    fixture_teardown(&other);
    free(farm);
    return 0;
}

void
exchange_peers(const exchange_farm_t *farm, const char *op, const rmt_key_t *key,
               const rmt_id_t *image)
{
    rmt_auto(rmt_records) items = rmt_records_new();
    rmt_record_t *item = rmt_records_add(items);
    rmt_record_set(item, "op", op);
    rmt_record_set(item, "key", key->public_text);
    if (image)
        rmt_record_put(item, "roots", image->bytes, RMT_ID_SIZE);
    rmt_serve_peers(farm->serve, items);
    (void) exchange_stats(farm); // Answered after the peers have been applied
}

void
exchange_grant(const exchange_farm_t *farm, const rmt_key_t *key, uint64_t left_ms)
{
    rmt_auto(rmt_records) items = rmt_records_new();
    rmt_record_t *item = rmt_records_add(items);
    rmt_record_set(item, "op", "add");
    rmt_record_set(item, "key", key->public_text);
    rmt_record_set_u64(item, "left-ms", left_ms);
    rmt_serve_peers(farm->serve, items);
    (void) exchange_stats(farm);
}

rmt_serve_stats_t
exchange_stats(const exchange_farm_t *farm)
{
    rmt_serve_stats_t stats;
    rmt_serve_stats(farm->serve, &stats);
    return stats;
}

zsock_t *
exchange_raw(const exchange_farm_t *farm, const rmt_key_t *own)
{
    rmt_error_t error = {0};
    rmt_auto_str endpoint =
        rmt_text("127.0.0.1:%u", (unsigned) rmt_serve_port(farm->serve));
    zsock_t *socket = rmt_socket_new(RMT_SOCKET_DATA_CLIENT, endpoint, own,
                                     farm->server.public_text, &error);
    assert_string_equal(error.text, "");
    return socket;
}

rmt_msg_t *
exchange_recv(zsock_t *socket, int timeout_ms)
{
    rmt_error_t error = {0};
    const int64_t until = rmt_clock_ms() + timeout_ms;
    while (rmt_clock_ms() < until) {
        zmq_pollitem_t item = {zsock_resolve(socket), 0, ZMQ_POLLIN, 0};
        zmq_poll(&item, 1, 50);
        rmt_packet_t packet = {0};
        if (rmt_socket_recv(socket, &packet, &error) != 1)
            continue;
        if (packet.msg->kind != RMT_MSG_BEAT)
            return packet.msg;
        rmt_packet_clear(&packet);
    }
    return NULL;
}

void
exchange_say(zsock_t *socket, const rmt_msg_t *msg)
{
    rmt_error_t error = {0};
    RMT_OK(rmt_socket_send(socket, NULL, msg, true, &error));
}

rmt_msg_t *
exchange_fetch(const rmt_id_t *image, const rmt_id_t *ids, size_t count, uint64_t window)
{
    rmt_msg_t *fetch = rmt_msg_new(RMT_MSG_FETCH);
    memcpy(fetch->id, image->bytes, RMT_ID_SIZE);
    fetch->window = window;
    fetch->ids = zchunk_new(ids, count * RMT_ID_SIZE);
    return fetch;
}
