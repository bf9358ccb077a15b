// rmt_network - one interface's settings, and how each network stack is told them.
//
// A table of stacks: ifupdown, networkd, networkmanager, netplan. Inside lib/system.
#pragma once

#include <stdbool.h>
#include "rmt_error.h"
#include "rmt_record.h"

#define RMT_NETWORK_DNS_MAX 8
#define RMT_NETWORK_TEXT_SIZE 64

typedef struct {
    char address[RMT_NETWORK_TEXT_SIZE]; // "" for DHCP
    unsigned prefix;
    bool is_v6;
    char gateway[RMT_NETWORK_TEXT_SIZE];
    char dns[RMT_NETWORK_DNS_MAX][RMT_NETWORK_TEXT_SIZE];
    size_t dns_count;
    char domain[256];
    char mac[18];       // Lower case, "" for any
    char interface[16]; // "" for unknown
} rmt_network_t;

// Take and check the fields address prefix|mask gateway dns domain mac interface of a
// target's record; nothing that is not of its form gets through.
// 0, or -1: USAGE, with the field's name.
int rmt_network_parse(const rmt_record_t *target, rmt_network_t *network_out,
                      rmt_error_t *error);

// Append the actions that set the network of the tree under root_fd, in the words of
// its stack, and take settings of the image's own machine away.
// 0, or -1: UNSUPPORTED (an address is wanted and the stack is none).
int rmt_network_plan(int root_fd, const char *stack, const rmt_network_t *network,
                     rmt_records_t *actions, rmt_error_t *error);
