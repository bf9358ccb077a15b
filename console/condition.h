// condition - which records a user means: the grammar of --targets and --filter.
//
// A choice is one or more parts, with blanks or lines between; a record is meant when one
// part means it. A part is words with commas between: names, such as web or
// r12-n[01-40], and conditions, such as rack=r12. A record is meant by a part when it has
// one of the names, if there are any, and meets all conditions:
//
//     FIELD=VALUE  FIELD!=VALUE  FIELD=(VALUE,VALUE)  FIELD in (VALUE,VALUE)
//     FIELD<VALUE  FIELD<=VALUE  FIELD>VALUE  FIELD>=VALUE
//
// VALUE may have a range, as in pos=[1-4]. Of a field that is a list with commas, such as
// tags, one word has to be the value. The last four compare numbers, sizes (10GiB)
// and times (2026-11-30, or 2h for so long ago; an earlier time is less).
#pragma once

#include "base/rmt_error.h"
#include "base/rmt_record.h"

// The words of a choice, a record each: part (a number), word (as written), and either
// name, or field, operator (=, !=, <, <=, >, >=) and value. Times without a Z are local,
// with utc UTC. Caller owns. NULL: USAGE for a word that is none.
rmt_records_t *condition_parse(const char *text, bool utc, rmt_error_t *error);

// Does a record meet the condition of one such word? False for the word of a name.
bool condition_is_met(const rmt_record_t *word, const rmt_record_t *record);

// Does the choice mean a record? A name is compared with the record's field "name".
bool condition_means(const rmt_records_t *words, const rmt_record_t *record);

// Refuse a field that no item has and that is none of columns (NULL: none), which end
// with NULL: a mistyped name would mean nothing, or with != all, silently. Of an empty
// list nothing is known. 0, or -1: USAGE.
int condition_need_field(const rmt_records_t *items, const char *const *columns,
                         const char *name, rmt_error_t *error);
