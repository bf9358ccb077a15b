#include "system/rmt_own_address.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_span.h"

#include <ctype.h>
#include <fnmatch.h>
#include <string.h>
#include <strings.h>

#define MARKS " \t\r\"'=,;[](){}"
#define FOLDERS_MAX 3 // Levels below a folder of the table

static const struct {
    const char *folder;
    const char *pattern;
} s_places[] = {
    {"/etc/network", "*"},
    {"/etc/systemd/network", "*"},
    {"/etc/NetworkManager/system-connections", "*"},
    {"/etc/netplan", "*.yaml"},
    {"/etc/sysconfig/network-scripts", "ifcfg-*"},
    {"/etc/sysconfig/network", "ifcfg-*"},
    {"/etc/conf.d", "net*"},
    {"/etc", "dhcpcd.conf"},
    {"/etc", "rc.conf"},
};

static bool
s_take_address(rmt_span_t word, rmt_address_t *address_out)
{
    char text[RMT_ADDRESS_TEXT_SIZE];
    if (word.size >= sizeof text)
        return false;
    memcpy(text, word.start, word.size);
    text[word.size] = '\0';
    return rmt_address_read(text, address_out);
}

// "10.0.0.9/24": the length of its network stands behind it.
static bool
s_take_with_length(rmt_span_t word, rmt_address_t *address_out)
{
    const char *slash = memchr(word.start, '/', word.size);
    if (!slash)
        return false;
    const size_t size = (size_t) (slash - word.start);
    for (size_t i = size + 1; i < word.size; i++)
        if (!isdigit((unsigned char) word.start[i]))
            return false;
    return size + 1 < word.size &&
           s_take_address((rmt_span_t){word.start, size}, address_out);
}

// "address", "address1", "ip_address", "IPADDR", "IPADDR0".
static bool
s_is_address_key(rmt_span_t word)
{
    static const char *const keys[] = {"address", "ip_address", "ipaddr", "ip6addr"};
    while (word.size && isdigit((unsigned char) word.start[word.size - 1]))
        word.size--;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (rmt_span_is_nocase(word, keys[i]))
            return true;
    return false;
}

static void
s_add(rmt_own_address_t *self, const rmt_address_t *address)
{
    if (self->count < RMT_OWN_ADDRESSES_MAX && !rmt_own_address_has(self, address))
        self->addresses[self->count++] = *address;
}

// A line that tells a way to others, and not where this machine is.
static bool
s_is_route(rmt_span_t line)
{
    static const char *const words[] = {"route", "gateway", "via", "to:", "nameserver"};
    rmt_auto_str copy = rmt_span_dup(line);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasestr(copy, words[i]))
            return true;
    return false;
}

static void
s_scan_line(rmt_own_address_t *self, rmt_span_t line)
{
    rmt_span_t word, before = {line.start, 0};
    rmt_address_t address;
    while (rmt_span_word(&line, MARKS, &word)) {
        const bool is_measured =
            rmt_span_is(word, "netmask") || rmt_span_is(word, "broadcast");
        if (s_take_with_length(word, &address) ||
            (s_is_address_key(before) && s_take_address(word, &address)) ||
            (is_measured && before.size && s_take_address(before, &address)))
            s_add(self, &address);
        before = word;
    }
}

static void
s_scan(rmt_own_address_t *self, rmt_span_t text)
{
    for (rmt_line_t line; rmt_span_line(&text, &line);) {
        const rmt_span_t bare = rmt_span_trim(line.text, " \t");
        if (bare.size && !strchr("#;", *bare.start) && !s_is_route(bare))
            s_scan_line(self, bare);
    }
}

static int
s_read_folder(int root_fd, const char *folder, const char *pattern, int depth,
              rmt_own_address_t *self, rmt_error_t *error)
{
    rmt_auto_str names = rmt_rooted_list(root_fd, folder);
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str path = rmt_text("%s/%s", folder, name);
        if (rmt_rooted_kind(root_fd, path) == S_IFDIR) {
            // A folder of the table is /etc itself in some rows, which has many.
            if (depth < FOLDERS_MAX && strcmp(pattern, "*") == 0 &&
                s_read_folder(root_fd, path, pattern, depth + 1, self, error) == -1)
                return -1;
            continue;
        }
        size_t size = 0;
        rmt_auto_str text = NULL;
        if (fnmatch(pattern, name, FNM_PERIOD) != 0)
            continue;
        if (rmt_rooted_load(root_fd, path, &text, &size, error) == -1)
            return -1;
        if (text)
            s_scan(self, (rmt_span_t){text, size});
    }
    return 0;
}

int
rmt_own_address_read(int root_fd, rmt_own_address_t *self_out, rmt_error_t *error)
{
    self_out->count = 0;
    for (size_t i = 0; i < sizeof s_places / sizeof *s_places; i++)
        if (s_read_folder(root_fd, s_places[i].folder, s_places[i].pattern, 0, self_out,
                          error) == -1)
            return -1;
    return 0;
}

bool
rmt_own_address_has(const rmt_own_address_t *self, const rmt_address_t *address)
{
    for (size_t i = 0; i < self->count; i++)
        if (rmt_address_equal(&self->addresses[i], address))
            return true;
    return false;
}
