// Drives a fuzzer where libFuzzer is not at hand: over the files of its corpus, each one
// whole, cut at every byte where it is small, and changed so many times by a
// generator that is the same in every run. Changes leave the first byte, by which many
// fuzzers choose their parser. Exit 1 without a corpus.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#define FILE_SIZE_MAX ((size_t) 1024 * 1024)
#define CUT_SIZE_MAX ((size_t) 512)
#define GROWTH_MAX ((size_t) 256)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long long s_runs, s_mutations;

// Exact copies, so that sanitizers see a byte read too far.
static void
s_try(const uint8_t *data, size_t size)
{
    rmt_auto_ptr exact = malloc(size ? size : 1);
    if (!exact)
        abort();
    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    s_runs++;
}

static uint64_t
s_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 16;
}

// ---- Changes; all keep at least two bytes

typedef size_t(change_fn)(uint8_t *data, size_t size, uint64_t *state);

static uint8_t *
s_place(uint8_t *data, size_t size, uint64_t *state)
{
    return &data[1 + s_random(state) % (size - 1)];
}

static size_t
s_flip(uint8_t *data, size_t size, uint64_t *state)
{
    *s_place(data, size, state) ^= (uint8_t) (1 << s_random(state) % 8);
    return size;
}

static size_t
s_set_odd(uint8_t *data, size_t size, uint64_t *state)
{
    static const uint8_t odd[] = "\0\1\x7f\x80\xff\n\t ,=:/.\"'#%0\\";
    *s_place(data, size, state) = odd[s_random(state) % (sizeof odd - 1)];
    return size;
}

static size_t
s_cut(uint8_t *data, size_t size, uint64_t *state)
{
    const size_t kept = (size_t) (s_place(data, size, state) - data);
    return kept < 2 ? 2 : kept;
}

static size_t
s_leave_out(uint8_t *data, size_t size, uint64_t *state)
{
    uint8_t *from = s_place(data, size, state);
    const size_t left = size - (size_t) (from - data);
    const size_t gap = 1 + s_random(state) % left;
    if (size - gap < 2)
        return size;
    memmove(from, from + gap, left - gap);
    return size - gap;
}

// There is room for GROWTH_MAX bytes more in all.
static size_t
s_repeat(uint8_t *data, size_t size, uint64_t *state)
{
    uint8_t *from = s_place(data, size, state);
    const size_t left = size - (size_t) (from - data);
    size_t piece = 1 + s_random(state) % (GROWTH_MAX / 4);
    piece = piece < left ? piece : left;
    memmove(from + piece, from, left);
    return size + piece;
}

static void
s_mutate(const uint8_t *data, size_t size)
{
    static change_fn *const changes[] = {s_flip, s_set_odd,   s_flip,  s_set_odd,
                                         s_cut,  s_leave_out, s_repeat};
    uint64_t state = 0x72616d65742d6631 + size;
    rmt_auto_ptr copy = malloc(size + GROWTH_MAX);
    if (!copy)
        abort();
    for (unsigned long long round = 0; round < s_mutations; round++) {
        memcpy(copy, data, size);
        size_t used = size;
        for (uint64_t i = s_random(&state) % 4 + 1; i > 0; i--) {
            const size_t kind = s_random(&state) % (sizeof changes / sizeof *changes);
            used = changes[kind](copy, used, &state);
        }
        s_try(copy, used);
    }
}

static int
s_replay(const char *path)
{
    rmt_error_t error = {0};
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    if (rmt_io_load(path, FILE_SIZE_MAX, &data, &size, &error) == -1) {
        fprintf(stderr, "error: %s\n", error.text);
        return -1;
    }
    s_try(data, size);
    for (size_t cut = 0; size <= CUT_SIZE_MAX && cut < size; cut++)
        s_try(data, cut);
    if (size >= 2)
        s_mutate(data, size);
    return 0;
}

int
main(int argc, char **argv)
{
    struct dirent **entries = NULL;
    const int found = argc == 3 ? scandir(argv[2], &entries, NULL, alphasort) : -1;
    if (found == -1) {
        fprintf(stderr, "usage: %s MUTATIONS CORPUS\n", argv[0]);
        return EXIT_FAILURE;
    }
    s_mutations = strtoull(argv[1], NULL, 10);
    int count = 0, rc = 0;
    for (int i = 0; i < found; i++) {
        rmt_auto_str path = rmt_text("%s/%s", argv[2], entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') {
            rc |= s_replay(path);
            count++;
        }
        free(entries[i]);
    }
    free(entries);
    printf("%d inputs, %llu runs\n", count, s_runs);
    return rc || count == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
