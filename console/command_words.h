// command_words - from the words of a command line to a verb, wherever its options stand.
#pragma once

#include "console/command.h"

// The words of a command line, sorted: its noun, its verb, and all others in their order.
// "help" and what it names, --help, -h, --version, -V and --print-config are taken out.
typedef struct {
    const char *noun, *verb; // NULL: not given
    char **rest;             // Space of the caller
    int rest_count;
    bool is_help, is_version, is_print;
} command_words_t;

// Sort the words behind the program's name; rest has space for argc words.
// 0, or -1: USAGE for an option before the verb that every verb does not have.
int command_words_sort(command_words_t *self, int argc, char **argv, rmt_error_t *error);

// The row of noun and verb. NULL: USAGE, with the nearest command.
const command_t *command_words_find(const command_words_t *self, rmt_error_t *error);
