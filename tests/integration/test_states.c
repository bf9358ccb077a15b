// The tables of states: that of docs/spec/6-states.md is that of the library, every row
// leads where it says, and every pair that has no row is refused and changes nothing.
#include "tools/rmt_test.h"

#include "integration/state_farm.h"
#include "state/rmt_library.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#define PAGE "docs/spec/6-states.md"
#define COLUMNS_MAX 8
#define ROWS_MAX 64
#define CODE(name) (uint32_t) strtoul(state_farm_body(farm, name), NULL, 10)

// A row of a table of the page: the words between its bars.
typedef struct {
    char *text;
    const char *words[COLUMNS_MAX];
} row_t;

typedef struct {
    row_t rows[ROWS_MAX];
    size_t count;
} table_t;

// Caller owns the result.
static char *
s_read_source(const char *path)
{
    rmt_auto_str full = rmt_text("%s/%s", getenv("RAMET_SOURCE"), path);
    rmt_auto(zchunk) content = zchunk_slurp(full, 1 << 20);
    assert_non_null(content);
    return zchunk_strdup(content);
}

static char *
s_strip(char *word)
{
    word += strspn(word, " `");
    for (char *end = word + strlen(word); end > word && strchr(" `", end[-1]);)
        *--end = '\0';
    return word;
}

static void
s_add_row(table_t *table, const char *line)
{
    assert_true(table->count < ROWS_MAX);
    row_t *row = &table->rows[table->count++];
    row->text = strdup(line + 1);
    char *rest = NULL;
    size_t i = 0;
    for (char *word = strtok_r(row->text, "|", &rest); word && i < COLUMNS_MAX;
         word = strtok_r(NULL, "|", &rest))
        row->words[i++] = s_strip(word);
}

// The table below a heading of the page, without its own heading; empty when there is
// none.
static table_t
s_table(const char *heading)
{
    rmt_auto_str page = s_read_source(PAGE);
    table_t table = {0};
    bool is_in = false;
    int lines = 0;
    char *rest = NULL;
    for (char *line = strtok_r(page, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        if (*line == '#') {
            const char *last = strrchr(line, ' ');
            is_in = last && strcmp(last + 1, heading) == 0;
        } else if (is_in && *line == '|' && ++lines > 2) {
            s_add_row(&table, line);
        }
    }
    return table;
}

static void
s_drop(table_t *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->rows[i].text);
    table->count = 0;
}

// Put the functions of states.lua beside those of the library.
static int
s_setup(void **state)
{
    state_farm_setup(state);
    state_farm_t *farm = *state;
    OK("era_open", "", "", ""); // From here on the library is loaded
    rmt_auto_str more = s_read_source("tests/integration/states.lua");
    rmt_auto_str library =
        rmt_text("%.*s\n%s", (int) rmt_state_library_size, rmt_state_library, more);
    redis_server_load(&farm->redis, library, strlen(library));
    return 0;
}

static bool
s_has_row(state_farm_t *farm, const row_t *row)
{
    for (size_t i = 0; i < state_farm_count(farm); i++)
        if (strcmp(state_farm_item(farm, i, "from"), row->words[0]) == 0 &&
            strcmp(state_farm_item(farm, i, "event"), row->words[1]) == 0 &&
            strcmp(state_farm_item(farm, i, "to"), row->words[2]) == 0 &&
            strcmp(state_farm_item(farm, i, "entry"), row->words[3]) == 0)
            return true;
    return false;
}

// As many rows, all of them in the library, and no two for one pair: then they are equal.
static void
s_check_table(state_farm_t *farm, const char *kind)
{
    rmt_auto_str body = rmt_text("kind=%s", kind);
    OK("test_rows", "", body, "");
    table_t table = s_table(kind);
    if (table.count != state_farm_count(farm))
        fail_msg("%s: the page has %zu rows, the library %zu", kind, table.count,
                 state_farm_count(farm));
    for (size_t i = 0; i < table.count; i++) {
        const row_t *row = &table.rows[i];
        if (!s_has_row(farm, row))
            fail_msg("%s: the library has no row %s, %s, %s, %s", kind, row->words[0],
                     row->words[1], row->words[2], row->words[3]);
        for (size_t j = 0; j < i; j++)
            assert_false(strcmp(row->words[0], table.rows[j].words[0]) == 0 &&
                         strcmp(row->words[1], table.rows[j].words[1]) == 0);
    }
    s_drop(&table);
}

// The items of the answer; caller owns them.
static rmt_records_t *
s_items(state_farm_t *farm, const char *function, const char *body)
{
    OK(function, "", body, "");
    rmt_records_t *items = farm->reply->items;
    farm->reply->items = NULL;
    return items;
}

// [6.4]
static void
test_the_page_has_the_rows_of_the_library(void **state)
{
    state_farm_t *farm = *state;
    rmt_auto(rmt_records) kinds = s_items(farm, "test_kinds", "");
    assert_true(rmt_records_count(kinds) == 9);
    for (size_t i = 0; i < rmt_records_count(kinds); i++)
        s_check_table(farm, rmt_record_text(rmt_records_at(kinds, i), "kind", ""));
}

static const rmt_record_t *
s_row_of(const rmt_records_t *rows, const char *from, const char *event)
{
    for (size_t i = 0; i < rmt_records_count(rows); i++) {
        const rmt_record_t *row = rmt_records_at(rows, i);
        if (strcmp(rmt_record_text(row, "from", ""), from) == 0 &&
            strcmp(rmt_record_text(row, "event", ""), event) == 0)
            return row;
    }
    return NULL;
}

// One event in one state.
static void
s_check_pair(state_farm_t *farm, const rmt_record_t *kind, const rmt_record_t *row,
             const char *from, const char *event)
{
    const char *name = rmt_record_text(kind, "kind", "");
    rmt_auto_str body = rmt_text("kind=%s state=%s event=%s", name, from, event);
    OK("test_try", "", body, "");
    if (strcmp(state_farm_body(farm, "seeded"), from) != 0)
        fail_msg("%s: it is %s", body, state_farm_body(farm, "seeded"));
    const char *text = state_farm_body(farm, "text");
    if (row) {
        if (CODE("code") != RMT_E_OK)
            fail_msg("%s: %s", body, text);
        assert_string_equal(state_farm_body(farm, "state"),
                            rmt_record_text(row, "to", ""));
        assert_string_equal(state_farm_body(farm, "entry"),
                            rmt_record_text(row, "entry", ""));
        return;
    }
    assert_int_equal(CODE("code"), rmt_record_u64(kind, "code", 0));
    assert_string_equal(state_farm_body(farm, "changed"), "no");
    assert_string_equal(state_farm_body(farm, "state"), from);
    assert_non_null(strstr(text, from)); // What it is, and what it cannot do
    assert_non_null(strstr(text, event));
}

// All states of a kind with all its events; how many pairs were refused.
static size_t
s_walk(state_farm_t *farm, const rmt_record_t *kind)
{
    rmt_auto_str body = rmt_text("kind=%s", rmt_record_text(kind, "kind", ""));
    rmt_auto(rmt_records) rows = s_items(farm, "test_rows", body);
    rmt_auto(zhashx) states = zhashx_new();
    rmt_auto(zhashx) events = zhashx_new();
    for (size_t i = 0; i < rmt_records_count(rows); i++) {
        const rmt_record_t *row = rmt_records_at(rows, i);
        zhashx_update(states, rmt_record_text(row, "from", ""), "");
        zhashx_update(states, rmt_record_text(row, "to", ""), "");
        zhashx_update(events, rmt_record_text(row, "event", ""), "");
    }
    rmt_auto(zlistx) froms = zhashx_keys(states);
    rmt_auto(zlistx) names = zhashx_keys(events);
    size_t refused = 0;
    for (const char *from = zlistx_first(froms); from; from = zlistx_next(froms))
        for (const char *event = zlistx_first(names); event; event = zlistx_next(names)) {
            const rmt_record_t *row = s_row_of(rows, from, event);
            s_check_pair(farm, kind, row, from, event);
            refused += row ? 0 : 1;
        }
    return refused;
}

// [6.2] [6.3]
static void
test_every_row_is_taken_and_every_other_pair_is_refused(void **state)
{
    state_farm_t *farm = *state;
    rmt_auto(rmt_records) kinds = s_items(farm, "test_kinds", "");
    size_t refused = 0;
    for (size_t i = 0; i < rmt_records_count(kinds); i++)
        refused += s_walk(farm, rmt_records_at(kinds, i));
    assert_true(refused > 100);
}

// The page names each operation of the library with the arguments that it needs.
static void
test_the_page_has_the_operations_of_the_library(void **state)
{
    state_farm_t *farm = *state;
    OK("test_operations", "", "", "");
    table_t table = s_table("Steps");
    assert_int_equal(table.count, state_farm_count(farm));
    for (size_t i = 0; i < state_farm_count(farm); i++) {
        const char *name = state_farm_item(farm, i, "operation");
        const row_t *row = NULL;
        for (size_t j = 0; j < table.count; j++)
            row = strcmp(table.rows[j].words[0], name) == 0 ? &table.rows[j] : row;
        if (!row)
            fail_msg("the page has no operation %s", name);
        rmt_auto_str needs = strdup(state_farm_item(farm, i, "needs"));
        char *rest = NULL;
        for (char *word = strtok_r(needs, " ", &rest); word;
             word = strtok_r(NULL, " ", &rest))
            if (!strstr(row->words[1], word))
                fail_msg("the page does not say that %s needs %s", name, word);
    }
    s_drop(&table);
}

#define WALK(name) cmocka_unit_test_setup_teardown(name, s_setup, state_farm_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WALK(test_the_page_has_the_rows_of_the_library),
        WALK(test_every_row_is_taken_and_every_other_pair_is_refused),
        WALK(test_the_page_has_the_operations_of_the_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
