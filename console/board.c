#include "console/board.h"
#include "console/field.h"
#include "console/fit.h"
#include "console/fold.h"
#include "console/moment.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BAR_WIDTH 20
#define NAMES_SIZE 60 // Of the machines of one reason
#define SLOWEST_MAX 3 // Lines of them below the sums
#define RATE_MS 10000 // The time over which a rate is taken
#define SAMPLES 16
#define ROWS_MIN 6
#define DRAW_MS 100 // At least between two frames

typedef struct {
    int64_t at_ms;
    uint64_t bytes;
} sample_t;

struct board {
    char *job, *stuck;
    rmt_records_t *lines; // {name, phase, state, done, total, text, stuck, said}
    bool is_live, is_quiet;
    size_t drawn; // Lines of the frame on the terminal
    struct winsize size;
    int64_t started_ms, drawn_ms;
    sample_t samples[SAMPLES]; // Of the bytes that all have done, a ring
    size_t sample_count;
    uint64_t gone_bytes; // Of phases that are over
};

// Phases whose progress is counted in bytes; of all others it is a number of files or
// steps.
static const char *const s_byte_phases[] = {"unpack", "fetch",   "check", "package",
                                            "seal",   "capture", "commit"};
static const char *const s_ends[] = {"done", "failed", "cancelled", "gone"};
#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool
s_is_in(const char *word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(words[i], word) == 0)
            return true;
    }
    return false;
}

static bool
s_has_ended(const rmt_record_t *line)
{
    return s_is_in(rmt_record_text(line, "state", ""), s_ends, COUNT(s_ends));
}

static bool
s_is_bytes(const rmt_record_t *line)
{
    return s_is_in(rmt_record_text(line, "phase", ""), s_byte_phases,
                   COUNT(s_byte_phases));
}

board_t *
board_new(const char *job, bool quiet)
{
    board_t *self = calloc(1, sizeof *self);
    assert(self);
    const char *terminal = getenv("TERM");
    self->job = strdup(job);
    self->stuck = strdup("");
    self->lines = rmt_records_new();
    self->is_quiet = quiet;
    self->is_live = isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb") != 0;
    self->started_ms = rmt_clock_ms();
    fit_use_utf8();
    return self;
}

void
board_destroy(board_t **self_p)
{
    board_t *self = *self_p;
    if (!self)
        return;
    rmt_records_destroy(&self->lines);
    free(self->job);
    free(self->stuck);
    free(self);
    *self_p = NULL;
}

// ---- Without a terminal

static void
s_say(board_t *self, rmt_record_t *line)
{
    const char *phase = rmt_record_text(line, "phase", "");
    const char *stuck = rmt_record_text(line, "stuck", "");
    rmt_auto_str news = rmt_text("%s%s", phase, stuck);
    if (self->is_live || self->is_quiet || rmt_record_is(line, "said", news))
        return;
    rmt_record_set(line, "said", news);
    const char *text = *stuck ? stuck : rmt_record_text(line, "text", "");
    fprintf(stderr, "%6.1fs  %-20s %-20s %s\n",
            (double) (rmt_clock_ms() - self->started_ms) / 1000,
            rmt_record_text(line, "name", "?"), phase, text);
}

// What other computers tell is made safe for the terminal when it comes.
static void
s_set_safe(rmt_record_t *line, const char *field, const char *text)
{
    rmt_auto_str safe = field_safe(text, strlen(text));
    rmt_record_set(line, field, safe);
}

void
board_update(board_t *self, const char *name, const rmt_record_t *news)
{
    rmt_record_t *line = rmt_records_find(self->lines, "name", name);
    if (!line) {
        line = rmt_records_add(self->lines);
        rmt_record_set(line, "name", name);
    }
    const char *told = rmt_record_text(news, "phase", "");
    rmt_auto_str phase = field_safe(told, strlen(told));
    if (!rmt_record_is(line, "phase", phase)) {
        rmt_record_set_u64(line, "since", (uint64_t) rmt_clock_ms());
        if (s_is_bytes(line))
            self->gone_bytes += rmt_record_u64(line, "done", 0);
    }
    static const char *const fields[] = {"phase", "done", "total", "text", "stuck"};
    for (size_t i = 0; i < COUNT(fields); i++)
        s_set_safe(line, fields[i], rmt_record_text(news, fields[i], ""));
    if (rmt_record_is(line, "state", "gone"))
        rmt_record_set(line, "state", ""); // A task that is tried again
    if (rmt_record_has(news, "state"))
        rmt_record_set(line, "state", rmt_record_text(news, "state", ""));
    const char *why = rmt_record_text(news, "error", "");
    if (*why)
        s_set_safe(line, "text", why);
    s_say(self, line);
}

void
board_drop(board_t *self, const char *name)
{
    rmt_record_t *line = rmt_records_find(self->lines, "name", name);
    if (line)
        rmt_record_set(line, "state", "gone");
}

void
board_set_stuck(board_t *self, const char *stuck)
{
    bool is_shown = self->is_live && !self->is_quiet;
    for (size_t i = 0; !self->is_quiet && i < rmt_records_count(self->lines); i++)
        is_shown |= *rmt_record_text(rmt_records_at(self->lines, i), "stuck", "") != 0;
    char *safe = field_safe(stuck, strlen(stuck));
    const bool is_news = strcmp(self->stuck, safe) != 0;
    free(self->stuck);
    self->stuck = safe;
    if (is_news && *safe && !is_shown)
        fprintf(stderr, "stuck: %s\n", safe);
}

// ---- A frame

// Lines of text. Growing, owned.
typedef struct {
    char **lines;
    size_t count, room;
} frame_t;

static void
s_put(frame_t *frame, char *line)
{
    if (frame->count == frame->room) {
        frame->room = frame->room * 2 + 16;
        frame->lines = realloc(frame->lines, frame->room * sizeof *frame->lines);
        assert(frame->lines);
    }
    frame->lines[frame->count++] = line;
}

// "[####....]  45% 1.2 GiB of 2.6 GiB" Caller owns.
static char *
s_bar(uint64_t done, uint64_t total, bool is_bytes)
{
    char bar[BAR_WIDTH + 1], had[16], wanted[16];
    if (!total)
        return strdup("");
    const double part = done < total ? (double) done / (double) total : 1;
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t) (part * BAR_WIDTH));
    bar[BAR_WIDTH] = '\0';
    if (is_bytes)
        return rmt_text("[%s] %3.0f%% %s of %s", bar, 100 * part, field_bytes(done, had),
                        field_bytes(total, wanted));
    return rmt_text("[%s] %3.0f%% %" PRIu64 " of %" PRIu64, bar, 100 * part, done, total);
}

static char *
s_line_text(const rmt_record_t *line)
{
    const char *stuck = rmt_record_text(line, "stuck", "");
    rmt_auto_str bar = s_bar(rmt_record_u64(line, "done", 0),
                             rmt_record_u64(line, "total", 0), s_is_bytes(line));
    const char *text = *stuck ? stuck : rmt_record_text(line, "text", "");
    return rmt_text("  %-20s %-20s %s%s%s", rmt_record_text(line, "name", "?"),
                    rmt_record_text(line, "phase", ""), *stuck ? "" : bar,
                    *bar && *text && !*stuck ? " " : "", text);
}

// What the targets of one phase have done together.
typedef struct {
    const char *phase;
    size_t count;
    uint64_t done, total;
    bool is_bytes;
} sum_t;

static size_t
s_sum(const board_t *self, sum_t *sums)
{
    size_t count = 0;
    for (size_t i = 0; i < rmt_records_count(self->lines); i++) {
        const rmt_record_t *line = rmt_records_at(self->lines, i);
        if (s_has_ended(line))
            continue;
        const char *phase = rmt_record_text(line, "phase", "");
        size_t at = 0;
        while (at < count && strcmp(sums[at].phase, phase) != 0)
            at++;
        if (at == count)
            sums[count++] = (sum_t){.phase = phase, .is_bytes = s_is_bytes(line)};
        sums[at].count++;
        sums[at].done += rmt_record_u64(line, "done", 0);
        sums[at].total += rmt_record_u64(line, "total", 0);
    }
    return count;
}

// Bytes a second over the last seconds.
static double
s_rate(board_t *self, uint64_t bytes)
{
    const int64_t now = rmt_clock_ms();
    const sample_t *newest = &self->samples[(self->sample_count + SAMPLES - 1) % SAMPLES];
    if (!self->sample_count || now - newest->at_ms >= RATE_MS / SAMPLES)
        self->samples[self->sample_count++ % SAMPLES] = (sample_t){now, bytes};
    const sample_t *oldest = newest;
    for (size_t i = 0; i < SAMPLES && i < self->sample_count; i++) {
        if (now - self->samples[i].at_ms <= RATE_MS + 1000 &&
            self->samples[i].at_ms < oldest->at_ms)
            oldest = &self->samples[i];
    }
    if (!self->sample_count || now <= oldest->at_ms || bytes <= oldest->bytes)
        return 0;
    return (double) (bytes - oldest->bytes) * 1000 / (double) (now - oldest->at_ms);
}

// "120.0 MiB/s, 14s left" of what is moved now. Caller owns.
static char *
s_speed(board_t *self, const sum_t *sums, size_t count)
{
    uint64_t bytes = self->gone_bytes, left = 0;
    for (size_t i = 0; i < count; i++) {
        if (!sums[i].is_bytes)
            continue;
        bytes += sums[i].done;
        left += sums[i].total > sums[i].done ? sums[i].total - sums[i].done : 0;
    }
    const double rate = s_rate(self, bytes);
    char amount[16], span[MOMENT_TEXT_SIZE];
    if (rate < 1)
        return strdup("");
    field_bytes((unsigned long long) rate, amount);
    if (!left)
        return rmt_text(", %s/s", amount);
    return rmt_text(", %s/s, %s left", amount,
                    moment_span((int64_t) ((double) left / rate * 1000), span));
}

static size_t
s_count_state(const board_t *self, const char *state)
{
    size_t count = 0;
    for (size_t i = 0; i < rmt_records_count(self->lines); i++)
        count += rmt_record_is(rmt_records_at(self->lines, i), "state", state);
    return count;
}

static size_t
s_count_open(const board_t *self)
{
    size_t count = 0;
    for (size_t i = 0; i < rmt_records_count(self->lines); i++)
        count += !s_has_ended(rmt_records_at(self->lines, i));
    return count;
}

// A task is named by its service, which has an @; a target's name has none.
static size_t
s_count_targets(const board_t *self)
{
    size_t count = 0;
    for (size_t i = 0; i < rmt_records_count(self->lines); i++)
        count +=
            !strchr(rmt_record_text(rmt_records_at(self->lines, i), "name", ""), '@');
    return count;
}

static void
s_put_head(board_t *self, frame_t *frame, const sum_t *sums, size_t count)
{
    char span[MOMENT_TEXT_SIZE];
    moment_span(rmt_clock_ms() - self->started_ms, span);
    rmt_auto_str speed = s_speed(self, sums, count);
    const size_t targets = s_count_targets(self);
    if (targets)
        s_put(frame, rmt_text("job %s: %zu of %zu done, %zu failed, for %s%s", self->job,
                              s_count_state(self, "done"), targets,
                              s_count_state(self, "failed"), span, speed));
    else
        s_put(frame, rmt_text("job %s: for %s%s", self->job, span, speed));
    if (*self->stuck)
        s_put(frame, rmt_text("stuck: %s", self->stuck));
}

static void
s_put_each(const board_t *self, frame_t *frame)
{
    for (size_t i = 0; i < rmt_records_count(self->lines); i++) {
        const rmt_record_t *line = rmt_records_at(self->lines, i);
        if (!s_has_ended(line))
            s_put(frame, s_line_text(line));
    }
}

static double
s_part(const rmt_record_t *line)
{
    const uint64_t total = rmt_record_u64(line, "total", 0);
    return total ? (double) rmt_record_u64(line, "done", 0) / (double) total : 0;
}

// Longest in their phase come first: what waits, and what has done least of it.
static int
s_compare_slow(const void *a_p, const void *b_p)
{
    const rmt_record_t *a = *(const rmt_record_t *const *) a_p;
    const rmt_record_t *b = *(const rmt_record_t *const *) b_p;
    const bool a_waits = *rmt_record_text(a, "stuck", "") != 0;
    const bool b_waits = *rmt_record_text(b, "stuck", "") != 0;
    if (a_waits != b_waits)
        return a_waits ? -1 : 1;
    const uint64_t a_since = rmt_record_u64(a, "since", 0);
    const uint64_t b_since = rmt_record_u64(b, "since", 0);
    if (a_since / 1000 != b_since / 1000)
        return a_since < b_since ? -1 : 1;
    return s_part(a) < s_part(b) ? -1 : s_part(a) > s_part(b);
}

static void
s_put_slowest(const board_t *self, frame_t *frame, size_t most)
{
    const size_t count = rmt_records_count(self->lines);
    rmt_auto_ptr memory = calloc(count + 1, sizeof(rmt_record_t *));
    const rmt_record_t **open = memory;
    assert(open);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (!s_has_ended(rmt_records_at(self->lines, i)))
            open[used++] = rmt_records_at(self->lines, i);
    }
    qsort(open, used, sizeof *open, s_compare_slow);
    if (used && most > 1)
        s_put(frame, strdup("slowest:"));
    for (size_t i = 0; i < used && i + 1 < most && i < SLOWEST_MAX; i++)
        s_put(frame, s_line_text(open[i]));
}

static void
s_put_sums(const board_t *self, frame_t *frame, const sum_t *sums, size_t count,
           size_t rows)
{
    for (size_t i = 0; i < count && frame->count + 1 < rows; i++) {
        rmt_auto_str bar = s_bar(sums[i].done, sums[i].total, sums[i].is_bytes);
        s_put(frame,
              rmt_text("  %-20s %5zu %s", *sums[i].phase ? sums[i].phase : "waiting",
                       sums[i].count, bar));
    }
    if (frame->count < rows)
        s_put_slowest(self, frame, rows - frame->count);
}

static void
s_make_frame(board_t *self, frame_t *frame, size_t rows)
{
    rmt_auto_ptr memory = calloc(rmt_records_count(self->lines) + 1, sizeof(sum_t));
    sum_t *sums = memory;
    assert(sums);
    const size_t count = s_sum(self, sums);
    s_put_head(self, frame, sums, count);
    if (frame->count + s_count_open(self) <= rows)
        s_put_each(self, frame);
    else
        s_put_sums(self, frame, sums, count, rows);
}

// ---- On the terminal

// Back to the first line of the frame. After a change of size it is not known where that
// is, and the whole screen is made empty.
static void
s_go_back(board_t *self, const struct winsize *size)
{
    const bool is_changed = self->drawn && (size->ws_row != self->size.ws_row ||
                                            size->ws_col != self->size.ws_col);
    if (is_changed)
        fputs("\033[H\033[2J", stderr);
    else if (self->drawn)
        fprintf(stderr, "\r\033[%zuA", self->drawn);
    self->size = *size;
}

void
board_draw(board_t *self)
{
    const int64_t now = rmt_clock_ms();
    if (!self->is_live || self->is_quiet || now - self->drawn_ms < DRAW_MS)
        return;
    self->drawn_ms = now;
    struct winsize size = {0};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == -1 || !size.ws_row || !size.ws_col)
        size = (struct winsize){.ws_row = 24, .ws_col = 80};
    const size_t rows = size.ws_row > ROWS_MIN ? (size_t) size.ws_row - 1 : ROWS_MIN;
    frame_t frame = {0};
    s_make_frame(self, &frame, rows);
    s_go_back(self, &size);
    for (size_t i = 0; i < frame.count; i++) {
        // A line that fills its row would wrap on some terminals.
        rmt_auto_str line = fit_cut(frame.lines[i], (size_t) size.ws_col - 1);
        fprintf(stderr, "%s\033[K\n", line);
        free(frame.lines[i]);
    }
    fputs("\033[J", stderr); // Lines of a longer frame before
    fflush(stderr);
    free(frame.lines);
    self->drawn = frame.count;
}

// ---- The end

// The lines that failed for the reason of line `first` are marked as told.
static void
s_tell_reason(const board_t *self, size_t first, bool *told)
{
    const char *why = rmt_record_text(rmt_records_at(self->lines, first), "text", "");
    const size_t count = rmt_records_count(self->lines);
    rmt_auto_ptr memory = calloc(count + 1, sizeof(char *));
    const char **names = memory;
    assert(names);
    size_t used = 0;
    for (size_t i = first; i < count; i++) {
        const rmt_record_t *line = rmt_records_at(self->lines, i);
        if (told[i] || !rmt_record_is(line, "state", "failed") ||
            !rmt_record_is(line, "text", why))
            continue;
        told[i] = true;
        names[used++] = rmt_record_text(line, "name", "?");
    }
    rmt_auto_str folded = fold_names(names, used, NAMES_SIZE);
    if (used > 1)
        fprintf(stderr, "  %zu machines, %s: %s\n", used, folded, why);
    else
        fprintf(stderr, "  %s: %s\n", folded, why);
}

// Make the lines of the frame empty, each by itself: a terminal may keep what is erased
// with a whole screen.
static void
s_take_away(board_t *self)
{
    if (!self->drawn)
        return;
    fprintf(stderr, "\r\033[%zuA", self->drawn);
    for (size_t i = 0; i < self->drawn; i++)
        fputs("\033[K\n", stderr);
    fprintf(stderr, "\r\033[%zuA", self->drawn);
    self->drawn = 0;
}

void
board_end(board_t *self, const char *state, const char *error)
{
    if (self->is_quiet)
        return;
    s_take_away(self);
    rmt_auto_str safe = field_safe(error, strlen(error));
    const size_t count = rmt_records_count(self->lines);
    fprintf(stderr, "job %s: %s%s%s\n", self->job, state, *safe ? ": " : "", safe);
    rmt_auto_ptr memory = calloc(count + 1, sizeof(bool));
    bool *told = memory;
    assert(told);
    const size_t failed = s_count_state(self, "failed");
    for (size_t i = 0; failed && i < count; i++) {
        if (!told[i] && rmt_record_is(rmt_records_at(self->lines, i), "state", "failed"))
            s_tell_reason(self, i, told);
    }
    if (failed)
        fprintf(stderr,
                "see: ramet job show %s\n"
                "try again: ramet job retry %s --failed\n",
                self->job, self->job);
    else if (strcmp(state, "failed") == 0)
        fprintf(stderr, "see: ramet job logs %s\n", self->job);
}
