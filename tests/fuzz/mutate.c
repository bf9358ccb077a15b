// Runs a fuzz driver over the files of its corpus and, from each, RAMET_MUTATIONS
// mutations that are the same in every run, where libFuzzer is not at hand. Exit 1
// without a corpus.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t
s_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 16;
}

// Exact copies, so that sanitizers see a byte read too far.
static void
s_try(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        abort();
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void
s_mutate(const uint8_t *data, size_t size)
{
    uint64_t state = 0x72616d65742d6631 + size;
    uint8_t *copy = malloc(size + 1);
    if (!copy)
        abort();
    static const uint8_t odd[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    for (int round = 0; round < RAMET_MUTATIONS; round++) {
        memcpy(copy, data, size);
        size_t used = size;
        for (uint64_t i = s_random(&state) % 4 + 1; i > 0; i--) {
            uint8_t *place = &copy[1 + s_random(&state) % (size - 1)];
            const uint64_t kind = s_random(&state) % 3;
            if (kind == 0)
                *place ^= (uint8_t) (1 << s_random(&state) % 8);
            else if (kind == 1)
                *place = odd[s_random(&state) % sizeof odd];
            else
                used = used > 2 ? 1 + s_random(&state) % used : used;
        }
        s_try(copy, used);
    }
    free(copy);
}

int
main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++) {
        struct dirent **entries = NULL;
        const int found = scandir(argv[i], &entries, NULL, alphasort);
        for (int at = 0; at < found; at++) {
            rmt_auto_str path = rmt_text("%s/%s", argv[i], entries[at]->d_name);
            rmt_auto_ptr data = NULL;
            size_t size = 0;
            rmt_error_t error;
            if (entries[at]->d_name[0] != '.' &&
                rmt_io_load(path, 1 << 20, &data, &size, &error) == 0 && size > 1) {
                s_try(data, size);
                s_mutate(data, size);
                count++;
            }
            free(entries[at]);
        }
        free(entries);
    }
    printf("%d inputs replayed\n", count);
    return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
