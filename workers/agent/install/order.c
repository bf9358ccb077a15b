#include "agent/install/order.h"
#include "base/rmt_auto.h"
#include "wire/rmt_codec.h"

#define ORDER_SIZE_MAX ((size_t) 1024 * 1024)

rmt_order_t *
rmt_order_unpack(const void *data, size_t size, rmt_error_t *error)
{
    rmt_auto(rmt_records) records =
        rmt_codec_unpack_records(data, size, ORDER_SIZE_MAX, error);
    return records ? rmt_order_read(records, error) : NULL;
}

void
rmt_order_plan(const void *data, size_t size, const uint8_t nonce[16], rmt_id_t *plan_out)
{
    rmt_auto(rmt_digest) digest = rmt_digest_new();
    rmt_digest_update(digest, data, size);
    rmt_digest_update(digest, nonce, 16);
    rmt_digest_finish(digest, plan_out);
}
