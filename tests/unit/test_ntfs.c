// What of an NTFS is in use, and which one is at rest ([3.52], [3.53]).
#include "base/rmt_auto.h"
#include "base/rmt_bytes.h"
#include "disk/rmt_ntfs.h"
#include "tools/ntfs_file.h"
#include "tools/rmt_test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define UNCLEAN "was not cleanly unmounted: its log has work left"

static rmt_ntfs_t *
s_open(int fd, rmt_error_t *error)
{
    return rmt_ntfs_new(fd, 0, NTFS_FILE_BYTES, error);
}

// The runs in use, as "begin+size " in clusters, of 1,024 bytes.
static char *
s_used(rmt_ntfs_t *ntfs)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    uint64_t begin, end;
    rmt_error_t error = {0};
    for (uint64_t at = 0; at < NTFS_FILE_BYTES; at = end) {
        if (rmt_ntfs_used(ntfs, at, &begin, &end, &error) == -1)
            fail_msg("%s", error.text);
        assert_true(begin >= at && end >= begin && end > at);
        if (begin < end)
            fprintf(out, "%u+%u ", (unsigned) (begin / NTFS_FILE_CLUSTER),
                    (unsigned) ((end - begin) / NTFS_FILE_CLUSTER));
    }
    fclose(out);
    return text;
}

static void
test_m32_clusters_in_use_are_those_of_the_map(void **state)
{
    (void) state;
    static const struct {
        ntfs_file_t file;
        const char *used;
    } rows[] = {
        // What lies behind the last cluster counts always: a copy of the boot sector.
        {{.map = {0}}, "63+1 "},
        {{.map = {0x01}}, "0+1 63+1 "},
        {{.map = {0xf0, 0xff, 0x0f}}, "4+16 63+1 "},
        {{.map = {0xff, 0, 0, 0x10, 0, 0, 0, 0x60}}, "0+8 28+1 61+3 "},
        {{.map = {0x55}, .is_listed = true}, "0+1 2+1 4+1 6+1 63+1 "},
        {{.map = {255, 255, 255, 255, 255, 255, 255, 255}}, "0+64 "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto_fd fd = ntfs_file_make(&rows[i].file);
        rmt_auto(rmt_ntfs) ntfs = s_open(fd, &error);
        if (!ntfs)
            fail_msg("%zu: %s", i, error.text);
        rmt_auto_str used = s_used(ntfs);
        assert_string_equal(used, rows[i].used);
    }
}

static void
test_m32_one_that_is_not_at_rest_is_refused(void **state)
{
    (void) state;
    static const struct {
        ntfs_file_t file;
        const char *words; // NULL: it is at rest
    } rows[] = {
        {{.flags = 0}, NULL},
        {{.flags = 1}, "marked as dirty"},
        {{.flags = 0x4001}, "marked as dirty"},
        {{.flags = 0x8000}, NULL}, // chkdsk has changed it
        {{.hibernation = "hibr"}, "is hibernated"},
        {{.hibernation = "HIBR"}, "is hibernated"},
        {{.hibernation = "wake"}, NULL},
        {{.hibernation = "hibr", .is_in_block = true}, "is hibernated"},
        {{.hibernation = "hibr", .is_in_block = true, .is_stale = true}, NULL},
        {{.hibernation = "hibr", .is_in_block = true, .has_old_block = true},
         "is hibernated"},
        {{.hibernation = "hibr", .flags = 1}, "is hibernated"},
        {{.has_empty_log = true}, NULL},
        {{.log = {{.size = 4096, .lsn = 9, .clients = 0, .flags = 0},
                  {.size = 4096, .lsn = 8, .clients = 0xffff, .flags = 0}}},
         UNCLEAN},
        {{.log = {{.size = 4096, .lsn = 8, .clients = 0xffff, .flags = 0},
                  {.size = 4096, .lsn = 9, .clients = 0, .flags = 0}}},
         UNCLEAN},
        {{.log = {{.size = 2048, .lsn = 8, .clients = 0xffff, .flags = 2},
                  {.size = 2048, .lsn = 9, .clients = 0, .flags = 1}}},
         UNCLEAN},
        {{.log = {{.size = 4096, .lsn = 9, .clients = 0, .flags = 2},
                  {.size = 4096, .lsn = 8, .clients = 0, .flags = 0}}},
         NULL},
        {{.log = {{.size = 4096, .lsn = 9, .clients = 0xffff, .flags = 0},
                  {.size = 4096, .lsn = 8, .clients = 0, .flags = 0}}},
         NULL},
        {{.log = {{.size = 4096, .lsn = 8, .clients = 0, .flags = 0},
                  {.size = 4096, .lsn = 9, .clients = 0xffff, .flags = 0}}},
         NULL},
        {{.log =
              {{.size = 4096, .lsn = 8, .clients = 0, .flags = 0},
               {.size = 4096, .lsn = 9, .clients = 0xffff, .flags = 0, .magic = "CHKD"}}},
         NULL},
        {{.log =
              {{.size = 4096, .lsn = 8, .clients = 0, .flags = 0},
               {.size = 4096, .lsn = 9, .clients = 0xffff, .flags = 0, .is_torn = true}}},
         UNCLEAN},
        {{.log = {{.size = 4096, .lsn = 9, .clients = 0, .flags = 0, .is_torn = true},
                  {.size = 4096, .lsn = 8, .clients = 0xffff, .flags = 0}}},
         NULL},
        {{.log = {{.size = 4096, .lsn = 9, .clients = 0, .flags = 0, .is_torn = true}}},
         "its log is torn"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto_fd fd = ntfs_file_make(&rows[i].file);
        rmt_auto(rmt_ntfs) ntfs = s_open(fd, &error);
        assert_non_null(ntfs);
        const int rc = rmt_ntfs_check(ntfs, &error);
        const char *words = rows[i].words;
        const int code = words && strstr(words, "torn") ? RMT_E_CORRUPT : RMT_E_REFUSED;
        if ((rc == 0) != !words ||
            (words && ((int) error.code != code || !strstr(error.text, words))))
            fail_msg("%zu: %d %s", i, rc, error.text);
    }
}

// Each is one wrong number, at a byte of the volume.
static void
test_m32_a_damaged_one_is_refused(void **state)
{
    (void) state;
    static const struct {
        const char *what;
        off_t at;
        size_t size;
        uint64_t number;
    } rows[] = {
        {"no sector", 11, 2, 0},
        {"a sector of 513 bytes", 11, 2, 513},
        {"no cluster", 13, 1, 0},
        {"clusters of 3 sectors", 13, 1, 3},
        {"larger than its partition", 40, 8, 129},
        {"a table behind its end", 48, 8, 63},
        {"records of no size", 64, 1, 0},
        {"records of 128 KiB", 64, 1, 0xef},
        {"a torn record", NTFS_FILE_MFT * NTFS_FILE_CLUSTER + 510, 2, 7},
        {"a record without its mark", NTFS_FILE_MFT * NTFS_FILE_CLUSTER, 4, 0},
        {"an attribute that is too long", NTFS_FILE_MFT * NTFS_FILE_CLUSTER + 60, 4,
         4096},
        {"a run behind the end", NTFS_FILE_MFT * NTFS_FILE_CLUSTER + 56 + 65, 1, 0x7f},
        {"a map that is too short", (NTFS_FILE_MFT + 6) * NTFS_FILE_CLUSTER + 56 + 48, 8,
         7},
    };
    const ntfs_file_t file = {.map = {1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        uint8_t bytes[8];
        rmt_auto_fd fd = ntfs_file_make(&file);
        rmt_put64(bytes, rows[i].number);
        assert_int_equal(pwrite(fd, bytes, rows[i].size, rows[i].at), rows[i].size);
        rmt_auto(rmt_ntfs) ntfs = s_open(fd, &error);
        if (ntfs || error.code != RMT_E_CORRUPT || !strstr(error.text, "chkdsk"))
            fail_msg("%s: %s", rows[i].what, error.text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_m32_clusters_in_use_are_those_of_the_map),
        cmocka_unit_test(test_m32_one_that_is_not_at_rest_is_refused),
        cmocka_unit_test(test_m32_a_damaged_one_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
