// Chunks fetched from a holder over CURVE on loopback: what is given, and what is
// refused.
#include "integration/exchange_farm.h"

#include <czmq.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "exchange/rmt_closure.h"
#include "exchange/rmt_credit.h"
#include "exchange/rmt_fetch.h"
#include "base/rmt_io.h"
#include "exchange/rmt_offer.h"
#include "exchange/rmt_chunk_frame.h"
#include "store/rmt_store.h"
#include "tools/rmt_wait.h"

static rmt_fetch_t *
s_fetch(const exchange_farm_t *farm, const rmt_key_t *own, const rmt_id_t *image)
{
    rmt_error_t error = {0};
    rmt_fetch_t *fetch = rmt_fetch_new(farm->holders, "127.0.0.1", own, image, &error);
    assert_string_equal(error.text, "");
    return fetch;
}

static int
s_put(void *context, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    return rmt_store_put(context, chunk, error);
}

static int
s_count(void *context, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    size_t *count = context;
    (void) chunk;
    (void) error;
    ++*count;
    return 0;
}

static bool
s_stop_soon(void *context)
{
    int *left = context;
    return (*left)-- > 0;
}

typedef struct {
    const exchange_farm_t *farm;
    const rmt_key_t *key;
    const rmt_id_t *image;
    int calls;
} s_late_t;

// The first try is over when this is asked for the second time.
static bool
s_grant_later(void *context)
{
    s_late_t *late = context;
    if (late->calls++ == 1)
        exchange_peers(late->farm, "add", late->key, late->image);
    return true;
}

static rmt_closure_t *
s_closure(const exchange_farm_t *farm, const rmt_id_t *image)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    rmt_closure_t *closure =
        rmt_closure_new(rmt_closure_from_store, store, image, &error);
    assert_string_equal(error.text, "");
    return closure;
}

// [5.6] M16: descriptor, manifests, contents and facts.
static void
test_whole_image_is_fetched_and_complete(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 1, 3000);
    exchange_peers(farm, "add", &farm->alice, &image);
    rmt_auto(rmt_fetch) fetch = s_fetch(farm, &farm->alice, &image);
    rmt_auto(rmt_closure) wanted = s_closure(farm, &image);
    rmt_auto(rmt_closure) seen = rmt_closure_new(rmt_fetch_read, fetch, &image, &error);
    assert_string_equal(error.text, "");
    assert_int_equal(rmt_closure_count(seen), rmt_closure_count(wanted));

    // The descriptor is an image here, and a chunk on the wire.
    rmt_auto(rmt_store) other = fixture_open(farm->other);
    const size_t count = rmt_closure_count(wanted);
    RMT_OK(rmt_fetch_get(fetch, rmt_closure_at(wanted, 0), count, s_put, other, &error));
    for (size_t i = 0; i < count; i++)
        assert_true(rmt_store_has(other, rmt_closure_at(wanted, i)));
    size_t size;
    rmt_auto_ptr data = NULL;
    rmt_id_t id;
    RMT_OK(rmt_store_image_get(store, &image, &data, &size, &error));
    RMT_OK(rmt_store_image_put(other, data, size, &id, &error));
    assert_true(rmt_id_equal(&id, &image));
}

static void
test_ids_that_repeat_come_once(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 1, 3);
    exchange_peers(farm, "add", &farm->alice, &image);
    rmt_auto(rmt_fetch) fetch = s_fetch(farm, &farm->alice, &image);
    const rmt_id_t ids[3] = {image, image, image};
    size_t count = 0;
    RMT_OK(rmt_fetch_get(fetch, ids, 3, s_count, &count, &error));
    assert_int_equal(count, 1);
}

// [1.41] [5.6]: their own root does not help either.
static void
test_chunks_outside_the_granted_image_are_refused_and_counted(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 1, 3);
    const rmt_id_t secret = fixture_image(store, 1000, 3);
    rmt_auto(rmt_closure) closure = s_closure(farm, &secret);
    exchange_peers(farm, "add", &farm->alice, &image);
    rmt_auto(rmt_fetch) fetch = s_fetch(farm, &farm->alice, &image);
    size_t count = 0;
    RMT_FAILS(rmt_fetch_get(fetch, rmt_closure_at(closure, 0), rmt_closure_count(closure),
                            s_count, &count, &error),
              RMT_E_NOT_ALLOWED);
    assert_int_equal(count, 0);
    assert_int_equal(exchange_stats(farm).bytes_sent, 0);
    assert_true(exchange_stats(farm).refused >= rmt_closure_count(closure));
    assert_true(__atomic_load_n(&farm->events, __ATOMIC_SEQ_CST) > 0);

    // Naming the other image's root does not help either.
    rmt_auto(rmt_fetch) bold = s_fetch(farm, &farm->alice, &secret);
    RMT_FAILS(rmt_fetch_get(bold, &secret, 1, s_count, &count, &error),
              RMT_E_NOT_ALLOWED);
    assert_int_equal(count, 0);
}

// [1.28]: the broker has not named it.
static void
test_key_without_a_grant_does_not_get_in(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 1, 3);
    exchange_peers(farm, "add", &farm->alice, &image);
    (void) exchange_stats(
        farm); // ZAP belongs to the server's thread: let it be done with it
    const uint64_t before = rmt_zap_refused(farm->zap);
    rmt_auto(rmt_fetch) fetch = s_fetch(farm, &farm->mallory, &image);
    size_t count = 0;
    RMT_FAILS(rmt_fetch_get(fetch, &image, 1, s_count, &count, &error),
              RMT_E_NOT_ALLOWED);
    assert_int_equal(count, 0);
    assert_true(rmt_zap_refused(farm->zap) > before);
}

// [1.28]: each message is checked.
static void
test_dropped_key_gets_nothing_over_its_live_connection(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 1, 3);
    exchange_peers(farm, "add", &farm->alice, &image);
    rmt_auto(rmt_fetch) fetch = s_fetch(farm, &farm->alice, &image);
    size_t count = 0;
    RMT_OK(rmt_fetch_get(fetch, &image, 1, s_count, &count, &error));
    exchange_peers(farm, "drop", &farm->alice, NULL);
    RMT_FAILS(rmt_fetch_get(fetch, &image, 1, s_count, &count, &error),
              RMT_E_NOT_ALLOWED);
    assert_int_equal(count, 1);
}

static void
test_grant_that_comes_late_is_waited_for(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 1, 3);
    rmt_auto(rmt_fetch) fetch = s_fetch(farm, &farm->alice, &image);
    s_late_t late = {farm, &farm->alice, &image, 0};
    rmt_fetch_set_alive(fetch, s_grant_later, &late);
    size_t count = 0;
    RMT_OK(rmt_fetch_get(fetch, &image, 1, s_count, &count, &error));
    assert_int_equal(count, 1);
}

static void
test_waiting_ends_when_nobody_wants_it_any_more(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 1, 3);
    rmt_record_set(rmt_records_at(farm->holders, 0), "port", "9");
    rmt_auto(rmt_fetch) fetch = s_fetch(farm, &farm->alice, &image);
    int seconds = 2;
    rmt_fetch_set_alive(fetch, s_stop_soon, &seconds);
    size_t count = 0;
    RMT_FAILS(rmt_fetch_get(fetch, &image, 1, s_count, &count, &error), RMT_E_CANCELLED);
}

// Find the bytes of a raw chunk in the packs and change one of them.
static void
s_damage(const char *root, const void *bytes, size_t size)
{
    for (size_t n = 0;; n++) {
        rmt_auto_str path = fixture_file(root, "packs", n);
        assert_non_null(path);
        rmt_error_t error = {0};
        rmt_auto_ptr data = NULL;
        size_t total;
        RMT_OK(rmt_io_load(path, (size_t) 256 * 1024 * 1024, &data, &total, &error));
        const char *found = memmem(data, total, bytes, size);
        if (!found)
            continue;
        fixture_flip(path, (size_t) (found - (const char *) data) * 8 + 3);
        return;
    }
}

// [1.38] P14: the others come.
static void
test_damaged_chunk_is_reported_and_never_delivered(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 2, 4);
    const rmt_id_t victim = fixture_put(store, 2, 1000); // Content of the first file
    rmt_chunk_t chunk;
    RMT_OK(rmt_store_get(store, &victim, true, &chunk, &error));
    s_damage(farm->root, chunk.data, chunk.size);
    exchange_peers(farm, "add", &farm->alice, &image);
    rmt_auto(rmt_fetch) fetch = s_fetch(farm, &farm->alice, &image);
    rmt_auto(rmt_closure) closure = s_closure(farm, &image);
    size_t count = 0;
    RMT_FAILS(rmt_fetch_get(fetch, rmt_closure_at(closure, 0), rmt_closure_count(closure),
                            s_count, &count, &error),
              RMT_E_CORRUPT);
    assert_non_null(strstr(error.text, "pack"));
    assert_int_equal(count, rmt_closure_count(closure) - 1);
    assert_true(exchange_stats(farm).damaged > 0);
    rmt_fetch_stats_t stats;
    rmt_fetch_stats(fetch, &stats);
    assert_int_equal(stats.refused, 0);
}

// A chunk whose bytes are not those of its id, with a checksum that is right, as a store
// has it that was given wrong bytes.
static rmt_id_t
s_put_wrong(rmt_store_t *store, rmt_store_t *shelf, uint64_t seed)
{
    rmt_error_t error = {0};
    const rmt_id_t id = fixture_put(shelf, seed, 1000);
    rmt_chunk_t chunk;
    RMT_OK(rmt_store_get(shelf, &id, true, &chunk, &error));
    rmt_auto_ptr wrong = malloc(chunk.size);
    assert_non_null(wrong);
    memset(wrong, 'x', chunk.size);
    chunk.data = wrong;
    RMT_OK(rmt_store_put(store, &chunk, &error));
    RMT_OK(rmt_store_commit(store, &error));
    return id;
}

// [1.38] [1.74] P14: the checksum does not tell, so the receiver does.
static void
test_what_came_wrong_is_told_to_the_holder_which_finds_it_damaged(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    rmt_auto(rmt_store) shelf = fixture_open(farm->other);
    (void) s_put_wrong(store, shelf, 2);
    const rmt_id_t image = fixture_image(store, 2, 4);
    exchange_peers(farm, "add", &farm->alice, &image);
    rmt_auto(rmt_fetch) fetch = s_fetch(farm, &farm->alice, &image);
    rmt_auto(rmt_closure) closure = s_closure(farm, &image);
    size_t count = 0;
    RMT_FAILS(rmt_fetch_get(fetch, rmt_closure_at(closure, 0), rmt_closure_count(closure),
                            s_count, &count, &error),
              RMT_E_CORRUPT);
    assert_non_null(strstr(error.text, "pack"));
    assert_int_equal(count, rmt_closure_count(closure) - 1);
    assert_true(exchange_stats(farm).damaged > 0);
    rmt_fetch_stats_t stats;
    rmt_fetch_stats(fetch, &stats);
    assert_int_equal(stats.refused, 1);
}

// [1.74] P14: whichever of the two copies a holder sends first.
static void
test_a_holder_that_is_told_sends_the_copy_that_is_right(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    rmt_auto(rmt_store) shelf = fixture_open(farm->other);
    for (uint64_t seed = 2; seed < 14; seed++) {
        const rmt_id_t id = s_put_wrong(store, shelf, seed);
        rmt_chunk_t chunk;
        RMT_OK(rmt_store_get(shelf, &id, true, &chunk, &error));
        RMT_OK(rmt_store_put_again(store, &chunk, &error));
        RMT_OK(rmt_store_commit(store, &error));
    }
    const rmt_id_t image = fixture_image(store, 2, 12);
    exchange_peers(farm, "add", &farm->alice, &image);
    rmt_auto(rmt_fetch) fetch = s_fetch(farm, &farm->alice, &image);
    rmt_auto(rmt_closure) closure = s_closure(farm, &image);
    size_t count = 0;
    RMT_OK(rmt_fetch_get(fetch, rmt_closure_at(closure, 0), rmt_closure_count(closure),
                         s_count, &count, &error));
    assert_int_equal(count, rmt_closure_count(closure));
}

// A holder in foreign hands: it gives other contents for each id of so many FETCHes.
#define LIES 3
static void *
s_lie(void *context)
{
    zsock_t *socket = context;
    rmt_error_t error = {0};
    const int64_t until = rmt_clock_ms() + 10000;
    for (size_t told = 0; told < LIES;) {
        rmt_packet_t packet = {0};
        while (rmt_clock_ms() < until &&
               !(rmt_socket_recv(socket, &packet, &error) == 1 &&
                 packet.msg->kind == RMT_MSG_FETCH))
            rmt_wait_turn();
        if (!packet.msg)
            break;
        const size_t count = zchunk_size(packet.msg->ids) / RMT_ID_SIZE;
        for (size_t i = 0; i < count; i++) {
            rmt_auto(rmt_msg) chunk = rmt_msg_new(RMT_MSG_CHUNK);
            memcpy(chunk->id, zchunk_data(packet.msg->ids) + i * RMT_ID_SIZE,
                   RMT_ID_SIZE);
            chunk->codec = RMT_CODEC_RAW;
            chunk->size = 4;
            chunk->payload = zframe_new("lies", 4);
            (void) rmt_socket_send(socket, packet.route, chunk, true, &error);
        }
        rmt_packet_clear(&packet);
        told++;
    }
    return NULL;
}

// P9 P14: what a holder sends is held against the id, whatever the holder is.
static void
test_contents_of_another_id_are_never_delivered(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 2, 4);
    rmt_auto(rmt_closure) closure = s_closure(farm, &image);
    rmt_auto(zsock) liar = rmt_socket_new(RMT_SOCKET_DATA_SERVER, "127.0.0.1:*",
                                          &farm->mallory, NULL, &error);
    RMT_OK(liar);
    rmt_zap_allow(farm->zap, rmt_socket_domain(RMT_SOCKET_DATA_SERVER),
                  farm->alice.public_text);
    rmt_auto(rmt_record) holder = rmt_record_dup(rmt_records_at(farm->holders, 0));
    rmt_record_setf(holder, "port", "%u", (unsigned) rmt_socket_port(liar));
    rmt_record_set(holder, "key", farm->mallory.public_text);
    rmt_records_destroy(&farm->holders);
    farm->holders = rmt_records_new();
    rmt_records_append(farm->holders, &holder);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, s_lie, liar), 0);
    rmt_auto(rmt_fetch) fetch = s_fetch(farm, &farm->alice, &image);
    size_t count = 0;
    RMT_FAILS(
        rmt_fetch_get(fetch, rmt_closure_at(closure, 0), 2, s_count, &count, &error),
        RMT_E_CORRUPT);
    pthread_join(thread, NULL);
    assert_non_null(strstr(error.text, "do not match the id"));
    assert_int_equal(count, 0);
    rmt_fetch_stats_t stats;
    rmt_fetch_stats(fetch, &stats);
    assert_int_equal(stats.refused, 4); // Twice each: it is told of the first time
}

static void
test_second_holder_gives_what_the_first_lacks(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 1, 50);
    exchange_peers(farm, "add", &farm->alice, &image);
    // Nobody listens at the discard port.
    rmt_record_t *dead = rmt_record_dup(rmt_records_at(farm->holders, 0));
    rmt_record_set(dead, "port", "9");
    rmt_records_append(farm->holders, &dead);
    rmt_auto(rmt_fetch) fetch = s_fetch(farm, &farm->alice, &image);
    rmt_auto(rmt_closure) closure = s_closure(farm, &image);
    size_t count = 0;
    RMT_OK(rmt_fetch_get(fetch, rmt_closure_at(closure, 0), rmt_closure_count(closure),
                         s_count, &count, &error));
    assert_int_equal(count, rmt_closure_count(closure));
}

static uint64_t
s_drink(zsock_t *socket, size_t *count)
{
    uint64_t cost = 0;
    rmt_msg_t *msg;
    while ((msg = exchange_recv(socket, 1500))) {
        assert_int_equal(msg->kind, RMT_MSG_CHUNK);
        cost += rmt_credit_cost(zframe_size(msg->payload));
        ++*count;
        rmt_msg_destroy(&msg);
    }
    return cost;
}

// [1.39] [5.8]: the rest waits for an ACK.
static void
test_no_more_than_the_window_is_under_way(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 1, 200);
    exchange_peers(farm, "add", &farm->alice, &image);
    rmt_auto(rmt_closure) closure = s_closure(farm, &image);
    rmt_auto(zsock) socket = exchange_raw(farm, &farm->alice);
    rmt_auto(rmt_msg) fetch = exchange_fetch(&image, rmt_closure_at(closure, 0),
                                             rmt_closure_count(closure), 256 * 1024);
    exchange_say(socket, fetch);
    size_t count = 0;
    const uint64_t cost = s_drink(socket, &count);
    assert_true(cost > 0);
    assert_true(cost <= fetch->window);
    assert_true(count < rmt_closure_count(closure));
    assert_int_equal(exchange_stats(farm).unacked_max, cost);

    rmt_auto(rmt_msg) ack = rmt_msg_new(RMT_MSG_ACK);
    ack->window = cost;
    exchange_say(socket, ack);
    const size_t first = count;
    const uint64_t more = s_drink(socket, &count);
    assert_true(count > first);
    assert_true(more <= fetch->window);
    assert_true(exchange_stats(farm).unacked_max <= fetch->window);
}

// P12 [1.39]: whatever the peer asks for, a holder has no more under way than its own
// window, so a cut costs no more.
static void
test_a_holder_keeps_to_its_own_window(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 1, 3000);
    exchange_peers(farm, "add", &farm->alice, &image);
    rmt_auto(rmt_closure) closure = s_closure(farm, &image);
    rmt_auto(zsock) socket = exchange_raw(farm, &farm->alice);
    rmt_auto(rmt_msg) fetch =
        exchange_fetch(&image, rmt_closure_at(closure, 0), RMT_IDS_MAX, RMT_SERVE_WINDOW);
    exchange_say(socket, fetch);
    size_t count = 0;
    const uint64_t cost = s_drink(socket, &count);
    assert_in_range(cost, EXCHANGE_WINDOW / 2, EXCHANGE_WINDOW);
}

// [5.8]: one chunk may always travel, however small the window is.
static void
test_a_chunk_larger_than_the_window_travels_alone(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 1, 20);
    exchange_peers(farm, "add", &farm->alice, &image);
    rmt_auto(rmt_closure) closure = s_closure(farm, &image);
    rmt_auto(zsock) socket = exchange_raw(farm, &farm->alice);
    rmt_auto(rmt_msg) fetch =
        exchange_fetch(&image, rmt_closure_at(closure, 0), rmt_closure_count(closure), 1);
    exchange_say(socket, fetch);
    for (int i = 0; i < 2; i++) {
        size_t count = 0;
        rmt_auto(rmt_msg) ack = rmt_msg_new(RMT_MSG_ACK);
        ack->window = s_drink(socket, &count);
        assert_int_equal(count, 1);
        exchange_say(socket, ack);
    }
}

// M15: what the file list of an image is made of travels compressed, and nobody who does
// not speak CURVE is heard.
static void
test_m15_file_lists_travel_compressed_and_encrypted(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 1, 3000);
    exchange_peers(farm, "add", &farm->alice, &image);
    rmt_auto(rmt_closure) closure = s_closure(farm, &image);
    rmt_auto(rmt_msg) fetch =
        exchange_fetch(&image, rmt_closure_at(closure, 0), 8, 1024 * 1024);
    rmt_auto(zsock) plain = zsock_new(ZMQ_DEALER);
    zsock_set_linger(plain, 0);
    assert_int_equal(zsock_connect(plain, "tcp://127.0.0.1:%u",
                                   (unsigned) rmt_serve_port(farm->serve)),
                     0);
    rmt_auto(zsock) socket = exchange_raw(farm, &farm->alice);
    exchange_say(plain, fetch);
    exchange_say(socket, fetch);
    size_t packed = 0;
    for (int i = 0; i < 8; i++) {
        rmt_auto(rmt_msg) chunk = exchange_recv(socket, 5000);
        assert_non_null(chunk);
        packed += chunk->codec == RMT_CODEC_LZ4;
        assert_true(chunk->codec == RMT_CODEC_RAW ||
                    zframe_size(chunk->payload) < chunk->size);
    }
    assert_true(packed >= 4); // Names shrink, ids do not
    assert_null(exchange_recv(plain, 500));
}

// P17 [1.10]: what a holder cannot keep for one peer is refused at once, and asked for
// again later.
static void
test_what_is_too_much_for_a_holder_is_refused_and_told(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 1, 3000);
    exchange_peers(farm, "add", &farm->alice, &image);
    rmt_auto(rmt_closure) closure = s_closure(farm, &image);
    rmt_auto(zsock) socket = exchange_raw(farm, &farm->alice);
    rmt_auto(rmt_msg) fetch =
        exchange_fetch(&image, rmt_closure_at(closure, 0), RMT_IDS_MAX, 1);
    for (int i = 0; i < 10; i++) // 8,192 ids may wait
        exchange_say(socket, fetch);
    size_t refused = 0;
    for (rmt_msg_t *msg; (msg = exchange_recv(socket, 1500)); rmt_msg_destroy(&msg)) {
        if (msg->kind != RMT_MSG_LATER)
            continue;
        assert_true(msg->beat_ms > 0);
        assert_int_equal(zchunk_size(msg->ids), RMT_IDS_MAX * RMT_ID_SIZE);
        refused++;
    }
    assert_int_equal(refused, 2);
    assert_true(exchange_stats(farm).unacked_max < 16 * 1024);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_whole_image_is_fetched_and_complete),
        CASE(test_ids_that_repeat_come_once),
        CASE(test_chunks_outside_the_granted_image_are_refused_and_counted),
        CASE(test_key_without_a_grant_does_not_get_in),
        CASE(test_dropped_key_gets_nothing_over_its_live_connection),
        CASE(test_grant_that_comes_late_is_waited_for),
        CASE(test_waiting_ends_when_nobody_wants_it_any_more),
        CASE(test_damaged_chunk_is_reported_and_never_delivered),
        CASE(test_what_came_wrong_is_told_to_the_holder_which_finds_it_damaged),
        CASE(test_a_holder_that_is_told_sends_the_copy_that_is_right),
        CASE(test_contents_of_another_id_are_never_delivered),
        CASE(test_second_holder_gives_what_the_first_lacks),
        CASE(test_no_more_than_the_window_is_under_way),
        CASE(test_a_holder_keeps_to_its_own_window),
        CASE(test_a_chunk_larger_than_the_window_travels_alone),
        CASE(test_m15_file_lists_travel_compressed_and_encrypted),
        CASE(test_what_is_too_much_for_a_holder_is_refused_and_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
