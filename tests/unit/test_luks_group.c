// Groups of LVM inside of encrypted partitions, and encrypted logical volumes: what a
// layout says of them, and the sizes that lie on one another.
#include "tools/rmt_test.h"

#include "agent/source/min_size.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "facts/rmt_facts.h"
#include "facts/rmt_layout.h"

#include <stdio.h>
#include <string.h>

#define MIB ((uint64_t) 1024 * 1024)
#define SECTORS (MIB / 512)
// A partition of 100 MiB whose header takes 16; 1 MiB of the rest is LVM's own.
#define HEAD                                                                             \
    "class=disk role=system logical-sector=512 bytes=21474836480 table=gpt%s\n"          \
    "class=partition disk=system number=1 start=2048 size=204800 "                       \
    "type=E6D6D379-F507-44C2-A23C-238F2A3DF928%s\n"
#define CRYPT                                                                            \
    "class=crypt disk=system partition=1 version=2 "                                     \
    "uuid=0c3eb7b4-5f6e-4a8c-9b1d-2f6a7c8d9e01 name=pv cipher=aes-xts-plain64 "          \
    "key-bytes=64 sector-size=%s hash=sha256 pbkdf=argon2id data-start=16777216\n"
#define GROUP                                                                            \
    "class=group name=sys uuid=VVVVVV-0000-0000-0000-0000-0000-VVVVVV "                  \
    "extent-size=4194304\n"                                                              \
    "class=physical disk=system group=sys partition=1 "                                  \
    "uuid=aaaaaa-0000-0000-0000-0000-0000-aaaaaa data-start=%s extents=%s\n"             \
    "class=logical disk=system group=sys name=swap partition=1 "                         \
    "uuid=ssssss-0000-0000-0000-0000-0000-000000 extents=4\n"                            \
    "class=logical disk=system group=sys name=root partition=1 "                         \
    "uuid=rrrrrr-0000-0000-0000-0000-0000-000000 extents=12%s\n"
#define MOUNTED(point)                                                                   \
    "class=volume disk=system partition=0 logical=sys/swap fs=swap\n"                    \
    "class=volume disk=system partition=0 logical=sys/root fs=ext4 mount=" point "\n"
#define VOLUMES MOUNTED("/")

typedef struct {
    const char *disk, *partition; // What their records have more
    const char *sector, *data_start, *extents;
    const char *root, *more; // Of the root's logical volume; further records
    const char *words;       // NULL: it is read
} layout_t;

static const layout_t s_good = {"", "", "512", "1048576", "20", "", VOLUMES, NULL};

static rmt_layout_t *
s_layout(const layout_t *row, rmt_error_t *error)
{
    rmt_auto_str text =
        rmt_text(HEAD CRYPT GROUP "%s", row->disk, row->partition, row->sector,
                 row->data_start, row->extents, row->root, row->more);
    rmt_auto(rmt_records) records = rmt_facts_parse(text, error);
    assert_non_null(records);
    return rmt_layout_read(records, error);
}

// 100 MiB without the header and LVM's own leave 20 extents. [3.60], [3.24]
static void
test_m32_a_group_in_luks_fits_into_what_the_header_leaves(void **state)
{
    (void) state;
    static const layout_t rows[] = {
        {"", "", "512", "1048576", "20", "", VOLUMES, NULL},
        {"", "", "4096", "1048576", "20", "", VOLUMES, NULL},
        {"", "", "512", "1048576", "21", "", VOLUMES, "does not fit into its partition"},
        {"", "", "512", "1048576", "24", "", VOLUMES, "does not fit into its partition"},
        {"", "", "512", "1049088", "20", "", VOLUMES, NULL},
        {"", "", "4096", "1049088", "20", "", VOLUMES, "does not fit into"},
        {" grow=yes", " min-size=100352", "512", "1048576", "20",
         " grow=yes min-extents=4", VOLUMES, NULL},
        {" grow=yes", " min-size=100344", "512", "1048576", "20",
         " grow=yes min-extents=4", VOLUMES, "may shrink below its volumes"},
        {" grow=yes", " min-size=67584", "512", "1048576", "20",
         " grow=yes min-extents=4", VOLUMES, "may shrink below its volumes"},
        {"", "", "512", "1048576", "20", "",
         VOLUMES "class=volume disk=system partition=1 fs=none\n",
         "lies in a physical volume"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_layout) layout = s_layout(&rows[i], &error);
        if (rows[i].words && (layout || !strstr(error.text, rows[i].words)))
            fail_msg("row %zu: '%s' does not say %s", i, error.text, rows[i].words);
        if (!rows[i].words && !layout)
            fail_msg("row %zu: %s", i, error.text);
    }
}

// Places are counted from the start of what is encrypted.
static void
test_m32_volumes_lie_where_the_encrypted_data_have_them(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    layout_t row = s_good;
    row.root = " grow=yes";
    rmt_auto(rmt_layout) layout = s_layout(&row, &error);
    assert_non_null(layout);
    const rmt_layout_physical_t *physical = &layout->physicals[0];
    assert_ptr_equal(rmt_layout_crypt_around(layout, physical), &layout->crypts[0]);
    assert_int_equal(rmt_layout_run(layout, physical, 0, 1).start, MIB);
    assert_int_equal(rmt_layout_extents(layout, physical, 84 * MIB), 20);
    uint64_t first = 99;
    assert_int_equal(rmt_layout_place(layout, &layout->logicals[1], 84 * MIB, &first),
                     12);
    assert_int_equal(rmt_layout_place(layout, &layout->logicals[1], 184 * MIB, &first),
                     12 + 25);
    assert_int_equal(first, 4);
    for (size_t i = 0; i < 2; i++) {
        const rmt_layout_volume_t *volume = &layout->volumes[i];
        assert_null(rmt_layout_crypt_of(layout, volume));
        assert_true(rmt_layout_is_in_crypt(layout, volume, &layout->crypts[0]));
    }
}

// One that begins elsewhere and has a piece in it cannot be read without it either.
static void
test_m32_a_volume_with_a_piece_in_luks_is_encrypted(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_layout) layout = s_layout(&s_good, &error);
    assert_non_null(layout);
    for (size_t i = 0; i < 3; i++) {
        rmt_layout_logical_t *logical = rmt_layout_add_logical(layout, 0);
        const size_t index = layout->logical_count - 1;
        snprintf(logical->name, sizeof logical->name, "far%zu", i);
        logical->partition = 2;
        rmt_layout_piece_t *piece = rmt_layout_add_piece(layout, index);
        piece->partition = 2;
        if (i > 0)
            rmt_layout_add_piece(layout, index)->partition = i;
        rmt_layout_volume_t *volume = rmt_layout_add_volume(layout, 0);
        volume->logical = rmt_text("sys/far%zu", i);
        assert_int_equal(rmt_layout_is_in_crypt(layout, volume, &layout->crypts[0]),
                         i == 1);
    }
}

// What a source says of its smallest target has space for the header too, and is read.
static void
test_m32_the_least_of_a_partition_counts_header_and_group(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_layout) layout = s_layout(&s_good, &error);
    assert_non_null(layout);
    layout->volumes[1].bytes_tree = MIB;
    layout->volumes[1].files = 10;
    rmt_record_set_u64(layout->volumes[1].format, "bytes", 48 * MIB);
    rmt_min_size_set(layout);
    const rmt_layout_logical_t *root = &layout->logicals[1];
    assert_true(layout->disks[0].grow && root->grow);
    assert_true(root->min_extents > 0 && root->min_extents < root->extents);
    assert_int_equal(layout->partitions[0].min_size,
                     (16 + 1 + 4 * (4 + root->min_extents)) * SECTORS);
    RMT_OK(rmt_layout_check(layout, &error));
}

// ---- LUKS on a logical volume; here its group lies in LUKS too

#define INNER(place, cipher, start)                                                      \
    "class=crypt disk=system " place " version=2 "                                       \
    "uuid=7e2f9d10-3b5c-4a68-9f21-c40d8b6a5e93 name=safe cipher=" cipher                 \
    " key-bytes=64 sector-size=4096 hash=sha256 pbkdf=argon2id data-start=" start "\n"
#define ROOT "logical=sys/root"
#define AES "aes-xts-plain64"

// [3.60]
static void
test_m32_encrypted_logical_volumes_are_checked(void **state)
{
    (void) state;
    static const layout_t rows[] = {
        {"", "", "512", "1048576", "20", "", VOLUMES INNER(ROOT, AES, "16777216"), NULL},
        {"", "", "512", "1048576", "20", " min-extents=5 grow=yes",
         VOLUMES INNER(ROOT, AES, "16777216"), NULL},
        {"", "", "512", "1048576", "20", " min-extents=4 grow=yes",
         VOLUMES INNER(ROOT, AES, "16777216"), "sys/root of disk 'system' may shrink"},
        {"", "", "512", "1048576", "20", "",
         VOLUMES INNER("logical=sys/none", AES, "16777216"), "sys/none of disk 'system'"},
        {"", "", "512", "1048576", "20", "",
         VOLUMES INNER("partition=1 " ROOT, AES, "16777216"), "is not there"},
        {"", "", "512", "1048576", "20", "", VOLUMES INNER("", AES, "16777216"),
         "is not there"},
        {"", "", "512", "1048576", "20", "",
         VOLUMES INNER("logical=sys/swap", AES, "16777216"), "sectors or a start"},
        {"", "", "512", "1048576", "20", "", VOLUMES INNER(ROOT, AES, "4194816"),
         "sectors or a start"},
        {"", "", "512", "1048576", "20", "",
         VOLUMES INNER(ROOT, "aes-cbc-essiv:sha256", "16777216"),
         "logical volume sys/root of disk 'system' is encrypted by aes-cbc-essiv:sha256"},
        {"", "", "512", "1048576", "20", "",
         VOLUMES INNER(ROOT, AES, "16777216") INNER(ROOT, AES, "16777216"),
         "there twice"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_layout) layout = s_layout(&rows[i], &error);
        if (rows[i].words && (layout || !strstr(error.text, rows[i].words)))
            fail_msg("row %zu: '%s' does not say %s", i, error.text, rows[i].words);
        if (!rows[i].words && !layout)
            fail_msg("row %zu: %s", i, error.text);
    }
}

// Its volume is told from others of its group, and gets what its own header leaves.
static void
test_m32_a_volume_in_luks_on_a_logical_one_is_smaller_by_the_header(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    layout_t row = s_good;
    // Of a root the files of the first boot would be counted.
    row.more = MOUNTED("/srv") INNER(ROOT, AES, "16777216");
    rmt_auto(rmt_layout) layout = s_layout(&row, &error);
    row.more = MOUNTED("/srv");
    rmt_auto(rmt_layout) plain = s_layout(&row, &error);
    assert_true(layout && plain);
    const rmt_layout_volume_t *swap = &layout->volumes[0], *root = &layout->volumes[1];
    assert_null(rmt_layout_crypt_of(layout, swap));
    assert_ptr_equal(rmt_layout_crypt_of(layout, root), &layout->crypts[1]);
    assert_true(rmt_layout_is_in_crypt(layout, root, &layout->crypts[1]));
    assert_true(rmt_layout_is_in_crypt(layout, root, &layout->crypts[0]));
    assert_false(rmt_layout_is_in_crypt(layout, swap, &layout->crypts[1]));
    assert_int_equal(rmt_layout_crypt_rest(layout, root, 48 * MIB), 32 * MIB);
    assert_int_equal(rmt_layout_crypt_rest(layout, root, MIB), 0);
    assert_int_equal(rmt_layout_crypt_rest(layout, swap, 16 * MIB), 16 * MIB);
    rmt_min_size_set(layout);
    rmt_min_size_set(plain);
    assert_int_equal(layout->logicals[1].min_extents, plain->logicals[1].min_extents + 4);
    RMT_OK(rmt_layout_check(layout, &error));
    rmt_auto(rmt_records) records = rmt_records_new();
    rmt_layout_write(layout, records);
    rmt_auto_str text = rmt_facts_print(records);
    assert_non_null(strstr(text, "class=crypt disk=system logical=sys/root version=2"));
    rmt_auto(rmt_layout) again = rmt_layout_read(records, &error);
    RMT_OK(again);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_m32_a_group_in_luks_fits_into_what_the_header_leaves),
        cmocka_unit_test(test_m32_volumes_lie_where_the_encrypted_data_have_them),
        cmocka_unit_test(test_m32_a_volume_with_a_piece_in_luks_is_encrypted),
        cmocka_unit_test(test_m32_the_least_of_a_partition_counts_header_and_group),
        cmocka_unit_test(test_m32_encrypted_logical_volumes_are_checked),
        cmocka_unit_test(
            test_m32_a_volume_in_luks_on_a_logical_one_is_smaller_by_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
