// sim_arena - memory of one Lua state, which can be put back as it was at one moment.
//
// So a world begins with a library that is loaded, and ends without a collection. Memory
// that is given back is used again for the next piece of its size.
#pragma once

#include <stddef.h>

typedef struct sim_arena sim_arena_t;

// Caller owns the result.
sim_arena_t *sim_arena_new(void);
void sim_arena_destroy(sim_arena_t **self_p);

// A lua_Alloc; context is the arena. The program ends when the arena is full.
void *sim_arena_alloc(void *context, void *old, size_t old_size, size_t size);

// Remember all bytes, or put them back; what was allocated since is gone.
void sim_arena_keep(sim_arena_t *self);
void sim_arena_back(sim_arena_t *self);
