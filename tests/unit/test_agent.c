// The parts of the agent that decide: what an order means on this machine, when a go is
// void, what is left out of a capture.
#include "tools/rmt_test.h"

#include "agent/agent.h"
#include "agent/install/bundle.h"
#include "agent/source/default_layout.h"
#include "agent/source/excludes.h"
#include "agent/source/profile.h"
#include "agent/install/order.h"
#include "agent/install/prepare.h"
#include "agent/source/compare.h"
#include "base/rmt_auto.h"
#include "wire/rmt_codec.h"
#include "base/rmt_io.h"
#include "agent/disk_tools/subvolume.h"
#include "agent/install/gate.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE                                                                            \
    "01"                                                                                 \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"                                                   \
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define DISK_BYTES ((uint64_t) 600 * 1024 * 1024)

// ---- Layouts

static rmt_layout_t *
s_layout(void)
{
    rmt_layout_t *layout = rmt_layout_new();
    (void) rmt_layout_add_disk(layout, "system");
    return layout;
}

// A volume, and its partition unless it is there or has no number.
static rmt_layout_volume_t *
s_add_volume(rmt_layout_t *layout, uint64_t number, const char *uuid)
{
    if (number && !rmt_layout_find_partition(layout, 0, number))
        rmt_layout_add_partition(layout, 0)->number = number;
    rmt_layout_volume_t *volume = rmt_layout_add_volume(layout, 0);
    volume->partition = number;
    rmt_record_set(volume->format, "uuid", uuid);
    return volume;
}

// ---- Excludes

static bool
s_has(const rmt_excludes_t *excludes, const char *glob)
{
    const char *const *list = rmt_excludes_list(excludes);
    for (size_t i = 0; list[i]; i++)
        if (strcmp(list[i], glob) == 0)
            return true;
    return false;
}

static void
test_capture_leaves_out_own_files_and_borders(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    char path[] = "/tmp/test-agent-XXXXXX";
    rmt_auto_fd fd = mkstemp(path);
    static const char text[] =
        "brokers = \"b\"\nroot = \"/srv/golden\"\n"
        "key = \"/srv/golden/keys/a.key\"\nstate = \"/var/lib/s\"\n"
        "layout = \"/srv/golden.facts\"\n";
    RMT_OK(rmt_io_write(fd, text, strlen(text), &error));
    rmt_auto(rmt_config) config = rmt_config_new(RMT_AGENT_ROWS, path, &error);
    RMT_OK(config);
    (void) unlink(path);
    rmt_error_t why = {0};
    rmt_auto(rmt_records) rules =
        rmt_profile_parse("class=profile version=1\nclass=leave path=/swap what=swap\n"
                          "class=key path=/private what=tls\n",
                          "test", &why);
    assert_non_null(rules);
    rmt_auto(rmt_layout) layout = s_layout();
    s_add_volume(layout, 1, "")->mount = rmt_text("/");
    s_add_volume(layout, 2, "")->mount = rmt_text("/home");
    rmt_auto(rmt_excludes) root =
        rmt_excludes_new(config, "*.tmp\n/home/x/cache\nvar/log/*", rules, layout, "/");
    assert_true(s_has(root, "/swap"));
    assert_false(s_has(root, "/private"));
    assert_true(s_has(root, "/etc/ramet"));
    assert_true(s_has(root, "/usr/lib/ramet"));
    assert_true(s_has(root, "/var/lib/ramet"));
    assert_true(s_has(root, "/etc/systemd/system/ramet-agent.service"));
    assert_true(
        s_has(root, "/etc/systemd/system/multi-user.target.wants/ramet-agent.service"));
    assert_true(s_has(root, "/keys/a.key"));
    assert_true(s_has(root, "/var/lib/s"));
    assert_true(s_has(root, "*.tmp"));
    assert_true(s_has(root, "/var/log/*"));
    assert_true(s_has(root, "/home/*"));
    rmt_auto(rmt_excludes) home = rmt_excludes_new(
        config, "*.tmp\n/home/x/cache\nvar/log/*", rules, layout, "/home");
    assert_false(s_has(home, "/swap"));
    assert_true(s_has(home, "*.tmp"));
    assert_true(s_has(home, "/x/cache"));
    assert_false(s_has(home, "/var/log/*"));
    assert_false(s_has(home, "/*"));
}

static void
test_capture_of_a_disk_takes_what_lies_beneath_mount_points(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    char path[] = "/tmp/test-agent-XXXXXX";
    rmt_auto_fd fd = mkstemp(path);
    static const char text[] = "brokers = \"b\"\nroot = \"/\"\n";
    RMT_OK(rmt_io_write(fd, text, strlen(text), &error));
    rmt_auto(rmt_config) config = rmt_config_new(RMT_AGENT_ROWS, path, &error);
    RMT_OK(config);
    (void) unlink(path);
    rmt_auto(rmt_records) rules = rmt_records_new();
    rmt_auto(rmt_layout) layout = s_layout();
    s_add_volume(layout, 1, "")->mount = rmt_text("/");
    s_add_volume(layout, 2, "")->mount = rmt_text("/home");
    rmt_auto(rmt_excludes) root = rmt_excludes_new(config, "", rules, layout, "/");
    assert_false(s_has(root, "/home/*"));
    assert_true(s_has(root, "/var/lib/ramet"));
}

// ---- Orders

// The packed order of a disk of so many bytes, as the engine sends it.
static rmt_order_t *
s_order(uint64_t bytes)
{
    rmt_error_t error = {0};
    rmt_id_t image;
    RMT_OK(rmt_id_parse(&image, IMAGE, &error));
    rmt_auto(rmt_order) sent = rmt_order_new(&image, "n1", "paris");
    rmt_layout_destroy(&sent->layout);
    sent->layout = rmt_default_layout_new("golden", NULL);
    rmt_layout_volume_t *volume = &sent->layout->volumes[0];
    volume->has_root = true;
    volume->root = image;
    volume->files = 10;
    volume->bytes_tree = 1000;
    rmt_default_layout_settle(sent->layout);
    rmt_auto(rmt_record) choice = rmt_record_new();
    rmt_record_set(choice, "class", "choice");
    rmt_record_set(choice, "role", "system");
    rmt_record_set(choice, "disk", "S1");
    rmt_record_set_u64(choice, "bytes", bytes);
    RMT_OK(rmt_order_add_choice(sent, choice, &error));
    rmt_auto(rmt_records) records = rmt_order_write(sent, &error);
    if (!records)
        fail_msg("%s", error.text);
    rmt_auto(zchunk) packed = rmt_codec_pack_records(records);
    rmt_order_t *order =
        rmt_order_unpack(zchunk_data(packed), zchunk_size(packed), &error);
    if (!order)
        fail_msg("%s", error.text);
    return order;
}

static rmt_records_t *
s_hardware(const char *first, const char *second)
{
    rmt_records_t *hardware = rmt_records_new();
    for (int i = 0; i < 2; i++) {
        const char *serial = i ? second : first;
        if (!serial)
            continue;
        rmt_record_t *disk = rmt_records_add(hardware);
        rmt_record_set(disk, "class", "disk");
        rmt_record_set(disk, "serial", serial);
    }
    return hardware;
}

static void
test_plan_differs_by_order_and_start(void **state)
{
    (void) state;
    const uint8_t one[16] = {1}, two[16] = {2};
    rmt_id_t a, b, c, again;
    rmt_order_plan("x", 1, one, &a);
    rmt_order_plan("x", 1, two, &b);
    rmt_order_plan("y", 1, one, &c);
    rmt_order_plan("x", 1, one, &again);
    assert_false(rmt_id_equal(&a, &b));
    assert_false(rmt_id_equal(&a, &c));
    assert_true(rmt_id_equal(&a, &again));
}

static void
test_two_disks_of_one_identity_are_both_named(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_order) order = s_order(DISK_BYTES);
    rmt_auto(rmt_records) hardware = s_hardware("S1", "S1");
    rmt_record_set(rmt_records_at(hardware, 0), "name", "sda");
    rmt_record_set(rmt_records_at(hardware, 0), "path", "pci-1");
    rmt_record_set(rmt_records_at(hardware, 1), "name", "sdb");
    RMT_FAILS(rmt_prepare_disks(order, hardware, &error), RMT_E_INCOMPATIBLE);
    assert_non_null(strstr(error.text, "sda (pci-1) and sdb (without a path)"));
}

static void
test_a_disk_of_other_sectors_is_refused_with_both_sizes(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    char path[] = "/tmp/test-agent-XXXXXX";
    rmt_auto_fd fd = mkstemp(path);
    assert_int_equal(ftruncate(fd, (off_t) DISK_BYTES), 0);
    rmt_auto(rmt_order) order = s_order(DISK_BYTES);
    rmt_auto(rmt_records) hardware = s_hardware("S1", NULL);
    rmt_record_set(rmt_records_at(hardware, 0), "logical-sector", "4096");
    rmt_record_set(rmt_records_at(hardware, 0), "name", path);
    assert_null(rmt_prepare_disks(order, hardware, &error));
    (void) unlink(path);
    assert_int_equal(error.code, RMT_E_INCOMPATIBLE);
    assert_non_null(strstr(error.text, "sectors of 4096 bytes"));
    assert_non_null(strstr(error.text, "sectors of 512"));
}

// P7: Each row: the machine's disks, the size that is ordered, and what becomes of it.
static void
test_only_the_one_disk_that_was_meant_is_taken(void **state)
{
    (void) state;
    static const struct {
        const char *first, *second;
        uint64_t ordered, real;
        rmt_code_t code;
    } rows[] = {
        {"S1", NULL, DISK_BYTES, DISK_BYTES, RMT_E_OK},
        {"S1", "S2", DISK_BYTES, DISK_BYTES, RMT_E_OK},
        {"S2", NULL, DISK_BYTES, DISK_BYTES, RMT_E_INCOMPATIBLE},
        {NULL, NULL, DISK_BYTES, DISK_BYTES, RMT_E_INCOMPATIBLE},
        {"S1", "S1", DISK_BYTES, DISK_BYTES, RMT_E_INCOMPATIBLE},
        {"S1", NULL, DISK_BYTES, DISK_BYTES * 2, RMT_E_INCOMPATIBLE},
        {"S1", NULL, 4096, 4096, RMT_E_NO_SPACE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        char path[] = "/tmp/test-agent-XXXXXX";
        rmt_auto_fd fd = mkstemp(path);
        assert_int_equal(ftruncate(fd, (off_t) rows[i].real), 0);
        rmt_auto(rmt_order) order = s_order(rows[i].ordered);
        rmt_auto(rmt_records) hardware = s_hardware(rows[i].first, rows[i].second);
        for (size_t j = 0; j < rmt_records_count(hardware); j++)
            rmt_record_set(rmt_records_at(hardware, j), "name", path);
        rmt_auto(rmt_records) disks = rmt_prepare_disks(order, hardware, &error);
        assert_int_equal(error.code, rows[i].code);
        assert_int_equal(disks != NULL, rows[i].code == RMT_E_OK);
        (void) unlink(path);
    }
}

// ---- Go

typedef struct {
    rmt_gate_t *gate;
    rmt_gate_plan_t plan; // What was prepared last
    char plan_text[RMT_ID_TEXT_SIZE], nonce_text[33];
} gate_t;

static void
s_prepare_order(gate_t *self, const char *order)
{
    rmt_error_t error = {0};
    RMT_OK(rmt_gate_prepare(self->gate, order, strlen(order), &self->plan, &error));
    (void) rmt_id_text(&self->plan.plan, self->plan_text);
    (void) rmt_uid_text(self->plan.nonce, self->nonce_text);
}

// A GO that names what was prepared last: its code, and its key as text.
static rmt_code_t
s_go(const gate_t *self, const char *order, rmt_fence_t fence, rmt_key_t *key_out)
{
    rmt_error_t error = {0};
    const rmt_go_t go = {.order = order,
                         .size = strlen(order),
                         .plan = self->plan_text,
                         .nonce = self->nonce_text,
                         .fence = fence};
    (void) rmt_gate_go(self->gate, &go, key_out, &error);
    return error.code;
}

// [1.25] P6: the machine decides, not the broker.
static void
test_go_is_void_for_another_plan_or_an_older_fence(void **state)
{
    (void) state;
    const uint8_t nonce[RMT_UID_SIZE] = {1};
    rmt_auto(rmt_gate) gate = rmt_gate_new(nonce);
    gate_t self = {.gate = gate};
    rmt_key_t key;
    const rmt_fence_t now = {2, 7, 1}, next_attempt = {2, 7, 2};
    assert_int_equal(s_go(&self, "plan", now, &key), RMT_E_FENCED);
    s_prepare_order(&self, "plan");
    const rmt_gate_plan_t first = self.plan;
    s_prepare_order(&self, "plan");
    assert_string_equal(first.key.public_text, self.plan.key.public_text);
    assert_int_equal(s_go(&self, "other", now, &key), RMT_E_FENCED);
    assert_int_equal(s_go(&self, "plan", now, &key), RMT_E_OK);
    assert_string_equal(first.key.secret_text, key.secret_text);
    assert_int_equal(s_go(&self, "plan", next_attempt, &key), RMT_E_OK);
    const rmt_fence_t older[] = {{2, 7, 1}, {2, 6, 9}, {1, 9, 9}};
    for (size_t i = 0; i < sizeof older / sizeof *older; i++)
        assert_int_equal(s_go(&self, "plan", older[i], &key), RMT_E_FENCED);
    // The one that was prepared last counts, and none before it.
    const gate_t before = self;
    const rmt_fence_t latest = {2, 8, 1};
    s_prepare_order(&self, "next");
    assert_int_equal(s_go(&before, "plan", latest, &key), RMT_E_FENCED);
    assert_int_equal(s_go(&self, "next", latest, &key), RMT_E_OK);
}

// [1.47] P6: a new life is another nonce, voids what was prepared, and forgets no fence.
static void
test_a_new_life_voids_each_go_of_the_one_before(void **state)
{
    (void) state;
    const uint8_t nonce[RMT_UID_SIZE] = {1};
    rmt_auto(rmt_gate) gate = rmt_gate_new(nonce);
    gate_t self = {.gate = gate};
    rmt_key_t key;
    const rmt_fence_t fence = {1, 7, 1}, newer = {1, 7, 2}, older = {1, 6, 1};
    s_prepare_order(&self, "plan");
    const gate_t before = self;
    assert_memory_equal(self.plan.nonce, nonce, RMT_UID_SIZE);
    assert_int_equal(s_go(&self, "plan", fence, &key), RMT_E_OK);
    rmt_gate_renew(gate);
    uint8_t life[RMT_UID_SIZE];
    rmt_gate_life(gate, life);
    assert_memory_not_equal(life, nonce, RMT_UID_SIZE);
    assert_int_equal(s_go(&before, "plan", newer, &key), RMT_E_FENCED);
    s_prepare_order(&self, "plan");
    assert_memory_equal(self.plan.nonce, life, RMT_UID_SIZE);
    assert_string_not_equal(self.plan.key.public_text, before.plan.key.public_text);
    assert_int_equal(s_go(&before, "plan", newer, &key), RMT_E_FENCED);
    assert_int_equal(s_go(&self, "plan", older, &key), RMT_E_FENCED);
    assert_int_equal(s_go(&self, "plan", newer, &key), RMT_E_OK);
}

// ---- First boot

static void
test_bundle_holds_program_loader_and_libraries(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_records) files = rmt_bundle_files(&error);
    RMT_OK(files);
    bool has_libc = false;
    for (size_t i = 0; i < rmt_records_count(files); i++) {
        const rmt_record_t *file = rmt_records_at(files, i);
        assert_int_equal(access(rmt_record_text(file, "from", ""), R_OK), 0);
        has_libc =
            has_libc || strcmp(rmt_record_text(file, "name", ""), "libc.so.6") == 0;
    }
    assert_true(has_libc);
    rmt_auto_str command = rmt_bundle_command(files);
    assert_non_null(strstr(command, "/usr/lib/ramet/firstboot/ld-"));
}

// M7: what differs on each machine by intent is told apart from drift.
static void
test_drift_is_what_is_on_no_list(void **state)
{
    (void) state;
    static const struct {
        const char *path;
        bool is_personal;
    } rows[] = {
        {"etc/hostname", true},
        {"etc/machine-id", true},
        {"etc/ssh/ssh_host_rsa_key", true},
        {"usr/lib/ramet/firstboot/agent", true},
        {"etc/passwd", false},
        {"etc/ssh/sshd_config", false},
        {"usr/bin/hostname", false},
        {"", false},
        {"home/etc/hostname", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(rmt_compare_is_personal(rows[i].path), rows[i].is_personal);
}

// M4: the root of a subvolume is compared with the subvolume, not in the tree above it.
static void
test_the_place_of_a_subvolume_is_known_in_the_tree_above(void **state)
{
    (void) state;
    static const struct {
        uint64_t partition;
        const char *subvolume;
    } made[] = {
        {2, ""},      {2, "@"},  {2, "@home"}, {2, "@/var/lib/portables"},
        {3, "@data"}, {4, NULL},
    };
    rmt_auto(rmt_layout) layout = s_layout();
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        rmt_layout_volume_t *volume = s_add_volume(layout, made[i].partition, "");
        if (made[i].subvolume)
            volume->subvolume = rmt_text("%s", made[i].subvolume);
    }
    static const struct {
        size_t volume;
        const char *path;
        bool is_at;
    } rows[] = {
        {0, "@", true},          {0, "@home", true},
        {0, "@data", false},     {0, "@srv", false},
        {0, "", false},          {0, "home", false},
        {1, "home", false},      {1, "var/lib/portables", true},
        {1, "var/lib", false},   {0, "@/var/lib/portables", true},
        {2, "portables", false}, {5, "@", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rmt_subvolume_is_at(layout, &layout->volumes[rows[i].volume], rows[i].path) !=
            rows[i].is_at)
            fail_msg("row %zu: %s", i, rows[i].path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drift_is_what_is_on_no_list),
        cmocka_unit_test(test_the_place_of_a_subvolume_is_known_in_the_tree_above),
        cmocka_unit_test(test_capture_leaves_out_own_files_and_borders),
        cmocka_unit_test(test_capture_of_a_disk_takes_what_lies_beneath_mount_points),
        cmocka_unit_test(test_plan_differs_by_order_and_start),
        cmocka_unit_test(test_only_the_one_disk_that_was_meant_is_taken),
        cmocka_unit_test(test_two_disks_of_one_identity_are_both_named),
        cmocka_unit_test(test_a_disk_of_other_sectors_is_refused_with_both_sizes),
        cmocka_unit_test(test_go_is_void_for_another_plan_or_an_older_fence),
        cmocka_unit_test(test_a_new_life_voids_each_go_of_the_one_before),
        cmocka_unit_test(test_bundle_holds_program_loader_and_libraries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
