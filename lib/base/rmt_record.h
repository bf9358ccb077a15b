// rmt_record - an ordered list of named values: the one shape for facts.
//
// Hardware, disk layouts, OS configuration, records of machines, bodies and
// outputs of tasks, requests and answers are records. Names are
// [a-z0-9][a-z0-9._-]*, values are bytes; a NUL that is not counted follows
// each value in memory, so text can be used as it is. Setting a name again
// replaces its value and keeps its place.
//
// rmt_records is a growing list that owns its records. Both are CLASS objects of
// one thread; neither can fail but by misuse (assert).
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RMT_RECORD_NAME_MAX 63

typedef struct rmt_record rmt_record_t;
typedef struct rmt_records rmt_records_t;

rmt_record_t *rmt_record_new(void);
// One that will hold so many fields with so many bytes of names and values together: up
// to that they cost no allocation. It may still grow beyond.
rmt_record_t *rmt_record_new_sized(size_t fields, size_t bytes);
rmt_record_t *rmt_record_dup(const rmt_record_t *self);
void rmt_record_destroy(rmt_record_t **self_p);

// True for a name that rmt_record_put takes; foreign names are asked first.
bool rmt_record_name_is_valid(const char *name);

void rmt_record_put(rmt_record_t *self, const char *name, const void *data, size_t size);
// For foreign fields: false, and nothing is done, when the name is not valid or taken.
bool rmt_record_add(rmt_record_t *self, const char *name, const void *data, size_t size);
void rmt_record_set(rmt_record_t *self, const char *name, const char *text);
void rmt_record_setf(rmt_record_t *self, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void rmt_record_set_u64(rmt_record_t *self, const char *name, uint64_t number);
void rmt_record_remove(rmt_record_t *self, const char *name);
// Set every field of other here.
void rmt_record_merge(rmt_record_t *self, const rmt_record_t *other);

// The value's bytes, or NULL when there is no such field. Valid until the field
// changes. Text is a value without a NUL byte in it: rmt_record_text gives
// missing for those and for no field.
const void *rmt_record_get(const rmt_record_t *self, const char *name, size_t *size_out);
const char *rmt_record_text(const rmt_record_t *self, const char *name,
                            const char *missing);
// Decimal text as a number; `missing` when there is none or it is no number.
uint64_t rmt_record_u64(const rmt_record_t *self, const char *name, uint64_t missing);
bool rmt_record_has(const rmt_record_t *self, const char *name);
// Is the value this very text? Also false for no field.
bool rmt_record_is(const rmt_record_t *self, const char *name, const char *text);
// Is the flag set, which is written as "yes"?
bool rmt_record_flag(const rmt_record_t *self, const char *name);
// Same fields, same values, in any order.
bool rmt_record_equal(const rmt_record_t *self, const rmt_record_t *other);

size_t rmt_record_count(const rmt_record_t *self);
const char *rmt_record_name_at(const rmt_record_t *self, size_t index);
const void *rmt_record_value_at(const rmt_record_t *self, size_t index, size_t *size_out);

rmt_records_t *rmt_records_new(void);
rmt_records_t *rmt_records_dup(const rmt_records_t *self);
void rmt_records_destroy(rmt_records_t **self_p);
// Takes *record_p and nulls it. Returns the record, still owned by the list.
rmt_record_t *rmt_records_append(rmt_records_t *self, rmt_record_t **record_p);
// Append an empty record and return it.
rmt_record_t *rmt_records_add(rmt_records_t *self);
size_t rmt_records_count(const rmt_records_t *self);
rmt_record_t *rmt_records_at(const rmt_records_t *self, size_t index);
// The first record whose field `name` is `text`, or NULL.
rmt_record_t *rmt_records_find(const rmt_records_t *self, const char *name,
                               const char *text);
