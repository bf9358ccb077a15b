#include "store/rmt_slot.h"

void
rmt_slot_encode_head(uint8_t out[RMT_RECORD_HEAD_SIZE], const rmt_slot_t *slot)
{
    memcpy(out, slot->id.bytes, RMT_ID_SIZE);
    out[33] = slot->codec;
    rmt_put16(out + 34, slot->key);
    rmt_put32(out + 36, slot->plain_size);
    rmt_put32(out + 40, slot->size);
    rmt_put32(out + 44, slot->sum);
}

void
rmt_slot_encode(uint8_t out[RMT_SLOT_SIZE], const rmt_slot_t *slot)
{
    rmt_slot_encode_head(out, slot);
    rmt_put32(out + 48, slot->offset);
    rmt_put32(out + 52, slot->pack);
}

void
rmt_slot_decode(rmt_slot_t *slot_out, const uint8_t data[RMT_SLOT_SIZE])
{
    memcpy(slot_out->id.bytes, data, RMT_ID_SIZE);
    slot_out->codec = data[33];
    slot_out->key = rmt_get16(data + 34);
    slot_out->plain_size = rmt_get32(data + 36);
    slot_out->size = rmt_get32(data + 40);
    slot_out->sum = rmt_get32(data + 44);
    slot_out->offset = rmt_get32(data + 48);
    slot_out->pack = rmt_get32(data + 52);
}

// Each step is reversible, so damage within one word always shows in the 64 bits.
uint32_t
rmt_slot_sum(const void *data, size_t size)
{
    const uint8_t *at = data;
    uint64_t sum = size;
    for (size_t left = size; left > 0;) {
        uint8_t last[8] = {0};
        const uint8_t *word = at;
        const size_t step = left < 8 ? left : 8;
        if (step < 8)
            word = memcpy(last, at, step);
        sum = (sum ^ rmt_get64(word)) * 0x9e3779b97f4a7c15;
        sum ^= sum >> 32;
        at += step;
        left -= step;
    }
    return (uint32_t) sum;
}

bool
rmt_slot_is_known(const rmt_slot_t *slot)
{
    return slot->id.bytes[0] == RMT_ID_SHA256 && slot->codec <= RMT_CODEC_LZ4 &&
           slot->key == 0 && slot->plain_size >= 1 &&
           slot->plain_size <= RMT_CHUNK_PLAIN_MAX && slot->size >= 1 &&
           slot->size <= RMT_CHUNK_STORED_MAX;
}
