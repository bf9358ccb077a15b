// Encrypted partitions: what cryptsetup says of a header, what lies in its data, layouts
// with them, and passphrases in sealed boxes (M32).
#include "tools/rmt_test.h"

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_random.h"
#include "crypto/rmt_box.h"
#include "crypto/rmt_secret.h"
#include "disk/rmt_crypt.h"
#include "disk/rmt_luks.h"
#include "facts/rmt_facts.h"
#include "facts/rmt_layout.h"
#include "tools/root_tree.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define UUID "b7e7de3f-8a1c-41fe-b2cb-e263db2d89c8"
#define HEAD "LUKS header information\nVersion:       \t2\nUUID:          \t" UUID "\n"
#define REST                                                                             \
    "Subsystem:     \t(no subsystem)\nFlags:       \t(no flags)\n\n"                     \
    "Data segments:\n  0: crypt\n\toffset: 16777216 [bytes]\n\tlength: (whole device)\n" \
    "\tcipher: aes-xts-plain64\n\tsector: 4096 [bytes]\n"
#define SLOTS                                                                            \
    "\nKeyslots:\n  0: luks2\n\tKey:        512 bits\n\tPBKDF:      argon2id\n"          \
    "\tMemory:     1024\n\tAF hash:    sha512\n"
#define DIGESTS "Digests:\n  0: pbkdf2\n\tHash:       sha256\n"
#define ONE                                                                              \
    "LUKS header information for /dev/vda3\n\nVersion:       \t1\nCipher name:   "       \
    "\taes\n"                                                                            \
    "Cipher mode:   \txts-plain64\nHash spec:     \tsha256\nPayload offset:\t4096\n"     \
    "MK bits:       \t512\nMK digest:     \te1 3c 8b\nUUID:          \t" UUID "\n\n"
#define FIRST "Key Slot 0: ENABLED\n\tIterations:         \t1000\nKey Slot 1: DISABLED\n"

static void
test_m32_a_header_is_read_as_cryptsetup_shows_it(void **state)
{
    (void) state;
    static const struct {
        const char *dump;
        uint64_t version, data_start, sector;
        const char *label, *hash, *pbkdf;
        size_t told;
    } rows[] = {
        {HEAD "Label:         \tlab disk\n" REST SLOTS "Tokens:\n" DIGESTS, 2, 16777216,
         4096, "lab disk", "sha512", "argon2id", 0},
        {HEAD "Label:         \t(no label)\n" REST SLOTS
              "  1: luks2\n\tKey:        256 bits\n\tPBKDF:      pbkdf2\n"
              "Tokens:\n  0: systemd-tpm2\n\tKeyslot:    1\n" DIGESTS,
         2, 16777216, 4096, NULL, "sha512", "argon2id", 2},
        {ONE FIRST, 1, 2097152, 512, NULL, "sha256", "pbkdf2", 0},
        {ONE FIRST "Key Slot 2: ENABLED\n", 1, 2097152, 512, NULL, "sha256", "pbkdf2", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_layout) layout = rmt_layout_new();
        (void) rmt_layout_add_disk(layout, "system");
        rmt_layout_crypt_t *crypt = rmt_layout_add_crypt(layout, 0);
        rmt_auto(rmt_records) told = rmt_records_new();
        RMT_OK(rmt_luks_parse(rows[i].dump, "partition 3", crypt, told, &error));
        assert_int_equal(crypt->version, rows[i].version);
        assert_int_equal(crypt->data_start, rows[i].data_start);
        assert_int_equal(crypt->sector, rows[i].sector);
        assert_int_equal(crypt->key_bytes, 64);
        assert_string_equal(crypt->cipher, "aes-xts-plain64");
        assert_string_equal(crypt->uuid, UUID);
        assert_string_equal(crypt->label ? crypt->label : "",
                            rows[i].label ? rows[i].label : "");
        assert_string_equal(crypt->hash, rows[i].hash);
        assert_string_equal(crypt->pbkdf, rows[i].pbkdf);
        assert_int_equal(rmt_records_count(told), rows[i].told);
    }
}

static void
test_m32_headers_that_a_copy_cannot_have_are_refused_by_name(void **state)
{
    (void) state;
    static const struct {
        const char *dump, *words;
    } rows[] = {
        {"", "parts that ramet does not know"},
        {HEAD REST "Keyslots:\nTokens:\n", "no passphrase"},
        {HEAD "Requirements:  \tonline-reencrypt\n" REST SLOTS, "not complete"},
        {HEAD "Data segments:\n  0: crypt\n\toffset: 16777216 [bytes]\n"
              "\tlength: 4096 [bytes]\n\tcipher: aes-xts-plain64\n" SLOTS,
         "ends before"},
        {HEAD REST "\tintegrity: hmac(sha256)\n" SLOTS, "dm-integrity"},
        {HEAD REST "  1: crypt\n" SLOTS, "several"},
        {HEAD "Data segments:\n  0: linear\n" SLOTS, "segments"},
        {HEAD "Data segments:\n  0: crypt\n\toffset: 16777216 [bytes]\n"
              "\tcipher: serpent-xts-plain64\n" SLOTS,
         "serpent-xts-plain64"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_layout) layout = rmt_layout_new();
        (void) rmt_layout_add_disk(layout, "system");
        rmt_layout_crypt_t *crypt = rmt_layout_add_crypt(layout, 0);
        rmt_auto(rmt_records) told = rmt_records_new();
        RMT_FAILS(rmt_luks_parse(rows[i].dump, "partition 3", crypt, told, &error),
                  RMT_E_UNSUPPORTED);
        if (!strstr(error.text, rows[i].words))
            fail_msg("'%s' does not say %s", error.text, rows[i].words);
    }
}

// ---- What lies in it

// That others read it, tests/outside/test_luks.sh and tests/qemu/test_luks.sh show.
static void
test_m32_any_range_is_written_and_read_in_sectors_of_any_size(void **state)
{
    (void) state;
    static const uint32_t sectors[] = {512, 4096};
    const size_t bytes = 1 << 19, start = 8192;
    rmt_auto_ptr memory = malloc(2 * bytes);
    uint8_t *wanted = memory, *seen = wanted + bytes;
    uint8_t key[64];
    for (size_t s = 0; s < 2; s++) {
        rmt_random_bytes(key, sizeof key);
        rmt_random_bytes(wanted, bytes);
        const int fd = memfd_create("disk", MFD_CLOEXEC);
        assert_int_equal(ftruncate(fd, (off_t) (start + bytes)), 0);
        const rmt_crypt_setup_t setup = {fd, start, bytes, sectors[s], key, sizeof key};
        rmt_auto(rmt_crypt) crypt = rmt_crypt_new(&setup);
        const rmt_fuse_blocks_t blocks = rmt_crypt_blocks(crypt);
        assert_int_equal(blocks.write(blocks.self, wanted, bytes, 0), 0);
        // Pieces that begin and end inside of sectors, longer ones than its memory too.
        static const size_t cuts[][2] = {{0, 1},       {511, 2},         {4000, 200},
                                         {4096, 4096}, {100000, 150001}, {524287, 1}};
        for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
            rmt_random_bytes(wanted + cuts[i][0], cuts[i][1]);
            assert_int_equal(
                blocks.write(blocks.self, wanted + cuts[i][0], cuts[i][1], cuts[i][0]),
                0);
            memset(seen, 0, bytes);
            assert_int_equal(
                blocks.read(blocks.self, seen + cuts[i][0], cuts[i][1], cuts[i][0]), 0);
            assert_memory_equal(seen + cuts[i][0], wanted + cuts[i][0], cuts[i][1]);
        }
        assert_int_equal(blocks.read(blocks.self, seen, bytes, 0), 0);
        assert_memory_equal(seen, wanted, bytes);
        assert_int_equal(pread(fd, seen, bytes, (off_t) start), (ssize_t) bytes);
        assert_memory_not_equal(seen, wanted, 4096);
        assert_int_equal(blocks.flush(blocks.self), 0);
        close(fd);
    }
}

// ---- Layouts

#define LAYOUT                                                                           \
    "class=disk role=system logical-sector=512 bytes=21474836480 table=gpt\n"            \
    "class=partition disk=system number=2 start=2048 size=204800 "                       \
    "type=CA7D7CCB-63ED-4C53-861C-1742536059CC%s\n"                                      \
    "class=volume disk=system partition=2 fs=%s mount=/\n"
#define CRYPT                                                                            \
    "class=crypt disk=system partition=%s version=%s uuid=" UUID                         \
    " name=data cipher=%s key-bytes=%s sector-size=%s hash=sha256 pbkdf=%s "             \
    "data-start=%s\n"

typedef struct {
    const char *fs, *partition, *version, *cipher, *bytes, *sector, *pbkdf, *start;
    const char *words; // NULL: it is read
} layout_t;

// more: of the partition.
static rmt_layout_t *
s_layout(const layout_t *row, const char *more, rmt_error_t *error)
{
    rmt_auto_str text =
        rmt_text(LAYOUT CRYPT, more, row->fs, row->partition, row->version, row->cipher,
                 row->bytes, row->sector, row->pbkdf, row->start);
    rmt_auto(rmt_records) records = rmt_facts_parse(text, error);
    assert_non_null(records);
    return rmt_layout_read(records, error);
}

#define AES "aes-xts-plain64"
static const layout_t s_good = {"ext4", "2",        "2",        AES, "64",
                                "4096", "argon2id", "16777216", NULL};

// [3.60]
static void
test_m32_layouts_with_encryption_are_checked(void **state)
{
    (void) state;
    static const layout_t rows[] = {
        {"ext4", "2", "1", AES, "32", "512", "pbkdf2", "2097152", NULL},
        {"swap", "2", "2", AES, "64", "512", "argon2i", "16777216", NULL},
        {"ext4", "3", "2", AES, "64", "512", "argon2i", "16777216", "not there"},
        {"ext4", "2", "1", AES, "64", "512", "argon2id", "2097152", "pbkdf"},
        {"ext4", "2", "1", AES, "64", "4096", "pbkdf2", "2097152", "sectors"},
        {"ext4", "2", "2", AES, "64", "4096", "pbkdf2", "2097664", "sectors"},
        {"ext4", "2", "2", AES, "64", "512", "pbkdf2", "104857600", "sectors"},
        {"ext4", "2", "2", "aes-cbc-essiv:sha256", "32", "512", "pbkdf2", "16777216",
         "aes-cbc-essiv:sha256"},
        {"ext4", "2", "2", AES, "48", "512", "pbkdf2", "16777216", "48 bytes"},
        {"raw", "2", "2", AES, "64", "512", "pbkdf2", "16777216", "raw"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_layout) layout = s_layout(&rows[i], "", &error);
        if (rows[i].words && (layout || !strstr(error.text, rows[i].words)))
            fail_msg("row %zu: '%s' does not say %s", i, error.text, rows[i].words);
        if (!rows[i].words && !layout)
            fail_msg("row %zu: %s", i, error.text);
    }
}

// On the smallest target luksFormat takes the partition too. [3.60]
static void
test_m32_an_encrypted_partition_shrinks_to_whole_sectors_of_its_data(void **state)
{
    (void) state;
    static const struct {
        const char *sector, *more;
        bool is_refused;
    } rows[] = {{"4096", " min-size=32776", false},
                {"4096", " min-size=32768", true}, // The header alone
                {"4096", " min-size=40001", true},
                {"512", " min-size=40001", false},
                {"512", " min-size=1", true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        layout_t row = s_good;
        row.sector = rows[i].sector;
        rmt_auto(rmt_layout) layout = s_layout(&row, rows[i].more, &error);
        if (rows[i].is_refused ? layout || !strstr(error.text, "may shrink") : !layout)
            fail_msg("row %zu: '%s'", i, error.text);
    }
}

static void
test_m32_a_layout_with_encryption_is_written_as_it_was_read(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_layout) layout = s_layout(&s_good, "", &error);
    assert_non_null(layout);
    rmt_auto(rmt_records) records = rmt_records_new();
    rmt_layout_write(layout, records);
    rmt_auto_str once = rmt_facts_print(records);
    rmt_auto(rmt_layout) again = rmt_layout_read(records, &error);
    assert_non_null(again);
    rmt_auto(rmt_records) twice = rmt_records_new();
    rmt_layout_write(again, twice);
    rmt_auto_str text = rmt_facts_print(twice);
    assert_string_equal(once, text);
    assert_non_null(strstr(once, "class=crypt disk=system partition=2 version=2"));
    assert_int_equal(rmt_layout_crypt_bytes(layout, 0, 2), 16777216);
    assert_int_equal(rmt_layout_crypt_bytes(layout, 0, 1), 0);
}

// ---- What is open

static void
test_m32_the_mapping_that_is_open_on_a_device_is_found(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_luks_open_t opened;
    root_tree_put("class/block/null/size", "1");
    RMT_OK(rmt_luks_find_open(root_tree_path(), "/dev/null", &opened, &error));
    assert_null(opened.name);
    root_tree_put("class/block/null/holders/dm-0/dev", "253:0");
    root_tree_put("class/block/dm-0/dm/uuid", "LVM-abc\n");
    root_tree_put("class/block/null/holders/dm-1/dev", "253:1");
    root_tree_put("class/block/dm-1/dm/uuid", "CRYPT-LUKS2-b7e7de3f-data\n");
    root_tree_put("class/block/dm-1/dm/name", "data\n");
    RMT_OK(rmt_luks_find_open(root_tree_path(), "/dev/null", &opened, &error));
    assert_string_equal(opened.name, "data");
    assert_string_equal(opened.device, "/dev/dm-1");
    assert_string_equal(opened.uuid, "b7e7de3f");
    rmt_luks_open_clear(&opened);
    root_tree_put("class/block/dm-1/dm/uuid", "CRYPT-PLAIN-swap\n");
    RMT_OK(rmt_luks_find_open(root_tree_path(), "/dev/null", &opened, &error));
    assert_string_equal(opened.name, "data");
    assert_null(opened.uuid);
    rmt_luks_open_clear(&opened);
    RMT_FAILS(rmt_luks_find_open(root_tree_path(), "/dev/nothing", &opened, &error),
              RMT_E_NOT_FOUND);
}

// ---- Passphrases

static void
test_e7_a_sealed_passphrase_opens_for_its_key_alone(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_key_t own, other;
    RMT_OK(rmt_key_new(&own, &error));
    RMT_OK(rmt_key_new(&other, &error));
    char *made = rmt_box_passphrase(), *second = rmt_box_passphrase();
    RMT_OK(rmt_box_check_passphrase(made, &error));
    assert_int_equal(strlen(made), 29);
    assert_string_not_equal(made, second);
    rmt_auto_str box = rmt_box_seal(own.public_text, made);
    assert_null(strstr(box, made));
    char *back = rmt_box_open(&own, box, &error);
    assert_non_null(back);
    assert_string_equal(back, made);
    rmt_secret_free(&back);
    assert_null(rmt_box_open(&other, box, &error));
    assert_int_equal(error.code, RMT_E_NOT_ALLOWED);
    box[9] = box[9] == '0' ? '1' : '0';
    assert_null(rmt_box_open(&own, box, &error));
    assert_null(rmt_box_open(&own, "", &error));
    assert_null(rmt_box_open(&own, "xyz", &error));
    rmt_secret_free(&made);
    rmt_secret_free(&second);
}

static void
test_a_passphrase_that_nobody_can_type_is_refused(void **state)
{
    (void) state;
    static const char *const bad[] = {"", "seven77", "two\nlines of it", "a\ttab in it"};
    rmt_error_t error = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        RMT_FAILS(rmt_box_check_passphrase(bad[i], &error), RMT_E_CONFIG);
    RMT_OK(rmt_box_check_passphrase("eight888", &error));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_m32_a_header_is_read_as_cryptsetup_shows_it),
        cmocka_unit_test(test_m32_headers_that_a_copy_cannot_have_are_refused_by_name),
        cmocka_unit_test(test_m32_any_range_is_written_and_read_in_sectors_of_any_size),
        cmocka_unit_test(test_m32_layouts_with_encryption_are_checked),
        cmocka_unit_test(
            test_m32_an_encrypted_partition_shrinks_to_whole_sectors_of_its_data),
        cmocka_unit_test(test_m32_a_layout_with_encryption_is_written_as_it_was_read),
        cmocka_unit_test_setup_teardown(
            test_m32_the_mapping_that_is_open_on_a_device_is_found, root_tree_setup,
            root_tree_teardown),
        cmocka_unit_test(test_e7_a_sealed_passphrase_opens_for_its_key_alone),
        cmocka_unit_test(test_a_passphrase_that_nobody_can_type_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
