// rmt_grow - arrays that get longer.
//
// An array gets longer by doubling, so that adding costs the same at any length. The
// sizes are checked: on an overflow, and when memory is out, it aborts. New items are not
// set.
#pragma once

#include <stddef.h>

// Make space for `wanted` items in all. *list is the array or NULL, and becomes the
// longer one; *space is the number of items that there is space for, 0 for NULL. Both
// stay as they are when there is space already.
#define rmt_grow(list, space, wanted)                                                    \
    do {                                                                                 \
        size_t *const space_ = (space);                                                  \
        const size_t wanted_ = (wanted);                                                 \
        if (wanted_ > *space_)                                                           \
            *(list) = rmt_grown(*(list), space_, wanted_, sizeof **(list));              \
    } while (0)

// Make space for one item behind `count` items, in an array without a size of its own:
// one that only this macro makes longer, and nothing makes shorter.
#define rmt_grow_one(list, count)                                                        \
    do {                                                                                 \
        const size_t count_ = (count);                                                   \
        size_t space_ = rmt_grown_space(count_);                                         \
        if (count_ == space_)                                                            \
            *(list) = rmt_grown(*(list), &space_, count_ + 1, sizeof **(list));          \
    } while (0)

// What the macros call: the array with more space, which is more than *space.
void *rmt_grown(void *list, size_t *space, size_t wanted, size_t item_size);
// The space of an array of `count` items that was made longer one by one.
size_t rmt_grown_space(size_t count);
