// rmt_scrub - re-hash every pack of a store, slowly, and quarantine damaged packs.
//
// Packs are read one after the other in the order of their names, past the cache. A pack
// in which something is damaged, twice in a row, is quarantined: its sound chunks are
// stored again elsewhere, it is left out of the indexes, then moved to quarantine/. So a
// damaged chunk counts as missing from then on, and the next capture that has it stores
// it anew. A pack of which the disk refuses to read something stays: it may be whole.
// Where a run was cut short the next one goes on. Readers and writers go on meanwhile.
#pragma once

#include "store/rmt_store.h"

#define RMT_SCRUB_QUARANTINE "quarantine" // Folder of the packs that were put aside

typedef struct {
    uint64_t rate; // Bytes a second; 0: as fast as it goes
    bool again;    // From the start, not where the last run was cut short
    const rmt_store_watch_t *watch; // May be NULL
} rmt_scrub_options_t;

// Since the start of the run, with what was done before it was cut short.
typedef struct {
    uint64_t packs, chunks, bytes; // Read; stored bytes
    uint64_t damaged;              // Chunks, and packs whose lists are damaged
    uint64_t unread;      // Chunks and lists that the disk refuses to read; of this run
    uint64_t quarantined; // Packs put aside
    uint64_t rescued;     // Sound chunks of these, stored again
    uint64_t missing;     // Chunks that images lack at the end
    uint64_t resumed;     // Packs that were done before
} rmt_scrub_report_t;

// Run to the end. Each damaged chunk is a finding, and at the end each file of an image
// that lacks a chunk. 0 even then, -1: UNAVAILABLE (another scrub runs), IO, NO_SPACE,
// CANCELLED.
int rmt_store_scrub(rmt_store_t *self, const rmt_scrub_options_t *options,
                    rmt_scrub_report_t *report_out, rmt_error_t *error);
