// cases - the trees of the fidelity tests: each is made on a file system, imaged, written
// to another, and must be the same there, or be refused in so many words.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "stage.h"

#define ON_EXT4 (1u << STAGE_EXT4)
#define ON_XFS (1u << STAGE_XFS)
#define ON_BTRFS (1u << STAGE_BTRFS)

typedef struct {
    unsigned number; // Of docs/fidelity.md
    const char *name;
    void (*make)(int root);
    void (*check)(int copy); // By other means than the comparison; NULL: none
    unsigned sources;        // File systems on which it can be made; 0: all
    unsigned refused;        // File systems that cannot hold it
    const char *words;       // Of the refusal, beside path and file system
    bool is_large;           // Once from and once to each file system is enough
} fidelity_case_t;

typedef struct {
    const fidelity_case_t *items;
    size_t count;
} fidelity_cases_t;

extern const fidelity_cases_t cases_names, cases_contents, cases_attributes;
