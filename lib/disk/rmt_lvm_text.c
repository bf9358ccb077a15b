#include "disk/rmt_lvm_text.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"

#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 8

typedef struct {
    const char *at;
    unsigned depth;
    rmt_error_t *error;
} parse_t;

static int
s_refuse(const parse_t *self, const char *wanted)
{
    return rmt_fail(self->error, RMT_E_CORRUPT,
                    "the description of a volume group has '%.20s' where %s must stand",
                    self->at, wanted);
}

// Blanks and comments.
static void
s_skip(parse_t *self)
{
    for (;;) {
        self->at += strspn(self->at, " \t\r\n");
        if (*self->at != '#')
            return;
        self->at += strcspn(self->at, "\n");
    }
}

static bool
s_take(parse_t *self, char letter)
{
    s_skip(self);
    if (*self->at != letter)
        return false;
    self->at++;
    return true;
}

static char *
s_copy(const char *text, size_t size)
{
    char *copy = strndup(text, size);
    if (!copy)
        abort();
    return copy;
}

// Names and numbers.
static char *
s_word(parse_t *self)
{
    s_skip(self);
    size_t size = 0;
    while (isalnum((unsigned char) self->at[size]) ||
           (self->at[size] && strchr("_+.-", self->at[size])))
        size++;
    if (size == 0)
        return NULL;
    self->at += size;
    return s_copy(self->at - size, size);
}

// The rest of a text in quotes, in which a backslash stands before quotes and
// backslashes.
static char *
s_quoted(parse_t *self)
{
    const char *end = self->at;
    while (*end && *end != '"')
        end += *end == '\\' && end[1] ? 2 : 1;
    if (!*end)
        return NULL;
    char *text = s_copy(self->at, (size_t) (end - self->at)), *to = text;
    for (const char *from = text; *from; from++) {
        from += *from == '\\' && from[1];
        *to++ = *from;
    }
    *to = '\0';
    self->at = end + 1;
    return text;
}

static int
s_value(parse_t *self, rmt_lvm_node_t *node)
{
    char *value = s_take(self, '"') ? s_quoted(self) : s_word(self);
    if (!value)
        return s_refuse(self, "a value");
    rmt_grow_one(&node->values, node->value_count);
    node->values[node->value_count++] = value;
    return 0;
}

static int
s_values(parse_t *self, rmt_lvm_node_t *node)
{
    if (!s_take(self, '['))
        return s_value(self, node);
    while (!s_take(self, ']'))
        if ((node->value_count && !s_take(self, ',') && s_refuse(self, "a comma")) ||
            s_value(self, node) == -1)
            return -1;
    return 0;
}

static int
s_nodes(parse_t *self, rmt_lvm_node_t *parent, char end)
{
    if (self->depth++ == DEPTH_MAX)
        return s_refuse(self, "no further section");
    while (!s_take(self, end)) {
        char *name = s_word(self);
        if (!name)
            return s_refuse(self, "a name");
        rmt_grow_one(&parent->nodes, parent->node_count);
        rmt_lvm_node_t *node = &parent->nodes[parent->node_count++];
        *node = (rmt_lvm_node_t){.name = name};
        const int rc = s_take(self, '{')   ? s_nodes(self, node, '}')
                       : s_take(self, '=') ? s_values(self, node)
                                           : s_refuse(self, "{ or =");
        if (rc == -1)
            return -1;
    }
    self->depth--;
    return 0;
}

static void
s_clear(rmt_lvm_node_t *self)
{
    for (size_t i = 0; i < self->node_count; i++)
        s_clear(&self->nodes[i]);
    for (size_t i = 0; i < self->value_count; i++)
        free(self->values[i]);
    free(self->nodes);
    free(self->values);
    free(self->name);
}

void
rmt_lvm_node_destroy(rmt_lvm_node_t **self_p)
{
    assert(self_p);
    if (!*self_p)
        return;
    s_clear(*self_p);
    free(*self_p);
    *self_p = NULL;
}

rmt_lvm_node_t *
rmt_lvm_text_parse(const char *text, rmt_error_t *error)
{
    assert(text);
    rmt_auto(rmt_lvm_node) top = calloc(1, sizeof *top);
    if (!top)
        abort();
    parse_t parse = {.at = text, .error = error};
    // The end of the text is a letter to s_take, which then stands behind it.
    return s_nodes(&parse, top, '\0') == -1 ? NULL : rmt_take(&top);
}

const rmt_lvm_node_t *
rmt_lvm_node_find(const rmt_lvm_node_t *self, const char *name)
{
    for (size_t i = 0; self && i < self->node_count; i++)
        if (strcmp(self->nodes[i].name, name) == 0)
            return &self->nodes[i];
    return NULL;
}

const char *
rmt_lvm_node_text(const rmt_lvm_node_t *self, const char *name)
{
    const rmt_lvm_node_t *node = rmt_lvm_node_find(self, name);
    return node && node->value_count == 1 ? node->values[0] : "";
}

uint64_t
rmt_lvm_node_number(const rmt_lvm_node_t *self, const char *name, uint64_t missing)
{
    const char *text = rmt_lvm_node_text(self, name);
    char *end;
    const uint64_t number = strtoull(text, &end, 10);
    return isdigit((unsigned char) *text) && !*end ? number : missing;
}

bool
rmt_lvm_node_lists(const rmt_lvm_node_t *self, const char *name, const char *value)
{
    const rmt_lvm_node_t *node = rmt_lvm_node_find(self, name);
    for (size_t i = 0; node && i < node->value_count; i++)
        if (strcmp(node->values[i], value) == 0)
            return true;
    return false;
}

const rmt_lvm_node_t *
rmt_lvm_text_group(const rmt_lvm_node_t *text)
{
    for (size_t i = 0; text && i < text->node_count; i++)
        if (rmt_lvm_node_find(&text->nodes[i], "id"))
            return &text->nodes[i];
    return NULL;
}
