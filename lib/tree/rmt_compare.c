#include "tree/rmt_compare.h"
#include "base/rmt_auto.h"
#include "tree/rmt_contents.h"
#include "tree/rmt_copy.h"
#include "tree/rmt_kernel_words.h"
#include "base/rmt_log.h"
#include "tree/rmt_compare_side.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define THREADS_MAX 16
// Files whose contents are being compared; each has up to two descriptors.
#define CONTENTS_MAX 64
#define WAIT_MS 1000

typedef struct {
    const rmt_compare_options_t *options;
    rmt_compare_side_t *expected, *found;
    rmt_queue_t *queue;
    pthread_t threads[THREADS_MAX];
    size_t thread_count;
    size_t in_flight;
    rmt_compare_report_t report;
} s_compare_t;

static void
s_find(s_compare_t *self, const char *path, const char *what, const char *text,
       rmt_code_t why)
{
    self->report.differences++;
    const rmt_compare_finding_t finding = {path, what, text, why};
    self->options->finding_fn(self->options->context, &finding);
}

static void s_findf(s_compare_t *self, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void
s_findf(s_compare_t *self, const char *what, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    s_find(self, rmt_compare_side_entry(self->expected)->path, what, text, RMT_E_OK);
}

// ---- Contents, in other threads

static void *
s_work(void *argument)
{
    s_compare_t *self = argument;
    rmt_auto_ptr buffer = malloc(RMT_CHUNK_PLAIN_MAX);
    rmt_auto_ptr other = malloc(RMT_CHUNK_PLAIN_MAX);
    assert(buffer && other);
    rmt_chore_t *chore;
    while ((chore = rmt_queue_get(self->queue))) {
        rmt_contents_check((rmt_contents_t *) chore, buffer, other);
        rmt_queue_done(self->queue, chore);
    }
    return NULL;
}

// Take results until so few comparisons are under way.
static void
s_collect(s_compare_t *self, size_t leave)
{
    while (self->in_flight > leave) {
        rmt_chore_t *chore = NULL;
        if (rmt_queue_take(self->queue, WAIT_MS, &chore) != 1) {
            // A large file may take minutes, and the caller is told that this goes on.
            if (self->options->cancelled_fn)
                (void) self->options->cancelled_fn(self->options->context);
            continue;
        }
        rmt_contents_t *contents = (rmt_contents_t *) chore;
        if (contents->is_different)
            s_find(self, contents->path, "content", contents->text, contents->why);
        self->report.size += contents->size;
        self->in_flight--;
        rmt_queue_release(self->queue, chore);
        rmt_contents_destroy(&contents);
    }
}

static void
s_put_contents(s_compare_t *self, rmt_extents_t *expected_runs, rmt_extents_t *found_runs)
{
    const rmt_entry_t *entry = rmt_compare_side_entry(self->expected);
    rmt_contents_t *contents = rmt_contents_new(entry->path);
    contents->expected_fd = rmt_compare_side_take_fd(self->expected);
    contents->found_fd = rmt_compare_side_take_fd(self->found);
    contents->chunks =
        rmt_copy_bytes(entry->chunks, entry->chunk_count * sizeof(rmt_id_t));
    contents->chunk_sizes =
        rmt_copy_bytes(entry->chunk_sizes, entry->chunk_count * sizeof(uint32_t));
    contents->chunk_count = entry->chunk_count;
    contents->expected = *expected_runs;
    contents->found = *found_runs;
    *expected_runs = *found_runs = (rmt_extents_t){0};
    s_collect(self, CONTENTS_MAX - 1);
    const bool accepted = rmt_queue_put(self->queue, &contents->chore, 0);
    assert(accepted);
    self->in_flight++;
}

static void
s_compare_chunks(s_compare_t *self, const rmt_entry_t *a, const rmt_entry_t *b)
{
    bool same = a->chunk_count == b->chunk_count;
    for (size_t i = 0; same && i < a->chunk_count; i++)
        same = rmt_id_equal(&a->chunks[i], &b->chunks[i]);
    if (!same)
        s_findf(self, "content", "other chunks");
}

static void
s_compare_reserved(s_compare_t *self)
{
    rmt_extents_t a = rmt_compare_side_reserved(self->expected);
    rmt_extents_t b = rmt_compare_side_reserved(self->found);
    if (!rmt_contents_same_runs(&a, &b, RMT_CONTENTS_BLOCK, UINT64_MAX))
        s_findf(self, "reserved", "%llu bytes reserved in %zu runs, found %llu in %zu",
                (unsigned long long) rmt_extents_size(&a), a.count,
                (unsigned long long) rmt_extents_size(&b), b.count);
    rmt_extents_free(&a);
    rmt_extents_free(&b);
}

static void
s_compare_file(s_compare_t *self, const rmt_entry_t *a, const rmt_entry_t *b)
{
    if (a->unreadable || b->unreadable)
        return;
    if (a->size != b->size) {
        s_findf(self, "size", "size %llu, found %llu", (unsigned long long) a->size,
                (unsigned long long) b->size);
        return;
    }
    rmt_extents_t a_runs = rmt_compare_side_runs(self->expected);
    rmt_extents_t b_runs = rmt_compare_side_runs(self->found);
    if (!rmt_contents_same_runs(&a_runs, &b_runs, RMT_CONTENTS_BLOCK, a->size))
        s_findf(self, "sparse", "%llu bytes of data in %zu runs, found %llu in %zu",
                (unsigned long long) rmt_extents_size(&a_runs), a_runs.count,
                (unsigned long long) rmt_extents_size(&b_runs), b_runs.count);
    s_compare_reserved(self);
    const bool has_chunks = a->chunk_count || b->chunk_count;
    if (has_chunks && rmt_compare_side_is_manifest(self->found))
        s_compare_chunks(self, a, b);
    else if (a_runs.count || b_runs.count)
        s_put_contents(self, &a_runs, &b_runs);
    rmt_extents_free(&a_runs);
    rmt_extents_free(&b_runs);
}

// ---- Attributes

static void
s_compare_xattrs(s_compare_t *self, const rmt_entry_t *a, const rmt_entry_t *b)
{
    size_t i = 0, j = 0;
    while (i < a->xattr_count || j < b->xattr_count) {
        const rmt_xattr_t *left = i < a->xattr_count ? &a->xattrs[i] : NULL;
        const rmt_xattr_t *right = j < b->xattr_count ? &b->xattrs[j] : NULL;
        const int order = !left ? 1 : !right ? -1 : strcmp(left->name, right->name);
        if (order < 0)
            s_findf(self, "xattr", "%s is missing", left->name);
        else if (order > 0)
            s_findf(self, "xattr", "%s is extra", right->name);
        else if (left->value_size != right->value_size ||
                 memcmp(left->value, right->value, left->value_size) != 0)
            s_findf(self, "xattr", "%s has another value", left->name);
        i += order <= 0;
        j += order >= 0;
    }
}

static void
s_compare_inode(s_compare_t *self, const rmt_entry_t *a, const rmt_entry_t *b)
{
    char a_text[RMT_KERNEL_WORDS_SIZE], b_text[RMT_KERNEL_WORDS_SIZE];
    if ((a->mode ^ b->mode) & 07777)
        s_findf(self, "mode", "mode %04o, found %04o", a->mode & 07777, b->mode & 07777);
    if (a->uid != b->uid || a->gid != b->gid)
        s_findf(self, "owner", "owner %u:%u, found %u:%u", a->uid, a->gid, b->uid,
                b->gid);
    if (a->mtime_s != b->mtime_s || a->mtime_ns != b->mtime_ns)
        s_findf(self, "mtime", "mtime %lld.%09u, found %lld.%09u", (long long) a->mtime_s,
                a->mtime_ns, (long long) b->mtime_s, b->mtime_ns);
    if (a->rdev_major != b->rdev_major || a->rdev_minor != b->rdev_minor)
        s_findf(self, "device", "device %u:%u, found %u:%u", a->rdev_major, a->rdev_minor,
                b->rdev_major, b->rdev_minor);
    if (a->target && b->target && strcmp(a->target, b->target) != 0)
        s_findf(self, "target", "symlink to %.400s, found %.400s", a->target, b->target);
    if (a->flags != b->flags)
        s_findf(self, "flags", "inode flags %s, found %s",
                rmt_kernel_words_flags(a->flags, a_text),
                rmt_kernel_words_flags(b->flags, b_text));
    if (a->hints != b->hints || a->extent_size != b->extent_size ||
        a->cow_extent_size != b->cow_extent_size)
        s_findf(self, "flags",
                "allocation hints %#x of %u and %u, found %#x of %u and %u", a->hints,
                a->extent_size, a->cow_extent_size, b->hints, b->extent_size,
                b->cow_extent_size);
    if (a->project != b->project)
        s_findf(self, "project", "project %u, found %u", a->project, b->project);
    s_compare_xattrs(self, a, b);
    if (S_ISREG(a->mode))
        s_compare_file(self, a, b);
}

static void
s_compare_pair(s_compare_t *self)
{
    const rmt_entry_t *a = rmt_compare_side_entry(self->expected);
    const rmt_entry_t *b = rmt_compare_side_entry(self->found);
    if ((a->mode ^ b->mode) & S_IFMT) {
        s_findf(self, "type", "type %06o, found %06o", a->mode & S_IFMT,
                b->mode & S_IFMT);
        return;
    }
    rmt_code_t why = RMT_E_OK;
    const char *trouble = rmt_compare_side_trouble(self->expected, &why);
    if (!trouble)
        trouble = rmt_compare_side_trouble(self->found, &why);
    if (trouble) {
        s_find(self, a->path, "unreadable", trouble, why);
        return;
    }
    const char *a_first = rmt_compare_side_first_name(self->expected);
    const char *b_first = rmt_compare_side_first_name(self->found);
    if (strcmp(a_first, b_first) != 0)
        s_findf(self, "links", "one inode with %.400s, found %.400s", a_first, b_first);
    else if (strcmp(a_first, a->path) != 0)
        return; // The inode was compared at its first name
    if (rmt_compare_side_has_attributes(self->expected) &&
        rmt_compare_side_has_attributes(self->found))
        s_compare_inode(self, a, b);
}

// ---- The merge of both sides

static int
s_step(s_compare_t *self, bool *more_out, rmt_error_t *error)
{
    const rmt_entry_t *a = rmt_compare_side_entry(self->expected);
    const rmt_entry_t *b = rmt_compare_side_entry(self->found);
    *more_out = a || b;
    if (!a && !b)
        return 0;
    const int order =
        !a   ? 1
        : !b ? -1
             : rmt_path_compare(a->path, a->path_size, b->path, b->path_size);
    if (order < 0)
        s_find(self, a->path, "missing", "was not found", RMT_E_OK);
    else if (order > 0)
        s_find(self, b->path, "extra", "was not expected", RMT_E_OK);
    else
        s_compare_pair(self);
    self->report.entries += order <= 0;
    if (order <= 0 && rmt_compare_side_next(self->expected, error) == -1)
        return rmt_wrap(error, "expected side");
    if (order >= 0 && rmt_compare_side_next(self->found, error) == -1)
        return rmt_wrap(error, "found side");
    return 0;
}

static int
s_merge(s_compare_t *self, rmt_error_t *error)
{
    const rmt_compare_options_t *options = self->options;
    if (rmt_compare_side_next(self->expected, error) == -1)
        return rmt_wrap(error, "expected side");
    if (rmt_compare_side_next(self->found, error) == -1)
        return rmt_wrap(error, "found side");
    for (bool more = true; more;) {
        if (options->cancelled_fn && options->cancelled_fn(options->context))
            return rmt_fail(error, RMT_E_CANCELLED, "comparison cancelled");
        if (s_step(self, &more, error) == -1)
            return -1;
    }
    return 0;
}

static int
s_run(s_compare_t *self, rmt_error_t *error)
{
    unsigned threads = self->options->threads;
    if (!threads) {
        const long processors = sysconf(_SC_NPROCESSORS_ONLN);
        threads = processors > 0 ? (unsigned) processors : 1;
    }
    int result = 0;
    for (size_t i = 0; i < threads && i < THREADS_MAX && result == 0; i++) {
        errno = pthread_create(&self->threads[i], NULL, s_work, self);
        if (errno)
            result = rmt_fail_errno(error, "start a thread");
        else
            self->thread_count++;
    }
    if (result == 0)
        result = s_merge(self, error);
    if (self->thread_count)
        s_collect(self, 0);
    rmt_queue_end(self->queue);
    for (size_t i = 0; i < self->thread_count; i++)
        pthread_join(self->threads[i], NULL);
    return result;
}

int
rmt_compare_run(const rmt_compare_input_t *expected, const rmt_compare_input_t *found,
                const rmt_compare_options_t *options, rmt_compare_report_t *report_out,
                rmt_error_t *error)
{
    assert(expected->source || !found->source);
    assert(options->finding_fn);
    rmt_auto(rmt_compare_side) left =
        rmt_compare_side_new(expected, options->ignores, error);
    if (!left)
        return -1;
    rmt_auto(rmt_compare_side) right =
        rmt_compare_side_new(found, options->ignores, error);
    if (!right)
        return -1;
    s_compare_t self = {.options = options, .expected = left, .found = right};
    self.queue = rmt_queue_new(CONTENTS_MAX, 0);
    const int result = s_run(&self, error);
    rmt_queue_destroy(&self.queue);
    if (result == 0)
        *report_out = self.report;
    return result;
}
