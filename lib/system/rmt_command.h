// rmt_command - whether one command line gives a machine an address, a MAC, a name or an
// interface. Private to lib/system. Nothing is run.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define RMT_COMMAND_WORDS_MAX 64

typedef struct {
    const char *words[RMT_COMMAND_WORDS_MAX];
    bool dynamic[RMT_COMMAND_WORDS_MAX]; // Known only when it runs
    size_t count;
} rmt_command_t;

// What the command does that belongs to one machine, such as "sets address 10.0.0.5/24",
// in what_out; false for nothing. is_strict: also where the value is only known when it
// runs, which a script of a package may do and a local one does not without reason.
bool rmt_command_judge(const rmt_command_t *command, bool is_strict, char *what_out,
                       size_t what_size);
