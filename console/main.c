// ramet - the console: asks the broker, shows what it says.
#include "console/command_words.h"
#include "console/field.h"
#include "console/output.h"
#include "base/rmt_auto.h"
#include "base/rmt_signals.h"
#include "base/rmt_process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
s_run(call_t *call, const command_words_t *words, rmt_error_t *error)
{
    call->command = command_words_find(words, error);
    if (!call->command ||
        command_parse(call, words->rest_count, words->rest, error) == -1)
        return -1;
    zsys_init();
    zsys_handler_set(NULL);
    zsys_set_linger(2000);
    return call->command->run(call, error);
}

// What no broker is asked for. The exit status, or -1.
static int
s_explain(const command_words_t *words, rmt_error_t *error)
{
    if (words->is_version) {
        puts("ramet " RMT_VERSION);
        return 0;
    }
    if (words->is_print) {
        call_print_settings(stdout);
        return 0;
    }
    const bool has_row = words->noun && command_find(words->noun, NULL);
    if (!words->noun || (has_row && !words->verb)) {
        command_print_overview(words->noun);
        return words->is_help ? 0 : rmt_code_exit(RMT_E_USAGE);
    }
    const command_t *command = command_words_find(words, error);
    if (command)
        command_print_help(command);
    return command ? 0 : -1;
}

// As an object where the output is one. A word that was refused may stand before --json.
static void
s_print_error(const command_words_t *words, const rmt_error_t *error)
{
    bool is_json = false;
    for (int i = 0; i < words->rest_count; i++)
        is_json |= strcmp(words->rest[i], "--json") == 0 ||
                   strcmp(words->rest[i], "--output=json") == 0 ||
                   (i && strcmp(words->rest[i], "json") == 0 &&
                    (strcmp(words->rest[i - 1], "-o") == 0 ||
                     strcmp(words->rest[i - 1], "--output") == 0));
    rmt_auto_str safe = field_safe(error->text, strlen(error->text));
    if (is_json)
        output_error(error);
    else
        fprintf(stderr, "ramet: %s\n", safe);
}

int
main(int argc, char **argv)
{
    rmt_process_keep_secrets();
    rmt_error_t error = {0};
    rmt_auto_ptr room = calloc((size_t) argc + 1, sizeof *argv);
    command_words_t words = {.rest = room};
    call_t call = {.options = rmt_record_new()};
    int status = command_words_sort(&words, argc - 1, argv + 1, &error);
    if (status == 0 &&
        (words.is_version || words.is_help || words.is_print || !words.verb))
        status = s_explain(&words, &error);
    else if (status == 0)
        status = s_run(&call, &words, &error);
    if (status == -1) {
        s_print_error(&words, &error);
        status = rmt_code_exit(error.code);
    }
    call_close(&call);
    return status;
}
