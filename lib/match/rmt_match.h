// rmt_match - does a computer fit the hardware that an image was made on?
//
// One table rules (docs/spec/3-facts.md, "Matching"): each component has a default policy
// and those it takes. Pure: no I/O but what a given finder of drivers does. An instance
// holds the image's side, is made once, and judges any number of targets; it belongs to
// one thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"
#include "facts/rmt_layout.h"

typedef struct rmt_match rmt_match_t;

// How the image's own kernel finds a driver for a name (a modalias, or fs-ext4).
typedef enum {
    RMT_SERVED_NOT,   // It has none
    RMT_SERVED_LATE,  // By a module that its initramfs lacks, or needs one that it lacks
    RMT_SERVED_EARLY, // By modules that its initramfs holds
    RMT_SERVED_BUILTIN, // By itself
} rmt_served_t;

typedef struct {
    // Also gives the module's name, borrowed until the next call ("" for none). known:
    // the module that drives the device on the target ("" for none): kernels do not tell
    // by which names their built-in drivers are found, but they tell those drivers.
    rmt_served_t (*find)(void *context, const char *name, const char *known,
                         const char **module_out);
    void *context;
    const char *kernel; // That the image starts: its version, and what else is to be said
} rmt_match_drivers_t;

typedef struct {
    const rmt_records_t *hardware;      // Of the image
    const rmt_layout_t *layout;         // Of the image; may be NULL
    const rmt_match_drivers_t *drivers; // NULL: the image tells nothing of its kernel
    // As rmt_policy_parse gives it: component -> rule, and "disk.<role>" -> the wwn,
    // serial, path or name of the target's disk for this role. May be NULL.
    const rmt_record_t *policy;
    bool explain; // A verdict for each compared fact, not only for each component
} rmt_match_config_t;

// Borrows all that config names until the end. Caller owns the result.
rmt_match_t *rmt_match_new(const rmt_match_config_t *config);
void rmt_match_destroy(rmt_match_t **self_p);

// Compare a target's hardware. Caller owns the result, which holds:
//   class=verdict {component, policy, wanted, had, fits yes|no, reason, [role], [fact]}
//   class=choice {role, disk, name, bytes}     where each role's disk is clear
//   class=candidate {role, disk, name, bytes}  where it is not
// *fits_out is true when every verdict fits.
rmt_records_t *rmt_match_target(rmt_match_t *self, const rmt_records_t *hardware,
                                bool *fits_out);

// Why an image must not go to a machine (records of class disk and content) when it is
// written to the chosen disks (records with their name): one of the others holds a layer
// (LVM, md, LUKS) with the name or id of one in the image. Caller owns the text (free),
// NULL: none.
char *rmt_match_twins(const rmt_layout_t *layout, const rmt_records_t *machine,
                      const rmt_records_t *chosen);

// The other disks that have a partition with a GUID of the image, such as an older copy:
// "IDENTITY (/dev/NAME), ...". Caller owns the text (free), NULL: none.
char *rmt_match_copies(const rmt_layout_t *layout, const rmt_records_t *machine,
                       const rmt_records_t *chosen);

// What a disk is known by: its wwn, else serial, else path, else name; "" for none.
const char *rmt_match_disk_identity(const rmt_record_t *disk);
