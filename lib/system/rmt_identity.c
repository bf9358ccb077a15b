#include "system/rmt_identity.h"
#include "system/rmt_action.h"
#include "base/rmt_auto.h"
#include "base/rmt_random.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_ssh_keys.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define SEED_SIZE_MIN 32
#define SEED_SIZE_MAX 4096
#define PATH_SIZE_MAX 2048
#define INITIATOR_PREFIX "iqn.1993-08.org.debian:01"

typedef struct {
    char uuid[RMT_RANDOM_UUID_SIZE]; // One for all names of an NVMe host
} fresh_t;

// Writes what comes in place of the old contents.
typedef void(make_fn)(FILE *out, const fresh_t *fresh, const char *old, size_t old_size);

static make_fn s_make_seed, s_make_hostid, s_make_initiator, s_make_nqn, s_make_uuid;

// What a machine keeps about itself and must not hand on. Without a generator it is
// taken away, and its owner makes it anew; "**" is all that is below a folder.
// docs/spec/3-facts.md lists the rows.
static const struct {
    const char *folder;
    const char *pattern;
    const char *what;
    make_fn *make;
    unsigned mode;
} s_rows[] = {
    {"/var/lib/systemd", "random-seed", "random-seed", s_make_seed, 0600},
    {"/var/lib/urandom", "random-seed", "random-seed", s_make_seed, 0600},
    {"/var/lib/misc", "random-seed", "random-seed", s_make_seed, 0600},
    {"/var/lib", "random-seed", "random-seed", s_make_seed, 0600},
    {"/etc", "random-seed", "random-seed", s_make_seed, 0600},
    {"/var/lib/seedrng", "seed.*", "random-seed", NULL, 0},
    {"/boot/loader", "random-seed", "random-seed", NULL, 0},
    {"/boot/efi/loader", "random-seed", "random-seed", NULL, 0},
    {"/efi/loader", "random-seed", "random-seed", NULL, 0},
    {"/var/lib/systemd", "credential.secret", "secret", NULL, 0},
    {"/var/lib/dhcp", "*lease*", "dhcp-lease", NULL, 0},
    {"/var/lib/dhcp", "*duid*", "dhcp-lease", NULL, 0},
    {"/var/lib/dhcp3", "*lease*", "dhcp-lease", NULL, 0},
    {"/var/lib/dhclient", "*lease*", "dhcp-lease", NULL, 0},
    {"/var/lib/dhcpcd", "**", "dhcp-lease", NULL, 0},
    {"/var/lib/dhcpcd5", "**", "dhcp-lease", NULL, 0},
    {"/etc", "dhcpcd.duid", "dhcp-lease", NULL, 0},
    {"/etc", "dhcpcd.secret", "dhcp-lease", NULL, 0},
    {"/var/lib/NetworkManager", "*lease*", "dhcp-lease", NULL, 0},
    {"/var/lib/NetworkManager", "dhclient*", "dhcp-lease", NULL, 0},
    {"/var/lib/NetworkManager", "timestamps", "dhcp-lease", NULL, 0},
    {"/var/lib/NetworkManager", "seen-bssids", "dhcp-lease", NULL, 0},
    {"/var/lib/NetworkManager", "secret_key", "secret", NULL, 0},
    {"/var/lib/systemd/network", "**", "dhcp-lease", NULL, 0},
    {"/var/lib/connman", "**", "dhcp-lease", NULL, 0},
    {"/etc/udev/rules.d", "*persistent-net*.rules", "device-names", NULL, 0},
    {"/etc/udev/rules.d", "*persistent-cd*.rules", "device-names", NULL, 0},
    {"/etc/lvm/devices", "**", "device-names", NULL, 0},
    {"/etc/lvm/cache", "**", "device-names", NULL, 0},
    {"/etc/multipath", "wwids", "device-names", NULL, 0},
    {"/etc/multipath", "bindings", "device-names", NULL, 0},
    {"/etc", "hostid", "host-id", s_make_hostid, 0644},
    {"/etc/iscsi", "initiatorname.iscsi", "host-id", s_make_initiator, 0600},
    {"/etc/nvme", "hostnqn", "host-id", s_make_nqn, 0644},
    {"/etc/nvme", "hostid", "host-id", s_make_uuid, 0644},
    {"/var/lib/cloud", "instance", "cloud-init", NULL, 0},
    {"/var/lib/cloud/instances", "**", "cloud-init", NULL, 0},
    {"/var/lib/cloud/data", "**", "cloud-init", NULL, 0},
    {"/var/lib/cloud/sem", "**", "cloud-init", NULL, 0},
    {"/etc", "krb5.keytab", "secret", NULL, 0},
    {"/etc/salt", "minion_id", "host-id", NULL, 0},
    {"/etc/salt/pki/minion", "minion.p*", "secret", NULL, 0},
    {"/etc/puppetlabs/puppet/ssl", "**", "secret", NULL, 0},
    {"/var/lib/puppet/ssl", "**", "secret", NULL, 0},
    {"/var/lib/zerotier-one", "identity.*", "secret", NULL, 0},
    {"/var/lib/tailscale", "tailscaled.state", "secret", NULL, 0},
    {"/etc/pki/consumer", "*.pem", "secret", NULL, 0},
    {"/etc/pki/entitlement", "*.pem", "secret", NULL, 0},
    {"/etc/sysconfig/rhn", "systemid", "secret", NULL, 0},
    {"/etc/insights-client", "machine-id", "host-id", NULL, 0},
    {"/var/lib/ubuntu-advantage/private", "machine-token.json", "secret", NULL, 0},
    {"/etc/docker", "key.json", "secret", NULL, 0},
    {"/var/lib/docker", "engine-id", "host-id", NULL, 0},
    {"/etc/rancher/node", "password", "secret", NULL, 0},
    {"/var/lib/consul", "node-id", "host-id", NULL, 0},
    {"/opt/consul", "node-id", "host-id", NULL, 0},
    {"/var/lib/nomad/client", "*-id", "secret", NULL, 0},
    {"/opt/nomad/data/client", "*-id", "secret", NULL, 0},
    {"/var/ossec/etc", "client.keys", "secret", NULL, 0},
    {"/var/lib/mysql", "auto.cnf", "host-id", NULL, 0},
    {"/var/lib/libuuid", "clock.txt", "host-id", NULL, 0},
    {"/var/lib/whoopsie", "whoopsie-id", "host-id", NULL, 0},
    {"/var/lib/netdata/registry", "*.unique.id", "host-id", NULL, 0},
};

// ---- Generators

static void
s_make_seed(FILE *out, const fresh_t *fresh, const char *old, size_t old_size)
{
    (void) fresh;
    (void) old;
    unsigned char seed[SEED_SIZE_MAX];
    const size_t size = old_size < SEED_SIZE_MIN   ? SEED_SIZE_MIN
                        : old_size > SEED_SIZE_MAX ? SEED_SIZE_MAX
                                                   : old_size;
    rmt_random_bytes(seed, size);
    fwrite(seed, 1, size, out);
    explicit_bzero(seed, sizeof seed);
}

static void
s_make_hostid(FILE *out, const fresh_t *fresh, const char *old, size_t old_size)
{
    (void) fresh;
    (void) old;
    (void) old_size;
    unsigned char id[4];
    rmt_random_bytes(id, sizeof id);
    fwrite(id, 1, sizeof id, out);
}

// The authority, which stands before the last colon, is the owner's and stays.
static void
s_make_initiator(FILE *out, const fresh_t *fresh, const char *old, size_t old_size)
{
    static const char key[] = "InitiatorName=";
    (void) fresh;
    (void) old_size;
    char id[13];
    const char *name = strstr(old, key);
    name = name ? name + sizeof key - 1 : "";
    const char *colon = memrchr(name, ':', strcspn(name, " \t\r\n"));
    const int size = colon ? (int) (colon - name) : 0;
    fprintf(out, "%s%.*s:%s\n", key, size ? size : (int) strlen(INITIATOR_PREFIX),
            size ? name : INITIATOR_PREFIX, rmt_random_hex(id, 6));
}

static void
s_make_nqn(FILE *out, const fresh_t *fresh, const char *old, size_t old_size)
{
    (void) old;
    (void) old_size;
    fprintf(out, "nqn.2014-08.org.nvmexpress:uuid:%s\n", fresh->uuid);
}

static void
s_make_uuid(FILE *out, const fresh_t *fresh, const char *old, size_t old_size)
{
    (void) old;
    (void) old_size;
    fprintf(out, "%s\n", fresh->uuid);
}

// ---- The plan

static int
s_plan_item(int root_fd, const char *path, size_t row, const fresh_t *fresh,
            rmt_records_t *actions, rmt_error_t *error)
{
    if (!s_rows[row].make) {
        rmt_action_remove(actions, path, s_rows[row].what);
        return 0;
    }
    size_t old_size = 0;
    rmt_auto_str old = NULL;
    if (rmt_rooted_load(root_fd, path, &old, &old_size, error) == -1)
        return -1;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    s_rows[row].make(out, fresh, old ? old : "", old_size);
    if (fclose(out))
        abort();
    rmt_action_write(actions, path, s_rows[row].what, s_rows[row].mode, text, size);
    explicit_bzero(text, size);
    free(text);
    return 0;
}

// Folders stay: a program may not make its own.
static int
s_plan_folder(int root_fd, const char *folder, size_t row, const fresh_t *fresh,
              rmt_records_t *actions, rmt_error_t *error)
{
    const bool is_tree = strcmp(s_rows[row].pattern, "**") == 0;
    rmt_auto_str names = rmt_rooted_list(root_fd, folder);
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str path = rmt_text("%s/%s", folder, name);
        const mode_t kind = rmt_rooted_kind(root_fd, path);
        const bool is_meant =
            is_tree || fnmatch(s_rows[row].pattern, name, FNM_PERIOD) == 0;
        int rc = 0;
        if (kind == S_IFDIR && is_tree && strlen(path) < PATH_SIZE_MAX)
            rc = s_plan_folder(root_fd, path, row, fresh, actions, error);
        else if (kind && kind != S_IFDIR && is_meant &&
                 !rmt_records_find(actions, "path", path))
            rc = s_plan_item(root_fd, path, row, fresh, actions, error);
        if (rc == -1)
            return -1;
    }
    return 0;
}

static void
s_plan_machine_id(int root_fd, bool is_systemd, rmt_records_t *actions)
{
    static const char dbus[] = "/var/lib/dbus/machine-id";
    if (!is_systemd && !rmt_rooted_kind(root_fd, "/etc/machine-id") &&
        !rmt_rooted_exists(root_fd, dbus))
        return;
    char id[33];
    rmt_auto_str text = rmt_text("%s\n", rmt_random_hex(id, 16));
    rmt_action_write(actions, "/etc/machine-id", "machine-id", 0444, text, strlen(text));
    rmt_auto_str own = rmt_rooted_real(root_fd, dbus);
    if (own && strcmp(own, "/etc/machine-id") != 0)
        rmt_action_link(actions, own, "machine-id", "/etc/machine-id");
}

int
rmt_identity_plan_part(int root_fd, const char *mount, rmt_records_t *actions,
                       rmt_error_t *error)
{
    fresh_t fresh;
    const size_t size = strlen(mount);
    rmt_random_uuid(fresh.uuid);
    for (size_t row = 0; row < sizeof s_rows / sizeof *s_rows; row++) {
        const char *folder = s_rows[row].folder;
        if (strncmp(folder, mount, size) != 0 || folder[size] != '/')
            continue;
        rmt_auto_str real = rmt_rooted_real(root_fd, folder + size);
        if (real && rmt_rooted_kind(root_fd, real) == S_IFDIR &&
            s_plan_folder(root_fd, real, row, &fresh, actions, error) == -1)
            return -1;
    }
    if (strcmp(mount, "/var") == 0 &&
        rmt_rooted_kind(root_fd, "/lib/dbus/machine-id") == S_IFREG)
        rmt_action_link(actions, "/lib/dbus/machine-id", "machine-id", "/etc/machine-id");
    return 0;
}

int
rmt_identity_plan(int root_fd, const char *hostname, bool is_systemd, bool has_keys,
                  rmt_records_t *actions, rmt_error_t *error)
{
    fresh_t fresh;
    rmt_random_uuid(fresh.uuid);
    s_plan_machine_id(root_fd, is_systemd, actions);
    for (size_t row = 0; row < sizeof s_rows / sizeof *s_rows; row++) {
        rmt_auto_str folder = rmt_rooted_real(root_fd, s_rows[row].folder);
        if (folder && rmt_rooted_kind(root_fd, folder) == S_IFDIR &&
            s_plan_folder(root_fd, folder, row, &fresh, actions, error) == -1)
            return -1;
    }
    return rmt_ssh_keys_plan(root_fd, hostname, has_keys, actions, error);
}
