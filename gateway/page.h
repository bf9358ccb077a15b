// page - the files that a browser gets: a table of names, read when the gateway starts.
#pragma once

#include "gateway/web.h"

typedef struct page page_t;

// Read the files of the table from the folder. Caller owns the result. NULL: not all are
// there.
page_t *page_new(const char *folder);
void page_destroy(page_t **self_p);

typedef struct {
    const char *type;     // NULL: the page has no such path
    web_answer_t *answer; // NULL: self is
} page_file_t;

// Valid as long as self, which may be NULL.
page_file_t page_find(const page_t *self, const char *path);
