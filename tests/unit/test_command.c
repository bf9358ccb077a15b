// The words of a command line: where options stand, and what a mistake is told.
#include "tools/rmt_test.h"

#include <stdio.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "console/command_words.h"

#define WORDS_MAX 16

// Sort and parse the words of a line. The verb and operands as "noun verb: a b {x=y}", or
// the error's text. Caller owns.
static char *
s_read(const char *line)
{
    rmt_auto_str copy = strdup(line);
    char *argv[WORDS_MAX], *rest[WORDS_MAX] = {NULL}, *at = NULL;
    int argc = 0;
    for (char *word = strtok_r(copy, " ", &at); word; word = strtok_r(NULL, " ", &at))
        argv[argc++] = word;
    rmt_error_t error = {0};
    command_words_t words = {.rest = rest};
    if (command_words_sort(&words, argc, argv, &error) == -1)
        return rmt_text("%s", error.text);
    if (words.is_version || words.is_help || words.is_print)
        return rmt_text("%s %s %s",
                        words.is_version ? "version"
                        : words.is_print ? "print"
                                         : "help",
                        words.noun ? words.noun : "-", words.verb ? words.verb : "-");
    call_t call = {.options = rmt_record_new()};
    call.command = command_words_find(&words, &error);
    rmt_auto(rmt_record) options = call.options;
    if (!call.command || command_parse(&call, words.rest_count, words.rest, &error) == -1)
        return rmt_text("%s", error.text);
    char *text = rmt_text("%s %s:", call.command->noun, call.command->verb);
    for (size_t i = 0; i < call.operand_count + rmt_record_count(options); i++) {
        rmt_auto_str before = text;
        const size_t o = i - call.operand_count;
        text = i < call.operand_count
                   ? rmt_text("%s %s", before, call.operands[i])
                   : rmt_text("%s {%s=%s}", before, rmt_record_name_at(options, o),
                              (const char *) rmt_record_value_at(options, o, NULL));
    }
    return text;
}

typedef struct {
    const char *line, *read;
} row_t;

static void
s_check(const row_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        print_message("ramet %s\n", rows[i].line);
        rmt_auto_str read = s_read(rows[i].line);
        assert_string_equal(read, rows[i].read);
    }
}

static void
test_options_of_every_verb_stand_anywhere(void **state)
{
    (void) state;
    static const row_t rows[] = {
        {"job list --json", "job list: {json=yes}"},
        {"--json job list", "job list: {json=yes}"},
        {"job --json list", "job list: {json=yes}"},
        {"--config f.cfg job show j-a", "job show: j-a {config=f.cfg}"},
        {"--config=f.cfg job --json show j-a", "job show: j-a {config=f.cfg} {json=yes}"},
        {"--json doctor", "doctor : {json=yes}"},
        {"events -f", "events : {follow=yes}"},
        {"image export web -", "image export: web -"}, // Standard output
        {"image files web -- -f", "image files: web -f"},
        {"-h", "help - -"},
        {"help", "help - -"},
        {"help job list", "help job list"},
        {"job help list", "help job list"},
        {"job list -h", "help job list"},
        {"--help job", "help job -"},
        {"help doctor", "help doctor "},
        {"-V", "version - -"},
        {"job list --version", "version job list"},
        {"deploy start web --engine a --engine b --targets r1,x --targets k=v",
         "deploy start: web {engine=a,b} {targets=r1,x\nk=v}"},
    };
    s_check(rows, sizeof rows / sizeof *rows);
}

static void
test_a_mistake_is_told_with_the_nearest_right_spelling(void **state)
{
    (void) state;
    static const row_t rows[] = {
        {"jbo list", "the noun \"jbo\" does not exist; did you mean: ramet job list"},
        {"jobs", "the noun \"jobs\" does not exist; did you mean: ramet job"},
        {"machine ls",
         "the noun \"machine\" does not exist; did you mean: ramet target list"},
        {"list jobs", "the noun \"list\" does not exist; did you mean: ramet job list"},
        {"zebra", "the noun \"zebra\" does not exist; see: ramet help"},
        {"job lst", "job has no verb \"lst\"; did you mean: ramet job list"},
        {"job stop j-a", "job has no verb \"stop\"; did you mean: ramet job cancel"},
        {"target rm n1", "target has no verb \"rm\"; did you mean: ramet target remove"},
        {"job xyzzy", "job has no verb \"xyzzy\"; see: ramet help job"},
        {"job list --jsn", "unknown option --jsn; did you mean --json"},
        {"--jsn job list", "unknown option --jsn; did you mean --json"},
        {"deploy start web --target n1",
         "unknown option --target; did you mean --targets"},
        {"image create web --exlude=/x",
         "unknown option --exlude; did you mean --exclude"},
        {"job logs j-a -f", "unknown option -f; see: ramet help job logs"},
        {"job logs j-a --zebra", "unknown option --zebra; see: ramet help job logs"},
        {"job logs j-a -fx", "unknown option -fx; see: ramet help job logs"},
        {"-x job logs j-a", "unknown option -x; see: ramet help"},
        {"job show", "usage: ramet job show JOB"},
        {"doctor now", "usage: ramet doctor"},
        {"job watch j-a --timeout", "--timeout needs TIME"},
        {"job list --json=yes", "--json takes no value"},
    };
    s_check(rows, sizeof rows / sizeof *rows);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_of_every_verb_stand_anywhere),
        cmocka_unit_test(test_a_mistake_is_told_with_the_nearest_right_spelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
