#include "agent/source/excludes.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "base/rmt_io.h"
#include "agent/source/snapshot.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

// What makes a computer a source, or has made it a target: programs, keys, token, unit.
// A copy that had them would speak in its source's name.
static const char *const s_own[] = {
    "/etc/ramet",
    "/usr/lib/ramet",
    "/var/lib/ramet",
    "/etc/systemd/system/ramet-agent.service",
    "/etc/systemd/system/multi-user.target.wants/ramet-agent.service",
};

struct rmt_excludes {
    size_t count, room;
    char **items; // NULL-terminated
};

// Takes text.
static void
s_append(rmt_excludes_t *self, char *text)
{
    rmt_grow(&self->items, &self->room, self->count + 2);
    self->items[self->count++] = text;
    self->items[self->count] = NULL;
}

// What of an absolute path lies below the folder; NULL when it does not.
static const char *
s_below(const char *path, const char *folder)
{
    const size_t size = strcmp(folder, "/") == 0 ? 0 : strlen(folder);
    if (strncmp(path, folder, size) != 0 || path[size] != '/' || !path[size + 1])
        return NULL;
    return path + size;
}

// A glob with a slash is a path from the root of the system, so a volume that is mounted
// elsewhere sees its end only. One without is a name anywhere.
static void
s_add_glob(rmt_excludes_t *self, const char *glob, const char *mount)
{
    if (!strchr(glob, '/')) {
        s_append(self, rmt_text("%s", glob));
        return;
    }
    rmt_auto_str path = rmt_text("%s%s", glob[0] == '/' ? "" : "/", glob);
    const char *rest = s_below(path, mount);
    if (rest)
        s_append(self, rmt_text("%s", rest));
}

// As a path of the tree, and, when the tree lies in this system, as one of this system.
static void
s_add_own(rmt_excludes_t *self, const char *path, const char *root, const char *mount)
{
    if (!*path)
        return;
    s_add_glob(self, path, mount);
    const char *inside = *root ? s_below(path, root) : NULL;
    if (inside && strcmp(root, "/") != 0)
        s_add_glob(self, inside, mount);
}

static void
s_tell(rmt_records_t *told, const char *path, const char *what)
{
    if (!*path || rmt_records_find(told, "path", path))
        return;
    rmt_record_t *record = rmt_records_add(told);
    rmt_record_set(record, "class", "leave");
    rmt_record_set(record, "path", path);
    rmt_record_set(record, "what", what);
}

rmt_records_t *
rmt_excludes_told(const char *words, const rmt_records_t *rules,
                  const rmt_layout_t *layout)
{
    rmt_records_t *told = rmt_records_new();
    rmt_auto_str copy = rmt_text("%s", words);
    char *rest = copy, *line;
    while ((line = strsep(&rest, "\r\n")))
        s_tell(told, line, "asked for");
    for (size_t i = 0; i < rmt_records_count(rules); i++) {
        const rmt_record_t *rule = rmt_records_at(rules, i);
        if (strcmp(rmt_record_text(rule, "class", ""), "leave") == 0)
            s_tell(told, rmt_record_text(rule, "path", ""),
                   rmt_record_text(rule, "what", "profile"));
    }
    for (size_t i = 0; i < layout->swap_count; i++) {
        const char *mount = rmt_layout_volume_of(layout, &layout->swaps[i])->mount;
        rmt_auto_str path =
            rmt_text("%s%s", !mount || strcmp(mount, "/") == 0 ? "" : mount,
                     layout->swaps[i].path);
        if (mount)
            s_tell(told, path, "swap");
    }
    return told;
}

rmt_excludes_t *
rmt_excludes_new(const rmt_config_t *config, const char *words,
                 const rmt_records_t *rules, const rmt_layout_t *layout,
                 const char *mount)
{
    rmt_excludes_t *self = calloc(1, sizeof *self);
    assert(self);
    if (!*mount)
        mount = "/";
    const char *root = rmt_config_text(config, "root");
    rmt_auto_str pending = rmt_text("%s.pending", rmt_config_text(config, "key"));
    for (size_t i = 0; i < sizeof s_own / sizeof *s_own; i++)
        s_add_own(self, s_own[i], root, mount);
    s_append(self, rmt_text("/%s", RMT_SNAPSHOT_NAME));
    s_add_own(self, rmt_config_text(config, "state"), root, mount);
    s_add_own(self, rmt_config_text(config, "key"), root, mount);
    s_add_own(self, pending, root, mount);
    rmt_auto_str copy = rmt_text("%s", words);
    char *rest = copy, *line;
    while ((line = strsep(&rest, "\r\n")))
        if (*line)
            s_add_glob(self, line, mount);
    for (size_t i = 0; i < rmt_records_count(rules); i++) {
        const rmt_record_t *rule = rmt_records_at(rules, i);
        if (strcmp(rmt_record_text(rule, "class", ""), "leave") == 0)
            s_add_glob(self, rmt_record_text(rule, "path", ""), mount);
    }
    // One tree that stands for several volumes holds them all. Volumes of a disk are read
    // each alone, with what lies beneath the mount points of others.
    const bool is_shared = *rmt_config_text(config, "layout");
    for (size_t i = 0; is_shared && i < layout->volume_count; i++) {
        const char *other = layout->volumes[i].mount;
        const char *below = other ? s_below(other, mount) : NULL;
        if (below)
            s_append(self, rmt_text("%s/*", below));
    }
    return self;
}

void
rmt_excludes_add_swaps(rmt_excludes_t *self, const rmt_layout_t *layout,
                       const rmt_layout_volume_t *volume)
{
    for (size_t i = 0; i < layout->swap_count; i++)
        if (rmt_layout_volume_of(layout, &layout->swaps[i]) == volume)
            s_append(self, rmt_text("%s", layout->swaps[i].path));
}

void
rmt_excludes_destroy(rmt_excludes_t **self_p)
{
    rmt_excludes_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        free(self->items[i]);
    free(self->items);
    free(self);
    *self_p = NULL;
}

const char *const *
rmt_excludes_list(const rmt_excludes_t *self)
{
    return (const char *const *) self->items;
}
