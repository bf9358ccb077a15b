#include "disk/rmt_esp.h"
#include "base/rmt_auto.h"
#include "base/rmt_bytes.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define FALLBACK_FOLDER "EFI/BOOT"
#define FALLBACK_NAME "BOOTX64.EFI"
#define LOADER_SIZE_MAX ((size_t) 16 * 1024 * 1024)
#define HEAD_SIZE ((size_t) 4096)
#define SECTIONS_MAX 64
#define MACHINE_X64 0x8664

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

static int
s_compare_names(const struct dirent **one, const struct dirent **two)
{
    return strcasecmp((*one)->d_name, (*two)->d_name);
}

// ---- Kinds of loaders

// Name of a section of a PE file that tells what it is. NULL for none of them, or for
// no program of this processor.
static const char *
s_find_section(const uint8_t *head, size_t size)
{
    static const char *const names[] = {".linux", ".sdmagic", "mods"};
    const size_t pe = size >= 64 && memcmp(head, "MZ", 2) == 0
                          ? (uint32_t) rmt_get_le(head + 60, 4)
                          : 0;
    if (pe == 0 || pe > size - 24 || memcmp(head + pe, "PE\0\0", 4) != 0 ||
        (uint32_t) rmt_get_le(head + pe + 4, 2) != MACHINE_X64)
        return NULL;
    const size_t count = (uint32_t) rmt_get_le(head + pe + 6, 2);
    const size_t table = pe + 24 + (uint32_t) rmt_get_le(head + pe + 20, 2);
    for (size_t i = 0; i < count && i < SECTIONS_MAX && table + (i + 1) * 40 <= size; i++)
        for (size_t j = 0; j < sizeof names / sizeof *names; j++)
            if (strncmp((const char *) head + table + i * 40, names[j], 8) == 0)
                return names[j];
    return "";
}

// "" for what is no program.
static const char *
s_kind(const uint8_t *data, size_t size)
{
    const char *section = s_find_section(data, size < HEAD_SIZE ? size : HEAD_SIZE);
    if (!section)
        return "";
    if (strcmp(section, ".linux") == 0)
        return "a unified kernel image";
    if (strcmp(section, ".sdmagic") == 0 || memmem(data, size, "systemd-boot", 12))
        return "systemd-boot";
    if (strcmp(section, "mods") == 0)
        return "grub";
    return memmem(data, size, "UEFI SHIM", 9) ? "shim" : "an unknown loader";
}

static int
s_load(int root_fd, const char *path, void **data_out, size_t *size_out,
       rmt_error_t *error)
{
    rmt_auto_fd fd = s_open_path(root_fd, path, A_FILE);
    struct stat status;
    if (fd == -1 || fstat(fd, &status) == -1)
        return 0;
    if (status.st_size > (off_t) LOADER_SIZE_MAX)
        return rmt_fail(error, RMT_E_UNSUPPORTED, "%s is larger than %zu bytes", path,
                        LOADER_SIZE_MAX);
    const size_t size = (size_t) status.st_size;
    rmt_auto_ptr data = malloc(size + 1);
    if (!data)
        abort();
    if (rmt_io_read(fd, data, size, error) == -1)
        return rmt_wrap(error, "%s", path);
    *data_out = rmt_take(&data);
    *size_out = size;
    return 1;
}

// Static text; "" for no such file, NULL for an error.
static const char *
s_examine(int root_fd, const char *path, rmt_error_t *error)
{
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    const int rc = s_load(root_fd, path, &data, &size, error);
    return rc == -1 ? NULL : rc == 0 ? "" : s_kind(data, size);
}

static bool
s_is_carried(const char *kind)
{
    return strcmp(kind, "grub") == 0 || strcmp(kind, "shim") == 0;
}

// ---- The whole partition

static int
s_refuse(rmt_error_t *error, const char *path, const char *kind)
{
    return rmt_fail(error, RMT_E_UNSUPPORTED, "%s is %s, which is not supported", path,
                    kind);
}

// The loader of one folder, if it has one: 1, 0 or -1.
static int
s_examine_vendor(int root_fd, const char *vendor, rmt_record_t *esp, rmt_error_t *error)
{
    static const char *const names[] = {"shimx64.efi", "grubx64.efi",
                                        "systemd-bootx64.efi"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        rmt_auto_str path = rmt_text("EFI/%s/%s", vendor, names[i]);
        const char *kind = s_examine(root_fd, path, error);
        if (!kind)
            return -1;
        if (!*kind)
            continue;
        if (!s_is_carried(kind))
            return s_refuse(error, path, kind);
        rmt_record_set(esp, "path", path);
        rmt_record_set(esp, "kind", kind);
        rmt_record_set(esp, "vendor", vendor);
        return 1;
    }
    return 0;
}

// Unified kernel images are found by their place.
static int
s_refuse_unified(int root_fd, rmt_error_t *error)
{
    rmt_auto_fd dir = s_open_path(root_fd, "EFI/Linux", A_FOLDER);
    struct dirent **items = NULL;
    const int count = dir == -1 ? 0 : scandirat(dir, ".", &items, NULL, s_compare_names);
    int rc = 0;
    for (int i = 0; i < count; i++) {
        const size_t size = strlen(items[i]->d_name);
        if (rc == 0 && size > 4 && strcasecmp(items[i]->d_name + size - 4, ".efi") == 0) {
            rmt_auto_str path = rmt_text("EFI/Linux/%s", items[i]->d_name);
            rc = s_refuse(error, path, "a unified kernel image");
        }
        free(items[i]);
    }
    free(items);
    return rc;
}

// Number of vendor folders with a loader; the record is that of the last one.
static int
s_examine_vendors(int root_fd, rmt_record_t *esp, rmt_error_t *error)
{
    rmt_auto_fd dir = s_open(root_fd, "EFI", A_FOLDER);
    struct dirent **items = NULL;
    const int count = dir == -1 ? 0 : scandirat(dir, ".", &items, NULL, s_compare_names);
    int found = 0;
    for (int i = 0; i < count; i++) {
        const char *name = items[i]->d_name;
        if (found != -1 && name[0] != '.' && strcasecmp(name, "BOOT") != 0) {
            const int rc = s_examine_vendor(root_fd, name, esp, error);
            found = rc == -1 ? -1 : found + rc;
        }
        free(items[i]);
    }
    free(items);
    return found;
}

int
rmt_esp_examine(int root_fd, rmt_record_t **esp_out, rmt_error_t *error)
{
    static const char fallback[] = FALLBACK_FOLDER "/" FALLBACK_NAME;
    assert(esp_out);
    rmt_auto(rmt_record) esp = rmt_record_new();
    rmt_record_set(esp, "path", "");
    if (s_refuse_unified(root_fd, error) == -1)
        return -1;
    const char *kind = s_examine(root_fd, fallback, error);
    if (!kind)
        return -1;
    if (*kind && !s_is_carried(kind))
        return s_refuse(error, fallback, kind);
    const int vendors = s_examine_vendors(root_fd, esp, error);
    if (vendors == -1)
        return -1;
    if (vendors > 1 && !*kind)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "%d folders below EFI have a loader, and the fallback path has "
                        "none; copy the loader to start to %s",
                        vendors, fallback);
    if (vendors != 1 && *kind) {
        rmt_record_set(esp, "path", fallback);
        rmt_record_set(esp, "kind", kind);
        rmt_record_set(esp, "vendor", "BOOT");
    }
    rmt_record_set(esp, "fallback", *kind ? "yes" : "no");
    *esp_out = rmt_take(&esp);
    return 0;
}

// ---- The fallback

static int
s_copy(int root_fd, const char *path, int to_fd, const char *name, rmt_error_t *error)
{
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    const int rc = s_load(root_fd, path, &data, &size, error);
    if (rc != 1)
        return rc;
    rmt_auto_fd there = s_open(to_fd, name, A_FILE);
    if (there != -1)
        return 0;
    rmt_auto_fd fd = openat(to_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd == -1)
        return rmt_fail_errno(error, "make %s", name);
    return rmt_io_write(fd, data, size, error);
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
    // shim loads these from the folder that it was started from.
    static const char *const beside[] = {"grubx64.efi", "mmx64.efi"};
    assert(esp);
    const char *path = rmt_record_text(esp, "path", "");
    if (!*path || strcmp(rmt_record_text(esp, "fallback", ""), "yes") == 0)
        return 0;
    rmt_auto_fd efi = s_enter(root_fd, "EFI");
    rmt_auto_fd boot = efi == -1 ? -1 : s_enter(efi, "BOOT");
    if (boot == -1)
        return rmt_fail_errno(error, "make " FALLBACK_FOLDER);
    const bool is_shim = strcmp(rmt_record_text(esp, "kind", ""), "shim") == 0;
    for (size_t i = 0; is_shim && i < sizeof beside / sizeof *beside; i++) {
        rmt_auto_str from =
            rmt_text("EFI/%s/%s", rmt_record_text(esp, "vendor", ""), beside[i]);
        if (s_copy(root_fd, from, boot, beside[i], error) == -1)
            return rmt_wrap(error, "fallback");
    }
    if (s_copy(root_fd, path, boot, FALLBACK_NAME, error) == -1)
        return rmt_wrap(error, "fallback");
    return 0;
}
