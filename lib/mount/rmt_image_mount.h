// rmt_image_mount - an image as a file system that can be read, by FUSE.
//
// Names and attributes are in memory (rmt_image_tree). Contents come by chunk: a read
// asks for what the cache lacks, and is answered when the chunks have come, or with EIO
// when they did not come in time. Nothing here waits: the caller polls the descriptor,
// hands over the chunks that it was asked for, and tells when some do not come. One
// thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "base/rmt_error.h"
#include "crypto/rmt_id.h"
#include "mount/rmt_image_tree.h"

// How long a read waits for its chunks, and while those before it failed.
#define RMT_IMAGE_MOUNT_PATIENCE_MS 18000
#define RMT_IMAGE_MOUNT_DOWN_MS 5000

typedef struct {
    const char *name;   // Of the image; the list of mounts shows it
    const char *folder; // Where
    bool for_others;    // Also other users see it, as owners and modes let them; for root
    const rmt_image_tree_t *tree; // Finished; it lives as long as the mount
    size_t cache_size;            // Bytes of chunks that are kept
    // These chunks are needed. Called from new, serve, fail; it must not wait.
    void (*want)(void *context, const rmt_id_t *ids, size_t count);
    void *context;
} rmt_image_mount_setup_t;

typedef struct rmt_image_mount rmt_image_mount_t;

// Can an image be mounted on the folder? 0, or -1: NOT_FOUND, EXISTS (not empty, or
// mounted already), UNSUPPORTED (no FUSE), NOT_ALLOWED, IO.
int rmt_image_mount_check(const char *folder, bool for_others, rmt_error_t *error);

// Mount. Borrows the setup for the call. Caller owns the result. NULL: UNSUPPORTED, IO.
rmt_image_mount_t *rmt_image_mount_new(const rmt_image_mount_setup_t *setup,
                                       rmt_error_t *error);
// Also unmounts; reads that wait end with EIO.
void rmt_image_mount_destroy(rmt_image_mount_t **self_p);

// To poll for reading; then serve.
int rmt_image_mount_fd(const rmt_image_mount_t *self);
// Answer what the kernel asks now. False: it was unmounted.
bool rmt_image_mount_serve(rmt_image_mount_t *self);

// A chunk that was asked for, checked against its id.
void rmt_image_mount_give(rmt_image_mount_t *self, const rmt_id_t *id, const void *plain,
                          size_t size);
// These do not come. With is_final, reads that need them fail; else they are asked for
// again until the time of the reads is over.
void rmt_image_mount_fail(rmt_image_mount_t *self, const rmt_id_t *ids, size_t count,
                          bool is_final);
// End the reads whose time is over. Their count.
size_t rmt_image_mount_expire(rmt_image_mount_t *self);
