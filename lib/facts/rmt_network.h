// rmt_network - what a target's record says of its host name and its network, as one
// struct: the only parser of these fields as a whole (docs/spec/3-facts.md).
//
// Plain fields are those of the interface `main`; net.<role>.<field> are those of
// another one. Fields: address (a list), mask | prefix, gateway (one of a family), dns,
// domain, mac, interface; and of an interface that is made of others kind, ports, mode,
// vlan, link. Pure.
#pragma once

#include "facts/rmt_address.h"
#include "facts/rmt_name.h"
#include "base/rmt_record.h"

#define RMT_NETWORK_INTERFACES_MAX 16
#define RMT_NETWORK_ADDRESSES_MAX 8
#define RMT_NETWORK_DNS_MAX 8
#define RMT_NETWORK_PORTS_MAX 8

typedef struct {
    rmt_address_t address; // Its text is "" for none
    bool is_on_link;       // No address of the interface covers it
} rmt_network_gateway_t;

typedef enum {
    RMT_SHAPE_PLAIN,
    RMT_SHAPE_BOND,
    RMT_SHAPE_BRIDGE,
    RMT_SHAPE_VLAN,
} rmt_shape_t;

typedef struct {
    char name[RMT_INTERFACE_MAX + 1]; // "" where it is told by its MAC
    char mac[RMT_MAC_TEXT_SIZE];
} rmt_network_port_t;

typedef struct {
    char role[RMT_ROLE_MAX + 1];
    char label[40]; // "ramet", or "ramet-<role>" for others than main
    rmt_address_t addresses[RMT_NETWORK_ADDRESSES_MAX]; // Each with its length
    size_t address_count;                               // 0 for DHCP
    rmt_network_gateway_t gateway[2];                   // IPv4, IPv6
    rmt_address_t dns[RMT_NETWORK_DNS_MAX];
    size_t dns_count;
    char domain[256];
    char mac[RMT_MAC_TEXT_SIZE];      // Permanent one; "" for any
    char name[RMT_INTERFACE_MAX + 1]; // Of the interface; "" for unknown
    rmt_shape_t shape;
    rmt_network_port_t ports[RMT_NETWORK_PORTS_MAX]; // Of a bond or bridge
    size_t port_count;
    char mode[16];                      // Of a bond; "" for its default
    unsigned vlan;                      // Number of a VLAN
    char link[RMT_INTERFACE_MAX + 1];   // What a VLAN lies on
    char master[RMT_INTERFACE_MAX + 1]; // What it is a port of; "" for none
    rmt_shape_t master_shape;
    bool is_bare; // A part of another one: without an address it gets none, nor DHCP
} rmt_interface_t;

typedef struct {
    char hostname[RMT_HOSTNAME_MAX + 1];
    rmt_interface_t interfaces[RMT_NETWORK_INTERFACES_MAX];
    size_t count;   // At least one; main is the first where it is there, and what is only
                    // named as a port, or below a VLAN, comes last
    bool is_shaped; // One is made of others
} rmt_network_t;

// Take and check the fields of a target's record together. Refused, beside a field that
// is not of its form: an address without the length of its network; a mask, a prefix and
// a length that contradict; a gateway without an address of its family, or two of one
// family; one address, MAC or name of an interface twice; interfaces that cannot be told
// apart. 0, or -1: USAGE, with field, value and what to write.
int rmt_network_parse(const rmt_record_t *target, rmt_network_t *network_out,
                      rmt_error_t *error);

// Whether each address of a record has the length of its network, beside it or by mask or
// prefix; nothing else is looked at. 0, or -1: USAGE.
int rmt_network_check_addresses(const rmt_record_t *target, rmt_error_t *error);

// Whether a field is one of an interface: address, mask and similar ones.
bool rmt_network_is_field(const char *field);

// Part net.<role>.<field> into role and field; a plain name is a field of the interface
// main. Borrows name; *field_out points into it. False for a role that is none.
bool rmt_network_part(const char *name, char role_out[RMT_ROLE_MAX + 1],
                      const char **field_out);
