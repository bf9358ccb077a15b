#include "wire/rmt_arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE ((size_t) 992) // With its head a piece that malloc keeps at hand
#define BLOCK_SIZE ((size_t) 16 * 1024)

typedef struct block {
    struct block *next;
    size_t used, size;
    alignas(max_align_t) uint8_t data[];
} block_t;

struct rmt_arena {
    block_t *blocks;
    size_t left;
};

rmt_arena_t *
rmt_arena_new(size_t budget)
{
    rmt_arena_t *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    self->left = budget;
    return self;
}

void
rmt_arena_destroy(rmt_arena_t **self_p)
{
    if (!*self_p)
        return;
    while ((*self_p)->blocks) {
        block_t *next = (*self_p)->blocks->next;
        free((*self_p)->blocks);
        (*self_p)->blocks = next;
    }
    free(*self_p);
    *self_p = NULL;
}

void *
rmt_arena_get(rmt_arena_t *self, size_t size)
{
    if (size > self->left)
        return NULL;
    size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    self->left -= size < self->left ? size : self->left;
    block_t *block = self->blocks;
    if (!block || block->size - block->used < size) {
        const size_t least = block ? BLOCK_SIZE : FIRST_SIZE;
        const size_t room = size > least ? size : least;
        block = malloc(sizeof *block + room);
        if (!block)
            abort();
        *block = (block_t){.next = self->blocks, .size = room};
        self->blocks = block;
    }
    void *memory = block->data + block->used;
    block->used += size;
    return memset(memory, 0, size);
}

static void *
s_alloc(void *arena, size_t size)
{
    return rmt_arena_get(arena, size);
}

static void
s_free(void *arena, void *memory)
{
    (void) arena;
    (void) memory;
}

ProtobufCAllocator
rmt_arena_allocator(rmt_arena_t *self)
{
    return (ProtobufCAllocator){.alloc = s_alloc, .free = s_free, .allocator_data = self};
}
