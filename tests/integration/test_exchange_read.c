// Chunks read one after the other, in an order that was told before.
#include "integration/exchange_farm.h"

#include <czmq.h>
#include <stdlib.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "exchange/rmt_closure.h"
#include "exchange/rmt_fetch.h"
#include "store/rmt_store.h"
#include "tools/rmt_wait.h"

#define FILES 300

// The image of a case, its contents, and who reads it.
typedef struct {
    rmt_store_t *store;
    rmt_id_t image;
    rmt_id_t ids[FILES]; // Contents of its files
    rmt_fetch_t *fetch;
    uint8_t *plain, *kept;
} s_case_t;

static void
s_open(exchange_farm_t *farm, s_case_t *self)
{
    rmt_error_t error = {0};
    self->store = fixture_open(farm->root);
    self->image = fixture_image(self->store, 1, FILES);
    for (size_t i = 0; i < FILES; i++)
        self->ids[i] = fixture_put(self->store, 1 + i, 1000);
    exchange_peers(farm, "add", &farm->alice, &self->image);
    self->fetch =
        rmt_fetch_new(farm->holders, "127.0.0.1", &farm->alice, &self->image, &error);
    RMT_OK(self->fetch);
    self->plain = malloc(RMT_CHUNK_PLAIN_MAX);
    self->kept = malloc(RMT_CHUNK_PLAIN_MAX);
    assert_non_null(self->plain);
    assert_non_null(self->kept);
}

static void
s_close(s_case_t *self)
{
    rmt_fetch_destroy(&self->fetch);
    rmt_store_destroy(&self->store);
    free(self->plain);
    free(self->kept);
}

// What is read is what the store has.
static void
s_read(s_case_t *self, size_t index)
{
    rmt_error_t error = {0};
    size_t size, kept;
    RMT_OK(rmt_fetch_read(self->fetch, &self->ids[index], self->plain, &size, &error));
    RMT_OK(rmt_store_read(self->store, &self->ids[index], self->kept, &kept, &error));
    assert_int_equal(size, kept);
    assert_memory_equal(self->plain, self->kept, size);
}

// The same chunk one after the other, again later, some that are passed over, one that
// was never told, and more that are told later.
static void
test_chunks_are_read_in_the_order_that_was_told(void **state)
{
    exchange_farm_t *farm = *state;
    s_case_t self;
    s_open(farm, &self);
    static const size_t told[] = {0, 1, 2, 2, 2, 3, 0, 4, 5, 6, 7, 7, 8};
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        rmt_fetch_expect_more(self.fetch, &self.ids[told[i]], 1);
    rmt_fetch_expect_more(self.fetch, &self.ids[100], FILES - 100);
    static const size_t read[] = {0, 1, 2, 2, 2, 3, 0, 6, 50, 7, 7, 7, 8};
    for (size_t i = 0; i < sizeof read / sizeof *read; i++)
        s_read(&self, read[i]);
    for (size_t i = 100; i < FILES; i++)
        s_read(&self, i);
    rmt_fetch_stats_t stats;
    rmt_fetch_stats(self.fetch, &stats);
    assert_int_equal(stats.refused, 0);
    assert_int_equal(stats.moves, 0);

    // Another order, and one that is passed over to a repeat.
    const rmt_id_t again[] = {self.ids[9], self.ids[10], self.ids[11], self.ids[11],
                              self.ids[12]};
    rmt_fetch_expect(self.fetch, again, 5);
    s_read(&self, 9);
    s_read(&self, 11);
    s_read(&self, 11);
    s_read(&self, 12);
    s_close(&self);
}

// Thousands that are read leave no list behind, and each is right.
static void
test_what_is_told_while_it_is_read_comes_too(void **state)
{
    exchange_farm_t *farm = *state;
    s_case_t self;
    s_open(farm, &self);
    for (size_t i = 0; i < 40; i++)
        rmt_fetch_expect_more(self.fetch, &self.ids[i], 1);
    for (size_t i = 0; i < 10000; i++) {
        rmt_fetch_expect_more(self.fetch, &self.ids[(i + 40) % FILES], 1);
        s_read(&self, i % FILES);
    }
    rmt_fetch_stats_t stats;
    rmt_fetch_stats(self.fetch, &stats);
    assert_int_equal(stats.moves, 0);
    s_close(&self);
}

static bool
s_has_sent(const exchange_farm_t *farm, uint64_t count)
{
    const int64_t until = rmt_clock_ms() + 10000;
    while (exchange_stats(farm).chunks_sent < count)
        if (rmt_clock_ms() > until)
            return false;
        else
            rmt_wait_turn();
    return true;
}

// The holder sends while nobody reads, up to the window and no further.
static void
test_the_next_chunks_are_under_way_while_the_caller_works(void **state)
{
    exchange_farm_t *farm = *state;
    s_case_t self;
    s_open(farm, &self);
    rmt_fetch_expect(self.fetch, self.ids, FILES);
    s_read(&self, 0);
    assert_true(s_has_sent(farm, 50));
    assert_true(exchange_stats(farm).unacked_max <= EXCHANGE_WINDOW);
    for (size_t i = 1; i < FILES; i++)
        s_read(&self, i);
    assert_true(exchange_stats(farm).unacked_max <= EXCHANGE_WINDOW);
    assert_int_equal(exchange_stats(farm).chunks_sent, FILES);
    s_close(&self);
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

// P14: it is named, and neither given nor in the way of those behind it.
static void
test_a_damaged_chunk_among_those_under_way_is_named(void **state)
{
    exchange_farm_t *farm = *state;
    s_case_t self;
    s_open(farm, &self);
    rmt_error_t error = {0};
    rmt_chunk_t chunk;
    RMT_OK(rmt_store_get(self.store, &self.ids[7], true, &chunk, &error));
    s_damage(farm->root, chunk.data, chunk.size);
    rmt_fetch_expect(self.fetch, self.ids, FILES);
    for (size_t i = 0; i < 7; i++)
        s_read(&self, i);
    size_t size;
    RMT_FAILS(rmt_fetch_read(self.fetch, &self.ids[7], self.plain, &size, &error),
              RMT_E_CORRUPT);
    assert_non_null(strstr(error.text, "pack"));
    for (size_t i = 8; i < FILES; i++)
        s_read(&self, i);
    s_close(&self);
}

// A store that was given wrong bytes for an id has a checksum that is right.
static void
s_put_wrong(const exchange_farm_t *farm, uint64_t seed)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(farm->root);
    rmt_auto(rmt_store) shelf = fixture_open(farm->other);
    const rmt_id_t id = fixture_put(shelf, seed, 1000);
    rmt_chunk_t chunk;
    RMT_OK(rmt_store_get(shelf, &id, true, &chunk, &error));
    rmt_auto_ptr wrong = malloc(chunk.size);
    assert_non_null(wrong);
    memset(wrong, 'x', chunk.size);
    chunk.data = wrong;
    RMT_OK(rmt_store_put(store, &chunk, &error));
    RMT_OK(rmt_store_commit(store, &error));
}

// P9 P14 [1.38]: what is on its way before it is wanted is held against its id as well.
static void
test_bytes_of_another_id_are_never_read(void **state)
{
    exchange_farm_t *farm = *state;
    s_case_t self;
    s_put_wrong(farm, 1 + 7);
    s_open(farm, &self);
    rmt_fetch_expect(self.fetch, self.ids, FILES);
    for (size_t i = 0; i < 7; i++)
        s_read(&self, i);
    rmt_error_t error = {0};
    size_t size;
    RMT_FAILS(rmt_fetch_read(self.fetch, &self.ids[7], self.plain, &size, &error),
              RMT_E_CORRUPT);
    rmt_fetch_stats_t stats;
    rmt_fetch_stats(self.fetch, &stats);
    assert_true(stats.refused > 0);
    assert_true(exchange_stats(farm).damaged > 0);
    for (size_t i = 8; i < FILES; i++)
        s_read(&self, i);
    s_close(&self);
}

// What is expected stays when the holders change: nothing is read twice.
static void
test_other_holders_go_on_where_the_last_ones_ended(void **state)
{
    exchange_farm_t *farm = *state;
    s_case_t self;
    s_open(farm, &self);
    rmt_fetch_expect(self.fetch, self.ids, FILES);
    for (size_t i = 0; i < 100; i++)
        s_read(&self, i);
    rmt_error_t error = {0};
    RMT_OK(rmt_fetch_renew(self.fetch, farm->holders, "127.0.0.1", &error));
    for (size_t i = 100; i < FILES; i++)
        s_read(&self, i);
    rmt_fetch_stats_t stats;
    rmt_fetch_stats(self.fetch, &stats);
    assert_int_equal(stats.chunks, FILES);
    s_close(&self);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_chunks_are_read_in_the_order_that_was_told),
        CASE(test_what_is_told_while_it_is_read_comes_too),
        CASE(test_the_next_chunks_are_under_way_while_the_caller_works),
        CASE(test_a_damaged_chunk_among_those_under_way_is_named),
        CASE(test_bytes_of_another_id_are_never_read),
        CASE(test_other_holders_go_on_where_the_last_ones_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
