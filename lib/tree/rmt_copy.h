// rmt_copy - an entry that lives on its own.
#pragma once

#include "store/rmt_manifest.h"

// Copy an entry and all it points to, but its chunks, into one block: free() frees all.
rmt_entry_t *rmt_copy_entry(const rmt_entry_t *entry);
// Bytes that such a copy has.
size_t rmt_copy_size(const rmt_entry_t *entry);
// Bytes of contents: what the runs cover, or all of the file. 0 for an entry that carries
// none: unreadable, further links, other kinds.
uint64_t rmt_copy_data_size(const rmt_entry_t *entry);
// A copy of so many bytes; never NULL. Caller frees.
void *rmt_copy_bytes(const void *data, size_t size);
