// Owners, modes, times, extended attributes, inode flags, projects.
#include "act.h"
#include "cases.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

// ---- 5: extended attributes

static void
s_make_kinds(int root)
{
    act_file(root, "file", "x");
    act_folder(root, "folder");
    ACT(symlinkat("x", root, "symlink") == 0);
    ACT(mkfifoat(root, "fifo", 0600) == 0);
    ACT(mknodat(root, "char", S_IFCHR | 0600, makedev(1, 3)) == 0);
    ACT(mknodat(root, "block", S_IFBLK | 0600, makedev(7, 200)) == 0);
}

static const char *const s_kinds[] = {"file", "folder", "symlink",
                                      "fifo", "char",   "block"};
#define KIND_COUNT (sizeof s_kinds / sizeof s_kinds[0])

static void
s_make_namespaces(int root)
{
    s_make_kinds(root);
    for (size_t i = 0; i < KIND_COUNT; i++) {
        act_xattr(root, s_kinds[i], "trusted.t", s_kinds[i], strlen(s_kinds[i]));
        act_xattr(root, s_kinds[i], "trusted.empty", "", 0);
        act_xattr(root, s_kinds[i], "security.other", "s\0s", 3);
        // The kernel takes user.* on files and folders only.
        if (i < 2)
            act_xattr(root, s_kinds[i], "user.odd\n\xff name", "\0\1\2\n", 4);
    }
    act_time(root, "symlink", 1500000000, 1);
}

static void
s_check_namespaces(int copy)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        assert_true(
            act_has_xattr(copy, s_kinds[i], "trusted.t", s_kinds[i], strlen(s_kinds[i])));
        assert_true(act_has_xattr(copy, s_kinds[i], "trusted.empty", "", 0));
        assert_true(act_has_xattr(copy, s_kinds[i], "security.other", "s\0s", 3));
    }
    assert_true(act_has_xattr(copy, "folder", "user.odd\n\xff name", "\0\1\2\n", 4));
}

static void
s_make_many_attributes(int root)
{
    act_file(root, "file", "x");
    for (int i = 0; i < 60; i++) {
        char name[64], value[16];
        snprintf(name, sizeof name, "user.%c%d", 'a' + i % 26, i);
        snprintf(value, sizeof value, "%d", i);
        act_xattr(root, "file", name, value, strlen(value));
    }
}

static void
s_check_many_attributes(int copy)
{
    assert_true(act_has_xattr(copy, "file", "user.h59", "59", 2));
}

static void
s_make_large_attribute(int root)
{
    char *value = malloc(65536);
    for (int i = 0; i < 65536; i++)
        value[i] = (char) (i * 7);
    act_file(root, "file", "x");
    act_xattr(root, "file", "user.large", value, 65536);
    free(value);
}

// ---- 6: ACLs

static const uint8_t s_acl[] = {2,   0,   0,   0,    1,    0, 6, 0, 255, 255, 255, 255,
                                2,   0,   4,   0,    0xe8, 3, 0, 0, 2,   0,   6,   0,
                                0,   0,   0,   0x80, 4,    0, 4, 0, 255, 255, 255, 255,
                                8,   0,   5,   0,    77,   0, 0, 0, 16,  0,   7,   0,
                                255, 255, 255, 255,  32,   0, 0, 0, 255, 255, 255, 255};

static void
s_make_acls(int root)
{
    s_make_kinds(root);
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (strcmp(s_kinds[i], "symlink") != 0)
            act_xattr(root, s_kinds[i], "system.posix_acl_access", s_acl, sizeof s_acl);
    act_xattr(root, "folder", "system.posix_acl_default", s_acl, sizeof s_acl);
    // Made below a default ACL, which must not be handed down again.
    act_file(root, "folder/heir", "x");
    act_folder(root, "folder/below");
    act_file(root, "folder/plain", "x");
    ACT(fchmodat(root, "folder/plain", 0640, 0) == 0);
    act_folder(root, "default-only");
    act_xattr(root, "default-only", "system.posix_acl_default", s_acl, sizeof s_acl);
}

static void
s_check_acls(int copy)
{
    assert_true(
        act_has_xattr(copy, "fifo", "system.posix_acl_access", s_acl, sizeof s_acl));
    assert_true(
        act_has_xattr(copy, "folder", "system.posix_acl_default", s_acl, sizeof s_acl));
    assert_int_equal(
        act_get_xattr(copy, "default-only", "system.posix_acl_access", NULL, 0), -1);
    assert_int_equal(act_stat(copy, "file").st_mode & 0777, 0670);
    // XFS shows ACLs under this name as well; elsewhere it would be an attribute more.
    struct statfs system;
    ACT(fstatfs(copy, &system) == 0);
    if (system.f_type != XFS_SUPER_MAGIC)
        assert_int_equal(act_get_xattr(copy, "file", "trusted.SGI_ACL_FILE", NULL, 0),
                         -1);
}

// ---- 7: capabilities

static void
s_make_capabilities(int root)
{
    static const uint8_t v2[20] = {1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0x20};
    static const uint8_t v3[24] = {1, 0, 0, 3, 0, 0x04, 0, 0, [20] = 0xa0, 0x86, 1, 0};
    act_file(root, "ping", "program");
    ACT(fchownat(root, "ping", 1000, 1000, 0) == 0);
    ACT(fchmodat(root, "ping", 0755, 0) == 0);
    act_xattr(root, "ping", "security.capability", v2, sizeof v2);
    act_file(root, "in-a-namespace", "program");
    act_xattr(root, "in-a-namespace", "security.capability", v3, sizeof v3);
    act_file(root, "linked", "program");
    act_xattr(root, "linked", "security.capability", v2, sizeof v2);
    ACT(linkat(root, "linked", root, "linked-too", 0) == 0);
}

static void
s_check_capabilities(int copy)
{
    static const uint8_t v2[20] = {1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0x20};
    assert_true(act_has_xattr(copy, "ping", "security.capability", v2, sizeof v2));
    assert_true(act_has_xattr(copy, "linked-too", "security.capability", v2, sizeof v2));
    uint8_t v3[32];
    assert_int_equal(
        act_get_xattr(copy, "in-a-namespace", "security.capability", v3, sizeof v3), 24);
}

// ---- 8: labels and signatures

static void
s_make_labels(int root)
{
    static const char label[] = "system_u:object_r:etc_t:s0";
    static const char smack[] = "Floor";
    static const uint8_t signature[] = {3, 2, 4, 1, 2, 3, 4, 0, 8, 9, 9, 9};
    s_make_kinds(root);
    for (size_t i = 0; i < KIND_COUNT; i++) {
        act_xattr(root, s_kinds[i], "security.selinux", label, sizeof label);
        act_xattr(root, s_kinds[i], "security.SMACK64", smack, sizeof smack - 1);
    }
    act_xattr(root, "file", "security.ima", signature, sizeof signature);
    act_xattr(root, "folder", "security.evm", signature, sizeof signature);
}

static void
s_check_labels(int copy)
{
    static const char label[] = "system_u:object_r:etc_t:s0";
    for (size_t i = 0; i < KIND_COUNT; i++)
        assert_true(
            act_has_xattr(copy, s_kinds[i], "security.selinux", label, sizeof label));
    assert_int_equal(act_get_xattr(copy, "file", "security.ima", NULL, 0), 12);
    assert_int_equal(act_get_xattr(copy, "folder", "security.evm", NULL, 0), 12);
}

static void
s_make_hmac(int root)
{
    static const uint8_t hmac[21] = {2, 1, 2, 3};
    act_file(root, "file", "x");
    act_xattr(root, "file", "security.evm", hmac, sizeof hmac);
    act_xattr(root, "file", "security.ima", hmac, sizeof hmac);
}

static void
s_check_hmac(int copy)
{
    assert_int_equal(act_get_xattr(copy, "file", "security.evm", NULL, 0), -1);
    assert_int_equal(act_get_xattr(copy, "file", "security.ima", NULL, 0), 21);
}

// ---- 9: inode flags and projects

static void
s_make_flags(int root)
{
    static const struct {
        const char *name;
        unsigned flags;
    } rows[] = {
        {"nodump", FS_NODUMP_FL},
        {"noatime", FS_NOATIME_FL},
        {"sync", FS_SYNC_FL},
        {"append", FS_APPEND_FL},
        {"immutable", FS_IMMUTABLE_FL},
        {"all", FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL},
    };
    char folder[32];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        act_file(root, rows[i].name, "x");
        act_flags(root, rows[i].name, rows[i].flags);
        snprintf(folder, sizeof folder, "folder-%s", rows[i].name);
        act_folder(root, folder);
        char inside[64];
        snprintf(inside, sizeof inside, "%s/file", folder);
        act_file(root, inside, "x");
        act_flags(root, folder, rows[i].flags);
    }
}

static void
s_check_flags(int copy)
{
    assert_true(act_get_flags(copy, "immutable") & FS_IMMUTABLE_FL);
    assert_true(act_get_flags(copy, "folder-append") & FS_APPEND_FL);
    assert_false(act_get_flags(copy, "folder-append/file") & FS_APPEND_FL);
    assert_true(act_get_flags(copy, "all") & FS_NODUMP_FL);
    assert_int_equal(openat(copy, "immutable", O_WRONLY | O_CLOEXEC), -1);
}

// Locked inodes with several names, holes, reserved room, attributes.
static void
s_make_locked(int root)
{
    act_folder(root, "a");
    act_folder(root, "z");
    act_file(root, "a/linked", "x");
    ACT(linkat(root, "a/linked", root, "z/linked", 0) == 0);
    act_xattr(root, "a/linked", "user.x", "1", 1);
    act_time(root, "a/linked", 1234567, 89);
    act_flags(root, "a/linked", FS_IMMUTABLE_FL | FS_NODUMP_FL);
    act_flags(root, "z", FS_IMMUTABLE_FL);
    int fd = act_create(root, "sparse");
    act_write(fd, "end", 3, 1000000);
    ACT(ftruncate(fd, 5000000) == 0);
    close(fd);
    act_flags(root, "sparse", FS_IMMUTABLE_FL | FS_NOATIME_FL);
    fd = act_create(root, "reserved");
    ACT(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 262144) == 0);
    close(fd);
    act_flags(root, "reserved", FS_APPEND_FL);
    ACT(syncfs(root) == 0);
}

static void
s_check_locked(int copy)
{
    assert_true(act_get_flags(copy, "z/linked") & FS_IMMUTABLE_FL);
    assert_true(act_get_flags(copy, "z/linked") & FS_NODUMP_FL);
    assert_int_equal(act_stat(copy, "z/linked").st_nlink, 2);
    assert_int_equal(act_stat(copy, "a/linked").st_mtim.tv_sec, 1234567);
    assert_true(act_get_flags(copy, "sparse") & FS_IMMUTABLE_FL);
    assert_true(act_map(copy, "sparse").data <= 64);
    assert_true(act_get_flags(copy, "reserved") & FS_APPEND_FL);
    assert_int_equal(act_map(copy, "reserved").reserved, 256);
}

static void
s_make_dirsync(int root)
{
    act_folder(root, "folder");
    act_flags(root, "folder", FS_DIRSYNC_FL);
}

static void
s_make_ext4_flags(int root)
{
    act_file(root, "notail", "x");
    act_flags(root, "notail", FS_NOTAIL_FL);
    act_folder(root, "top");
    act_flags(root, "top", FS_TOPDIR_FL);
    act_file(root, "undelete", "x");
    act_flags(root, "undelete", FS_UNRM_FL | FS_SECRM_FL);
}

static void
s_check_ext4_flags(int copy)
{
    assert_true(act_get_flags(copy, "notail") & FS_NOTAIL_FL);
    assert_true(act_get_flags(copy, "top") & FS_TOPDIR_FL);
}

static void
s_make_projects(int root)
{
    act_folder(root, "heir");
    act_project(root, "heir", 4294967294u, true);
    act_file(root, "heir/file", "x"); // Inherits
    act_folder(root, "heir/folder");
    act_file(root, "heir/other", "x");
    act_project(root, "heir/other", 42, false);
    act_file(root, "alone", "x");
    act_project(root, "alone", 7, false);
    act_flags(root, "alone", FS_IMMUTABLE_FL);
}

static void
s_check_projects(int copy)
{
    assert_int_equal(act_get_project(copy, "heir"), 4294967294u);
    assert_int_equal(act_get_project(copy, "heir/file"), 4294967294u);
    assert_int_equal(act_get_project(copy, "heir/other"), 42);
    assert_int_equal(act_get_project(copy, "alone"), 7);
    act_file(copy, "heir/new", "x");
    assert_int_equal(act_get_project(copy, "heir/new"), 4294967294u);
    ACT(unlinkat(copy, "heir/new", 0) == 0);
}

static void
s_make_hints(int root)
{
    act_folder(root, "folder");
    act_hints(root, "folder", FS_XFLAG_EXTSZINHERIT | FS_XFLAG_NODEFRAG, 65536, 0);
    act_file(root, "folder/heir", "inherits\n");
    act_folder(root, "folder/below");
    act_file(root, "sized", "");
    act_hints(root, "sized", FS_XFLAG_EXTSIZE, 131072, 0);
    act_file(root, "cow", "x");
    act_hints(root, "cow", FS_XFLAG_COWEXTSIZE, 0, 262144);
    ACT(syncfs(root) == 0);
}

static void
s_check_hints(int copy)
{
    assert_int_equal(act_get_extent_size(copy, "folder"), 65536);
    assert_int_equal(act_get_extent_size(copy, "folder/heir"), 65536);
    assert_int_equal(act_get_extent_size(copy, "sized"), 131072);
}

// ---- 18: times

static void
s_make_times(int root)
{
    static const struct {
        const char *name;
        int64_t seconds;
        long ns;
    } rows[] = {
        {"epoch", 0, 1},
        {"before", -1, 999999999},
        {"1902", -2145916800, 123456789},
        {"2038", 2147483648, 987},
        {"2100", 4102444800, 999999999},
        {"2400", 13569465600, 1},
        {"whole", 1600000000, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char folder[32];
        snprintf(folder, sizeof folder, "folder-%s", rows[i].name);
        act_folder(root, folder);
        char inside[64];
        snprintf(inside, sizeof inside, "%s/inside", folder);
        act_file(root, inside, "x");
        act_time(root, folder, rows[i].seconds, rows[i].ns);
        act_file(root, rows[i].name, "x");
        act_time(root, rows[i].name, rows[i].seconds, rows[i].ns);
    }
    ACT(mkfifoat(root, "fifo", 0600) == 0);
    act_time(root, "fifo", -2145916800, 5);
}

static void
s_check_times(int copy)
{
    assert_int_equal(act_stat(copy, "1902").st_mtim.tv_sec, -2145916800);
    assert_int_equal(act_stat(copy, "folder-2400").st_mtim.tv_sec, 13569465600);
    assert_int_equal(act_stat(copy, "before").st_mtim.tv_nsec, 999999999);
}

static void
s_make_far_times(int root)
{
    act_file(root, "3000", "x");
    act_time(root, "3000", 32503680000, 1);
}

// ---- 19, 20: owners and modes

static void
s_make_owners(int root)
{
    static const struct {
        const char *name;
        uid_t uid, gid;
    } rows[] = {{"nobody", 65534, 65534},
                {"beyond-16-bits", 65536, 131073},
                {"beyond-31-bits", 2147483648u, 3000000000u},
                {"last", 4294967294u, 4294967294u},
                {"group-only", 0, 50}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        act_file(root, rows[i].name, "x");
        ACT(fchownat(root, rows[i].name, rows[i].uid, rows[i].gid, 0) == 0);
    }
    ACT(symlinkat("x", root, "link") == 0);
    ACT(fchownat(root, "link", 4294967294u, 5, AT_SYMLINK_NOFOLLOW) == 0);
}

static void
s_check_owners(int copy)
{
    assert_int_equal(act_stat(copy, "last").st_uid, 4294967294u);
    assert_int_equal(act_stat(copy, "beyond-31-bits").st_gid, 3000000000u);
    assert_int_equal(act_stat(copy, "link").st_uid, 4294967294u);
}

static void
s_make_modes(int root)
{
    static const mode_t modes[] = {04755, 02755, 06755, 01644, 07777,
                                   0,     0111,  02644, 0777};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "file-%04o", (unsigned) modes[i]);
        act_file(root, name, "program");
        // Changing the owner takes these bits away, so the order matters.
        ACT(fchownat(root, name, 1000, 1000, 0) == 0);
        ACT(fchmodat(root, name, modes[i], 0) == 0);
        snprintf(name, sizeof name, "folder-%04o", (unsigned) modes[i]);
        act_folder(root, name);
        ACT(fchownat(root, name, 0, 1000, 0) == 0);
        ACT(fchmodat(root, name, modes[i], 0) == 0);
    }
    // What is made below a setgid folder takes its group: not in the copy.
    act_folder(root, "folder-2755/other");
    ACT(fchownat(root, "folder-2755/other", 0, 0, 0) == 0);
}

static void
s_check_modes(int copy)
{
    assert_int_equal(act_stat(copy, "file-6755").st_mode, S_IFREG | 06755);
    assert_int_equal(act_stat(copy, "file-4755").st_uid, 1000);
    assert_int_equal(act_stat(copy, "folder-7777").st_mode, S_IFDIR | 07777);
    assert_int_equal(act_stat(copy, "folder-2755/other").st_gid, 0);
}

static const fidelity_case_t s_cases[] = {
    {.number = 5,
     .name = "attributes_of_all_namespaces_on_all_kinds",
     .make = s_make_namespaces,
     .check = s_check_namespaces},
    {.number = 5,
     .name = "many_attributes_of_one_inode",
     .make = s_make_many_attributes,
     .check = s_check_many_attributes},
    {.number = 5,
     .name = "largest_attribute_is_carried_or_refused",
     .make = s_make_large_attribute,
     .sources = ON_XFS,
     .refused = ON_EXT4 | ON_BTRFS,
     .words = "set attribute user.large"},
    {.number = 6,
     .name = "acls_are_carried_bit_for_bit",
     .make = s_make_acls,
     .check = s_check_acls},
    {.number = 7,
     .name = "capabilities_survive_owner_and_links",
     .make = s_make_capabilities,
     .check = s_check_capabilities},
    {.number = 8,
     .name = "labels_and_signatures_are_carried",
     .make = s_make_labels,
     .check = s_check_labels},
    {.number = 8,
     .name = "an_evm_hmac_stays_behind",
     .make = s_make_hmac,
     .check = s_check_hmac},
    {.number = 9,
     .name = "inode_flags_are_carried",
     .make = s_make_flags,
     .check = s_check_flags},
    {.number = 9,
     .name = "locked_inodes_lose_nothing",
     .make = s_make_locked,
     .check = s_check_locked},
    {.number = 9,
     .name = "dirsync_is_carried_or_refused",
     .make = s_make_dirsync,
     .sources = ON_EXT4 | ON_BTRFS,
     .refused = ON_XFS,
     .words = "inode flags dirsync"},
    {.number = 9,
     .name = "flags_of_ext4_are_carried_or_refused",
     .make = s_make_ext4_flags,
     .check = s_check_ext4_flags,
     .sources = ON_EXT4,
     .refused = ON_XFS | ON_BTRFS,
     .words = "inode flags"},
    {.number = 9,
     .name = "projects_are_carried_or_refused",
     .make = s_make_projects,
     .check = s_check_projects,
     .sources = ON_XFS,
     .refused = ON_EXT4 | ON_BTRFS,
     .words = "project"},
    {.number = 9,
     .name = "hints_of_xfs_are_carried_or_refused",
     .make = s_make_hints,
     .check = s_check_hints,
     .sources = ON_XFS,
     .refused = ON_EXT4 | ON_BTRFS,
     .words = "allocation hints"},
    {.number = 18,
     .name = "times_before_1970_and_after_2038_keep_their_nanoseconds",
     .make = s_make_times,
     .check = s_check_times},
    {.number = 18,
     .name = "times_that_do_not_fit_are_refused",
     .make = s_make_far_times,
     .sources = ON_BTRFS,
     .refused = ON_EXT4 | ON_XFS,
     .words = "time 32503680000.000000001 became"},
    {.number = 19,
     .name = "owners_are_numbers_of_32_bits",
     .make = s_make_owners,
     .check = s_check_owners},
    {.number = 20,
     .name = "modes_are_set_after_owners",
     .make = s_make_modes,
     .check = s_check_modes},
};

const fidelity_cases_t cases_attributes = {s_cases, sizeof s_cases / sizeof s_cases[0]};
