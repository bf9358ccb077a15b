// lib/base: errors, records, whole files, programs.
#include "tools/rmt_child.h"
#include "tools/rmt_test.h"

#include "base/rmt_auto.h"
#include "base/rmt_error.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"
#include "base/rmt_escape.h"
#include "base/rmt_process.h"
#include "base/rmt_record.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void
test_wrapping_keeps_the_code_and_both_texts(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    errno = ENOENT;
    assert_int_equal(rmt_fail_errno(&error, "open %s", "x"), -1);
    assert_int_equal(error.code, RMT_E_NOT_FOUND);
    rmt_wrap(&error, "image %d", 7);
    assert_int_equal(error.code, RMT_E_NOT_FOUND);
    assert_string_equal(error.text, "image 7: open x: No such file or directory");
}

// [1.42]: a later version may have more codes.
static void
test_unknown_codes_become_internal(void **state)
{
    (void) state;
    assert_int_equal(rmt_code_from(RMT_CODE_COUNT), RMT_E_INTERNAL);
    assert_int_equal(rmt_code_exit(RMT_E_NOT_ALLOWED), 77);
    assert_string_equal(rmt_code_name((rmt_code_t) 999), "unknown");
}

static void
test_records_hold_bytes_and_replace_in_place(void **state)
{
    (void) state;
    rmt_auto(rmt_record) record = rmt_record_new();
    rmt_record_set(record, "a", "1");
    rmt_record_put(record, "b", "x\0y", 3);
    rmt_record_set_u64(record, "a", UINT64_MAX);
    assert_int_equal(rmt_record_count(record), 2);
    assert_string_equal(rmt_record_name_at(record, 0), "a");
    assert_true(rmt_record_u64(record, "a", 0) == UINT64_MAX);
    assert_null(rmt_record_text(record, "b", NULL)); // Not text
    rmt_record_remove(record, "a");
    assert_false(rmt_record_has(record, "a"));
}

static void
test_numbers_that_are_none_are_missing(void **state)
{
    (void) state;
    static const char *const bad[] = {"", "-1", "1x", " 1", "99999999999999999999"};
    rmt_auto(rmt_record) record = rmt_record_new();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rmt_record_set(record, "n", bad[i]);
        assert_int_equal(rmt_record_u64(record, "n", 42), 42);
    }
}

static void
test_field_names_are_checked(void **state)
{
    (void) state;
    assert_true(rmt_record_name_is_valid("disk.bytes-1_x"));
    static const char *const bad[] = {"", "A", "-a", "a b", "a/b", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(rmt_record_name_is_valid(bad[i]));
}

static void
test_a_saved_file_is_whole_and_has_its_mode(void **state)
{
    (void) state;
    char folder[] = "/tmp/ramet-base-XXXXXX";
    assert_non_null(mkdtemp(folder));
    rmt_error_t error = {0};
    rmt_auto_str path = rmt_text("%s/a/b/file", folder);
    rmt_auto_str parent = rmt_text("%s/a/b", folder);
    RMT_OK(rmt_io_mkdirs(parent, 0755, &error));
    RMT_OK(rmt_io_save(path, "old", 3, 0600, &error));
    RMT_OK(rmt_io_save(path, "newer", 5, 0640, &error));
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    RMT_OK(rmt_io_load(path, 100, &data, &size, &error));
    assert_int_equal(size, 5);
    assert_string_equal((char *) data, "newer");
    RMT_FAILS(rmt_io_load(path, 4, &data, &size, &error), RMT_E_TOO_BIG);
    RMT_OK(rmt_io_remove_tree(folder, &error));
    assert_int_equal(access(folder, F_OK), -1);
}

// A store that is a file, by a mistyped path, is not taken for a folder.
static void
test_a_file_is_not_taken_for_a_folder(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    char folder[] = "/tmp/test-base-XXXXXX";
    assert_non_null(mkdtemp(folder));
    rmt_auto_str file = rmt_text("%s/file", folder);
    rmt_auto_str below = rmt_text("%s/a/b", file);
    rmt_auto_str deep = rmt_text("%s/one/two", folder);
    rmt_auto_str dangling = rmt_text("%s/dangling", folder);
    RMT_OK(rmt_io_save(file, "x", 1, 0644, &error));
    RMT_FAILS(rmt_io_mkdirs(file, 0755, &error), RMT_E_EXISTS);
    rmt_auto_str says = rmt_text("make folder %s: a file is there", file);
    assert_memory_equal(error.text, says, strlen(says));
    RMT_FAILS(rmt_io_mkdirs(below, 0755, &error), RMT_E_EXISTS);
    assert_memory_equal(error.text, says, strlen(says));
    assert_int_equal(symlink("nowhere", dangling), 0);
    RMT_FAILS(rmt_io_mkdirs(dangling, 0755, &error), RMT_E_EXISTS);
    RMT_OK(rmt_io_mkdirs(deep, 0755, &error));
    RMT_OK(rmt_io_mkdirs(deep, 0755, &error));
    RMT_OK(rmt_io_remove_tree(folder, &error));
}

static void
test_programs_tell_output_and_failure(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto_str output = NULL;
    const char *const cat[] = {"cat", NULL};
    RMT_OK(rmt_process_run(cat, "given", &output, &error));
    assert_string_equal(output, "given");
    const char *const fails[] = {"ls", "/no/such/folder", NULL};
    RMT_FAILS(rmt_process_run(fails, NULL, NULL, &error), RMT_E_IO);
    assert_non_null(strstr(error.text, "ls ended with status 2"));
    const char *const missing[] = {"no-such-program-here", NULL};
    RMT_FAILS(rmt_process_run(missing, NULL, NULL, &error), RMT_E_NOT_FOUND);
}

// The words of programs that make file systems: their version comes last, or their usage.
static void
test_a_reason_is_neither_a_version_nor_a_usage(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    static const struct {
        const char *says, *reason;
    } cases[] = {
        {"too small\nmkfs.fat 4.2 (2021-01-31)\n", "sh ended with status 1: too small"},
        {"log too small\nUsage: mkfs\n/* size */ [-l]\n",
         "sh ended with status 1: log too small"},
        {"one\ntwo\n\n  three\nfour\n", "sh ended with status 1: two; three; four"},
        {"mkfs.fat 4.2 (2021-01-31)\n", "sh ended with status 1: it gives no reason"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const words[] = {
            "env", "A=b", "sh", "-c", "printf '%s' \"$0\"; exit 1", cases[i].says, NULL};
        RMT_FAILS(rmt_process_run(words, NULL, NULL, &error), RMT_E_IO);
        assert_string_equal(error.text, cases[i].reason);
    }
}

static void
test_a_name_in_an_error_is_exchanged_everywhere(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    (void) rmt_fail(&error, RMT_E_IO, "/dev/loop7: mount /dev/loop7p1");
    assert_int_equal(rmt_rename(&error, "/dev/loop7p1", "it"), -1);
    assert_string_equal(error.text, "/dev/loop7: mount it");
    (void) rmt_rename(&error, "/dev/loop7", "the disk");
    assert_string_equal(error.text, "the disk: mount it");
    (void) rmt_rename(&error, "absent", "present");
    assert_string_equal(error.text, "the disk: mount it");
    memset(error.text, 'x', sizeof error.text - 1);
    (void) rmt_rename(&error, "x", "yy");
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
}

// T18: a disk is blamed for what a program says of it, and not for a program that cannot
// be read itself.
static void
test_an_input_output_error_is_of_the_disk_that_a_program_works_on(void **state)
{
    static const char says[] = "echo 'x: Input/output error' >&2; exit $0";
    (void) state;
    rmt_error_t error = {0};
    const char *const works[] = {"sh", "-c", says, "1", NULL};
    const char *const does_not_start[] = {"sh", "-c", says, "126", NULL};
    const char *const does_not_load[] = {"sh", "-c", says, "127", NULL};
    const char *const fails[] = {"ls", "/no/such/folder", NULL};
    RMT_FAILS(rmt_process_run_on_disk(works, &error), RMT_E_DISK);
    RMT_FAILS(rmt_process_run(works, NULL, NULL, &error), RMT_E_IO);
    RMT_FAILS(rmt_process_run_on_disk(does_not_start, &error), RMT_E_IO);
    RMT_FAILS(rmt_process_run_on_disk(does_not_load, &error), RMT_E_IO);
    RMT_FAILS(rmt_process_run_on_disk(fails, &error), RMT_E_IO);
}

static void
s_try(const char *script, uint32_t timeout_ms, rmt_process_end_t *end)
{
    rmt_error_t error = {0};
    const char *arguments[] = {"/bin/sh", "-c", script, NULL};
    const rmt_process_t process = {.arguments = arguments, .timeout_ms = timeout_ms};
    if (rmt_process_try(&process, end, &error) == -1)
        fail_msg("%s", error.text);
}

static void
test_a_program_that_is_tried_tells_how_it_ended(void **state)
{
    (void) state;
    rmt_process_end_t end;
    s_try("echo out; echo err >&2; pwd; exit 3", 0, &end);
    assert_int_equal(end.status, 3);
    assert_string_equal(end.output, "out\nerr\n/\n");
    rmt_process_end_clear(&end);
    s_try("kill -9 $$", 0, &end);
    assert_int_equal(end.signal, 9);
    rmt_process_end_clear(&end);
    // Much output: the start is kept, and the end of it.
    s_try("i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done", 0, &end);
    assert_int_equal(end.status, 0);
    assert_int_equal(strlen(end.output), 65536);
    assert_memory_equal(end.output, "0\n1\n", 4);
    assert_string_equal(end.tail + strlen(end.tail) - 6, "19999\n");
    rmt_process_end_clear(&end);
    rmt_error_t error = {0};
    const char *none[] = {"/no/such/program", NULL};
    const rmt_process_t process = {.arguments = none};
    RMT_FAILS(rmt_process_try(&process, &end, &error), RMT_E_NOT_FOUND);
}

static void
test_a_program_is_ended_with_its_children_when_its_time_is_over(void **state)
{
    (void) state;
    rmt_process_end_t end;
    s_try("echo begun; sleep 60 | cat", 300, &end);
    assert_true(end.is_timeout);
    assert_true(end.time_ms < 5000);
    assert_string_equal(end.output, "begun\n");
    rmt_process_end_clear(&end);
    s_try("while :; do echo always; done", 300, &end); // Never silent
    assert_true(end.is_timeout);
    rmt_process_end_clear(&end);
    // What is left in the background holds the output open, and is not waited for.
    s_try("(sleep 3; true) & echo done", 2000, &end);
    assert_false(end.is_timeout);
    assert_int_equal(end.status, 0);
    assert_true(end.time_ms < 1500);
    rmt_process_end_clear(&end);
}

static void
test_control_bytes_do_not_reach_the_log(void **state)
{
    (void) state;
    char out[64];
    assert_string_equal(rmt_log_escape(out, sizeof out, "a\n\033[2Jb"),
                        "a\\x0a\\x1b[2Jb");
    assert_string_equal(rmt_log_escape(out, 4, "abcdef"), "abc");
}

// M27: what a failure is told with.
static void
test_the_last_lines_of_the_log_are_whole(void **state)
{
    (void) state;
    char tail[RMT_LOG_TAIL_SIZE];
    char small[200];
    char filler[300];
    memset(filler, 'x', sizeof filler - 1);
    filler[sizeof filler - 1] = '\0';
    for (int i = 0; i < 40; i++)
        rmt_log(RMT_ERROR, "test.line", "n=%d %.*s", i, i * 7, filler);
    rmt_log(RMT_ERROR, "test.last", "n=40");
    rmt_log_tail(tail, sizeof tail);
    assert_true(strlen(tail) > sizeof tail - 600);
    assert_int_equal(strncmp(tail, "time=", 5), 0); // The first line is whole, too
    assert_non_null(strstr(tail, "n=39"));
    assert_null(strstr(tail, "n=1 "));
    rmt_log_tail(small, sizeof small);
    assert_int_equal(strncmp(small, "time=", 5), 0);
    assert_non_null(strstr(small, "event=test.last n=40\n"));
    assert_null(strstr(small, "n=39"));
}

// Once, and never past the end of the text.
static void
test_digits_of_links_become_characters(void **state)
{
    (void) state;
    static const struct {
        const char *text, *plain;
    } rows[] = {
        {"a\\040b\\134040", "a\\040b\\134040"},
        {"My\\x20Disk\\x2f\\x41", "My Disk/A"},
        {"\\x5cx20", "\\x20"},
        {"\\xe2\\x82\\xac", "\xe2\x82\xac"},
        {"\\x00\\xg1\\x4", "\\x00\\xg1\\x4"},
        {"\\", "\\"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        // On the heap, so that a sanitizer sees the end.
        rmt_auto_str text = strdup(rows[i].text);
        assert_string_equal(rmt_escape_undo(text), rows[i].plain);
    }
}

// P23: keys lie in the memory of the process.
static void
test_a_process_with_secrets_leaves_no_core_file(void **state)
{
    (void) state;
    const pid_t pid = fork();
    assert_return_code(pid, errno);
    if (pid == 0) {
        struct rlimit core;
        rmt_process_keep_secrets();
        const bool is_kept = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 &&
                             getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0;
        rmt_child_end(is_kept ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
#ifndef __SANITIZE_ADDRESS__
    assert_int_equal(status, 0);
#endif
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrapping_keeps_the_code_and_both_texts),
        cmocka_unit_test(test_unknown_codes_become_internal),
        cmocka_unit_test(test_records_hold_bytes_and_replace_in_place),
        cmocka_unit_test(test_numbers_that_are_none_are_missing),
        cmocka_unit_test(test_field_names_are_checked),
        cmocka_unit_test(test_a_saved_file_is_whole_and_has_its_mode),
        cmocka_unit_test(test_a_file_is_not_taken_for_a_folder),
        cmocka_unit_test(test_programs_tell_output_and_failure),
        cmocka_unit_test(test_a_reason_is_neither_a_version_nor_a_usage),
        cmocka_unit_test(test_a_name_in_an_error_is_exchanged_everywhere),
        cmocka_unit_test(
            test_an_input_output_error_is_of_the_disk_that_a_program_works_on),
        cmocka_unit_test(test_a_program_that_is_tried_tells_how_it_ended),
        cmocka_unit_test(test_a_program_is_ended_with_its_children_when_its_time_is_over),
        cmocka_unit_test(test_digits_of_links_become_characters),
        cmocka_unit_test(test_a_process_with_secrets_leaves_no_core_file),
        cmocka_unit_test(test_control_bytes_do_not_reach_the_log),
        cmocka_unit_test(test_the_last_lines_of_the_log_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
