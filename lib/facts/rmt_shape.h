// rmt_shape - interfaces that are made of others, as a target's record names them: bonds,
// bridges, VLANs. The part of rmt_network's parser that is about them. Private to
// lib/facts. Pure.
#pragma once

#include <stdbool.h>
#include "facts/rmt_network.h"

// Words of one kind each, for the records' table too. 0, or -1: USAGE.
int rmt_shape_check_port(const char *word, rmt_error_t *error);
int rmt_shape_check_kind(const char *word, rmt_error_t *error);
int rmt_shape_check_mode(const char *word, rmt_error_t *error);
int rmt_shape_check_vlan(const char *word, rmt_error_t *error);

// The fields by which an interface is made of others; NULL-terminated.
extern const char *const RMT_SHAPE_FIELDS[];

// Take the value of one of these fields, which may be "". 0, or -1: USAGE.
int rmt_shape_take(rmt_interface_t *self, const char *field, const char *value,
                   rmt_error_t *error);

// Once all fields of an interface are taken: what it is, and its name.
int rmt_shape_end(rmt_interface_t *self, rmt_error_t *error);

// Once all interfaces are there: add the plain ones that are only named as ports or below
// a VLAN, and tell each what it is a port of. 0, or -1: USAGE.
int rmt_shape_join(rmt_network_t *network, rmt_error_t *error);
