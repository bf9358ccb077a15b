#include "system/rmt_own_name.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_setting.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define BLANKS " \t\r\n"

// Files of one name, and files of settings.
static const char *const s_files[] = {"/etc/hostname", "/etc/HOSTNAME", "/etc/nodename"};

static const struct {
    const char *path;
    const char *keys;
} s_settings[] = {
    {"/etc/sysconfig/network", "HOSTNAME"},
    {"/etc/conf.d/hostname", "hostname|HOSTNAME"},
    {"/etc/rc.conf", "hostname|HOSTNAME"},
};

static bool
s_is_letter(char letter)
{
    return isalnum((unsigned char) letter) || letter == '.' || letter == '_' ||
           letter == '-';
}

static bool
s_is_name(rmt_span_t word)
{
    for (size_t i = 0; i < word.size; i++)
        if (!s_is_letter(word.start[i]))
            return false;
    return word.size && word.size < RMT_OWN_NAME_SIZE;
}

static rmt_span_t
s_first_label(rmt_span_t word)
{
    const char *dot = memchr(word.start, '.', word.size);
    return (rmt_span_t){word.start, dot ? (size_t) (dot - word.start) : word.size};
}

static rmt_span_t
s_span(const char *text)
{
    return (rmt_span_t){text, strlen(text)};
}

// localhost, ip6-loopback and similar names.
static bool
s_is_everyones(rmt_span_t word)
{
    static const char *const labels[] = {
        "localhost",    "localhost4",      "localhost6",   "ip6-localhost",
        "ip6-loopback", "ip6-localnet",    "ip6-allnodes", "ip6-allrouters",
        "ip6-allhosts", "ip6-mcastprefix", "loopback",     "broadcasthost",
    };
    const rmt_span_t label = s_first_label(word);
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        if (rmt_span_is_nocase(label, labels[i]))
            return true;
    return false;
}

// A name may stand with the dot of the root.
static rmt_span_t
s_without_root(rmt_span_t word)
{
    word.size -= word.size && word.start[word.size - 1] == '.';
    return word;
}

void
rmt_own_name_add(rmt_own_name_t *self, rmt_span_t word)
{
    word = s_without_root(rmt_span_trim(word, BLANKS));
    if (!s_is_name(word) || s_is_everyones(word) || rmt_own_name_is(self, word) ||
        self->count == RMT_OWN_NAMES_MAX)
        return;
    char *name = self->names[self->count++];
    memcpy(name, word.start, word.size);
    name[word.size] = '\0';
}

static int
s_read_file(int root_fd, const char *path, rmt_own_name_t *self, rmt_error_t *error)
{
    size_t size = 0;
    rmt_auto_str text = NULL;
    if (rmt_rooted_load(root_fd, path, &text, &size, error) == -1)
        return -1;
    rmt_span_t rest = {text, text ? size : 0};
    for (rmt_line_t line; rmt_span_line(&rest, &line);) {
        const rmt_span_t word = rmt_span_trim(line.text, BLANKS);
        if (!word.size || *word.start == '#')
            continue;
        rmt_own_name_add(self, word);
        break;
    }
    return 0;
}

static void
s_take_value(void *context, rmt_span_t value)
{
    rmt_own_name_add(context, value);
}

int
rmt_own_name_read(int root_fd, rmt_own_name_t *self_out, rmt_error_t *error)
{
    *self_out = (rmt_own_name_t){.count = 0};
    for (size_t i = 0; i < sizeof s_files / sizeof *s_files; i++)
        if (s_read_file(root_fd, s_files[i], self_out, error) == -1)
            return -1;
    for (size_t i = 0; i < sizeof s_settings / sizeof *s_settings; i++) {
        size_t size = 0;
        rmt_auto_str text = NULL;
        if (rmt_rooted_load(root_fd, s_settings[i].path, &text, &size, error) == -1)
            return -1;
        const rmt_setting_t setting = {.keys = s_settings[i].keys, .between = "="};
        if (text)
            rmt_setting_read(&setting, (rmt_span_t){text, size}, s_take_value, self_out);
    }
    return 0;
}

bool
rmt_own_name_is(const rmt_own_name_t *self, rmt_span_t word)
{
    word = s_without_root(word);
    for (size_t i = 0; i < self->count; i++)
        if (rmt_span_is_nocase(word, self->names[i]))
            return true;
    return false;
}

bool
rmt_own_name_is_form(const rmt_own_name_t *self, rmt_span_t word)
{
    word = s_without_root(word);
    const rmt_span_t label = s_first_label(word);
    for (size_t i = 0; i < self->count; i++) {
        const rmt_span_t name = s_span(self->names[i]);
        const rmt_span_t own = s_first_label(name);
        if (label.size == own.size && label.size &&
            strncasecmp(label.start, own.start, own.size) == 0 &&
            (label.size == word.size || own.size == name.size ||
             rmt_span_is_nocase(word, self->names[i])))
            return true;
    }
    return false;
}

bool
rmt_own_name_is_with_domain(const rmt_own_name_t *self, rmt_span_t word)
{
    word = s_without_root(word);
    const rmt_span_t label = s_first_label(word);
    for (size_t i = 0; label.size < word.size && i < self->count; i++) {
        const rmt_span_t own = s_first_label(s_span(self->names[i]));
        if (label.size == own.size && strncasecmp(label.start, own.start, own.size) == 0)
            return true;
    }
    return false;
}

bool
rmt_own_name_find(const rmt_own_name_t *self, rmt_span_t *rest, rmt_span_t *word_out)
{
    char before[2] = "  "; // The two letters before the word
    while (rest->size) {
        size_t size = 0;
        while (size < rest->size && s_is_letter(rest->start[size]))
            size++;
        const rmt_span_t word = {rest->start, size};
        const char behind = size < rest->size ? rest->start[size] : ' ';
        const bool is_url = before[0] == '/' && before[1] == '/';
        const bool is_path = ((before[1] == '/' || behind == '/') && !is_url &&
                              !memchr(word.start, '.', size)) ||
                             before[1] == '$' || (before[0] == '$' && before[1] == '{');
        const size_t taken = size ? size : 1;
        before[0] = size > 1 ? word.start[size - 2] : before[1];
        before[1] = rest->start[taken - 1];
        rest->start += taken;
        rest->size -= taken;
        if (size && !is_path && rmt_own_name_is_form(self, word)) {
            *word_out = word;
            return true;
        }
    }
    return false;
}

char *
rmt_own_name_new(const rmt_network_t *network, rmt_span_t word)
{
    const char *hostname = network->hostname;
    const rmt_span_t own = s_first_label(s_span(hostname));
    const rmt_span_t label = s_first_label(word);
    const bool has_domain = label.size < s_without_root(word).size;
    const char *dot = word.size > s_without_root(word).size ? "." : "";
    if (!has_domain)
        return rmt_text("%.*s", (int) own.size, hostname);
    if (hostname[own.size])
        return rmt_text("%s%s", hostname, dot);
    const char *domain = network->interfaces[0].domain;
    if (*domain)
        return rmt_text("%s.%s%s", hostname, domain, dot);
    return rmt_text("%s%.*s", hostname, (int) (word.size - label.size),
                    word.start + label.size);
}
