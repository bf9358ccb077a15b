// rmt_id - names of contents: one algorithm byte and the SHA-256 of the plain bytes.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/rmt_bytes.h"
#include "base/rmt_error.h"

#define RMT_ID_SIZE 33      // On the wire and on disk: algorithm, digest
#define RMT_ID_TEXT_SIZE 67 // 66 lower-case hexadecimal digits and a NUL
#define RMT_ID_SHA256 1

typedef struct {
    uint8_t bytes[RMT_ID_SIZE];
} rmt_id_t;

// Name these bytes.
void rmt_id_compute(rmt_id_t *id_out, const void *data, size_t size);
bool rmt_id_equal(const rmt_id_t *a, const rmt_id_t *b);
int rmt_id_compare(const rmt_id_t *a, const rmt_id_t *b);
// For a map (base/rmt_map.h): a digest is random enough to be its own hash.
static inline uint32_t
rmt_id_hash(const rmt_id_t *id)
{
    return rmt_get32(id->bytes + 1);
}
// Hexadecimal text into out. Returns out.
char *rmt_id_text(const rmt_id_t *id, char out[RMT_ID_TEXT_SIZE]);
// 0, or -1: USAGE for other text or another algorithm.
int rmt_id_parse(rmt_id_t *id_out, const char *text, rmt_error_t *error);

// Incremental form, for contents that are not in memory at once.
typedef struct rmt_digest rmt_digest_t;
rmt_digest_t *rmt_digest_new(void);
void rmt_digest_destroy(rmt_digest_t **self_p);
void rmt_digest_update(rmt_digest_t *self, const void *data, size_t size);
void rmt_digest_finish(rmt_digest_t *self, rmt_id_t *id_out);
