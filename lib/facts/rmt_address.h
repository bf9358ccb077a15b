// rmt_address - the numbers of networks as people write them: IP addresses with and
// without the length of their network, masks, MACs.
//
// One parser a kind (docs/spec/3-facts.md, "Records of machines"). What is accepted is
// put into its canonical form, so that one address has one text. A refusal says what is
// wrong and how a right value looks; the caller says which field it was. Pure.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/rmt_error.h"

#define RMT_ADDRESS_TEXT_SIZE 46 // Of the longest IPv6 address, with its NUL
#define RMT_MAC_TEXT_SIZE 18     // With its NUL

typedef struct {
    char text[RMT_ADDRESS_TEXT_SIZE]; // Canonical, without a length
    uint8_t bytes[16];                // Of IPv4 the first four
    unsigned prefix;                  // Length of its network; 0 when none is told
    bool is_v6;
} rmt_address_t;

// Any IP address, such as 10.0.0.7 or fe80::1. False, and nothing is set, for a text
// that is none.
bool rmt_address_read(const char *text, rmt_address_t *address_out);

// The address of some host: not 0.0.0.0, not that of a group, not a broadcast, not IPv4
// in the form of IPv6. 0, or -1: USAGE.
int rmt_address_parse(const char *text, rmt_address_t *address_out, rmt_error_t *error);

// The address that an interface gets, ADDRESS or ADDRESS/LENGTH: of a host as above, and
// not of the loopback. 0, or -1: USAGE.
int rmt_address_parse_own(const char *text, rmt_address_t *address_out,
                          rmt_error_t *error);

// Set the length of an address that came without one. The address must then be that of a
// host in its network. 0, or -1: USAGE.
int rmt_address_set_prefix(rmt_address_t *address, unsigned prefix, rmt_error_t *error);

// 255.255.255.0 and 24 as numbers of bits. 0, or -1: USAGE.
int rmt_address_parse_mask(const char *text, unsigned *prefix_out, rmt_error_t *error);
int rmt_address_parse_prefix(const char *text, unsigned *prefix_out, rmt_error_t *error);

// The MAC of one interface, 52:54:00:12:34:56 or 52-54-00-12-34-56, to lower case with
// colons. 0, or -1: USAGE.
int rmt_address_parse_mac(const char *text, char mac_out[RMT_MAC_TEXT_SIZE],
                          rmt_error_t *error);

bool rmt_address_equal(const rmt_address_t *a, const rmt_address_t *b);

// Whether other is in the network of an address that has a length.
bool rmt_address_covers(const rmt_address_t *address, const rmt_address_t *other);

// fe80::/10, which is reached without a route.
bool rmt_address_is_link_local(const rmt_address_t *address);
