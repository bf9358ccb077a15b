// ramet-manifest-size STORE IMAGE-ID: plain bytes of an image's manifests and descriptor.
#include <stdio.h>
#include <stdlib.h>
#include "base/rmt_auto.h"
#include "exchange/rmt_closure.h"
#include "store/rmt_store.h"

typedef struct {
    rmt_store_t *store;
    uint64_t bytes;
} s_sum_t;

// The closure asks its source for descriptor and manifest chunks alone.
static int
s_source(void *context, const rmt_id_t *id, void *plain_out, size_t *size_out,
         rmt_error_t *error)
{
    s_sum_t *self = context;
    if (rmt_closure_from_store(self->store, id, plain_out, size_out, error) == -1)
        return -1;
    self->bytes += *size_out;
    return 0;
}

int
main(int argc, char **argv)
{
    rmt_error_t error = {0};
    rmt_id_t image;
    if (argc != 3 || rmt_id_parse(&image, argv[2], &error) == -1) {
        fprintf(stderr, "usage: ramet-manifest-size STORE IMAGE-ID\n");
        return 64;
    }
    rmt_auto(rmt_store) store = rmt_store_new(argv[1], false, &error);
    s_sum_t sum = {.store = store};
    rmt_auto(rmt_closure) closure =
        store ? rmt_closure_new(s_source, &sum, &image, &error) : NULL;
    if (!closure) {
        fprintf(stderr, "ramet-manifest-size: %s\n", error.text);
        return 1;
    }
    printf("%llu\n", (unsigned long long) sum.bytes);
    return 0;
}
