#include "base/rmt_auto.h"
#include "machine/rmt_devices.h"
#include "base/rmt_io.h"
#include "base/rmt_sysfs.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define SECURE_BOOT                                                                      \
    "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

typedef struct {
    const char *field;
    const char *file;
} row_t;

static void
s_set_rows(const char *folder, const row_t *rows, size_t count, rmt_record_t *system)
{
    char text[RMT_SYSFS_TEXT_SIZE];
    for (size_t i = 0; i < count; i++) {
        rmt_sysfs_text(text, "%s/%s", folder, rows[i].file);
        for (char *p = text; strcmp(rows[i].field, "uuid") == 0 && *p; p++)
            *p = (char) tolower((unsigned char) *p);
        if (!rmt_record_has(system, rows[i].field))
            rmt_sysfs_set(system, rows[i].field, text);
    }
}

// The variable is four bytes of attributes and one of value.
static void
s_set_secure_boot(const char *root, rmt_record_t *system)
{
    rmt_auto_str path = rmt_text("%s/" SECURE_BOOT, root);
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    unsigned char data[5];
    if (fd != -1 && read(fd, data, sizeof data) == sizeof data)
        rmt_record_set(system, "secure-boot", data[4] ? "on" : "off");
}

// Linux shows the variables of a firmware that it can call, and none where it cannot:
// such a firmware gets no boot entry.
static void
s_set_boot_entries(const char *root, rmt_record_t *system)
{
    rmt_auto_str variables = rmt_sysfs_list("%s/sys/firmware/efi/efivars", root);
    if (!*variables)
        rmt_record_set(system, "boot-entries", "none");
}

// A board without DMI tells itself in its device tree.
void
rmt_dmi_read(const char *root, const char *arch, rmt_records_t *records)
{
    static const row_t dmi[] = {
        {"uuid", "product_uuid"}, {"board-serial", "board_serial"},
        {"vendor", "sys_vendor"}, {"product", "product_name"},
        {"board", "board_name"},  {"bios", "bios_version"},
    };
    static const row_t tree[] = {
        {"board-serial", "serial-number"},
        {"product", "model"},
        {"vendor", "compatible"},
    };
    rmt_record_t *system = rmt_records_add(records);
    rmt_record_set(system, "class", "system");
    rmt_auto_str dmi_folder = rmt_text("%s/sys/class/dmi/id", root);
    rmt_auto_str tree_folder = rmt_text("%s/sys/firmware/devicetree/base", root);
    s_set_rows(dmi_folder, dmi, sizeof dmi / sizeof *dmi, system);
    s_set_rows(tree_folder, tree, sizeof tree / sizeof *tree, system);
    const bool x86 =
        strcmp(arch, "x86_64") == 0 || (arch[0] == 'i' && strstr(arch, "86"));
    const bool uefi = rmt_sysfs_exists("%s/sys/firmware/efi", root);
    rmt_record_set(system, "firmware", uefi ? "uefi" : x86 ? "bios" : "other");
    char text[RMT_SYSFS_TEXT_SIZE];
    rmt_sysfs_set(system, "efi-bits",
                  rmt_sysfs_text(text, "%s/sys/firmware/efi/fw_platform_size", root));
    s_set_secure_boot(root, system);
    if (uefi)
        s_set_boot_entries(root, system);
    rmt_sysfs_set(system, "kernel",
                  rmt_sysfs_text(text, "%s/proc/sys/kernel/osrelease", root));
    rmt_record_set(system, "arch", arch);
}
