// netscan_table - tables of files, and what a plan of the network makes of each.
#pragma once

#include "base/rmt_error.h"
#include "base/rmt_record.h"

typedef enum {
    GONE,    // Taken away
    KEPT,    // Not touched, nor hidden by the path in want
    HIDDEN,  // By a link of the path in want to /dev/null
    EDITED,  // Written with the text in want
    REFUSED, // The plan is, and says PATH:want
} netscan_fate_t;

typedef struct {
    const char *path;
    const char *text;
    netscan_fate_t fate;
    const char *want;
} netscan_row_t;

// An empty system in which NetworkManager is in force, in the tree of root_tree.
void netscan_make_stack(void);

// Plan the network of the tree for the words of a target's record. Returns what
// rmt_network_plan does.
int netscan_plan(const char *target, rmt_records_t *actions, rmt_error_t *error_out);

// What is planned for a path: "remove", "write", "link" or "".
const char *netscan_class(const rmt_records_t *actions, const char *path);

// Try each row in a tree of its own; fails the test.
void netscan_try(void **state, const netscan_row_t *rows, size_t count);
#define TRY(state, rows) netscan_try(state, rows, sizeof(rows) / sizeof *(rows))

#define TARGET "class=target name=a address=10.0.0.17/24 mac=52:54:00:ab:cd:ef"
#define ND "etc/systemd/network/"
#define NM "etc/NetworkManager/system-connections/"
#define RH "etc/sysconfig/network-scripts/"
