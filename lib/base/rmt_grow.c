#include "base/rmt_grow.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#define SPACE_FIRST 4

void *
rmt_grown(void *list, size_t *space, size_t wanted, size_t item_size)
{
    assert(wanted > *space);
    // Half of what can be addressed is more than any list, and doubling cannot overflow.
    const size_t most = PTRDIFF_MAX / 2 / item_size;
    if (wanted > most)
        abort();
    size_t grown = *space ? *space : SPACE_FIRST;
    while (grown < wanted)
        grown *= 2;
    list = realloc(list, grown * item_size);
    if (!list)
        abort();
    *space = grown;
    return list;
}

size_t
rmt_grown_space(size_t count)
{
    size_t space = count ? SPACE_FIRST : 0;
    while (space < count)
        space *= 2;
    return space;
}
