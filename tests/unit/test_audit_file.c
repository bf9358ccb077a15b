// The end of a broker's audit files: nothing that was told is lost, nothing is half there
// (P24, [8.5]).
#include "tools/refuse_each.h"
#include "tools/rmt_test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "broker/audit_file.h"

#define FIRST "/audit-0000000000000001.jsonl"
#define SECOND "/audit-0000000000000003.jsonl"

typedef struct {
    char folder[64];
    rmt_audit_file_t *file;
} fixture_t;

static char *
s_open(fixture_t *self)
{
    rmt_error_t error = {0};
    char *last = NULL;
    rmt_audit_file_destroy(&self->file);
    self->file = rmt_audit_file_new(self->folder);
    RMT_OK(rmt_audit_file_open(self->file, &last, &error));
    return last;
}

static int
s_setup(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    assert_non_null(self);
    strcpy(self->folder, "/tmp/ramet-audit-XXXXXX");
    assert_non_null(mkdtemp(self->folder));
    assert_null(s_open(self));
    *state = self;
    return 0;
}

static int
s_teardown(void **state)
{
    fixture_t *self = *state;
    rmt_error_t error = {0};
    rmt_audit_file_destroy(&self->file);
    RMT_OK(rmt_io_remove_tree(self->folder, &error));
    free(self);
    return 0;
}

static void
s_append(fixture_t *self, const char *lines)
{
    rmt_error_t error = {0};
    RMT_OK(rmt_audit_file_append(self->file, lines, strlen(lines), &error));
}

static void
s_next(fixture_t *self, uint64_t n)
{
    rmt_error_t error = {0};
    RMT_OK(rmt_audit_file_next(self->file, n, &error));
}

static void
s_need_text(const fixture_t *self, const char *name, const char *text)
{
    rmt_error_t error = {0};
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    rmt_auto_str path = rmt_text("%s%s", self->folder, name);
    RMT_OK(rmt_io_load(path, 10000, &data, &size, &error));
    assert_string_equal(data, text);
}

// What another program does to a file.
static void
s_write_over(const fixture_t *self, const char *name, int flags, const char *text)
{
    rmt_error_t error = {0};
    rmt_auto_str path = rmt_text("%s%s", self->folder, name);
    rmt_auto_fd fd = open(path, O_WRONLY | flags);
    assert_true(fd != -1);
    RMT_OK(rmt_io_write(fd, text, strlen(text), &error));
}

static void
test_the_last_line_is_found_again(void **state)
{
    fixture_t *self = *state;
    struct stat status;
    s_next(self, 1);
    s_append(self, "one\ntwo\n");
    s_next(self, 3);
    s_append(self, "three\n");
    rmt_auto_str last = s_open(self);
    assert_string_equal(last, "three\n");
    s_append(self, "four\n");
    s_need_text(self, FIRST, "one\ntwo\n");
    s_need_text(self, SECOND, "three\nfour\n");
    rmt_auto_str path = rmt_text("%s" SECOND, self->folder);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777 & ~0640U, 0);
}

// [8.5]: of a line that a crash has torn nothing stays; a file in which nothing was
// written is none.
static void
test_a_torn_line_is_taken_off(void **state)
{
    fixture_t *self = *state;
    s_next(self, 1);
    s_append(self, "one\ntwo\n");
    s_write_over(self, FIRST, O_APPEND, "thr");
    rmt_auto_str last = s_open(self);
    assert_string_equal(last, "two\n");
    s_append(self, "three\n");
    s_need_text(self, FIRST, "one\ntwo\nthree\n");
    s_next(self, 3);
    s_write_over(self, SECOND, O_APPEND, "fo");
    rmt_auto_str again = s_open(self);
    assert_string_equal(again, "three\n");
    s_next(self, 3);
    s_append(self, "four\n");
    s_need_text(self, SECOND, "four\n");
}

// What a crash leaves at the end may be longer than any line, and without an end of line.
static void
test_whole_lines_before_a_long_torn_end_stay(void **state)
{
    fixture_t *self = *state;
    const size_t size = 3 * RMT_CHAIN_LINE_MAX;
    rmt_auto_str torn = malloc(size + 1);
    assert_non_null(torn);
    memset(torn, 'x', size);
    torn[size] = '\0';
    s_next(self, 1);
    s_append(self, "one\ntwo\n");
    s_write_over(self, FIRST, O_APPEND, torn);
    rmt_auto_str last = s_open(self);
    assert_non_null(last);
    assert_string_equal(last, "two\n");
    s_need_text(self, FIRST, "one\ntwo\n");
}

// The last line is found whole also when the torn end leaves it at the edge of what was
// read.
static void
test_a_long_line_before_a_torn_end_is_found(void **state)
{
    fixture_t *self = *state;
    const size_t size = RMT_CHAIN_LINE_MAX - 1;
    rmt_auto_str line = malloc(size + 2);
    rmt_auto_str torn = malloc(size + 3);
    assert_true(line && torn);
    memset(line, 'x', size);
    line[size] = '\n';
    line[size + 1] = '\0';
    memset(torn, 'y', size + 2);
    torn[size + 2] = '\0';
    s_next(self, 1);
    s_append(self, "one\n");
    s_append(self, line);
    s_write_over(self, FIRST, O_APPEND, torn);
    rmt_auto_str last = s_open(self);
    assert_non_null(last);
    assert_string_equal(last, line);
}

// The first line of a file may find a full disk after its file was made: the next try
// takes that file.
static void
test_a_file_without_lines_is_begun_again(void **state)
{
    fixture_t *self = *state;
    rmt_error_t error = {0};
    s_next(self, 1);
    s_append(self, "one\ntwo\n");
    s_next(self, 3);
    s_next(self, 3);
    s_append(self, "three\n");
    s_need_text(self, SECOND, "three\n");
    RMT_FAILS(rmt_audit_file_next(self->file, 3, &error), RMT_E_CORRUPT);
    s_append(self, "four\n");
    s_need_text(self, SECOND, "three\nfour\n");
}

// A batch that does not fit leaves nothing behind, and is written when there is space.
static void
test_a_batch_is_written_whole_or_not_at_all(void **state)
{
    fixture_t *self = *state;
    rmt_error_t error = {0};
    struct rlimit before, limit;
    s_next(self, 1);
    s_append(self, "one\n");
    (void) signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 8; // Half of what comes
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    const int rc = rmt_audit_file_append(self->file, "two\nthree\n", 10, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    RMT_FAILS(rc, RMT_E_IO);
    s_need_text(self, FIRST, "one\n");
    s_append(self, "two\nthree\n");
    s_need_text(self, FIRST, "one\ntwo\nthree\n");
}

static void
test_a_file_that_others_change_is_refused(void **state)
{
    fixture_t *self = *state;
    rmt_error_t error = {0};
    s_next(self, 1);
    s_append(self, "one\n");
    s_write_over(self, FIRST, O_APPEND, "false\n");
    RMT_FAILS(rmt_audit_file_append(self->file, "two\n", 4, &error), RMT_E_CORRUPT);
    rmt_auto_str path = rmt_text("%s" FIRST, self->folder);
    rmt_auto_str last = s_open(self);
    assert_string_equal(last, "false\n");
    assert_int_equal(unlink(path), 0);
    RMT_FAILS(rmt_audit_file_append(self->file, "two\n", 4, &error), RMT_E_CORRUPT);
    assert_null(s_open(self));
}

static void
test_a_folder_has_one_writer(void **state)
{
    fixture_t *self = *state;
    rmt_error_t error = {0};
    char *last = NULL;
    rmt_audit_file_t *other = rmt_audit_file_new(self->folder);
    RMT_FAILS(rmt_audit_file_open(other, &last, &error), RMT_E_CONFIG);
    rmt_audit_file_destroy(&self->file);
    RMT_OK(rmt_audit_file_open(other, &last, &error));
    rmt_audit_file_destroy(&other);
    self->file = rmt_audit_file_new(self->folder);
}

static void
test_a_key_is_made_once(void **state)
{
    fixture_t *self = *state;
    rmt_error_t error = {0};
    rmt_sign_key_t first, second, public;
    RMT_OK(rmt_audit_file_key(self->file, &first, &error));
    RMT_OK(rmt_audit_file_key(self->file, &second, &error));
    assert_memory_equal(&first, &second, sizeof first);
    rmt_auto_str path = rmt_text("%s/audit.pub", self->folder);
    RMT_OK(rmt_sign_key_load_public(&public, path, &error));
    assert_memory_equal(first.public_key, public.public_key, sizeof public.public_key);
}

// A reader gets all files as they were when it began, in pieces of any size.
static void
test_all_files_are_read_to_the_end_of_then(void **state)
{
    fixture_t *self = *state;
    s_next(self, 1);
    s_append(self, "one\ntwo\n");
    s_next(self, 3);
    s_append(self, "three\n");
    const rmt_audit_place_t end = rmt_audit_file_end(self->file);
    s_append(self, "four\n");
    for (size_t step = 1; step < 20; step++) {
        char all[64] = "";
        rmt_error_t error = {0};
        rmt_audit_place_t place = {0};
        size_t used = 0, size = 0;
        do {
            RMT_OK(rmt_audit_file_read(self->file, &place, end, all + size, step, &used,
                                       &error));
            size += used;
            assert_true(size < sizeof all);
        } while (used > 0);
        assert_string_equal(all, "one\ntwo\nthree\n");
    }
}

// ---- Any one call that fails

static int
s_open_again(void *context, rmt_error_t *error)
{
    const fixture_t *self = context;
    rmt_auto_str last = NULL;
    rmt_auto(rmt_audit_file) file = rmt_audit_file_new(self->folder);
    if (rmt_audit_file_open(file, &last, error) == -1)
        return -1;
    return last && strcmp(last, "three\n") == 0
               ? 0
               : rmt_fail(error, RMT_E_INTERNAL, "another last line: %s",
                          last ? last : "none");
}

static void
s_need_told(void *context, const refused_t *by)
{
    (void) context;
    if (by->result == -1 && !strstr(by->error.text, strerror(EIO)))
        fail_msg("call %zu, %ld: %s", by->number, by->call, by->error.text);
}

static void
test_the_last_line_is_not_missed_when_a_call_fails(void **state)
{
    fixture_t *self = *state;
    s_next(self, 1);
    s_append(self, "one\ntwo\n");
    s_next(self, 3);
    s_append(self, "three\n");
    rmt_audit_file_destroy(&self->file);
    const refuse_each_t each = {
        .calls = refuse_each_files,
        .count = refuse_each_files_count,
        .code = EIO,
        .act = s_open_again,
        .after = s_need_told,
        .context = self,
    };
    assert_in_range(refuse_each(&each), 5, 100);
    s_need_text(self, SECOND, "three\n");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_the_last_line_is_found_again),
        CASE(test_the_last_line_is_not_missed_when_a_call_fails),
        CASE(test_a_torn_line_is_taken_off),
        CASE(test_whole_lines_before_a_long_torn_end_stay),
        CASE(test_a_long_line_before_a_torn_end_is_found),
        CASE(test_a_file_without_lines_is_begun_again),
        CASE(test_a_batch_is_written_whole_or_not_at_all),
        CASE(test_a_file_that_others_change_is_refused),
        CASE(test_a_folder_has_one_writer),
        CASE(test_a_key_is_made_once),
        CASE(test_all_files_are_read_to_the_end_of_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
