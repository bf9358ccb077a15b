#include "installer/descriptor.h"
#include "base/rmt_auto.h"
#include "exchange/rmt_closure.h"
#include "wire/rmt_codec.h"
#include "store/rmt_store.h"

#include <stdlib.h>

rmt_records_t *
installer_descriptor(const rmt_holder_t *holder, const char *image_text,
                     rmt_error_t *error)
{
    rmt_id_t image;
    if (rmt_id_parse(&image, image_text, error) == -1) {
        rmt_wrap(error, "image");
        return NULL;
    }
    rmt_auto(rmt_store) store = rmt_store_new(rmt_holder_store(holder), false, error);
    rmt_auto_ptr plain = malloc(RMT_CHUNK_PLAIN_MAX);
    size_t size;
    if (!store || rmt_closure_from_store(store, &image, plain, &size, error) == -1) {
        rmt_wrap(error, "image at %s", rmt_holder_place(holder));
        return NULL;
    }
    return rmt_codec_unpack_records(plain, size, RMT_CHUNK_PLAIN_MAX, error);
}
