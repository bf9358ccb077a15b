#include "agent/source/source_reading.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "disk/rmt_fs.h"
#include "disk/rmt_luks.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define SYSFS "/sys"

static int
s_refuse_closed(const char *device, rmt_error_t *error)
{
    rmt_auto(rmt_record) found = rmt_record_new();
    rmt_auto_fd fd = open(device, O_RDONLY | O_CLOEXEC);
    const off_t bytes = fd == -1 ? -1 : lseek(fd, 0, SEEK_END);
    if (bytes == -1)
        return rmt_fail_errno(error, "open %s", device);
    if (rmt_fs_identify(fd, 0, (uint64_t) bytes, found, error) == -1)
        return -1;
    return rmt_record_is(found, "fs", "crypto_LUKS")
               ? rmt_fail(error, RMT_E_UNSUPPORTED,
                          "%s holds crypto_LUKS that is not open, which is not "
                          "supported; open it on the source, such as: cryptsetup open "
                          "%s data",
                          device, device)
               : 0;
}

static bool
s_is_same_uuid(const char *digits, const char *uuid)
{
    for (; *uuid; uuid++)
        if (*uuid != '-' && *uuid != *digits++)
            return false;
    return *digits == '\0';
}

static int
s_add(rmt_source_disk_t *self, const rmt_source_place_t *place, const char *device,
      const rmt_luks_open_t *opened, rmt_error_t *error)
{
    if (!opened->uuid)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "%s is encrypted as %s without a header of LUKS, which is not "
                        "supported (of swap with a new key at each start: give its line "
                        "in fstab the option nofail, and leave its partition out by "
                        "--without)",
                        device, opened->name);
    rmt_layout_crypt_t *crypt = rmt_layout_add_crypt(self->layout, place->disk);
    crypt->partition = place->number;
    crypt->logical = place->logical ? rmt_text("%s", place->logical) : NULL;
    rmt_auto_str words = rmt_layout_crypt_words(crypt);
    crypt->name = rmt_text("%s", opened->name);
    if (rmt_luks_read(device, words, crypt, self->dropped, error) == -1)
        return -1;
    return s_is_same_uuid(opened->uuid, crypt->uuid)
               ? 0
               : rmt_fail(error, RMT_E_UNSUPPORTED,
                          "%s has another LUKS header than the one that %s was opened "
                          "with, which is not supported",
                          device, opened->name);
}

int
rmt_source_take_crypt(rmt_source_disk_t *self, const rmt_source_place_t *place,
                      char **device_p, rmt_error_t *error)
{
    rmt_luks_open_t opened;
    if (rmt_luks_find_open(SYSFS, *device_p, &opened, error) == -1)
        return -1;
    const int rc = opened.name ? s_add(self, place, *device_p, &opened, error)
                               : s_refuse_closed(*device_p, error);
    if (rc == 0 && opened.name) {
        free(*device_p);
        *device_p = rmt_take(&opened.device);
    }
    rmt_luks_open_clear(&opened);
    return rc;
}

// ---- crypttab: NAME DEVICE KEY OPTIONS

static const rmt_layout_crypt_t *
s_find_carried(const rmt_source_disk_t *self, const char *name)
{
    for (size_t i = 0; i < self->layout->crypt_count; i++)
        if (strcmp(self->layout->crypts[i].name, name) == 0)
            return &self->layout->crypts[i];
    return NULL;
}

// What an initramfs has to mount of a volume that is carried: / or /usr; NULL for
// neither.
static const char *
s_early(const rmt_source_disk_t *self, const rmt_layout_crypt_t *crypt)
{
    for (size_t i = 0; i < self->layout->volume_count; i++) {
        const rmt_layout_volume_t *volume = &self->layout->volumes[i];
        if (volume->mount &&
            (strcmp(volume->mount, "/") == 0 || strcmp(volume->mount, "/usr") == 0) &&
            rmt_layout_is_in_crypt(self->layout, volume, crypt))
            return volume->mount;
    }
    return NULL;
}

static bool
s_is_asked(const char *key)
{
    return !*key || strcmp(key, "none") == 0 || strcmp(key, "-") == 0;
}

// Names of a partition or logical volume that a copy has as well. crypttab knows no
// quotes: a blank ends a word.
static bool
s_is_name_of_copy(const rmt_layout_crypt_t *crypt, const char *device)
{
    static const char *const begins[] = {"UUID=",
                                         "LABEL=",
                                         "PARTUUID=",
                                         "PARTLABEL=",
                                         "/dev/disk/by-uuid/",
                                         "/dev/disk/by-label/",
                                         "/dev/disk/by-partuuid/",
                                         "/dev/disk/by-partlabel/"};
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (strncmp(device, begins[i], strlen(begins[i])) == 0)
            return true;
    if (!crypt->logical)
        return false;
    rmt_auto_str group = rmt_text("%s", crypt->logical);
    char *name = strchr(group, '/');
    *name++ = '\0';
    rmt_auto_str node = rmt_layout_lvm_node(group, name);
    rmt_auto_str path = rmt_text("/dev/%s", crypt->logical);
    return strcmp(device, node) == 0 || strcmp(device, path) == 0;
}

// The program that gives the key, behind "keyscript=" among the options; "" for none, or
// for one that asks. Caller owns the result (free).
static char *
s_key_program(const char *options)
{
    static const char word[] = "keyscript=";
    const char *at = options;
    while (at && strncmp(at, word, sizeof word - 1) != 0)
        at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL;
    if (!at)
        return rmt_text("%s", "");
    at += sizeof word - 1;
    char *program = rmt_text("%.*s", (int) strcspn(at, ","), at);
    const char *name = strrchr(program, '/') ? strrchr(program, '/') + 1 : program;
    // It asks once for several, which have one passphrase on a copy.
    if (strcmp(name, "decrypt_keyctl") == 0)
        *program = '\0';
    return program;
}

// A copy has another key than its source, and is to ask for its passphrase.
static int
s_check_key(rmt_source_disk_t *self, const rmt_layout_crypt_t *crypt, const char *key,
            const char *options, int root, rmt_error_t *error)
{
    rmt_auto_str program = s_key_program(options);
    // systemd takes it unasked, and asks when it opens nothing.
    rmt_auto_str found = rmt_text("/etc/cryptsetup-keys.d/%s.key", crypt->name);
    const char *early = s_is_asked(key) && !*program ? NULL : s_early(self, crypt);
    if (s_is_asked(key) && !*program && !rmt_rooted_kind(root, found))
        return 0;
    if (early && s_is_asked(key))
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "/etc/crypttab opens %s, which has %s, by the program %s, and a "
                        "copy, which has another key, would not ask for its passphrase; "
                        "take keyscript= out of that line, then: update-initramfs -u",
                        crypt->name, early, program);
    if (early)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "/etc/crypttab opens %s, which has %s, by the key file %s, and a "
                        "copy, which has another key, would not ask for its passphrase; "
                        "set the third word of that line to none, then: "
                        "update-initramfs -u",
                        crypt->name, early, key);
    rmt_auto_str path = rmt_text("/etc/crypttab: %s", crypt->name);
    rmt_source_disk_drop(self, path,
                         *program ? "its program gives the source's key alone: a copy "
                                    "asks for its passphrase"
                                  : "its key file opens the source's key alone: a copy "
                                    "asks for its passphrase");
    return 0;
}

static int
s_check_line(rmt_source_disk_t *self, char *line, int root, rmt_error_t *error)
{
    const char *words[4] = {"", "", "", ""};
    char *rest = NULL, *word = strtok_r(line, " \t", &rest);
    for (size_t i = 0; i < 4 && word; i++, word = strtok_r(NULL, " \t", &rest))
        words[i] = word;
    const rmt_layout_crypt_t *crypt = s_find_carried(self, words[0]);
    if (words[0][0] == '#' || !crypt)
        return 0;
    if (!s_is_name_of_copy(crypt, words[1]))
        return rmt_fail(
            error, RMT_E_UNSUPPORTED,
            "/etc/crypttab names %s by '%s', which a copy does not have; name "
            "it by UUID=",
            words[0], words[1]);
    return s_check_key(self, crypt, words[2], words[3], root, error);
}

int
rmt_source_check_crypttab(rmt_source_disk_t *self, const char *root, rmt_error_t *error)
{
    size_t size = 0;
    rmt_auto_str text = NULL;
    rmt_auto_fd fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "open %s", root);
    if (rmt_rooted_load(fd, "etc/crypttab", &text, &size, error) == -1)
        return -1;
    char *rest = text, *line;
    while (rest && (line = strsep(&rest, "\n")))
        if (s_check_line(self, line, fd, error) == -1)
            return -1;
    return 0;
}
