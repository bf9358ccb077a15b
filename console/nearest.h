// nearest - the word of a list that a mistyped word was meant to be.
#pragma once

#include <stddef.h>

// A search: the best word so far.
typedef struct {
    const char *wanted;
    const char *best; // NULL: none is near enough. Borrowed from nearest_try
    size_t distance;
} nearest_t;

// Compare one word of the list. A word is near when few letters differ, or when it begins
// with the wanted one.
void nearest_try(nearest_t *self, const char *word);
