// The settings of DHCP clients, dhcpcd.conf(5) and dhclient.conf(5): what they fix or
// send of the one machine goes, and the rest stays.
#include "system/rmt_netscan.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_lines.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

// ---- dhcpcd: a line an option, for all or for the interface named before

static bool
s_is_own_option(char *line)
{
    char *rest = line;
    const char *option = rmt_lines_word(&rest, " \t");
    const char *value = rmt_lines_word(&rest, " \t");
    if (!option || option[0] == '#' || !value)
        return false;
    if (strcmp(option, "static") == 0)
        return strncmp(value, "ip_address=", 11) == 0 ||
               strncmp(value, "ip6_address=", 12) == 0 ||
               strncmp(value, "routers=", 8) == 0 ||
               strncmp(value, "interface_mtu=", 14) == 0;
    if (strcmp(option, "request") == 0 || strcmp(option, "inform") == 0 ||
        strcmp(option, "inform6") == 0)
        return rmt_netscan_is_address(value);
    return strcmp(option, "hostname") == 0 || strcmp(option, "clientid") == 0 ||
           strcmp(option, "iaid") == 0 ||
           (strcmp(option, "duid") == 0 && strchr(value, ':'));
}

static int
s_read_dhcpcd(rmt_netscan_t *scan, const char *path)
{
    rmt_auto_str text = NULL;
    if (rmt_netscan_load(scan, path, &text) == -1)
        return -1;
    char *kept = NULL;
    size_t size = 0;
    bool has_any = false;
    FILE *out = open_memstream(&kept, &size);
    rmt_lines_t lines;
    rmt_lines_begin(&lines, text, RMT_LINES_JOINED);
    for (char *line; (line = rmt_lines_next(&lines));) {
        rmt_auto_str words = rmt_text("%s", line);
        const bool is_own = s_is_own_option(words);
        has_any = has_any || is_own;
        if (!is_own)
            fprintf(out, "%s\n", line);
    }
    if (fclose(out))
        abort();
    if (has_any)
        rmt_netscan_write(scan, path, 0644, kept);
    free(kept);
    return 0;
}

// ---- dhclient: statements that end with a semicolon, and blocks in braces

typedef struct {
    const char *path;
    const char *at; // What is read next
    unsigned line;
    FILE *out;
    bool has_any;
    bool is_bad;
} client_t;

// The end of what is no mark, with comments and quoted texts in it passed over.
static const char *
s_statement_end(client_t *self, const char *p)
{
    while (*p && !strchr(";{}", *p)) {
        if (*p == '#') {
            p += strcspn(p, "\n");
        } else if (*p == '"') {
            const char *end = p + 1;
            while (*end && *end != '"')
                end += *end == '\\' && end[1] ? 2 : 1;
            self->is_bad = self->is_bad || !*end;
            p = *end ? end + 1 : end;
        } else {
            p++;
        }
    }
    return p;
}

// The words of a statement without its comments, one blank between. Caller owns them.
static char *
s_words(const char *from, const char *to)
{
    rmt_auto_str text = rmt_text("%.*s", (int) (to - from), from);
    char *words = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&words, &size);
    rmt_lines_t lines;
    rmt_lines_begin(&lines, text, RMT_LINES_ALONE);
    for (char *line; (line = rmt_lines_next(&lines));) {
        char *rest = line;
        for (char *word; (word = rmt_lines_word(&rest, " \t\r"));) {
            if (word[0] == '#')
                break;
            fprintf(out, "%s%s", ftell(out) > 0 ? " " : "", word);
        }
    }
    if (fclose(out))
        abort();
    return words;
}

static bool
s_is_own_statement(const char *words)
{
    static const char *const starts[] = {
        "send dhcp-client-identifier",
        "send dhcp-requested-address",
        "send dhcp6.client-id",
        "send user-class-id",
        "alias",
        "lease",
        "lease6",
        "fixed-address",
        "hardware ",
    };
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        const size_t size = strlen(starts[i]);
        if (strncmp(words, starts[i], size) == 0 &&
            !isalnum((unsigned char) words[size]) && words[size] != '-')
            return true;
    }
    return false;
}

// Behind the block whose opening brace is at p.
static const char *
s_block_end(client_t *self, const char *p)
{
    unsigned depth = 0;
    for (; *p; p = s_statement_end(self, p + 1)) {
        depth += *p == '{';
        if (*p == '}' && --depth == 0)
            return p + 1;
    }
    self->is_bad = true;
    return p;
}

static void
s_copy_client(client_t *self)
{
    unsigned depth = 0;
    while (*self->at && !self->is_bad) {
        const char *end = s_statement_end(self, self->at);
        rmt_auto_str words = s_words(self->at, end);
        const bool is_own = s_is_own_statement(words);
        self->is_bad = self->is_bad || (*end == '}' && (depth == 0 || words[0])) ||
                       (!*end && (words[0] || depth));
        depth += *end == '{' && !is_own;
        depth -= *end == '}' && depth;
        // A block that goes takes all that is in it along.
        const char *next = is_own && *end == '{' ? s_block_end(self, end)
                           : *end                ? end + 1
                                                 : end;
        if (!is_own)
            fwrite(self->at, 1, (size_t) (next - self->at), self->out);
        self->has_any = self->has_any || is_own;
        self->at = next;
    }
}

static int
s_read_dhclient(rmt_netscan_t *scan, const char *path)
{
    rmt_auto_str text = NULL;
    if (rmt_netscan_load(scan, path, &text) == -1)
        return -1;
    if (!text)
        return 0;
    char *kept = NULL;
    size_t size = 0;
    client_t client = {.path = path, .at = text, .out = open_memstream(&kept, &size)};
    s_copy_client(&client);
    if (fclose(client.out))
        abort();
    unsigned line = 1;
    for (const char *p = text; p < client.at; p++)
        line += *p == '\n';
    if (client.is_bad)
        rmt_netscan_refuse(scan, path, line, "is not in the form of dhclient.conf(5)");
    else if (client.has_any)
        rmt_netscan_write(scan, path, 0644, kept);
    free(kept);
    return 0;
}

int
rmt_netscan_dhcp(rmt_netscan_t *scan)
{
    static const rmt_netscan_row_t rows[] = {
        {"/etc", "dhcpcd.conf", s_read_dhcpcd},
        {"/etc", "dhclient*.conf", s_read_dhclient},
        {"/etc/dhcp", "dhclient*.conf", s_read_dhclient},
        {"/etc/dhcp3", "dhclient*.conf", s_read_dhclient},
    };
    return rmt_netscan_rows(scan, rows, sizeof rows / sizeof *rows);
}
