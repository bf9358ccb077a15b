// rmt_yaml - one document of YAML, as a tree of nodes: the door to libyaml.
// Private to lib/system.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// At most so many bytes are read; no settings of a network come near it.
#define RMT_YAML_SIZE_MAX ((size_t) 1024 * 1024)

typedef struct rmt_yaml rmt_yaml_t;

// Read the only document of a text, which is borrowed and may be changed afterwards.
// Caller owns the result. NULL for a text that is none, with what is wrong in problem_out
// and its line.
rmt_yaml_t *rmt_yaml_new(const char *text, char problem_out[120], unsigned *line_out);
void rmt_yaml_destroy(rmt_yaml_t **self_p);

// Nodes are numbers; 0 is no node, and has no pairs, no items and no text.
int rmt_yaml_root(const rmt_yaml_t *self);
// The value of a key of a mapping.
int rmt_yaml_find(const rmt_yaml_t *self, int node, const char *key);
// The pairs of a mapping.
size_t rmt_yaml_pairs(const rmt_yaml_t *self, int node);
const char *rmt_yaml_key(const rmt_yaml_t *self, int node, size_t index);
int rmt_yaml_value(const rmt_yaml_t *self, int node, size_t index);
// The text of a scalar, else "". Valid as long as the document.
const char *rmt_yaml_text(const rmt_yaml_t *self, int node);
bool rmt_yaml_is_mapping(const rmt_yaml_t *self, int node);
// The line of a key of a mapping, from 1.
unsigned rmt_yaml_key_line(const rmt_yaml_t *self, int node, size_t index);
// Whether a mapping is written in braces, so that a line may have several pairs.
bool rmt_yaml_is_flow(const rmt_yaml_t *self, int node);
