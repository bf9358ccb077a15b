#include "broker/fold.h"

#include <assert.h>
#include <czmq.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#define FOLD_MS 60000
#define LINES_MAX 16384
#define OTHERS "others -"

typedef struct {
    int64_t since;
    uint64_t count;
} line_t;

struct rmt_fold {
    zhashx_t *lines; // "event peer" -> line_t
};

static void
s_line_destroy(void **item_p)
{
    free(*item_p);
    *item_p = NULL;
}

rmt_fold_t *
rmt_fold_new(void)
{
    rmt_fold_t *self = zmalloc(sizeof *self);
    self->lines = zhashx_new();
    zhashx_set_destructor(self->lines, s_line_destroy);
    return self;
}

void
rmt_fold_destroy(rmt_fold_t **self_p)
{
    assert(self_p);
    rmt_fold_t *self = *self_p;
    if (self) {
        zhashx_destroy(&self->lines);
        free(self);
        *self_p = NULL;
    }
}

bool
rmt_fold_is_first(rmt_fold_t *self, const char *event, const char *peer, int64_t now)
{
    assert(self && event && peer);
    rmt_auto_str own = rmt_text("%s %s", event, peer);
    const char *name = own;
    line_t *line = zhashx_lookup(self->lines, name);
    if (!line && zhashx_size(self->lines) >= LINES_MAX) {
        name = OTHERS;
        line = zhashx_lookup(self->lines, name);
    }
    if (line) {
        line->count++;
        return false;
    }
    line = zmalloc(sizeof *line);
    line->since = now;
    zhashx_insert(self->lines, name, line);
    return true;
}

void
rmt_fold_tick(rmt_fold_t *self, int64_t now, rmt_fold_fn *told, void *context)
{
    assert(self && told);
    rmt_auto(zlistx) names = zhashx_keys(self->lines);
    for (const char *name = zlistx_first(names); name; name = zlistx_next(names)) {
        line_t *line = zhashx_lookup(self->lines, name);
        if (now - line->since < FOLD_MS)
            continue;
        if (line->count == 0) {
            zhashx_delete(self->lines, name);
            continue;
        }
        const char *blank = strchr(name, ' ');
        rmt_auto_str event = rmt_text("%.*s", (int) (blank - name), name);
        told(context, event, blank + 1, line->count);
        line->count = 0;
        line->since = now;
    }
}
