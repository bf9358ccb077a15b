#include "netboot.h"
#include "rmt_auto.h"
#include "rmt_disk.h"
#include "rmt_io.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_SIZE_MAX ((size_t) 4096)
#define MAC_TEXT_SIZE 18 // With its NUL
#define TOKEN_LINE "# token "
#define UUID_SIZE_MAX ((size_t) 40) // With its NUL

// As iPXE writes ${mac:hexhyp}: lower case, with hyphens. False for what is no MAC, so
// that no other name can be made.
static bool
s_file_name(const char *mac, size_t size, char name_out[MAC_TEXT_SIZE])
{
    if (size != MAC_TEXT_SIZE - 1)
        return false;
    for (size_t i = 0; i < size; i++) {
        const bool is_mark = i % 3 == 2;
        const bool is_good = is_mark ? mac[i] == ':' || mac[i] == '-'
                                     : isxdigit((unsigned char) mac[i]) != 0;
        if (!is_good)
            return false;
        name_out[i] = is_mark ? '-' : (char) tolower((unsigned char) mac[i]);
    }
    name_out[size] = '\0';
    return true;
}

// True when the file stands for a later order than the caller's.
static bool
s_is_later(const rmt_netboot_t *self, const char *path)
{
    rmt_error_t ignored = {0};
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    if (rmt_io_load(path, FILE_SIZE_MAX, &data, &size, &ignored) == -1)
        return false;
    const char *line = strstr(data, TOKEN_LINE);
    uint32_t era = 0;
    uint64_t epoch = 0;
    if (!line || sscanf(line, TOKEN_LINE "%" SCNu32 ".%" SCNu64, &era, &epoch) != 2)
        return false;
    return era > self->era || (era == self->era && epoch > self->epoch);
}

// ---- Which disk

// As GRUB writes it: those of FAT in capitals, as the image has them. False for what is no
// UUID, so that nothing else gets into a script.
static bool
s_uuid(const rmt_record_t *volume, char uuid_out[UUID_SIZE_MAX])
{
    const char *uuid = rmt_record_text(volume, "uuid", "");
    size_t size = 0;
    for (; uuid[size]; size++) {
        if (size + 1 == UUID_SIZE_MAX ||
            (!isxdigit((unsigned char) uuid[size]) && uuid[size] != '-'))
            return false;
        uuid_out[size] = uuid[size];
    }
    uuid_out[size] = '\0';
    return size > 0;
}

// Boot code of BIOS lies on the disk that it loads its modules from: the one of /boot,
// which is part of / if it has no volume of its own. Empty when there is none.
static void
s_bios_uuid(const rmt_records_t *layout, char uuid_out[UUID_SIZE_MAX])
{
    uuid_out[0] = '\0';
    for (size_t i = 0; layout && i < rmt_records_count(layout); i++) {
        const rmt_record_t *record = rmt_records_at(layout, i);
        const char *mount = rmt_record_text(record, "mount", "");
        char uuid[UUID_SIZE_MAX];
        if (strcmp(rmt_record_text(record, "class", ""), "volume") != 0)
            continue;
        const bool is_boot = strcmp(mount, "/boot") == 0;
        if ((is_boot || (strcmp(mount, "/") == 0 && !uuid_out[0])) &&
            s_uuid(record, uuid))
            memcpy(uuid_out, uuid, sizeof uuid);
        if (is_boot)
            return;
    }
}

static void
s_uefi_uuid(const rmt_records_t *layout, char uuid_out[UUID_SIZE_MAX])
{
    for (size_t i = 0; layout && i < rmt_records_count(layout); i++) {
        const rmt_record_t *record = rmt_records_at(layout, i);
        if (strcmp(rmt_record_text(record, "class", ""), "volume") == 0 &&
            rmt_disk_is_esp(layout, record) && s_uuid(record, uuid_out))
            return;
    }
    uuid_out[0] = '\0';
}

// A loader that ops/netboot gives out at ${base} looks for the disk; it is told what to
// look for as the name of a boot file, which iPXE hands on. Without a UUID BIOS starts
// its first disk, and UEFI the first that has a loader. An error is what makes a boot
// manager try its next entry.
static char *
s_script(const rmt_netboot_t *self)
{
    char bios[UUID_SIZE_MAX], uefi[UUID_SIZE_MAX];
    s_bios_uuid(self->layout, bios);
    s_uefi_uuid(self->layout, uefi);
    rmt_auto_str bios_lines =
        bios[0] ? rmt_text("set netX/filename %s\n"
                           "chain --autofree ${base}/disk.pxe ||\n",
                           bios)
                : rmt_text("sanboot --no-describe --drive 0x80 ||\n");
    rmt_auto_str uefi_line =
        uefi[0] ? rmt_text("set netX/filename %s\n", uefi) : rmt_text("%s", "");
    return rmt_text("#!ipxe\n" TOKEN_LINE "%" PRIu32 ".%" PRIu64 "\n"
                    "# %s is installed; a new order removes this file.\n"
                    "echo ramet: %s boots its own disk\n"
                    "iseq ${platform} efi && goto efi ||\n"
                    "%s"
                    "exit 1\n"
                    ":efi\n"
                    "%s"
                    "chain --autofree ${base}/disk.efi ||\n"
                    "exit 1\n",
                    self->era, self->epoch, self->target, self->target, bios_lines,
                    uefi_line);
}

// ---- Files

typedef int(s_change_fn)(const rmt_netboot_t *self, const char *path, rmt_error_t *error);

static int
s_put(const rmt_netboot_t *self, const char *path, rmt_error_t *error)
{
    rmt_auto_str text = s_script(self);
    return rmt_io_save(path, text, strlen(text), 0644, error);
}

static int
s_remove(const rmt_netboot_t *self, const char *path, rmt_error_t *error)
{
    (void) self;
    if (unlink(path) == -1 && errno != ENOENT)
        return rmt_fail_errno(error, "remove %s", path);
    return 0;
}

static int
s_one(const rmt_netboot_t *self, const char *mac, size_t size, s_change_fn *change,
      rmt_error_t *error)
{
    char name[MAC_TEXT_SIZE];
    if (!s_file_name(mac, size, name))
        return 0;
    rmt_auto_str path = rmt_text("%s/%s.ipxe", self->folder, name);
    return s_is_later(self, path) ? 0 : change(self, path, error);
}

static int
s_each(const rmt_netboot_t *self, s_change_fn *change, rmt_error_t *error)
{
    if (rmt_io_mkdirs(self->folder, 0755, error) == -1)
        return rmt_wrap(error, "netboot of %s", self->target);
    for (size_t i = 0; i < rmt_records_count(self->hardware); i++) {
        const rmt_record_t *nic = rmt_records_at(self->hardware, i);
        const char *mac = rmt_record_text(nic, "mac", "");
        if (strcmp(rmt_record_text(nic, "class", ""), "nic") == 0 &&
            s_one(self, mac, strlen(mac), change, error) == -1)
            return rmt_wrap(error, "netboot of %s", self->target);
    }
    for (const char *word = self->macs; *word;) {
        const size_t size = strcspn(word, ", ");
        if (s_one(self, word, size, change, error) == -1)
            return rmt_wrap(error, "netboot of %s", self->target);
        word += size + (word[size] != '\0');
    }
    return 0;
}

int
rmt_netboot_disk(const rmt_netboot_t *self, rmt_error_t *error)
{
    return s_each(self, s_put, error);
}

int
rmt_netboot_installer(const rmt_netboot_t *self, rmt_error_t *error)
{
    return s_each(self, s_remove, error);
}
