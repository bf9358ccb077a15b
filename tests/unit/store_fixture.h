// store_fixture - stores in temporary folders for the tests of lib/store.
#pragma once

#include "tools/rmt_test.h"

#include "store/rmt_store.h"

// cmocka set-up and tear-down: *state is the path of an empty folder.
int fixture_setup(void **state);
int fixture_teardown(void **state);

// Open the store in root, making it when it is missing.
rmt_store_t *fixture_open(const char *root);
// Put size bytes made from seed, random ones or such that shrink. Returns their id.
rmt_id_t fixture_put(rmt_store_t *store, uint64_t seed, size_t size);
// An image of so many files of one chunk each, 1000 bytes, made from seed, seed+1 ...
rmt_id_t fixture_image(rmt_store_t *store, uint64_t seed, size_t file_count);
// As above, but only the descriptor, which the caller saves; free it.
void *fixture_descriptor(rmt_store_t *store, uint64_t seed, size_t file_count,
                         size_t *size_out);

// Path of the file number n, in order of names, of a folder of root; free it. NULL: none.
char *fixture_file(const char *root, const char *folder, size_t n);
size_t fixture_count(const char *root, const char *folder);
size_t fixture_size(const char *path);
void fixture_flip(const char *path, size_t bit);

// A watch's finding function: appends the text as a line to context, which has
// FIXTURE_TEXT_SIZE bytes.
#define FIXTURE_TEXT_SIZE 65536
void fixture_gather(void *context, const rmt_store_finding_t *finding);
// Check the store; findings are gathered in a text that is valid until the next call.
rmt_store_report_t fixture_check(rmt_store_t *store, bool deep, const char **text_out);

// The chunk is read, as it was put and as it is kept.
void fixture_assert_readable(rmt_store_t *store, const rmt_id_t *id);

// A deep check finds nothing that is missing, damaged or too much.
void fixture_assert_sound(rmt_store_t *store);

// A thread that writes many chunks; args is a fixture_writing_t.
typedef struct {
    const char *root;
    uint64_t seed;
} fixture_writing_t;
void *fixture_write_many(void *args);
