// rmt_slot - where the stored form of a chunk lies: the head of a pack's record, and the
// entry of trailers and indexes. Private to lib/store.
#pragma once

#include "base/rmt_bytes.h"
#include "store/rmt_chunk.h"

#define RMT_RECORD_HEAD_SIZE 48 // Before each chunk in a pack
#define RMT_SLOT_SIZE 56        // The same with offset and pack

typedef struct {
    rmt_id_t id;
    uint8_t codec;
    uint16_t key; // Key of encryption at rest; 0 none, others are not known yet
    uint32_t plain_size, size;
    uint32_t sum;    // rmt_slot_sum of the stored bytes
    uint32_t offset; // Of the record's head in the pack
    uint32_t pack;   // Number in the table of packs it comes with; 0 in trailers
} rmt_slot_t;

void rmt_slot_encode_head(uint8_t out[RMT_RECORD_HEAD_SIZE], const rmt_slot_t *slot);
void rmt_slot_encode(uint8_t out[RMT_SLOT_SIZE], const rmt_slot_t *slot);
void rmt_slot_decode(rmt_slot_t *slot_out, const uint8_t data[RMT_SLOT_SIZE]);
// Checksum of stored bytes. The id names the plain ones, and some damage to an LZ4 block
// still gives the same; that is no harm, but it must be found before it gets worse.
uint32_t rmt_slot_sum(const void *data, size_t size);
// True when sizes, codec, key and algorithm are ones that this version reads.
bool rmt_slot_is_known(const rmt_slot_t *slot);
