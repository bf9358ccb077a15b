// Names, kinds of inodes, and who is one inode with whom.
#include "act.h"
#include "cases.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

// ---- 1: hard links

static void
s_make_links(int root)
{
    act_folder(root, "a");
    act_folder(root, "a/b");
    act_folder(root, "z");
    act_file(root, "a/b/first", "shared\n");
    ACT(linkat(root, "a/b/first", root, "a/second", 0) == 0);
    ACT(linkat(root, "a/b/first", root, "z/third", 0) == 0);
    ACT(linkat(root, "a/b/first", root, "a.b", 0) == 0);
    act_file(root, "twin", "shared\n");
    act_file(root, "empty", "");
    ACT(linkat(root, "empty", root, "empty-too", 0) == 0);
}

static void
s_check_links(int copy)
{
    const struct stat first = act_stat(copy, "a/b/first");
    assert_int_equal(first.st_nlink, 4);
    assert_int_equal(act_stat(copy, "a/second").st_ino, first.st_ino);
    assert_int_equal(act_stat(copy, "z/third").st_ino, first.st_ino);
    assert_int_equal(act_stat(copy, "a.b").st_ino, first.st_ino);
    assert_int_equal(act_stat(copy, "twin").st_nlink, 1);
    assert_int_equal(act_stat(copy, "empty").st_nlink, 2);
}

static void
s_make_node_links(int root)
{
    ACT(symlinkat("target", root, "symlink") == 0);
    ACT(mkfifoat(root, "fifo", 0640) == 0);
    ACT(mknodat(root, "device", S_IFCHR | 0600, makedev(1, 3)) == 0);
    ACT(linkat(root, "symlink", root, "symlink-too", 0) == 0);
    ACT(linkat(root, "fifo", root, "fifo-too", 0) == 0);
    ACT(linkat(root, "device", root, "device-too", 0) == 0);
    act_time(root, "symlink", 1000000000, 7);
}

static void
s_check_node_links(int copy)
{
    static const char *const names[] = {"symlink", "fifo", "device"};
    for (size_t i = 0; i < 3; i++) {
        char other[32];
        snprintf(other, sizeof other, "%s-too", names[i]);
        assert_int_equal(act_stat(copy, names[i]).st_nlink, 2);
        assert_int_equal(act_stat(copy, other).st_ino, act_stat(copy, names[i]).st_ino);
    }
}

// ---- 10, 11, 13: nodes

static void
s_make_devices(int root)
{
    ACT(mknodat(root, "null", S_IFCHR | 0666, makedev(1, 3)) == 0);
    ACT(mknodat(root, "char-large", S_IFCHR | 0600, makedev(511, 262143)) == 0);
    ACT(mknodat(root, "block-large", S_IFBLK | 0660, makedev(259, 70000)) == 0);
    ACT(fchmodat(root, "null", 0666, 0) == 0);
    ACT(fchownat(root, "block-large", 0, 6, 0) == 0);
    ACT(fchmodat(root, "block-large", 0660, 0) == 0);
    act_time(root, "null", 12345, 678);
}

static void
s_check_devices(int copy)
{
    assert_int_equal(act_stat(copy, "char-large").st_rdev, makedev(511, 262143));
    assert_int_equal(act_stat(copy, "block-large").st_rdev, makedev(259, 70000));
    assert_int_equal(act_stat(copy, "block-large").st_mode, S_IFBLK | 0660);
    assert_int_equal(act_stat(copy, "null").st_mode, S_IFCHR | 0666);
}

static void
s_make_largest_device(int root)
{
    ACT(mknodat(root, "largest", S_IFCHR | 0600, makedev(4095, 1048575)) == 0);
}

static void
s_make_fifos(int root)
{
    ACT(mkfifoat(root, "fifo", 0600) == 0);
    ACT(fchmodat(root, "fifo", 0622, 0) == 0);
    ACT(fchownat(root, "fifo", 3, 4, 0) == 0);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/socket", root);
    ACT(bind(fd, (void *) &address, sizeof address) == 0);
    close(fd);
}

static void
s_check_fifos(int copy)
{
    assert_int_equal(act_stat(copy, "fifo").st_mode, S_IFIFO | 0622);
    assert_int_equal(faccessat(copy, "socket", F_OK, 0),
                     -1); // Sockets are made by programs
}

static void
s_make_overlay(int root)
{
    act_folder(root, "upper");
    ACT(mknodat(root, "upper/removed", S_IFCHR, makedev(0, 0)) == 0);
    act_folder(root, "upper/opaque");
    act_xattr(root, "upper/opaque", "trusted.overlay.opaque", "y", 1);
    act_xattr(root, "upper/opaque", "trusted.overlay.redirect", "/else/where", 11);
    act_file(root, "upper/file", "x");
    act_xattr(root, "upper/file", "trusted.overlay.origin", "\0\xfb!\0", 4);
}

static void
s_check_overlay(int copy)
{
    assert_int_equal(act_stat(copy, "upper/removed").st_mode, S_IFCHR);
    assert_int_equal(act_stat(copy, "upper/removed").st_rdev, 0);
    assert_true(act_has_xattr(copy, "upper/opaque", "trusted.overlay.opaque", "y", 1));
}

// ---- 14: folders that stay empty

static void
s_make_empty(int root)
{
    static const struct {
        const char *name;
        mode_t mode;
    } rows[] = {{"tmp", 01777}, {"proc", 0555}, {"run", 0755}, {"lost", 0}, {"g", 02775}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        act_folder(root, rows[i].name);
        ACT(fchmodat(root, rows[i].name, rows[i].mode, 0) == 0);
        act_time(root, rows[i].name, 1600000000 + (int64_t) i, 1);
    }
}

static void
s_check_empty(int copy)
{
    assert_int_equal(act_stat(copy, "tmp").st_mode, S_IFDIR | 01777);
    assert_int_equal(act_stat(copy, "proc").st_mode, S_IFDIR | 0555);
    assert_int_equal(act_stat(copy, "lost").st_mode, S_IFDIR);
    assert_int_equal(act_stat(copy, "g").st_mode, S_IFDIR | 02775);
}

// ---- 16: names

static void
s_make_names(int root)
{
    static const char *const names[] = {
        "new\nline",
        "tab\t",
        "bell\a\x1b[31m",
        "\xff\xfe not utf-8",
        " ",
        "  two",
        "-rf",
        "back\\slash",
        "...",
        "..a",
        "a.",
        "quote\"'`",
        "*?[x]",
        "\xc3\xa4",
        "a\xcc\x88",
        "$(reboot)",
        "%s%n",
        "#",
        "~",
        "|",
        ";",
        "con",
        "\x01",
        "\x7f",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        act_file(root, names[i], names[i]);
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    act_file(root, name, "255");
    name[0] = '\xf0';
    act_folder(root, name);
    for (int i = 1; i < 256; i++) {
        const char one[] = {(char) i, 'x', '\0'};
        if (i != '/')
            act_file(root, one, "");
    }
}

static void
s_check_names(int copy)
{
    char *text = act_text(copy, "\xff\xfe not utf-8");
    assert_string_equal(text, "\xff\xfe not utf-8");
    free(text);
    // Composed and decomposed are two names.
    assert_int_not_equal(act_stat(copy, "\xc3\xa4").st_ino,
                         act_stat(copy, "a\xcc\x88").st_ino);
}

static int
s_descend(int root, int levels, const char *name, bool make)
{
    int at = dup(root);
    for (int i = 0; i < levels; i++) {
        if (make)
            act_folder(at, name);
        const int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ACT(next != -1);
        close(at);
        at = next;
    }
    return at;
}

#define LONG_NAME "a-folder-whose-name-has-some-length-so-that-a-few-hundred-do-it"
#define LEVELS 300 // 19 KiB: four times PATH_MAX

static void
s_make_deep(int root)
{
    const int bottom = s_descend(root, LEVELS, LONG_NAME, true);
    act_file(bottom, "file", "deep down\n");
    ACT(symlinkat("../up", bottom, "link") == 0);
    act_xattr(bottom, "file", "user.depth", "300", 3);
    ACT(linkat(bottom, "file", root, "up", 0) == 0);
    close(bottom);
}

static void
s_check_deep(int copy)
{
    const int bottom = s_descend(copy, LEVELS, LONG_NAME, false);
    assert_true(act_has_xattr(bottom, "file", "user.depth", "300", 3));
    assert_int_equal(act_stat(bottom, "file").st_ino, act_stat(copy, "up").st_ino);
    close(bottom);
}

static void
s_make_levels(int root)
{
    const int bottom = s_descend(root, 10000, "d", true);
    act_file(bottom, "file", "x");
    close(bottom);
}

static void
s_check_levels(int copy)
{
    const int bottom = s_descend(copy, 10000, "d", false);
    assert_int_equal(act_stat(bottom, "file").st_size, 1);
    close(bottom);
}

static void
s_make_many(int root)
{
    char name[64];
    for (int i = 0; i < 12000; i++) {
        snprintf(name, sizeof name, "entry-%x-of-a-folder-that-needs-an-index", i * 7919);
        ACT(mknodat(root, name, S_IFREG | 0600, 0) == 0);
    }
}

// ---- 21: symlinks

static void
s_make_symlinks(int root)
{
    char target[1001];
    memset(target, 't', 1000);
    target[1000] = '\0';
    ACT(symlinkat(target, root, "long") == 0);
    ACT(symlinkat("/etc/passwd", root, "absolute") == 0);
    ACT(symlinkat("../../../../../etc", root, "climbs") == 0);
    ACT(symlinkat("gone", root, "dangling") == 0);
    ACT(symlinkat("loop", root, "loop") == 0);
    ACT(symlinkat("odd\n\xfe//./x/", root, "odd") == 0);
    ACT(symlinkat("/proc/self/root", root, "magic") == 0);
    ACT(fchownat(root, "dangling", 1234, 5678, AT_SYMLINK_NOFOLLOW) == 0);
    act_time(root, "dangling", 1111111111, 222222222);
    act_folder(root, "folder");
    ACT(symlinkat("folder", root, "to-folder") == 0);
    act_file(root, "folder/file", "x");
}

static void
s_check_symlinks(int copy)
{
    char target[2000];
    assert_int_equal(readlinkat(copy, "long", target, sizeof target), 1000);
    assert_int_equal(readlinkat(copy, "odd", target, sizeof target), 11);
    assert_memory_equal(target, "odd\n\xfe//./x/", 11);
    assert_int_equal(act_stat(copy, "dangling").st_uid, 1234);
    assert_int_equal(act_stat(copy, "dangling").st_mtim.tv_nsec, 222222222);
}

static void
s_make_longest_symlink(int root)
{
    char target[4096];
    memset(target, 't', 4095);
    target[4095] = '\0';
    ACT(symlinkat(target, root, "longest") == 0);
}

static const fidelity_case_t s_cases[] = {
    {.number = 1,
     .name = "hard_links_across_folders_stay_one_inode",
     .make = s_make_links,
     .check = s_check_links},
    {.number = 1,
     .name = "hard_links_of_symlinks_and_nodes_stay_one_inode",
     .make = s_make_node_links,
     .check = s_check_node_links},
    {.number = 10,
     .name = "device_nodes_keep_their_numbers",
     .make = s_make_devices,
     .check = s_check_devices},
    {.number = 10,
     .name = "largest_device_numbers_are_carried_or_refused",
     .make = s_make_largest_device,
     .sources = ON_EXT4 | ON_BTRFS,
     .refused = ON_XFS,
     .words = "create device 4095:1048575"},
    {.number = 11,
     .name = "fifos_are_carried_and_sockets_left_out",
     .make = s_make_fifos,
     .check = s_check_fifos},
    {.number = 13,
     .name = "overlay_whiteouts_and_opaque_folders_are_carried",
     .make = s_make_overlay,
     .check = s_check_overlay},
    {.number = 14,
     .name = "empty_folders_keep_their_mode",
     .make = s_make_empty,
     .check = s_check_empty},
    {.number = 16,
     .name = "names_are_bytes",
     .make = s_make_names,
     .check = s_check_names},
    {.number = 16,
     .name = "trees_are_deeper_than_a_path",
     .make = s_make_deep,
     .check = s_check_deep},
    {.number = 16,
     .name = "ten_thousand_levels_are_carried",
     .make = s_make_levels,
     .check = s_check_levels,
     .is_large = true},
    {.number = 16,
     .name = "many_entries_of_a_folder_are_carried",
     .make = s_make_many,
     .is_large = true},
    {.number = 21,
     .name = "symlinks_are_carried_as_they_are",
     .make = s_make_symlinks,
     .check = s_check_symlinks},
    {.number = 21,
     .name = "longest_symlink_is_carried_or_refused",
     .make = s_make_longest_symlink,
     .sources = ON_EXT4 | ON_BTRFS,
     .refused = ON_XFS,
     .words = "create a symlink to 4095 bytes"},
};

const fidelity_cases_t cases_names = {s_cases, sizeof s_cases / sizeof s_cases[0]};
