// rmt_codec - messages and records to bytes and back; pure functions, no sockets.
//
// Decoding never trusts: the size is capped, rmt_scan walks the bytes (depth,
// field count, lengths, UTF-8), protobuf-c unpacks with a budgeted allocator, and
// every field is checked against the limits of docs/spec/1-wire.md before it is
// copied. Encoding is deterministic.
#pragma once

#include "wire/rmt_msg.h"

// The envelope as a frame; the payload is not part of it. Caller owns the result.
// Never fails: a message that breaks the grammar is misuse (assert), except for its size,
// which the sender checks (RMT_CONTROL_SIZE_MAX), and its prose: bytes of `text` that
// are no UTF-8 become "?", and what is too long is cut.
zframe_t *rmt_codec_encode(const rmt_msg_t *msg);

// Caller owns the result. NULL: TOO_BIG, PROTOCOL.
rmt_msg_t *rmt_codec_decode(const void *data, size_t size, rmt_error_t *error);

// A list of records in its stored form (message Records), with at most RMT_FIELDS_MAX
// fields in each and any number of records. Caller owns the result.
zchunk_t *rmt_codec_pack_records(const rmt_records_t *records);
// Caller owns the result. limit: bytes of data at most. NULL: TOO_BIG (also thousands of
// empty records or fields), PROTOCOL.
rmt_records_t *rmt_codec_unpack_records(const void *data, size_t size, size_t limit,
                                        rmt_error_t *error);
