// rmt_olds - which of the chunks that are to be written lie in files of the old tree. For
// rmt_converge alone.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/rmt_error.h"
#include "crypto/rmt_id.h"
#include "store/rmt_manifest.h"

typedef struct rmt_olds rmt_olds_t;

// Borrows tree_fd.
rmt_olds_t *rmt_olds_new(int tree_fd);
void rmt_olds_destroy(rmt_olds_t **self_p);

// Note the chunks of an entry that is to be written.
void rmt_olds_want(rmt_olds_t *self, const rmt_entry_t *entry);
// A regular file that is to go, to be searched; replaced ones before others. Copies path.
void rmt_olds_add(rmt_olds_t *self, const char *path, bool is_replaced);
// Chunks that are wanted and have no file yet.
size_t rmt_olds_lacking(const rmt_olds_t *self);
uint64_t rmt_olds_lacking_size(const rmt_olds_t *self); // Bytes
// An entry whose file is the same already: its chunks are known without reading.
void rmt_olds_note(rmt_olds_t *self, const rmt_entry_t *entry);
// Read the replaced files, or the others, as long as a chunk is lacking; of the others at
// most twice the bytes that are. What cannot be read is passed over.
void rmt_olds_search(rmt_olds_t *self, bool replaced);

// Read a wanted chunk from its old file. 1; 0 when none has it, or no longer.
int rmt_olds_read(rmt_olds_t *self, const rmt_id_t *id, void *plain_out,
                  size_t *size_out);
// The ids that no file has, in the order in which they were wanted. Caller frees.
rmt_id_t *rmt_olds_missing(const rmt_olds_t *self, size_t *count_out);
