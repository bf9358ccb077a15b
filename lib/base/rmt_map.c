#include "base/rmt_map.h"

#include <stdlib.h>
#include <string.h>

#define CELLS_FIRST 256

static uint64_t
s_cell(uint32_t hash, size_t number)
{
    return (uint64_t) hash << 32 | (number + 1);
}

size_t
rmt_map_find(const rmt_map_t *self, uint32_t hash, rmt_map_has_key_fn *has_key,
             const void *list, const void *key)
{
    if (!self->cells)
        return RMT_MAP_NONE;
    const size_t mask = self->cell_count - 1;
    for (size_t at = hash & mask; self->cells[at]; at = (at + 1) & mask) {
        const uint64_t cell = self->cells[at];
        const size_t number = (uint32_t) cell - 1;
        if (cell >> 32 == hash && has_key(list, number, key))
            return number;
    }
    return RMT_MAP_NONE;
}

static void
s_put(uint64_t *cells, size_t mask, uint64_t cell)
{
    size_t at = (size_t) (cell >> 32) & mask;
    while (cells[at])
        at = (at + 1) & mask;
    cells[at] = cell;
}

static void
s_grow(rmt_map_t *self)
{
    const size_t count = self->cell_count ? self->cell_count * 2 : CELLS_FIRST;
    uint64_t *cells = calloc(count, sizeof *cells);
    if (!cells)
        abort();
    for (size_t i = 0; i < self->cell_count; i++)
        if (self->cells[i])
            s_put(cells, count - 1, self->cells[i]);
    free(self->cells);
    self->cells = cells;
    self->cell_count = count;
}

void
rmt_map_add(rmt_map_t *self, uint32_t hash)
{
    if (self->count == UINT32_MAX / 2)
        abort();
    if ((self->count + 1) * 2 > self->cell_count)
        s_grow(self);
    s_put(self->cells, self->cell_count - 1, s_cell(hash, self->count++));
}

void
rmt_map_empty(rmt_map_t *self)
{
    if (self->cells)
        memset(self->cells, 0, self->cell_count * sizeof *self->cells);
    self->count = 0;
}

void
rmt_map_clear(rmt_map_t *self)
{
    free(self->cells);
    *self = (rmt_map_t){0};
}
