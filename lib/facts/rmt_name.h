// rmt_name - the words by which people call machines and their parts.
//
// One check a kind (docs/spec/3-facts.md, "Records of machines"). A refusal says what is
// wrong and how a right value looks; the caller says which field it was. Pure.
#pragma once

#include <stdbool.h>
#include "base/rmt_error.h"

#define RMT_NAME_MAX 63       // Of a record
#define RMT_HOSTNAME_MAX 64   // Of a running system: the kernel takes no longer one
#define RMT_INTERFACE_MAX 15  // Of a network interface: the kernel's IFNAMSIZ
#define RMT_ROLE_MAX 31       // Of an interface, in net.<role>.<field>
#define RMT_VALUE_MAX 255     // Of a label
#define RMT_IDENTITY_MAX 1023 // Of a computer: of many interfaces all MACs

// A host name of RFC 1123, such as a name server knows it; digits and dots alone are not
// one, for they would be an address.
bool rmt_name_is_host(const char *text);

// Each: 0, or -1: USAGE.
int rmt_name_check(const char *text, rmt_error_t *error);           // Of a record
int rmt_name_check_hostname(const char *text, rmt_error_t *error);  // A system's own
int rmt_name_check_domain(const char *text, rmt_error_t *error);    // To search names in
int rmt_name_check_interface(const char *text, rmt_error_t *error); // As eth0
int rmt_name_check_role(const char *text, rmt_error_t *error);      // As data
int rmt_name_check_value(const char *text, rmt_error_t *error);     // Of a label
int rmt_name_check_identity(const char *text, rmt_error_t *error);  // Of a computer
