#include "facts/rmt_order.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "facts/rmt_facts.h"
#include "facts/rmt_network.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static char *
s_copy(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        abort();
    return copy;
}

static rmt_order_t *
s_new(void)
{
    rmt_order_t *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    self->layout = rmt_layout_new();
    self->personal = rmt_records_new();
    return self;
}

rmt_order_t *
rmt_order_new(const rmt_id_t *image, const char *target, const char *place)
{
    rmt_order_t *self = s_new();
    self->image = *image;
    self->target = s_copy(target);
    self->place = s_copy(place);
    return self;
}

void
rmt_order_destroy(rmt_order_t **self_p)
{
    assert(self_p);
    rmt_order_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->choice_count; i++) {
        free(self->choices[i].disk);
        free(self->choices[i].name);
    }
    free(self->choices);
    free(self->target);
    free(self->place);
    rmt_layout_destroy(&self->layout);
    rmt_records_destroy(&self->personal);
    free(self);
    *self_p = NULL;
}

// NULL for none.
static const rmt_order_choice_t *
s_find_choice(const rmt_order_t *self, const char *role)
{
    for (size_t i = 0; i < self->choice_count; i++)
        if (strcmp(self->choices[i].role, role) == 0)
            return &self->choices[i];
    return NULL;
}

// ---- Reading

static bool
s_is(const rmt_record_t *record, const char *name, const char *text)
{
    return strcmp(rmt_record_text(record, name, ""), text) == 0;
}

static int
s_refuse(const rmt_record_t *record, const char *field, const char *wanted,
         rmt_error_t *error)
{
    return rmt_fail(error, RMT_E_USAGE,
                    "the order's %.20s has %.20s '%.100s'; it must be %s",
                    rmt_record_text(record, "class", "record"), field,
                    rmt_record_text(record, field, ""), wanted);
}

static int
s_read_head(rmt_order_t *self, const rmt_record_t *head, rmt_error_t *error)
{
    rmt_error_t ignored = {0};
    if (self->target)
        return rmt_fail(error, RMT_E_USAGE,
                        "the order has two records of class order; it must have one");
    if (!s_is(head, "class", "order"))
        return s_refuse(head, "class", "order", error);
    if (rmt_id_parse(&self->image, rmt_record_text(head, "image", ""), &ignored) == -1)
        return s_refuse(head, "image", "an id of 66 hexadecimal digits", error);
    self->target = s_copy(rmt_record_text(head, "target", ""));
    self->place = s_copy(rmt_record_text(head, "place", ""));
    self->is_short = s_is(head, "volumes", "image");
    return 0;
}

int
rmt_order_add_choice(rmt_order_t *self, const rmt_record_t *record, rmt_error_t *error)
{
    const char *role = rmt_record_text(record, "role", "");
    const char *disk = rmt_record_text(record, "disk", "");
    const uint64_t bytes = rmt_record_u64(record, "bytes", 0);
    if (!s_is(record, "class", "choice"))
        return s_refuse(record, "class", "choice", error);
    if (!rmt_record_name_is_valid(role) || s_find_choice(self, role))
        return s_refuse(record, "role", "the role of one disk, once", error);
    if (!*disk)
        return s_refuse(record, "disk", "the disk's wwn, serial, path or name", error);
    if (!bytes || bytes > INT64_MAX)
        return s_refuse(record, "bytes", "the size of the disk", error);
    rmt_grow_one(&self->choices, self->choice_count);
    rmt_order_choice_t *choice = &self->choices[self->choice_count++];
    *choice = (rmt_order_choice_t){
        .disk = s_copy(disk),
        .name = s_copy(rmt_record_text(record, "name", "")),
        .bytes = bytes,
    };
    strcpy(choice->role, role);
    return 0;
}

// Whether a field makes the copy a computer of its own.
static bool
s_is_personal(const char *field)
{
    char role[RMT_ROLE_MAX + 1];
    const char *own = NULL;
    return strcmp(field, "name") == 0 || strcmp(field, "hostname") == 0 ||
           strcmp(field, "cloud-init") == 0 ||
           (rmt_network_part(field, role, &own) && rmt_network_is_field(own));
}

static int
s_compare_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

// A record of class target with the personal fields that have a value, by their names.
// Caller owns.
static rmt_record_t *
s_personal(const rmt_record_t *target, const char *without)
{
    rmt_record_t *own = rmt_record_new();
    rmt_record_set(own, "class", "target");
    const size_t count = rmt_record_count(target);
    rmt_auto_ptr names = calloc(count + 1, sizeof(char *));
    if (!names)
        abort();
    const char **name = names;
    for (size_t i = 0; i < count; i++)
        name[i] = rmt_record_name_at(target, i);
    qsort(names, count, sizeof *name, s_compare_name);
    for (size_t i = 0; i < count; i++) {
        const char *value = rmt_record_text(target, name[i], "");
        if (*value && s_is_personal(name[i]) &&
            !(without && strcmp(name[i], without) == 0))
            rmt_record_set(own, name[i], value);
    }
    return own;
}

void
rmt_order_personal_id(const rmt_record_t *target, const char *without, rmt_id_t *id_out)
{
    assert(target && id_out);
    rmt_auto(rmt_records) one = rmt_records_new();
    rmt_record_t *own = s_personal(target, without);
    rmt_records_append(one, &own);
    rmt_auto_str line = rmt_facts_print(one);
    rmt_id_compute(id_out, line, strlen(line));
}

int
rmt_order_add_personal(rmt_order_t *self, const char *class, const rmt_record_t *record,
                       rmt_error_t *error)
{
    rmt_auto(rmt_record) copy =
        strcmp(class, "target") == 0 ? s_personal(record, NULL) : rmt_record_dup(record);
    rmt_record_set(copy, "part", "personal");
    rmt_record_set(copy, "class", class);
    if (!s_is(copy, "class", "target") && !s_is(copy, "class", "script"))
        return s_refuse(copy, "class", "target or script", error);
    rmt_network_t network;
    if (s_is(copy, "class", "target") && rmt_network_parse(record, &network, error) == -1)
        return rmt_wrap(error, "the order's target");
    rmt_records_append(self->personal, &copy);
    return 0;
}

static int
s_read_record(rmt_order_t *self, const rmt_record_t *record, rmt_error_t *error)
{
    if (s_is(record, "part", "order"))
        return s_read_head(self, record, error);
    if (s_is(record, "part", "choice"))
        return rmt_order_add_choice(self, record, error);
    if (!s_is(record, "part", "personal"))
        return 0;
    return rmt_order_add_personal(self, rmt_record_text(record, "class", ""), record,
                                  error);
}

// The layout is read by its own door, which looks at records of its part.
static int
s_read_layout(rmt_order_t *self, const rmt_records_t *records, rmt_error_t *error)
{
    rmt_auto(rmt_records) layout = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(records); i++) {
        rmt_auto(rmt_record) copy = rmt_record_dup(rmt_records_at(records, i));
        if (s_is(copy, "part", "layout"))
            rmt_records_append(layout, &copy);
    }
    rmt_layout_destroy(&self->layout);
    self->layout = rmt_layout_read(layout, error);
    return self->layout ? 0 : -1;
}

static int
s_check(const rmt_order_t *self, rmt_error_t *error)
{
    if (!self->target)
        return rmt_fail(error, RMT_E_USAGE,
                        "the order has no record of class order, so it names no image");
    if (!*self->target)
        return rmt_fail(error, RMT_E_USAGE,
                        "the order names no target; it must name the machine that it is "
                        "for");
    if (self->layout->disk_count == 0)
        return rmt_fail(error, RMT_E_USAGE,
                        "the order's layout has no disk; give the image one");
    for (size_t i = 0; i < self->layout->disk_count; i++)
        if (!s_find_choice(self, self->layout->disks[i].role))
            return rmt_fail(error, RMT_E_USAGE,
                            "the order chooses no disk for role '%s'; match the target "
                            "again",
                            self->layout->disks[i].role);
    for (size_t i = 0; i < self->choice_count; i++)
        if (!rmt_layout_find_disk(self->layout, self->choices[i].role))
            return rmt_fail(error, RMT_E_USAGE,
                            "the order chooses a disk for role '%s', which its layout "
                            "does not have",
                            self->choices[i].role);
    return 0;
}

rmt_order_t *
rmt_order_read(const rmt_records_t *records, rmt_error_t *error)
{
    assert(records);
    rmt_auto(rmt_order) self = s_new();
    for (size_t i = 0; i < rmt_records_count(records); i++)
        if (s_read_record(self, rmt_records_at(records, i), error) == -1)
            return NULL;
    if (s_read_layout(self, records, error) == -1 || s_check(self, error) == -1)
        return NULL;
    return rmt_take(&self);
}

// ---- Writing

static void
s_write_choice(const rmt_order_choice_t *choice, rmt_record_t *record)
{
    rmt_record_set(record, "part", "choice");
    rmt_record_set(record, "class", "choice");
    rmt_record_set(record, "role", choice->role);
    rmt_record_set(record, "disk", choice->disk);
    rmt_record_set(record, "name", choice->name);
    rmt_record_set_u64(record, "bytes", choice->bytes);
}

static void
s_write_layout(const rmt_layout_t *layout, bool with_volumes, rmt_records_t *records)
{
    rmt_auto(rmt_records) all = rmt_records_new();
    rmt_layout_write(layout, all);
    for (size_t i = 0; i < rmt_records_count(all); i++) {
        if (!with_volumes && s_is(rmt_records_at(all, i), "class", "volume"))
            continue;
        rmt_record_t *copy = rmt_record_dup(rmt_records_at(all, i));
        rmt_record_set(copy, "part", "layout");
        rmt_records_append(records, &copy);
    }
}

int
rmt_order_complete(rmt_order_t *self, rmt_layout_t **layout_p, rmt_error_t *error)
{
    rmt_auto(rmt_layout) layout = rmt_take(layout_p);
    rmt_auto(rmt_records) wanted = rmt_records_new();
    rmt_auto(rmt_records) ordered = rmt_records_new();
    s_write_layout(layout, !self->is_short, wanted);
    s_write_layout(self->layout, true, ordered);
    rmt_auto_str wanted_text = rmt_facts_print(wanted);
    rmt_auto_str ordered_text = rmt_facts_print(ordered);
    if (strcmp(wanted_text, ordered_text) != 0)
        return rmt_fail(error, RMT_E_NOT_ALLOWED,
                        "the order has another layout than the image, so a volume or "
                        "a manifest was exchanged");
    rmt_layout_destroy(&self->layout);
    self->layout = rmt_take(&layout);
    return 0;
}

rmt_records_t *
rmt_order_write(const rmt_order_t *self, rmt_error_t *error)
{
    assert(self);
    char image[RMT_ID_TEXT_SIZE];
    if (s_check(self, error) == -1 || rmt_layout_check(self->layout, error) == -1)
        return NULL;
    rmt_records_t *records = rmt_records_new();
    rmt_record_t *head = rmt_records_add(records);
    rmt_record_set(head, "part", "order");
    rmt_record_set(head, "class", "order");
    rmt_record_set(head, "image", rmt_id_text(&self->image, image));
    rmt_record_set(head, "target", self->target);
    rmt_record_set(head, "place", self->place);
    for (size_t i = 0; i < self->choice_count; i++)
        s_write_choice(&self->choices[i], rmt_records_add(records));
    if (self->is_short)
        rmt_record_set(head, "volumes", "image");
    s_write_layout(self->layout, !self->is_short, records);
    for (size_t i = 0; i < rmt_records_count(self->personal); i++) {
        rmt_record_t *copy = rmt_record_dup(rmt_records_at(self->personal, i));
        rmt_records_append(records, &copy);
    }
    return records;
}

// ---- The order of writing

// Subvolumes come first, each behind the one that holds it; then the others by mount
// point.
static int
s_compare_volume(const void *a, const void *b)
{
    const rmt_layout_volume_t *one = *(const rmt_layout_volume_t *const *) a;
    const rmt_layout_volume_t *two = *(const rmt_layout_volume_t *const *) b;
    if (!one->subvolume != !two->subvolume)
        return one->subvolume ? -1 : 1;
    if (!one->subvolume)
        return strcmp(one->mount ? one->mount : "~", two->mount ? two->mount : "~");
    if (one->disk != two->disk)
        return one->disk < two->disk ? -1 : 1;
    if (one->partition != two->partition)
        return one->partition < two->partition ? -1 : 1;
    return strcmp(one->subvolume, two->subvolume);
}

const rmt_layout_volume_t **
rmt_order_volumes(const rmt_layout_t *layout)
{
    const rmt_layout_volume_t **volumes =
        calloc(layout->volume_count + 1, sizeof *volumes);
    if (!volumes)
        abort();
    for (size_t i = 0; i < layout->volume_count; i++)
        volumes[i] = &layout->volumes[i];
    qsort(volumes, layout->volume_count, sizeof *volumes, s_compare_volume);
    return volumes;
}
