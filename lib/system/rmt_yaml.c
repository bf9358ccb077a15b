#include "system/rmt_yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct rmt_yaml {
    yaml_document_t document;
};

static int
s_fail(const yaml_parser_t *parser, char problem_out[120], unsigned *line_out)
{
    snprintf(problem_out, 120, "%s", parser->problem ? parser->problem : "is not YAML");
    *line_out = (unsigned) parser->problem_mark.line + 1;
    return -1;
}

// The document, and that there is no second one.
static int
s_load(yaml_parser_t *parser, yaml_document_t *document, char problem_out[120],
       unsigned *line_out)
{
    yaml_document_t second;
    if (!yaml_parser_load(parser, document))
        return s_fail(parser, problem_out, line_out);
    if (!yaml_document_get_root_node(document))
        return 0;
    if (!yaml_parser_load(parser, &second)) {
        yaml_document_delete(document);
        return s_fail(parser, problem_out, line_out);
    }
    const yaml_node_t *more = yaml_document_get_root_node(&second);
    const size_t line = more ? more->start_mark.line : 0;
    yaml_document_delete(&second);
    if (!more)
        return 0;
    yaml_document_delete(document);
    snprintf(problem_out, 120, "a second document begins");
    *line_out = (unsigned) line + 1;
    return -1;
}

rmt_yaml_t *
rmt_yaml_new(const char *text, char problem_out[120], unsigned *line_out)
{
    const size_t size = strlen(text);
    yaml_parser_t parser;
    if (size > RMT_YAML_SIZE_MAX) {
        snprintf(problem_out, 120, "has more than %zu bytes", RMT_YAML_SIZE_MAX);
        *line_out = 1;
        return NULL;
    }
    rmt_yaml_t *self = calloc(1, sizeof *self);
    if (!self || !yaml_parser_initialize(&parser))
        abort();
    yaml_parser_set_input_string(&parser, (const unsigned char *) text, size);
    const int rc = s_load(&parser, &self->document, problem_out, line_out);
    yaml_parser_delete(&parser);
    if (rc == 0)
        return self;
    free(self);
    return NULL;
}

void
rmt_yaml_destroy(rmt_yaml_t **self_p)
{
    if (!*self_p)
        return;
    yaml_document_delete(&(*self_p)->document);
    free(*self_p);
    *self_p = NULL;
}

static const yaml_node_t *
s_node(const rmt_yaml_t *self, int node)
{
    // libyaml does not change the document here, and takes no const.
    return node > 0 ? yaml_document_get_node((yaml_document_t *) &self->document, node)
                    : NULL;
}

static const yaml_node_t *
s_mapping(const rmt_yaml_t *self, int node)
{
    const yaml_node_t *found = s_node(self, node);
    return found && found->type == YAML_MAPPING_NODE ? found : NULL;
}

int
rmt_yaml_root(const rmt_yaml_t *self)
{
    return yaml_document_get_root_node((yaml_document_t *) &self->document) ? 1 : 0;
}

bool
rmt_yaml_is_mapping(const rmt_yaml_t *self, int node)
{
    return s_mapping(self, node) != NULL;
}

size_t
rmt_yaml_pairs(const rmt_yaml_t *self, int node)
{
    const yaml_node_t *found = s_mapping(self, node);
    return found ? (size_t) (found->data.mapping.pairs.top -
                             found->data.mapping.pairs.start)
                 : 0;
}

const char *
rmt_yaml_text(const rmt_yaml_t *self, int node)
{
    const yaml_node_t *found = s_node(self, node);
    return found && found->type == YAML_SCALAR_NODE
               ? (const char *) found->data.scalar.value
               : "";
}

const char *
rmt_yaml_key(const rmt_yaml_t *self, int node, size_t index)
{
    return rmt_yaml_text(self,
                         s_mapping(self, node)->data.mapping.pairs.start[index].key);
}

int
rmt_yaml_value(const rmt_yaml_t *self, int node, size_t index)
{
    return s_mapping(self, node)->data.mapping.pairs.start[index].value;
}

int
rmt_yaml_find(const rmt_yaml_t *self, int node, const char *key)
{
    for (size_t i = 0; i < rmt_yaml_pairs(self, node); i++) {
        if (strcmp(rmt_yaml_key(self, node, i), key) == 0)
            return rmt_yaml_value(self, node, i);
    }
    return 0;
}

unsigned
rmt_yaml_key_line(const rmt_yaml_t *self, int node, size_t index)
{
    const int key = s_mapping(self, node)->data.mapping.pairs.start[index].key;
    return (unsigned) s_node(self, key)->start_mark.line + 1;
}

bool
rmt_yaml_is_flow(const rmt_yaml_t *self, int node)
{
    const yaml_node_t *found = s_mapping(self, node);
    return found && found->data.mapping.style == YAML_FLOW_MAPPING_STYLE;
}
