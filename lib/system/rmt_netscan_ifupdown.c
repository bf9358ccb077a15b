// interfaces(5) of ifupdown, and where ifupdown2, ifupdown-ng and busybox differ:
// templates of ifupdown2 are programs, and are not understood.
#include "system/rmt_netscan.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_lines.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define MAIN "/etc/network/interfaces"
#define FOLDER MAIN ".d"
#define BLANKS " \t"
#define DEPTH_MAX 8

typedef struct {
    rmt_netscan_t *scan;
    rmt_records_t *seen; // {path}: a file is read once
    const char *path;
    unsigned depth;
    bool is_read;   // By the image's own ifupdown, not only because of its folder
    unsigned own;   // First line that sets more than a plain lo; 0 for none
    bool is_stanza; // Options belong to a stanza
    bool is_lo;
    char iface[40];
} reader_t;

static int s_read(const reader_t *above, const char *path, bool is_read);

// ---- Shapes

// An option by which an interface is more than a plain one.
static const struct {
    const char *option, *kind;
    bool is_value; // The value is the name
} s_options[] = {
    {"bond-slaves", "bond", false},
    {"bond_slaves", "bond", false},
    {"slaves", "bond", false},
    {"bond-members", "bond", false},
    {"bond-mode", "bond", false},
    {"bond_mode", "bond", false},
    {"bond-master", "bond", true},
    {"bond_master", "bond", true},
    {"bridge_ports", "bridge", false},
    {"bridge-ports", "bridge", false},
    {"vlan-raw-device", "vlan", false},
    {"vlan_raw_device", "vlan", false},
    {"vlan-id", "vlan", false},
    {"vxlan-id", "vxlan", false},
    {"vrf-table", "vrf", false},
    {"vrf-member", "vrf", true},
    {"wireguard-config-path", "wireguard", false},
    {"tunnel-mode", "tunnel", false},
    {"team-ports", "team", false},
    {"macvlan-mode", "macvlan", false},
    {"ovs_type", "ovs", false},
};

static void
s_take_option(reader_t *self, char *line)
{
    char *rest = line;
    const char *option = rmt_lines_word(&rest, BLANKS);
    const char *value = rmt_lines_word(&rest, BLANKS);
    for (size_t i = 0; option && i < sizeof s_options / sizeof *s_options; i++) {
        if (strcmp(option, s_options[i].option) == 0)
            rmt_netscan_shape(self->scan, s_options[i].kind,
                              s_options[i].is_value && value ? value : self->iface);
    }
    // ifupdown-ng names what an interface is.
    if (option && value && strcmp(option, "use") == 0 &&
        (strcmp(value, "bond") == 0 || strcmp(value, "bridge") == 0 ||
         strcmp(value, "vlan") == 0 || strcmp(value, "tunnel") == 0 ||
         strcmp(value, "wireguard") == 0))
        rmt_netscan_shape(self->scan, value, self->iface);
}

// A name can say that the interface is a VLAN: eth0.20, vlan20.
static bool
s_is_vlan(const char *name)
{
    const char *dot = strrchr(name, '.');
    const char *digits = dot ? dot + 1 : strncmp(name, "vlan", 4) == 0 ? name + 4 : "";
    const size_t size = strspn(digits, "0123456789");
    return size && (digits[size] == '\0' || digits[size] == ':');
}

// ---- Stanzas

static void
s_begin_iface(reader_t *self, char *rest, unsigned line)
{
    const char *name = rmt_lines_word(&rest, BLANKS);
    const char *family = rmt_lines_word(&rest, BLANKS);
    const char *method = rmt_lines_word(&rest, BLANKS);
    if (!name) {
        rmt_netscan_refuse(self->scan, self->path, line, "has 'iface' without a name");
        return;
    }
    snprintf(self->iface, sizeof self->iface, "%s", name);
    self->is_lo = strcmp(name, "lo") == 0 &&
                  (!family || (method && strcmp(method, "loopback") == 0));
    if (self->is_lo)
        return;
    if (!self->own)
        self->own = line;
    if (!self->scan->first[0] && strcmp(name, "lo") != 0)
        snprintf(self->scan->first, sizeof self->scan->first, "%s",
                 strlen(name) < sizeof self->scan->first ? name : "");
    if (s_is_vlan(name))
        rmt_netscan_shape(self->scan, "vlan", name);
    if (method && (strcmp(method, "tunnel") == 0 || strcmp(method, "v4tunnel") == 0 ||
                   strcmp(method, "6to4") == 0 || strcmp(method, "wireguard") == 0))
        rmt_netscan_shape(self->scan, "tunnel", name);
}

static bool
s_is_only_lo(char *rest)
{
    for (const char *word; (word = rmt_lines_word(&rest, BLANKS));) {
        if (strcmp(word, "lo") != 0)
            return false;
    }
    return true;
}

// ---- Files that are read in

// Names as run-parts takes them.
static bool
s_is_part(const char *name)
{
    for (; *name; name++) {
        if (!isalnum((unsigned char) *name) && *name != '_' && *name != '-')
            return false;
    }
    return true;
}

// Each file that a pattern means, part of the path by part.
static int
s_source(const reader_t *self, const char *base, const char *pattern)
{
    const size_t size = strcspn(pattern, "/");
    rmt_auto_str part = rmt_text("%.*s", (int) size, pattern);
    const char *rest = pattern + size + strspn(pattern + size, "/");
    if (size == 0 || strcmp(part, ".") == 0 || !strpbrk(part, "*?[")) {
        rmt_auto_str path = size ? rmt_text("%s/%s", base, part) : rmt_text("%s", base);
        return *rest ? s_source(self, path, rest) : s_read(self, path, true);
    }
    rmt_auto_str names = rmt_rooted_list(self->scan->root_fd, base);
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str path = rmt_text("%s/%s", base, name);
        if (fnmatch(part, name, FNM_PERIOD) == 0 &&
            (*rest ? s_source(self, path, rest) : s_read(self, path, true)) == -1)
            return -1;
    }
    return 0;
}

static int
s_source_folder(const reader_t *self, const char *folder)
{
    rmt_auto_str names = rmt_rooted_list(self->scan->root_fd, folder);
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str path = rmt_text("%s/%s", folder, name);
        if (s_is_part(name) && s_read(self, path, true) == -1)
            return -1;
    }
    return 0;
}

// Paths begin at the folder of the file that names them.
static int
s_follow(const reader_t *self, char *rest, bool is_folder)
{
    for (const char *word; (word = rmt_lines_word(&rest, BLANKS));) {
        rmt_auto_str base = rmt_text("%s", self->path);
        *strrchr(base, '/') = '\0';
        rmt_auto_str path = rmt_text("%s/%s", base, word);
        const int rc = is_folder ? s_source_folder(self, word[0] == '/' ? word : path)
                       : word[0] == '/' ? s_source(self, "", word + 1)
                                        : s_source(self, base, word);
        if (rc == -1)
            return -1;
    }
    return 0;
}

// ---- One file

static bool
s_starts(const char *word, const char *start)
{
    return strncmp(word, start, strlen(start)) == 0;
}

// A line that is no option. 1: it was one; 0: none; -1: error.
static int
s_take_word(reader_t *self, const char *word, char *rest, unsigned line)
{
    const bool is_source = strcmp(word, "source") == 0;
    if (is_source || strcmp(word, "source-directory") == 0) {
        self->is_stanza = false;
        return s_follow(self, rest, !is_source) == -1 ? -1 : 1;
    }
    if (strcmp(word, "iface") == 0) {
        self->is_stanza = true;
        s_begin_iface(self, rest, line);
        return 1;
    }
    if (strcmp(word, "mapping") == 0 || strcmp(word, "template") == 0 ||
        strcmp(word, "vlan") == 0 || strcmp(word, "bridge") == 0) {
        self->is_stanza = true;
        self->is_lo = false;
        self->own = self->own ? self->own : line;
        return 1;
    }
    if (strcmp(word, "auto") == 0 || s_starts(word, "allow-") || s_starts(word, "no-") ||
        strcmp(word, "rename") == 0) {
        self->is_stanza = false;
        if (!s_is_only_lo(rest) && !self->own)
            self->own = line;
        return 1;
    }
    return 0;
}

static int
s_take_line(reader_t *self, char *text, unsigned line)
{
    text = rmt_lines_trim(text);
    if (text[0] == '\0' || text[0] == '#')
        return 0;
    rmt_auto_str words = rmt_text("%s", text);
    char *rest = words;
    const char *word = rmt_lines_word(&rest, BLANKS);
    const bool is_program = text[0] == '%' || text[0] == '<' || strstr(text, "${");
    const int found = is_program ? 0 : s_take_word(self, word, rest, line);
    if (found != 0)
        return found == -1 ? -1 : 0;
    if (is_program || !self->is_stanza) {
        self->own = self->own ? self->own : line;
        if (self->is_read)
            rmt_netscan_refuse(self->scan, self->path, line,
                               "is not in the form of interfaces(5): '%.60s'", text);
        else
            self->scan->is_odd = true;
        return 0;
    }
    if (self->is_lo && !self->own)
        self->own = line; // lo with more than its own addresses
    s_take_option(self, text);
    return 0;
}

static int
s_read(const reader_t *above, const char *path, bool is_read)
{
    rmt_netscan_t *scan = above->scan;
    rmt_auto_str text = NULL;
    if (rmt_records_find(above->seen, "path", path) || above->depth == DEPTH_MAX)
        return 0;
    rmt_record_set(rmt_records_add(above->seen), "path", path);
    if (rmt_netscan_load(scan, path, &text) == -1)
        return -1;
    reader_t self = {.scan = scan,
                     .seen = above->seen,
                     .path = path,
                     .depth = above->depth + 1,
                     .is_read = is_read};
    const bool was_odd = scan->is_odd;
    rmt_lines_t lines;
    rmt_lines_begin(&lines, text, RMT_LINES_JOINED);
    for (char *line; (line = rmt_lines_next(&lines));) {
        if (s_take_line(&self, line, lines.number) == -1)
            return -1;
    }
    scan->has_main = scan->has_main || (self.own && strcmp(path, MAIN) == 0);
    // The main file is written again. What ifupdown could not read stays unread.
    if (self.own && strcmp(path, MAIN) != 0 && scan->is_odd == was_odd)
        rmt_netscan_take(scan, path, self.own, "sets an interface", "network");
    return 0;
}

int
rmt_netscan_ifupdown(rmt_netscan_t *scan)
{
    rmt_auto(rmt_records) seen = rmt_records_new();
    const reader_t top = {.scan = scan, .seen = seen, .path = MAIN};
    if (s_read(&top, MAIN, true) == -1)
        return -1;
    rmt_auto_str names = rmt_rooted_list(scan->root_fd, FOLDER);
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str path = rmt_text(FOLDER "/%s", name);
        if (s_read(&top, path, false) == -1)
            return -1;
    }
    return 0;
}
