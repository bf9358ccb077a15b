// ramet - the console: asks the broker, shows what it says.
#include "console/command.h"
#include "base/rmt_auto.h"
#include "base/rmt_log.h"
#include "base/rmt_signals.h"
#include "base/rmt_process.h"

#include <stdio.h>
#include <string.h>

static int
s_run(call_t *call, int argc, char **argv, rmt_error_t *error)
{
    if (command_parse(call, argc, argv, error) == -1)
        return -1;
    if (rmt_record_has(call->options, "help")) {
        command_print_help(call->command);
        return 0;
    }
    return call->command->run(call, error);
}

static int
s_refuse_words(const char *noun, const char *verb)
{
    if (!command_find(noun, NULL))
        fprintf(stderr, "ramet: the noun \"%s\" does not exist; see: ramet --help\n",
                noun);
    else if (verb)
        fprintf(stderr, "ramet: %s has no verb \"%s\"; see: ramet %s --help\n", noun,
                verb, noun);
    else
        command_print_overview(noun);
    return 64;
}

int
main(int argc, char **argv)
{
    rmt_process_keep_secrets();
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("ramet " RMT_VERSION);
        return 0;
    }
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        command_print_overview(NULL);
        return argc < 2 ? 64 : 0;
    }
    // "ramet doctor" has no verb of its own.
    const bool single = command_find(argv[1], "") != NULL;
    const char *verb = single ? "" : argc > 2 ? argv[2] : NULL;
    if (verb && strcmp(verb, "--help") == 0 && command_find(argv[1], NULL)) {
        command_print_overview(argv[1]);
        return 0;
    }
    call_t call = {.command = verb ? command_find(argv[1], verb) : NULL};
    if (!call.command)
        return s_refuse_words(argv[1], verb);
    zsys_init();
    zsys_handler_set(NULL);
    zsys_set_linger(2000);
    call.options = rmt_record_new();
    rmt_error_t error = {0};
    const int skip = single ? 2 : 3;
    int status = s_run(&call, argc - skip, argv + skip, &error);
    if (status == -1) {
        char safe[1024];
        fprintf(stderr, "ramet: %s\n", rmt_log_escape(safe, sizeof safe, error.text));
        status = rmt_code_exit(error.code);
    }
    call_close(&call);
    return status;
}
