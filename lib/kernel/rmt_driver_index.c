#include "kernel/rmt_driver_index.h"
#include "base/rmt_bytes.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MAGIC 0xB007F457u
#define VERSION_MAJOR 2u
#define HAS_PREFIX 0x80000000u
#define HAS_VALUES 0x40000000u
#define HAS_CHILDREN 0x20000000u
#define OFFSET_MASK 0x0FFFFFFFu
#define CHARACTER_MAX 127
// Names of modules and patterns are shorter; the library calls itself as deep.
#define DEPTH_MAX 512

typedef struct {
    const unsigned char *data;
    size_t size;
    size_t visits; // Nodes that may still be entered
} index_t;

// Step over a number or a text; false when it does not lie inside.
static bool
s_step_number(const index_t *self, size_t *at, uint32_t *number_out)
{
    if (self->size - *at < 4)
        return false;
    *number_out = rmt_get32_be(self->data + *at);
    *at += 4;
    return true;
}

static bool
s_step_text(const index_t *self, size_t *at)
{
    const void *end = memchr(self->data + *at, '\0', self->size - *at);
    if (!end)
        return false;
    *at = (size_t) ((const unsigned char *) end - self->data) + 1;
    return true;
}

static bool
s_check_values(const index_t *self, size_t *at)
{
    uint32_t count, priority;
    if (!s_step_number(self, at, &count))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!s_step_number(self, at, &priority) || !s_step_text(self, at))
            return false;
    }
    return true;
}

static bool
s_check_node(index_t *self, uint32_t node, unsigned depth)
{
    const size_t start = node & OFFSET_MASK;
    size_t at = start;
    if (start < 12 || start > self->size || depth > DEPTH_MAX || self->visits == 0)
        return false;
    self->visits--;
    if (node & HAS_PREFIX && !s_step_text(self, &at))
        return false;
    if (node & HAS_CHILDREN) {
        if (self->size - at < 2)
            return false;
        const unsigned first = self->data[at];
        const unsigned last = self->data[at + 1];
        at += 2;
        if (first > last || last > CHARACTER_MAX)
            return false;
        for (unsigned i = first; i <= last; i++) {
            uint32_t child;
            if (!s_step_number(self, &at, &child) ||
                (child && ((child & OFFSET_MASK) >= start ||
                           !s_check_node(self, child, depth + 1))))
                return false;
        }
    }
    return !(node & HAS_VALUES) || s_check_values(self, &at);
}

int
rmt_driver_index_check(const void *data, size_t size, rmt_error_t *error)
{
    index_t self = {data, size, size};
    if (size < 12 || rmt_get32_be(data) != MAGIC)
        return rmt_fail(error, RMT_E_CORRUPT, "the file is not a list of depmod");
    const uint32_t version = rmt_get32_be(self.data + 4);
    if (version >> 16 != VERSION_MAJOR)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "the list of depmod has the unknown version %u", version >> 16);
    if (!s_check_node(&self, rmt_get32_be(self.data + 8), 0))
        return rmt_fail(error, RMT_E_CORRUPT, "the list of depmod is damaged");
    return 0;
}
