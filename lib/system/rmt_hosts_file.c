#include "system/rmt_hosts_file.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define BLANKS " \t\r\f\v"

typedef struct {
    rmt_own_name_t name; // With the domains that lines of its own tell
    bool has_domain;
    const rmt_own_address_t *address;
    FILE *out;
    FILE *aliases;    // Other names of the own lines, each with a blank before it
    char *alias_text; // Of aliases
    size_t alias_size;
} edit_t;

typedef enum {
    S_OTHER,    // Stays as it is
    S_LOOPBACK, // Stays, without the own names
    S_NAMED,    // A line of another machine that has the own name too
    S_OWN,      // Goes
} kind_t;

static bool
s_is_loopback(const rmt_address_t *address)
{
    static const uint8_t one[16] = {[15] = 1};
    return address->is_v6 ? memcmp(address->bytes, one, sizeof one) == 0
                          : address->bytes[0] == 127;
}

// The part of a line before its comment.
static rmt_span_t
s_body(rmt_span_t line)
{
    const char *hash = memchr(line.start, '#', line.size);
    return (rmt_span_t){line.start, hash ? (size_t) (hash - line.start) : line.size};
}

// The address of a line, whose names are left in *names_out. False for a line without.
static bool
s_take_address(rmt_span_t line, rmt_span_t *names_out, rmt_address_t *address_out)
{
    rmt_span_t word;
    *names_out = s_body(line);
    if (!rmt_span_word(names_out, BLANKS, &word))
        return false;
    rmt_auto_str text = rmt_span_dup(word);
    return rmt_address_read(text, address_out);
}

// A line of this machine tells its domain: "127.0.1.1 web.lan web".
static void
s_learn_domain(edit_t *self, rmt_span_t line)
{
    rmt_span_t names, word;
    rmt_address_t address;
    if (!s_take_address(line, &names, &address) ||
        (!s_is_loopback(&address) && !rmt_own_address_has(self->address, &address)))
        return;
    while (rmt_span_word(&names, BLANKS, &word))
        if (rmt_own_name_is_with_domain(&self->name, word))
            rmt_own_name_add(&self->name, word);
}

static void
s_learn_domains(edit_t *self, rmt_span_t text)
{
    for (rmt_line_t line; rmt_span_line(&text, &line);)
        s_learn_domain(self, line.text);
    for (size_t i = 0; i < self->name.count; i++)
        self->has_domain = self->has_domain || strchr(self->name.names[i], '.');
}

// By its names: another machine's line may have the own name as an alias, and may share
// the short name with this one.
static kind_t
s_judge_names(const edit_t *self, rmt_span_t names)
{
    rmt_span_t word;
    bool is_first = true, is_canonical = false, is_named = false;
    while (rmt_span_word(&names, BLANKS, &word)) {
        const bool is_own = rmt_own_name_is(&self->name, word);
        const bool has_domain = rmt_own_name_is_with_domain(&self->name, word);
        if (has_domain && !is_own && self->has_domain)
            return S_OTHER;
        is_canonical = is_canonical || (is_first && (is_own || has_domain));
        is_named = is_named || is_own;
        is_first = false;
    }
    return is_named ? (is_canonical ? S_OWN : S_NAMED) : S_OTHER;
}

static kind_t
s_judge(const edit_t *self, rmt_span_t line)
{
    rmt_span_t names;
    rmt_address_t address;
    if (!s_take_address(line, &names, &address))
        return S_OTHER;
    if (s_is_loopback(&address))
        return S_LOOPBACK;
    return rmt_own_address_has(self->address, &address) ? S_OWN
                                                        : s_judge_names(self, names);
}

static bool
s_has_word(rmt_span_t words, rmt_span_t word)
{
    rmt_span_t one;
    while (rmt_span_word(&words, BLANKS, &one))
        if (one.size == word.size && strncasecmp(one.start, word.start, one.size) == 0)
            return true;
    return false;
}

static void
s_keep_aliases(edit_t *self, rmt_span_t line)
{
    rmt_span_t rest = s_body(line), word;
    (void) rmt_span_word(&rest, BLANKS, &word);
    while (rmt_span_word(&rest, BLANKS, &word)) {
        fflush(self->aliases);
        if (!rmt_own_name_is_form(&self->name, word) &&
            !s_has_word((rmt_span_t){self->alias_text, self->alias_size}, word))
            fprintf(self->aliases, " %.*s", (int) word.size, word.start);
    }
}

// The line without the own names; nothing when no name is left.
static void
s_print_rest(const edit_t *self, const rmt_line_t *line)
{
    const rmt_span_t body = s_body(line->text);
    rmt_span_t rest = body, word;
    const char *end = body.start; // Of the last word that was seen
    char *made = NULL;
    size_t size = 0, count = 0;
    FILE *out = open_memstream(&made, &size);
    for (bool is_name = false; rmt_span_word(&rest, BLANKS, &word); is_name = true) {
        if (!is_name || !rmt_own_name_is_form(&self->name, word)) {
            fwrite(end, 1, (size_t) (word.start + word.size - end), out);
            count += is_name;
        }
        end = word.start + word.size;
    }
    const char *behind = line->text.start + line->text.size;
    fwrite(end, 1, (size_t) (behind - end), out);
    fwrite(line->end.start, 1, line->end.size, out);
    if (fclose(out))
        abort();
    if (count)
        fwrite(made, 1, size, self->out);
    free(made);
}

static bool
s_has_own(const edit_t *self, rmt_span_t line)
{
    rmt_span_t rest = s_body(line), word;
    (void) rmt_span_word(&rest, BLANKS, &word);
    while (rmt_span_word(&rest, BLANKS, &word))
        if (rmt_own_name_is_form(&self->name, word))
            return true;
    return false;
}

static void
s_edit_line(edit_t *self, const rmt_line_t *line)
{
    const kind_t kind = s_judge(self, line->text);
    if (kind == S_OWN)
        s_keep_aliases(self, line->text);
    else if (kind != S_OTHER && s_has_own(self, line->text))
        s_print_rest(self, line);
    else
        fwrite(line->text.start, 1,
               (size_t) (line->end.start + line->end.size - line->text.start), self->out);
}

// The own names behind the first address of each kind, or behind the one that Debian
// keeps for them where DHCP gives the address.
static void
s_print_own(const edit_t *self, const rmt_network_t *network, const char *end)
{
    const rmt_interface_t *first = &network->interfaces[0];
    const char *hostname = network->hostname;
    const char *dot = strchr(hostname, '.');
    rmt_auto_str names =
        dot ? rmt_text("%s %.*s", hostname, (int) (dot - hostname), hostname)
        : first->domain[0] ? rmt_text("%s.%s %s", hostname, first->domain, hostname)
                           : rmt_text("%s", hostname);
    rmt_auto_str more = rmt_text("%s", "");
    rmt_span_t aliases = {self->alias_text, self->alias_size}, word;
    while (rmt_span_word(&aliases, BLANKS, &word)) {
        if (s_has_word((rmt_span_t){names, strlen(names)}, word))
            continue;
        char *longer = rmt_text("%s %.*s", more, (int) word.size, word.start);
        free(more);
        more = longer;
    }
    bool has[2] = {false, false};
    for (size_t i = 0; i < first->address_count; i++) {
        const rmt_address_t *address = &first->addresses[i];
        if (!has[address->is_v6])
            fprintf(self->out, "%s %s%s%s", address->text, names, more, end);
        has[address->is_v6] = true;
    }
    if (!first->address_count)
        fprintf(self->out, "127.0.1.1 %s%s%s", names, more, end);
}

char *
rmt_hosts_file_edit(rmt_span_t text, const rmt_own_name_t *name,
                    const rmt_own_address_t *address, const rmt_network_t *network,
                    size_t *size_out)
{
    char *made = NULL;
    edit_t self = {.name = *name, .address = address};
    s_learn_domains(&self, text);
    self.out = open_memstream(&made, size_out);
    self.aliases = open_memstream(&self.alias_text, &self.alias_size);
    if (!self.out || !self.aliases)
        abort();
    rmt_line_t line = {.end = {"\n", 1}};
    const char *end = "\n";
    while (rmt_span_line(&text, &line)) {
        s_edit_line(&self, &line);
        end = line.end.size == 2 ? "\r\n" : "\n";
    }
    if (fflush(self.out) || fclose(self.aliases))
        abort();
    if (*size_out && made[*size_out - 1] != '\n')
        fputs(end, self.out);
    s_print_own(&self, network, end);
    if (fclose(self.out))
        abort();
    free(self.alias_text);
    return made;
}
