#include "agent/install/order.h"
#include "base/rmt_auto.h"
#include "wire/rmt_codec.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <string.h>

#define ORDER_SIZE_MAX ((size_t) 1024 * 1024)

static bool
s_is(const rmt_record_t *record, const char *name, const char *text)
{
    return strcmp(rmt_record_text(record, name, ""), text) == 0;
}

static int
s_take_head(rmt_order_t *self, const rmt_record_t *head, rmt_error_t *error)
{
    if (rmt_id_parse(&self->image, rmt_record_text(head, "image", ""), error) == -1)
        return rmt_wrap(error, "image of the order");
    self->target = rmt_text("%s", rmt_record_text(head, "target", ""));
    self->place = rmt_text("%s", rmt_record_text(head, "place", ""));
    return 0;
}

static void
s_keep(rmt_records_t *list, const rmt_record_t *record)
{
    rmt_auto(rmt_record) copy = rmt_record_dup(record);
    rmt_records_append(list, &copy);
}

static int
s_sort(rmt_order_t *self, const rmt_records_t *records, rmt_error_t *error)
{
    bool has_head = false;
    for (size_t i = 0; i < rmt_records_count(records); i++) {
        const rmt_record_t *record = rmt_records_at(records, i);
        if (s_is(record, "class", "order")) {
            if (has_head || s_take_head(self, record, error) == -1)
                return has_head ? rmt_fail(error, RMT_E_USAGE, "an order with two heads")
                                : -1;
            has_head = true;
        } else if (s_is(record, "class", "choice")) {
            s_keep(self->choices, record);
        } else if (s_is(record, "part", "layout")) {
            s_keep(self->layout, record);
        } else if (s_is(record, "part", "personal")) {
            s_keep(self->personal, record);
        }
    }
    if (!has_head)
        return rmt_fail(error, RMT_E_USAGE, "an order without an image");
    return 0;
}

static int
s_check(const rmt_order_t *self, rmt_error_t *error)
{
    size_t disks = 0;
    for (size_t i = 0; i < rmt_records_count(self->layout); i++) {
        const rmt_record_t *record = rmt_records_at(self->layout, i);
        const char *role = rmt_record_text(record, "role", "");
        const char *root = rmt_record_text(record, "root", "");
        rmt_id_t id;
        if (s_is(record, "class", "disk") && ++disks &&
            !rmt_records_find(self->choices, "role", role))
            return rmt_fail(error, RMT_E_USAGE, "no disk is chosen for role '%s'", role);
        if (s_is(record, "class", "volume") && *root &&
            rmt_id_parse(&id, root, error) == -1)
            return rmt_wrap(error, "volume of the order");
    }
    if (disks == 0)
        return rmt_fail(error, RMT_E_USAGE, "an order without a disk");
    return 0;
}

rmt_order_t *
rmt_order_new(const void *data, size_t size, rmt_error_t *error)
{
    rmt_auto(rmt_records) records =
        rmt_codec_unpack_records(data, size, ORDER_SIZE_MAX, error);
    if (!records)
        return NULL;
    rmt_auto(rmt_order) self = calloc(1, sizeof *self);
    assert(self);
    self->choices = rmt_records_new();
    self->layout = rmt_records_new();
    self->personal = rmt_records_new();
    if (s_sort(self, records, error) == -1 || s_check(self, error) == -1)
        return NULL;
    return rmt_take(&self);
}

void
rmt_order_destroy(rmt_order_t **self_p)
{
    rmt_order_t *self = *self_p;
    if (!self)
        return;
    free(self->target);
    free(self->place);
    rmt_records_destroy(&self->choices);
    rmt_records_destroy(&self->layout);
    rmt_records_destroy(&self->personal);
    free(self);
    *self_p = NULL;
}

// Subvolumes come first, each behind the one that holds it; then the others by mount
// point.
static int
s_compare_volume(const void *a, const void *b)
{
    const rmt_record_t *const *one = a;
    const rmt_record_t *const *two = b;
    const bool is_subvolume = rmt_record_has(*one, "subvolume");
    if (is_subvolume != rmt_record_has(*two, "subvolume"))
        return is_subvolume ? -1 : 1;
    const int order = is_subvolume ? strcmp(rmt_record_text(*one, "partition", ""),
                                            rmt_record_text(*two, "partition", ""))
                                   : strcmp(rmt_record_text(*one, "mount", "~"),
                                            rmt_record_text(*two, "mount", "~"));
    return order || !is_subvolume ? order
                                  : strcmp(rmt_record_text(*one, "subvolume", ""),
                                           rmt_record_text(*two, "subvolume", ""));
}

const rmt_record_t **
rmt_order_volumes(const rmt_records_t *layout, size_t *count_out)
{
    const size_t all = rmt_records_count(layout);
    const rmt_record_t **volumes = calloc(all + 1, sizeof *volumes);
    assert(volumes);
    size_t count = 0;
    for (size_t i = 0; i < all; i++) {
        const rmt_record_t *record = rmt_records_at(layout, i);
        if (s_is(record, "class", "volume"))
            volumes[count++] = record;
    }
    qsort(volumes, count, sizeof *volumes, s_compare_volume);
    *count_out = count;
    return volumes;
}

bool
rmt_order_has_tree(const rmt_record_t *volume)
{
    return rmt_record_has(volume, "root") && !s_is(volume, "fs", "swap") &&
           !s_is(volume, "fs", "none");
}

void
rmt_order_plan(const void *data, size_t size, const uint8_t nonce[16], rmt_id_t *plan_out)
{
    rmt_auto(rmt_digest) digest = rmt_digest_new();
    rmt_digest_update(digest, data, size);
    rmt_digest_update(digest, nonce, 16);
    rmt_digest_finish(digest, plan_out);
}
