#include "console/command.h"
#include "console/nearest.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <stdio.h>
#include <string.h>

const option_t command_common[] = {
    {"output", "FORMAT",
     "table, wide (all fields), json, csv, or name (names alone, one a line); also -o"},
    {"json", NULL, "the same as --output json (docs/spec/10-json.md)"},
    {"utc", NULL, "show times in UTC; default: the time zone of this computer"},
    {"color", "WHEN", "auto, always or never; auto hears NO_COLOR"},
    {"config", "FILE",
     "file with brokers and key; default $RAMET_CONFIG, then /etc/ramet/console.cfg"},
    {"help", NULL, "print this help; also -h"},
    {"print-config", NULL, "print every setting of this program with its default"},
    {"version", NULL, "print the version of this program; also -V"},
    {NULL, NULL, NULL},
};

// The options of the verbs that print a list.
static const option_t s_list_options[] = {
    {"columns", "FIELDS", "show these fields, with commas between, in this order"},
    {"sort", "FIELDS", "sort by these fields; -FIELD for the largest first"},
    {"filter", "CONDITIONS",
     "show what meets them, such as state=failed,rack!=r1; as in: deploy start "
     "--targets"},
    {"limit", "N", "show the first N"},
    {NULL, NULL, NULL},
};

#define TABLE_COUNT 3

// Where the options of a verb are looked for.
static void
s_tables_of(const command_t *command, const option_t *out[TABLE_COUNT])
{
    out[0] = command->options;
    out[1] = command_common;
    out[2] = command->columns ? s_list_options : NULL;
}

const command_t *
command_find(const char *noun, const char *verb)
{
    for (size_t t = 0; command_tables[t]; t++) {
        for (const command_t *row = command_tables[t]; row->noun; row++) {
            if (strcmp(row->noun, noun) == 0 && (!verb || strcmp(row->verb, verb) == 0))
                return row;
        }
    }
    return NULL;
}

// "usage: ramet NOUN VERB OPERANDS". Caller owns.
static char *
s_usage(const command_t *command)
{
    return rmt_text("usage: ramet %s%s%s%s%s", command->noun, *command->verb ? " " : "",
                    command->verb, *command->operands ? " " : "", command->operands);
}

static const option_t *
s_find_option(const option_t *options, const char *name, size_t size)
{
    for (const option_t *row = options; row && row->name; row++) {
        if (strlen(row->name) == size && strncmp(row->name, name, size) == 0)
            return row;
    }
    return NULL;
}

// The letters that stand for a long option, where the verb has it.
static const struct {
    char letter;
    const char *name;
} s_letters[] = {{'f', "follow"}, {'o', "output"}};

static const char *
s_name_of_letter(char letter)
{
    for (size_t i = 0; i < sizeof s_letters / sizeof *s_letters; i++) {
        if (s_letters[i].letter == letter)
            return s_letters[i].name;
    }
    return "";
}

// "--name", "--name=value" or "-f": the row that has it, and where the name ends.
static const option_t *
s_option_of(const option_t *const tables[TABLE_COUNT], const char *word,
            const char **end_out)
{
    const bool is_long = word[1] == '-';
    const char *name = is_long ? word + 2 : s_name_of_letter(word[1]);
    const size_t size = strcspn(name, "=");
    *end_out = is_long ? name + size : word + 2;
    if (!is_long && word[2])
        return NULL;
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        const option_t *option = s_find_option(tables[i], name, size);
        if (option)
            return option;
    }
    return NULL;
}

// All users of this computer can read a command line: a secret leaves it at once.
static void
s_hide(const char *value)
{
    memset((char *) value, 'x', strlen(value));
}

static int
s_refuse_option(const option_t *const tables[TABLE_COUNT], const char *word,
                const char *help, rmt_error_t *error)
{
    rmt_auto_str name = rmt_text("%.*s", (int) strcspn(word, "="), word);
    nearest_t nearest = {.wanted = name + strspn(name, "-")};
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        for (const option_t *row = tables[i]; row && row->name; row++)
            nearest_try(&nearest, row->name);
    }
    if (nearest.best)
        return rmt_fail(error, RMT_E_USAGE, "unknown option %s; did you mean --%s", name,
                        nearest.best);
    return rmt_fail(error, RMT_E_USAGE, "unknown option %s; see: ramet help%s", name,
                    help);
}

bool
command_common_option(const char *word, bool *has_value_out, rmt_error_t *error)
{
    const char *end;
    const option_t *const tables[TABLE_COUNT] = {command_common};
    const option_t *option = s_option_of(tables, word, &end);
    if (!option) {
        s_refuse_option(tables, word, "", error);
        return false;
    }
    *has_value_out = option->argument && *end != '=';
    return true;
}

// What is between the values of an option that is given twice: a comma, or a line's end
// where a comma has a meaning of its own.
static char
s_joint(const char *name)
{
    static const char *const lines[] = {"exclude", "ignore", "targets", "filter",
                                        "without", "raw",    "keep"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (strcmp(lines[i], name) == 0)
            return '\n';
    }
    return ',';
}

static void
s_set_option(call_t *call, const option_t *option, const char *value)
{
    const char *before = rmt_record_text(call->options, option->name, NULL);
    if (before) {
        rmt_auto_str joined = rmt_text("%s%c%s", before, s_joint(option->name), value);
        rmt_record_set(call->options, option->name, joined);
    } else {
        rmt_record_set(call->options, option->name, value);
    }
}

// One option; tells how many words it took.
static int
s_parse_option(call_t *call, int argc, char **argv, rmt_error_t *error)
{
    const command_t *command = call->command;
    const option_t *tables[TABLE_COUNT];
    s_tables_of(command, tables);
    const char *end;
    const option_t *option = s_option_of(tables, argv[0], &end);
    if (!option) {
        rmt_auto_str help =
            rmt_text(" %s%s%s", command->noun, *command->verb ? " " : "", command->verb);
        return s_refuse_option(tables, argv[0], help, error);
    }
    const bool inlined = *end == '=';
    if (!option->argument) {
        if (inlined)
            return rmt_fail(error, RMT_E_USAGE, "--%s takes no value", option->name);
        rmt_record_set(call->options, option->name, "yes");
        return 1;
    }
    const char *value = inlined ? end + 1 : argc > 1 ? argv[1] : NULL;
    if (!value || (!inlined && strncmp(value, "--", 2) == 0))
        return rmt_fail(error, RMT_E_USAGE, "--%s needs %s", option->name,
                        option->argument);
    s_set_option(call, option, value);
    if (strcmp(option->name, "token") == 0)
        s_hide(value);
    return inlined ? 1 : 2;
}

int
command_parse(call_t *call, int argc, char **argv, rmt_error_t *error)
{
    const command_t *command = call->command;
    call->operands = argv;
    int i = 0;
    bool plain = false;
    while (i < argc) {
        if (!plain && strcmp(argv[i], "--") == 0) {
            plain = true;
            i++;
        } else if (!plain && argv[i][0] == '-' && argv[i][1]) {
            const int used = s_parse_option(call, argc - i, argv + i, error);
            if (used == -1)
                return -1;
            i += used;
        } else {
            call->operands[call->operand_count++] = argv[i++];
        }
    }
    if (view_read(&call->view, call->options, error) == -1)
        return -1;
    call->json = call->view.format == VIEW_JSON;
    call->config_path = rmt_record_text(call->options, "config", NULL);
    const int count = (int) call->operand_count;
    if (count < command->operand_min ||
        (command->operand_max >= 0 && count > command->operand_max)) {
        rmt_auto_str usage = s_usage(command);
        return rmt_fail(error, RMT_E_USAGE, "%s", usage);
    }
    return 0;
}

static void
s_print_options(const option_t *options)
{
    for (const option_t *row = options; row && row->name; row++) {
        char left[64];
        snprintf(left, sizeof left, "--%s %s", row->name,
                 row->argument ? row->argument : "");
        printf("  %-28s %s\n", left, row->help);
    }
}

void
command_print_help(const command_t *command)
{
    rmt_auto_str usage = s_usage(command);
    printf("%s [OPTION]...\n\n%s\n\nOptions:\n", usage, command->help);
    const option_t *tables[TABLE_COUNT];
    s_tables_of(command, tables);
    s_print_options(tables[0]);
    s_print_options(tables[2]);
    s_print_options(tables[1]);
}

// The size of the first sentence; a point in a word (FILE.pub) does not end it.
static size_t
s_first_sentence(const char *text)
{
    size_t size = strcspn(text, ".\n");
    while (text[size] == '.' && !strchr(" \n", text[size + 1]))
        size += 1 + strcspn(text + size + 1, ".\n");
    return size;
}

void
command_print_overview(const char *noun)
{
    puts("usage: ramet NOUN VERB [WORD]... [OPTION]...\n");
    for (size_t t = 0; command_tables[t]; t++) {
        for (const command_t *row = command_tables[t]; row->noun; row++) {
            if (noun && strcmp(noun, row->noun) != 0)
                continue;
            char left[64];
            snprintf(left, sizeof left, "%s %s %s", row->noun, row->verb, row->operands);
            printf("  %-44s %.*s\n", left, (int) s_first_sentence(row->help), row->help);
        }
    }
    puts("\nramet help NOUN VERB explains a verb and its options.\nExit status: 0 "
         "success, 1 some targets failed, 2 job failed or cancelled, 64 usage,\n69 "
         "unavailable, 75 try again, 77 not allowed, 78 configuration, 124 time-out.");
}
