// link_way - one way of a network link that a test plays: packets are lost, delayed,
// repeated and reordered by rules, as a bad network does it.
//
// Pure: time is an argument and chance comes from the seed, so the same packets at the
// same moments have the same fate.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_PACKET_MAX 65536

typedef struct link_way link_way_t;

typedef struct {
    uint64_t packets, bytes; // That were delivered
    uint64_t lost;           // By chance
    uint64_t cut;            // Ends of TCP connections that "ends" kept back
    uint64_t full;           // That found the queue full
    uint64_t twice, early;   // That were repeated; that overtook others
} link_counts_t;

// A way without rules: each packet is delivered at once. Caller owns the result.
link_way_t *link_way_new(uint64_t seed);

// Accepts a null instance.
void link_way_destroy(link_way_t **self_p);

// Replace all rules by those of a line of words, each NAME=NUMBER; a rule that is not
// named is off. Packets that are under way keep their moment.
//   delay jitter   ms; a packet takes delay - jitter .. delay + jitter
//   loss twice     of a hundred packets
//   early          of a hundred packets: these take no delay, and overtake the others
//   rate           kbit/s
//   queue          ms that a packet waits for the rate at most, else it is lost (1000)
//   ends           1: lose the packets that end a TCP connection (FIN and RST)
// Returns 0, or -1 for an unknown word or a wrong number; the rules then stay.
int link_way_rules(link_way_t *self, const char *words);

// A packet (IPv4) enters. Borrows it.
void link_way_put(link_way_t *self, const void *packet, size_t size, int64_t now_us);

// The moment at which the next packet leaves, or INT64_MAX.
int64_t link_way_due_us(const link_way_t *self);

// The next packet whose moment has come, into packet_out of LINK_PACKET_MAX bytes.
// Returns its size, or 0 when there is none.
size_t link_way_take(link_way_t *self, void *packet_out, int64_t now_us);

const link_counts_t *link_way_counts(const link_way_t *self);
