#include "system/rmt_label.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_action.h"
#include "system/rmt_lines.h"

#include <ctype.h>
#include <selinux/label.h>
#include <selinux/selinux.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#define CONFIG "/etc/selinux/config"
#define TYPE_SIZE 64 // Of the name of a policy

struct rmt_label {
    struct selabel_handle *rules;
    char *own, *distribution; // Owned: other names of folders, or NULL
};

// ---- Settings

static void
s_take_setting(char *line, const char *key, char *out, size_t size)
{
    const size_t length = strlen(key);
    line = rmt_lines_trim(line);
    if (strncasecmp(line, key, length) == 0)
        snprintf(out, size, "%s", rmt_lines_trim(line + length));
}

// The policy of a tree that has SELinux enforcing or permissive; "" for one without it.
static int
s_read_policy(int root_fd, char type_out[TYPE_SIZE], rmt_error_t *error)
{
    char mode[16] = "";
    rmt_auto_str text = NULL;
    *type_out = '\0';
    if (rmt_rooted_load(root_fd, CONFIG, &text, NULL, error) == -1)
        return -1;
    if (!text)
        return 0;
    snprintf(type_out, TYPE_SIZE, "targeted");
    rmt_lines_t lines;
    rmt_lines_begin(&lines, text, RMT_LINES_ALONE);
    for (char *line; (line = rmt_lines_next(&lines));) {
        s_take_setting(line, "SELINUX=", mode, sizeof mode);
        s_take_setting(line, "SELINUXTYPE=", type_out, TYPE_SIZE);
    }
    const bool is_on =
        strcasecmp(mode, "enforcing") == 0 || strcasecmp(mode, "permissive") == 0;
    if (!is_on || !*type_out || *type_out == '.' || strchr(type_out, '/'))
        *type_out = '\0';
    return 0;
}

static char *
s_rules_path(const char *type, const char *end)
{
    return rmt_text("/etc/selinux/%s/contexts/files/file_contexts%s", type, end);
}

static bool
s_has_rules(int root_fd, const char *type)
{
    rmt_auto_str path = s_rules_path(type, "");
    return rmt_rooted_exists(root_fd, path);
}

// ---- Rules

// Append a file of rules to the one that libselinux reads; a missing one is none.
static int
s_append(int root_fd, const char *type, const char *end, int to, rmt_error_t *error)
{
    rmt_auto_str path = s_rules_path(type, end);
    rmt_auto_str text = NULL;
    size_t size = 0;
    if (rmt_rooted_load(root_fd, path, &text, &size, error) == -1)
        return -1;
    if (text && (rmt_io_write(to, text, size, error) == -1 ||
                 rmt_io_write(to, "\n", 1, error) == -1))
        return rmt_wrap(error, "rules of %s", path);
    return 0;
}

static int
s_say_nothing(int type, const char *format, ...)
{
    (void) type;
    (void) format;
    return 0;
}

// libselinux takes rules by their path, and looks for others beside them: in a file of
// memory there is nothing beside. The last rule that fits wins, so the order is its own.
static int
s_read_rules(rmt_label_t *self, int root_fd, const char *type, rmt_error_t *error)
{
    rmt_auto_fd memory = memfd_create("file_contexts", MFD_CLOEXEC);
    if (memory == -1)
        return rmt_fail_errno(error, "make a file of memory");
    if (s_append(root_fd, type, "", memory, error) == -1 ||
        s_append(root_fd, type, ".homedirs", memory, error) == -1 ||
        s_append(root_fd, type, ".local", memory, error) == -1)
        return -1;
    rmt_auto_str path = rmt_text("/proc/self/fd/%d", memory);
    const struct selinux_opt options[] = {{SELABEL_OPT_PATH, path},
                                          {SELABEL_OPT_BASEONLY, (const char *) 1}};
    selinux_set_callback(SELINUX_CB_LOG,
                         (union selinux_callback){.func_log = s_say_nothing});
    self->rules =
        selabel_open(SELABEL_CTX_FILE, options, sizeof options / sizeof *options);
    return 0;
}

int
rmt_label_new(int root_fd, rmt_label_t **label_out, rmt_error_t *error)
{
    char type[TYPE_SIZE];
    *label_out = NULL;
    if (s_read_policy(root_fd, type, error) == -1)
        return -1;
    if (!*type || !s_has_rules(root_fd, type))
        return 0;
    rmt_label_t *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    rmt_auto_str own = s_rules_path(type, ".subs");
    rmt_auto_str distribution = s_rules_path(type, ".subs_dist");
    if (s_read_rules(self, root_fd, type, error) == -1 ||
        rmt_rooted_load(root_fd, own, &self->own, NULL, error) == -1 ||
        rmt_rooted_load(root_fd, distribution, &self->distribution, NULL, error) == -1) {
        rmt_label_destroy(&self);
        return -1;
    }
    if (!self->rules) // Not in their form
        rmt_label_destroy(&self);
    *label_out = self;
    return 0;
}

void
rmt_label_destroy(rmt_label_t **self_p)
{
    rmt_label_t *self = *self_p;
    if (!self)
        return;
    if (self->rules)
        selabel_close(self->rules);
    free(self->own);
    free(self->distribution);
    free(self);
    *self_p = NULL;
}

int
rmt_label_plan(int root_fd, rmt_records_t *actions, rmt_error_t *error)
{
    char type[TYPE_SIZE];
    rmt_auto(rmt_label) rules = NULL;
    if (s_read_policy(root_fd, type, error) == -1 ||
        rmt_label_new(root_fd, &rules, error) == -1)
        return -1;
    if (*type && !rules)
        rmt_action_write(actions, "/.autorelabel", "label", 0644, "", 0);
    return 0;
}

// ---- Looking up

// What is below the first name of a line counts as if it were below the second.
static char *
s_substitute(const char *table, const char *path)
{
    rmt_auto_str text = rmt_text("%s", table ? table : "");
    rmt_lines_t lines;
    rmt_lines_begin(&lines, text, RMT_LINES_ALONE);
    for (char *line; (line = rmt_lines_next(&lines));) {
        char *rest = line;
        const char *from = rmt_lines_word(&rest, " \t");
        const char *to = from ? rmt_lines_word(&rest, " \t") : NULL;
        const size_t size = from ? strlen(from) : 0;
        if (to && *from != '#' && strncmp(path, from, size) == 0 &&
            (!path[size] || path[size] == '/'))
            return rmt_text("%s%s", to, path + size);
    }
    return rmt_text("%s", path);
}

char *
rmt_label_find(const rmt_label_t *self, const char *path, mode_t kind)
{
    rmt_auto_str named = s_substitute(self->own, path);
    rmt_auto_str known = s_substitute(self->distribution, named);
    char *found = NULL;
    if (selabel_lookup_raw(self->rules, &found, known, (int) kind) == -1)
        return NULL;
    char *label = rmt_text("%s", found);
    freecon(found);
    return label;
}
