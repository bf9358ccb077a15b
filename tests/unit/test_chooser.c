// Which peer a target asks, as a table of cases; and how many targets that choose by it
// share one line, played event by event (M35).
#include "tools/rmt_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "exchange/rmt_chooser.h"

#define RING 1000

// A peer by a letter of its key.
typedef struct {
    const char *key;
    unsigned rank;
    uint64_t position;
} s_peer_t;

// Rank -1: the broker does not say it again.
static void
s_learn(rmt_chooser_t *chooser, const s_peer_t *peers, unsigned rank, uint64_t position)
{
    rmt_auto(rmt_records) told = rmt_records_new();
    for (; peers->key; peers++) {
        rmt_record_t *record = rmt_records_add(told);
        rmt_record_set(record, "key", peers->key);
        rmt_record_set(record, "port", "1");
        rmt_record_set_u64(record, "rank", peers->rank);
        rmt_record_set_u64(record, "position", peers->position);
        rmt_record_set_u64(record, "ring", RING);
    }
    rmt_chooser_learn(chooser, told, rank, position);
}

static const char *
s_pick(const rmt_chooser_t *chooser, int64_t now_ms)
{
    const rmt_record_t *record = rmt_chooser_pick(chooser, now_ms);
    return record ? rmt_record_text(record, "key", "") : "engine";
}

static void
test_the_nearest_ahead_is_asked(void **state)
{
    (void) state;
    static const struct {
        unsigned rank;
        uint64_t position;
        s_peer_t peers[5];
        const char *picked;
    } cases[] = {
        {3, 100, {{"a", 0, 50}, {"b", 1, 150}, {"c", 2, 120}}, "c"},
        {3, 100, {{"a", 0, 50}, {"b", 1, 99}}, "engine"},   // All behind
        {3, 100, {{"a", 0, 100}, {"b", 2, 100}}, "b"},      // The rank next before
        {0, 100, {{"a", 1, 100}, {"b", 2, 100}}, "engine"}, // The first of equals
        {3, 100, {{"a", 9, 101}, {"b", 2, 100}}, "b"},      // Equal is nearer
        {3, 100, {{"a", 0, 100 + RING + 1}}, "engine"},     // Its ring has lost it
        {3, 100, {{"a", 0, 100 + RING}}, "a"},
        {3, 100, {{NULL, 0, 0}}, "engine"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rmt_auto(rmt_chooser) chooser = rmt_chooser_new();
        s_learn(chooser, cases[i].peers, cases[i].rank, cases[i].position);
        assert_string_equal(s_pick(chooser, 0), cases[i].picked);
    }
}

// One without a port has no relay yet, and is known by its key alone.
static void
test_one_without_a_port_is_not_asked(void **state)
{
    (void) state;
    rmt_auto(rmt_chooser) chooser = rmt_chooser_new();
    rmt_auto(rmt_records) told = rmt_records_new();
    rmt_record_t *record = rmt_records_add(told);
    rmt_record_set(record, "key", "a");
    rmt_record_set(record, "position", "50");
    rmt_record_set(record, "ring", "1000");
    rmt_chooser_learn(chooser, told, 0, 0);
    assert_string_equal(s_pick(chooser, 0), "engine");
}

static void
test_one_that_failed_is_left_for_a_while(void **state)
{
    (void) state;
    static const s_peer_t peers[] = {{"a", 0, 10}, {"b", 1, 20}, {NULL, 0, 0}};
    static const struct {
        rmt_peer_end_t how;
        int64_t until_ms;
    } cases[] = {{RMT_PEER_BUSY, 2000},
                 {RMT_PEER_ABSENT, 1000},
                 {RMT_PEER_SLOW, 10000},
                 {RMT_PEER_SILENT, 4000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rmt_auto(rmt_chooser) chooser = rmt_chooser_new();
        s_learn(chooser, peers, 5, 0);
        rmt_chooser_ended(chooser, "a", cases[i].how, 100);
        assert_string_equal(s_pick(chooser, 100), "b");
        assert_false(rmt_chooser_may_go_on(chooser, "a", 100));
        assert_string_equal(s_pick(chooser, 99 + cases[i].until_ms), "b");
        assert_string_equal(s_pick(chooser, 100 + cases[i].until_ms), "a");
    }
}

// Wrong bytes once, or silence four times with nothing between: never again, also when
// the broker names it anew.
static void
test_one_that_lied_or_is_dumb_is_left_for_good(void **state)
{
    (void) state;
    static const s_peer_t peers[] = {{"a", 0, 10}, {"b", 1, 20}, {NULL, 0, 0}};
    rmt_auto(rmt_chooser) chooser = rmt_chooser_new();
    s_learn(chooser, peers, 5, 0);
    rmt_chooser_ended(chooser, "a", RMT_PEER_LIED, 0);
    s_learn(chooser, peers, 5, 0);
    assert_string_equal(s_pick(chooser, 1000000), "b");
    for (int i = 0; i < 3; i++)
        rmt_chooser_ended(chooser, "b", RMT_PEER_SILENT, 0);
    assert_string_equal(s_pick(chooser, 1000000), "b");
    rmt_chooser_told(chooser, "b", 20, 0); // It speaks again
    for (int i = 0; i < 3; i++)
        rmt_chooser_ended(chooser, "b", RMT_PEER_SILENT, 0);
    assert_string_equal(s_pick(chooser, 1000000), "b");
    rmt_chooser_ended(chooser, "b", RMT_PEER_SILENT, 0);
    assert_string_equal(s_pick(chooser, 1000000), "engine");
}

// What a peer says of itself counts more than what the broker said before.
static void
test_a_peer_that_was_passed_is_left(void **state)
{
    (void) state;
    static const s_peer_t peers[] = {{"a", 0, 10}, {NULL, 0, 0}};
    rmt_auto(rmt_chooser) chooser = rmt_chooser_new();
    s_learn(chooser, peers, 5, 0);
    rmt_chooser_told(chooser, "a", 30, 30);
    assert_true(rmt_chooser_may_go_on(chooser, "a", 0));
    rmt_chooser_told(chooser, "a", 30, 30 + 2 * 1024 * 1024);
    assert_false(rmt_chooser_may_go_on(chooser, "a", 0));
    assert_string_equal(s_pick(chooser, 0), "engine");
}

// ---- Many targets on one line

#define NODES_MAX 100
#define IMAGE 200e6 // Bytes
#define LINE 12.5e6 // Bytes in a second: of the engine, and of each target both ways
#define STEP_MS 50
#define WINDOW 1e6 // Bytes after which a target chooses anew

typedef struct {
    double start_ms, dies_ms, rate, position, chosen_at, done_ms;
    int parent; // -1: the engine
    bool is_dead;
    bool is_sent_off; // The parent has given its slot to another
    rmt_chooser_t *chooser;
} s_node_t;

typedef struct {
    size_t count;
    double jitter_ms;
    size_t slow, killed; // How many
} s_play_t;

typedef struct {
    double last, median; // Against one target alone
    double engine;       // Images that the engine has sent
} s_score_t;

static s_node_t s_nodes[NODES_MAX];

static double
s_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (double) (*seed >> 11) / (double) (UINT64_C(1) << 53);
}

static bool
s_runs(const s_node_t *node, double now)
{
    return !node->is_dead && now >= node->start_ms && node->done_ms == 0;
}

static void
s_key(char out[8], size_t index)
{
    snprintf(out, 8, "%03zu", index);
}

// The broker tells each of all the others, as they are.
static void
s_tell(const s_play_t *play, size_t to, double now)
{
    rmt_auto(rmt_records) told = rmt_records_new();
    for (size_t i = 0; i < play->count; i++) {
        char key[8];
        if (i == to || now < s_nodes[i].start_ms)
            continue;
        rmt_record_t *record = rmt_records_add(told);
        s_key(key, i);
        rmt_record_set(record, "key", key);
        rmt_record_set(record, "port", "1");
        rmt_record_set_u64(record, "rank", i);
        rmt_record_set_u64(record, "position", (uint64_t) s_nodes[i].position);
        rmt_record_set_u64(record, "ring", 64000000);
    }
    rmt_chooser_learn(s_nodes[to].chooser, told, (uint32_t) to,
                      (uint64_t) s_nodes[to].position);
}

// As a relay gives its slot: to one that is nearer behind, and the child finds another at
// its next window.
static bool
s_is_admitted(const s_play_t *play, size_t index, const s_node_t *asker)
{
    for (size_t i = 0; i < play->count; i++) {
        s_node_t *child = &s_nodes[i];
        if (child->parent != (int) index || child->is_dead || child->done_ms > 0)
            continue;
        if (asker->position <= child->position + 131072)
            return false;
        child->is_sent_off = true;
        child->chosen_at = -WINDOW;
    }
    return true;
}

// As rmt_intake: the peer in use stays while it may; one that cannot give is left, and
// the next is asked.
static void
s_choose(const s_play_t *play, size_t index, double now)
{
    s_node_t *node = &s_nodes[index];
    char key[8];
    node->chosen_at = node->position;
    if (node->parent >= 0) {
        const s_node_t *parent = &s_nodes[node->parent];
        s_key(key, (size_t) node->parent);
        rmt_chooser_told(node->chooser, key, (uint64_t) parent->position,
                         (uint64_t) node->position);
        if (parent->rate * 4 < LINE)
            rmt_chooser_ended(node->chooser, key, RMT_PEER_SLOW, (int64_t) now);
        if (node->is_sent_off)
            rmt_chooser_ended(node->chooser, key, RMT_PEER_BUSY, (int64_t) now);
        node->is_sent_off = false;
        if (!parent->is_dead && rmt_chooser_may_go_on(node->chooser, key, (int64_t) now))
            return;
    }
    node->parent = -1;
    const rmt_record_t *record;
    while ((record = rmt_chooser_pick(node->chooser, (int64_t) now))) {
        snprintf(key, sizeof key, "%s", rmt_record_text(record, "key", ""));
        const int peer = atoi(key);
        const s_node_t *found = &s_nodes[peer];
        if (!found->is_dead)
            rmt_chooser_told(node->chooser, key, (uint64_t) found->position,
                             (uint64_t) node->position);
        if (found->is_dead)
            rmt_chooser_ended(node->chooser, key, RMT_PEER_SILENT, (int64_t) now);
        else if (found->position < node->position)
            rmt_chooser_ended(node->chooser, key, RMT_PEER_ABSENT, (int64_t) now);
        else if (!s_is_admitted(play, (size_t) peer, node))
            rmt_chooser_ended(node->chooser, key, RMT_PEER_BUSY, (int64_t) now);
        else {
            node->parent = peer;
            return;
        }
    }
}

// One step of all. Returns the bytes that the engine has sent.
static double
s_step(const s_play_t *play, double now)
{
    double next[NODES_MAX], sent = 0;
    size_t askers = 0;
    for (size_t i = 0; i < play->count; i++) {
        s_node_t *node = &s_nodes[i];
        node->is_dead = node->is_dead || (node->dies_ms > 0 && now > node->dies_ms);
        if (!s_runs(node, now))
            continue;
        if (node->parent >= 0 && s_nodes[node->parent].is_dead)
            node->chosen_at = -WINDOW;
        if (node->position - node->chosen_at >= WINDOW || node->position == 0 ||
            node->parent == -1)
            s_choose(play, i, now);
        askers += node->parent == -1;
    }
    for (size_t i = 0; i < play->count; i++) {
        const s_node_t *node = &s_nodes[i];
        next[i] = node->position;
        if (!s_runs(node, now))
            continue;
        const double line = node->parent == -1 ? LINE / (double) askers : LINE;
        const double rate = node->rate < line ? node->rate : line;
        double end = node->position + rate * STEP_MS / 1000;
        if (node->parent >= 0 && end > s_nodes[node->parent].position)
            end = s_nodes[node->parent].position;
        next[i] = end < IMAGE ? end : IMAGE;
        sent += node->parent == -1 ? next[i] - node->position : 0;
    }
    for (size_t i = 0; i < play->count; i++) {
        s_nodes[i].position =
            next[i] > s_nodes[i].position ? next[i] : s_nodes[i].position;
        if (s_runs(&s_nodes[i], now) && next[i] >= IMAGE)
            s_nodes[i].done_ms = now;
    }
    return sent;
}

static int
s_compare(const void *a, const void *b)
{
    const double x = *(const double *) a, y = *(const double *) b;
    return x < y ? -1 : x > y;
}

static s_score_t
s_end(const s_play_t *play, double sent)
{
    const double alone = IMAGE / LINE * 1000;
    double times[NODES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < play->count; i++) {
        rmt_chooser_destroy(&s_nodes[i].chooser);
        if (s_nodes[i].done_ms > 0)
            times[count++] = s_nodes[i].done_ms;
    }
    assert_int_equal(count, play->count - play->killed);
    qsort(times, count, sizeof *times, s_compare);
    return (s_score_t){.last = (times[count - 1] - play->jitter_ms) / alone,
                       .median = times[count / 2] / alone,
                       .engine = sent / IMAGE};
}

static s_score_t
s_play(const s_play_t *play)
{
    uint64_t seed = 7;
    double sent = 0;
    bool is_running = true;
    for (size_t i = 0; i < play->count; i++)
        s_nodes[i] = (s_node_t){.start_ms = s_random(&seed) * play->jitter_ms,
                                .rate = i >= 2 && i < 2 + play->slow ? LINE / 20 : LINE,
                                .dies_ms = i % 9 == 5 && i / 9 < play->killed ? 6000 : 0,
                                .chosen_at = -WINDOW,
                                .parent = -1,
                                .chooser = rmt_chooser_new()};
    for (double now = 0; is_running; now += STEP_MS) {
        assert_true(now < 600000);
        is_running = false;
        for (size_t i = 0; i < play->count; i++) {
            const bool is_due =
                (size_t) (now / STEP_MS) % 200 == i % 200 ||
                (now >= s_nodes[i].start_ms && now < s_nodes[i].start_ms + STEP_MS) ||
                (now >= s_nodes[i].start_ms + 1000 &&
                 now < s_nodes[i].start_ms + 1000 + STEP_MS);
            if (is_due && s_runs(&s_nodes[i], now))
                s_tell(play, i, now);
        }
        sent += s_step(play, now);
        for (size_t i = 0; i < play->count; i++)
            is_running = is_running || (!s_nodes[i].is_dead && s_nodes[i].done_ms == 0);
    }
    return s_end(play, sent);
}

// M35: they take about as long as one, and the engine sends little more than one image.
static void
test_many_take_as_long_as_one(void **state)
{
    (void) state;
    static const s_play_t plays[] = {{16, 0, 0, 0},     {16, 5000, 0, 0},
                                     {32, 5000, 0, 0},  {100, 5000, 0, 0},
                                     {16, 20000, 0, 0}, {100, 20000, 0, 0}};
    for (size_t i = 0; i < sizeof plays / sizeof *plays; i++) {
        const s_score_t score = s_play(&plays[i]);
        print_message("%zu targets within %.0f s: %.2f x one, engine %.1f images\n",
                      plays[i].count, plays[i].jitter_ms / 1000, score.last,
                      score.engine);
        assert_true(score.last < 2.0);
        assert_true(score.engine < 2.5);
    }
}

// One of 20 times less speed holds up itself alone; of 32, 3 that die cost little.
static void
test_slow_and_dead_ones_hold_up_no_other(void **state)
{
    (void) state;
    const s_score_t slow = s_play(&(s_play_t){16, 5000, 1, 0});
    print_message("1 slow of 16: median %.2f x one, engine %.1f\n", slow.median,
                  slow.engine);
    assert_true(slow.median < 1.6);
    const s_score_t dead = s_play(&(s_play_t){32, 5000, 0, 3});
    print_message("3 of 32 die: %.2f x one, engine %.1f\n", dead.last, dead.engine);
    assert_true(dead.last < 1.5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_nearest_ahead_is_asked),
        cmocka_unit_test(test_one_without_a_port_is_not_asked),
        cmocka_unit_test(test_one_that_failed_is_left_for_a_while),
        cmocka_unit_test(test_one_that_lied_or_is_dumb_is_left_for_good),
        cmocka_unit_test(test_a_peer_that_was_passed_is_left),
        cmocka_unit_test(test_many_take_as_long_as_one),
        cmocka_unit_test(test_slow_and_dead_ones_hold_up_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
