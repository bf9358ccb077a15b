// Chunks between processes over CURVE on loopback: giving, taking, and what is refused.
#include "tools/rmt_test.h"
#include <czmq.h>
#include <fcntl.h>
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
#include "exchange/rmt_serve.h"
#include "net/rmt_socket.h"
#include "store/rmt_store.h"
#include "unit/store_fixture.h"

typedef struct {
    char *root, *other; // Store of the server; another one
    rmt_key_t server, alice, mallory;
    rmt_zap_t *zap;
    rmt_serve_t *serve;
    rmt_records_t *holders;
    int events;
} s_farm_t;

static void
s_count_event(void *context, const char *event, const char *key, const char *text)
{
    s_farm_t *farm = context;
    (void) key;
    (void) text;
    if (strcmp(event, "fetch.refused") == 0)
        __atomic_add_fetch(&farm->events, 1, __ATOMIC_SEQ_CST);
}

static rmt_serve_t *
s_serve(s_farm_t *farm)
{
    rmt_error_t error = {0};
    const rmt_serve_config_t config = {.endpoint = "127.0.0.1:*",
                                       .own = &farm->server,
                                       .zap = farm->zap,
                                       .store = farm->root,
                                       .receives = true,
                                       .event = s_count_event,
                                       .context = farm};
    rmt_serve_t *serve = rmt_serve_new(&config, &error);
    assert_string_equal(error.text, "");
    return serve;
}

static rmt_records_t *
s_holders(const s_farm_t *farm)
{
    rmt_records_t *holders = rmt_records_new();
    rmt_record_t *record = rmt_records_add(holders);
    rmt_record_set(record, "addresses", "@");
    rmt_record_setf(record, "port", "%u", (unsigned) rmt_serve_port(farm->serve));
    rmt_record_set(record, "key", farm->server.public_text);
    rmt_record_set(record, "name", "test");
    return holders;
}

static int
s_setup(void **state)
{
    rmt_error_t error = {0};
    s_farm_t *farm = calloc(1, sizeof(*farm));
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

static int
s_teardown(void **state)
{
    s_farm_t *farm = *state;
    rmt_serve_destroy(&farm->serve);
    rmt_zap_destroy(&farm->zap);
    rmt_records_destroy(&farm->holders);
    void *root = farm->root, *other = farm->other;
    fixture_teardown(&root);
    fixture_teardown(&other);
    free(farm);
    return 0;
}

// Tell the server what the broker would; image NULL: may offer.
static void
s_peers(const s_farm_t *farm, const char *op, const rmt_key_t *key, const rmt_id_t *image)
{
    rmt_auto(rmt_records) items = rmt_records_new();
    rmt_record_t *item = rmt_records_add(items);
    rmt_record_set(item, "op", op);
    rmt_record_set(item, "key", key->public_text);
    if (image)
        rmt_record_put(item, "roots", image->bytes, RMT_ID_SIZE);
    rmt_serve_peers(farm->serve, items);
}

static rmt_serve_stats_t
s_stats(const s_farm_t *farm)
{
    rmt_serve_stats_t stats;
    rmt_serve_stats(farm->serve, &stats);
    return stats;
}

static rmt_fetch_t *
s_fetch(const s_farm_t *farm, const rmt_key_t *own, const rmt_id_t *image)
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
    const s_farm_t *farm;
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
        s_peers(late->farm, "add", late->key, late->image);
    return true;
}

static rmt_closure_t *
s_closure(const s_farm_t *farm, const rmt_id_t *image)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    rmt_closure_t *closure =
        rmt_closure_new(rmt_closure_from_store, store, image, &error);
    assert_string_equal(error.text, "");
    return closure;
}

// ---- Fetching

static void
test_whole_image_is_fetched_and_complete(void **state)
{
    s_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 1, 3000);
    s_peers(farm, "add", &farm->alice, &image);
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
    s_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 1, 3);
    s_peers(farm, "add", &farm->alice, &image);
    rmt_auto(rmt_fetch) fetch = s_fetch(farm, &farm->alice, &image);
    const rmt_id_t ids[3] = {image, image, image};
    size_t count = 0;
    RMT_OK(rmt_fetch_get(fetch, ids, 3, s_count, &count, &error));
    assert_int_equal(count, 1);
}

static void
test_chunks_outside_the_granted_image_are_refused_and_counted(void **state)
{
    s_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 1, 3);
    const rmt_id_t secret = fixture_image(store, 1000, 3);
    rmt_auto(rmt_closure) closure = s_closure(farm, &secret);
    s_peers(farm, "add", &farm->alice, &image);
    rmt_auto(rmt_fetch) fetch = s_fetch(farm, &farm->alice, &image);
    size_t count = 0;
    RMT_FAILS(rmt_fetch_get(fetch, rmt_closure_at(closure, 0), rmt_closure_count(closure),
                            s_count, &count, &error),
              RMT_E_NOT_ALLOWED);
    assert_int_equal(count, 0);
    assert_int_equal(s_stats(farm).bytes_sent, 0);
    assert_true(s_stats(farm).refused >= rmt_closure_count(closure));
    assert_true(__atomic_load_n(&farm->events, __ATOMIC_SEQ_CST) > 0);

    // Naming the other image's root does not help either.
    rmt_auto(rmt_fetch) bold = s_fetch(farm, &farm->alice, &secret);
    RMT_FAILS(rmt_fetch_get(bold, &secret, 1, s_count, &count, &error),
              RMT_E_NOT_ALLOWED);
    assert_int_equal(count, 0);
}

static void
test_key_without_a_grant_does_not_get_in(void **state)
{
    s_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 1, 3);
    s_peers(farm, "add", &farm->alice, &image);
    (void) s_stats(farm); // ZAP belongs to the server's thread: let it be done with it
    const uint64_t before = rmt_zap_refused(farm->zap);
    rmt_auto(rmt_fetch) fetch = s_fetch(farm, &farm->mallory, &image);
    size_t count = 0;
    RMT_FAILS(rmt_fetch_get(fetch, &image, 1, s_count, &count, &error),
              RMT_E_NOT_ALLOWED);
    assert_int_equal(count, 0);
    assert_true(rmt_zap_refused(farm->zap) > before);
}

static void
test_dropped_key_gets_nothing_over_its_live_connection(void **state)
{
    s_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 1, 3);
    s_peers(farm, "add", &farm->alice, &image);
    rmt_auto(rmt_fetch) fetch = s_fetch(farm, &farm->alice, &image);
    size_t count = 0;
    RMT_OK(rmt_fetch_get(fetch, &image, 1, s_count, &count, &error));
    s_peers(farm, "drop", &farm->alice, NULL);
    RMT_FAILS(rmt_fetch_get(fetch, &image, 1, s_count, &count, &error),
              RMT_E_NOT_ALLOWED);
    assert_int_equal(count, 1);
}

static void
test_grant_that_comes_late_is_waited_for(void **state)
{
    s_farm_t *farm = *state;
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
    s_farm_t *farm = *state;
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

static void
test_damaged_chunk_is_reported_and_never_delivered(void **state)
{
    s_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 2, 4);
    const rmt_id_t victim = fixture_put(store, 2, 1000); // Content of the first file
    rmt_chunk_t chunk;
    RMT_OK(rmt_store_get(store, &victim, true, &chunk, &error));
    s_damage(farm->root, chunk.data, chunk.size);
    s_peers(farm, "add", &farm->alice, &image);
    rmt_auto(rmt_fetch) fetch = s_fetch(farm, &farm->alice, &image);
    rmt_auto(rmt_closure) closure = s_closure(farm, &image);
    size_t count = 0;
    RMT_FAILS(rmt_fetch_get(fetch, rmt_closure_at(closure, 0), rmt_closure_count(closure),
                            s_count, &count, &error),
              RMT_E_CORRUPT);
    assert_non_null(strstr(error.text, "pack"));
    assert_int_equal(count, rmt_closure_count(closure) - 1);
    assert_true(s_stats(farm).damaged > 0);
    rmt_fetch_stats_t stats;
    rmt_fetch_stats(fetch, &stats);
    assert_int_equal(stats.refused, 0);
}

static void
test_second_holder_gives_what_the_first_lacks(void **state)
{
    s_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 1, 50);
    s_peers(farm, "add", &farm->alice, &image);
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

// ---- The window, with a client that never acknowledges

static zsock_t *
s_raw(const s_farm_t *farm, const rmt_key_t *own)
{
    rmt_error_t error = {0};
    rmt_auto_str endpoint =
        rmt_text("127.0.0.1:%u", (unsigned) rmt_serve_port(farm->serve));
    zsock_t *socket = rmt_socket_new(RMT_SOCKET_DATA_CLIENT, endpoint, own,
                                     farm->server.public_text, &error);
    assert_string_equal(error.text, "");
    return socket;
}

static rmt_msg_t *
s_recv(zsock_t *socket, int timeout_ms)
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

static void
s_say(zsock_t *socket, const rmt_msg_t *msg)
{
    rmt_error_t error = {0};
    RMT_OK(rmt_socket_send(socket, NULL, msg, true, &error));
}

static uint64_t
s_drink(zsock_t *socket, size_t *count)
{
    uint64_t cost = 0;
    rmt_msg_t *msg;
    while ((msg = s_recv(socket, 1500))) {
        assert_int_equal(msg->kind, RMT_MSG_CHUNK);
        cost += rmt_credit_cost(zframe_size(msg->payload));
        ++*count;
        rmt_msg_destroy(&msg);
    }
    return cost;
}

static void
test_no_more_than_the_window_is_under_way(void **state)
{
    s_farm_t *farm = *state;
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 1, 200);
    s_peers(farm, "add", &farm->alice, &image);
    rmt_auto(rmt_closure) closure = s_closure(farm, &image);
    rmt_auto(zsock) socket = s_raw(farm, &farm->alice);
    rmt_auto(rmt_msg) fetch = rmt_msg_new(RMT_MSG_FETCH);
    memcpy(fetch->id, image.bytes, RMT_ID_SIZE);
    fetch->window = 256 * 1024;
    fetch->ids =
        zchunk_new(rmt_closure_at(closure, 0), rmt_closure_count(closure) * RMT_ID_SIZE);
    s_say(socket, fetch);
    size_t count = 0;
    const uint64_t cost = s_drink(socket, &count);
    assert_true(cost > 0);
    assert_true(cost <= fetch->window);
    assert_true(count < rmt_closure_count(closure));
    assert_int_equal(s_stats(farm).unacked_max, cost);

    rmt_auto(rmt_msg) ack = rmt_msg_new(RMT_MSG_ACK);
    ack->window = cost;
    s_say(socket, ack);
    const size_t first = count;
    const uint64_t more = s_drink(socket, &count);
    assert_true(count > first);
    assert_true(more <= fetch->window);
    assert_true(s_stats(farm).unacked_max <= fetch->window);
}

// ---- Offering

static const uint8_t s_task[RMT_UID_SIZE] = {1, 2, 3};

static rmt_offer_t *
s_offer(const s_farm_t *farm, uint32_t attempt)
{
    rmt_error_t error = {0};
    const rmt_offer_config_t config = {.holders = farm->holders,
                                       .host = "127.0.0.1",
                                       .own = &farm->alice,
                                       .task = s_task,
                                       .job = s_task,
                                       .attempt = attempt};
    rmt_offer_t *offer = rmt_offer_new(&config, &error);
    // The first try may come before the grant, which is no error in the end.
    RMT_OK(offer);
    return offer;
}

static void
s_make(rmt_chunk_t *chunk, uint8_t *room, uint64_t seed, size_t size)
{
    uint8_t *plain = room + RMT_CHUNK_STORED_MAX;
    uint64_t x = seed * 2 + 1;
    for (size_t i = 0; i < size; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        plain[i] = (uint8_t) (x >> 40);
    }
    rmt_chunk_make(chunk, plain, size, room);
}

static void
s_offer_range(rmt_offer_t *offer, uint64_t first, uint64_t last, size_t size)
{
    rmt_error_t error = {0};
    rmt_auto_ptr room = malloc(RMT_CHUNK_STORED_MAX + RMT_CHUNK_PLAIN_MAX);
    for (uint64_t seed = first; seed < last; seed++) {
        rmt_chunk_t chunk;
        s_make(&chunk, room, seed, size);
        RMT_OK(rmt_offer_chunk(offer, &chunk, &error));
    }
}

static void
test_only_what_is_lacking_is_sent(void **state)
{
    s_farm_t *farm = *state;
    rmt_error_t error = {0};
    s_peers(farm, "add", &farm->alice, NULL);
    rmt_offer_stats_t stats;
    {
        rmt_auto(rmt_offer) offer = s_offer(farm, 1);
        s_offer_range(offer, 1, 601, 20000);
        s_offer_range(offer, 1, 601, 20000); // Repeats travel once
        RMT_OK(rmt_offer_seal(offer, &error));
        rmt_offer_stats(offer, &stats);
        assert_int_equal(stats.chunks_offered, 1200);
        assert_int_equal(stats.chunks_sent, 600);
    }
    rmt_auto(rmt_offer) offer = s_offer(farm, 2);
    s_offer_range(offer, 1, 604, 20000);
    RMT_OK(rmt_offer_seal(offer, &error));
    rmt_offer_stats(offer, &stats);
    assert_int_equal(stats.chunks_sent, 3);
    assert_int_equal(s_stats(farm).chunks_received, 603);
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_store_report_t report = fixture_check(store, true, NULL);
    assert_int_equal(report.chunks, 603);
    assert_int_equal(report.damaged, 0);
}

static void
test_receiver_tells_what_it_lacks(void **state)
{
    s_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_id_t ids[700];
    bool lacks[700];
    {
        rmt_auto(rmt_store) store = fixture_open(farm->root);
        for (size_t i = 0; i < 700; i++)
            if (i % 3)
                ids[i] = fixture_put(store, i, 100);
            else
                rmt_id_compute(&ids[i], &i, sizeof(i));
        RMT_OK(rmt_store_commit(store, &error));
    }
    s_peers(farm, "add", &farm->alice, NULL);
    rmt_auto(rmt_offer) offer = s_offer(farm, 1);
    RMT_OK(rmt_offer_ask(offer, ids, 700, lacks, &error));
    for (size_t i = 0; i < 700; i++)
        assert_int_equal(lacks[i], i % 3 == 0);
}

static int
s_store_sink(void *store, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    return rmt_store_put(store, chunk, error);
}

// A manifest of one file with one chunk. Returns its root.
static rmt_id_t
s_manifest(rmt_store_t *store, const rmt_id_t *content)
{
    rmt_error_t error = {0};
    rmt_id_t root = {{0}};
    uint32_t size = 100;
    rmt_id_t chunk = *content;
    rmt_auto(rmt_manifest_writer) writer = rmt_manifest_writer_new(s_store_sink, store);
    const rmt_entry_t folder = {.path = "", .mode = S_IFDIR | 0755};
    const rmt_entry_t file = {.path = "f",
                              .path_size = 1,
                              .mode = S_IFREG | 0644,
                              .size = size,
                              .chunks = &chunk,
                              .chunk_sizes = &size,
                              .chunk_count = 1};
    if (rmt_manifest_writer_add(writer, &folder, &error) == -1 ||
        rmt_manifest_writer_add(writer, &file, &error) == -1 ||
        rmt_manifest_writer_finish(writer, &root, &error) == -1)
        fail_msg("%s", error.text);
    return root;
}

// M9: one question tells whether all of an earlier manifest is there.
static void
test_a_manifest_is_held_only_with_all_that_it_names(void **state)
{
    s_farm_t *farm = *state;
    rmt_error_t error = {0};
    s_peers(farm, "add", &farm->alice, NULL);
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t here = fixture_put(store, 1, 100);
    rmt_id_t away;
    rmt_id_compute(&away, "away", 4);
    const rmt_id_t whole = s_manifest(store, &here), torn = s_manifest(store, &away);
    RMT_OK(rmt_store_commit(store, &error));
    rmt_auto(rmt_offer) offer = s_offer(farm, 1);
    const struct {
        const rmt_id_t *root;
        bool is_held;
    } rows[] = {{&whole, true}, {&torn, false}, {&away, false}, {&here, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool holds = !rows[i].is_held;
        RMT_OK(rmt_offer_holds(offer, rows[i].root, &holds, &error));
        assert_int_equal(holds, rows[i].is_held);
    }
}

// P14: an id alone is a question; what is lacked is told, and can be sent afterwards.
static void
test_ids_without_bytes_are_asked_for_and_given_later(void **state)
{
    s_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto_ptr room = malloc(RMT_CHUNK_STORED_MAX + RMT_CHUNK_PLAIN_MAX);
    s_peers(farm, "add", &farm->alice, NULL);
    {
        rmt_auto(rmt_offer) offer = s_offer(farm, 1);
        s_offer_range(offer, 1, 3000, 100);
        RMT_OK(rmt_offer_seal(offer, &error));
    }
    rmt_auto(rmt_offer) offer = s_offer(farm, 2);
    rmt_id_t last = {{0}};
    for (uint64_t seed = 1; seed < 3002; seed++) {
        rmt_chunk_t chunk;
        s_make(&chunk, room, seed, 100);
        last = chunk.id;
        RMT_OK(rmt_offer_id(offer, &chunk.id, &error));
        // Among them some whose bytes are at hand
        if (seed % 1000 == 0) {
            s_make(&chunk, room, seed + 100000, 100);
            RMT_OK(rmt_offer_chunk(offer, &chunk, &error));
        }
    }
    RMT_OK(rmt_offer_drain(offer, &error));
    size_t count = 0;
    const rmt_id_t *missing = rmt_offer_missing(offer, &count);
    assert_int_equal(count, 2);
    assert_true(rmt_id_equal(&missing[1], &last));
    rmt_offer_forget(offer);
    s_offer_range(offer, 3000, 3002, 100);
    RMT_OK(rmt_offer_seal(offer, &error));
    (void) rmt_offer_missing(offer, &count);
    assert_int_equal(count, 0);
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    assert_int_equal(fixture_check(store, true, NULL).chunks, 3001 + 3);
}

// P16: foreign bytes are checked as a whole before any of them is used.
static void
test_parcels_are_whole_or_refused(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    size_t count = 0;
    uint8_t parcel[2 * (RMT_CHUNK_FRAME_HEAD_SIZE + 4)];
    rmt_chunk_t chunk = {.plain_size = 4, .size = 4};
    rmt_id_compute(&chunk.id, "good", 4);
    for (size_t at = 0; at < sizeof(parcel); at += sizeof(parcel) / 2) {
        rmt_chunk_frame_put_head(parcel + at, &chunk);
        memcpy(parcel + at + RMT_CHUNK_FRAME_HEAD_SIZE, "good", 4);
    }
    RMT_OK(rmt_chunk_frame_check(parcel, sizeof(parcel), &count, &error));
    assert_int_equal(count, 2);
    for (size_t size = 0; size < sizeof(parcel); size++)
        if (size != sizeof(parcel) / 2)
            assert_int_equal(rmt_chunk_frame_check(parcel, size, &count, &error), -1);
    static const struct {
        size_t at;
        uint8_t value;
    } bad[] = {{0, 2}, {34, 0}, {37, 1}, {38, 0}, {38, 5}, {41, 1}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        const uint8_t before = parcel[46 + bad[i].at];
        parcel[46 + bad[i].at] = bad[i].value;
        RMT_FAILS(rmt_chunk_frame_check(parcel, sizeof(parcel), &count, &error),
                  RMT_E_PROTOCOL);
        parcel[46 + bad[i].at] = before;
    }
    const uint8_t *at = parcel;
    for (int i = 0; i < 2; i++) {
        rmt_chunk_t found;
        assert_true(rmt_chunk_frame_next(&at, parcel + sizeof(parcel), &found));
        assert_true(rmt_id_equal(&found.id, &chunk.id));
        assert_memory_equal(found.data, "good", 4);
    }
    assert_false(rmt_chunk_frame_next(&at, parcel + sizeof(parcel), &chunk));
}

static void
s_wait_streams(const s_farm_t *farm, uint64_t wanted)
{
    const int64_t until = rmt_clock_ms() + 10000;
    while (s_stats(farm).streams != wanted && rmt_clock_ms() < until)
        zclock_sleep(20);
    assert_int_equal(s_stats(farm).streams, wanted);
}

static void
test_broken_stream_leaves_the_store_clean(void **state)
{
    s_farm_t *farm = *state;
    s_peers(farm, "add", &farm->alice, NULL);
    {
        rmt_auto(rmt_offer) offer = s_offer(farm, 1);
        s_offer_range(offer, 1, 80, 1000000);
        assert_true(s_stats(farm).chunks_received > 0);
    }
    s_wait_streams(farm, 0);
    assert_int_equal(fixture_count(farm->root, "packs"), 0);
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_store_report_t report = fixture_check(store, true, NULL);
    assert_int_equal(report.chunks, 0);
    assert_int_equal(report.orphan_files, 0);
}

static void
test_new_attempt_ends_the_old_stream_and_an_old_one_is_fenced(void **state)
{
    s_farm_t *farm = *state;
    rmt_error_t error = {0};
    s_peers(farm, "add", &farm->alice, NULL);
    rmt_auto(rmt_offer) first = s_offer(farm, 1);
    s_offer_range(first, 1, 40, 100000);
    rmt_auto(rmt_offer) second = s_offer(farm, 2);
    s_wait_streams(farm, 1);
    assert_int_equal(rmt_offer_seal(first, &error), -1);

    const rmt_offer_config_t config = {.holders = farm->holders,
                                       .host = "127.0.0.1",
                                       .own = &farm->alice,
                                       .task = s_task,
                                       .job = s_task,
                                       .attempt = 1};
    RMT_FAILS(rmt_offer_new(&config, &error), RMT_E_FENCED);
    s_offer_range(second, 1, 5, 1000);
    RMT_OK(rmt_offer_seal(second, &error));
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    assert_int_equal(fixture_check(store, true, NULL).chunks, 4);
}

static void
test_key_that_may_fetch_may_not_offer(void **state)
{
    s_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 1, 3);
    s_peers(farm, "add", &farm->alice, &image);
    const rmt_offer_config_t config = {.holders = farm->holders,
                                       .host = "127.0.0.1",
                                       .own = &farm->alice,
                                       .task = s_task,
                                       .job = s_task,
                                       .attempt = 1};
    RMT_FAILS(rmt_offer_new(&config, &error), RMT_E_NOT_ALLOWED);
}

static void
test_chunk_that_is_not_its_id_ends_the_stream(void **state)
{
    s_farm_t *farm = *state;
    s_peers(farm, "add", &farm->alice, NULL);
    zclock_sleep(50);
    rmt_auto(zsock) socket = s_raw(farm, &farm->alice);
    rmt_auto(rmt_msg) open = rmt_msg_new(RMT_MSG_OPEN);
    memcpy(open->task, s_task, sizeof(s_task));
    memcpy(open->job, s_task, sizeof(s_task));
    open->attempt = 1;
    s_say(socket, open);
    rmt_auto(rmt_msg) opened = s_recv(socket, 3000);
    assert_non_null(opened);
    assert_int_equal(opened->kind, RMT_MSG_OPENED);
    assert_int_equal(opened->code, RMT_OK);
    rmt_chunk_t chunk = {.plain_size = 4, .size = 4};
    rmt_id_t id;
    rmt_id_compute(&id, "good", 4);
    chunk.id = id;
    uint8_t parcel[RMT_CHUNK_FRAME_HEAD_SIZE + 4];
    rmt_chunk_frame_put_head(parcel, &chunk);
    memcpy(parcel + RMT_CHUNK_FRAME_HEAD_SIZE, "evil", 4);
    rmt_auto(rmt_msg) chunks = rmt_msg_new(RMT_MSG_CHUNKS);
    chunks->payload = zframe_new(parcel, sizeof(parcel));
    s_say(socket, chunks);
    rmt_auto(rmt_msg) refused = s_recv(socket, 3000);
    assert_non_null(refused);
    assert_int_equal(refused->kind, RMT_MSG_REFUSED);
    assert_int_equal(refused->code, RMT_E_CORRUPT);
    s_wait_streams(farm, 0);
    assert_int_equal(s_stats(farm).damaged, 1);
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    assert_false(rmt_store_has(store, &id));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)

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
        CASE(test_second_holder_gives_what_the_first_lacks),
        CASE(test_no_more_than_the_window_is_under_way),
        CASE(test_only_what_is_lacking_is_sent),
        CASE(test_receiver_tells_what_it_lacks),
        CASE(test_broken_stream_leaves_the_store_clean),
        CASE(test_new_attempt_ends_the_old_stream_and_an_old_one_is_fenced),
        CASE(test_a_manifest_is_held_only_with_all_that_it_names),
        CASE(test_ids_without_bytes_are_asked_for_and_given_later),
        cmocka_unit_test(test_parcels_are_whole_or_refused),
        CASE(test_key_that_may_fetch_may_not_offer),
        CASE(test_chunk_that_is_not_its_id_ends_the_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
