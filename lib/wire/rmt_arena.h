// rmt_arena - memory that is given back all at once, and never exceeds its budget.
//
// Unpacking foreign bytes draws from an arena, so a small frame cannot become a large
// heap: protobuf-c 1.4 makes up to 64 times the wire size of it otherwise.
#pragma once

#include <stddef.h>
#include <protobuf-c/protobuf-c.h>

typedef struct rmt_arena rmt_arena_t;

rmt_arena_t *rmt_arena_new(size_t budget);
void rmt_arena_destroy(rmt_arena_t **self_p);
// Zeroed, aligned for any type. NULL when the budget is spent.
void *rmt_arena_get(rmt_arena_t *self, size_t size);
// An allocator for protobuf-c over self; freeing does nothing. Valid while self lives.
ProtobufCAllocator rmt_arena_allocator(rmt_arena_t *self);
