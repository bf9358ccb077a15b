// rmt_network - what a target's record says of its network, and the plan that tells it
// to the network stack of a tree.
//
// Plain fields are those of the interface `main`; net.<role>.<field> are those of
// another one. Fields: address (a list), mask | prefix, gateway (one of a family), dns,
// domain, mac, interface.
#pragma once

#include <stdbool.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"

#define RMT_NETWORK_INTERFACES_MAX 16
#define RMT_NETWORK_ADDRESSES_MAX 8
#define RMT_NETWORK_DNS_MAX 8
#define RMT_NETWORK_TEXT_SIZE 64

typedef struct {
    char text[RMT_NETWORK_TEXT_SIZE];
    unsigned prefix;
    bool is_v6;
} rmt_network_address_t;

typedef struct {
    char text[RMT_NETWORK_TEXT_SIZE]; // "" for none
    bool is_on_link;                  // No address of the interface covers it
} rmt_network_gateway_t;

typedef struct {
    char role[32];
    char label[40]; // "ramet", or "ramet-<role>" for others than main
    rmt_network_address_t addresses[RMT_NETWORK_ADDRESSES_MAX];
    size_t address_count;             // 0 for DHCP
    rmt_network_gateway_t gateway[2]; // IPv4, IPv6
    char dns[RMT_NETWORK_DNS_MAX][RMT_NETWORK_TEXT_SIZE];
    size_t dns_count;
    char domain[256];
    char mac[18];  // Permanent one, lower case with colons; "" for any
    char name[16]; // Of the interface; "" for unknown
} rmt_interface_t;

typedef struct {
    rmt_interface_t interfaces[RMT_NETWORK_INTERFACES_MAX];
    size_t count; // At least one; main is the first where it is there
} rmt_network_t;

// Take and check the fields of a target's record; nothing that is not of its form gets
// through. Interfaces that cannot be told apart, and two gateways of one family, are
// refused. 0, or -1: USAGE, with the field's name.
int rmt_network_parse(const rmt_record_t *target, rmt_network_t *network_out,
                      rmt_error_t *error);

// Whether these settings can be told to a stack of this name.
// 0, or -1: UNSUPPORTED (a stack that is not carried; an address is wanted and there is
// no stack).
int rmt_network_check(const rmt_network_t *network, const char *stack,
                      rmt_error_t *error);

// Append the actions that set the network of the tree under root_fd in the words of the
// stack in force there, switch the other stacks and cloud-init off for it, and take
// settings of the image's own machine away.
// 0, or -1: UNSUPPORTED (a stack that is not carried; an address is wanted and there is
// no stack), USAGE (the stack needs a name of the interface).
int rmt_network_plan(int root_fd, const rmt_network_t *network, rmt_records_t *actions,
                     rmt_error_t *error);
