// command - the table of verbs: one row a verb, from which parsing and help are made.
#pragma once

#include "console/call.h"

typedef struct {
    const char *name;     // Long option without "--"; becomes a field of call->options
    const char *argument; // Name of its argument for help; NULL for a flag
    const char *help;
} option_t;

// The options of every verb: --json, --config and others. Ends with a NULL name.
extern const option_t command_common[];

// Is the word, such as --json or --config=FILE, an option of every verb? Tells whether
// the next word is its value. False: USAGE, with the nearest option.
bool command_common_option(const char *word, bool *has_value_out, rmt_error_t *error);

// Help of the option --timeout.
#define OPTION_TIMEOUT                                                                   \
    "stop waiting after this time, such as 90s, 45m or 2h (exit 124); the job continues"

// Runs a parsed call. Returns the exit status, or -1 with error.
typedef int(command_fn)(call_t *call, rmt_error_t *error);

struct command {
    const char *noun, *verb;
    const char *operands;         // As in the help, "SOURCE [K=V]..."
    int operand_min, operand_max; // max -1: any number
    const char *help;
    command_fn *run;
    const char *wire;           // Verb of the request, for the generic runners
    const char *const *columns; // Fields of the table, NULL-terminated
    const option_t *options;    // Ends with a NULL name
};

// Every verb of the console; ends with a NULL noun.
extern const command_t *const command_tables[];

const command_t *command_find(const char *noun, const char *verb);

// Parse the words beside noun and verb into the call. 0, or -1: USAGE, with the nearest
// option.
int command_parse(call_t *call, int argc, char **argv, rmt_error_t *error);

void command_print_help(const command_t *command);
void command_print_overview(const char *noun); // NULL: all nouns

// Generic runners (command_run.c): one request made from operands and options.
// list: items to a table. show: operand 0 as "name". act: operand 0 as "name",
// fields k=v of further operands; prints one line of success.
int command_run_list(call_t *call, rmt_error_t *error);
int command_run_show(call_t *call, rmt_error_t *error);
int command_run_act(call_t *call, rmt_error_t *error);
