// The form of audit files: lines that hold each other, and the first fault of an audit
// (P24, reliability C10.17).
#include "tools/rmt_test.h"

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_json.h"
#include "crypto/rmt_chain_walk.h"

#include <stdio.h>
#include <stdlib.h>

#define LINES 6 // A mark, four records, a mark

typedef struct {
    rmt_sign_key_t key;
    char *lines[LINES + 1];
} fixture_t;

static int
s_setup(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    assert_non_null(self);
    rmt_sign_key_new(&self->key);
    rmt_chain_t chain = {0};
    self->lines[0] = rmt_chain_mark(&chain, "begin", "\"time\":\"t\"", &self->key);
    for (int i = 1; i < LINES - 1; i++) {
        rmt_auto_str members = rmt_text("\"what\":\"note\",\"text\":\"%d\"", i);
        self->lines[i] = rmt_chain_add(&chain, members);
    }
    self->lines[LINES - 1] = rmt_chain_mark(&chain, "stop", "\"time\":\"t\"", &self->key);
    assert_int_equal(chain.n, LINES);
    *state = self;
    return 0;
}

static int
s_teardown(void **state)
{
    fixture_t *self = *state;
    for (int i = 0; i <= LINES; i++)
        free(self->lines[i]);
    free(self);
    return 0;
}

// Walk these lines, by their places in the fixture ("0 1 2"). Place i is line i + 1.
static rmt_chain_walk_t
s_walk(const fixture_t *self, const char *order)
{
    rmt_chain_walk_t walk = {0};
    rmt_chain_line_t line;
    uint64_t place = 0;
    for (const char *c = order; *c; c++) {
        const char *text = self->lines[*c - '0'];
        (void) rmt_chain_walk_step(&walk, (rmt_chain_walk_place_t){"f", ++place}, text,
                                   strlen(text), &line);
    }
    return walk;
}

// P24 [8.3]: the links are those that any other program with SHA-256 gets.
static void
test_a_link_is_the_hash_of_the_link_before_and_the_line(void **state)
{
    (void) state;
    static const char first[] =
        "{\"n\":1,\"what\":\"job.begin\",\"job\":\"j1\",\"link\":\""
        "d8c5d7a1da79a3afd6b8acfc1c3222ab2c2c622eb8d329218db01113888f83ca\"}\n";
    static const char second[] =
        "{\"n\":2,\"what\":\"job.done\",\"job\":\"j1\",\"link\":\""
        "7e87bcf9b68420001d0589669e66df33b942a1e0abf56d8589c28504527a8d90\"}\n";
    rmt_chain_t chain = {0};
    rmt_auto_str a = rmt_chain_add(&chain, "\"what\":\"job.begin\",\"job\":\"j1\"");
    assert_string_equal(a, first);
    rmt_auto_str b = rmt_chain_add(&chain, "\"what\":\"job.done\",\"job\":\"j1\"");
    assert_string_equal(b, second);
}

// [8.12]: the last mark is known.
static void
test_a_whole_audit_has_no_fault(void **state)
{
    const rmt_chain_walk_t walk = s_walk(*state, "012345");
    assert_int_equal(walk.fault, RMT_CHAIN_WALK_WHOLE);
    assert_null(rmt_chain_walk_text(&walk));
    assert_int_equal(walk.lines, LINES);
    assert_int_equal(walk.marks, 2);
    assert_int_equal(walk.signed_n, LINES);
}

// [8.4] [8.11]: a reader may begin with any mark: older files can be kept elsewhere.
static void
test_a_walk_begins_with_a_mark(void **state)
{
    assert_int_equal(s_walk(*state, "5").fault, RMT_CHAIN_WALK_WHOLE);
    assert_int_equal(s_walk(*state, "12345").fault, RMT_CHAIN_WALK_HEADLESS);
}

// P24 C10.17: whatever is done to the lines, the first one that it was done to is named.
static void
test_the_first_fault_is_named(void **state)
{
    static const struct {
        const char *order;
        rmt_chain_walk_fault_t fault;
        uint64_t line, n, other;
    } rows[] = {
        {"01345", RMT_CHAIN_WALK_MISSING, 3, 3, 0},    // One cut out
        {"015", RMT_CHAIN_WALK_MISSING, 3, 3, 0},      // Three
        {"013245", RMT_CHAIN_WALK_MOVED, 3, 3, 4},     // Two exchanged
        {"013452", RMT_CHAIN_WALK_MOVED, 3, 3, 6},     // One moved to the end
        {"0122345", RMT_CHAIN_WALK_INSERTED, 4, 3, 0}, // One twice
        {"0123415", RMT_CHAIN_WALK_INSERTED, 6, 2, 0}, // An old one again
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const rmt_chain_walk_t walk = s_walk(*state, rows[i].order);
        assert_int_equal(walk.fault, rows[i].fault);
        assert_int_equal(walk.place.line, rows[i].line);
        assert_int_equal(walk.n, rows[i].n);
        assert_int_equal(walk.other.line, rows[i].other);
        rmt_auto_str text = rmt_chain_walk_text(&walk);
        rmt_auto_str place = rmt_text("f:%d: ", (int) rows[i].line);
        assert_int_equal(strncmp(text, place, strlen(place)), 0);
    }
}

// Change one octet of a line behind what it is found by.
static void
s_edit(fixture_t *self, int line, const char *words, char to)
{
    char *at = strstr(self->lines[line], words);
    assert_non_null(at);
    at[strlen(words)] = to;
}

static void
test_an_edited_record_is_named(void **state)
{
    fixture_t *self = *state;
    s_edit(self, 2, "\"text\":\"", '9');
    const rmt_chain_walk_t walk = s_walk(self, "012345");
    assert_int_equal(walk.fault, RMT_CHAIN_WALK_CHANGED);
    assert_int_equal(walk.place.line, 3);
}

// Who edits a record can make its link anew, and then the next one does not fit; with all
// links made anew the next signature is missing.
static void
test_new_links_do_not_hide_an_edit(void **state)
{
    fixture_t *self = *state;
    rmt_chain_line_t line;
    rmt_error_t error = {0};
    RMT_OK(rmt_chain_read(&line, self->lines[1], strlen(self->lines[1]), &error));
    rmt_chain_t chain = line.at;
    free(self->lines[2]);
    self->lines[2] = rmt_chain_add(&chain, "\"what\":\"other\"");
    rmt_chain_walk_t walk = s_walk(self, "012345");
    assert_int_equal(walk.fault, RMT_CHAIN_WALK_CHANGED);
    assert_int_equal(walk.place.line, 4);
    for (int i = 3; i < LINES - 1; i++) {
        free(self->lines[i]);
        self->lines[i] = rmt_chain_add(&chain, "\"what\":\"note\"");
    }
    walk = s_walk(self, "012345");
    assert_int_equal(walk.fault, RMT_CHAIN_WALK_CHANGED);
    assert_int_equal(walk.place.line, LINES);
    // A mark that fits has another signature than that of the key it names.
    rmt_auto_str mark = rmt_chain_mark(&chain, "stop", "\"time\":\"t\"", &self->key);
    const char *old = self->lines[LINES - 1];
    const size_t tail = strlen("\"}\n") + RMT_SIGN_TEXT_SIZE - 1;
    memcpy(mark + strlen(mark) - tail, old + strlen(old) - tail, tail);
    free(self->lines[LINES - 1]);
    self->lines[LINES - 1] = rmt_take(&mark);
    walk = s_walk(self, "012345");
    assert_int_equal(walk.fault, RMT_CHAIN_WALK_UNSIGNED);
    assert_int_equal(walk.place.line, LINES);
}

// A line put before another one, with its number and a link of its own making.
static void
test_an_inserted_record_is_named(void **state)
{
    fixture_t *self = *state;
    rmt_chain_line_t line;
    rmt_error_t error = {0};
    RMT_OK(rmt_chain_read(&line, self->lines[1], strlen(self->lines[1]), &error));
    rmt_chain_t wrong = {.n = line.at.n};
    self->lines[LINES] = rmt_chain_add(&wrong, "\"what\":\"false\"");
    const rmt_chain_walk_t walk = s_walk(self, "0162345");
    assert_int_equal(walk.fault, RMT_CHAIN_WALK_INSERTED);
    assert_int_equal(walk.place.line, 3);
    assert_int_equal(walk.other.line, 4);
}

static void
test_other_text_is_no_line(void **state)
{
    fixture_t *self = *state;
    const char *good = self->lines[1];
    rmt_error_t error = {0};
    rmt_chain_line_t line;
    RMT_OK(rmt_chain_read(&line, good, strlen(good), &error));
    RMT_OK(rmt_chain_read(&line, good, strlen(good) - 1, &error)); // The end of a file
    for (size_t size = 0; size < strlen(good) - 1; size++)
        RMT_FAILS(rmt_chain_read(&line, good, size, &error), RMT_E_CORRUPT);
    static const char *const texts[] = {"", "\n", "{}", "{\"n\":1}\n",
                                        "{\"n\":01,\"a\":\"b\",\"link\":\"\"}\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        RMT_FAILS(rmt_chain_read(&line, texts[i], strlen(texts[i]), &error),
                  RMT_E_CORRUPT);
    rmt_auto_str upper = strdup(good);
    char *digits = strstr(upper, "\"link\":\"") + strlen("\"link\":\"");
    digits[strcspn(digits, "abcdef")] = 'A';
    RMT_FAILS(rmt_chain_read(&line, upper, strlen(upper), &error), RMT_E_CORRUPT);
}

static void
test_members_are_json_whatever_the_octets(void **state)
{
    (void) state;
    rmt_auto(rmt_record) record = rmt_record_new();
    rmt_record_set(record, "a", "b\"\\\n\x01");
    rmt_record_put(record, "c", "\xff\xc3\xa9\x00", 4);
    rmt_record_set(record, "d", "\xed\xa0\x80");
    rmt_auto_str text = rmt_json_members(record);
    assert_string_equal(text, "\"a\":\"b\\\"\\\\\\u000a\\u0001\","
                              "\"c\":\"\\ufffd\xc3\xa9\\u0000\","
                              "\"d\":\"\\ufffd\\ufffd\\ufffd\"");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_link_is_the_hash_of_the_link_before_and_the_line),
        CASE(test_a_whole_audit_has_no_fault),
        CASE(test_a_walk_begins_with_a_mark),
        CASE(test_the_first_fault_is_named),
        CASE(test_an_edited_record_is_named),
        CASE(test_new_links_do_not_hide_an_edit),
        CASE(test_an_inserted_record_is_named),
        CASE(test_other_text_is_no_line),
        cmocka_unit_test(test_members_are_json_whatever_the_octets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
