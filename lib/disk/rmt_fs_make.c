#include "disk/rmt_fs.h"
#include "base/rmt_auto.h"
#include "disk/rmt_fs_rows.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/fs.h>

static int
s_device_bytes(const char *device, uint64_t *bytes_out, rmt_error_t *error)
{
    rmt_auto_fd fd = open(device, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (fd == -1 || fstat(fd, &info) == -1)
        return rmt_fail_errno(error, "open %s", device);
    *bytes_out = (uint64_t) info.st_size;
    if (S_ISBLK(info.st_mode) && ioctl(fd, BLKGETSIZE64, bytes_out) == -1)
        return rmt_fail_errno(error, "size of %s", device);
    return 0;
}

// Features are a set, whatever their order.
static bool
s_has_features(const rmt_record_t *volume, const char *features)
{
    rmt_auto_str copy = rmt_text("%s", features);
    char *rest = copy;
    for (char *word = strsep(&rest, ","); word; word = strsep(&rest, ",")) {
        if (word[0] && !rmt_fs_has_feature(volume, word))
            return false;
    }
    return true;
}

static bool
s_is_as_asked(const rmt_record_t *volume, const rmt_record_t *made, const char *field)
{
    const char *wanted = rmt_record_text(volume, field, NULL);
    const char *had = rmt_record_text(made, field, "");
    if (!wanted)
        return true;
    if (strcmp(field, "features") == 0)
        return s_has_features(made, wanted) && s_has_features(volume, had);
    return strcmp(wanted, had) == 0;
}

// mkfs programs follow their own minds where they are older or newer than the image,
// so what they made is looked at before anything is written into it.
static int
s_check(const rmt_fs_row_t *row, const rmt_record_t *volume, const char *device,
        rmt_error_t *error)
{
    rmt_auto(rmt_record) made = rmt_fs_probe(device, error);
    if (!made)
        return -1;
    rmt_auto_str fields = rmt_text("fs %s", row->checked);
    char *rest = fields;
    for (char *field = strsep(&rest, " "); field; field = strsep(&rest, " ")) {
        if (!s_is_as_asked(volume, made, field))
            return rmt_fail(error, RMT_E_UNSUPPORTED,
                            "%s: mkfs made %s with %s '%s' instead of '%s'", device,
                            row->name, field, rmt_record_text(made, field, ""),
                            rmt_record_text(volume, field, ""));
    }
    return 0;
}

static void
s_empty(rmt_fs_line_t *line)
{
    for (size_t i = 0; i < line->count; i++)
        free(line->words[i]);
    line->count = 0;
}

// Neither the blkid cache nor the defaults of the running system may have a say. Empties
// the line.
static int
s_run(rmt_fs_line_t *line, const char *device, rmt_error_t *error)
{
    rmt_fs_line_add(line, "%s", device);
    const char *words[RMT_FS_ARGUMENTS_MAX + 5] = {
        "env",
        "LC_ALL=C.UTF-8",
        "BLKID_FILE=/dev/null",
        "MKE2FS_CONFIG=/dev/null",
    };
    for (size_t i = 0; i < line->count; i++)
        words[4 + i] = line->words[i];
    const int rc = rmt_process_run_on_disk(words, error);
    s_empty(line);
    return rc;
}

int
rmt_fs_make(const rmt_record_t *volume, const char *device, rmt_error_t *error)
{
    assert(volume);
    assert(device);
    const char *fs = rmt_record_text(volume, "fs", "");
    const rmt_fs_row_t *row = rmt_fs_find_row(fs);
    if (!row)
        return rmt_fail(error, RMT_E_UNSUPPORTED, "file system '%s' is not supported",
                        fs);
    if (rmt_fs_wipe(device, error) == -1)
        return -1;
    if (!row->make)
        return 0;
    uint64_t bytes;
    if (s_device_bytes(device, &bytes, error) == -1)
        return -1;
    rmt_fs_line_t line = {.count = 0};
    row->make(&line, volume, bytes);
    int rc = s_run(&line, device, error);
    if (rc == 0 && row->tune) {
        row->tune(&line, volume);
        rc = line.count ? s_run(&line, device, error) : 0;
    }
    return rc == 0 ? s_check(row, volume, device, error) : -1;
}

// ---- Trying it

static bool
s_has_program(const char *name)
{
    rmt_auto_str folders = rmt_text("%s", getenv("PATH") ? getenv("PATH") : "");
    char *rest = folders;
    for (char *folder = strsep(&rest, ":"); folder; folder = strsep(&rest, ":")) {
        rmt_auto_str path = rmt_text("%s/%s", folder, name);
        if (access(path, X_OK) == 0)
            return true;
    }
    return false;
}

// Busybox has a mke2fs with few options, and old programs lack the newest ones.
static bool
s_lacks_option(const char *text)
{
    static const char *const words[] = {"invalid option", "unknown option",
                                        "unrecognized option"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasestr(text, words[i]))
            return true;
    return false;
}

int
rmt_fs_try(const rmt_record_t *volume, const char *file, rmt_error_t *error)
{
    const rmt_fs_row_t *row = rmt_fs_find_row(rmt_record_text(volume, "fs", ""));
    uint64_t bytes;
    if (!row || !row->make)
        return 0;
    if (s_device_bytes(file, &bytes, error) == -1)
        return -1;
    rmt_fs_line_t line = {.count = 0};
    // mkfs.btrfs makes no twin of a file system that it finds among the disks.
    rmt_auto(rmt_record) wanted = rmt_record_dup(volume);
    if (rmt_record_is(volume, "fs", "btrfs"))
        rmt_record_remove(wanted, "uuid");
    row->make(&line, wanted, bytes);
    const char *dry = strcmp(line.words[0], "mke2fs") == 0     ? "-n"
                      : strcmp(line.words[0], "mkfs.xfs") == 0 ? "-N"
                                                               : NULL;
    const bool has_program = s_has_program(line.words[0]);
    if (dry)
        rmt_fs_line_add(&line, "%s", dry);
    if (!has_program) {
        s_empty(&line);
        return 0;
    }
    const int rc = s_run(&line, file, error);
    if (rc == -1 && s_lacks_option(error->text))
        error->code = RMT_E_NOT_FOUND;
    return rc == 0 && !dry ? s_check(row, wanted, file, error) : rc;
}
