#include "system/rmt_netscan.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "facts/rmt_address.h"
#include "system/rmt_action.h"

#include <assert.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WHAT "network"

int
rmt_netscan_run(rmt_netscan_t *self, int root_fd, bool is_known, rmt_records_t *actions,
                rmt_error_t *error)
{
    static rmt_netscan_fn *const readers[] = {
        rmt_netscan_ifupdown, rmt_netscan_networkd, rmt_netscan_manager,
        rmt_netscan_netplan,  rmt_netscan_ifcfg,    rmt_netscan_rc,
        rmt_netscan_dhcp,     rmt_netscan_tunnels,  rmt_netscan_scripts,
        rmt_netscan_boot,
    };
    *self = (rmt_netscan_t){.root_fd = root_fd,
                            .is_known = is_known,
                            .actions = actions,
                            .shapes = rmt_records_new(),
                            .error = error};
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        if (readers[i](self) == -1) {
            rmt_netscan_end(self);
            return -1;
        }
    }
    return 0;
}

int
rmt_netscan_glance(rmt_netscan_t *self, int root_fd, rmt_error_t *error)
{
    rmt_auto(rmt_records) actions = rmt_records_new();
    rmt_auto(rmt_records) shapes = rmt_records_new();
    *self = (rmt_netscan_t){.root_fd = root_fd,
                            .is_known = true,
                            .actions = actions,
                            .shapes = shapes,
                            .error = error};
    const int rc =
        rmt_netscan_ifupdown(self) == -1 || rmt_netscan_netplan(self) == -1 ? -1 : 0;
    self->actions = NULL;
    self->shapes = NULL;
    return rc;
}

void
rmt_netscan_end(rmt_netscan_t *self)
{
    rmt_records_destroy(&self->shapes);
}

char *
rmt_netscan_shapes(const rmt_netscan_t *self)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    for (size_t i = 0; i < rmt_records_count(self->shapes); i++) {
        const rmt_record_t *shape = rmt_records_at(self->shapes, i);
        fprintf(out, "%s%s %s", i ? ", " : "", rmt_record_text(shape, "kind", ""),
                rmt_record_text(shape, "name", ""));
    }
    if (fclose(out))
        abort();
    return text;
}

// ---- Files

int
rmt_netscan_each(rmt_netscan_t *self, const char *folder, const char *pattern,
                 rmt_netscan_file_fn *read)
{
    rmt_auto_str names = rmt_rooted_list(self->root_fd, folder);
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str path = rmt_text("%s/%s", folder, name);
        const mode_t kind = rmt_rooted_kind(self->root_fd, path);
        if (fnmatch(pattern, name, FNM_PERIOD) == 0 &&
            (kind == S_IFREG || kind == S_IFLNK) && read(self, path) == -1)
            return -1;
    }
    return 0;
}

int
rmt_netscan_rows(rmt_netscan_t *self, const rmt_netscan_row_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (rmt_netscan_each(self, rows[i].folder, rows[i].pattern, rows[i].read) == -1)
            return -1;
    return 0;
}

int
rmt_netscan_load(rmt_netscan_t *self, const char *path, char **text_out)
{
    size_t size = 0;
    *text_out = NULL;
    const rmt_record_t *action = rmt_records_find(self->actions, "path", path);
    if (action && rmt_record_is(action, "class", "write")) {
        *text_out = rmt_text("%s", rmt_record_text(action, "content", ""));
        return 0;
    }
    if (action)
        return 0;
    if (rmt_rooted_load(self->root_fd, path, text_out, &size, self->error) == -1)
        return -1;
    if (*text_out && strlen(*text_out) != size) {
        unsigned line = 1;
        for (const char *p = *text_out; *p; p++)
            line += *p == '\n';
        rmt_netscan_refuse(self, path, line, "has a NUL byte");
        free(rmt_take(text_out));
    }
    return 0;
}

// ---- Findings

void
rmt_netscan_refuse(rmt_netscan_t *self, const char *path, unsigned line,
                   const char *format, ...)
{
    if (self->refusal[0])
        return;
    char why[240];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    for (char *p = why; *p; p++) {
        if (*p < ' ' || *p > '~')
            *p = '?'; // The texts of files are bytes
    }
    snprintf(
        self->refusal, sizeof self->refusal,
        "%.120s:%u %s; change that on the source, or leave the file out: ramet image "
        "create SOURCE --exclude %.120s",
        path, line, why, path[0] == '/' ? path + 1 : path);
}

static bool
s_may_take(rmt_netscan_t *self, const char *path, unsigned line, const char *why)
{
    if (!self->is_known)
        rmt_netscan_refuse(self, path, line,
                           "%s, and the image has no network stack that ramet can give "
                           "the target's settings to",
                           why);
    return self->is_known && !rmt_records_find(self->actions, "path", path);
}

void
rmt_netscan_take(rmt_netscan_t *self, const char *path, unsigned line, const char *why,
                 const char *what)
{
    if (s_may_take(self, path, line, why))
        rmt_action_remove(self->actions, path, what);
}

void
rmt_netscan_hide(rmt_netscan_t *self, const char *path, unsigned line, const char *why,
                 const char *own)
{
    const size_t size = strlen(own);
    const bool is_own = strncmp(path, own, size) == 0 && path[size] == '/';
    const bool is_passing = strncmp(path, "/run/", 5) == 0;
    const char *base = strrchr(path, '/');
    assert(base);
    rmt_auto_str link = rmt_text("%s%s", own, base);
    if (is_own || is_passing)
        rmt_netscan_take(self, path, line, why, WHAT);
    else if (s_may_take(self, link, line, why))
        rmt_action_link(self->actions, link, WHAT, "/dev/null");
}

void
rmt_netscan_write(rmt_netscan_t *self, const char *path, unsigned mode, const char *text)
{
    rmt_record_t *action = rmt_records_find(self->actions, "path", path);
    rmt_error_t ignored = {0};
    if (action)
        rmt_record_set(action, "content", text);
    else if (rmt_rooted_kind(self->root_fd, path) != S_IFREG ||
             rmt_action_edit(self->root_fd, self->actions, path, WHAT, text, strlen(text),
                             &ignored) == -1)
        rmt_action_write(self->actions, path, WHAT, mode, text, strlen(text));
}

void
rmt_netscan_shape(rmt_netscan_t *self, const char *kind, const char *name)
{
    rmt_auto_str clean = rmt_text("%.40s", name[0] ? name : "of no name");
    for (char *p = clean; *p; p++) {
        if (*p < ' ' || *p > '~' || *p == ',')
            *p = '?';
    }
    if (rmt_records_find(self->shapes, "name", clean) ||
        rmt_records_count(self->shapes) >= 32)
        return;
    rmt_record_t *shape = rmt_records_add(self->shapes);
    rmt_record_set(shape, "kind", kind);
    rmt_record_set(shape, "name", clean);
}

// ---- Words

bool
rmt_netscan_is_address(const char *word)
{
    char text[RMT_ADDRESS_TEXT_SIZE + 1];
    rmt_address_t address;
    const size_t size = strcspn(word, "/%");
    if (size == 0 || size >= sizeof text)
        return false;
    snprintf(text, sizeof text, "%.*s", (int) size, word);
    if (!rmt_address_read(text, &address))
        return false;
    return strcmp(address.text, "::1") != 0 && strcmp(address.text, "::") != 0 &&
           strcmp(address.text, "0.0.0.0") != 0 &&
           (address.is_v6 || address.bytes[0] != 127);
}

bool
rmt_netscan_is_mac(const char *word)
{
    char mac[RMT_MAC_TEXT_SIZE];
    rmt_error_t ignored = {0};
    return rmt_address_parse_mac(word, mac, &ignored) == 0;
}
