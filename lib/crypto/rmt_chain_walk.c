#include "crypto/rmt_chain_walk.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

static bool
s_fail(rmt_chain_walk_t *self, rmt_chain_walk_fault_t fault, rmt_chain_walk_place_t place,
       uint64_t n, uint64_t last)
{
    self->fault = fault;
    self->place = place;
    self->n = n;
    self->last = last;
    return false;
}

// Does a line that comes behind the fault tell more of it?
static void
s_look_on(rmt_chain_walk_t *self, rmt_chain_walk_place_t place,
          const rmt_chain_line_t *line, const char *text)
{
    const uint64_t n = line->at.n;
    if (self->fault == RMT_CHAIN_WALK_MISSING && n >= self->n && n <= self->last) {
        self->fault = RMT_CHAIN_WALK_MOVED;
        self->n = n;
        self->other = place;
    } else if (self->fault == RMT_CHAIN_WALK_CHANGED && n == self->n &&
               rmt_chain_holds(self->at.link, line, text)) {
        self->fault = RMT_CHAIN_WALK_INSERTED;
        self->other = place;
    }
}

static bool
s_judge(rmt_chain_walk_t *self, rmt_chain_walk_place_t place,
        const rmt_chain_line_t *line, const char *text)
{
    const uint64_t n = line->at.n, wanted = self->at.n + 1;
    if (n > wanted)
        return s_fail(self, RMT_CHAIN_WALK_MISSING, place, wanted, n - 1);
    if (n < wanted)
        return s_fail(self, RMT_CHAIN_WALK_INSERTED, place, n, n);
    if (!rmt_chain_holds(self->at.link, line, text) ||
        (*line->mark && memcmp(line->prev, self->at.link, sizeof line->prev) != 0))
        return s_fail(self, RMT_CHAIN_WALK_CHANGED, place, n, n);
    if (*line->mark && !rmt_chain_is_signed(line))
        return s_fail(self, RMT_CHAIN_WALK_UNSIGNED, place, n, n);
    return true;
}

bool
rmt_chain_walk_step(rmt_chain_walk_t *self, rmt_chain_walk_place_t place,
                    const char *text, size_t size, rmt_chain_line_t *line_out)
{
    assert(self && text && line_out);
    rmt_error_t error = {0};
    rmt_chain_line_t line;
    const bool is_read = rmt_chain_read(&line, text, size, &error) == 0;
    if (self->fault != RMT_CHAIN_WALK_WHOLE) {
        if (is_read)
            s_look_on(self, place, &line, text);
        return false;
    }
    if (!is_read)
        return s_fail(self, RMT_CHAIN_WALK_STRANGE, place, self->at.n + 1,
                      self->at.n + 1);
    if (self->lines == 0) {
        if (!*line.mark)
            return s_fail(self, RMT_CHAIN_WALK_HEADLESS, place, line.at.n, line.at.n);
        self->at.n = line.at.n - 1;
        memcpy(self->at.link, line.prev, sizeof line.prev);
    }
    if (!s_judge(self, place, &line, text))
        return false;
    self->at = line.at;
    self->lines++;
    if (*line.mark) {
        self->marks++;
        self->signed_n = line.at.n;
    }
    *line_out = line;
    return true;
}

static const char *const s_words[] = {
    [RMT_CHAIN_WALK_STRANGE] = "the text is not a line of an audit file: it was edited",
    [RMT_CHAIN_WALK_HEADLESS] =
        "the first line is not a mark, so nothing shows what was before it",
    [RMT_CHAIN_WALK_CHANGED] =
        "its link does not fit: it was edited, or the record before it",
    [RMT_CHAIN_WALK_UNSIGNED] =
        "the mark has no true signature: it was edited or made by others",
};

char *
rmt_chain_walk_text(const rmt_chain_walk_t *self)
{
    assert(self);
    const char *file = self->place.file;
    const uint64_t line = self->place.line;
    switch (self->fault) {
    case RMT_CHAIN_WALK_WHOLE:
        return NULL;
    case RMT_CHAIN_WALK_MISSING:
        return rmt_text("%s:%" PRIu64 ": the records %" PRIu64 " to %" PRIu64
                        " were cut out before this one",
                        file, line, self->n, self->last);
    case RMT_CHAIN_WALK_MOVED:
        return rmt_text("%s:%" PRIu64 ": record %" PRIu64 " is missing here and is "
                        "at %s:%" PRIu64 ": the records were reordered",
                        file, line, self->n, self->other.file, self->other.line);
    case RMT_CHAIN_WALK_INSERTED:
        if (self->other.line)
            return rmt_text("%s:%" PRIu64 ": record %" PRIu64 " was inserted: the true "
                            "one is at %s:%" PRIu64,
                            file, line, self->n, self->other.file, self->other.line);
        return rmt_text("%s:%" PRIu64 ": record %" PRIu64 " was inserted: it is "
                        "behind a record with a higher or the same number",
                        file, line, self->n);
    case RMT_CHAIN_WALK_STRANGE:
    case RMT_CHAIN_WALK_HEADLESS:
    case RMT_CHAIN_WALK_CHANGED:
    case RMT_CHAIN_WALK_UNSIGNED:
        break;
    }
    return rmt_text("%s:%" PRIu64 ": record %" PRIu64 ": %s", file, line, self->n,
                    s_words[self->fault]);
}
