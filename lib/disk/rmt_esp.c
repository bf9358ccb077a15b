#include "disk/rmt_esp.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_pe.h"
#include "base/rmt_random.h"
#include "base/rmt_rooted.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define FALLBACK_FOLDER "EFI/BOOT"
#define FALLBACK_NAME "BOOTX64.EFI"
#define PROGRAM_SIZE_MAX ((off_t) 1 << 30) // Of one with a kernel and an initramfs
#define LOADER_SIZE_MAX ((size_t) 16 * 1024 * 1024)
#define UNIFIED_FOLDER "EFI/Linux"
#define SEED_PATH "loader/random-seed"
#define SEED_SIZE_MAX 512
#define COPY_SIZE ((size_t) 1 << 20)
// Of an x86 kernel (Documentation/arch/x86/boot.rst, "header").
#define KERNEL_MARK "HdrS"
#define KERNEL_MARK_AT ((size_t) 0x202)

// ---- Names as FAT compares them

// A folder, or for A_FILE a regular file; opening anything else may have effects. -1 with
// errno.
typedef enum { A_FILE = O_PATH, A_FOLDER = O_RDONLY | O_DIRECTORY } kind_t;

static int
s_open(int dir_fd, const char *name, kind_t kind)
{
    const int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy == -1 ? NULL : fdopendir(copy);
    if (!dir) {
        if (copy != -1)
            close(copy);
        return -1;
    }
    int fd = -1;
    errno = ENOENT;
    for (struct dirent *item; fd == -1 && (item = readdir(dir));)
        if (strcasecmp(item->d_name, name) == 0)
            fd = openat(dir_fd, item->d_name, (int) kind | O_CLOEXEC | O_NOFOLLOW);
    closedir(dir);
    if (fd == -1 || kind == A_FOLDER)
        return fd;
    const int file = rmt_rooted_reopen(fd);
    close(fd);
    return file;
}

// A path of folders and a last name. -1 with errno.
static int
s_open_path(int root_fd, const char *path, kind_t kind)
{
    rmt_auto_str copy = rmt_text("%s", path);
    char *rest = copy;
    rmt_auto_fd dir = -1;
    for (char *name = strsep(&rest, "/"); name; name = strsep(&rest, "/")) {
        const int fd = s_open(dir == -1 ? root_fd : dir, name, rest ? A_FOLDER : kind);
        if (fd == -1)
            return -1;
        if (!rest)
            return fd;
        if (dir != -1)
            close(dir);
        dir = fd;
    }
    return -1;
}

// The same; *fd_out is -1 for what is not there. A look that fails for another reason is
// no answer. 0, or -1.
static int
s_look(int root_fd, const char *path, kind_t kind, int *fd_out, rmt_error_t *error)
{
    *fd_out = s_open_path(root_fd, path, kind);
    const bool is_answer = *fd_out != -1 || errno == ENOENT || errno == ENOTDIR ||
                           errno == ELOOP || errno == ENXIO || errno == ENAMETOOLONG;
    return is_answer ? 0 : rmt_fail_errno(error, "open %s", path);
}

static int
s_compare_names(const struct dirent **one, const struct dirent **two)
{
    return strcasecmp((*one)->d_name, (*two)->d_name);
}

// ---- Kinds of loaders

typedef enum {
    KIND_NONE, // No program, or not there
    KIND_GRUB,
    KIND_SHIM,
    KIND_SYSTEMD_BOOT,
    KIND_UNIFIED,
    KIND_WINDOWS,
    KIND_KERNEL,
    KIND_UNKNOWN,
    KIND_COUNT,
} loader_t;

static const struct {
    const char *name;    // In the record; NULL: it is refused
    const char *refused; // Words behind "is"
} s_kinds[KIND_COUNT] = {
    [KIND_GRUB] = {"grub", NULL},
    [KIND_SHIM] = {"shim", NULL},
    [KIND_SYSTEMD_BOOT] = {"systemd-boot", NULL},
    [KIND_UNIFIED] = {"unified", NULL},
    [KIND_WINDOWS] = {"windows", NULL},
    [KIND_KERNEL] = {NULL,
                     "a kernel, which needs options that lie in the firmware alone; "
                     "make a unified kernel image of it (ukify), or install a "
                     "boot loader"},
    [KIND_UNKNOWN] = {NULL, "an unknown loader, which is not supported; install GRUB or "
                            "systemd-boot"},
};

// Of the names bootmgr and bootmgfw, in letters of two bytes.
static const char s_windows[] = "b\0o\0o\0t\0m\0g";

// A loader is known by the name of a section, else by a text. A section tells more: the
// stub of a unified kernel image speaks of systemd-boot.
static loader_t
s_kind(const uint8_t *data, size_t size)
{
    static const struct {
        const char *name;
        loader_t kind;
    } sections[] = {{".linux", KIND_UNIFIED},
                    {".sdmagic", KIND_SYSTEMD_BOOT},
                    {"mods", KIND_GRUB}},
      texts[] = {{"LoaderInfo: systemd-boot", KIND_SYSTEMD_BOOT},
                 {"UEFI SHIM", KIND_SHIM}};
    const size_t head = size < RMT_PE_HEAD_SIZE ? size : RMT_PE_HEAD_SIZE;
    if (!rmt_pe_is_x64(data, head))
        return KIND_NONE;
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
        if (rmt_pe_find(data, head, sections[i].name, NULL))
            return sections[i].kind;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (memmem(data, size, texts[i].name, strlen(texts[i].name)))
            return texts[i].kind;
    if (memmem(data, size, s_windows, sizeof s_windows))
        return KIND_WINDOWS;
    const bool is_kernel =
        head >= KERNEL_MARK_AT + 4 && memcmp(data + KERNEL_MARK_AT, KERNEL_MARK, 4) == 0;
    return is_kernel ? KIND_KERNEL : KIND_UNKNOWN;
}

// Of a unified kernel image, which may be large, the head is enough.
static int
s_examine(int root_fd, const char *path, loader_t *kind_out, rmt_error_t *error)
{
    rmt_auto_fd fd = -1;
    struct stat status;
    *kind_out = KIND_NONE;
    if (s_look(root_fd, path, A_FILE, &fd, error) == -1)
        return -1;
    if (fd == -1)
        return 0;
    if (fstat(fd, &status) == -1)
        return rmt_fail_errno(error, "status of %s", path);
    if (status.st_size > PROGRAM_SIZE_MAX)
        return rmt_fail(error, RMT_E_UNSUPPORTED, "%s is larger than %d MiB", path,
                        (int) (PROGRAM_SIZE_MAX >> 20));
    const size_t size = status.st_size < (off_t) LOADER_SIZE_MAX ? (size_t) status.st_size
                                                                 : LOADER_SIZE_MAX;
    rmt_auto_ptr data = malloc(size + 1);
    if (!data)
        abort();
    if (rmt_io_read(fd, data, size, error) == -1)
        return rmt_wrap(error, "%s", path);
    *kind_out = s_kind(data, size);
    return 0;
}

static int
s_check(loader_t kind, const char *path, rmt_error_t *error)
{
    return s_kinds[kind].refused ? rmt_fail(error, RMT_E_UNSUPPORTED, "%s is %s", path,
                                            s_kinds[kind].refused)
                                 : 0;
}

static void
s_describe(rmt_record_t *esp, const char *path, loader_t kind, const char *vendor)
{
    rmt_record_set(esp, "path", path);
    rmt_record_set(esp, "kind", s_kinds[kind].name);
    rmt_record_set(esp, "vendor", vendor);
}

// ---- The whole partition

// The loader of one folder, if it has one: 1, 0 or -1.
static int
s_examine_vendor(int root_fd, const char *vendor, rmt_record_t *esp, rmt_error_t *error)
{
    static const char *const names[] = {"shimx64.efi", "grubx64.efi",
                                        "systemd-bootx64.efi"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        rmt_auto_str path = rmt_text("EFI/%s/%s", vendor, names[i]);
        loader_t kind;
        if (s_examine(root_fd, path, &kind, error) == -1 ||
            s_check(kind, path, error) == -1)
            return -1;
        if (kind == KIND_NONE)
            continue;
        s_describe(esp, path, kind, vendor);
        return 1;
    }
    return 0;
}

// The unified kernel image of this name, if it is one: 1, 0 or -1.
static int
s_examine_unified(int root_fd, const char *name, rmt_record_t *esp, rmt_error_t *error)
{
    rmt_auto_str path = rmt_text(UNIFIED_FOLDER "/%s", name);
    const char *end = strrchr(name, '.');
    loader_t kind = KIND_NONE;
    if (!end || strcasecmp(end, ".efi") != 0)
        return 0;
    if (s_examine(root_fd, path, &kind, error) == -1)
        return -1;
    if (kind != KIND_UNIFIED)
        return 0;
    s_describe(esp, path, kind, "Linux");
    return 1;
}

typedef int(item_fn)(int root_fd, const char *name, rmt_record_t *esp,
                     rmt_error_t *error);

// How many items of a folder have a loader, or -1; the record is that of the last one.
static int
s_examine_each(int root_fd, const char *folder, item_fn *examine, rmt_record_t *esp,
               rmt_error_t *error)
{
    rmt_auto_fd dir = -1;
    struct dirent **items = NULL;
    if (s_look(root_fd, folder, A_FOLDER, &dir, error) == -1)
        return -1;
    const int count = dir == -1 ? 0 : scandirat(dir, ".", &items, NULL, s_compare_names);
    int found = 0;
    if (count == -1)
        return rmt_fail_errno(error, "read folder %s", folder);
    for (int i = 0; i < count; i++) {
        const char *name = items[i]->d_name;
        if (found != -1 && name[0] != '.' && strcasecmp(name, "BOOT") != 0) {
            const int rc = examine(root_fd, name, esp, error);
            found = rc == -1 ? -1 : found + rc;
        }
        free(items[i]);
    }
    free(items);
    return found;
}

// What the firmware starts where there is no fallback: the one loader, else the one
// unified kernel image. Returns how many there were to choose from, or -1.
static int
s_examine_all(int root_fd, rmt_record_t *esp, rmt_error_t *error)
{
    const int vendors = s_examine_each(root_fd, "EFI", s_examine_vendor, esp, error);
    return vendors
               ? vendors
               : s_examine_each(root_fd, UNIFIED_FOLDER, s_examine_unified, esp, error);
}

int
rmt_esp_examine(int root_fd, rmt_record_t **esp_out, rmt_error_t *error)
{
    static const char fallback[] = FALLBACK_FOLDER "/" FALLBACK_NAME;
    assert(esp_out);
    rmt_auto(rmt_record) esp = rmt_record_new();
    rmt_record_set(esp, "path", "");
    loader_t kind;
    if (s_examine(root_fd, fallback, &kind, error) == -1 ||
        s_check(kind, fallback, error) == -1)
        return -1;
    const int count = s_examine_all(root_fd, esp, error);
    const bool is_windows = kind == KIND_WINDOWS;
    if (count == -1)
        return -1;
    if (count > 1 && (kind == KIND_NONE || is_windows))
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "%d programs below EFI can be started, and the fallback path has "
                        "%s; copy the one to start to %s",
                        count, is_windows ? "the one of Windows" : "none", fallback);
    if (count != 1 && kind != KIND_NONE && !is_windows)
        s_describe(esp, fallback, kind, "BOOT");
    rmt_record_set(esp, "fallback",
                   is_windows          ? "other"
                   : kind != KIND_NONE ? "yes"
                                       : "no");
    rmt_auto_fd windows = -1;
    if (s_look(root_fd, RMT_ESP_WINDOWS, A_FILE, &windows, error) == -1)
        return -1;
    if (windows != -1)
        rmt_record_set(esp, "windows", "yes");
    *esp_out = rmt_take(&esp);
    return 0;
}

bool
rmt_esp_has(int root_fd, const char *path)
{
    rmt_auto_fd fd = s_open_path(root_fd, path, A_FILE);
    return fd != -1;
}

// ---- The fallback

// What is in the way under the new name stays.
static int
s_copy(int root_fd, const char *path, int to_fd, const char *name, rmt_error_t *error)
{
    rmt_auto_fd from = s_open_path(root_fd, path, A_FILE);
    rmt_auto_fd there = s_open(to_fd, name, A_FILE);
    if (from == -1 || there != -1)
        return 0;
    rmt_auto_fd fd = openat(to_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd == -1)
        return rmt_fail_errno(error, "make %s", name);
    rmt_auto_ptr data = malloc(COPY_SIZE);
    if (!data)
        abort();
    ssize_t size;
    while ((size = read(from, data, COPY_SIZE)) > 0)
        if (rmt_io_write(fd, data, (size_t) size, error) == -1)
            return rmt_wrap(error, "copy %s to %s", path, name);
    return size == -1 ? rmt_fail_errno(error, "read %s", path) : 0;
}

// The programs that make up the fallback, beside the loader itself.
static const char *const s_beside[] = {"grubx64.efi", "mmx64.efi"};

static char *
s_beside_path(const rmt_record_t *esp, size_t index)
{
    return rmt_text("EFI/%s/%s", rmt_record_text(esp, "vendor", ""), s_beside[index]);
}

static bool
s_is_complete(const rmt_record_t *esp)
{
    return !*rmt_record_text(esp, "path", "") ||
           strcmp(rmt_record_text(esp, "fallback", ""), "no") != 0;
}

static uint64_t
s_bytes_of(int root_fd, const char *path)
{
    rmt_auto_fd fd = s_open_path(root_fd, path, A_FILE);
    struct stat status;
    return fd != -1 && fstat(fd, &status) == 0 ? (uint64_t) status.st_size : 0;
}

// Bytes of what will be made.
static uint64_t
s_room(int root_fd, const rmt_record_t *esp)
{
    if (s_is_complete(esp))
        return 0;
    uint64_t bytes = s_bytes_of(root_fd, rmt_record_text(esp, "path", ""));
    for (size_t i = 0; i < sizeof s_beside / sizeof *s_beside; i++) {
        rmt_auto_str path = s_beside_path(esp, i);
        if (rmt_record_is(esp, "kind", "shim"))
            bytes += s_bytes_of(root_fd, path);
    }
    return bytes;
}

// Both tables have at most four bytes for each cluster, and each file ends within one.
int
rmt_esp_check_room(int root_fd, const rmt_record_t *esp, const rmt_record_t *volume,
                   uint64_t bytes, uint64_t files, rmt_error_t *error)
{
    const uint64_t more = s_room(root_fd, esp);
    const uint64_t size = rmt_record_u64(volume, "bytes", 0);
    const uint64_t cluster = rmt_record_u64(volume, "block-size", 0);
    if (!more || !size || !cluster)
        return 0;
    const uint64_t used = bytes + files * cluster + 8 * (size / cluster);
    if (used < size && more <= size - used)
        return 0;
    return rmt_fail(error, RMT_E_NO_SPACE,
                    "%s has %" PRIu64
                    " bytes, and its copy at EFI/BOOT/BOOTX64.EFI does not fit beside "
                    "the %" PRIu64 " of %" PRIu64
                    " bytes that are used; remove files, or move it to that path",
                    rmt_record_text(esp, "path", ""), more, used, size);
}

// Open a folder below another one; make it where it is missing.
static int
s_enter(int dir_fd, const char *name)
{
    const int fd = s_open(dir_fd, name, A_FOLDER);
    if (fd != -1 || errno != ENOENT || mkdirat(dir_fd, name, 0755) == -1)
        return fd;
    return s_open(dir_fd, name, A_FOLDER);
}

int
rmt_esp_complete(int root_fd, const rmt_record_t *esp, rmt_error_t *error)
{
    assert(esp);
    if (s_is_complete(esp))
        return 0;
    const char *path = rmt_record_text(esp, "path", "");
    rmt_auto_fd efi = s_enter(root_fd, "EFI");
    rmt_auto_fd boot = efi == -1 ? -1 : s_enter(efi, "BOOT");
    if (boot == -1)
        return rmt_fail_errno(error, "make " FALLBACK_FOLDER);
    for (size_t i = 0; i < sizeof s_beside / sizeof *s_beside; i++) {
        rmt_auto_str from = s_beside_path(esp, i);
        if (rmt_record_is(esp, "kind", "shim") &&
            s_copy(root_fd, from, boot, s_beside[i], error) == -1)
            return rmt_wrap(error, "fallback");
    }
    if (s_copy(root_fd, path, boot, FALLBACK_NAME, error) == -1)
        return rmt_wrap(error, "fallback");
    return 0;
}

int
rmt_esp_renew(int root_fd, rmt_error_t *error)
{
    rmt_auto_fd found = s_open_path(root_fd, SEED_PATH, A_FILE);
    struct stat status;
    if (found == -1 || fstat(found, &status) == -1)
        return 0;
    uint8_t seed[SEED_SIZE_MAX];
    const size_t size =
        status.st_size < (off_t) sizeof seed ? (size_t) status.st_size : sizeof seed;
    rmt_random_bytes(seed, size);
    return rmt_rooted_write(root_fd, SEED_PATH, seed, size, &status, error);
}
