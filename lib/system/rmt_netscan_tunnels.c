// Keys by which a machine is known at the other end of a tunnel: two machines with one
// key take each other's traffic.
#include "system/rmt_netscan.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_lines.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define WHAT "tunnel"

static int
s_take_key(rmt_netscan_t *scan, const char *path)
{
    rmt_netscan_take(scan, path, 1, "holds the key of a tunnel", WHAT);
    return 0;
}

// ---- WireGuard: all in its folder but public keys

static int
s_read_wireguard(rmt_netscan_t *scan, const char *path)
{
    const char *name = strrchr(path, '/') + 1;
    if (fnmatch("*.pub", name, 0) == 0 || strstr(name, "public"))
        return 0;
    const size_t size = strcspn(name, ".");
    if (fnmatch("*.conf", name, 0) == 0) {
        rmt_auto_str interface = rmt_text("%.*s", (int) size, name);
        rmt_netscan_shape(scan, "wireguard", interface);
    }
    return s_take_key(scan, path);
}

// ---- IPsec: a file of secrets that has one

static int
s_read_secrets(rmt_netscan_t *scan, const char *path)
{
    rmt_auto_str text = NULL;
    if (rmt_netscan_load(scan, path, &text) == -1)
        return -1;
    rmt_lines_t lines;
    rmt_lines_begin(&lines, text, RMT_LINES_ALONE);
    for (char *line; (line = rmt_lines_next(&lines));) {
        line = rmt_lines_trim(line);
        if (line[0] && line[0] != '#' && strncmp(line, "include", 7) != 0)
            return s_take_key(scan, path);
    }
    return 0;
}

// ---- OpenVPN: a word an option, and texts between <key> and </key>

// The file that an option names, from the folder of the settings.
static void
s_take_named(rmt_netscan_t *scan, const char *path, const char *name)
{
    rmt_auto_str folder = rmt_text("%s", path);
    *strrchr(folder, '/') = '\0';
    rmt_auto_str file =
        name[0] == '/' ? rmt_text("%s", name) : rmt_text("%s/%s", folder, name);
    if (!strstr(file, "/../") && rmt_rooted_kind(scan->root_fd, file) == S_IFREG)
        (void) s_take_key(scan, file);
}

static int
s_read_openvpn(rmt_netscan_t *scan, const char *path)
{
    static const char *const keys[] = {"key", "pkcs12", "secret", "auth-user-pass"};
    rmt_auto_str text = NULL;
    if (rmt_netscan_load(scan, path, &text) == -1)
        return -1;
    unsigned own = 0;
    rmt_lines_t lines;
    rmt_lines_begin(&lines, text, RMT_LINES_ALONE);
    for (char *line; (line = rmt_lines_next(&lines));) {
        char *rest = line;
        const char *option = rmt_lines_word(&rest, " \t");
        const char *value = rmt_lines_word(&rest, " \t\"'");
        if (!option || option[0] == '#' || option[0] == ';')
            continue;
        bool is_own = strcmp(option, "<key>") == 0 || strcmp(option, "<pkcs12>") == 0 ||
                      strcmp(option, "<secret>") == 0 ||
                      (value && strcmp(option, "ifconfig") == 0) ||
                      (value && strcmp(option, "lladdr") == 0);
        for (size_t i = 0; value && i < sizeof keys / sizeof *keys; i++) {
            if (strcmp(option, keys[i]) != 0)
                continue;
            is_own = true;
            s_take_named(scan, path, value);
        }
        own = own == 0 && is_own ? lines.number : own;
    }
    if (own) {
        rmt_netscan_shape(scan, "openvpn", strrchr(path, '/') + 1);
        rmt_netscan_take(scan, path, own, "holds or names the key of a tunnel", WHAT);
    }
    return 0;
}

// tinc and its like keep one folder a network.
static int
s_read_folders(rmt_netscan_t *scan, const char *folder, const char *pattern)
{
    rmt_auto_str names = rmt_rooted_list(scan->root_fd, folder);
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str below = rmt_text("%s/%s", folder, name);
        if (rmt_rooted_kind(scan->root_fd, below) == S_IFDIR &&
            rmt_netscan_each(scan, below, pattern, s_take_key) == -1)
            return -1;
    }
    return 0;
}

static const struct {
    const char *folder, *pattern;
    rmt_netscan_file_fn *read;
} s_files[] = {
    {"/etc/wireguard", "*", s_read_wireguard},
    {"/etc/openvpn", "*.conf", s_read_openvpn},
    {"/etc/openvpn", "*.ovpn", s_read_openvpn},
    {"/etc/openvpn/client", "*.conf", s_read_openvpn},
    {"/etc/openvpn/client", "*.ovpn", s_read_openvpn},
    {"/etc/openvpn/server", "*.conf", s_read_openvpn},
    {"/etc", "ipsec.secrets", s_read_secrets},
    {"/etc/ipsec.d", "*.secrets", s_read_secrets},
    {"/etc/strongswan", "ipsec.secrets", s_read_secrets},
    {"/etc/ipsec.d/private", "*", s_take_key},
    {"/etc/strongswan/ipsec.d/private", "*", s_take_key},
    {"/etc/swanctl/private", "*", s_take_key},
    {"/etc/swanctl/rsa", "*", s_take_key},
    {"/etc/swanctl/ecdsa", "*", s_take_key},
    {"/etc/swanctl/pkcs8", "*", s_take_key},
    {"/etc/swanctl/pkcs12", "*", s_take_key},
    {"/etc/strongswan/swanctl/private", "*", s_take_key},
    {"/etc/strongswan/swanctl/rsa", "*", s_take_key},
    {"/etc/strongswan/swanctl/ecdsa", "*", s_take_key},
    {"/etc/strongswan/swanctl/pkcs8", "*", s_take_key},
    {"/etc/strongswan/swanctl/pkcs12", "*", s_take_key},
    {"/etc/ipsec.d", "key[34].db", s_take_key},
    {"/var/lib/ipsec/nss", "key[34].db", s_take_key},
    {"/etc/racoon", "psk.txt", s_read_secrets},
    {"/etc/racoon/certs", "*.key", s_take_key},
    {"/etc/tinc", "*_key.priv", s_take_key},
    {"/etc/nebula", "*.key", s_take_key},
    {"/etc", "yggdrasil.conf", s_take_key},
    {"/etc/yggdrasil", "yggdrasil.conf", s_take_key},
};

int
rmt_netscan_tunnels(rmt_netscan_t *scan)
{
    for (size_t i = 0; i < sizeof s_files / sizeof *s_files; i++) {
        if (rmt_netscan_each(scan, s_files[i].folder, s_files[i].pattern,
                             s_files[i].read) == -1)
            return -1;
    }
    if (s_read_folders(scan, "/etc/tinc", "*_key.priv") == -1)
        return -1;
    return s_read_folders(scan, "/etc/fastd", "fastd.conf");
}
