// Kernels and boot entries that are named by the machine's id ([3.54]).
#include "tools/rmt_test.h"
#include "tools/root_tree.h"
#include <string.h>
#include "base/rmt_auto.h"
#include "facts/rmt_facts.h"
#include "base/rmt_io.h"
#include "system/rmt_boot_names.h"
#include "system/rmt_personal.h"

#define OLD "0123456789abcdef0123456789abcdef"
#define NEW "fedcba9876543210fedcba9876543210"
#define HEAD "# GRUB Environment Block\n"

static rmt_records_t *
s_rename(void)
{
    rmt_error_t error = {0};
    rmt_records_t *actions = rmt_facts_parse(
        "class=write path=/etc/machine-id mode=0444 content=" NEW, &error);
    root_tree_put("etc/machine-id", OLD "\n");
    RMT_OK(rmt_boot_names_plan(root_tree_fd(), actions, &error));
    RMT_OK(rmt_personal_try(root_tree_fd(), actions, &error));
    RMT_OK(rmt_personal_apply(root_tree_fd(), actions, &error));
    return actions;
}

static void
s_put_environment(const char *path, const char *text)
{
    char block[1025];
    memset(block, '#', sizeof block);
    block[1024] = '\0';
    memcpy(block, text, strlen(text));
    root_tree_put(path, block);
}

static void
s_expect_environment(const char *path, const char *wanted)
{
    rmt_auto_str text = root_tree_get(path);
    if (strlen(text) != 1024 || strncmp(text, wanted, strlen(wanted)) != 0 ||
        text[strlen(wanted)] != '#')
        fail_msg("%s", text);
}

// Entries of grub2's blscfg, a rescue kernel, the default of GRUB's environment.
static void
test_entries_of_grub_get_the_copys_id(void **state)
{
    (void) state;
    root_tree_put("boot/loader/entries/" OLD "-0-rescue.conf",
                  "title Rescue\nlinux /vmlinuz-0-rescue-" OLD "\n");
    root_tree_put("boot/loader/entries/" OLD "-5.14.conf",
                  "title A\nlinux /vmlinuz-5.14\noptions root=UUID=1 $kernelopts\n");
    root_tree_put("boot/loader/entries/memtest.conf", "title M\n");
    root_tree_put("boot/vmlinuz-0-rescue-" OLD, "kernel");
    root_tree_put("boot/vmlinuz-5.14", "kernel");
    root_tree_link("boot/grub2/grubenv", "../efi/EFI/redhat/grubenv");
    s_put_environment("boot/efi/EFI/redhat/grubenv",
                      HEAD "saved_entry=" OLD "-5.14\nrecordfail=1\nkernelopts=ro\n");
    root_tree_put("boot/efi/EFI/centos/grub.cfg", "linuxefi /vmlinuz-0-rescue-" OLD "\n");
    rmt_auto(rmt_records) actions = s_rename();
    root_tree_expect("boot/efi/EFI/centos/grub.cfg",
                     "linuxefi /vmlinuz-0-rescue-" NEW "\n");
    root_tree_expect("boot/loader/entries/" NEW "-0-rescue.conf",
                     "title Rescue\nlinux /vmlinuz-0-rescue-" NEW "\n");
    root_tree_expect("boot/loader/entries/" NEW "-5.14.conf",
                     "title A\nlinux /vmlinuz-5.14\noptions root=UUID=1 $kernelopts\n");
    root_tree_expect("boot/vmlinuz-0-rescue-" NEW, "kernel");
    assert_true(root_tree_has("boot/vmlinuz-5.14"));
    assert_false(root_tree_has("boot/loader/entries/" OLD "-5.14.conf"));
    assert_false(root_tree_has("etc/kernel/entry-token"));
    s_expect_environment("boot/efi/EFI/redhat/grubenv",
                         HEAD "saved_entry=" NEW "-5.14\nkernelopts=ro\n");
}

// Folders of kernels, as kernel-install makes them; where the token names the id, too.
static void
test_folders_of_kernels_get_the_copys_id(void **state)
{
    (void) state;
    root_tree_put("efi/" OLD "/6.1/linux", "kernel");
    root_tree_put("efi/" OLD "/6.1/initrd", "initramfs");
    root_tree_put("efi/" OLD "/6.2/linux", "other");
    root_tree_put("efi/loader/loader.conf", "default " OLD "-*\n");
    root_tree_put("efi/loader/entries/" OLD "-6.1+3.conf",
                  "machine-id " OLD "\nlinux /" OLD "/6.1/linux\n");
    root_tree_put("etc/kernel/entry-token", OLD "\n");
    root_tree_put("etc/kernel/cmdline", "ro systemd.machine_id=" OLD);
    rmt_auto(rmt_records) actions = s_rename();
    root_tree_expect("efi/" NEW "/6.1/initrd", "initramfs");
    root_tree_expect("efi/" NEW "/6.2/linux", "other");
    root_tree_expect("efi/loader/loader.conf", "default " NEW "-*\n");
    root_tree_expect("efi/loader/entries/" NEW "-6.1+3.conf",
                     "machine-id " NEW "\nlinux /" NEW "/6.1/linux\n");
    root_tree_expect("etc/kernel/entry-token", NEW "\n");
    root_tree_expect("etc/kernel/cmdline", "ro systemd.machine_id=" NEW);
    assert_false(root_tree_has("efi/" OLD));
    // VERIFY leaves out what went, whole, and what came.
    rmt_auto(rmt_records) paths = rmt_personal_paths(actions);
    static const char *const own[] = {"/efi/" OLD, "/efi/" OLD "/6.1",
                                      "/efi/" OLD "/6.1/linux", "/efi/" NEW "/6.1/linux"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        const rmt_record_t *path = rmt_records_find(paths, "path", own[i]);
        assert_non_null(path);
        assert_string_equal(rmt_record_text(path, "what", ""), "boot-entry");
    }
}

// A unified kernel image keeps its name, by which firmware may know it, and so does all
// that kernel-install makes after it.
static void
test_unified_images_keep_their_names(void **state)
{
    (void) state;
    root_tree_put("boot/efi/EFI/Linux/" OLD "-6.1.efi", "program");
    root_tree_put("boot/loader/entries/" OLD "-6.1.conf", "title A\n");
    s_put_environment("boot/grub2/grubenv", HEAD "saved_entry=" OLD "-6.1\n");
    rmt_auto(rmt_records) actions = s_rename();
    assert_true(root_tree_has("boot/efi/EFI/Linux/" OLD "-6.1.efi"));
    assert_true(root_tree_has("boot/loader/entries/" OLD "-6.1.conf"));
    root_tree_expect("etc/kernel/entry-token", OLD "\n");
    s_expect_environment("boot/grub2/grubenv", HEAD "saved_entry=" OLD "-6.1\n");
}

// Names by another token stay, and so does a system that has none.
static void
test_other_names_stay(void **state)
{
    (void) state;
    root_tree_put("boot/fedora/6.1/linux", "kernel");
    root_tree_put("boot/loader/entries/fedora-6.1.conf", "linux /fedora/6.1/linux\n");
    root_tree_put("etc/kernel/entry-token", "fedora\n");
    rmt_auto(rmt_records) actions = s_rename();
    assert_int_equal(rmt_records_count(actions), 1);
    root_tree_put("etc/machine-id", "uninitialized\n");
    root_tree_put("boot/uninitialized", "");
    rmt_error_t error = {0};
    RMT_OK(rmt_boot_names_plan(root_tree_fd(), actions, &error));
    assert_int_equal(rmt_records_count(actions), 1);
}

#define TREE_TEST(test)                                                                  \
    cmocka_unit_test_setup_teardown(test, root_tree_setup, root_tree_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TREE_TEST(test_entries_of_grub_get_the_copys_id),
        TREE_TEST(test_folders_of_kernels_get_the_copys_id),
        TREE_TEST(test_unified_images_keep_their_names),
        TREE_TEST(test_other_names_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
