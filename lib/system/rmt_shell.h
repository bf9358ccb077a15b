// rmt_shell - the words of a shell's text, without running it. Private to lib/system.
#pragma once

#include <stdbool.h>
#include "system/rmt_netscan.h"

typedef enum { RMT_SHELL_WORD, RMT_SHELL_MARK, RMT_SHELL_EOF } rmt_shell_kind_t;

typedef struct {
    char *rest;
    char held;     // What was at rest before the word was ended there; 0 for none
    unsigned at;   // Line of rest
    unsigned line; // Where the word began
    char *word;    // Without its quotes; valid as long as the text
    bool is_quoted;
    bool is_dynamic; // Has $ or ` outside of '': its value is known when it runs
    bool is_open;    // A quote that has no end was met
    char mark;       // \n ; & | ( ) { } < >
} rmt_shell_t;

// Begin with a text, which is changed while it is read, and borrowed. NULL has no words.
void rmt_shell_begin(rmt_shell_t *self, char *text);
rmt_shell_kind_t rmt_shell_next(rmt_shell_t *self);

typedef struct {
    const char *path;
    unsigned line;
    const char *name;  // Of the variable; "" for a word that sets none
    const char *value; // One of several of an array
    bool is_dynamic;
} rmt_shell_set_t;

typedef int(rmt_shell_fn)(void *context, rmt_netscan_t *scan, const rmt_shell_set_t *set);

// Load a file of settings and give each variable that it sets to take, and each other
// word. A quote without an end refuses the plan. 0, or -1.
int rmt_shell_read(rmt_netscan_t *scan, const char *path, rmt_shell_fn *take,
                   void *context);
