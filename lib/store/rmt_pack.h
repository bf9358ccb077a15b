// rmt_pack - a file of chunks in arrival order with a trailer that lists them.
//
// A writer fills a temporary file, buffers, and starts the kernel's write-back early, so
// that the final fsync is short. Readers trust nothing in a file. Private to lib/store.
#pragma once

#include "store/rmt_file_name.h"
#include "store/rmt_slot.h"

#define RMT_PACK_SIZE_MAX ((uint64_t) 64 * 1024 * 1024)

typedef struct rmt_pack_writer rmt_pack_writer_t;

// Create the file <folder>/<name in hex>. Caller owns the result. NULL: IO, NO_SPACE.
rmt_pack_writer_t *rmt_pack_writer_new(const char *folder, rmt_error_t *error);
// Closes the file, which stays.
void rmt_pack_writer_destroy(rmt_pack_writer_t **self_p);
rmt_file_name_t rmt_pack_writer_name(const rmt_pack_writer_t *self);
uint64_t rmt_pack_writer_size(const rmt_pack_writer_t *self);
// True when a chunk of so many stored bytes still fits.
bool rmt_pack_writer_fits(const rmt_pack_writer_t *self, uint32_t size);
// Append a chunk and tell where it lies (pack 0). 0, or -1: IO, NO_SPACE; the writer is
// spoilt then.
int rmt_pack_writer_add(rmt_pack_writer_t *self, const rmt_chunk_t *chunk,
                        rmt_slot_t *slot_out, rmt_error_t *error);
// Hand what is buffered to the kernel, so that others can read it. 0, or -1 as add.
int rmt_pack_writer_flush(rmt_pack_writer_t *self, rmt_error_t *error);
// Write the trailer, without waiting for the disk. 0, or -1 as add.
int rmt_pack_writer_finish(rmt_pack_writer_t *self, rmt_error_t *error);
// Wait until all is on disk. 0, or -1: IO, NO_SPACE (final).
int rmt_pack_writer_sync(rmt_pack_writer_t *self, rmt_error_t *error);

// Read the record of slot and compare its head; chunk_out->data points into room
// (RMT_RECORD_HEAD_SIZE + RMT_CHUNK_STORED_MAX bytes). The checksum is checked, the
// digest is not. 0, or -1: CORRUPT, UNSUPPORTED, IO.
int rmt_pack_read(int fd, const rmt_slot_t *slot, uint8_t *room, rmt_chunk_t *chunk_out,
                  rmt_error_t *error);
// The checked trailer of the pack called name: slots in the order of their offsets, which
// cover the file without gaps. Caller owns *slots_out (free).
// 0, or -1: CORRUPT, UNSUPPORTED, IO.
int rmt_pack_load(int fd, const rmt_file_name_t *name, rmt_slot_t **slots_out,
                  size_t *count_out, uint64_t *size_out, rmt_error_t *error);
