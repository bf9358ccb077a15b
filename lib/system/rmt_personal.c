#include "system/rmt_personal.h"
#include "system/rmt_action.h"
#include "base/rmt_auto.h"
#include "system/rmt_identity.h"
#include "base/rmt_io.h"
#include "system/rmt_network_plan.h"
#include "system/rmt_os.h"
#include "base/rmt_rooted.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

// The image's own name, without the blanks around it.
static char *
s_old_hostname(int root_fd, rmt_error_t *error)
{
    char *text = NULL;
    if (rmt_rooted_load(root_fd, "/etc/hostname", &text, NULL, error) == -1)
        return NULL;
    if (!text)
        return rmt_text("%s", "");
    text[strcspn(text, " \t\r\n")] = '\0';
    return text;
}

// True for the old name, bare or with a domain.
static bool
s_is_old(const char *word, const char *old)
{
    const size_t size = strcspn(old, ".");
    return size && strncmp(word, old, size) == 0 &&
           (word[size] == '\0' || word[size] == '.');
}

// Copy a line of hosts without the image's name. The line of its own address, and the
// one that Debian keeps for the own name, go altogether.
static void
s_copy_host_line(FILE *out, const char *line, const char *old)
{
    rmt_auto_str words = rmt_text("%.*s", (int) strcspn(line, "#"), line);
    char *rest = words;
    const char *address = NULL;
    bool has_old = false;
    size_t left = 0;
    for (char *word = strsep(&rest, " \t\r"); word; word = strsep(&rest, " \t\r")) {
        if (!word[0])
            continue;
        if (!address)
            address = word;
        else if (s_is_old(word, old))
            has_old = true;
        else
            left++;
    }
    if (!address || (!has_old && strcmp(address, "127.0.1.1") != 0)) {
        fprintf(out, "%s\n", line);
        return;
    }
    const bool loopback =
        strcmp(address, "127.0.0.1") == 0 || strcmp(address, "::1") == 0;
    if (!loopback || left == 0)
        return;
    rmt_auto_str again = rmt_text("%.*s", (int) strcspn(line, "#"), line);
    rest = again;
    bool first = true;
    for (char *word = strsep(&rest, " \t\r"); word; word = strsep(&rest, " \t\r")) {
        if (!word[0] || (!first && s_is_old(word, old)))
            continue;
        fprintf(out, "%s%s", first ? "" : " ", word);
        first = false;
    }
    fputc('\n', out);
}

// The own names behind the first address of each kind, or behind the one that Debian
// keeps for them where DHCP gives the address.
static void
s_print_own(FILE *out, const char *hostname, const rmt_interface_t *first)
{
    const char *dot = strchr(hostname, '.');
    rmt_auto_str names =
        dot ? rmt_text("%s %.*s", hostname, (int) (dot - hostname), hostname)
        : first->domain[0] ? rmt_text("%s.%s %s", hostname, first->domain, hostname)
                           : rmt_text("%s", hostname);
    bool has[2] = {false, false};
    for (size_t i = 0; i < first->address_count; i++) {
        const rmt_address_t *address = &first->addresses[i];
        if (!has[address->is_v6])
            fprintf(out, "%s %s\n", address->text, names);
        has[address->is_v6] = true;
    }
    if (!first->address_count)
        fprintf(out, "127.0.1.1 %s\n", names);
}

static int
s_plan_hosts(int root_fd, const rmt_network_t *network, rmt_records_t *actions,
             rmt_error_t *error)
{
    rmt_auto_str old = s_old_hostname(root_fd, error);
    rmt_auto_str text = NULL;
    if (!old || rmt_rooted_load(root_fd, "/etc/hosts", &text, NULL, error) == -1)
        return -1;
    if (!text)
        text = rmt_text("127.0.0.1 localhost\n::1 localhost\n");
    char *made = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&made, &size);
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        if (line[0] || rest)
            s_copy_host_line(out, line, old);
    }
    s_print_own(out, network->hostname, &network->interfaces[0]);
    if (fclose(out))
        abort();
    rmt_action_write(actions, "/etc/hosts", "hosts", 0644, made, size);
    free(made);
    return 0;
}

static int
s_plan_name(int root_fd, const rmt_network_t *network, rmt_records_t *actions,
            rmt_error_t *error)
{
    rmt_auto_str line = rmt_text("%s\n", network->hostname);
    if (s_plan_hosts(root_fd, network, actions, error) == -1)
        return -1;
    rmt_action_write(actions, "/etc/hostname", "hostname", 0644, line, strlen(line));
    if (rmt_rooted_kind(root_fd, "/etc/mailname") == S_IFREG)
        rmt_action_write(actions, "/etc/mailname", "hostname", 0644, line, strlen(line));
    return 0;
}

int
rmt_personal_check(const rmt_record_t *target, const rmt_record_t *os, rmt_error_t *error)
{
    rmt_network_t network;
    if (rmt_network_parse(target, &network, error) == -1)
        return -1;
    const char *stack = os ? rmt_record_text(os, "network-stack", "") : "";
    const bool is_by_name =
        os && strcmp(rmt_record_text(os, "network-by-name", ""), "yes") == 0;
    return *stack ? rmt_network_check(&network, stack, is_by_name, error) : 0;
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
        if (s_plan_name(root_fd, &network, actions, error) == -1 ||
            rmt_network_plan(root_fd, &network, actions, error) == -1 ||
            rmt_identity_plan(root_fd, network.hostname, is_systemd, has_keys, actions,
                              error) == -1)
            return -1;
    }
    *actions_out = rmt_take(&actions);
    return 0;
}

int
rmt_personal_plan(int root_fd, const rmt_record_t *target, rmt_records_t **actions_out,
                  rmt_error_t *error)
{
    return s_plan(root_fd, target, true, actions_out, error);
}

int
rmt_personal_rehearse(int root_fd, const rmt_record_t *target,
                      rmt_records_t **actions_out, rmt_error_t *error)
{
    return s_plan(root_fd, target, false, actions_out, error);
}

static int
s_apply(int root_fd, const rmt_record_t *action, rmt_error_t *error)
{
    const char *class = rmt_record_text(action, "class", "");
    const char *path = rmt_record_text(action, "path", "");
    if (strcmp(class, "remove") == 0)
        return rmt_rooted_remove(root_fd, path, error);
    if (strcmp(class, "link") == 0)
        return rmt_rooted_symlink(root_fd, path, rmt_record_text(action, "target", ""),
                                  error);
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

int
rmt_personal_apply(int root_fd, const rmt_records_t *actions, rmt_error_t *error)
{
    assert(actions);
    for (size_t i = 0; i < rmt_records_count(actions); i++) {
        if (s_apply(root_fd, rmt_records_at(actions, i), error) == -1)
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

rmt_records_t *
rmt_personal_paths(const rmt_records_t *actions)
{
    assert(actions);
    rmt_records_t *paths = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(actions); i++) {
        const rmt_record_t *action = rmt_records_at(actions, i);
        const char *path = rmt_record_text(action, "path", "");
        s_add_path(paths, path, rmt_record_text(action, "what", ""));
        // Times of the folder change with its entries, and it may be new.
        rmt_auto_str folder = rmt_text("%s", path);
        char *slash;
        while ((slash = strrchr(folder, '/')) && slash != folder) {
            *slash = '\0';
            s_add_path(paths, folder, "folder");
        }
    }
    return paths;
}
