// The descriptor of an image, its records in text form, handed to a store that has none
// of its chunks: it is refused, or it is kept whole. As bytes it need not be records at
// all.
#include <stdint.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "facts/rmt_facts.h"
#include "fuzz/grove.h"
#include "fuzz/must.h"
#include "store/rmt_store.h"
#include "wire/rmt_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static rmt_store_t *s_store;

static void
s_close(void)
{
    rmt_store_destroy(&s_store);
}

static rmt_store_t *
s_open(void)
{
    rmt_error_t error;
    if (!s_store) {
        rmt_auto_str root = rmt_text("%s/store", grove_top());
        s_store = rmt_store_new(root, true, &error);
        MUST(s_store && atexit(s_close) == 0);
    }
    return s_store;
}

static void
s_try(const void *data, size_t size)
{
    rmt_error_t error = {0};
    rmt_id_t id;
    rmt_auto_ptr back = NULL;
    size_t back_size = 0;
    rmt_store_report_t report = {0};
    rmt_store_t *store = s_open();
    if (rmt_store_image_put(store, data, size, &id, &error) == -1) {
        MUST(error.code == RMT_E_CORRUPT);
        return;
    }
    MUST(rmt_store_image_get(store, &id, &back, &back_size, &error) == 0);
    MUST(back_size == size && memcmp(back, data, size) == 0);
    MUST(rmt_store_verify(store, &id, NULL, &report, &error) == 0);
    MUST(report.missing == 0 && report.damaged == 0);
    MUST(rmt_store_image_remove(store, &id, &error) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rmt_error_t error;
    rmt_auto_str text = strndup((const char *) data, size);
    rmt_auto(rmt_records) records = rmt_facts_parse(text, &error);
    if (!records) {
        s_try(data, size);
        return 0;
    }
    rmt_auto(zchunk) packed = rmt_codec_pack_records(records);
    s_try(zchunk_data(packed), zchunk_size(packed));
    return 0;
}
