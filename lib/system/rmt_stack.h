// rmt_stack - the network stack that a tree really uses, and how it is told settings.
// Private to lib/system.
#pragma once

#include <stdbool.h>
#include "facts/rmt_network.h"
#include "base/rmt_record.h"

typedef struct {
    // netplan networkmanager networkd ifupdown none; or one that is found and not
    // carried: wicked connman ifcfg
    const char *name;
    bool is_enabled;  // Else it is only there, and nothing else is
    bool is_plain;    // ifupdown that knows no patterns, as that of busybox
    bool is_managed;  // netplan that hands on to NetworkManager
    unsigned systemd; // Version of systemd; 0 for unknown
    bool is_alone; // ifupdown must not read interfaces.d: a file there is none of its own
    bool has_main; // ifupdown's main file sets more than lo
    char first[16]; // Name of the image's first interface; "" for unknown
} rmt_stack_t;

// Tell the stack in force by enabled units and by files. 0, or -1: what rmt_rooted_load
// says.
int rmt_stack_look(int root_fd, rmt_stack_t *stack_out, rmt_error_t *error);

// Whether a stack of this name can be told settings; "none" has nothing to be told.
bool rmt_stack_is_carried(const char *name);

// Whether it knows interfaces by name alone.
bool rmt_stack_is_by_name(const rmt_stack_t *stack);

// Append the writing of the stack's files for these settings. The stack is carried.
void rmt_stack_write(const rmt_stack_t *stack, const rmt_network_t *network,
                     rmt_records_t *actions);
