#include "installer/netboot.h"
#include "base/rmt_auto.h"
#include "disk/rmt_disk.h"
#include "base/rmt_io.h"
#include "facts/rmt_address.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_SIZE_MAX ((size_t) 4096)
#define TOKEN_LINE "# token "
#define GUID_SIZE_MAX ((size_t) 40) // With its NUL

// As iPXE writes ${mac:hexhyp}: lower case, with hyphens. False for what is no MAC, so
// that no other name can be made.
static bool
s_file_name(const char *mac, char name_out[RMT_MAC_TEXT_SIZE])
{
    rmt_error_t ignored;
    if (rmt_address_parse_mac(mac, name_out, &ignored) == -1)
        return false;
    for (char *mark = name_out; (mark = strchr(mark, ':'));)
        *mark = '-';
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

// As GRUB writes it; false for what is no GUID (of a DOS table its id, a dash and the
// number), so that nothing else gets into a script.
static bool
s_take_guid(const rmt_record_t *partition, char guid_out[GUID_SIZE_MAX])
{
    const char *guid = rmt_record_text(partition, "guid", "");
    const size_t size = strlen(guid);
    if (size == 0 || size >= GUID_SIZE_MAX)
        return false;
    for (size_t i = 0; i <= size; i++) {
        if (guid[i] && guid[i] != '-' && !isxdigit((unsigned char) guid[i]))
            return false;
        guid_out[i] = (char) tolower((unsigned char) guid[i]);
    }
    return true;
}

static bool
s_same(const rmt_record_t *one, const char *field, const rmt_record_t *two,
       const char *other)
{
    return strcmp(rmt_record_text(one, field, "-"), rmt_record_text(two, other, "")) == 0;
}

// GUID of the partition with this volume.
static bool
s_find_guid(const rmt_records_t *layout, const rmt_record_t *volume,
            char guid_out[GUID_SIZE_MAX])
{
    for (size_t i = 0; i < rmt_records_count(layout); i++) {
        const rmt_record_t *record = rmt_records_at(layout, i);
        if (strcmp(rmt_record_text(record, "class", ""), "partition") == 0 &&
            s_same(volume, "disk", record, "disk") &&
            s_same(volume, "partition", record, "number"))
            return s_take_guid(record, guid_out);
    }
    return false;
}

// Boot code of BIOS lies on the disk that it loads its modules from: the one of /boot,
// which is part of / if it has no volume of its own. UEFI: its system partition. Empty
// when there is none.
static void
s_find_boot(const rmt_records_t *layout, char bios_out[GUID_SIZE_MAX],
            char uefi_out[GUID_SIZE_MAX])
{
    char root[GUID_SIZE_MAX] = "";
    bios_out[0] = uefi_out[0] = '\0';
    for (size_t i = 0; layout && i < rmt_records_count(layout); i++) {
        const rmt_record_t *record = rmt_records_at(layout, i);
        const char *mount = rmt_record_text(record, "mount", "");
        char guid[GUID_SIZE_MAX];
        if (strcmp(rmt_record_text(record, "class", ""), "volume") != 0 ||
            !s_find_guid(layout, record, guid))
            continue;
        if (strcmp(mount, "/boot") == 0)
            memcpy(bios_out, guid, sizeof guid);
        else if (strcmp(mount, "/") == 0)
            memcpy(root, guid, sizeof guid);
        if (!uefi_out[0] && rmt_disk_is_esp(layout, record))
            memcpy(uefi_out, guid, sizeof guid);
    }
    if (!bios_out[0])
        memcpy(bios_out, root, sizeof root);
}

// A loader that ops/netboot gives out at ${base} looks for the disk; it is told what to
// look for as the name of a boot file, which iPXE hands on. Without a GUID BIOS starts
// its first disk, and UEFI the first that has a loader. An error is what makes a boot
// manager try its next entry.
static char *
s_script(const rmt_netboot_t *self)
{
    char bios[GUID_SIZE_MAX], uefi[GUID_SIZE_MAX];
    s_find_boot(self->layout, bios, uefi);
    rmt_auto_str bios_lines = bios[0]
                                  ? rmt_text("set netX/filename %s\n"
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
s_one(const rmt_netboot_t *self, const char *mac, s_change_fn *change, rmt_error_t *error)
{
    char name[RMT_MAC_TEXT_SIZE];
    if (!s_file_name(mac, name))
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
            s_one(self, mac, change, error) == -1)
            return rmt_wrap(error, "netboot of %s", self->target);
    }
    rmt_auto_str words = rmt_text("%s", self->macs);
    char *rest = words;
    for (char *word = strsep(&rest, ", "); word; word = strsep(&rest, ", ")) {
        if (s_one(self, word, change, error) == -1)
            return rmt_wrap(error, "netboot of %s", self->target);
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
