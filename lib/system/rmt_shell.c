#include "system/rmt_shell.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define MARKS "\n;&|(){}<>`"

void
rmt_shell_begin(rmt_shell_t *self, char *text)
{
    static char none[1];
    *self = (rmt_shell_t){.rest = text ? text : none, .at = 1};
}

// The end of a quoted part that begins at text; NULL for none.
static char *
s_closing(char *text)
{
    const char quote = *text;
    for (char *p = text + 1; *p; p++) {
        if (*p == '\\' && quote == '"' && p[1])
            p++;
        else if (*p == quote)
            return p;
    }
    return NULL;
}

// Copy a quoted part down; returns what is behind it.
static char *
s_quoted(rmt_shell_t *self, char *in, char **out)
{
    char *end = s_closing(in);
    const char quote = *in++;
    if (!end) {
        self->is_open = true;
        *(*out)++ = quote;
        return in;
    }
    self->is_quoted = true;
    for (; in < end; in++) {
        self->at += *in == '\n';
        if (quote == '"' && *in == '\\' && in + 1 < end && strchr("\"\\$`\n", in[1])) {
            in++;
            self->at += *in == '\n';
            if (*in == '\n')
                continue;
        } else if (quote == '"' && (*in == '$' || *in == '`')) {
            self->is_dynamic = true;
        }
        *(*out)++ = *in;
    }
    return end + 1;
}

static char *
s_skip(rmt_shell_t *self, char *in)
{
    for (;;) {
        if (*in == ' ' || *in == '\t' || *in == '\r') {
            in++;
        } else if (*in == '\\' && in[1] == '\n') {
            in += 2;
            self->at++;
        } else if (*in == '#') {
            in += strcspn(in, "\n");
        } else {
            return in;
        }
    }
}

static char *
s_word(rmt_shell_t *self, char *in)
{
    char *out = in;
    self->word = in;
    while (*in && !isspace((unsigned char) *in) && !strchr(MARKS, *in)) {
        if (*in == '\'' || *in == '"') {
            in = s_quoted(self, in, &out);
        } else if (*in == '$' && in[1] == '{') { // Its braces are no marks
            self->is_dynamic = true;
            const size_t size = strcspn(in, "}\n");
            memmove(out, in, size);
            out += size;
            in += size + (in[size] == '}');
        } else if (*in == '\\' && in[1]) {
            self->at += in[1] == '\n';
            if (in[1] != '\n')
                *out++ = in[1];
            in += 2;
        } else {
            self->is_dynamic = self->is_dynamic || *in == '$';
            *out++ = *in++;
        }
    }
    self->held = *in;
    *out = '\0';
    return in;
}

static rmt_shell_kind_t
s_mark(rmt_shell_t *self, char mark, char *behind)
{
    self->mark = mark;
    self->at += mark == '\n';
    self->rest = behind;
    return RMT_SHELL_MARK;
}

rmt_shell_kind_t
rmt_shell_next(rmt_shell_t *self)
{
    char *in = self->rest;
    self->is_quoted = false;
    self->is_dynamic = false;
    // The word before ends where this character was.
    const char held = self->held;
    self->held = '\0';
    if (held && strchr(MARKS, held))
        return s_mark(self, held, in + 1);
    if (held)
        in++;
    in = s_skip(self, in);
    self->line = self->at;
    self->rest = in;
    if (!*in)
        return RMT_SHELL_EOF;
    if (strchr(MARKS, *in))
        return s_mark(self, *in, in + 1);
    self->rest = s_word(self, in);
    return RMT_SHELL_WORD;
}

// ---- Variables

// The length of NAME= or NAME[INDEX]= or NAME+= at the head of a word; 0: it is none.
static size_t
s_name_size(const char *word)
{
    size_t size = 0;
    while (isalnum((unsigned char) word[size]) || word[size] == '_')
        size++;
    if (size == 0 || isdigit((unsigned char) word[0]))
        return 0;
    if (word[size] == '[')
        size += strcspn(word + size, "]") + 1;
    return word[size] == '='                            ? size
           : word[size] == '+' && word[size + 1] == '=' ? size
                                                        : 0;
}

// The values of NAME=( ... ).
static int
s_take_array(rmt_shell_t *shell, rmt_netscan_t *scan, rmt_shell_set_t *set,
             rmt_shell_fn *take, void *context)
{
    rmt_shell_kind_t kind;
    while ((kind = rmt_shell_next(shell)) != RMT_SHELL_EOF) {
        if (kind == RMT_SHELL_MARK && shell->mark == ')')
            return 0;
        set->line = shell->line;
        set->value = shell->word;
        set->is_dynamic = shell->is_dynamic;
        if (kind == RMT_SHELL_WORD && take(context, scan, set) == -1)
            return -1;
    }
    rmt_netscan_refuse(scan, set->path, set->line, "has a list without its end");
    return 0;
}

static int
s_take_word(rmt_shell_t *shell, rmt_netscan_t *scan, const char *path, rmt_shell_fn *take,
            void *context)
{
    const size_t size = s_name_size(shell->word);
    rmt_auto_str name = rmt_text("%.*s", (int) size, shell->word);
    const char *value = shell->word + size;
    if (size)
        value += *value == '+' ? 2 : 1;
    rmt_shell_set_t set = {.path = path,
                           .line = shell->line,
                           .name = name,
                           .value = value,
                           .is_dynamic = shell->is_dynamic};
    if (size && !*value && !shell->is_quoted && shell->held == '(') {
        (void) rmt_shell_next(shell); // The mark (
        return s_take_array(shell, scan, &set, take, context);
    }
    return take(context, scan, &set);
}

int
rmt_shell_read(rmt_netscan_t *scan, const char *path, rmt_shell_fn *take, void *context)
{
    rmt_auto_str text = NULL;
    if (rmt_netscan_load(scan, path, &text) == -1)
        return -1;
    rmt_shell_t shell;
    rmt_shell_begin(&shell, text);
    rmt_shell_kind_t kind;
    while ((kind = rmt_shell_next(&shell)) != RMT_SHELL_EOF) {
        if (kind == RMT_SHELL_WORD &&
            s_take_word(&shell, scan, path, take, context) == -1)
            return -1;
        if (shell.is_open) {
            rmt_netscan_refuse(scan, path, shell.line, "has a quote without its end");
            return 0;
        }
    }
    return 0;
}
