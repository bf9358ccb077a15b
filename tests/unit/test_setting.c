// Settings in files of lines: which line has a value of a key, and what of it is the
// value (P23).
#include "tools/rmt_test.h"

#include <string.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "system/rmt_setting.h"

#define KEEP "keep" // A value that stays

static char *
s_change(void *context, rmt_span_t value)
{
    (void) context;
    return rmt_span_is(value, KEEP) ? NULL
                                    : rmt_text("[%.*s]", (int) value.size, value.start);
}

typedef struct {
    const char *text;
    const char *want; // NULL: nothing changes
} row_t;

static void
s_try(const rmt_setting_t *setting, const row_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const rmt_span_t text = {rows[i].text, strlen(rows[i].text)};
        size_t size = 0;
        rmt_auto_str found = rmt_setting_change(setting, text, s_change, NULL, &size);
        const char *want = rows[i].want;
        if (!found != !want || (found && strcmp(found, want) != 0))
            fail_msg("%s: '%s', not '%s'", rows[i].text, found ? found : "",
                     want ? want : "");
        if (found)
            assert_int_equal(size, strlen(want));
    }
}

#define TRY(setting, ...)                                                                \
    do {                                                                                 \
        static const rmt_setting_t setting_ = setting;                                   \
        static const row_t rows_[] = {__VA_ARGS__};                                      \
        s_try(&setting_, rows_, sizeof rows_ / sizeof *rows_);                           \
    } while (0)
#define FORM(keys_, between_, ...)                                                       \
    {                                                                                    \
        .keys = (keys_), .between = (between_), __VA_ARGS__                              \
    }

static void
test_a_value_ends_with_its_line(void **state)
{
    (void) state;
    TRY(FORM("name|full name", "="), {"name=a\n", "name=[a]\n"},
        {"name = a b \r\n", "name = [a b] \r\n"}, {"full \t name=a", "full \t name=[a]"},
        {" export  name=a\n", " export  name=[a]\n"},
        {"name=a\nname=b\n", "name=[a]\nname=[b]\n"}, {"x\nname=a\ny", "x\nname=[a]\ny"},
        {"name=\n", "name=[]\n"}, {"#name=a\n", NULL}, {";name=a\n", NULL},
        {"name: a\n", NULL}, {"names=a\n", NULL}, {"nam=a\n", NULL},
        {"fullname=a\n", NULL}, {"full", NULL}, {"full ", NULL}, {"Name=a\n", NULL},
        {"name=keep\n", NULL}, {"export\n", NULL}, {"", NULL}, {"\n \n", NULL});
}

static void
test_each_form_has_its_own_marks(void **state)
{
    (void) state;
    TRY(FORM("name", ":"), {"name : a\n", "name : [a]\n"}, {"export name: a\n", NULL});
    TRY(FORM("name", "", .is_nocase = true), {"NaMe a\n", "NaMe [a]\n"},
        {"name\ta", "name\t[a]"}, {"name=a\n", NULL}, {"names a\n", NULL});
    TRY(FORM("name", NULL), {"namea\n", "name[a]\n"}, {"export namea\n", NULL});
}

// As Postfix has them: a line that begins with a blank goes on with the value before it.
static void
test_a_value_goes_on_where_its_form_says_so(void **state)
{
    (void) state;
    TRY(FORM("name", "=", .is_continued = true),
        {"name=a\n b\n\tc\nx=d\n e\n", "name=[a]\n [b]\n\t[c]\nx=d\n e\n"},
        {" b\nname=keep\n", NULL}, {"name=keep\n# c\n b\n", "name=keep\n# c\n [b]\n"});
    TRY(FORM("name", "="), {"name=keep\n b\n", NULL});
}

static void
test_the_first_word_of_a_value_is_what_a_shell_takes(void **state)
{
    (void) state;
    static const row_t rows[] = {
        {"web-7", "web-7"},
        {"web-7 other", "web-7"},
        {"web-7\t# note", "web-7"},
        {"web-7;x", "web-7"},
        {"web#7", "web"},
        {"\"web 7\" x", "web 7"},
        {"'web;7'", "web;7"},
        {"\"\"", ""},
        {"\"web", ""},
        {"'web", ""},
        {"$HOST", ""},
        {"web`id`", ""},
        {"we\\b", ""},
        {"\"$HOST\"", ""},
        {"", ""},
        {"# note", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const rmt_span_t word =
            rmt_setting_word((rmt_span_t){rows[i].text, strlen(rows[i].text)});
        if (!rmt_span_is(word, rows[i].want))
            fail_msg("%s: '%.*s'", rows[i].text, (int) word.size, word.start);
    }
}

static void
s_gather(void *context, rmt_span_t value)
{
    char *text = context;
    strncat(text, value.start, value.size);
    strcat(text, ",");
}

static void
test_every_value_of_a_key_is_read(void **state)
{
    (void) state;
    static const rmt_setting_t setting = {.keys = "a|b", .between = "="};
    static const char text[] = "a=1\n#a=2\nb='3 4'\nc=5\na=\"6\n a = 7 # x";
    char found[64] = "";
    rmt_setting_read(&setting, (rmt_span_t){text, sizeof text - 1}, s_gather, found);
    assert_string_equal(found, "1,3 4,,7,");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_value_ends_with_its_line),
        cmocka_unit_test(test_each_form_has_its_own_marks),
        cmocka_unit_test(test_a_value_goes_on_where_its_form_says_so),
        cmocka_unit_test(test_the_first_word_of_a_value_is_what_a_shell_takes),
        cmocka_unit_test(test_every_value_of_a_key_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
