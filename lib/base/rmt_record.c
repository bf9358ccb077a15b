#include "base/rmt_record.h"
#include "base/rmt_grow.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    char *name; // Name and value stand in one piece of memory
    char *data;
    size_t name_size;
    size_t size;
} field_t;

// Most records are made once and then read, so the memory of fields that are known
// beforehand lies behind the record itself: `own` fields, and a slab for their bytes.
// What comes later, or again with a longer value, has memory of its own.
struct rmt_record {
    field_t *fields;
    size_t count;
    size_t room;
    char *slab, *slab_end;
    char *slab_free;
    field_t own[];
};

struct rmt_records {
    rmt_record_t **items;
    size_t count;
    size_t room;
};

static void *
s_alloc(size_t size)
{
    void *memory = malloc(size);
    if (!memory)
        abort();
    return memory;
}

rmt_record_t *
rmt_record_new_sized(size_t fields, size_t bytes)
{
    const size_t own_size = fields * sizeof(field_t);
    const size_t slab_size = bytes + 2 * fields; // Each name and value ends with a NUL
    rmt_record_t *self = s_alloc(sizeof *self + own_size + slab_size);
    char *slab = (char *) self + sizeof *self + own_size;
    *self = (rmt_record_t){.fields = self->own,
                           .room = fields,
                           .slab = slab,
                           .slab_end = slab + slab_size,
                           .slab_free = slab};
    return self;
}

rmt_record_t *
rmt_record_new(void)
{
    return rmt_record_new_sized(0, 0);
}

rmt_record_t *
rmt_record_dup(const rmt_record_t *self)
{
    size_t bytes = 0;
    for (size_t i = 0; i < self->count; i++)
        bytes += self->fields[i].name_size + self->fields[i].size;
    rmt_record_t *copy = rmt_record_new_sized(self->count, bytes);
    rmt_record_merge(copy, self);
    return copy;
}

static void
s_free_field(rmt_record_t *self, field_t *field)
{
    if (field->name < self->slab || field->name >= self->slab_end)
        free(field->name);
}

void
rmt_record_destroy(rmt_record_t **self_p)
{
    assert(self_p);
    rmt_record_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        s_free_field(self, &self->fields[i]);
    if (self->fields != self->own)
        free(self->fields);
    free(self);
    *self_p = NULL;
}

static bool
s_is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// The length of a name that is valid, else 0.
static size_t
s_name_size(const char *name)
{
    if (!s_is_name_byte(name[0]))
        return 0;
    size_t size = 1;
    while (s_is_name_byte(name[size]) || name[size] == '.' || name[size] == '_' ||
           name[size] == '-')
        size++;
    return name[size] == '\0' && size <= RMT_RECORD_NAME_MAX ? size : 0;
}

bool
rmt_record_name_is_valid(const char *name)
{
    return s_name_size(name) > 0;
}

static field_t *
s_find_sized(const rmt_record_t *self, const char *name, size_t size)
{
    for (size_t i = 0; i < self->count; i++) {
        field_t *field = &self->fields[i];
        if (field->name_size == size && memcmp(field->name, name, size) == 0)
            return field;
    }
    return NULL;
}

static field_t *
s_find(const rmt_record_t *self, const char *name)
{
    return s_find_sized(self, name, strlen(name));
}

static field_t
s_make_field(rmt_record_t *self, const char *name, size_t name_size, const void *data,
             size_t size)
{
    const size_t total = name_size + size + 2;
    char *memory;
    if ((size_t) (self->slab_end - self->slab_free) >= total) {
        memory = self->slab_free;
        self->slab_free += total;
    } else {
        memory = s_alloc(total);
    }
    memcpy(memory, name, name_size + 1);
    char *value = memory + name_size + 1;
    if (size)
        memcpy(value, data, size);
    value[size] = '\0';
    return (field_t){memory, value, name_size, size};
}

static void
s_append(rmt_record_t *self, const field_t *field)
{
    if (self->count == self->room) {
        const bool is_own = self->fields == self->own;
        field_t *grown = is_own ? NULL : self->fields;
        rmt_grow(&grown, &self->room, self->count + 1);
        if (is_own && self->count)
            memcpy(grown, self->own, self->count * sizeof *grown);
        self->fields = grown;
    }
    self->fields[self->count++] = *field;
}

void
rmt_record_put(rmt_record_t *self, const char *name, const void *data, size_t size)
{
    assert(self);
    const size_t name_size = s_name_size(name);
    assert(name_size);
    field_t *old = s_find_sized(self, name, name_size);
    // The value may be one of this record's own, so the old one goes last.
    const field_t field = s_make_field(self, name, name_size, data, size);
    if (old) {
        s_free_field(self, old);
        *old = field;
    } else {
        s_append(self, &field);
    }
}

bool
rmt_record_add(rmt_record_t *self, const char *name, const void *data, size_t size)
{
    assert(self);
    const size_t name_size = s_name_size(name);
    if (!name_size || s_find_sized(self, name, name_size))
        return false;
    const field_t field = s_make_field(self, name, name_size, data, size);
    s_append(self, &field);
    return true;
}

void
rmt_record_set(rmt_record_t *self, const char *name, const char *text)
{
    rmt_record_put(self, name, text, strlen(text));
}

void
rmt_record_setf(rmt_record_t *self, const char *name, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    const int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (size == -1)
        abort();
    rmt_record_put(self, name, text, (size_t) size);
    free(text);
}

void
rmt_record_set_u64(rmt_record_t *self, const char *name, uint64_t number)
{
    rmt_record_setf(self, name, "%" PRIu64, number);
}

void
rmt_record_remove(rmt_record_t *self, const char *name)
{
    field_t *field = s_find(self, name);
    if (!field)
        return;
    s_free_field(self, field);
    const size_t after = self->count - (size_t) (field - self->fields) - 1;
    memmove(field, field + 1, after * sizeof *field);
    self->count--;
}

void
rmt_record_merge(rmt_record_t *self, const rmt_record_t *other)
{
    for (size_t i = 0; i < other->count; i++)
        rmt_record_put(self, other->fields[i].name, other->fields[i].data,
                       other->fields[i].size);
}

const void *
rmt_record_get(const rmt_record_t *self, const char *name, size_t *size_out)
{
    const field_t *field = s_find(self, name);
    if (!field)
        return NULL;
    if (size_out)
        *size_out = field->size;
    return field->data;
}

const char *
rmt_record_text(const rmt_record_t *self, const char *name, const char *missing)
{
    const field_t *field = s_find(self, name);
    return field && strlen(field->data) == field->size ? field->data : missing;
}

uint64_t
rmt_record_u64(const rmt_record_t *self, const char *name, uint64_t missing)
{
    const char *text = rmt_record_text(self, name, "");
    if (!isdigit((unsigned char) text[0]))
        return missing;
    char *end;
    errno = 0;
    const uint64_t number = strtoull(text, &end, 10);
    return *end || errno ? missing : number;
}

bool
rmt_record_has(const rmt_record_t *self, const char *name)
{
    return s_find(self, name) != NULL;
}

bool
rmt_record_is(const rmt_record_t *self, const char *name, const char *text)
{
    const char *value = rmt_record_text(self, name, NULL);
    return value && strcmp(value, text) == 0;
}

bool
rmt_record_flag(const rmt_record_t *self, const char *name)
{
    return rmt_record_is(self, name, "yes");
}

bool
rmt_record_equal(const rmt_record_t *self, const rmt_record_t *other)
{
    if (self->count != other->count)
        return false;
    for (size_t i = 0; i < self->count; i++) {
        const field_t *mine = &self->fields[i];
        const field_t *theirs = s_find(other, mine->name);
        if (!theirs || theirs->size != mine->size ||
            memcmp(theirs->data, mine->data, mine->size) != 0)
            return false;
    }
    return true;
}

size_t
rmt_record_count(const rmt_record_t *self)
{
    return self->count;
}

const char *
rmt_record_name_at(const rmt_record_t *self, size_t index)
{
    assert(index < self->count);
    return self->fields[index].name;
}

const void *
rmt_record_value_at(const rmt_record_t *self, size_t index, size_t *size_out)
{
    assert(index < self->count);
    if (size_out)
        *size_out = self->fields[index].size;
    return self->fields[index].data;
}

rmt_records_t *
rmt_records_new(void)
{
    rmt_records_t *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    return self;
}

rmt_records_t *
rmt_records_dup(const rmt_records_t *self)
{
    rmt_records_t *copy = rmt_records_new();
    for (size_t i = 0; i < self->count; i++) {
        rmt_record_t *record = rmt_record_dup(self->items[i]);
        rmt_records_append(copy, &record);
    }
    return copy;
}

void
rmt_records_destroy(rmt_records_t **self_p)
{
    assert(self_p);
    rmt_records_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        rmt_record_destroy(&self->items[i]);
    free(self->items);
    free(self);
    *self_p = NULL;
}

rmt_record_t *
rmt_records_append(rmt_records_t *self, rmt_record_t **record_p)
{
    assert(*record_p);
    rmt_grow(&self->items, &self->room, self->count + 1);
    rmt_record_t *record = *record_p;
    self->items[self->count++] = record;
    *record_p = NULL;
    return record;
}

rmt_record_t *
rmt_records_add(rmt_records_t *self)
{
    rmt_record_t *record = rmt_record_new();
    return rmt_records_append(self, &record);
}

size_t
rmt_records_count(const rmt_records_t *self)
{
    return self->count;
}

rmt_record_t *
rmt_records_at(const rmt_records_t *self, size_t index)
{
    assert(index < self->count);
    return self->items[index];
}

rmt_record_t *
rmt_records_find(const rmt_records_t *self, const char *name, const char *text)
{
    for (size_t i = 0; i < self->count; i++) {
        const char *value = rmt_record_text(self->items[i], name, NULL);
        if (value && strcmp(value, text) == 0)
            return self->items[i];
    }
    return NULL;
}
