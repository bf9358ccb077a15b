#include "disk/rmt_mapping.h"
#include "base/rmt_grow.h"
#include "disk/rmt_errno_io.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// What is made good from the other members goes through this.
#define ROOM ((size_t) 64 * 1024)
#define NO_MEMBER SIZE_MAX

typedef struct {
    rmt_mapping_segment_t form; // Its members are owned
    uint64_t start;
} segment_t;

struct rmt_mapping {
    segment_t *segments;
    size_t count;
    uint64_t size;
    bool lacks; // A member is missing
    uint8_t *room;
    int *fds; // Each once, for a child that closes all others and for a flush
    size_t fd_count;
};

// One chunk of the segment, or its copy, on a member.
typedef struct {
    size_t member;
    uint64_t at; // Bytes from the start of the member's part
} place_t;

// Part of a request that lies in one chunk.
typedef struct {
    const rmt_mapping_segment_t *form;
    uint64_t chunk;  // Number
    uint64_t within; // Bytes from the chunk's start
    size_t size;
} part_t;

// ---- The instance

rmt_mapping_t *
rmt_mapping_new(void)
{
    rmt_mapping_t *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    self->room = malloc(ROOM);
    if (!self->room)
        abort();
    return self;
}

void
rmt_mapping_destroy(rmt_mapping_t **self_p)
{
    assert(self_p);
    rmt_mapping_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        free((void *) (uintptr_t) self->segments[i].form.members);
    free(self->segments);
    free(self->fds);
    free(self->room);
    free(self);
    *self_p = NULL;
}

static void
s_note_fd(rmt_mapping_t *self, int fd)
{
    for (size_t i = 0; i < self->fd_count; i++)
        if (self->fds[i] == fd)
            return;
    rmt_grow_one(&self->fds, self->fd_count);
    self->fds[self->fd_count++] = fd;
}

void
rmt_mapping_add(rmt_mapping_t *self, const rmt_mapping_segment_t *segment)
{
    assert(segment->size && segment->chunk && segment->count);
    assert(segment->parity ? segment->count > segment->parity
                           : segment->near && segment->far);
    assert(segment->parity || segment->near == 1 || segment->far == 1);
    assert(segment->parity || segment->near * segment->far <= segment->count);
    rmt_mapping_member_t *members = calloc(segment->count, sizeof *members);
    if (!members)
        abort();
    memcpy(members, segment->members, segment->count * sizeof *members);
    for (size_t i = 0; i < segment->count; i++)
        if (members[i].fd == -1)
            self->lacks = true;
        else
            s_note_fd(self, members[i].fd);
    rmt_grow_one(&self->segments, self->count);
    segment_t *own = &self->segments[self->count++];
    *own = (segment_t){.form = *segment, .start = self->size};
    own->form.members = members;
    self->size += segment->size;
}

void
rmt_mapping_add_range(rmt_mapping_t *self, int fd, uint64_t offset, uint64_t size)
{
    const rmt_mapping_member_t member = {.fd = fd, .offset = offset};
    const rmt_mapping_segment_t segment = {
        .size = size, .chunk = size, .near = 1, .far = 1, .members = &member, .count = 1};
    rmt_mapping_add(self, &segment);
}

uint64_t
rmt_mapping_size(const rmt_mapping_t *self)
{
    return self->size;
}

// ---- Where a chunk lies

// Near copies take slots beside each other, which go round the members row by row; far
// copies lie some members further, in a later part of each.
static place_t
s_find_copy(const rmt_mapping_segment_t *form, uint64_t chunk, unsigned copy)
{
    const unsigned near = copy % form->near, far = copy / form->near;
    const uint64_t slot = chunk * form->near + near;
    const uint64_t row = slot / form->count * (form->is_offset ? form->far : 1);
    return (place_t){.member = (size_t) ((slot + far) % form->count),
                     .at = row * form->chunk + far * form->stride};
}

typedef struct {
    size_t p, q;    // Members with parity; q: NO_MEMBER in RAID 4 and 5
    size_t data;    // Member where data begins
    size_t members; // Those that data goes round; a member behind them has Q alone
} stripe_t;

static stripe_t
s_find_stripe(const rmt_mapping_segment_t *form, uint64_t stripe)
{
    const bool has_last_q = form->layout >= RMT_PARITY_LEFT_ASYMMETRIC_6;
    const unsigned layout =
        form->layout - (has_last_q ? RMT_PARITY_LEFT_ASYMMETRIC_6 : 0);
    const size_t members = form->count - has_last_q;
    const unsigned own = has_last_q ? 1 : form->parity;
    const size_t turn = (size_t) (stripe % members);
    stripe_t found = {.members = members, .q = NO_MEMBER};
    switch (layout) {
    case RMT_PARITY_LEFT_ASYMMETRIC:
    case RMT_PARITY_LEFT_SYMMETRIC:
        found.p = members - 1 - turn;
        break;
    case RMT_PARITY_RIGHT_ASYMMETRIC:
    case RMT_PARITY_RIGHT_SYMMETRIC:
        found.p = turn;
        break;
    case RMT_PARITY_FIRST:
        found.p = 0;
        break;
    default:
        found.p = members - own;
    }
    if (has_last_q)
        found.q = members;
    else if (form->parity == 2)
        found.q = (found.p + 1) % members;
    // The symmetric ones begin behind parity, of which Q is stepped over.
    if (layout == RMT_PARITY_LEFT_SYMMETRIC || layout == RMT_PARITY_RIGHT_SYMMETRIC)
        found.data = (found.p + 1) % members;
    return found;
}

static place_t
s_find_data(const rmt_mapping_segment_t *form, uint64_t chunk, stripe_t *stripe_out)
{
    const size_t data = form->count - form->parity;
    const uint64_t stripe = chunk / data;
    size_t left = (size_t) (chunk % data);
    *stripe_out = s_find_stripe(form, stripe);
    size_t member = stripe_out->data;
    // Members without data are stepped over.
    while (member == stripe_out->p || member == stripe_out->q || left) {
        left -= member != stripe_out->p && member != stripe_out->q;
        member = (member + 1) % stripe_out->members;
    }
    return (place_t){.member = member, .at = stripe * form->chunk};
}

// ---- Reading and writing

static part_t
s_cut(const rmt_mapping_t *self, size_t size, uint64_t at)
{
    size_t i = 0;
    while (at >= self->segments[i].start + self->segments[i].form.size)
        i++;
    const segment_t *segment = &self->segments[i];
    const uint64_t in = at - segment->start, chunk = segment->form.chunk;
    uint64_t left = chunk - in % chunk;
    if (left > segment->form.size - in)
        left = segment->form.size - in;
    return (part_t){.form = &segment->form,
                    .chunk = in / chunk,
                    .within = in % chunk,
                    .size = left < size ? (size_t) left : size};
}

static uint64_t
s_offset(const part_t *part, const place_t *place)
{
    return part->form->members[place->member].offset + place->at + part->within;
}

// The bytes of a missing member are those of all others of its stripe, added without
// carry; Q has no part in that sum.
static int
s_restore(rmt_mapping_t *self, const part_t *part, const place_t *lost, size_t q,
          uint8_t *data)
{
    memset(data, 0, part->size);
    for (size_t i = 0; i < part->form->count; i++) {
        const place_t place = {.member = i, .at = lost->at};
        const int fd = part->form->members[i].fd;
        if (i == lost->member || i == q)
            continue;
        if (fd == -1)
            return EIO;
        for (size_t at = 0; at < part->size; at += ROOM) {
            const size_t left = part->size - at, size = left < ROOM ? left : ROOM;
            const int failure =
                rmt_errno_pread(fd, self->room, size, s_offset(part, &place) + at);
            if (failure)
                return failure;
            for (size_t j = 0; j < size; j++)
                data[at + j] ^= self->room[j];
        }
    }
    return 0;
}

static int
s_read_part(rmt_mapping_t *self, const part_t *part, uint8_t *data)
{
    const rmt_mapping_segment_t *form = part->form;
    const unsigned copies = form->parity ? 1 : form->near * form->far;
    stripe_t stripe = {.q = NO_MEMBER};
    place_t place = {0};
    for (unsigned copy = 0; copy < copies; copy++) {
        place = form->parity ? s_find_data(form, part->chunk, &stripe)
                             : s_find_copy(form, part->chunk, copy);
        const int fd = form->members[place.member].fd;
        if (fd != -1)
            return rmt_errno_pread(fd, data, part->size, s_offset(part, &place));
    }
    return form->parity ? s_restore(self, part, &place, stripe.q, data) : EIO;
}

static int
s_write_part(const part_t *part, const uint8_t *data)
{
    const rmt_mapping_segment_t *form = part->form;
    const unsigned copies = form->parity ? 1 : form->near * form->far;
    stripe_t stripe;
    int failure = 0;
    for (unsigned copy = 0; copy < copies && !failure; copy++) {
        const place_t place = form->parity ? s_find_data(form, part->chunk, &stripe)
                                           : s_find_copy(form, part->chunk, copy);
        failure = rmt_errno_pwrite(form->members[place.member].fd, data, part->size,
                                   s_offset(part, &place));
    }
    return failure;
}

int
rmt_mapping_read(rmt_mapping_t *self, void *data, size_t size, uint64_t at)
{
    assert(at <= self->size && size <= self->size - at);
    uint8_t *out = data;
    while (size) {
        const part_t part = s_cut(self, size, at);
        const int failure = s_read_part(self, &part, out);
        if (failure)
            return failure;
        out += part.size;
        at += part.size;
        size -= part.size;
    }
    return 0;
}

int
rmt_mapping_write(rmt_mapping_t *self, const void *data, size_t size, uint64_t at)
{
    assert(at <= self->size && size <= self->size - at);
    const uint8_t *in = data;
    if (self->lacks)
        return EROFS;
    while (size) {
        const part_t part = s_cut(self, size, at);
        const int failure = s_write_part(&part, in);
        if (failure)
            return failure;
        in += part.size;
        at += part.size;
        size -= part.size;
    }
    return 0;
}

// ---- As blocks of FUSE

static int
s_read(void *self, void *data, size_t size, uint64_t at)
{
    return rmt_mapping_read(self, data, size, at);
}

static int
s_write(void *self, const void *data, size_t size, uint64_t at)
{
    return rmt_mapping_write(self, data, size, at);
}

static int
s_flush(void *context)
{
    const rmt_mapping_t *self = context;
    for (size_t i = 0; i < self->fd_count; i++)
        if (fsync(self->fds[i]) == -1)
            return errno;
    return 0;
}

rmt_fuse_blocks_t
rmt_mapping_blocks(rmt_mapping_t *self)
{
    return (rmt_fuse_blocks_t){.self = self,
                               .size = self->size,
                               .read = s_read,
                               .write = s_write,
                               .flush = s_flush,
                               .fds = self->fds,
                               .fd_count = self->fd_count};
}
