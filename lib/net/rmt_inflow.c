#include "net/rmt_inflow.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "base/rmt_memory.h"
#include "net/rmt_tcp.h"

#define LOOK_MS 100                   // Between two looks at the memory
#define WALK_MS 3000                  // Between two walks without need
#define GROWTH ((size_t) 8 << 20)     // Of the memory, that asks for a walk
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
    bool is_heard; // A message has come since the last walk
} row_t;

struct rmt_inflow {
    gate_t gates[GATES_MAX];
    size_t gate_count;
    row_t *rows; // By descriptor
    size_t count, space;
    size_t memory; // The least since the last walk
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
    return self;
}

void
rmt_inflow_destroy(rmt_inflow_t **self_p)
{
    assert(self_p);
    rmt_inflow_t *self = rmt_take(self_p);
    if (self) {
        free(self->rows);
        free(self);
    }
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

// Its descriptor may have another socket by now.
static void
s_end(const rmt_inflow_t *self, int fd, uint64_t cookie)
{
    rmt_auto_fd own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    char address[RMT_ADDRESS_SIZE] = "";
    if (own == -1 || rmt_tcp_cookie(own) != cookie)
        return;
    if (getpeername(own, (struct sockaddr *) &peer, &size) == 0)
        (void) getnameinfo((struct sockaddr *) &peer, size, address, sizeof address, NULL,
                           0, NI_NUMERICHOST);
    (void) shutdown(own, SHUT_RDWR);
    self->told(self->context, address);
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
        *row = (row_t){.cookie = cookie, .at = now, .is_heard = row->is_heard};
    if (row->is_heard) {
        row->received = received;
        row->at = now;
        row->is_heard = false;
        return;
    }
    const uint64_t unread = received > row->received ? received - row->received : 0;
    if (unread > gate->queue_max ||
        (unread > 2 * gate->message_max && now - row->at >= WALK_MS))
        s_end(self, fd, cookie);
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
}

int
rmt_inflow_tick(rmt_inflow_t *self, int64_t now)
{
    assert(self);
    if (now < self->look_at)
        return (int) (self->look_at - now);
    self->look_at = now + LOOK_MS;
    const size_t memory = rmt_memory_resident();
    if (memory < self->memory)
        self->memory = memory;
    if (now >= self->walk_at || memory > self->memory + GROWTH) {
        self->walk_at = now + WALK_MS;
        self->memory = memory;
        s_walk(self, now);
    }
    return LOOK_MS;
}
