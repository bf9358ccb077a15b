// rmt_own_address - the addresses that the settings of an image's machine give to its own
// interfaces, so that its own lines of /etc/hosts are found. Private to lib/system.
//
// Addresses are found by the words around them, in any of the formats in which network
// stacks are told theirs; a stack's own grammar is its own business (rmt_stack).
#pragma once

#include <stdbool.h>
#include "base/rmt_error.h"
#include "facts/rmt_address.h"

#define RMT_OWN_ADDRESSES_MAX 64

typedef struct {
    rmt_address_t addresses[RMT_OWN_ADDRESSES_MAX];
    size_t count;
} rmt_own_address_t;

// Read the settings of the tree. 0, or -1: TOO_BIG, DISK, IO.
int rmt_own_address_read(int root_fd, rmt_own_address_t *self_out, rmt_error_t *error);

bool rmt_own_address_has(const rmt_own_address_t *self, const rmt_address_t *address);
