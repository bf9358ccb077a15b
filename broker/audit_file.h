// audit_file - the folder of a broker's audit files, and the end of the newest one.
//
// A file is written at its end alone, whole lines at a time, and each batch is durable
// before the call returns. A line that a crash has torn was never told to be there: it is
// taken off when the folder is opened. Format: docs/spec/8-audit.md. Knows lines, and
// nothing of what is in them.
#pragma once

#include "crypto/rmt_chain.h"

typedef struct rmt_audit_file rmt_audit_file_t;

// Nothing is opened yet. Caller owns the result.
rmt_audit_file_t *rmt_audit_file_new(const char *folder);
void rmt_audit_file_destroy(rmt_audit_file_t **self_p);

// Open the folder, which is made when it is missing, and the newest file in it; no other
// process may have it open. *last_out: the last line, or NULL; caller owns it (free). An
// open folder is opened anew. 0, or -1: CONFIG (another broker has it), IO, NO_SPACE.
int rmt_audit_file_open(rmt_audit_file_t *self, char **last_out, rmt_error_t *error);

// The key that signs, made when the folder has none. 0, or -1: CONFIG, IO.
int rmt_audit_file_key(const rmt_audit_file_t *self, rmt_sign_key_t *key_out,
                       rmt_error_t *error);

// Octets of the newest file, and the time of day (ms) of its begin; 0: there is none.
uint64_t rmt_audit_file_size(const rmt_audit_file_t *self);
int64_t rmt_audit_file_begun_ms(const rmt_audit_file_t *self);

// Begin a new file, whose first line has this number; one that has no lines yet is taken.
// 0, or -1: CORRUPT when it has some, and the folder must be opened anew; IO, NO_SPACE.
int rmt_audit_file_next(rmt_audit_file_t *self, uint64_t n, rmt_error_t *error);

// Write whole lines durably, or nothing. Blocks for an fsync.
// 0, or -1: CORRUPT when the file is no longer as it was left, and must be opened anew;
// IO, NO_SPACE.
int rmt_audit_file_append(rmt_audit_file_t *self, const char *lines, size_t size,
                          rmt_error_t *error);

// Where a reader of all files is, from {0} on: the file by the number of its first line.
typedef struct {
    uint64_t n, offset;
} rmt_audit_place_t;

// The end of all that is written.
rmt_audit_place_t rmt_audit_file_end(const rmt_audit_file_t *self);

// The next octets from *place on, at most size of them and none behind end; moves *place.
// *used_out is 0 when there are none. 0, or -1: IO, NOT_FOUND.
int rmt_audit_file_read(const rmt_audit_file_t *self, rmt_audit_place_t *place,
                        rmt_audit_place_t end, void *data, size_t size, size_t *used_out,
                        rmt_error_t *error);
