// The chunks that a target keeps for others (M35).
#include "tools/rmt_test.h"

#include <string.h>
#include "base/rmt_auto.h"
#include "exchange/rmt_ring.h"

#define SIZE 1000
#define COST (SIZE + 192) // Of one chunk in the ring

static rmt_id_t
s_id(uint8_t number)
{
    rmt_id_t id = {.bytes = {RMT_ID_SHA256}};
    memset(id.bytes + 1, number, RMT_ID_SIZE - 1);
    return id;
}

static void
s_put(rmt_ring_t *ring, uint8_t number)
{
    uint8_t bytes[SIZE];
    memset(bytes, number, sizeof bytes);
    const rmt_chunk_t chunk = {.id = s_id(number),
                               .codec = RMT_CODEC_RAW,
                               .plain_size = SIZE,
                               .size = SIZE,
                               .data = bytes};
    rmt_ring_put(ring, &chunk);
}

static rmt_ring_state_t
s_look(rmt_ring_t *ring, uint8_t number)
{
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_CHUNK);
    const rmt_id_t id = s_id(number);
    const rmt_ring_state_t state = rmt_ring_get(ring, &id, msg);
    if (state == RMT_RING_HERE) {
        assert_int_equal(msg->size, SIZE);
        assert_int_equal(zframe_size(msg->payload), SIZE);
        assert_int_equal(zframe_data(msg->payload)[SIZE / 2], number);
    }
    return state;
}

static void
test_the_oldest_goes_first(void **state)
{
    (void) state;
    const rmt_id_t image = s_id(0);
    rmt_auto(rmt_ring) ring = rmt_ring_new(&image, 3 * COST);
    assert_true(rmt_id_equal(rmt_ring_image(ring), &image));
    for (uint8_t i = 1; i <= 3; i++)
        s_put(ring, i);
    assert_int_equal(rmt_ring_size(ring), 3 * COST);
    s_put(ring, 1); // It is the youngest now
    s_put(ring, 4);
    assert_int_equal(s_look(ring, 1), RMT_RING_HERE);
    assert_int_equal(s_look(ring, 2), RMT_RING_ABSENT);
    assert_int_equal(s_look(ring, 3), RMT_RING_HERE);
    assert_int_equal(s_look(ring, 4), RMT_RING_HERE);
    assert_int_equal(rmt_ring_size(ring), 3 * COST);
    assert_int_equal(rmt_ring_position(ring), 5 * SIZE);
}

static void
test_what_is_on_its_way_is_known(void **state)
{
    (void) state;
    const rmt_id_t ids[] = {s_id(1), s_id(2)};
    rmt_auto(rmt_ring) ring = rmt_ring_new(&ids[0], 10 * COST);
    rmt_ring_expect(ring, ids, 2);
    assert_int_equal(s_look(ring, 1), RMT_RING_COMING);
    s_put(ring, 1);
    assert_int_equal(s_look(ring, 1), RMT_RING_HERE);
    rmt_ring_stop(ring);
    assert_int_equal(s_look(ring, 1), RMT_RING_HERE);
    assert_int_equal(s_look(ring, 2), RMT_RING_ABSENT);
}

// One that is larger than the ring is not kept, and harms nothing.
static void
test_a_ring_without_memory_keeps_nothing(void **state)
{
    (void) state;
    const rmt_id_t image = s_id(0);
    rmt_auto(rmt_ring) ring = rmt_ring_new(&image, 0);
    s_put(ring, 1);
    assert_int_equal(s_look(ring, 1), RMT_RING_ABSENT);
    assert_int_equal(rmt_ring_size(ring), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_oldest_goes_first),
        cmocka_unit_test(test_what_is_on_its_way_is_known),
        cmocka_unit_test(test_a_ring_without_memory_keeps_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
