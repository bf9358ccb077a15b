// rmt_match_run - one comparison under way. Private to lib/match.
#pragma once

#include "match/rmt_match.h"

typedef struct {
    char **keys; // Sorted
    size_t count;
} rmt_match_set_t;

typedef struct rmt_match_row rmt_match_row_t;
typedef struct rmt_match_run rmt_match_run_t;
typedef void rmt_match_compare_t(rmt_match_run_t *run, const rmt_match_row_t *row);

struct rmt_match_row {
    const char *component;
    const char *class;            // Class of the records that are compared
    const char *field;            // Number to compare, or prefix of the PCI class
    rmt_match_compare_t *compare; // NULL: compared with the disks
};

#define RMT_MATCH_ROWS_MAX 20

struct rmt_match_run {
    const rmt_match_config_t *image;
    const rmt_match_set_t *sets; // Of the image, one a row
    const rmt_match_row_t *rows;
    size_t row_count;
    const char *const *policies; // In force, one a row
    const rmt_records_t *target;
    rmt_records_t *verdicts;
    bool fits;
    const rmt_record_t *root_disk; // Of the target; NULL until it is chosen
};

// Append a verdict; reason may be NULL when it fits. Returns the record.
rmt_record_t *rmt_match_verdict(rmt_match_run_t *run, const char *component,
                                const char *wanted, const char *had, bool fits,
                                const char *reason);

// The policy in force for a component, and whether it is this one.
const char *rmt_match_policy(const rmt_match_run_t *run, const char *component);
bool rmt_match_is(const rmt_match_run_t *run, const char *component, const char *policy);

// Text of a field, "" for no record or none.
const char *rmt_match_text(const rmt_record_t *record, const char *name);
bool rmt_match_has_word(const char *words, const char *word);
// "1073741824 bytes (1.0 GiB)".
char *rmt_match_bytes(uint64_t bytes);

// rmt_match_parts.c
rmt_match_compare_t rmt_match_cpu, rmt_match_features, rmt_match_number;
rmt_match_compare_t rmt_match_firmware, rmt_match_secure_boot;

// rmt_match_sets.c: the devices of a row as a sorted multiset.
rmt_match_compare_t rmt_match_devices;
rmt_match_set_t rmt_match_set_new(const rmt_records_t *records,
                                  const rmt_match_row_t *row, bool family);
void rmt_match_set_clear(rmt_match_set_t *set);

// rmt_match_disks.c: give each disk role of the image a disk of the target.
void rmt_match_disks(rmt_match_run_t *run);
// The image's volume that is mounted on /; NULL when its layout does not tell.
const rmt_layout_volume_t *rmt_match_root(const rmt_match_run_t *run);

// rmt_match_sizes.c: what the volumes of a role need and get on a disk of so many bytes.
void rmt_match_volumes(rmt_match_run_t *run, const char *role, uint64_t bytes);

// rmt_match_twins.c: what the disks hold that no role has; after the disks.
void rmt_match_other_disks(rmt_match_run_t *run);

// rmt_match_drivers.c: after the disks.
rmt_match_compare_t rmt_match_driver, rmt_match_root_driver;
