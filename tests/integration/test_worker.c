// lib/net over loopback: how a worker does tasks. The test itself plays the broker.
#include "integration/worker_crew.h"

#include <signal.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_signals.h"

static void
test_a_worker_offers_services_and_credit(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    crew_start(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    crew_welcome(farm->workers, &packet);
    assert_string_equal(packet.user, farm->own.public_text);
    assert_string_equal(packet.msg->role, "installer");
    assert_int_equal(rmt_records_count(packet.msg->items), 4);
    assert_int_equal(rmt_records_count(packet.msg->hand), 0);
    crew_expect(farm->workers, RMT_MSG_CREDIT, &packet);
    assert_string_equal(packet.msg->service, "add@x");
    assert_int_equal(packet.msg->slots, 2);
    rmt_auto(rmt_msg) peers = rmt_msg_new(RMT_MSG_PEERS);
    rmt_msg_text(&peers->place, "paris");
    rmt_record_set(rmt_records_add(rmt_msg_items(peers)), "op", "add");
    crew_answer(farm->workers, &packet, peers);
    crew_expect(farm->workers, RMT_MSG_BEAT, &packet);
    assert_int_equal(crew.welcomes, 1);
    RMT_WAIT_UNTIL(crew.peers == 1, WAIT_MS);
    rmt_packet_clear(&packet);
    crew_stop(&crew);
    assert_int_equal(crew.peers, 1);
}

// P3 [1.26]: at least once; the result comes until it is recorded, and not after.
static void
test_a_result_is_sent_until_it_is_recorded(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    crew_start(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    crew_welcome(farm->workers, &packet);
    rmt_auto(rmt_msg) task = crew_make_task("add@x", 1, 3);
    rmt_record_set(task->body, "a", "40");
    rmt_record_set(task->body, "b", "2");
    crew_answer(farm->workers, &packet, task);
    crew_expect(farm->workers, RMT_MSG_PROGRESS, &packet);
    assert_string_equal(packet.msg->phase, "add");
    assert_int_equal(packet.msg->attempt, 3);
    crew_expect(farm->workers, RMT_MSG_PROGRESS, &packet);
    assert_string_equal(packet.msg->phase, "check");
    assert_string_equal(packet.msg->text, "nearly");
    for (int i = 0; i < 2; i++) {
        crew_expect(farm->workers, RMT_MSG_RESULT, &packet);
        assert_int_equal(packet.msg->code, 0);
        assert_int_equal(packet.msg->attempt, 3);
        assert_string_equal(rmt_record_text(packet.msg->body, "sum", ""), "42");
    }
    // The same attempt again is answered with the result, not done again.
    crew_answer(farm->workers, &packet, task);
    crew_expect(farm->workers, RMT_MSG_RESULT, &packet);
    assert_int_equal(crew.starts, 1);
    crew_record(farm->workers, &packet);
    crew_expect(farm->workers, RMT_MSG_CREDIT, &packet);
    assert_string_equal(packet.msg->service, "add@x");
    assert_int_equal(packet.msg->slots, 2);
    rmt_packet_clear(&packet);
    crew_stop(&crew);
}

// [1.26] P3: every 3 s, however much the worker has to do meanwhile.
static void
test_a_result_is_not_sent_at_each_turn(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    crew_start(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    crew_welcome(farm->workers, &packet);
    crew_order(farm->workers, &packet, "add@x", 1);
    crew_expect(farm->workers, RMT_MSG_RESULT, &packet);
    zframe_t *route = rmt_take(&packet.route);
    rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
    rmt_error_t error = {0};
    int results = 0;
    for (const int64_t until = rmt_clock_ms() + 1500; rmt_clock_ms() < until;) {
        RMT_OK(rmt_socket_send(farm->workers, route, beat, false, &error));
        if (farm_receive(farm->workers, &packet, 20) == 1)
            results += packet.msg->kind == RMT_MSG_RESULT;
    }
    assert_int_equal(results, 0);
    zframe_destroy(&route);
    rmt_packet_clear(&packet);
    crew_stop(&crew);
}

// M24: whoever stands in front of a machine sees each phase, were they at one time.
static void
test_each_phase_is_told_however_short_it_was(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    crew_start(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    crew_welcome(farm->workers, &packet);
    crew_order(farm->workers, &packet, "add@x", 1);
    crew_expect(farm->workers, RMT_MSG_RESULT, &packet);
    crew_record(farm->workers, &packet);
    rmt_packet_clear(&packet);
    crew_stop(&crew);
    assert_string_equal(crew.told, "add;check;result;");
}

static void
test_a_failed_task_gives_code_and_text(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    crew_start(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    crew_welcome(farm->workers, &packet);
    rmt_auto(rmt_msg) task = crew_make_task("add@x", 1, 1);
    rmt_record_set(task->body, "fail", "yes");
    crew_answer(farm->workers, &packet, task);
    crew_expect(farm->workers, RMT_MSG_RESULT, &packet);
    assert_int_equal(packet.msg->code, RMT_E_NO_SPACE);
    assert_string_equal(packet.msg->text, "disk \\xc3\\xa9 is full");
    crew_record(farm->workers, &packet);
    crew_order(farm->workers, &packet, "unknown@x", 1);
    crew_expect(farm->workers, RMT_MSG_RESULT, &packet);
    assert_int_equal(packet.msg->code, RMT_E_UNSUPPORTED);
    crew_record(farm->workers, &packet);
    rmt_packet_clear(&packet);
    crew_stop(&crew);
}

// [1.23]: a repeat of its TASK has no effect.
static void
test_a_cancelled_task_ends_with_its_error(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    crew_start(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    crew_welcome(farm->workers, &packet);
    crew_order(farm->workers, &packet, "hold@x", 1);
    crew_order(farm->workers, &packet, "hold@x", 1);
    RMT_WAIT_UNTIL(crew.starts > 0, WAIT_MS);
    rmt_auto(rmt_msg) cancel = rmt_msg_new(RMT_MSG_CANCEL);
    memset(cancel->task, 1, RMT_UID_SIZE);
    cancel->attempt = 1;
    crew_answer(farm->workers, &packet, cancel);
    crew_expect(farm->workers, RMT_MSG_RESULT, &packet);
    assert_int_equal(packet.msg->code, RMT_E_CANCELLED);
    assert_string_equal(packet.msg->text, "stopped in time");
    assert_int_equal(crew.starts, 1);
    crew_record(farm->workers, &packet);
    rmt_packet_clear(&packet);
    crew_stop(&crew);
}

// [1.23]: a lower one has no effect.
static void
test_a_higher_attempt_replaces_the_run(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    crew_start(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    crew_welcome(farm->workers, &packet);
    crew_order(farm->workers, &packet, "hold@x", 2);
    RMT_WAIT_UNTIL(crew.starts > 0, WAIT_MS);
    crew_order(farm->workers, &packet, "hold@x", 1);
    crew_order(farm->workers, &packet, "hold@x", 4);
    RMT_WAIT_UNTIL(crew.starts > 1, WAIT_MS);
    crew.hold = false;
    crew_expect(farm->workers, RMT_MSG_RESULT, &packet);
    assert_int_equal(packet.msg->code, 0);
    assert_int_equal(packet.msg->attempt, 4);
    assert_int_equal(crew.starts, 2);
    crew_record(farm->workers, &packet);
    rmt_packet_clear(&packet);
    crew_stop(&crew);
}

// [1.21]: the beat comes while the task works, so from another thread.
static void
test_beats_name_the_tasks_in_hand(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    crew_start(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    crew_welcome(farm->workers, &packet);
    crew_order(farm->workers, &packet, "hold@x", 5);
    do
        crew_expect(farm->workers, RMT_MSG_BEAT, &packet);
    while (rmt_records_count(packet.msg->items) == 0);
    const rmt_record_t *record = rmt_records_at(packet.msg->items, 0);
    assert_string_equal(rmt_record_text(record, "task", ""),
                        "01010101010101010101010101010101");
    assert_int_equal(rmt_record_u64(record, "attempt", 0), 5);
    assert_true(rmt_record_u64(record, "counter", 0) > 0);
    rmt_packet_clear(&packet);
    crew_stop(&crew);
}

// [1.45]: it is told to whoever shows it; the task in hand goes on and ends well.
static void
test_a_notice_is_told_and_changes_nothing(void **state)
{
    farm_t *farm = *state;
    crew_t crew = {0};
    crew_start(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    crew_welcome(farm->workers, &packet);
    crew_order(farm->workers, &packet, "hold@x", 1);
    RMT_WAIT_UNTIL(crew.starts > 0, WAIT_MS);
    rmt_auto(rmt_msg) notice = rmt_msg_new(RMT_MSG_NOTICE);
    notice->code = RMT_E_CANCELLED;
    rmt_msg_text(&notice->text, "stop it");
    crew_answer(farm->workers, &packet, notice);
    rmt_auto(rmt_msg) peers = rmt_msg_new(RMT_MSG_PEERS); // Comes behind it
    rmt_msg_text(&peers->place, "paris");
    rmt_record_set(rmt_records_add(rmt_msg_items(peers)), "op", "add");
    crew_answer(farm->workers, &packet, peers);
    RMT_WAIT_UNTIL(crew.peers > 0, WAIT_MS);
    crew.hold = false;
    crew_expect(farm->workers, RMT_MSG_RESULT, &packet);
    assert_int_equal(packet.msg->code, RMT_E_OK);
    assert_int_equal(packet.msg->attempt, 1);
    crew_record(farm->workers, &packet);
    rmt_packet_clear(&packet);
    crew_stop(&crew);
    assert_string_equal(crew.told, "stop it;result;");
}

// [1.47] P6: a broker that has the result knows that the writer's life has ended.
static void
test_a_new_life_is_told_before_the_result_it_came_with(void **state)
{
    farm_t *farm = *state;
    static const uint8_t life[RMT_UID_SIZE] = {7};
    crew_t crew = {.life = life};
    crew_start(&crew, farm, NULL);
    rmt_packet_t packet = {0};
    crew_welcome(farm->workers, &packet);
    assert_memory_not_equal(packet.msg->nonce, life, RMT_UID_SIZE);
    crew_order(farm->workers, &packet, "add@x", 1);
    crew_welcome(farm->workers, &packet);
    assert_memory_equal(packet.msg->nonce, life, RMT_UID_SIZE);
    assert_int_equal(rmt_records_count(packet.msg->hand), 1);
    crew_expect(farm->workers, RMT_MSG_RESULT, &packet);
    crew_record(farm->workers, &packet);
    crew_order(farm->workers, &packet, "add@x", 2); // In the same life
    while (packet.msg->attempt != 2) {
        crew_expect(farm->workers, RMT_MSG_RESULT, &packet);
        crew_record(farm->workers, &packet);
    }
    rmt_packet_clear(&packet);
    crew_stop(&crew);
    assert_int_equal(crew.welcomes, 2);
}

int
main(void)
{
    rmt_signals_block();
    const struct CMUnitTest tests[] = {
        CASE(test_a_worker_offers_services_and_credit),
        CASE(test_a_result_is_sent_until_it_is_recorded),
        CASE(test_a_result_is_not_sent_at_each_turn),
        CASE(test_each_phase_is_told_however_short_it_was),
        CASE(test_a_failed_task_gives_code_and_text),
        CASE(test_a_cancelled_task_ends_with_its_error),
        CASE(test_a_higher_attempt_replaces_the_run),
        CASE(test_beats_name_the_tasks_in_hand),
        CASE(test_a_notice_is_told_and_changes_nothing),
        CASE(test_a_new_life_is_told_before_the_result_it_came_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
