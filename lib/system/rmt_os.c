#include "system/rmt_os.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_init.h"
#include "system/rmt_netscan.h"
#include "system/rmt_stack.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

// One row a kind of system.
typedef struct {
    bool (*probe)(int root_fd);
    int (*examine)(int root_fd, rmt_records_t *records, rmt_error_t *error);
} handler_t;

static bool s_is_linux(int root_fd);
static bool s_is_windows(int root_fd);
static int s_examine_linux(int root_fd, rmt_records_t *records, rmt_error_t *error);
static int s_refuse_windows(int root_fd, rmt_records_t *records, rmt_error_t *error);

static const handler_t s_handlers[] = {
    {s_is_linux, s_examine_linux},
    {s_is_windows, s_refuse_windows},
};

static bool
s_exists_one(int root_fd, const char *const *paths)
{
    for (; *paths; paths++) {
        if (rmt_rooted_exists(root_fd, *paths))
            return true;
    }
    return false;
}

static bool
s_is_linux(int root_fd)
{
    static const char *const paths[] = {"etc/os-release", "usr/lib/os-release",
                                        "sbin/init", "etc/inittab", NULL};
    return s_exists_one(root_fd, paths);
}

static bool
s_is_windows(int root_fd)
{
    static const char *const paths[] = {"Windows/System32", "WINDOWS/system32",
                                        "Windows/system32", NULL};
    return s_exists_one(root_fd, paths);
}

static int
s_refuse_windows(int root_fd, rmt_records_t *records, rmt_error_t *error)
{
    (void) root_fd;
    (void) records;
    return rmt_fail(error, RMT_E_UNSUPPORTED,
                    "the tree contains Windows, which is not supported");
}

// Take KEY=value or KEY="value" of a line apart, in place; NULL for another key.
static const char *
s_release_value(char *line, const char *key)
{
    const size_t size = strlen(key);
    if (strncmp(line, key, size) != 0 || line[size] != '=')
        return NULL;
    char *value = line + size + 1;
    const size_t length = strlen(value);
    if (length >= 2 && strchr("\"'", value[0]) && value[length - 1] == value[0]) {
        value[length - 1] = '\0';
        value++;
    }
    return value;
}

static int
s_read_release(int root_fd, rmt_record_t *os, rmt_error_t *error)
{
    static const struct {
        const char *key;
        const char *field;
    } rows[] = {
        {"ID", "distribution"},
        {"VERSION_ID", "version"},
        {"PRETTY_NAME", "name"},
    };
    rmt_auto_str text = NULL;
    if (rmt_rooted_load(root_fd, "etc/os-release", &text, NULL, error) == -1 ||
        (!text &&
         rmt_rooted_load(root_fd, "usr/lib/os-release", &text, NULL, error) == -1))
        return -1;
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            const char *value = s_release_value(line, rows[i].key);
            if (value)
                rmt_record_set(os, rows[i].field, value);
        }
    }
    return 0;
}

static void
s_read_kernels(int root_fd, rmt_record_t *os)
{
    rmt_auto_str names = rmt_rooted_list(root_fd, "lib/modules");
    for (const char *name = names; *name; name += strlen(name) + 1) {
        const char *before = rmt_record_text(os, "kernels", "");
        rmt_record_setf(os, "kernels", "%s%s%s", before, before[0] ? " " : "", name);
    }
}

static int
s_read_packages(int root_fd, rmt_record_t *os, rmt_error_t *error)
{
    static const char *const rpm[] = {"var/lib/rpm/rpmdb.sqlite", "var/lib/rpm/Packages",
                                      "usr/lib/sysimage/rpm", NULL};
    static const char installed[] = "\nStatus: install ok installed\n";
    rmt_auto_str status = NULL;
    if (rmt_rooted_load(root_fd, "var/lib/dpkg/status", &status, NULL, error) == -1)
        return -1;
    if (!status) {
        rmt_record_set(os, "package-system", s_exists_one(root_fd, rpm) ? "rpm" : "none");
        return 0;
    }
    uint64_t count = 0;
    for (const char *p = status; (p = strstr(p, installed)); p += sizeof installed - 2)
        count++;
    rmt_record_set(os, "package-system", "dpkg");
    rmt_record_set_u64(os, "packages", count);
    return 0;
}

static void
s_read_config(int root_fd, rmt_records_t *records)
{
    static const char *const paths[] = {
        "/etc",
        "/etc/fstab",
        "/etc/hostname",
        "/etc/hosts",
        "/etc/passwd",
        "/etc/network",
        "/etc/netplan",
        "/etc/ssh",
        "/etc/systemd/network",
        "/etc/systemd/system",
        "/etc/NetworkManager/system-connections",
        "/etc/cron.d",
        "/var/spool/cron",
        "/etc/default/grub",
        "/etc/modprobe.d",
        "/etc/udev/rules.d",
        "/boot",
        "/dev",
        "/usr/local/etc",
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (!rmt_rooted_exists(root_fd, paths[i]))
            continue;
        const bool is_folder = rmt_rooted_kind(root_fd, paths[i]) == S_IFDIR;
        rmt_record_t *config = rmt_records_add(records);
        rmt_record_set(config, "class", "config");
        rmt_record_set(config, "path", paths[i]);
        rmt_record_set_u64(config, "files",
                           is_folder ? rmt_rooted_count(root_fd, paths[i]) : 1);
    }
}

// What the plan must know of the image's network: what a plain interface cannot stand
// for, and what refuses it.
static int
s_read_network(int root_fd, const rmt_stack_t *stack, rmt_record_t *os,
               rmt_error_t *error)
{
    rmt_auto(rmt_records) ignored = rmt_records_new();
    rmt_netscan_t scan;
    rmt_record_set(os, "network-stack", stack->name);
    if (rmt_stack_is_by_name(stack))
        rmt_record_set(os, "network-by-name", "yes");
    if (!rmt_stack_is_carried(stack->name))
        return 0;
    if (rmt_netscan_run(&scan, root_fd, strcmp(stack->name, "none") != 0, ignored,
                        error) == -1)
        return -1;
    rmt_auto_str shapes = rmt_netscan_shapes(&scan);
    rmt_netscan_end(&scan);
    if (shapes[0])
        rmt_record_set(os, "network-shapes", shapes);
    if (scan.refusal[0])
        rmt_record_set(os, "network-refusal", scan.refusal);
    return 0;
}

static int
s_examine_linux(int root_fd, rmt_records_t *records, rmt_error_t *error)
{
    rmt_record_t *os = rmt_records_add(records);
    rmt_record_set(os, "class", "os");
    rmt_record_set(os, "family", "linux");
    rmt_init_t init;
    rmt_stack_t stack;
    if (s_read_release(root_fd, os, error) == -1)
        return -1;
    s_read_kernels(root_fd, os);
    if (s_read_packages(root_fd, os, error) == -1 ||
        rmt_init_look(root_fd, &init, error) == -1 ||
        rmt_stack_look(root_fd, &stack, error) == -1)
        return -1;
    rmt_record_set(os, "init", init.name);
    if (s_read_network(root_fd, &stack, os, error) == -1)
        return -1;
    s_read_config(root_fd, records);
    return 0;
}

int
rmt_os_examine(int root_fd, rmt_records_t **records_out, rmt_error_t *error)
{
    assert(records_out);
    rmt_auto(rmt_records) records = rmt_records_new();
    for (size_t i = 0; i < sizeof s_handlers / sizeof *s_handlers; i++) {
        if (!s_handlers[i].probe(root_fd))
            continue;
        if (s_handlers[i].examine(root_fd, records, error) == -1)
            return -1;
        *records_out = rmt_take(&records);
        return 0;
    }
    rmt_record_t *os = rmt_records_add(records);
    rmt_record_set(os, "class", "os");
    rmt_record_set(os, "family", "other");
    *records_out = rmt_take(&records);
    return 0;
}
