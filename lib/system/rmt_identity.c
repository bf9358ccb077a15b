#include "rmt_identity.h"
#include "rmt_action.h"
#include "rmt_auto.h"
#include "rmt_io.h"
#include "rmt_process.h"
#include "rmt_rooted.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define KEY_SIZE_MAX ((size_t) 64 * 1024)

// What a machine keeps about itself, and must not hand on.
static const struct {
    const char *folder;
    const char *pattern;
    const char *what;
} s_removed[] = {
    {"/var/lib/systemd", "random-seed", "random-seed"},
    {"/var/lib/systemd", "credential.secret", "secret"},
    {"/var/lib/urandom", "random-seed", "random-seed"},
    {"/boot/loader", "random-seed", "random-seed"},
    {"/boot/efi/loader", "random-seed", "random-seed"},
    {"/var/lib/dhcp", "*.lease*", "dhcp-lease"},
    {"/var/lib/dhclient", "*.lease*", "dhcp-lease"},
    {"/var/lib/dhcpcd", "*", "dhcp-lease"},
    {"/var/lib/NetworkManager", "*.lease*", "dhcp-lease"},
    {"/var/lib/NetworkManager", "secret_key", "secret"},
    {"/etc/udev/rules.d", "*persistent-net*.rules", "device-names"},
    {"/etc/udev/rules.d", "*persistent-cd*.rules", "device-names"},
    {"/etc/lvm/devices", "system.devices", "device-names"},
};

static void
s_plan_removals(int root_fd, rmt_records_t *actions)
{
    for (size_t i = 0; i < sizeof s_removed / sizeof *s_removed; i++) {
        rmt_auto_str names = rmt_rooted_list(root_fd, s_removed[i].folder);
        for (const char *name = names; *name; name += strlen(name) + 1) {
            rmt_auto_str path = rmt_text("%s/%s", s_removed[i].folder, name);
            const mode_t kind = rmt_rooted_kind(root_fd, path);
            if (fnmatch(s_removed[i].pattern, name, FNM_PERIOD) == 0 && kind &&
                kind != S_IFDIR)
                rmt_action_remove(actions, path, s_removed[i].what);
        }
    }
}

static int
s_plan_machine_id(int root_fd, bool is_systemd, rmt_records_t *actions,
                  rmt_error_t *error)
{
    static const char dbus[] = "/var/lib/dbus/machine-id";
    if (!is_systemd && !rmt_rooted_kind(root_fd, "/etc/machine-id") &&
        !rmt_rooted_kind(root_fd, dbus))
        return 0;
    unsigned char random[16];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return rmt_fail_errno(error, "random bytes");
    char text[2 * sizeof random + 2];
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(text + 2 * i, 3, "%02x", random[i]);
    memcpy(text + 2 * sizeof random, "\n", 2);
    rmt_action_write(actions, "/etc/machine-id", "machine-id", 0444, text, strlen(text));
    if (rmt_rooted_kind(root_fd, dbus) == S_IFREG)
        rmt_action_link(actions, dbus, "machine-id", "/etc/machine-id");
    return 0;
}

// Make one key pair in a folder of ours and add its two files to the plan.
static int
s_plan_key(const char *folder, const char *kind, const char *bits, const char *hostname,
           rmt_records_t *actions, rmt_error_t *error)
{
    rmt_auto_str file = rmt_text("%s/%s", folder, kind);
    rmt_auto_str comment = rmt_text("root@%s", hostname);
    const char *arguments[] = {
        "ssh-keygen",          "-q", "-t", kind, "-N", "", "-C", comment, "-f", file,
        bits[0] ? "-b" : NULL, bits, NULL};
    if (rmt_process_run(arguments, NULL, NULL, error) == -1)
        return -1;
    for (int public = 0; public < 2; public ++) {
        rmt_auto_str made = rmt_text("%s%s", file, public ? ".pub" : "");
        rmt_auto_str path =
            rmt_text("/etc/ssh/ssh_host_%s_key%s", kind, public ? ".pub" : "");
        rmt_auto_ptr data = NULL;
        size_t size;
        if (rmt_io_load(made, KEY_SIZE_MAX, &data, &size, error) == -1)
            return -1;
        rmt_action_write(actions, path, "ssh-host-key", public ? 0644 : 0600, data, size);
        explicit_bzero(data, size);
    }
    return 0;
}

// Kinds that the image has, or all where its keys were left out of it.
static int
s_plan_keys(int root_fd, const char *folder, const char *hostname, rmt_records_t *actions,
            rmt_error_t *error)
{
    static const struct {
        const char *kind;
        const char *bits;
    } rows[] = {{"ed25519", ""}, {"ecdsa", "256"}, {"rsa", "3072"}};
    const size_t count = sizeof rows / sizeof *rows;
    bool has[sizeof rows / sizeof *rows] = {false};
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        rmt_auto_str path = rmt_text("/etc/ssh/ssh_host_%s_key", rows[i].kind);
        has[i] = rmt_rooted_kind(root_fd, path) == S_IFREG;
        any = any || has[i];
    }
    if (!any && !rmt_rooted_exists(root_fd, "/usr/sbin/sshd"))
        return 0;
    for (size_t i = 0; i < count; i++) {
        if ((has[i] || !any) && s_plan_key(folder, rows[i].kind, rows[i].bits, hostname,
                                           actions, error) == -1)
            return -1;
    }
    return 0;
}

// The image's keys go first, also those of kinds that are not made any more.
static void
s_plan_key_removals(int root_fd, rmt_records_t *actions)
{
    rmt_auto_str names = rmt_rooted_list(root_fd, "/etc/ssh");
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str path = rmt_text("/etc/ssh/%s", name);
        if (fnmatch("ssh_host_*_key*", name, 0) == 0 &&
            rmt_rooted_kind(root_fd, path) != S_IFDIR)
            rmt_action_remove(actions, path, "ssh-host-key");
    }
}

int
rmt_identity_plan(int root_fd, const char *hostname, bool is_systemd,
                  rmt_records_t *actions, rmt_error_t *error)
{
    if (s_plan_machine_id(root_fd, is_systemd, actions, error) == -1)
        return -1;
    s_plan_removals(root_fd, actions);
    s_plan_key_removals(root_fd, actions);
    // In memory where that is possible, as the keys belong on one disk only.
    char shm[] = "/dev/shm/ramet-keys-XXXXXX";
    char tmp[] = "/tmp/ramet-keys-XXXXXX";
    const char *folder = mkdtemp(shm);
    if (!folder)
        folder = mkdtemp(tmp);
    if (!folder)
        return rmt_fail_errno(error, "folder for keys");
    const int rc = s_plan_keys(root_fd, folder, hostname, actions, error);
    // The first error is the one to tell.
    rmt_error_t second;
    if (rmt_io_remove_tree(folder, rc == -1 ? &second : error) == -1)
        return -1;
    return rc;
}
