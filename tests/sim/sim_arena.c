#include "sim/sim_arena.h"

#include <czmq.h>
#include <sys/mman.h>

#define ROOM ((size_t) 1 << 30) // Of addresses; memory is taken when it is used
#define GRAIN 16
#define SMALL (64 * GRAIN)
#define CLASSES (SMALL / GRAIN + 64)

// A piece that was given back.
typedef struct piece {
    struct piece *next;
} piece_t;

struct sim_arena {
    char *base;
    size_t used;
    piece_t *free[CLASSES]; // By size class
    // As it was kept
    char *kept;
    size_t kept_used;
    piece_t *kept_free[CLASSES];
};

sim_arena_t *
sim_arena_new(void)
{
    sim_arena_t *self = zmalloc(sizeof *self);
    self->base = mmap(NULL, ROOM, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert(self->base != MAP_FAILED);
    return self;
}

void
sim_arena_destroy(sim_arena_t **self_p)
{
    sim_arena_t *self = *self_p;
    if (!self)
        return;
    munmap(self->base, ROOM);
    free(self->kept);
    free(self);
    *self_p = NULL;
}

// Small pieces have a class for each multiple of a grain, large ones for each power of 2.
static size_t
s_class(size_t size, size_t *whole_out)
{
    if (size <= SMALL) {
        const size_t grains = size ? (size + GRAIN - 1) / GRAIN : 1;
        *whole_out = grains * GRAIN;
        return grains - 1;
    }
    const int bits = 64 - __builtin_clzll((unsigned long long) size - 1);
    *whole_out = (size_t) 1 << bits;
    return SMALL / GRAIN + (size_t) bits;
}

static void *
s_take(sim_arena_t *self, size_t size)
{
    size_t whole;
    const size_t class = s_class(size, &whole);
    piece_t *piece = self->free[class];
    if (piece) {
        self->free[class] = piece->next;
        return piece;
    }
    assert(whole <= ROOM - self->used);
    self->used += whole;
    return self->base + self->used - whole;
}

static void
s_give_back(sim_arena_t *self, void *old, size_t size)
{
    size_t whole;
    const size_t class = s_class(size, &whole);
    piece_t *piece = old;
    piece->next = self->free[class];
    self->free[class] = piece;
}

void *
sim_arena_alloc(void *context, void *old, size_t old_size, size_t size)
{
    sim_arena_t *self = context;
    if (size == 0) {
        if (old)
            s_give_back(self, old, old_size);
        return NULL;
    }
    size_t was, is;
    if (old && s_class(old_size, &was) == s_class(size, &is))
        return old;
    void *fresh = s_take(self, size);
    if (old) {
        memcpy(fresh, old, old_size < size ? old_size : size);
        s_give_back(self, old, old_size);
    }
    return fresh;
}

void
sim_arena_keep(sim_arena_t *self)
{
    free(self->kept);
    self->kept = malloc(self->used);
    assert(self->kept);
    memcpy(self->kept, self->base, self->used);
    self->kept_used = self->used;
    memcpy(self->kept_free, self->free, sizeof self->free);
}

void
sim_arena_back(sim_arena_t *self)
{
    assert(self->kept);
    memcpy(self->base, self->kept, self->kept_used);
    self->used = self->kept_used;
    memcpy(self->free, self->kept_free, sizeof self->free);
}
