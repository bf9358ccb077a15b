#include "installer/netboot.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "facts/rmt_address.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_SIZE_MAX ((size_t) 4096)
#define FENCE_LINE "# token "

// The name of a file by a MAC, as iPXE writes ${mac:hexhyp}: lower case, with hyphens.
// False when the text is not a MAC: then it names no file.
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
    const char *line = strstr(data, FENCE_LINE);
    uint32_t era = 0;
    uint64_t epoch = 0;
    if (!line || sscanf(line, FENCE_LINE "%" SCNu32 ".%" SCNu64, &era, &epoch) != 2)
        return false;
    return era > self->era || (era == self->era && epoch > self->epoch);
}

// ---- Which disk

// As GRUB writes it; empty for none. The layout's door lets only digits, dashes and an x
// through, so nothing else gets into a script.
static void
s_copy_guid(char out[RMT_LAYOUT_GUID_SIZE], const rmt_layout_partition_t *partition)
{
    size_t i = 0;
    do
        out[i] = (char) tolower((unsigned char) partition->guid[i]);
    while (out[i++]);
}

// Boot code of BIOS lies on the disk that it loads its modules from: the one of /boot,
// which is part of / if it has no volume of its own. UEFI: its system partition. Empty
// when there is none.
static void
s_find_boot(const rmt_layout_t *layout, char bios_out[RMT_LAYOUT_GUID_SIZE],
            char uefi_out[RMT_LAYOUT_GUID_SIZE])
{
    char root[RMT_LAYOUT_GUID_SIZE] = "";
    bios_out[0] = uefi_out[0] = '\0';
    for (size_t i = 0; layout && i < layout->volume_count; i++) {
        const rmt_layout_volume_t *volume = &layout->volumes[i];
        const rmt_layout_partition_t *partition = rmt_layout_partition_of(layout, volume);
        const char *mount = volume->mount ? volume->mount : "";
        if (!partition || !*partition->guid)
            continue;
        if (strcmp(mount, "/boot") == 0)
            s_copy_guid(bios_out, partition);
        else if (strcmp(mount, "/") == 0)
            s_copy_guid(root, partition);
        if (!uefi_out[0] && rmt_layout_is_esp(layout, volume))
            s_copy_guid(uefi_out, partition);
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
    char bios[RMT_LAYOUT_GUID_SIZE], uefi[RMT_LAYOUT_GUID_SIZE];
    s_find_boot(self->layout, bios, uefi);
    rmt_auto_str bios_lines = bios[0]
                                  ? rmt_text("set netX/filename %s\n"
                                             "chain --autofree ${base}/disk.pxe ||\n",
                                             bios)
                                  : rmt_text("sanboot --no-describe --drive 0x80 ||\n");
    rmt_auto_str uefi_line =
        uefi[0] ? rmt_text("set netX/filename %s\n", uefi) : rmt_text("%s", "");
    return rmt_text("#!ipxe\n" FENCE_LINE "%" PRIu32 ".%" PRIu64 "\n"
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
