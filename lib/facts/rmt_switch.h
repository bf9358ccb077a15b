// rmt_switch - what a target's record says of how its power is switched: the fields
// power, power-address, power-user and power-boot (docs/spec/3-facts.md, "Records of
// machines").
//
// Pure. A refusal says how a right value looks; the caller says which field it was.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_error.h"

#define RMT_SWITCH_HOST_SIZE 256

// The ways, NULL-terminated: none, wol, ipmi and so on.
extern const char *const RMT_SWITCH_WAYS[];

// Part HOST, HOST:PORT or [IPv6]:PORT; a host keeps no brackets, port 0: none is told.
// False for another text.
bool rmt_switch_part(const char *text, char host_out[RMT_SWITCH_HOST_SIZE],
                     uint16_t *port_out);

// Each: 0, or -1: USAGE.
int rmt_switch_check_way(const char *text, rmt_error_t *error);
int rmt_switch_check_address(const char *text, rmt_error_t *error); // Also an interface
int rmt_switch_check_user(const char *text, rmt_error_t *error);
int rmt_switch_check_boot(const char *text, rmt_error_t *error);
int rmt_switch_check_system(const char *text, rmt_error_t *error); // Of Redfish
