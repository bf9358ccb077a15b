#include "console/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const option_t command_common[] = {
    {"json", NULL, "print JSON (schema ramet/v1)"},
    {"config", "FILE",
     "file with brokers and key; default $RAMET_CONFIG, then /etc/ramet/console.cfg"},
    {"help", NULL, "print this help"},
    {NULL, NULL, NULL},
};

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

static const option_t *
s_find_option(const option_t *options, const char *name, size_t size)
{
    for (const option_t *row = options; row && row->name; row++) {
        if (strlen(row->name) == size && strncmp(row->name, name, size) == 0)
            return row;
    }
    return NULL;
}

// All users of this computer can read a command line: a secret leaves it at once.
static void
s_hide(const char *value)
{
    memset((char *) value, 'x', strlen(value));
}

// Values in which a comma may stand.
static bool
s_is_one_a_line(const char *name)
{
    static const char *const names[] = {"exclude", "ignore", "without"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

// One "--name", "--name=value" or "--name value"; tells how many words it took.
static int
s_parse_option(call_t *call, int argc, char **argv, rmt_error_t *error)
{
    const char *name = argv[0] + 2;
    const size_t size = strcspn(name, "=");
    const option_t *option = s_find_option(call->command->options, name, size);
    if (!option)
        option = s_find_option(command_common, name, size);
    if (!option)
        return rmt_fail(error, RMT_E_USAGE,
                        "unknown option --%.*s; see: ramet %s %s --help", (int) size,
                        name, call->command->noun, call->command->verb);
    const bool inlined = name[size] == '=';
    if (!option->argument) {
        if (inlined)
            return rmt_fail(error, RMT_E_USAGE, "--%s takes no value", option->name);
        rmt_record_set(call->options, option->name, "yes");
        return 1;
    }
    const char *value = inlined ? name + size + 1 : argc > 1 ? argv[1] : NULL;
    if (!value || (!inlined && strncmp(value, "--", 2) == 0))
        return rmt_fail(error, RMT_E_USAGE, "--%s needs %s", option->name,
                        option->argument);
    // Given twice, values are joined: --engine a --engine b is --engine a,b.
    const char *before = rmt_record_text(call->options, option->name, NULL);
    if (before) {
        const char joint = s_is_one_a_line(option->name) ? '\n' : ',';
        char *joined = NULL;
        if (asprintf(&joined, "%s%c%s", before, joint, value) == -1)
            abort();
        rmt_record_set(call->options, option->name, joined);
        free(joined);
    } else {
        rmt_record_set(call->options, option->name, value);
    }
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
        } else if (!plain && strncmp(argv[i], "--", 2) == 0) {
            const int used = s_parse_option(call, argc - i, argv + i, error);
            if (used == -1)
                return -1;
            i += used;
        } else {
            call->operands[call->operand_count++] = argv[i++];
        }
    }
    call->json = rmt_record_has(call->options, "json");
    call->config_path = rmt_record_text(call->options, "config", NULL);
    if (rmt_record_has(call->options, "help"))
        return 0;
    const int count = (int) call->operand_count;
    if (count < command->operand_min ||
        (command->operand_max >= 0 && count > command->operand_max))
        return rmt_fail(error, RMT_E_USAGE, "usage: ramet %s %s %s", command->noun,
                        command->verb, command->operands);
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
    printf("usage: ramet %s %s %s [OPTION]...\n\n%s\n\nOptions:\n", command->noun,
           command->verb, command->operands, command->help);
    s_print_options(command->options);
    s_print_options(command_common);
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
    puts("\nramet NOUN VERB --help explains a verb and its options.\nExit status: 0 "
         "success, 1 some targets failed, 2 job failed or cancelled, 64 usage,\n69 "
         "unavailable, 75 try again, 77 not allowed, 78 configuration, 124 time-out.");
}
