// What verbs print: every list at 80 and 140 columns of a terminal, and into a pipe, as
// the golden files of tests/golden/console; and the forms for programs.
#include "tools/rmt_test.h"

#include <locale.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "console/board.h"
#include "console/command.h"
#include "console/field.h"
#include "console/fit.h"
#include "console/object.h"
#include "console/output.h"
#include "wire/rmt_codec.h"

#define OUTPUT_MAX (256 * 1024)
#define HOUR_MS (INT64_C(3600) * 1000)

// ---- What is printed

typedef struct {
    const command_t *command;
    const rmt_records_t *items;
    view_t view;
} print_t;

typedef int(print_fn)(const void *what);

static int
s_print_list(const void *what)
{
    const print_t *self = what;
    rmt_error_t error = {0};
    if (output_list(self->items, self->command->columns, &self->view, &error) == 0)
        return 0;
    print_error("%s\n", error.text);
    return 1;
}

// The output of print in a child whose standard output is a terminal of so many columns,
// or a pipe (0). Caller owns.
static char *
s_output(print_fn *print, const void *what, unsigned short columns)
{
    int ends[2];
    const struct winsize size = {.ws_row = 40, .ws_col = columns};
    if (columns)
        assert_int_equal(openpty(&ends[0], &ends[1], NULL, NULL, &size), 0);
    else
        assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        const int status = print(what);
        fflush(stdout);
        _exit(status);
    }
    close(ends[1]);
    char *out = calloc(1, OUTPUT_MAX);
    size_t used = 0;
    ssize_t got;
    while ((got = read(ends[0], out + used, OUTPUT_MAX - used - 1)) > 0)
        used += (size_t) got;
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    // A terminal ends its lines by two letters.
    char *to = out;
    for (char *from = out; *from; from++)
        if (*from != '\r' || !columns)
            *to++ = *from;
    *to = '\0';
    return out;
}

// ---- Golden files

// A value as the field has them, and long enough to be cut.
static void
s_set(rmt_record_t *item, const char *name, unsigned row, bool is_first)
{
    static const char *const states[] = {"done", "running", "failed"};
    switch (field_kind(name)) {
    case FIELD_NUMBER:
        rmt_record_set_u64(item, name, row * 111);
        break;
    case FIELD_BYTES:
        rmt_record_set_u64(item, name, UINT64_C(1234567890) * row);
        break;
    case FIELD_TIME:
        rmt_record_set_u64(item, name, (uint64_t) (rmt_clock_wall_ms() - row * HOUR_MS));
        break;
    case FIELD_FLAG:
        rmt_record_set(item, name, row % 2 ? "yes" : "no");
        break;
    default:
        if (strcmp(name, "state") == 0)
            rmt_record_set(item, name, states[row - 1]);
        else if (is_first || strcmp(name, "name") == 0 || strcmp(name, "target") == 0)
            rmt_record_setf(item, name, "r12-n%02u", row);
        else if (row == 2) // Of some fields nothing is known
            rmt_record_set(item, name, "");
        else if (row == 3)
            rmt_record_setf(item, name, "%s: a text that is as long as reasons are",
                            name);
        else
            rmt_record_set(item, name, name);
    }
}

static void
s_append(char **all_p, const char *heading, const char *text)
{
    rmt_auto_str before = *all_p;
    *all_p = rmt_text("%s$ ramet %s\n%s\n", before, heading, text);
}

// All verbs that print lists, one after the other. Caller owns.
static char *
s_every_list(unsigned short columns)
{
    char *all = rmt_text("%s", "");
    for (size_t t = 0; command_tables[t]; t++) {
        for (const command_t *row = command_tables[t]; row->noun; row++) {
            if (!row->columns)
                continue;
            rmt_auto(rmt_records) items = rmt_records_new();
            for (unsigned i = 1; i <= 3; i++) {
                rmt_record_t *item = rmt_records_add(items);
                for (size_t c = 0; row->columns[c]; c++)
                    s_set(item, row->columns[c], i, c == 0);
            }
            const print_t what = {row, items, {.format = VIEW_TABLE}};
            rmt_auto_str text = s_output(s_print_list, &what, columns);
            rmt_auto_str heading = rmt_text("%s %s", row->noun, row->verb);
            s_append(&all, heading, text);
        }
    }
    return all;
}

// RAMET_GOLDEN_WRITE makes the file anew, for a change that was meant.
static void
s_compare(const char *name, const char *text)
{
    rmt_auto_str path =
        rmt_text("%s/tests/golden/console/%s", getenv("RAMET_SOURCE"), name);
    rmt_error_t error = {0};
    if (getenv("RAMET_GOLDEN_WRITE"))
        RMT_OK(rmt_io_save(path, text, strlen(text), 0644, &error));
    rmt_auto_ptr wanted = NULL;
    size_t size;
    RMT_OK(rmt_io_load(path, OUTPUT_MAX, &wanted, &size, &error));
    rmt_auto_str whole = rmt_text("%.*s", (int) size, (const char *) wanted);
    assert_string_equal(text, whole);
}

static size_t
s_widest_line(const char *text)
{
    size_t widest = 0;
    rmt_auto_str copy = strdup(text);
    char *rest = NULL;
    for (char *line = strtok_r(copy, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        if (*line != '$' && fit_width(line) > widest)
            widest = fit_width(line);
    }
    return widest;
}

static void
test_every_list_fits_a_terminal_of_80_columns(void **state)
{
    (void) state;
    rmt_auto_str text = s_every_list(80);
    s_compare("lists.80", text);
    assert_in_range(s_widest_line(text), 40, 80);
}

static void
test_every_list_fits_a_terminal_of_140_columns(void **state)
{
    (void) state;
    rmt_auto_str text = s_every_list(140);
    s_compare("lists.140", text);
    assert_in_range(s_widest_line(text), 81, 140);
}

static void
test_a_pipe_gets_every_list_whole(void **state)
{
    (void) state;
    rmt_auto_str text = s_every_list(0);
    s_compare("lists.pipe", text);
    assert_null(strchr(text, '\033'));
    assert_non_null(strstr(text, "reason: a text that is as long as reasons are"));
}

// ---- Forms

static rmt_records_t *
s_targets(void)
{
    rmt_records_t *items = rmt_records_new();
    static const struct {
        const char *name, *rack, *bytes, *present, *comment;
    } rows[] = {
        {"n10", "r1", "300", "yes", "Küche 厨房"},
        {"n2", "r1", "2048", "no", "\033[31mred\n, \"x\"\xff\u202e"},
        {"n1", "r2", "10737418240", "yes", ""},
    };
    for (size_t i = 0; i < 3; i++) {
        rmt_record_t *item = rmt_records_add(items);
        rmt_record_set(item, "name", rows[i].name);
        rmt_record_set(item, "rack", rows[i].rack);
        rmt_record_set(item, "bytes", rows[i].bytes);
        rmt_record_set(item, "present", rows[i].present);
        rmt_record_set(item, "comment", rows[i].comment);
        rmt_record_set(item, "rev", "7");
        rmt_record_set(item, "created", "1796119200000");
    }
    return items;
}

static const char *const s_columns[] = {"name", "rack", "bytes", "comment", NULL};
static const command_t s_verb = {.noun = "test", .verb = "list", .columns = s_columns};

// The output of these options ("sort=bytes;output=csv"), or the text of the error.
static char *
s_show(const char *options, unsigned short columns)
{
    rmt_auto(rmt_records) items = s_targets();
    rmt_auto(rmt_record) given = rmt_record_new();
    rmt_auto_str copy = strdup(options);
    char *rest = NULL;
    for (char *word = strtok_r(copy, ";", &rest); word;
         word = strtok_r(NULL, ";", &rest)) {
        rmt_auto_str name = rmt_text("%.*s", (int) strcspn(word, "="), word);
        rmt_record_set(given, name, word + strlen(name) + 1);
    }
    rmt_error_t error = {0};
    print_t what = {.command = &s_verb, .items = items};
    char *text;
    rmt_auto(rmt_records) checked = NULL;
    if (view_read(&what.view, given, &error) == -1 ||
        !(checked = view_items(&what.view, items, s_columns, &error)))
        text = rmt_text("%s", error.text);
    else
        text = s_output(s_print_list, &what, columns);
    view_free(&what.view);
    return text;
}

// [10.2] [10.3]
static void
test_a_list_is_filtered_sorted_cut_and_formed(void **state)
{
    (void) state;
    setenv("TZ", "Asia/Tokyo", 1);
    static const struct {
        const char *options, *text;
    } rows[] = {
        {"output=name", "n10\nn2\nn1\n"},
        {"output=name;sort=name", "n1\nn2\nn10\n"}, // Numbers in names by amount
        {"output=name;sort=-bytes", "n1\nn2\nn10\n"},
        {"output=name;sort=rack,-name;limit=2", "n10\nn2\n"},
        {"output=name;filter=rack=r1,bytes>1KiB", "n2\n"},
        {"output=name;filter=n1 rack=r1,present=no", "n2\nn1\n"},
        {"output=name;filter=n[1-2]", "n2\nn1\n"},
        {"output=name;filter=created>2026-11-30", "n10\nn2\nn1\n"},
        {"output=name;filter=created>2026-12-01 19:00:00", ""},
        {"output=name;filter=created>=2026-12-01 10:00:00Z", "n10\nn2\nn1\n"},
        {"output=csv;limit=1", "name,rack,bytes,comment\r\nn10,r1,300,Küche 厨房\r\n"},
        {"output=csv;columns=comment;filter=n2",
         "comment\r\n\"\033[31mred\n, \"\"x\"\"\xff\u202e\"\r\n"},
        {"columns=name,bytes;sort=bytes",
         "NAME BYTES\nn10  300 B\nn2   2.0 KiB\nn1   10.0 GiB\n"},
        {"columns=comment,name", "COMMENT                           NAME\n"
                                 "Küche 厨房                        n10\n"
                                 "\\x1b[31mred , \"x\"\\xff\\xe2\\x80\\xae n2\n"
                                 "-                                 n1\n"},
        {"output=wide;limit=1;filter=n1",
         "NAME RACK    BYTES COMMENT CREATED             PRESENT\n"
         "n1   r2   10.0 GiB -       2026-12-01 19:00:00 yes\n"},
        {"output=wide;limit=1;filter=n1;utc=yes;columns=created",
         "CREATED\n2026-12-01 10:00:00Z\n"},
        {"output=xml", "--output xml is not table, wide, json, csv or name"},
        {"output=jsn",
         "--output jsn is not table, wide, json, csv or name; did you mean json"},
        {"limit=0", "--limit 0 is not a number of items; write one such as 20"},
        {"color=red", "--color red is not auto, always or never"},
        {"sort=nmae", "no item has the field \"nmae\"; did you mean name"},
        {"filter=zebra=1", "no item has the field \"zebra\"; -o wide shows all fields"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        print_message("%s\n", rows[i].options);
        rmt_auto_str text = s_show(rows[i].options, 0);
        assert_string_equal(text, rows[i].text);
    }
}

// [10.2] What another computer has written moves no terminal.
static void
test_csv_on_a_terminal_has_no_control_characters(void **state)
{
    (void) state;
    rmt_auto_str text = s_show("output=csv;columns=comment;filter=n2", 80);
    assert_string_equal(text,
                        "comment\n\"\\x1b[31mred , \"\"x\"\"\\xff\\xe2\\x80\\xae\"\n");
}

static int
s_show_board(const void *what)
{
    const bool is_stuck = *(const bool *) what;
    dup2(STDOUT_FILENO, STDERR_FILENO);
    setenv("TERM", "xterm", 1);
    board_t *board = board_new("j-1", false);
    rmt_auto(rmt_record) news = rmt_record_new();
    rmt_record_set(news, "phase", "un\033[31m\npack");
    rmt_record_set(news, "text", "one\033[31m\ntwo");
    rmt_record_set(news, "stuck", is_stuck ? "no\033[31m\ndisk" : "");
    board_set_stuck(board, "the\033[31m\njob");
    board_update(board, "n1", news);
    board_draw(board);
    rmt_record_set(news, "state", "failed");
    rmt_record_set(news, "error", "why\033[31m\nnot");
    board_update(board, "n1", news);
    board_end(board, "failed", "it\033[31m\nended");
    board_destroy(&board);
    return 0;
}

static void
test_what_machines_tell_moves_no_terminal(void **state)
{
    (void) state;
    for (unsigned i = 0; i < 4; i++) {
        const bool is_stuck = i % 2, is_live = i / 2;
        rmt_auto_str text = s_output(s_show_board, &is_stuck, is_live ? 120 : 0);
        print_message("%s\n", text);
        assert_null(strstr(text, "\033[31m"));
        assert_non_null(strstr(text, "un\\x1b[31m pack"));
        assert_non_null(strstr(text, is_stuck ? "no\\x1b[31m disk" : "one\\x1b[31m two"));
        assert_non_null(
            strstr(text, "stuck: the\\x1b[31m job")); // A frame erases behind it
        assert_non_null(strstr(text, "n1: why\\x1b[31m not\n"));
        assert_non_null(strstr(text, "job j-1: failed: it\\x1b[31m ended\n"));
    }
}

static void
test_only_the_usual_table_is_folded(void **state)
{
    (void) state;
    static const char *const names[] = {"columns", "sort",   "filter", "limit",
                                        "output",  "output", "utc",    "color"};
    static const char *const values[] = {"name", "-name", "name=n1", "3",
                                         "wide", "table", "yes",     "never"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        rmt_error_t error = {0};
        view_t view;
        rmt_auto(rmt_record) options = rmt_record_new();
        rmt_record_set(options, names[i], values[i]);
        assert_int_equal(view_read(&view, options, &error), 0);
        print_message("%s\n", names[i]);
        assert_int_equal(view_is_usual(&view), i > 4);
        view_free(&view);
    }
}

// [10.5] [10.6] [10.8]
static void
test_json_has_numbers_and_booleans_and_no_inner_counters(void **state)
{
    (void) state;
    rmt_auto_str text = s_show("output=json;filter=n2", 0);
    assert_non_null(strstr(text, "\"bytes\": 2048"));
    assert_non_null(strstr(text, "\"present\": false"));
    assert_non_null(strstr(text, "\"created\": 1796119200000"));
    assert_non_null(strstr(text, "\"schema\": \"ramet/v1\""));
    assert_null(strstr(text, "\"rev\""));
    rmt_auto_str few = s_show("output=json;columns=name", 0);
    assert_non_null(strstr(few, "\"name\": \"n10\""));
    assert_null(strstr(few, "rack"));
}

static void
test_colors_are_for_terminals(void **state)
{
    (void) state;
    rmt_auto(rmt_records) items = rmt_records_new();
    rmt_record_t *item = rmt_records_add(items);
    rmt_record_set(item, "name", "j-1");
    rmt_record_set(item, "state", "failed");
    static const char *const columns[] = {"name", "state", NULL};
    static const command_t verb = {.columns = columns};
    print_t what = {&verb, items, {.colors = true}};
    rmt_auto_str bright = s_output(s_print_list, &what, 80);
    assert_non_null(strstr(bright, "\033[31mfailed\033[0m"));
    what.view.colors = false;
    rmt_auto_str plain = s_output(s_print_list, &what, 80);
    assert_null(strchr(plain, '\033'));
}

static int
s_print_whether_colored(const void *options)
{
    view_t view;
    rmt_error_t error = {0};
    if (view_read(&view, options, &error) == 0)
        puts(view.colors ? "colors" : "plain");
    view_free(&view);
    return 0;
}

// [10.4]
static void
test_no_color_is_heard(void **state)
{
    (void) state;
    rmt_auto(rmt_record) options = rmt_record_new();
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    rmt_auto_str terminal = s_output(s_print_whether_colored, options, 80);
    rmt_auto_str piped = s_output(s_print_whether_colored, options, 0);
    setenv("NO_COLOR", "1", 1);
    rmt_auto_str none = s_output(s_print_whether_colored, options, 80);
    rmt_record_set(options, "color", "always");
    rmt_auto_str always = s_output(s_print_whether_colored, options, 0);
    assert_string_equal(terminal, "colors\n");
    assert_string_equal(piped, "plain\n");
    assert_string_equal(none, "plain\n");
    assert_string_equal(always, "colors\n");
}

// ---- One record

static int
s_print_record(const void *record)
{
    rmt_error_t error = {0};
    const view_t view = {.utc = true};
    return output_record(record, NULL, NULL, NULL, &view, &error);
}

static void
test_a_record_has_names_for_ids_and_no_empty_fields(void **state)
{
    (void) state;
    rmt_auto(rmt_record) record = rmt_record_new();
    rmt_record_set(record, "id", "00112233445566778899aabbccddeeff");
    rmt_record_set(record, "name", "j-aaaaaaaa");
    rmt_record_set(record, "code", "14");
    rmt_record_set(record, "job", "00112233445566778899aabbccddeeff");
    rmt_record_set(record, "by", "0123456789012345678901234567890123456789");
    rmt_record_set(record, "by-name", "anna");
    rmt_record_set(record, "error", "");
    rmt_record_set(record, "sent", "180422794");
    rmt_record_set(record, "rev", "3");
    rmt_auto_str text = s_output(s_print_record, record, 0);
    assert_string_equal(text, "name               j-aaaaaaaa\n"
                              "by-name            anna\n"
                              "code               unavailable\n"
                              "job                j-aaisem2e\n"
                              "sent               172.1 MiB\n");
}

// A layout in a layout, as a hostile source sends it: JSON has so many lists in lists,
// and what is in the last one stands as text.
static void
test_json_has_few_lists_in_lists(void **state)
{
    (void) state;
    static const struct {
        unsigned levels, shown;
    } rows[] = {{1, 1}, {4, 4}, {5, 4}, {3000, 4}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto(rmt_records) items = rmt_records_new();
        for (unsigned level = 0; level <= rows[i].levels; level++) {
            rmt_record_t *record = rmt_record_new();
            rmt_record_set(record, "name", "x");
            rmt_auto(zchunk) inner = rmt_codec_pack_records(items);
            if (level)
                rmt_record_put(record, "layout", zchunk_data(inner), zchunk_size(inner));
            rmt_records_destroy(&items);
            items = rmt_records_new();
            rmt_records_append(items, &record);
        }
        rmt_auto_str json = object_list(items, NULL);
        unsigned shown = 0;
        for (const char *at = json; (at = strstr(at, "\"layout\": [")); at++)
            shown++;
        assert_int_equal(shown, rows[i].shown);
        assert_int_equal(strstr(json, "\"layout\": \"") != NULL,
                         rows[i].levels > rows[i].shown);
    }
}

int
main(void)
{
    (void) setlocale(LC_CTYPE, "C.UTF-8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_list_fits_a_terminal_of_80_columns),
        cmocka_unit_test(test_every_list_fits_a_terminal_of_140_columns),
        cmocka_unit_test(test_a_pipe_gets_every_list_whole),
        cmocka_unit_test(test_a_list_is_filtered_sorted_cut_and_formed),
        cmocka_unit_test(test_csv_on_a_terminal_has_no_control_characters),
        cmocka_unit_test(test_what_machines_tell_moves_no_terminal),
        cmocka_unit_test(test_only_the_usual_table_is_folded),
        cmocka_unit_test(test_json_has_numbers_and_booleans_and_no_inner_counters),
        cmocka_unit_test(test_json_has_few_lists_in_lists),
        cmocka_unit_test(test_colors_are_for_terminals),
        cmocka_unit_test(test_no_color_is_heard),
        cmocka_unit_test(test_a_record_has_names_for_ids_and_no_empty_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
