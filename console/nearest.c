#include "console/nearest.h"

#include <stdint.h>
#include <string.h>

#define WORD_MAX 32 // Longer words are no words of the console

static size_t
s_least(size_t a, size_t b)
{
    return a < b ? a : b;
}

// How many letters differ: put in, left out, exchanged, or two that changed places.
static size_t
s_distance(const char *one, const char *other)
{
    const size_t rows = strlen(one), columns = strlen(other);
    if (rows > WORD_MAX || columns > WORD_MAX)
        return SIZE_MAX;
    size_t cost[WORD_MAX + 1][WORD_MAX + 1];
    for (size_t r = 0; r <= rows; r++) {
        for (size_t c = 0; c <= columns; c++) {
            if (r == 0 || c == 0) {
                cost[r][c] = r + c;
                continue;
            }
            const size_t change = one[r - 1] != other[c - 1];
            cost[r][c] = s_least(cost[r - 1][c - 1] + change,
                                 s_least(cost[r - 1][c], cost[r][c - 1]) + 1);
            if (r > 1 && c > 1 && one[r - 1] == other[c - 2] &&
                one[r - 2] == other[c - 1])
                cost[r][c] = s_least(cost[r][c], cost[r - 2][c - 2] + 1);
        }
    }
    return cost[rows][columns];
}

void
nearest_try(nearest_t *self, const char *word)
{
    const size_t size = strlen(self->wanted);
    size_t distance = s_distance(self->wanted, word);
    if (size >= 2 && strncmp(word, self->wanted, size) == 0)
        distance = 0;
    // One letter of three may differ, two of six, three of ten.
    const size_t allowed = size >= 10 ? 3 : size >= 5 ? 2 : 1;
    if (size < 2 || distance > allowed || (self->best && distance >= self->distance))
        return;
    self->best = word;
    self->distance = distance;
}
