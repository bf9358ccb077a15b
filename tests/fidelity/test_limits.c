// Sources with more than an image holds and targets that hold less: what is not supported
// is named, with path, reason and file system (P9, P16).
#include "act.h"
#include "stage.h"
#include "tools/tree_lab.h"
#include "disk/rmt_fs.h"
#include "tree/rmt_meta.h"
#include "base/rmt_io.h"

#include <fcntl.h>
#include <linux/fscrypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

static int
s_setup(void **state)
{
    *state = tree_lab_new();
    return 0;
}

static int
s_teardown(void **state)
{
    tree_lab_t *lab = *state;
    tree_lab_destroy(&lab);
    return 0;
}

// Capture of what is older than the clock's tick, and so not waited for.
static rmt_id_t
s_capture(tree_lab_t *lab)
{
    tree_lab_settle();
    return tree_lab_capture(lab, 2, NULL);
}

// The reason that the report gives for a path.
static const char *
s_reason(tree_lab_t *lab, const char *path)
{
    const rmt_record_t *record =
        rmt_records_find(tree_lab_report(lab)->unreadable, "path", path);
    return record ? rmt_record_text(record, "reason", "") : "not listed";
}

// ---- 5, 9, 16: what cannot be carried is named

static void
test_more_attributes_than_an_image_holds_are_named(void **state)
{
    tree_lab_t *lab = *state;
    const int root = stage_source(STAGE_XFS);
    act_folder(root, "attributes");
    const int source = act_open(root, "attributes");
    act_file(source, "many", "x");
    act_file(source, "too-many", "x");
    for (int i = 0; i < 20000; i++) {
        char name[32];
        snprintf(name, sizeof name, "user.%d", i);
        if (i < 5000)
            act_xattr(source, "many", name, "", 0);
        act_xattr(source, "too-many", name, "", 0);
    }
    tree_lab_set_source(lab, source);
    const rmt_id_t id = s_capture(lab);
    assert_int_equal(tree_lab_report(lab)->unreadable_count, 2);
    assert_string_equal(s_reason(lab, "many"), "the entry has more than 4096 attributes");
    assert_non_null(strstr(s_reason(lab, "too-many"), "list attributes"));
    assert_true(tree_lab_find(lab, &id, "many").unreadable);
    close(source);
}

static void
test_an_encrypted_folder_is_named(void **state)
{
    tree_lab_t *lab = *state;
    static const char *const mkfs[] = {"mkfs.ext4", "-q", "-F", "-O", "encrypt", NULL};
    const int root = stage_mount(mkfs, "ext4", "64M", NULL);
    union {
        struct fscrypt_add_key_arg head;
        char room[sizeof(struct fscrypt_add_key_arg) + FSCRYPT_MAX_KEY_SIZE];
    } key = {.head = {.key_spec.type = FSCRYPT_KEY_SPEC_TYPE_IDENTIFIER,
                      .raw_size = FSCRYPT_MAX_KEY_SIZE}};
    memset(key.head.raw, 'k', FSCRYPT_MAX_KEY_SIZE);
    ACT(ioctl(root, FS_IOC_ADD_ENCRYPTION_KEY, &key) == 0);
    struct fscrypt_policy_v2 policy = {
        .version = FSCRYPT_POLICY_V2,
        .contents_encryption_mode = FSCRYPT_MODE_AES_256_XTS,
        .filenames_encryption_mode = FSCRYPT_MODE_AES_256_CTS,
        .flags = FSCRYPT_POLICY_FLAGS_PAD_32,
    };
    memcpy(policy.master_key_identifier, key.head.key_spec.u.identifier,
           FSCRYPT_KEY_IDENTIFIER_SIZE);
    act_folder(root, "private");
    const int folder = act_open(root, "private");
    ACT(ioctl(folder, FS_IOC_SET_ENCRYPTION_POLICY, &policy) == 0);
    close(folder);
    act_file(root, "private/file", "secret\n");
    act_file(root, "plain", "x");
    tree_lab_set_source(lab, root);
    const rmt_id_t id = s_capture(lab);
    assert_int_equal(tree_lab_report(lab)->unreadable_count, 2);
    assert_non_null(strstr(s_reason(lab, "private"), "encrypted by the file system"));
    assert_true(tree_lab_find(lab, &id, "private/file").unreadable);
    close(root);
}

// The host's kernel need not know fs-verity: the flag is put in from outside, as it
// stands on a disk, and a file that cannot be read whole is never read in part.
static void
test_a_sealed_file_is_named(void **state)
{
    tree_lab_t *lab = *state;
    rmt_auto_str source = rmt_text("%s/source", tree_lab_folder(lab));
    act_file(tree_lab_source(lab), "sealed", "nobody may change this\n");
    act_file(tree_lab_source(lab), "plain", "x");
    rmt_auto_str make =
        rmt_text("mkfs.ext4 -q -F -O verity -d %s \"$0\" && "
                 "debugfs -w -R 'set_inode_field /sealed flags 0x180000' \"$0\"",
                 source);
    const char *const mkfs[] = {"sh", "-c", make, NULL};
    const int root = stage_mount(mkfs, "ext4", "32M", NULL);
    tree_lab_set_source(lab, root);
    const rmt_id_t id = s_capture(lab);
    assert_int_equal(tree_lab_report(lab)->unreadable_count, 1);
    assert_non_null(strstr(s_reason(lab, "sealed"), "is sealed by the file system"));
    assert_true(tree_lab_find(lab, &id, "sealed").unreadable);
    assert_int_equal(tree_lab_find(lab, &id, "plain").size, 1);
    close(root);
}

static void
test_a_path_longer_than_a_manifest_holds_is_named(void **state)
{
    tree_lab_t *lab = *state;
    char name[256];
    memset(name, 'l', 255);
    name[255] = '\0';
    const int root = stage_source(STAGE_XFS);
    act_folder(root, "levels");
    const int source = act_open(root, "levels");
    int at = dup(source);
    for (int i = 0; i < 4200; i++) { // 1.03 MiB
        act_folder(at, name);
        const int next = act_open(at, name);
        close(at);
        at = next;
    }
    close(at);
    act_file(source, "z", "still here\n");
    tree_lab_set_source(lab, source);
    const rmt_id_t id = s_capture(lab);
    assert_int_equal(tree_lab_report(lab)->unreadable_count, 1);
    const rmt_record_t *record = rmt_records_at(tree_lab_report(lab)->unreadable, 0);
    assert_string_equal(rmt_record_text(record, "reason", ""), "File name too long");
    assert_int_equal(tree_lab_find(lab, &id, "z").size, 11);
    close(source);
}

// P16: neither the walk nor the writer keeps the path of every level.
static void
test_a_deep_tree_takes_little_memory(void **state)
{
    tree_lab_t *lab = *state;
    const int root = stage_source(STAGE_XFS);
    act_folder(root, "memory");
    const int source = act_open(root, "memory");
    char name[101];
    memset(name, 'm', 100);
    name[100] = '\0';
    int at = dup(source);
    for (int i = 0; i < 5000; i++) { // 1.2 GiB if each level kept its path
        act_folder(at, name);
        const int next = act_open(at, name);
        close(at);
        at = next;
    }
    close(at);
    tree_lab_set_source(lab, source);
    struct rusage before, after;
    ACT(getrusage(RUSAGE_SELF, &before) == 0);
    const rmt_id_t id = s_capture(lab);
    tree_lab_write(lab, &id);
    ACT(getrusage(RUSAGE_SELF, &after) == 0);
    assert_true(after.ru_maxrss - before.ru_maxrss < 100 * 1024); // KiB
    close(source);
}

// A volume with such a feature is refused before anything is read.
static void
test_features_that_are_not_carried_are_refused_by_name(void **state)
{
    tree_lab_t *lab = *state;
    static const char *const features[] = {"casefold", "encrypt"};
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++) {
        rmt_auto_str image = rmt_text("%s/%s", tree_lab_folder(lab), features[i]);
        tree_lab_run("truncate", "-s", "64M", image);
        tree_lab_run("mkfs.ext4", "-q", "-F", "-O", features[i], image);
        rmt_error_t error = {0};
        rmt_auto(rmt_record) volume = rmt_fs_probe(image, &error);
        RMT_FAILS(volume, RMT_E_UNSUPPORTED);
        rmt_auto_str words =
            rmt_text("has the feature %s, which is not supported", features[i]);
        assert_non_null(strstr(error.text, words));
    }
}

// ---- 18, 50: targets that cannot hold it

static void
s_expect_refusal(tree_lab_t *lab, const char *path, const char *words, rmt_code_t code)
{
    const rmt_id_t id = s_capture(lab);
    rmt_error_t error = {0};
    rmt_writer_report_t report;
    RMT_FAILS(tree_lab_try_write(lab, &id, &report, &error), code);
    if (!strstr(error.text, path) || !strstr(error.text, words))
        fail_msg("the refusal says: %s", error.text);
}

static void
test_times_without_nanoseconds_are_refused(void **state)
{
    tree_lab_t *lab = *state;
    static const char *const mkfs[] = {"mkfs.ext4", "-q", "-F", "-I", "128", NULL};
    const int copy = stage_mount(mkfs, "ext4", "32M", NULL);
    tree_lab_set_copy(lab, copy);
    act_file(tree_lab_source(lab), "file", "x");
    act_time(tree_lab_source(lab), "file", 1600000000, 5);
    act_time(tree_lab_source(lab), ".", 1600000000, 0); // The file alone is refused
    s_expect_refusal(lab, "/file: on ext4", "time 1600000000.000000005 became", RMT_E_IO);
    close(copy);
}

static void
test_a_full_target_is_an_error_with_the_path(void **state)
{
    tree_lab_t *lab = *state;
    static const char *const mkfs[] = {"mkfs.ext4", "-q", "-F", NULL};
    const int copy = stage_mount(mkfs, "ext4", "8M", NULL);
    tree_lab_set_copy(lab, copy);
    tree_lab_file(tree_lab_source(lab), "large", 20000000, 1);
    s_expect_refusal(lab, "/large", "No space left", RMT_E_NO_SPACE);
    close(copy);
}

static void
test_a_target_without_inodes_is_an_error_with_the_path(void **state)
{
    tree_lab_t *lab = *state;
    static const char *const mkfs[] = {"mkfs.ext4", "-q", "-F", "-N", "32", NULL};
    const int copy = stage_mount(mkfs, "ext4", "8M", NULL);
    tree_lab_set_copy(lab, copy);
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        act_file(tree_lab_source(lab), name, "x");
    }
    s_expect_refusal(lab, "/n", "No space left", RMT_E_NO_SPACE);
    close(copy);
}

static void
test_room_that_cannot_be_reserved_is_refused(void **state)
{
    tree_lab_t *lab = *state;
    static const char *const mkfs[] = {"mkfs.ext4",      "-q", "-F", "-O",
                                       "^extent,^64bit", NULL};
    const int copy = stage_mount(mkfs, "ext4", "32M", NULL);
    tree_lab_set_copy(lab, copy);
    const int root = stage_source(STAGE_EXT4);
    act_folder(root, "room");
    const int source = act_open(root, "room");
    const int fd = act_create(source, "reserved");
    ACT(fallocate(fd, 0, 0, 65536) == 0);
    close(fd);
    tree_lab_set_source(lab, source);
    (void) s_capture(lab);
    assert_int_equal(tree_lab_report(lab)->reserved, 65536);
    assert_int_equal(tree_lab_report(lab)->size, 0);
    s_expect_refusal(lab, "/reserved: on ext4", "reserve 65536 bytes", RMT_E_IO);
    close(source);
    close(copy);
}

// ---- The comparison itself: what unit tests cannot plant on any file system

static void
test_a_project_and_an_unreadable_file_are_differences(void **state)
{
    tree_lab_t *lab = *state;
    const int source = tree_lab_source(lab);
    const int root = stage_copy(STAGE_XFS);
    act_folder(root, "planted");
    const int copy = act_open(root, "planted");
    tree_lab_set_copy(lab, copy);
    act_file(source, "file", "x");
    act_file(source, "shut", "x");
    const rmt_id_t id = s_capture(lab);
    tree_lab_write(lab, &id);
    act_project(copy, "file", 77, false);
    rmt_auto_str trees = tree_lab_compare(lab, NULL, NULL);
    rmt_auto_str manifest = tree_lab_compare(lab, &id, NULL);
    assert_string_equal(trees, "project file\n");
    assert_string_equal(manifest, "project file\n");
    act_project(copy, "file", 0, false);
    ACT(fchmodat(source, "shut", 0, 0) == 0 && fchmodat(copy, "shut", 0, 0) == 0);
    ACT(seteuid(65534) == 0);
    rmt_auto_str shut = tree_lab_compare(lab, NULL, NULL);
    ACT(seteuid(0) == 0);
    assert_string_equal(shut, "unreadable shut\n");
    close(copy);
}

// ---- What the root of a target hands down stays on it: the image has none of it

static void
s_give_group(int root)
{
    ACT(fchown(root, 0, 7) == 0);
}

static void
s_give_setgid(int root)
{
    s_give_group(root);
    ACT(fchmod(root, 02755) == 0);
}

static void
s_give_acl(int root)
{
    // user::rwx user:9:rwx group::r-x mask::rwx other::---
    static const char acl[] = "\2\0\0\0"
                              "\1\0\7\0\377\377\377\377"
                              "\2\0\7\0\11\0\0\0"
                              "\4\0\5\0\377\377\377\377"
                              "\20\0\7\0\377\377\377\377"
                              "\40\0\0\0\377\377\377\377";
    act_xattr(root, ".", "system.posix_acl_default", acl, sizeof acl - 1);
}

// A file below it looks like any other.
static void
s_give_folders_acl(int root)
{
    // user::rwx group::rwx other::rwx
    static const char acl[] = "\2\0\0\0"
                              "\1\0\7\0\377\377\377\377"
                              "\4\0\7\0\377\377\377\377"
                              "\40\0\7\0\377\377\377\377";
    act_xattr(root, ".", "system.posix_acl_default", acl, sizeof acl - 1);
}

static void
s_give_flags(int root)
{
    act_flags(root, ".", FS_NODUMP_FL | FS_NOATIME_FL);
}

static void
s_give_hints(int root)
{
    act_hints(root, ".", FS_XFLAG_EXTSZINHERIT, 65536, 0);
}

static void
s_give_nothing(int root)
{
    (void) root;
}

static void
s_is_bare(int root, const char *name, mode_t mode)
{
    const struct stat status = act_stat(root, name);
    assert_int_equal(status.st_mode & 07777, mode);
    assert_int_equal(status.st_uid, 0);
    assert_int_equal(status.st_gid, 0);
    assert_int_equal(act_get_xattr(root, name, "system.posix_acl_access", NULL, 0), -1);
    assert_int_equal(act_get_xattr(root, name, "system.posix_acl_default", NULL, 0), -1);
    assert_int_equal(act_get_flags(root, name) & RMT_META_FLAGS, 0);
    assert_int_equal(act_get_extent_size(root, name), 0);
}

static void
test_what_the_root_of_a_target_hands_down_is_taken_off(void **state)
{
    tree_lab_t *lab = *state;
    static const char *const ext4[] = {"mkfs.ext4", "-q", "-F", NULL};
    static const char *const xfs[] = {"mkfs.xfs", "-q", NULL};
    static const char *const btrfs[] = {"mkfs.btrfs", "-q", NULL};
    static const struct {
        const char *const *mkfs;
        const char *type, *size, *options;
        void (*give)(int root);
    } rows[] = {
        {ext4, "ext4", "16M", NULL, s_give_nothing},
        {ext4, "ext4", "16M", NULL, s_give_group},
        {ext4, "ext4", "16M", "grpid", s_give_group},
        {ext4, "ext4", "16M", NULL, s_give_setgid},
        {ext4, "ext4", "16M", NULL, s_give_acl},
        {ext4, "ext4", "16M", NULL, s_give_folders_acl},
        {ext4, "ext4", "16M", NULL, s_give_flags},
        {xfs, "xfs", "320M", NULL, s_give_hints},
        {btrfs, "btrfs", "128M", "nodatacow", s_give_nothing},
    };
    const int source = tree_lab_source(lab);
    ACT(fchmod(source, 0755) == 0);
    act_file(source, "file", "x");
    act_folder(source, "folder");
    act_file(source, "folder/below", "x");
    ACT(fchmodat(source, "folder/below", 04711, 0) == 0);
    const rmt_id_t id = s_capture(lab);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const int root =
            stage_mount(rows[i].mkfs, rows[i].type, rows[i].size, rows[i].options);
        rows[i].give(root);
        tree_lab_set_copy(lab, root);
        tree_lab_write(lab, &id);
        s_is_bare(root, "file", act_stat(source, "file").st_mode & 07777);
        s_is_bare(root, "folder", act_stat(source, "folder").st_mode & 07777);
        s_is_bare(root, "folder/below", 04711);
        s_is_bare(root, ".", 0755);
        close(root);
    }
}

static const struct CMUnitTest s_tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)
    CASE(test_more_attributes_than_an_image_holds_are_named),
    CASE(test_an_encrypted_folder_is_named),
    CASE(test_a_sealed_file_is_named),
    CASE(test_a_path_longer_than_a_manifest_holds_is_named),
    CASE(test_a_deep_tree_takes_little_memory),
    CASE(test_features_that_are_not_carried_are_refused_by_name),
    CASE(test_times_without_nanoseconds_are_refused),
    CASE(test_a_full_target_is_an_error_with_the_path),
    CASE(test_a_target_without_inodes_is_an_error_with_the_path),
    CASE(test_room_that_cannot_be_reserved_is_refused),
    CASE(test_a_project_and_an_unreadable_file_are_differences),
    CASE(test_what_the_root_of_a_target_hands_down_is_taken_off),
};

int
main(int argc, char **argv)
{
    if (argc == 2)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("limits", s_tests, NULL, NULL);
}
