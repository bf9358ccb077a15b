// field - what the fields of records are, for people and for JSON.
#pragma once

#include "base/rmt_record.h"

typedef enum {
    FIELD_TEXT,
    FIELD_NUMBER,
    FIELD_BYTES,  // Shown as a size
    FIELD_TIME,   // Milliseconds since 1970
    FIELD_FLAG,   // yes or no; true or false in JSON
    FIELD_PACKED, // A list of records
    FIELD_INNER,  // By which the broker keeps its books: never shown
} field_kind_t;

field_kind_t field_kind(const char *name);

// A time as a list shows it ("3h ago") or with its date ("2026-11-30 10:00:00").
typedef enum { FIELD_AGE, FIELD_DATE, FIELD_DATE_AND_AGE } field_time_t;

// The text of a field for people: sizes, times, names in place of ids, the name of a
// code. Characters of UTF-8 are drawn; control characters, and what is no UTF-8, are
// digits
// (\xNN). Caller owns; NULL when the record has no such field, or it is empty.
char *field_text(const rmt_record_t *record, const char *name, field_time_t time,
                 bool utc);

// Foreign text as a terminal may have it, as above. Caller owns.
char *field_safe(const void *data, size_t size);

// Does another field say the same for people: a name where this one is an id?
bool field_is_said_better(const rmt_record_t *record, const char *name);

// A byte count for people, "1.4 GiB". Returns out.
char *field_bytes(unsigned long long bytes, char out[16]);
