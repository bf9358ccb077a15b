// rmt_map - finds an item of a list by its key.
//
// A map holds no keys and no items. The caller keeps the items in a list that only gets
// longer, gives the hash of each in the order of the list, and tells whether an item has
// the key that is looked for. So keys have any size, and no memory of their own.
//
// Open addressing: a cell holds a hash and the number of an item, and at most half of
// them are taken. A search asks has_key of items with the same hash alone, and growing
// asks of none. One thread. On an overflow, and when memory is out, it aborts.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RMT_MAP_NONE SIZE_MAX

// All zero is an empty map.
typedef struct {
    uint64_t *cells;   // Hash, and number + 1 in the lower half; 0 is a free cell
    size_t cell_count; // A power of two, or 0
    size_t count;      // Of the items
} rmt_map_t;

// Does the item with this number have the key?
typedef bool(rmt_map_has_key_fn)(const void *list, size_t number, const void *key);

// The number of the item with this key and the hash of it, or RMT_MAP_NONE.
size_t rmt_map_find(const rmt_map_t *self, uint32_t hash, rmt_map_has_key_fn *has_key,
                    const void *list, const void *key);
// Note the next item, whose key is not there yet: they are numbered from 0.
void rmt_map_add(rmt_map_t *self, uint32_t hash);
// Forget all items and keep the memory, for a list that begins again.
void rmt_map_empty(rmt_map_t *self);
// The map is empty again, and has no memory.
void rmt_map_clear(rmt_map_t *self);
