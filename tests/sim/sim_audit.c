#include "sim/sim_audit.h"

#include <assert.h>
#include <czmq.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "crypto/rmt_chain_walk.h"
#include "sim/sim_farm.h"
#include "sim/sim_wraps.h"

// All files of one folder, one behind the other.
typedef struct {
    char folder[32];
    char *lines;
    size_t size;
    size_t found;    // Where the entry is that was found last
    uint64_t newest; // Octets of the newest file
    int64_t begun_ms;
} shelf_t;

struct rmt_audit_file {
    shelf_t *shelf;
};

static struct {
    shelf_t shelves[SIM_BROKERS];
    char fault[300];
} s_audit;

void
sim_audit_begin(void)
{
    sim_audit_end();
}

void
sim_audit_end(void)
{
    for (size_t i = 0; i < SIM_BROKERS; i++)
        free(s_audit.shelves[i].lines);
    memset(&s_audit, 0, sizeof s_audit);
}

static shelf_t *
s_shelf(const char *folder)
{
    for (size_t i = 0; i < SIM_BROKERS; i++) {
        shelf_t *shelf = &s_audit.shelves[i];
        if (!*shelf->folder)
            snprintf(shelf->folder, sizeof shelf->folder, "%s", folder);
        if (streq(shelf->folder, folder))
            return shelf;
    }
    assert(false);
    return NULL;
}

void
__wrap_rmt_aside_begin(rmt_aside_t *self, rmt_aside_fn *work, rmt_aside_fn *done,
                       void *context)
{
    (void) self;
    work(context);
    done(context);
}

// ---- audit_file.h

rmt_audit_file_t *
__wrap_rmt_audit_file_new(const char *folder)
{
    rmt_audit_file_t *self = zmalloc(sizeof *self);
    self->shelf = s_shelf(folder);
    return self;
}

void
__wrap_rmt_audit_file_destroy(rmt_audit_file_t **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

int
__wrap_rmt_audit_file_open(rmt_audit_file_t *self, char **last_out, rmt_error_t *error)
{
    (void) error;
    const shelf_t *shelf = self->shelf;
    *last_out = NULL;
    if (shelf->size == 0)
        return 0;
    size_t begin = shelf->size - 1;
    while (begin > 0 && shelf->lines[begin - 1] != '\n')
        begin--;
    *last_out = strdup(shelf->lines + begin);
    return 0;
}

int
__wrap_rmt_audit_file_key(const rmt_audit_file_t *self, rmt_sign_key_t *key_out,
                          rmt_error_t *error)
{
    (void) error;
    // They differ from one run of the program to the next, and no trace tells them.
    static rmt_sign_key_t keys[SIM_BROKERS];
    static const rmt_sign_key_t none;
    rmt_sign_key_t *key = &keys[self->shelf - s_audit.shelves];
    if (memcmp(key, &none, sizeof none) == 0)
        rmt_sign_key_new(key);
    *key_out = *key;
    return 0;
}

uint64_t
__wrap_rmt_audit_file_size(const rmt_audit_file_t *self)
{
    return self->shelf->newest;
}

int64_t
__wrap_rmt_audit_file_begun_ms(const rmt_audit_file_t *self)
{
    return self->shelf->begun_ms;
}

int
__wrap_rmt_audit_file_next(rmt_audit_file_t *self, uint64_t n, rmt_error_t *error)
{
    (void) n;
    (void) error;
    self->shelf->newest = 0;
    self->shelf->begun_ms = __wrap_rmt_clock_wall_ms();
    return 0;
}

int
__wrap_rmt_audit_file_append(rmt_audit_file_t *self, const char *lines, size_t size,
                             rmt_error_t *error)
{
    (void) error;
    shelf_t *shelf = self->shelf;
    shelf->lines = realloc(shelf->lines, shelf->size + size + 1);
    assert(shelf->lines);
    memcpy(shelf->lines + shelf->size, lines, size + 1);
    shelf->size += size;
    shelf->newest += size;
    return 0;
}

// ---- What must hold

// Id and moment of a line, which no other entry has.
static char *
s_name(const char *line)
{
    const char *id = strstr(line, "\"id\":\"");
    const char *end = id ? strstr(id, "\",\"serial\"") : NULL;
    return end ? rmt_text("%.*s", (int) (end - id), id) : NULL;
}

static const char *
s_fault_of(const shelf_t *shelf)
{
    rmt_chain_walk_t walk = {0};
    rmt_auto(zhashx) seen = zhashx_new();
    uint64_t number = 0;
    for (const char *at = shelf->lines; at && *at; at = strchr(at, '\n') + 1) {
        const size_t size = strcspn(at, "\n") + 1;
        rmt_chain_line_t line;
        if (!rmt_chain_walk_step(&walk, (rmt_chain_walk_place_t){shelf->folder, ++number},
                                 at, size, &line))
            break;
        if (streq(line.mark, "restored"))
            zhashx_purge(seen); // What that Redis still had comes again
        rmt_auto_str text = rmt_text("%.*s", (int) size, at);
        rmt_auto_str name = *line.mark ? NULL : s_name(text);
        if (name && zhashx_insert(seen, name, (void *) at) == -1) {
            snprintf(s_audit.fault, sizeof s_audit.fault, "%s has an entry twice: %s",
                     shelf->folder, name);
            return s_audit.fault;
        }
        if (streq(line.mark, "cut") || streq(line.mark, "gap")) {
            snprintf(s_audit.fault, sizeof s_audit.fault, "%s has lost lines: %.200s",
                     shelf->folder, text);
            return s_audit.fault;
        }
    }
    rmt_auto_str words = rmt_chain_walk_text(&walk);
    if (!words)
        return NULL;
    snprintf(s_audit.fault, sizeof s_audit.fault, "%s", words);
    return s_audit.fault;
}

const char *
sim_audit_fault(void)
{
    for (size_t i = 0; i < SIM_BROKERS; i++) {
        const char *fault = s_fault_of(&s_audit.shelves[i]);
        if (fault)
            return fault;
    }
    return NULL;
}

bool
sim_audit_has(const char *folder, const rmt_record_t *entry)
{
    shelf_t *shelf = s_shelf(folder);
    rmt_auto_str name =
        rmt_text("\"id\":\"%s\",\"moment\":\"%s\",\"serial\"",
                 rmt_record_text(entry, "id", ""), rmt_record_text(entry, "moment", ""));
    if (!shelf->lines)
        return false;
    // Most are asked for in their order.
    const char *at = strstr(shelf->lines + shelf->found, name);
    at = at ? at : strstr(shelf->lines, name);
    shelf->found = at ? (size_t) (at - shelf->lines) : 0;
    return at != NULL;
}
