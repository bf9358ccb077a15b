#include "net/rmt_inflow.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "base/rmt_memory.h"
#include "net/rmt_tcp.h"

#define LOOK_MS 100                   // Between two looks at the memory
#define WALK_MS 3000                  // Between two walks without need
#define GROWTH ((size_t) 8 << 20)     // Of the memory, that asks for a walk
#define FD_GROWTH 256                 // Likewise of the descriptors
#define FRESH_MS 1000                 // A handshake has gone on by then
#define FD_MAX ((size_t) 1024 * 1024) // Others are not looked at
#define GATES_MAX 8

typedef struct {
    uint16_t port;
    size_t queue_max, message_max; // Octets
} gate_t;

typedef struct {
    uint64_t cookie;   // Of the socket that has this descriptor
    uint64_t received; // Octets, when a message had come the last time
    int64_t at;
    int64_t since;   // When it was seen first
    bool is_heard;   // A message has come since the last walk
    bool has_spoken; // One had come before it
} row_t;

// A connection by which no message has come.
typedef struct {
    char network[RMT_ADDRESS_SIZE];
    int fd; // -1: it was ended
    uint64_t cookie, received;
    int64_t since;
    bool is_fresh;
} unheard_t;

struct rmt_inflow {
    gate_t gates[GATES_MAX];
    size_t gate_count;
    row_t *rows; // By descriptor
    size_t count, space;
    unheard_t *unheard; // Of one walk
    size_t unheard_count, unheard_space, unheard_max, network_max;
    size_t memory; // The least since the last walk
    int lowest;    // Likewise of the descriptors that are free
    int64_t look_at, walk_at;
    rmt_inflow_fn *told;
    void *context;
};

rmt_inflow_t *
rmt_inflow_new(rmt_inflow_fn *told, void *context)
{
    assert(told);
    rmt_inflow_t *self = zmalloc(sizeof *self);
    self->told = told;
    self->context = context;
    rmt_inflow_limit(self, RMT_UNHEARD_NETWORK_MAX, RMT_UNHEARD_MAX);
    return self;
}

void
rmt_inflow_destroy(rmt_inflow_t **self_p)
{
    assert(self_p);
    rmt_inflow_t *self = rmt_take(self_p);
    if (self) {
        free(self->rows);
        free(self->unheard);
        free(self);
    }
}

void
rmt_inflow_limit(rmt_inflow_t *self, size_t network_max, size_t max)
{
    assert(self && network_max && max);
    self->network_max = network_max;
    self->unheard_max = max;
}

void
rmt_inflow_add(rmt_inflow_t *self, uint16_t port, rmt_socket_kind_t kind)
{
    assert(self && self->gate_count < GATES_MAX);
    gate_t *gate = &self->gates[self->gate_count++];
    gate->port = port;
    gate->message_max = rmt_socket_message_max(kind);
    gate->queue_max = rmt_socket_queue_max(kind);
}

// NULL: the descriptor is beyond all bounds.
static row_t *
s_row(rmt_inflow_t *self, int fd)
{
    const size_t index = (size_t) fd;
    if (fd < 0 || index >= FD_MAX)
        return NULL;
    rmt_grow(&self->rows, &self->space, index + 1);
    for (; self->count <= index; self->count++)
        self->rows[self->count] = (row_t){0};
    return &self->rows[index];
}

void
rmt_inflow_heard(rmt_inflow_t *self, const rmt_origin_t *origin)
{
    assert(self && origin);
    row_t *row = s_row(self, origin->fd);
    if (row)
        row->is_heard = true;
}

// ---- One connection

static const gate_t *
s_gate(const rmt_inflow_t *self, int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } own;
    socklen_t size = sizeof own;
    if (getsockname(fd, &own.any, &size) == -1)
        return NULL;
    const uint16_t port = own.any.sa_family == AF_INET    ? ntohs(own.v4.sin_port)
                          : own.any.sa_family == AF_INET6 ? ntohs(own.v6.sin6_port)
                                                          : 0;
    for (size_t i = 0; port && i < self->gate_count; i++)
        if (self->gates[i].port == port)
            return &self->gates[i];
    return NULL;
}

// "" when it has gone.
static void
s_peer(int fd, char address[RMT_ADDRESS_SIZE])
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    address[0] = '\0';
    if (getpeername(fd, (struct sockaddr *) &peer, &size) == 0)
        (void) getnameinfo((struct sockaddr *) &peer, size, address, RMT_ADDRESS_SIZE,
                           NULL, 0, NI_NUMERICHOST);
}

// Its descriptor may have another socket by now. why: NULL: it is not told.
static void
s_end(const rmt_inflow_t *self, int fd, uint64_t cookie, const char *why)
{
    rmt_auto_fd own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    char address[RMT_ADDRESS_SIZE];
    if (own == -1 || rmt_tcp_cookie(own) != cookie)
        return;
    s_peer(own, address);
    (void) shutdown(own, SHUT_RDWR);
    if (why)
        self->told(self->context, address, why);
}

static void
s_add_unheard(rmt_inflow_t *self, int fd, uint64_t received, int64_t now)
{
    const row_t *row = &self->rows[fd];
    char address[RMT_ADDRESS_SIZE];
    s_peer(fd, address);
    if (!*address)
        return; // It listens, or has gone
    rmt_grow(&self->unheard, &self->unheard_space, self->unheard_count + 1);
    unheard_t *unheard = &self->unheard[self->unheard_count++];
    *unheard = (unheard_t){.fd = fd,
                           .cookie = row->cookie,
                           .received = received,
                           .since = row->since,
                           .is_fresh = now - row->since < FRESH_MS};
    (void) rmt_origin_network(address, unheard->network);
}

static void
s_judge(rmt_inflow_t *self, int fd, int64_t now)
{
    const gate_t *gate = s_gate(self, fd);
    row_t *row = gate ? s_row(self, fd) : NULL;
    if (!row)
        return;
    const uint64_t cookie = rmt_tcp_cookie(fd), received = rmt_tcp_received(fd);
    if (row->cookie != cookie)
        *row =
            (row_t){.cookie = cookie, .at = now, .since = now, .is_heard = row->is_heard};
    if (row->is_heard) {
        row->received = received;
        row->at = now;
        row->is_heard = false;
        row->has_spoken = true;
        return;
    }
    if (!row->has_spoken)
        s_add_unheard(self, fd, received, now);
    const uint64_t unread = received > row->received ? received - row->received : 0;
    if (unread > gate->queue_max ||
        (unread > 2 * gate->message_max && now - row->at >= WALK_MS))
        s_end(self, fd, cookie, "sends a message without end");
}

// ---- Those that have said nothing

// Those first whose end does least harm: the oldest; and of those that have come just now
// those that have sent least of a handshake.
static int
s_by_harm(const void *a, const void *b)
{
    const unheard_t *one = a, *other = b;
    if (one->is_fresh != other->is_fresh)
        return one->is_fresh ? 1 : -1;
    if (one->is_fresh && one->received != other->received)
        return one->received < other->received ? -1 : 1;
    return one->since < other->since ? -1 : one->since > other->since;
}

static int
s_by_network(const void *a, const void *b)
{
    const int order =
        strcmp(((const unheard_t *) a)->network, ((const unheard_t *) b)->network);
    return order != 0 ? order : s_by_harm(a, b);
}

// A network hears of it once.
static void
s_end_first(const rmt_inflow_t *self, unheard_t *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        s_end(self, list[i].fd, list[i].cookie,
              i == 0 ? "has too many connections that say nothing" : NULL);
        list[i].fd = -1;
    }
}

static void
s_bound_networks(const rmt_inflow_t *self)
{
    unheard_t *list = self->unheard;
    for (size_t first = 0, next; first < self->unheard_count; first = next) {
        for (next = first; next < self->unheard_count &&
                           streq(list[next].network, list[first].network);)
            next++;
        if (next - first > self->network_max)
            s_end_first(self, &list[first], next - first - self->network_max);
    }
}

static void
s_bound_unheard(rmt_inflow_t *self)
{
    qsort(self->unheard, self->unheard_count, sizeof *self->unheard, s_by_network);
    s_bound_networks(self);
    size_t left = 0;
    for (size_t i = 0; i < self->unheard_count; i++)
        if (self->unheard[i].fd != -1)
            self->unheard[left++] = self->unheard[i];
    qsort(self->unheard, left, sizeof *self->unheard, s_by_harm);
    if (left > self->unheard_max)
        s_end_first(self, self->unheard, left - self->unheard_max);
    self->unheard_count = 0;
}

// ---- All

static void
s_walk(rmt_inflow_t *self, int64_t now)
{
    DIR *folder = opendir("/proc/self/fd");
    const struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        if (*entry->d_name != '.')
            s_judge(self, atoi(entry->d_name), now);
    if (folder)
        closedir(folder);
    if (self->unheard_count > 0)
        s_bound_unheard(self);
}

// Of the descriptors that are free: it rises with the number of those in use. INT_MAX
// when none is.
static int
s_lowest_free(void)
{
    rmt_auto_fd lowest = open("/", O_PATH | O_CLOEXEC);
    return lowest == -1 ? INT_MAX : lowest;
}

int
rmt_inflow_tick(rmt_inflow_t *self, int64_t now)
{
    assert(self);
    if (now < self->look_at)
        return (int) (self->look_at - now);
    self->look_at = now + LOOK_MS;
    const size_t memory = rmt_memory_resident();
    const int lowest = s_lowest_free();
    if (memory < self->memory)
        self->memory = memory;
    if (lowest < self->lowest)
        self->lowest = lowest;
    if (now >= self->walk_at || memory > self->memory + GROWTH ||
        lowest - self->lowest > FD_GROWTH) {
        self->walk_at = now + WALK_MS;
        self->memory = memory;
        self->lowest = lowest;
        s_walk(self, now);
    }
    return LOOK_MS;
}
