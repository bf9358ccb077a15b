#include "tools/link_way.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "base/rmt_grow.h"

#define UNDER_WAY_MAX 20000
#define QUEUE_MS 1000

typedef struct {
    unsigned delay, jitter, loss, twice, early, rate, queue, ends;
} rules_t;

typedef struct {
    int64_t due_us;
    uint64_t number; // Of equal moments the older one leaves first
    size_t size;
    void *bytes;
} packet_t;

struct link_way {
    rules_t rules;
    uint64_t chance;
    link_counts_t counts;
    packet_t *heap; // The one that leaves next is the first
    size_t count, space;
    uint64_t number;
    int64_t free_us; // The rate lets the next packet begin then
};

link_way_t *
link_way_new(uint64_t seed)
{
    link_way_t *self = calloc(1, sizeof *self);
    assert(self);
    self->chance = seed;
    self->rules.queue = QUEUE_MS;
    return self;
}

void
link_way_destroy(link_way_t **self_p)
{
    assert(self_p);
    link_way_t *self = rmt_take(self_p);
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        free(self->heap[i].bytes);
    free(self->heap);
    free(self);
}

const link_counts_t *
link_way_counts(const link_way_t *self)
{
    return &self->counts;
}

// ---- Rules

// The place of a rule, and the largest number that it takes.
static unsigned *
s_rule(rules_t *rules, const char *name, unsigned long *max_out)
{
    const struct {
        const char *name;
        unsigned *place;
        unsigned long max;
    } all[] = {
        {"delay", &rules->delay, 60000},   {"jitter", &rules->jitter, 60000},
        {"loss", &rules->loss, 100},       {"twice", &rules->twice, 100},
        {"early", &rules->early, 100},     {"rate", &rules->rate, 10000000},
        {"queue", &rules->queue, 1000000}, {"ends", &rules->ends, 1},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].name, name) == 0) {
            *max_out = all[i].max;
            return all[i].place;
        }
    return NULL;
}

static int
s_take_word(rules_t *rules, char *word)
{
    char *value = strchr(word, '=');
    if (!value)
        return -1;
    *value++ = '\0';
    unsigned long max = 0;
    unsigned *place = s_rule(rules, word, &max);
    char *end = value;
    const unsigned long number = strtoul(value, &end, 10);
    if (!place || end == value || *end || *value == '-' || number > max)
        return -1;
    *place = (unsigned) number;
    return 0;
}

int
link_way_rules(link_way_t *self, const char *words)
{
    assert(self && words);
    rules_t rules = {.queue = QUEUE_MS};
    rmt_auto_str copy = strdup(words);
    assert(copy);
    char *rest = NULL;
    for (char *word = strtok_r(copy, " \t\n", &rest); word;
         word = strtok_r(NULL, " \t\n", &rest))
        if (s_take_word(&rules, word) == -1)
            return -1;
    self->rules = rules;
    self->free_us = 0;
    return 0;
}

// ---- Chance

// Steele, Lea, Flood: splitmix64.
static uint64_t
s_chance(link_way_t *self)
{
    uint64_t z = self->chance += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static bool
s_happens(link_way_t *self, unsigned of_hundred)
{
    return s_chance(self) % 100 < of_hundred;
}

// ---- Packets under way: a heap

static bool
s_is_before(const packet_t *a, const packet_t *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->number < b->number;
}

static void
s_swap(packet_t *a, packet_t *b)
{
    const packet_t other = *a;
    *a = *b;
    *b = other;
}

static void
s_push(link_way_t *self, const void *bytes, size_t size, int64_t due_us)
{
    rmt_grow(&self->heap, &self->space, self->count + 1);
    packet_t *heap = self->heap;
    size_t at = self->count++;
    heap[at] = (packet_t){due_us, self->number++, size, malloc(size)};
    assert(heap[at].bytes);
    memcpy(heap[at].bytes, bytes, size);
    for (; at > 0 && s_is_before(&heap[at], &heap[(at - 1) / 2]); at = (at - 1) / 2)
        s_swap(&heap[at], &heap[(at - 1) / 2]);
}

static packet_t
s_pop(link_way_t *self)
{
    packet_t *heap = self->heap;
    const packet_t first = heap[0];
    heap[0] = heap[--self->count];
    for (size_t at = 0, child; (child = 2 * at + 1) < self->count; at = child) {
        if (child + 1 < self->count && s_is_before(&heap[child + 1], &heap[child]))
            child++;
        if (!s_is_before(&heap[child], &heap[at]))
            break;
        s_swap(&heap[child], &heap[at]);
    }
    return first;
}

// ---- The way of a packet

// FIN or RST of TCP over IPv4.
static bool
s_ends_connection(const uint8_t *packet, size_t size)
{
    if (size < 20 || packet[0] >> 4 != 4 || packet[9] != 6)
        return false;
    const size_t tcp = (size_t) (packet[0] & 15) * 4;
    return size >= tcp + 20 && packet[tcp + 13] & 5;
}

// When the last bit of a packet is on the wire, or -1 when it had to wait too long.
static int64_t
s_serialize(link_way_t *self, size_t size, int64_t now_us)
{
    if (self->rules.rate == 0)
        return now_us;
    const int64_t begin = self->free_us > now_us ? self->free_us : now_us;
    if (begin - now_us > (int64_t) self->rules.queue * 1000)
        return -1;
    self->free_us = begin + (int64_t) (size * 8 * 1000 / self->rules.rate);
    return self->free_us;
}

static int64_t
s_delay_us(link_way_t *self)
{
    const rules_t *rules = &self->rules;
    int64_t delay = (int64_t) rules->delay * 1000;
    if (rules->jitter) {
        const int64_t jitter = (int64_t) rules->jitter * 1000;
        delay += (int64_t) (s_chance(self) % (uint64_t) (2 * jitter + 1)) - jitter;
    }
    return delay < 0 ? 0 : delay;
}

static void
s_send_off(link_way_t *self, const void *packet, size_t size, int64_t now_us)
{
    const int64_t sent_us =
        self->count < UNDER_WAY_MAX ? s_serialize(self, size, now_us) : -1;
    if (sent_us == -1) {
        self->counts.full++;
        return;
    }
    const bool is_early = s_happens(self, self->rules.early);
    self->counts.early += is_early;
    s_push(self, packet, size, sent_us + (is_early ? 0 : s_delay_us(self)));
}

void
link_way_put(link_way_t *self, const void *packet, size_t size, int64_t now_us)
{
    assert(self && packet && size > 0 && size <= LINK_PACKET_MAX);
    if (self->rules.ends && s_ends_connection(packet, size)) {
        self->counts.cut++;
        return;
    }
    if (s_happens(self, self->rules.loss)) {
        self->counts.lost++;
        return;
    }
    s_send_off(self, packet, size, now_us);
    if (s_happens(self, self->rules.twice)) {
        self->counts.twice++;
        s_send_off(self, packet, size, now_us);
    }
}

int64_t
link_way_due_us(const link_way_t *self)
{
    return self->count ? self->heap[0].due_us : INT64_MAX;
}

size_t
link_way_take(link_way_t *self, void *packet_out, int64_t now_us)
{
    assert(self && packet_out);
    if (link_way_due_us(self) > now_us)
        return 0;
    const packet_t packet = s_pop(self);
    memcpy(packet_out, packet.bytes, packet.size);
    free(packet.bytes);
    self->counts.packets++;
    self->counts.bytes += packet.size;
    return packet.size;
}
