#include "console/audit_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "crypto/rmt_chain_walk.h"

#define WHOLE "whole"

typedef struct {
    const char *path;
    uint64_t n; // Of its first line
    char key[RMT_SIGN_PUBLIC_TEXT_SIZE];
} part_t;

typedef struct {
    rmt_chain_walk_t walk;
    const char *key;
    const rmt_record_t *head; // What the farm says of it; NULL: the key is not the farm's
    uint64_t first;
    char *fault;               // The first one; NULL: none
    rmt_chain_walk_place_t at; // Of the last line
} chain_t;

// ---- Lines of a file

typedef struct {
    FILE *file;
    const char *path;
    char *text;
    size_t space;
    uint64_t number;
} lines_t;

static void
s_close(lines_t *self)
{
    if (self->file)
        (void) fclose(self->file);
    free(self->text);
}

#define AUTO_LINES __attribute__((cleanup(s_close))) lines_t

static int
s_open(lines_t *self, const char *path, rmt_error_t *error)
{
    self->path = path;
    self->file = fopen(path, "re");
    return self->file ? 0 : rmt_fail_errno(error, "open %s", path);
}

// The size of the next line in text; 0 at the end; -1: IO, CORRUPT.
static ssize_t
s_next(lines_t *self, rmt_error_t *error)
{
    const ssize_t size = getline(&self->text, &self->space, self->file);
    if (size == -1)
        return ferror(self->file) ? rmt_fail_errno(error, "read %s", self->path) : 0;
    self->number++;
    return size;
}

// ---- One chain

static void
s_say(chain_t *chain, char *text)
{
    if (chain->fault)
        free(text);
    else
        chain->fault = text;
}

static void
s_judge_mark(chain_t *chain, const rmt_chain_line_t *line, const char *text)
{
    char key[RMT_SIGN_PUBLIC_TEXT_SIZE];
    rmt_sign_key_text(&line->key, key);
    const rmt_chain_walk_place_t at = chain->at;
    if (!chain->head || strcmp(key, chain->key) != 0)
        s_say(chain, rmt_text("%s:%" PRIu64 ": record %" PRIu64 " is signed by the key "
                              "%s, which is not that of a broker of this farm",
                              at.file, at.line, line->at.n, key));
    else if (strcmp(line->mark, "cut") == 0)
        s_say(chain, rmt_text("%s:%" PRIu64 ": the broker found here that lines were "
                              "gone: %.400s",
                              at.file, at.line, text));
}

// Where the farm knows the link, the file must have it.
static void
s_judge_link(chain_t *chain, const rmt_chain_line_t *line)
{
    char link[RMT_CHAIN_LINK_TEXT_SIZE];
    const char *known = chain->head ? rmt_record_text(chain->head, "link", "") : "";
    if (!*known || rmt_record_u64(chain->head, "n", 0) != line->at.n)
        return;
    if (strcmp(rmt_chain_link_text(line->at.link, link), known) != 0)
        s_say(chain,
              rmt_text("%s:%" PRIu64 ": record %" PRIu64 " is not the one that the "
                       "broker has written: the files were written again",
                       chain->at.file, chain->at.line, line->at.n));
}

static int
s_walk(chain_t *chain, const part_t *part, rmt_error_t *error)
{
    AUTO_LINES lines = {0};
    if (s_open(&lines, part->path, error) == -1)
        return -1;
    ssize_t size;
    while ((size = s_next(&lines, error)) > 0) {
        rmt_chain_line_t line;
        const rmt_chain_walk_place_t place = {part->path, lines.number};
        if (!rmt_chain_walk_step(&chain->walk, place, lines.text, (size_t) size, &line))
            continue;
        chain->at = place;
        if (*line.mark)
            s_judge_mark(chain, &line, lines.text);
        s_judge_link(chain, &line);
    }
    return (int) size;
}

// What is said when all lines have been read.
static void
s_judge_end(chain_t *chain)
{
    const rmt_chain_walk_t *walk = &chain->walk;
    char *text = rmt_chain_walk_text(walk);
    if (text)
        s_say(chain, text); // What the marks say comes before it
    else if (walk->signed_n != walk->at.n)
        s_say(chain, rmt_text("%s:%" PRIu64 ": the records behind %" PRIu64 " are not "
                              "signed: the end was cut off, or the broker still writes; "
                              "ramet audit export FILE gives a signed one",
                              chain->at.file, chain->at.line, walk->signed_n));
}

// ---- All files

static int
s_begin(part_t *part, const char *path, rmt_error_t *error)
{
    AUTO_LINES lines = {0};
    if (s_open(&lines, path, error) == -1)
        return -1;
    const ssize_t size = s_next(&lines, error);
    if (size < 0)
        return -1;
    rmt_chain_line_t line;
    *part = (part_t){.path = path};
    if (rmt_chain_read(&line, size > 0 ? lines.text : "", (size_t) size, error) == -1 ||
        !*line.mark)
        return rmt_fail(
            error, RMT_E_CORRUPT,
            "%s:1: the first line is not a mark, with which an audit file begins: it was "
            "edited, or this is another kind of file",
            path);
    part->n = line.at.n;
    rmt_sign_key_text(&line.key, part->key);
    return 0;
}

static int
s_compare(const void *a, const void *b)
{
    const part_t *one = a, *other = b;
    const int keys = strcmp(one->key, other->key);
    return keys ? keys : (one->n > other->n) - (one->n < other->n);
}

static int
s_check_chain(const part_t *parts, size_t count, const rmt_records_t *heads,
              rmt_records_t *found, rmt_error_t *error)
{
    chain_t chain = {.key = parts->key,
                     .head = rmt_records_find(heads, "key", parts->key),
                     .first = parts->n};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = s_walk(&chain, &parts[i], error);
    if (rc == 0) {
        s_judge_end(&chain);
        rmt_record_t *item = rmt_records_add(found);
        rmt_record_set(item, "key", chain.key);
        rmt_record_set_u64(item, "first", chain.first);
        rmt_record_set_u64(item, "n", chain.walk.at.n);
        rmt_record_set_u64(item, "records", chain.walk.lines - chain.walk.marks);
        rmt_record_set(item, "state", chain.fault ? chain.fault : WHOLE);
    }
    free(chain.fault);
    return rc;
}

rmt_records_t *
audit_check(char *const *paths, size_t count, const rmt_records_t *heads,
            rmt_error_t *error)
{
    rmt_auto_ptr memory = calloc(count + 1, sizeof(part_t));
    rmt_auto(rmt_records) found = rmt_records_new();
    part_t *parts = memory;
    for (size_t i = 0; i < count; i++)
        if (s_begin(&parts[i], paths[i], error) == -1)
            return NULL;
    qsort(parts, count, sizeof *parts, s_compare);
    for (size_t first = 0, next; first < count; first = next) {
        next = first + 1;
        while (next < count && strcmp(parts[next].key, parts[first].key) == 0)
            next++;
        if (s_check_chain(parts + first, next - first, heads, found, error) == -1)
            return NULL;
    }
    return rmt_take(&found);
}
