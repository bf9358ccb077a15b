#include "sim/sim_redis.h"

#include <assert.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "crypto/rmt_id.h"
#include "sim/sim_arena.h"
#include "state/rmt_library.h"

#define READY_CHANNEL "ramet:ready"
#define PAIRS_MAX 256 // Names and values of a record
#define GARBAGE_MAX_KIB (256 * 1024)

struct sim_redis {
    sim_arena_t *arena; // Of the Lua state
    lua_State *lua;
    int host; // References in the registry: the table of hooks, and its functions
    int call;
    char ready[64 * 1024];
};

static void
s_need(sim_redis_t *self, int status, const char *what)
{
    if (status == 0)
        return;
    fprintf(stderr, "%s: %s\n", what, lua_tostring(self->lua, -1));
    abort();
}

static int
s_panic(lua_State *lua)
{
    fprintf(stderr, "Lua: %s\n", lua_tostring(lua, -1));
    abort();
}

// host.digest(text): 40 hexadecimal digits.
static int
s_digest(lua_State *lua)
{
    size_t size = 0;
    const char *text = luaL_checklstring(lua, 1, &size);
    char digits[RMT_ID_TEXT_SIZE];
    rmt_id_t id;
    rmt_id_compute(&id, text, size);
    lua_pushlstring(lua, rmt_id_text(&id, digits) + 2, 40);
    return 1;
}

// ---- Loading

// Caller owns the result.
static char *
s_patch(const char *text, const sim_patch_t *patch)
{
    const char *at = strstr(text, patch->from);
    if (!at || strstr(at + 1, patch->from)) {
        fprintf(stderr, "a patch is for a text that the library does not have once: %s\n",
                patch->from);
        abort();
    }
    return rmt_text("%.*s%s%s", (int) (at - text), text, patch->to,
                    at + strlen(patch->from));
}

// The line "#!lua name=ramet" is for Redis alone.
static void
s_load_library(sim_redis_t *self, const char *more, const sim_patch_t *patches)
{
    char *text = rmt_text("--%s\n%s", rmt_state_library, more ? more : "");
    for (; patches && patches->from; patches++) {
        char *patched = s_patch(text, patches);
        free(text);
        text = patched;
    }
    const int status = luaL_loadbuffer(self->lua, text, strlen(text), "=ramet.lua") ||
                       lua_pcall(self->lua, 0, 0, 0);
    s_need(self, status, "load the function library");
    free(text);
}

sim_redis_t *
sim_redis_new(const char *more, const sim_patch_t *patches)
{
    sim_redis_t *self = zmalloc(sizeof *self);
    self->arena = sim_arena_new();
    self->lua = lua_newstate(sim_arena_alloc, self->arena);
    assert(self->lua);
    lua_atpanic(self->lua, s_panic);
    luaL_openlibs(self->lua);
    lua_newtable(self->lua);
    lua_pushcfunction(self->lua, s_digest);
    lua_setfield(self->lua, -2, "digest");
    lua_pushvalue(self->lua, -1);
    lua_setglobal(self->lua, "host");
    self->host = luaL_ref(self->lua, LUA_REGISTRYINDEX);
    s_need(self, luaL_dofile(self->lua, SIM_FOLDER "/redis.lua"), "load redis.lua");
    s_load_library(self, more, patches);
    lua_rawgeti(self->lua, LUA_REGISTRYINDEX, self->host);
    lua_getfield(self->lua, -1, "call");
    self->call = luaL_ref(self->lua, LUA_REGISTRYINDEX);
    lua_settop(self->lua, 0);
    sim_redis_fix(self);
    return self;
}

void
sim_redis_destroy(sim_redis_t **self_p)
{
    sim_redis_t *self = *self_p;
    if (!self)
        return;
    lua_close(self->lua);
    sim_arena_destroy(&self->arena);
    free(self);
    *self_p = NULL;
}

// ---- Hooks

static void
s_hook(sim_redis_t *self, const char *name, double first, double second)
{
    lua_rawgeti(self->lua, LUA_REGISTRYINDEX, self->host);
    lua_getfield(self->lua, -1, name);
    lua_pushnumber(self->lua, first);
    int count = 1;
    if (second >= 0) {
        lua_pushnumber(self->lua, second);
        count++;
    }
    s_need(self, lua_pcall(self->lua, count, 0, 0), name);
    lua_settop(self->lua, 0);
}

void
sim_redis_keep(sim_redis_t *self, int slot)
{
    s_hook(self, "keep", slot, -1);
}

void
sim_redis_restore(sim_redis_t *self, int slot)
{
    s_hook(self, "restore", slot, -1);
}

void
sim_redis_start(sim_redis_t *self)
{
    s_hook(self, "start", 0, -1);
}

// Within a world nothing is collected: most of it lasts for less than a second.
void
sim_redis_fix(sim_redis_t *self)
{
    lua_gc(self->lua, LUA_GCCOLLECT, 0);
    lua_gc(self->lua, LUA_GCSTOP, 0);
    sim_arena_keep(self->arena);
}

void
sim_redis_begin(sim_redis_t *self, uint32_t seed)
{
    sim_arena_back(self->arena);
    s_hook(self, "begin", 0, seed % 2147483646U + 1);
}

// ---- Calls

static void
s_push_record(lua_State *lua, const rmt_record_t *record, int *count)
{
    for (size_t i = 0; record && i < rmt_record_count(record); i++) {
        size_t size = 0;
        const void *value = rmt_record_value_at(record, i, &size);
        lua_pushstring(lua, rmt_record_name_at(record, i));
        lua_rawseti(lua, -2, ++*count);
        lua_pushlstring(lua, value, size);
        lua_rawseti(lua, -2, ++*count);
    }
}

static void
s_push_words(lua_State *lua, const rmt_call_t *call)
{
    int count = 0;
    lua_newtable(lua);
    s_push_record(lua, call->meta, &count);
    lua_pushliteral(lua, "--");
    lua_rawseti(lua, -2, ++count);
    s_push_record(lua, call->body, &count);
    for (size_t i = 0; call->items && i < rmt_records_count(call->items); i++) {
        lua_pushliteral(lua, "--");
        lua_rawseti(lua, -2, ++count);
        s_push_record(lua, rmt_records_at(call->items, i), &count);
    }
}

typedef struct {
    const char *name, *value;
    size_t size;
} pair_t;

static int
s_by_name(const void *a, const void *b)
{
    return strcmp(((const pair_t *) a)->name, ((const pair_t *) b)->name);
}

// The flat list on the top of the stack, as rmt_redis.c reads it; it is popped. The order
// of its names is that of a Lua table, which is another one in each Lua, so they are
// sorted.
static void
s_take_record(lua_State *lua, rmt_record_t *record)
{
    pair_t pairs[PAIRS_MAX];
    const size_t count = lua_objlen(lua, -1) / 2;
    assert(count <= PAIRS_MAX);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(lua, -1, (int) (2 * i + 1));
        lua_rawgeti(lua, -2, (int) (2 * i + 2));
        pairs[i].value = lua_tolstring(lua, -1, &pairs[i].size);
        pairs[i].name = lua_tostring(lua, -2);
        assert(pairs[i].name && pairs[i].value);
        lua_pop(lua, 2);
    }
    qsort(pairs, count, sizeof *pairs, s_by_name);
    for (size_t i = 0; i < count; i++)
        (void) rmt_record_add(record, pairs[i].name, pairs[i].value, pairs[i].size);
    lua_pop(lua, 1);
}

// {code, text, body, items, cursor} on the top of the stack.
static void
s_take_reply(lua_State *lua, rmt_msg_t *reply)
{
    lua_rawgeti(lua, -1, 1);
    reply->code = (uint32_t) lua_tointeger(lua, -1);
    lua_rawgeti(lua, -2, 2);
    rmt_msg_text(&reply->text, lua_tostring(lua, -1));
    lua_rawgeti(lua, -3, 5);
    rmt_msg_text(&reply->cursor, lua_tostring(lua, -1));
    lua_pop(lua, 3);
    lua_rawgeti(lua, -1, 3);
    s_take_record(lua, rmt_msg_body(reply));
    lua_rawgeti(lua, -1, 4);
    rmt_records_t *items = rmt_msg_items(reply);
    const int count = (int) lua_objlen(lua, -1);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(lua, -1, i);
        s_take_record(lua, rmt_records_add(items));
    }
}

rmt_msg_t *
sim_redis_call(sim_redis_t *self, int64_t wall_ms, const rmt_call_t *call)
{
    if (lua_gc(self->lua, LUA_GCCOUNT, 0) > GARBAGE_MAX_KIB) {
        lua_gc(self->lua, LUA_GCCOLLECT, 0);
        lua_gc(self->lua, LUA_GCSTOP, 0);
    }
    s_hook(self, "begin", (double) wall_ms * 1000, -1);
    rmt_msg_t *reply = rmt_msg_new(RMT_MSG_REPLY);
    lua_rawgeti(self->lua, LUA_REGISTRYINDEX, self->call);
    lua_pushstring(self->lua, call->function);
    s_push_words(self->lua, call);
    if (lua_pcall(self->lua, 2, 1, 0) == 0) {
        s_take_reply(self->lua, reply);
    } else {
        reply->code = RMT_E_INTERNAL;
        rmt_msg_text(&reply->text, lua_isstring(self->lua, -1)
                                       ? lua_tostring(self->lua, -1)
                                       : call->function);
    }
    lua_settop(self->lua, 0);
    return reply;
}

const char *
sim_redis_take_ready(sim_redis_t *self)
{
    lua_State *lua = self->lua;
    size_t used = 0;
    lua_rawgeti(lua, LUA_REGISTRYINDEX, self->host);
    lua_getfield(lua, -1, "take_heard");
    s_need(self, lua_pcall(lua, 0, 1, 0), "take_heard");
    for (int i = 1; i <= (int) lua_objlen(lua, -1); i++) {
        lua_rawgeti(lua, -1, i);
        lua_rawgeti(lua, -1, 1);
        lua_rawgeti(lua, -2, 2);
        size_t size = 0;
        const char *service = lua_tolstring(lua, -1, &size);
        assert(used + size + 2 <= sizeof self->ready);
        if (streq(lua_tostring(lua, -2), READY_CHANNEL)) {
            memcpy(self->ready + used, service, size + 1);
            used += size + 1;
        }
        lua_pop(lua, 3);
    }
    self->ready[used] = '\0';
    lua_settop(lua, 0);
    return self->ready;
}
