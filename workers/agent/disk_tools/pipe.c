#include "agent/disk_tools/pipe.h"
#include "base/rmt_auto.h"
#include "wire/rmt_codec.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#define HEADER_SIZE 8
#define GATHER_SIZE ((size_t) 256 * 1024)
#define READ_SIZE ((size_t) 256 * 1024)
#define KERNEL_SIZE (1024 * 1024)
#define RECORDS_SIZE_MAX ((size_t) 4 * 1024 * 1024)

struct rmt_pipe {
    int in, out;
    uint8_t *gather; // Frames on their way out
    size_t gathered;
    bool is_in_volume, has_block;
    size_t block_at; // Of the head of the block that grows in gather
    uint8_t *buffer; // Bytes that came in: begin..end are not yet taken
    size_t begin, end, room;
    size_t relay_left; // Of the block that is handed on
    bool relay_last;
    rmt_pipe_wait_fn *wait;
    void *context;
};

rmt_pipe_t *
rmt_pipe_new(int in, int out)
{
    rmt_pipe_t *self = calloc(1, sizeof *self);
    assert(self);
    self->in = in;
    self->out = out;
    self->gather = malloc(GATHER_SIZE);
    self->room = READ_SIZE;
    self->buffer = malloc(self->room);
    assert(self->gather);
    assert(self->buffer);
    // A refusal only costs speed: the limit for users may be lower.
    if (out >= 0)
        (void) fcntl(out, F_SETPIPE_SZ, KERNEL_SIZE);
    return self;
}

void
rmt_pipe_destroy(rmt_pipe_t **self_p)
{
    rmt_pipe_t *self = *self_p;
    if (!self)
        return;
    if (self->in >= 0)
        close(self->in);
    if (self->out >= 0)
        close(self->out);
    free(self->gather);
    free(self->buffer);
    free(self);
    *self_p = NULL;
}

void
rmt_pipe_on_wait(rmt_pipe_t *self, rmt_pipe_wait_fn *wait, void *context)
{
    self->wait = wait;
    self->context = context;
    // Only a descriptor that does not block lets us listen while we wait for room.
    const int flags = fcntl(self->out, F_GETFL);
    (void) fcntl(self->out, F_SETFL, wait ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

static int
s_wait_for_room(rmt_pipe_t *self, rmt_error_t *error)
{
    struct pollfd polls[2] = {{.fd = self->out, .events = POLLOUT},
                              {.fd = self->in, .events = POLLIN}};
    if (poll(polls, 2, 1000) == -1 && errno != EINTR)
        return rmt_fail_errno(error, "wait for the other half");
    // Also after a second of silence: the waiter looks whether it should end.
    if (polls[1].revents || !polls[0].revents)
        return self->wait(self->context, error);
    return 0;
}

static int
s_write(rmt_pipe_t *self, const uint8_t *data, size_t size, rmt_error_t *error)
{
    while (size) {
        const ssize_t done = write(self->out, data, size);
        if (done >= 0) {
            data += done;
            size -= (size_t) done;
        } else if (errno == EAGAIN && self->wait) {
            if (s_wait_for_room(self, error) == -1)
                return -1;
        } else if (errno != EINTR) {
            return rmt_fail_errno(error, "write to the other half");
        }
    }
    return 0;
}

static void
s_put_head(uint8_t *head, rmt_pipe_kind_t kind, size_t size)
{
    memset(head, 0, HEADER_SIZE);
    head[0] = (uint8_t) kind;
    for (int i = 0; i < 4; i++)
        head[4 + i] = (uint8_t) (size >> (8 * i));
}

// Its frames are in gather; more of the last one may follow it.
static void
s_end_block(rmt_pipe_t *self, rmt_pipe_kind_t kind, size_t more)
{
    const size_t begin = self->block_at + HEADER_SIZE;
    if (!self->has_block)
        return;
    s_put_head(self->gather + self->block_at, kind, self->gathered - begin + more);
    self->has_block = false;
}

int
rmt_pipe_flush(rmt_pipe_t *self, rmt_error_t *error)
{
    s_end_block(self, RMT_PIPE_BLOCK, 0);
    const size_t size = self->gathered;
    self->gathered = 0;
    return s_write(self, self->gather, size, error);
}

static void
s_begin_frame(rmt_pipe_t *self, rmt_pipe_kind_t kind, size_t size)
{
    if (self->is_in_volume && !self->has_block) {
        self->block_at = self->gathered;
        self->gathered += HEADER_SIZE;
        self->has_block = true;
    }
    s_put_head(self->gather + self->gathered, kind, size);
    self->gathered += HEADER_SIZE;
}

int
rmt_pipe_send(rmt_pipe_t *self, rmt_pipe_kind_t kind, const void *data, size_t size,
              rmt_error_t *error)
{
    if (size > RMT_PIPE_SIZE_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG, "frame of %zu bytes, limit %zu", size,
                        RMT_PIPE_SIZE_MAX);
    if (self->gathered + 2 * HEADER_SIZE + size > GATHER_SIZE &&
        rmt_pipe_flush(self, error) == -1)
        return -1;
    s_begin_frame(self, kind, size);
    if (size > GATHER_SIZE - self->gathered) {
        s_end_block(self, RMT_PIPE_BLOCK, size);
        return rmt_pipe_flush(self, error) == -1 ? -1 : s_write(self, data, size, error);
    }
    if (size)
        memcpy(self->gather + self->gathered, data, size);
    self->gathered += size;
    if (kind == RMT_PIPE_VOLUME || kind == RMT_PIPE_VERIFY)
        self->is_in_volume = true;
    if (kind == RMT_PIPE_VOLUME_END) {
        s_end_block(self, RMT_PIPE_BLOCK_LAST, 0);
        self->is_in_volume = false;
    }
    return 0;
}

int
rmt_pipe_send_records(rmt_pipe_t *self, rmt_pipe_kind_t kind,
                      const rmt_records_t *records, rmt_error_t *error)
{
    rmt_auto(zchunk) packed = rmt_codec_pack_records(records);
    return rmt_pipe_send(self, kind, zchunk_data(packed), zchunk_size(packed), error);
}

int
rmt_pipe_send_record(rmt_pipe_t *self, rmt_pipe_kind_t kind, const rmt_record_t *record,
                     rmt_error_t *error)
{
    rmt_auto(rmt_records) records = rmt_records_new();
    rmt_auto(rmt_record) copy = rmt_record_dup(record);
    rmt_records_append(records, &copy);
    return rmt_pipe_send_records(self, kind, records, error);
}

// ---- Receiving

static size_t
s_frame_size(const uint8_t *header)
{
    size_t size = 0;
    for (int i = 0; i < 4; i++)
        size |= (size_t) header[4 + i] << (8 * i);
    return size;
}

// Have at least need bytes from begin on in one piece of memory that can hold them.
static void
s_make_room(rmt_pipe_t *self, size_t need)
{
    if (self->begin + need <= self->room)
        return;
    memmove(self->buffer, self->buffer + self->begin, self->end - self->begin);
    self->end -= self->begin;
    self->begin = 0;
    if (need <= self->room)
        return;
    self->room = need;
    self->buffer = realloc(self->buffer, self->room);
    assert(self->buffer);
}

// 1 when at least one byte came, 0 when none came in time.
static int
s_read_at_most(rmt_pipe_t *self, int timeout_ms, size_t most, rmt_error_t *error)
{
    struct pollfd polls = {.fd = self->in, .events = POLLIN};
    const int ready = poll(&polls, 1, timeout_ms);
    if (ready == 0 || (ready == -1 && errno == EINTR))
        return 0;
    if (ready == -1)
        return rmt_fail_errno(error, "wait for the other half");
    const ssize_t done = read(self->in, self->buffer + self->end, most);
    if (done == -1 && (errno == EINTR || errno == EAGAIN))
        return 0;
    if (done == -1)
        return rmt_fail_errno(error, "read from the other half");
    if (done == 0)
        return rmt_fail(error, RMT_E_CANCELLED, "the other half has ended");
    self->end += (size_t) done;
    return 1;
}

static int
s_read(rmt_pipe_t *self, int timeout_ms, rmt_error_t *error)
{
    return s_read_at_most(self, timeout_ms, self->room - self->end, error);
}

int
rmt_pipe_recv(rmt_pipe_t *self, int timeout_ms, rmt_frame_t *frame_out,
              rmt_error_t *error)
{
    if (self->begin == self->end)
        self->begin = self->end = 0;
    for (;;) {
        size_t need = HEADER_SIZE;
        const size_t have = self->end - self->begin;
        if (have >= HEADER_SIZE) {
            const uint8_t *header = self->buffer + self->begin;
            const size_t size = s_frame_size(header);
            if (size > RMT_PIPE_SIZE_MAX)
                return rmt_fail(error, RMT_E_TOO_BIG, "frame of %zu bytes, limit %zu",
                                size, RMT_PIPE_SIZE_MAX);
            need += size;
            if (have >= need) {
                *frame_out = (rmt_frame_t){.kind = (rmt_pipe_kind_t) header[0],
                                           .data = header + HEADER_SIZE,
                                           .size = size};
                self->begin += need;
                return 1;
            }
        }
        s_make_room(self, need);
        const int rc = s_read(self, timeout_ms, error);
        if (rc == -1 || (rc == 0 && timeout_ms >= 0))
            return rc;
    }
}

rmt_records_t *
rmt_pipe_records(const rmt_frame_t *frame, rmt_error_t *error)
{
    return rmt_codec_unpack_records(frame->data, frame->size, RECORDS_SIZE_MAX, error);
}

rmt_record_t *
rmt_pipe_record(const rmt_frame_t *frame, rmt_error_t *error)
{
    rmt_auto(rmt_records) records = rmt_pipe_records(frame, error);
    if (!records)
        return NULL;
    if (rmt_records_count(records) == 0) {
        rmt_fail(error, RMT_E_PROTOCOL, "a frame of kind %d has no record",
                 (int) frame->kind);
        return NULL;
    }
    return rmt_record_dup(rmt_records_at(records, 0));
}

// ---- Handing on

int
rmt_pipe_in(const rmt_pipe_t *self)
{
    return self->in;
}

// 1: the head of a block was taken; 0: it has not come; -1.
static int
s_take_head(rmt_pipe_t *self, rmt_error_t *error)
{
    uint8_t *head = self->buffer + self->begin;
    size_t have = self->end - self->begin;
    // Not a byte more is read: it would have to be copied.
    while (have < HEADER_SIZE) {
        s_make_room(self, HEADER_SIZE);
        head = self->buffer + self->begin;
        const int rc = s_read_at_most(self, 0, HEADER_SIZE - have, error);
        if (rc != 1)
            return rc;
        have = self->end - self->begin;
    }
    const size_t size = s_frame_size(head);
    if (head[0] != RMT_PIPE_BLOCK && head[0] != RMT_PIPE_BLOCK_LAST)
        return rmt_fail(error, RMT_E_PROTOCOL, "a frame of kind %d came within a volume",
                        (int) head[0]);
    if (size > RMT_PIPE_SIZE_MAX + HEADER_SIZE)
        return rmt_fail(error, RMT_E_TOO_BIG, "block of %zu bytes", size);
    self->begin += HEADER_SIZE;
    self->relay_left = size;
    self->relay_last = head[0] == RMT_PIPE_BLOCK_LAST;
    return 1;
}

// Bytes that were read before, or those in the pipe, which are moved without a copy.
static ssize_t
s_move(rmt_pipe_t *self, int out)
{
    const size_t have = self->end - self->begin;
    const size_t size = have && have < self->relay_left ? have : self->relay_left;
    ssize_t done;
    do
        done = have ? write(out, self->buffer + self->begin, size)
                    : splice(self->in, NULL, out, NULL, size, SPLICE_F_NONBLOCK);
    while (done == -1 && errno == EINTR);
    if (done > 0) {
        self->relay_left -= (size_t) done;
        self->begin += have ? (size_t) done : 0;
    }
    return done;
}

// Why did nothing move?
static rmt_relay_t
s_waits_for(const rmt_pipe_t *self)
{
    struct pollfd in = {.fd = self->in, .events = POLLIN};
    return self->begin < self->end || poll(&in, 1, 0) == 1 ? RMT_RELAY_OUT : RMT_RELAY_IN;
}

int
rmt_pipe_relay(rmt_pipe_t *self, int out, rmt_relay_t *wait_out, rmt_error_t *error)
{
    *wait_out = RMT_RELAY_IN;
    do {
        while (!self->relay_left && !self->relay_last) {
            const int rc = s_take_head(self, error);
            if (rc != 1)
                return rc;
        }
        const ssize_t done = self->relay_left ? s_move(self, out) : 1;
        if (done == 0)
            return rmt_fail(error, RMT_E_CANCELLED, "the other half has ended");
        if (done == -1 && errno != EAGAIN && errno != EPIPE)
            return rmt_fail_errno(error, "hand a volume on");
        if (done == -1) {
            *wait_out = errno == EPIPE ? RMT_RELAY_GONE : s_waits_for(self);
            return 0;
        }
        if (!self->relay_left && self->relay_last) {
            self->relay_last = false;
            *wait_out = RMT_RELAY_ENDED;
            return 0;
        }
    } while (self->begin < self->end);
    return 0;
}
