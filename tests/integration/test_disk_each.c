// Disks of which any one call to the kernel fails: what is read is right or refused, and
// what was there before a failed write still starts (M23, P18).
#include "tools/disk_file.h"
#include "tools/refuse_each.h"
#include "tools/rmt_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"
#include "disk/rmt_disk.h"
#include "disk/rmt_fs.h"
#include "disk/rmt_nvram.h"
#include "disk/rmt_wipe.h"
#include "facts/rmt_facts.h"
#include "facts/rmt_layout.h"

#define MIB ((uint64_t) 1024 * 1024)
#define ANOTHER "nothing is said, and it is another"
#define LAYOUT                                                                           \
    "class=disk role=root table=gpt guid=0F3B1A2C-0000-4000-8000-0000000000AA "          \
    "logical-sector=512 entries=128 first-lba=34\n"                                      \
    "class=partition disk=root number=1 start=2048 size=4096 "                           \
    "type=0FC63DAF-8483-4772-8E79-3D69D8477DE4 "                                         \
    "guid=0F3B1A2C-0000-4000-8000-0000000000AB\n"

typedef char *(text_fn) (const char *path, rmt_error_t *error);

typedef struct {
    const char *path;
    text_fn *read; // What is read, as a text; the caller's
    char *wanted;
} scene_t;

static char s_folder[64];

static int
s_setup(void **state)
{
    (void) state;
    snprintf(s_folder, sizeof s_folder, "%s/ramet-each-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    return mkdtemp(s_folder) ? 0 : -1;
}

static int
s_teardown(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    return rmt_io_remove_tree(s_folder, &error);
}

static void
s_assert_told(void *context, const refused_t *by)
{
    (void) context;
    if (by->result == -1 && strstr(by->error.text, ANOTHER))
        fail_msg("call %zu, %ld: %s", by->number, by->call, by->error.text);
}

static void
s_refuse(int (*act)(void *, rmt_error_t *), void (*before)(void *),
         void (*after)(void *, const refused_t *), void *context)
{
    const refuse_each_t each = {
        .calls = refuse_each_files,
        .count = refuse_each_files_count,
        .code = EIO,
        .only_own = true,
        .act = act,
        .before = before,
        .after = after,
        .context = context,
    };
    assert_in_range(refuse_each(&each), 3, 1000);
}

// ---- What is read

static int
s_read_same(void *context, rmt_error_t *error)
{
    const scene_t *scene = context;
    rmt_auto_str text = scene->read(scene->path, error);
    if (!text)
        return -1;
    return strcmp(text, scene->wanted) == 0
               ? 0
               : rmt_fail(error, RMT_E_INTERNAL, ANOTHER ": %s", text);
}

static void
s_try_reading(const char *path, text_fn *read)
{
    rmt_error_t error = {0};
    scene_t scene = {.path = path, .read = read, .wanted = read(path, &error)};
    RMT_OK(scene.wanted);
    s_refuse(s_read_same, NULL, s_assert_told, &scene);
    free(scene.wanted);
}

static char *
s_text_of(const rmt_record_t *one)
{
    rmt_auto(rmt_records) records = rmt_records_new();
    rmt_record_merge(rmt_records_add(records), one);
    return rmt_facts_print(records);
}

static char *
s_read_table(const char *path, rmt_error_t *error)
{
    rmt_auto(rmt_layout) layout = rmt_disk_read(path, "root", error);
    if (!layout)
        return NULL;
    rmt_auto(rmt_records) records = rmt_records_new();
    rmt_layout_write(layout, records);
    return rmt_facts_print(records);
}

static rmt_layout_t *
s_write(const char *path, rmt_error_t *error)
{
    rmt_auto(rmt_records) records = disk_file_facts(LAYOUT);
    rmt_auto(rmt_layout) layout = rmt_layout_read(records, error);
    return layout ? rmt_disk_write(path, layout, 0, error) : NULL;
}

static void
test_no_failed_call_reads_another_table(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto_str path = disk_file_make(s_folder, "disk", 64 * MIB);
    rmt_auto(rmt_layout) written = s_write(path, &error);
    RMT_OK(written);
    s_try_reading(path, s_read_table);
}

static char *
s_probe(const char *path, rmt_error_t *error)
{
    rmt_auto(rmt_record) volume = rmt_fs_probe(path, error);
    return volume ? s_text_of(volume) : NULL;
}

static void
test_no_failed_call_reads_another_file_system(void **state)
{
    static const char *const makers[][4] = {
        {"mkfs.ext4", "-q", "-F"},
        {"mkfs.xfs", "-q", "-f"},
        {"mkfs.btrfs", "-q", "-f"},
        {"mkfs.vfat"},
        {"mkswap"},
    };
    (void) state;
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++) {
        rmt_error_t error = {0};
        rmt_auto_str path = disk_file_make(s_folder, "volume", 320 * MIB);
        const char *arguments[6] = {NULL};
        size_t count = 0;
        while (makers[i][count]) {
            arguments[count] = makers[i][count];
            count++;
        }
        arguments[count] = path;
        RMT_OK(rmt_process_run(arguments, NULL, NULL, &error));
        s_try_reading(path, s_probe);
    }
}

static int
s_refuse_layers(void *context, rmt_error_t *error)
{
    if (rmt_fs_refuse_layers(context, error) == 0)
        return rmt_fail(error, RMT_E_INTERNAL, ANOTHER ": no layer");
    return strstr(error->text, "crypto_LUKS") ? 0 : -1;
}

static void
test_no_failed_call_hides_a_layer(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto_str path = disk_file_make(s_folder, "layer", 8 * MIB);
    RMT_OK(rmt_io_save(path, "LUKS\xba\xbe\0\1", 8, 0600, &error));
    assert_int_equal(truncate(path, (off_t) (8 * MIB)), 0);
    s_refuse(s_refuse_layers, NULL, s_assert_told, path);
}

// Old partitions are wiped by their ranges.
static char *
s_find_partitions(const char *path, rmt_error_t *error)
{
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    rmt_range_t *ranges = NULL;
    size_t count = 0;
    if (fd == -1) {
        rmt_fail_errno(error, "open %s", path);
        return NULL;
    }
    if (rmt_wipe_find_partitions(fd, path, &ranges, &count, error) == -1)
        return NULL;
    free(ranges);
    return rmt_text("%zu", count);
}

static void
test_no_failed_call_hides_old_partitions(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto_str path = disk_file_make(s_folder, "disk", 64 * MIB);
    rmt_auto(rmt_layout) written = s_write(path, &error);
    RMT_OK(written);
    s_try_reading(path, s_find_partitions);
}

// ---- What is wiped

static int
s_wipe(void *context, rmt_error_t *error)
{
    const rmt_range_t whole = {0, 0};
    rmt_auto_fd fd = open(context, O_RDWR | O_CLOEXEC);
    return fd == -1 ? rmt_fail_errno(error, "open %s", (const char *) context)
                    : rmt_wipe_range(fd, context, &whole, error);
}

static void
s_sign(void *context)
{
    rmt_error_t error = {0};
    RMT_OK(rmt_io_save(context, "LUKS\xba\xbe\0\1", 8, 0600, &error));
    assert_int_equal(truncate(context, (off_t) (8 * MIB)), 0);
}

static void
s_assert_wiped(void *context, const refused_t *by)
{
    char head[4] = "";
    rmt_error_t error = {0};
    rmt_auto_fd fd = open(context, O_RDONLY | O_CLOEXEC);
    RMT_OK(rmt_io_pread(fd, head, sizeof head, 0, &error));
    if (by->result == 0 && memcmp(head, "LUKS", 4) == 0)
        fail_msg("call %zu, %ld: the signature is there, and nothing is said", by->number,
                 by->call);
}

static void
test_no_failed_call_of_a_wipe_leaves_a_signature(void **state)
{
    (void) state;
    rmt_auto_str path = disk_file_make(s_folder, "signed", 8 * MIB);
    s_refuse(s_wipe, s_sign, s_assert_wiped, path);
}

// ---- A table that is written

static int
s_write_table(void *context, rmt_error_t *error)
{
    const scene_t *scene = context;
    rmt_auto(rmt_layout) written = s_write(scene->path, error);
    return written ? 0 : -1;
}

static void
s_clear(void *context)
{
    const scene_t *scene = context;
    assert_int_equal(truncate(scene->path, 0), 0);
    assert_int_equal(truncate(scene->path, (off_t) (64 * MIB)), 0);
}

static void
s_assert_written(void *context, const refused_t *by)
{
    const scene_t *scene = context;
    rmt_error_t error = {0};
    if (by->result == -1)
        return;
    rmt_auto_str text = s_read_table(scene->path, &error);
    RMT_OK(text);
    assert_string_equal(text, scene->wanted);
}

static void
test_no_failed_call_of_a_writer_leaves_another_table(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto_str path = disk_file_make(s_folder, "disk", 64 * MIB);
    rmt_auto(rmt_layout) written = s_write(path, &error);
    RMT_OK(written);
    scene_t scene = {.path = path, .wanted = s_read_table(path, &error)};
    s_refuse(s_write_table, s_clear, s_assert_written, &scene);
    free(scene.wanted);
}

// ---- Entries of the firmware

#define GLOBAL "8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define OLD "\7\0\0\0\1\0\0\0\4\0O\0S\0\0\0\x7f\xff\4\0"

static const rmt_nvram_entry_t s_entry = {.label = "debian",
                                          .path = "EFI/debian/shimx64.efi",
                                          .guid = "C3A1F2E4-0B5D-4E6F-8A9B-0C1D2E3F4A5B",
                                          .partition = 15,
                                          .start = 10240,
                                          .sectors = 253952};

static void
s_put(const char *name, const void *data, size_t size)
{
    rmt_error_t error = {0};
    rmt_auto_str path = rmt_text("%s/%s-" GLOBAL, s_folder, name);
    RMT_OK(rmt_io_save(path, data, size, 0644, &error));
}

static void
s_put_firmware(void *context)
{
    (void) context;
    rmt_error_t error = {0};
    RMT_OK(rmt_io_remove_tree(s_folder, &error));
    assert_int_equal(mkdir(s_folder, 0755), 0);
    s_put("Boot0000", OLD, sizeof OLD - 1);
    s_put("BootOrder", "\7\0\0\0\0\0", 6);
}

static int
s_set_entry(void *context, rmt_error_t *error)
{
    (void) context;
    uint16_t number;
    return rmt_nvram_set(s_folder, &s_entry, 1, &number, error);
}

// What the firmware started before is what it starts, or stands behind the new entry.
static void
s_assert_starts(void *context, const refused_t *by)
{
    (void) context;
    rmt_error_t error = {0};
    rmt_auto_str old = rmt_text("%s/Boot0000-" GLOBAL, s_folder);
    rmt_auto_str order = rmt_text("%s/BootOrder-" GLOBAL, s_folder);
    rmt_auto_ptr data = NULL;
    rmt_auto_ptr numbers = NULL;
    size_t size = 0, order_size = 0;
    RMT_OK(rmt_io_load(old, 4096, &data, &size, &error));
    RMT_OK(rmt_io_load(order, 4096, &numbers, &order_size, &error));
    assert_int_equal(size, sizeof OLD - 1);
    assert_memory_equal(data, OLD, size);
    const uint8_t *last = (const uint8_t *) numbers + order_size - 2;
    if (order_size < 6 || last[0] || last[1])
        fail_msg("call %zu, %ld: the order of %zu bytes lost its entry", by->number,
                 by->call, order_size);
    if (by->result == 0)
        assert_int_equal(order_size, 8);
}

static void
test_no_failed_call_takes_away_what_the_firmware_starts(void **state)
{
    (void) state;
    s_refuse(s_set_entry, s_put_firmware, s_assert_starts, NULL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_no_failed_call_reads_another_table),
        CASE(test_no_failed_call_reads_another_file_system),
        CASE(test_no_failed_call_hides_a_layer),
        CASE(test_no_failed_call_hides_old_partitions),
        CASE(test_no_failed_call_of_a_wipe_leaves_a_signature),
        CASE(test_no_failed_call_of_a_writer_leaves_another_table),
        CASE(test_no_failed_call_takes_away_what_the_firmware_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
