#include "system/rmt_personal.h"
#include "system/rmt_action.h"
#include "base/rmt_auto.h"
#include "system/rmt_boot_names.h"
#include "system/rmt_cloud_init.h"
#include "system/rmt_identity.h"
#include "base/rmt_io.h"
#include "system/rmt_label.h"
#include "system/rmt_name_plan.h"
#include "system/rmt_network_plan.h"
#include "system/rmt_os.h"
#include "base/rmt_rooted.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

int
rmt_personal_check(const rmt_record_t *target, const rmt_record_t *os, rmt_error_t *error)
{
    rmt_network_t network;
    if (rmt_network_parse(target, &network, error) == -1)
        return -1;
    const char *stack = os ? rmt_record_text(os, "network-stack", "") : "";
    const bool is_by_name =
        os && strcmp(rmt_record_text(os, "network-by-name", ""), "yes") == 0;
    const char *refusal = os ? rmt_record_text(os, "network-refusal", "") : "";
    if (*refusal)
        return rmt_fail(error, RMT_E_UNSUPPORTED, "%s", refusal);
    return *stack ? rmt_network_check(&network, stack, is_by_name, error) : 0;
}

// What cannot be looked at is not what is absent (P23).
static int
s_end(int result, rmt_records_t **actions_out, rmt_error_t *error)
{
    const int rc = rmt_rooted_end(result, error);
    if (result == 0 && rc == -1)
        rmt_records_destroy(actions_out);
    return rc;
}

static int
s_plan(int root_fd, const rmt_record_t *target, bool has_keys,
       rmt_records_t **actions_out, rmt_error_t *error)
{
    assert(target);
    assert(actions_out);
    rmt_network_t network;
    rmt_auto(rmt_records) facts = NULL;
    if (rmt_network_parse(target, &network, error) == -1 ||
        rmt_os_examine(root_fd, &facts, error) == -1)
        return -1;
    const rmt_record_t *os = rmt_records_at(facts, 0);
    const bool is_systemd = strcmp(rmt_record_text(os, "init", ""), "systemd") == 0;
    rmt_auto(rmt_records) actions = rmt_records_new();
    // A tree without a system is data, and has nothing to call its own.
    if (strcmp(rmt_record_text(os, "family", ""), "linux") == 0) {
        if (rmt_name_plan(root_fd, &network, actions, error) == -1 ||
            rmt_network_plan(root_fd, &network, actions, error) == -1 ||
            rmt_identity_plan(root_fd, network.hostname, is_systemd, has_keys, actions,
                              error) == -1 ||
            rmt_boot_names_plan(root_fd, actions, error) == -1 ||
            rmt_label_plan(root_fd, actions, error) == -1)
            return -1;
        rmt_cloud_init_plan(root_fd, rmt_record_is(target, "cloud-init", "new"), actions);
    }
    *actions_out = rmt_take(&actions);
    return 0;
}

int
rmt_personal_plan(int root_fd, const rmt_record_t *target, rmt_records_t **actions_out,
                  rmt_error_t *error)
{
    rmt_rooted_begin();
    return s_end(s_plan(root_fd, target, true, actions_out, error), actions_out, error);
}

static int
s_plan_other(int root_fd, const rmt_record_t *target, bool needs_kernel,
             rmt_records_t **actions_out, rmt_error_t *error)
{
    rmt_auto(rmt_records) facts = NULL;
    rmt_auto(rmt_records) actions = rmt_records_new();
    if (rmt_os_examine(root_fd, &facts, error) == -1)
        return -1;
    const rmt_record_t *os = rmt_records_at(facts, 0);
    const bool has_kernel = *rmt_record_text(os, "kernels", "");
    const bool is_system = rmt_record_is(os, "family", "linux");
    if (is_system && (has_kernel || !needs_kernel))
        return s_plan(root_fd, target, true, actions_out, error);
    const bool is_var =
        rmt_rooted_exists(root_fd, "/lib") &&
        (rmt_rooted_exists(root_fd, "/log") || rmt_rooted_exists(root_fd, "/cache") ||
         rmt_rooted_exists(root_fd, "/spool"));
    if (!is_system &&
        ((is_var && rmt_identity_plan_part(root_fd, "/var", actions, error) == -1) ||
         rmt_identity_plan_part(root_fd, "/boot", actions, error) == -1))
        return -1;
    *actions_out = rmt_take(&actions);
    return 0;
}

int
rmt_personal_plan_other(int root_fd, const rmt_record_t *target, bool needs_kernel,
                        rmt_records_t **actions_out, rmt_error_t *error)
{
    rmt_rooted_begin();
    return s_end(s_plan_other(root_fd, target, needs_kernel, actions_out, error),
                 actions_out, error);
}

int
rmt_personal_rehearse(int root_fd, const rmt_record_t *target,
                      rmt_records_t **actions_out, rmt_error_t *error)
{
    rmt_rooted_begin();
    return s_end(s_plan(root_fd, target, false, actions_out, error), actions_out, error);
}

// ---- Doing it

// How much of a path names the first thing on its way that is not there yet; all of it
// where only the last is meant.
static size_t
s_first_missing(int root_fd, const char *path)
{
    rmt_auto_str way = rmt_text("%s", path);
    for (char *slash = strchr(way + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (rmt_rooted_kind(root_fd, way) == 0)
            return (size_t) (slash - way);
        *slash = '/';
    }
    return strlen(way);
}

// Label what was made, from the first folder on: `first` is the size of its path.
static int
s_label(int root_fd, const rmt_label_t *rules, const char *path, size_t first,
        rmt_error_t *error)
{
    for (size_t end = first; rules; end += strcspn(path + end + 1, "/") + 1) {
        rmt_auto_str part = rmt_text("%.*s", (int) end, path);
        const mode_t kind = rmt_rooted_kind(root_fd, part);
        rmt_auto_str label = kind ? rmt_label_find(rules, part, kind) : NULL;
        if (label && rmt_rooted_set_label(root_fd, part, label, error) == -1)
            return -1;
        if (!path[end])
            break;
    }
    return 0;
}

int
rmt_personal_label(int root_fd, const char *path, rmt_error_t *error)
{
    rmt_auto(rmt_label) rules = NULL;
    if (rmt_label_new(root_fd, &rules, error) == -1)
        return -1;
    return s_label(root_fd, rules, path, strlen(path), error);
}

int
rmt_personal_make_folders(int root_fd, const char *path, rmt_error_t *error)
{
    rmt_auto(rmt_label) rules = NULL;
    const size_t first = s_first_missing(root_fd, path);
    if (rmt_rooted_mkdirs(root_fd, path, error) == -1 ||
        rmt_label_new(root_fd, &rules, error) == -1)
        return -1;
    return s_label(root_fd, rules, path, first, error);
}

static int
s_change(int root_fd, const rmt_record_t *action, rmt_error_t *error)
{
    const char *class = rmt_record_text(action, "class", "");
    const char *path = rmt_record_text(action, "path", "");
    if (strcmp(class, "remove") == 0)
        return rmt_rooted_remove(root_fd, path, error);
    if (strcmp(class, "link") == 0)
        return rmt_rooted_symlink(root_fd, path, rmt_record_text(action, "target", ""),
                                  error);
    if (strcmp(class, "remove-folder") == 0)
        return rmt_rooted_remove_folder(root_fd, path, error);
    if (strcmp(class, "move") == 0)
        return rmt_rooted_move(root_fd, rmt_record_text(action, "from", ""), path, error);
    size_t size = 0;
    const void *content = rmt_record_get(action, "content", &size);
    if (strcmp(class, "write") != 0 || !content)
        return rmt_fail(error, RMT_E_USAGE, "action '%s' on '%s'", class, path);
    const struct stat owner_and_mode = {
        .st_mode = (mode_t) strtoul(rmt_record_text(action, "mode", "0600"), NULL, 8),
        .st_uid = (uid_t) rmt_record_u64(action, "uid", 0),
        .st_gid = (gid_t) rmt_record_u64(action, "gid", 0),
    };
    return rmt_rooted_write(root_fd, path, content, size, &owner_and_mode, error);
}

static int
s_apply(int root_fd, const rmt_label_t *rules, const rmt_record_t *action,
        rmt_error_t *error)
{
    const char *path = rmt_record_text(action, "path", "");
    const size_t first = s_first_missing(root_fd, path);
    return s_change(root_fd, action, error) == -1
               ? -1
               : s_label(root_fd, rules, path, first, error);
}

int
rmt_personal_apply(int root_fd, const rmt_records_t *actions, rmt_error_t *error)
{
    assert(actions);
    rmt_auto(rmt_label) rules = NULL;
    if (rmt_label_new(root_fd, &rules, error) == -1)
        return rmt_wrap(error, "personalise");
    for (size_t i = 0; i < rmt_records_count(actions); i++) {
        if (s_apply(root_fd, rules, rmt_records_at(actions, i), error) == -1)
            return rmt_wrap(error, "personalise");
    }
    return 0;
}

static void
s_add_path(rmt_records_t *paths, const char *path, const char *what)
{
    if (rmt_records_find(paths, "path", path))
        return;
    rmt_record_t *record = rmt_records_add(paths);
    rmt_record_set(record, "class", "personal");
    rmt_record_set(record, "path", path);
    rmt_record_set(record, "what", what);
}

// A path of the plan, and the folders above it: their times change with their entries,
// and they may be new.
static void
s_add_with_folders(rmt_records_t *paths, const char *path, const char *what)
{
    rmt_auto_str folder = rmt_text("%s", path);
    char *slash;
    s_add_path(paths, path, what);
    while ((slash = strrchr(folder, '/')) && slash != folder) {
        *slash = '\0';
        s_add_path(paths, folder, "folder");
    }
}

rmt_records_t *
rmt_personal_paths(const rmt_records_t *actions)
{
    assert(actions);
    rmt_records_t *paths = rmt_records_new();
    // Folders that go are more than folders above something.
    for (size_t i = 0; i < rmt_records_count(actions); i++) {
        const rmt_record_t *action = rmt_records_at(actions, i);
        if (rmt_record_is(action, "class", "remove-folder"))
            s_add_path(paths, rmt_record_text(action, "path", ""),
                       rmt_record_text(action, "what", ""));
    }
    for (size_t i = 0; i < rmt_records_count(actions); i++) {
        const rmt_record_t *action = rmt_records_at(actions, i);
        const char *what = rmt_record_text(action, "what", "");
        s_add_with_folders(paths, rmt_record_text(action, "path", ""), what);
        if (rmt_record_has(action, "from"))
            s_add_with_folders(paths, rmt_record_text(action, "from", ""), what);
    }
    return paths;
}
