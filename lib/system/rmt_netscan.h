// rmt_netscan - what the files of a tree say of the network of the machine that it comes
// from. Private to lib/system.
//
// Every format that can give a machine an address, a MAC, the key of a tunnel or a name
// is read by its own grammar (docs/spec/3-facts.md, "Settings of the image's machine").
// A finding is one of four: a file or line that belongs to that machine and is taken
// away; a file of a package that is hidden; a shape (bond, VLAN, bridge, tunnel) that a
// plain interface cannot stand for; and what ramet cannot take away or read, which
// refuses the plan. Nothing is written and nothing is run.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"

typedef struct {
    int root_fd;
    bool is_known;          // A stack that ramet can tell settings is in force
    bool is_odd;            // interfaces.d has a file that ifupdown did not read
    bool has_main;          // The main file of ifupdown sets more than lo
    rmt_records_t *actions; // Taken away, hidden, written without a line
    rmt_records_t *shapes;  // {kind, name}
    char first[16];         // The first interface that ifupdown sets; "" for none
    char renderer[32];      // The last one that netplan's files name; "" for none
    char refusal[480];      // The first thing that refuses the plan; "" for none
    rmt_error_t *error;
} rmt_netscan_t;

// Look at all formats. Borrows actions. 0, or -1: what rmt_rooted_load says.
int rmt_netscan_run(rmt_netscan_t *self, int root_fd, bool is_known,
                    rmt_records_t *actions, rmt_error_t *error);
void rmt_netscan_end(rmt_netscan_t *self);

// The same of some formats only, for what they say of the stack in force: first, is_odd,
// has_main and renderer are set, and nothing else is kept. 0, or -1.
int rmt_netscan_glance(rmt_netscan_t *self, int root_fd, rmt_error_t *error);

// The shapes as one text, such as "bond bond0, vlan bond0.20"; "" for none. Caller owns
// the result.
char *rmt_netscan_shapes(const rmt_netscan_t *self);

// ---- For the readers of formats

// One format. 0, or -1 with self->error.
typedef int(rmt_netscan_fn)(rmt_netscan_t *self);
rmt_netscan_fn rmt_netscan_ifupdown, rmt_netscan_networkd, rmt_netscan_manager,
    rmt_netscan_netplan, rmt_netscan_ifcfg, rmt_netscan_rc, rmt_netscan_dhcp,
    rmt_netscan_tunnels, rmt_netscan_scripts, rmt_netscan_boot;

// One file of a folder.
typedef int(rmt_netscan_file_fn)(rmt_netscan_t *self, const char *path);

// Each regular file or symlink of a folder whose name is like a pattern of fnmatch.
int rmt_netscan_each(rmt_netscan_t *self, const char *folder, const char *pattern,
                     rmt_netscan_file_fn *read);

// Which files of which folder are read by what.
typedef struct {
    const char *folder, *pattern;
    rmt_netscan_file_fn *read;
} rmt_netscan_row_t;
int rmt_netscan_rows(rmt_netscan_t *self, const rmt_netscan_row_t *rows, size_t count);

// The text of a file: what an earlier action writes there, else what the tree has. NULL
// for no regular file, for one that is taken away, and for one with a NUL byte, which
// refuses the plan. Caller owns *text_out (free). 0, or -1.
int rmt_netscan_load(rmt_netscan_t *self, const char *path, char **text_out);

// The file belongs to the machine; line 0: all of it. `why` is a sentence without its
// subject, such as "sets address 10.0.0.5". Without a known stack it refuses the plan.
void rmt_netscan_take(rmt_netscan_t *self, const char *path, unsigned line,
                      const char *why, const char *what);
// The same; below another folder than `own` the file belongs to a package, and a link of
// its name in `own` to /dev/null hides it.
void rmt_netscan_hide(rmt_netscan_t *self, const char *path, unsigned line,
                      const char *why, const char *own);
// Write the file without what belongs to the machine.
void rmt_netscan_write(rmt_netscan_t *self, const char *path, unsigned mode,
                       const char *text);
void rmt_netscan_shape(rmt_netscan_t *self, const char *kind, const char *name);
// Refuse the plan; the first refusal stays.
void rmt_netscan_refuse(rmt_netscan_t *self, const char *path, unsigned line,
                        const char *format, ...) __attribute__((format(printf, 4, 5)));

// Whether a word is an IP address of a machine, with or without a length: not that of the
// loopback, and not 0.0.0.0.
bool rmt_netscan_is_address(const char *word);
// Whether a word is a MAC that one interface can have.
bool rmt_netscan_is_mac(const char *word);
