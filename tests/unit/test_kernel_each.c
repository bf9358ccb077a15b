// A system of which any one call to the kernel fails while its drivers are listed: the
// list is the same, or the failure is told (M12).
#include "tools/refuse_each.h"
#include "tools/rmt_test.h"
#include "tools/root_tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "kernel/rmt_kernel.h"

#define ANOTHER "nothing is said, and it is another"
#define LISTS "usr/lib/modules/6.1.0-9/"

// A kernel that a boot entry names, with an initramfs that is none.
static const struct {
    const char *path, *text;
} s_files[] = {
    {LISTS "modules.dep", "kernel/a.ko:\n"},
    {LISTS "modules.alias.bin", "lists"},
    {LISTS "modules.builtin", "kernel/b.ko\n"},
    {LISTS "vmlinuz", "image"},
    {"usr/lib/modules/5.10.0-1/modules.dep", "kernel/old.ko:\n"},
    {"etc/modprobe.d/a.conf", "blacklist a\n"},
    {"usr/lib/modprobe.d/b.conf", "options b x=1\n"},
    {"boot/loader/entries/one.conf",
     "version 6.1.0-9\nlinux /one/linux\ninitrd /one/initrd\n"},
    {"boot/one/linux", "image"},
    {"boot/one/initrd", "\x1f\x8b no archive"},
    {"boot/loader/entries/two.conf", "version 5.10.0-1\nlinux /two/linux\n"},
};

static char *s_wanted;

static int
s_keep(void *context, const char *name, const void *data, size_t size, rmt_error_t *error)
{
    char **text = context;
    (void) error;
    char *longer = rmt_text("%s%s: %.*s\n", *text, name, (int) size, (const char *) data);
    free(*text);
    *text = longer;
    return 0;
}

static char *
s_read(rmt_error_t *error)
{
    const rmt_kernel_tree_t tree = {.mount = "/", .fd = root_tree_fd()};
    rmt_auto(rmt_record) kernel = NULL;
    rmt_auto_str text = rmt_text("%s", "");
    if (rmt_kernel_read(&tree, 1, s_keep, &text, &kernel, error) == -1)
        return NULL;
    if (!kernel)
        return rmt_text("no kernel");
    // What could not be read of an initramfs stands in the record, with the reason.
    return rmt_text("%s%s %s\n", text, rmt_record_text(kernel, "version", ""),
                    rmt_record_text(kernel, "image", ""));
}

static int
s_act(void *context, rmt_error_t *error)
{
    (void) context;
    rmt_auto_str text = s_read(error);
    if (!text)
        return -1;
    return strcmp(text, s_wanted) == 0
               ? 0
               : rmt_fail(error, RMT_E_INTERNAL, ANOTHER ": %s", text);
}

static void
test_m12_no_failed_call_gives_a_system_other_drivers(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    for (size_t i = 0; i < sizeof s_files / sizeof *s_files; i++)
        root_tree_put(s_files[i].path, s_files[i].text);
    s_wanted = s_read(&error);
    RMT_OK(s_wanted);
    assert_non_null(strstr(s_wanted, "6.1.0-9"));
    const refuse_each_t each = {
        .calls = refuse_each_files,
        .count = refuse_each_files_count,
        .code = EIO,
        .act = s_act,
        .after = refuse_each_assert_told,
    };
    assert_in_range(refuse_each(&each), 50, 1000);
    free(s_wanted);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_m12_no_failed_call_gives_a_system_other_drivers, root_tree_setup,
            root_tree_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
