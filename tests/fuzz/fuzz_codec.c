// Foreign bytes as an envelope and as stored records: they are refused, or what was
// understood survives the way out and back in the same bytes (P16).
#include "base/rmt_auto.h"
#include "wire/rmt_codec.h"

#include "fuzz/must.h"

#include <stdint.h>

#define RECORDS_SIZE_MAX ((size_t) 64 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
s_try_envelope(const uint8_t *data, size_t size)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) first = rmt_codec_decode(data, size, &error);
    MUST((first == NULL) == (error.code != RMT_E_OK));
    if (!first)
        return;
    rmt_auto(zframe) frame = rmt_codec_encode(first);
    rmt_auto(rmt_msg) second =
        rmt_codec_decode(zframe_data(frame), zframe_size(frame), &error);
    MUST(second != NULL && second->kind == first->kind);
    rmt_auto(zframe) again = rmt_codec_encode(second);
    MUST(zframe_eq(frame, again));
}

static void
s_try_records(const uint8_t *data, size_t size)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) first =
        rmt_codec_unpack_records(data, size, RECORDS_SIZE_MAX, &error);
    MUST((first == NULL) == (error.code != RMT_E_OK));
    if (!first)
        return;
    rmt_auto(zchunk) packed = rmt_codec_pack_records(first);
    rmt_auto(rmt_records) second = rmt_codec_unpack_records(
        zchunk_data(packed), zchunk_size(packed), RECORDS_SIZE_MAX, &error);
    MUST(second != NULL && rmt_records_count(second) == rmt_records_count(first));
    for (size_t i = 0; i < rmt_records_count(first); i++)
        MUST(rmt_record_equal(rmt_records_at(first, i), rmt_records_at(second, i)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    s_try_envelope(data, size);
    s_try_records(data, size);
    return 0;
}
