// Chunks offered to a store over CURVE on loopback: what is taken, and what is refused.
#include "integration/exchange_farm.h"
#include "tools/rmt_wait.h"

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
#include "store/rmt_store.h"

// The linker puts it in the place of rmt_clock_ms.
static _Atomic int64_t s_ahead_ms;
int64_t __real_rmt_clock_ms(void);
int64_t __wrap_rmt_clock_ms(void);

int64_t
__wrap_rmt_clock_ms(void)
{
    return __real_rmt_clock_ms() + s_ahead_ms;
}

static const uint8_t s_task[RMT_UID_SIZE] = {1, 2, 3};

static rmt_offer_t *
s_offer(const exchange_farm_t *farm, uint32_t attempt)
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

// [1.37] [1.40]: what was sealed is seen by others, and not sent again.
static void
test_only_what_is_lacking_is_sent(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_error_t error = {0};
    exchange_peers(farm, "add", &farm->alice, NULL);
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
    assert_int_equal(exchange_stats(farm).chunks_received, 603);
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_store_report_t report = fixture_check(store, true, NULL);
    assert_int_equal(report.chunks, 603);
    assert_int_equal(report.damaged, 0);
}

// [1.36]: every offer is answered.
static void
test_receiver_tells_what_it_lacks(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_id_t ids[700];
    {
        rmt_auto(rmt_store) store = fixture_open(farm->root);
        for (size_t i = 0; i < 700; i++)
            if (i % 3)
                ids[i] = fixture_put(store, i, 100);
            else
                rmt_id_compute(&ids[i], &i, sizeof(i));
        RMT_OK(rmt_store_commit(store, &error));
    }
    exchange_peers(farm, "add", &farm->alice, NULL);
    rmt_auto(rmt_offer) offer = s_offer(farm, 1);
    for (size_t i = 0; i < 700; i++)
        RMT_OK(rmt_offer_id(offer, &ids[i], &error));
    RMT_OK(rmt_offer_drain(offer, &error));
    size_t count = 0;
    const rmt_id_t *missing = rmt_offer_missing(offer, &count);
    assert_int_equal(count, 234);
    for (size_t i = 0; i < count; i++)
        assert_true(rmt_id_equal(&missing[i], &ids[3 * i]));
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

// M9 [1.44]: one question tells whether all of an earlier manifest is there.
static void
test_a_manifest_is_held_only_with_all_that_it_names(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_error_t error = {0};
    exchange_peers(farm, "add", &farm->alice, NULL);
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

// P14 [1.37]: an id alone is a question; what is lacked is told, and can be sent
// afterwards.
static void
test_ids_without_bytes_are_asked_for_and_given_later(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto_ptr room = malloc(RMT_CHUNK_STORED_MAX + RMT_CHUNK_PLAIN_MAX);
    exchange_peers(farm, "add", &farm->alice, NULL);
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

// P16 [1.43]: foreign bytes are checked as a whole before any of them is used.
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
            RMT_FAILS(rmt_chunk_frame_check(parcel, size, &count, &error),
                      RMT_E_PROTOCOL);
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

// [1.49] [5.9] P12 P13: what has come is kept, and whole.
static void
test_broken_stream_leaves_what_has_come_and_no_more(void **state)
{
    exchange_farm_t *farm = *state;
    exchange_peers(farm, "add", &farm->alice, NULL);
    {
        rmt_auto(rmt_offer) offer = s_offer(farm, 1);
        s_offer_range(offer, 1, 80, 1000000);
        assert_true(exchange_stats(farm).chunks_received > 0);
    }
    RMT_WAIT_UNTIL(exchange_stats(farm).streams == 0, 10000);
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_store_report_t report = fixture_check(store, true, NULL);
    assert_int_equal(report.chunks, exchange_stats(farm).chunks_received);
    assert_int_equal(report.damaged, 0);
    assert_int_equal(report.orphan_files, 0);
}

// P12: a transfer that is cut many times sends, beside its own bytes, no more than one
// window a cut.
static void
test_fifty_cuts_send_at_most_a_window_each_again(void **state)
{
    enum { CUTS = 50, CHUNKS = 300, SIZE = 100000 };
    exchange_farm_t *farm = *state;
    rmt_error_t error = {0};
    exchange_peers(farm, "add", &farm->alice, NULL);
    uint64_t sent = 0;
    for (uint32_t attempt = 1; attempt <= CUTS + 1; attempt++) {
        rmt_auto(rmt_offer) offer = s_offer(farm, attempt);
        rmt_offer_stats_t stats;
        s_offer_range(offer, 0, attempt * CHUNKS / (CUTS + 1), SIZE);
        if (attempt == CUTS + 1)
            RMT_OK(rmt_offer_seal(offer, &error));
        rmt_offer_stats(offer, &stats);
        sent += stats.bytes_sent;
    }
    const uint64_t whole = (uint64_t) CHUNKS * SIZE;
    assert_true(sent >= whole);
    assert_in_range(sent - whole, 0, CUTS * EXCHANGE_WINDOW);
}

// P12: a holder that dies has what was durable by then; the source hears of its end at
// once.
static void
test_a_lost_connection_ends_a_stream_at_once(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_error_t error = {0};
    exchange_peers(farm, "add", &farm->alice, NULL);
    rmt_auto(rmt_offer) offer = s_offer(farm, 1);
    s_offer_range(offer, 1, 5, 1000);
    RMT_OK(rmt_offer_drain(offer, &error));
    assert_false(rmt_offer_is_cut(offer));
    rmt_serve_destroy(&farm->serve);
    const int64_t start_ms = rmt_clock_ms();
    RMT_FAILS(rmt_offer_seal(offer, &error), RMT_E_UNAVAILABLE);
    assert_true(rmt_offer_is_cut(offer));
    assert_in_range(rmt_clock_ms() - start_ms, 0, 5000);
}

// [5.9]: a task has one stream.
static void
test_new_attempt_ends_the_old_stream_and_an_old_one_is_fenced(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_error_t error = {0};
    exchange_peers(farm, "add", &farm->alice, NULL);
    rmt_auto(rmt_offer) first = s_offer(farm, 1);
    s_offer_range(first, 1, 40, 100000);
    rmt_auto(rmt_offer) second = s_offer(farm, 2);
    assert_int_equal(exchange_stats(farm).streams, 1);
    RMT_FAILS(rmt_offer_seal(first, &error), RMT_E_NOT_FOUND);

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
    // 39 of the first attempt, which ended with what it had sent, and 4.
    assert_in_range(fixture_check(store, true, NULL).chunks, 4, 43);
}

// P19 T5: a live stream ends with its grant, though its source says nothing any more.
static void
test_a_dropped_key_loses_its_stream(void **state)
{
    exchange_farm_t *farm = *state;
    exchange_peers(farm, "add", &farm->alice, NULL);
    rmt_auto(rmt_offer) offer = s_offer(farm, 1);
    s_offer_range(offer, 1, 40, 100000);
    assert_int_equal(exchange_stats(farm).streams, 1);
    exchange_peers(farm, "drop", &farm->alice, NULL);
    assert_int_equal(exchange_stats(farm).streams, 0);
}

// The source says nothing meanwhile, so its grant is not in use.
static void
test_a_stream_ends_with_its_grant(void **state)
{
    exchange_farm_t *farm = *state;
    exchange_peers(farm, "add", &farm->alice, NULL);
    rmt_auto(rmt_offer) offer = s_offer(farm, 1);
    exchange_grant(farm, &farm->alice, 60000);
    s_offer_range(offer, 1, 40, 100000);
    assert_int_equal(exchange_stats(farm).streams, 1);
    s_ahead_ms = 11 * 60 * 1000;
    RMT_WAIT_UNTIL(exchange_stats(farm).streams == 0, 10000);
    s_ahead_ms = 0;
}

// T18: another key cannot end the stream of a task by a higher attempt.
static void
test_a_stream_is_not_taken_over_by_another_key(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_error_t error = {0};
    exchange_peers(farm, "add", &farm->alice, NULL);
    exchange_peers(farm, "add", &farm->mallory, NULL);
    rmt_auto(rmt_offer) offer = s_offer(farm, 1);
    s_offer_range(offer, 1, 5, 1000);
    const rmt_offer_config_t config = {.holders = farm->holders,
                                       .host = "127.0.0.1",
                                       .own = &farm->mallory,
                                       .task = s_task,
                                       .job = s_task,
                                       .attempt = 9};
    RMT_FAILS(rmt_offer_new(&config, &error), RMT_E_NOT_ALLOWED);
    RMT_OK(rmt_offer_seal(offer, &error));
}

static void
test_key_that_may_fetch_may_not_offer(void **state)
{
    exchange_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    const rmt_id_t image = fixture_image(store, 1, 3);
    exchange_peers(farm, "add", &farm->alice, &image);
    const rmt_offer_config_t config = {.holders = farm->holders,
                                       .host = "127.0.0.1",
                                       .own = &farm->alice,
                                       .task = s_task,
                                       .job = s_task,
                                       .attempt = 1};
    RMT_FAILS(rmt_offer_new(&config, &error), RMT_E_NOT_ALLOWED);
}

// [1.38] [1.43]: the store does not keep the chunk.
static void
test_chunk_that_is_not_its_id_ends_the_stream(void **state)
{
    exchange_farm_t *farm = *state;
    exchange_peers(farm, "add", &farm->alice, NULL);
    rmt_auto(zsock) socket = exchange_raw(farm, &farm->alice);
    rmt_auto(rmt_msg) open = rmt_msg_new(RMT_MSG_OPEN);
    memcpy(open->task, s_task, sizeof(s_task));
    memcpy(open->job, s_task, sizeof(s_task));
    open->attempt = 1;
    exchange_say(socket, open);
    rmt_auto(rmt_msg) opened = exchange_recv(socket, 3000);
    assert_non_null(opened);
    assert_int_equal(opened->kind, RMT_MSG_OPENED);
    assert_int_equal(opened->code, RMT_E_OK);
    rmt_chunk_t chunk = {.plain_size = 4, .size = 4};
    rmt_id_t id;
    rmt_id_compute(&id, "good", 4);
    chunk.id = id;
    uint8_t parcel[RMT_CHUNK_FRAME_HEAD_SIZE + 4];
    rmt_chunk_frame_put_head(parcel, &chunk);
    memcpy(parcel + RMT_CHUNK_FRAME_HEAD_SIZE, "evil", 4);
    rmt_auto(rmt_msg) chunks = rmt_msg_new(RMT_MSG_CHUNKS);
    chunks->payload = zframe_new(parcel, sizeof(parcel));
    exchange_say(socket, chunks);
    rmt_auto(rmt_msg) refused = exchange_recv(socket, 3000);
    assert_non_null(refused);
    assert_int_equal(refused->kind, RMT_MSG_REFUSED);
    assert_int_equal(refused->code, RMT_E_CORRUPT);
    RMT_WAIT_UNTIL(exchange_stats(farm).streams == 0, 10000);
    assert_int_equal(exchange_stats(farm).damaged, 1);
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    assert_false(rmt_store_has(store, &id));
}

static void
s_open_stream(zsock_t *socket, uint8_t task, rmt_code_t code)
{
    rmt_auto(rmt_msg) open = rmt_msg_new(RMT_MSG_OPEN);
    memset(open->task, task, sizeof open->task);
    open->attempt = 1;
    exchange_say(socket, open);
    rmt_auto(rmt_msg) opened = exchange_recv(socket, 5000);
    assert_non_null(opened);
    assert_int_equal(opened->kind, RMT_MSG_OPENED);
    assert_int_equal(opened->code, code);
}

// P17: each stream reserves a part of the budget, so their number has a limit.
static void
test_more_streams_than_a_holder_has_are_refused_and_told(void **state)
{
    exchange_farm_t *farm = *state;
    zsock_t *sockets[RMT_SERVE_STREAMS + 1];
    exchange_peers(farm, "add", &farm->alice, NULL);
    (void) exchange_stats(farm); // The grant is there
    for (uint8_t i = 0; i <= RMT_SERVE_STREAMS; i++) {
        sockets[i] = exchange_raw(farm, &farm->alice);
        s_open_stream(sockets[i], i,
                      i < RMT_SERVE_STREAMS ? RMT_E_OK : RMT_E_UNAVAILABLE);
    }
    assert_int_equal(exchange_stats(farm).streams, RMT_SERVE_STREAMS);
    for (size_t i = 0; i <= RMT_SERVE_STREAMS; i++)
        zsock_destroy(&sockets[i]);
}

// [1.36]: so many may be unanswered, and each gets its answer, in order.
static void
test_64_offers_at_once_get_64_answers(void **state)
{
    exchange_farm_t *farm = *state;
    exchange_peers(farm, "add", &farm->alice, NULL);
    (void) exchange_stats(farm);
    rmt_auto(zsock) socket = exchange_raw(farm, &farm->alice);
    s_open_stream(socket, 1, RMT_E_OK);
    rmt_id_t id;
    rmt_id_compute(&id, "lacking", 7);
    for (uint64_t serial = 1; serial <= 64; serial++) {
        rmt_auto(rmt_msg) offer = rmt_msg_new(RMT_MSG_OFFER);
        offer->serial = serial;
        offer->ids = zchunk_new(id.bytes, RMT_ID_SIZE);
        exchange_say(socket, offer);
    }
    for (uint64_t serial = 1; serial <= 64; serial++) {
        rmt_auto(rmt_msg) want = exchange_recv(socket, 5000);
        assert_non_null(want);
        assert_int_equal(want->kind, RMT_MSG_WANT);
        assert_true(want->serial == serial);
        assert_int_equal(zchunk_data(want->bitmap)[0], 1);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_only_what_is_lacking_is_sent),
        CASE(test_receiver_tells_what_it_lacks),
        CASE(test_broken_stream_leaves_what_has_come_and_no_more),
        CASE(test_fifty_cuts_send_at_most_a_window_each_again),
        CASE(test_a_lost_connection_ends_a_stream_at_once),
        CASE(test_new_attempt_ends_the_old_stream_and_an_old_one_is_fenced),
        CASE(test_a_manifest_is_held_only_with_all_that_it_names),
        CASE(test_ids_without_bytes_are_asked_for_and_given_later),
        cmocka_unit_test(test_parcels_are_whole_or_refused),
        CASE(test_a_dropped_key_loses_its_stream),
        CASE(test_a_stream_ends_with_its_grant),
        CASE(test_a_stream_is_not_taken_over_by_another_key),
        CASE(test_key_that_may_fetch_may_not_offer),
        CASE(test_chunk_that_is_not_its_id_ends_the_stream),
        CASE(test_more_streams_than_a_holder_has_are_refused_and_told),
        CASE(test_64_offers_at_once_get_64_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
