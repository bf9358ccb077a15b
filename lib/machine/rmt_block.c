#include "base/rmt_auto.h"
#include "machine/rmt_devices.h"
#include "base/rmt_io.h"
#include "base/rmt_sysfs.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

// First match wins: a USB disk is also a SCSI one, and an ATA disk too.
static const char *
s_disk_bus(const char *path)
{
    static const struct {
        const char *part;
        const char *bus;
    } rows[] = {
        {"/usb", "usb"},   {"/ata", "ata"},       {"/nvme", "nvme"}, {"/mmc", "mmc"},
        {"/host", "scsi"}, {"/virtio", "virtio"}, {"/vbd-", "xen"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strstr(path, rows[i].part))
            return rows[i].bus;
    }
    return "other";
}

// Volumes of hypervisors and clouds, whatever they say of their rotation.
static const char *
s_disk_media(const char *root, const char *name, const char *bus, const char *model)
{
    static const char *const words[] = {"virtual", "QEMU", "VBOX", "PersistentDisk",
                                        "Elastic Block Store"};
    bool is_virtual = strcmp(bus, "virtio") == 0 || strcmp(bus, "xen") == 0;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        is_virtual = is_virtual || strcasestr(model, words[i]);
    if (is_virtual)
        return "virtual";
    return rmt_sysfs_number("%s/sys/block/%s/queue/rotational", root, name) ? "rotational"
                                                                            : "flash";
}

// The serial of a SCSI disk is page 0x80 of its vital product data: 4 bytes of
// header, then the text.
static void
s_scsi_serial(const char *root, const char *name, char text[RMT_SYSFS_TEXT_SIZE])
{
    text[0] = '\0';
    rmt_auto_str path = rmt_text("%s/sys/block/%s/device/vpd_pg80", root, name);
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    unsigned char page[256];
    const ssize_t size = fd == -1 ? 0 : read(fd, page, sizeof page);
    size_t used = 0;
    for (ssize_t i = 4; i < size; i++) {
        if (isgraph(page[i]))
            text[used++] = (char) page[i];
    }
    text[used] = '\0';
}

// What the controller of a disk without a PCI address is called by those who know it:
// the channel of a hypervisor, or the address that the firmware gives a platform device.
static char *
s_controller_place(const char *path, const char *bus)
{
    const char *vmbus = strstr(path, "/VMBUS:");
    const char *channel = vmbus ? strchr(vmbus + 1, '/') : NULL;
    const char *vbd = strstr(path, "/vbd-");
    if (channel)
        return rmt_text("vmbus-%.*s", (int) strcspn(channel + 1, "/"), channel + 1);
    if (vbd)
        return rmt_text("xen-%.*s", (int) strcspn(vbd + 1, "/"), vbd + 1);
    const char *found = NULL;
    for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
        const size_t digits = strspn(p + 1, "0123456789abcdef");
        if (digits >= 4 && p[1 + digits] == '.')
            found = p + 1;
    }
    return found ? rmt_text("platform-%.*s", (int) strcspn(found, "/"), found)
                 : rmt_text("%s", bus);
}

// Where the disk is plugged in, free of numbers that change from boot to boot.
static char *
s_disk_place(const char *root, const char *path, const char *bus, const char *slot)
{
    const char *tail = "";
    char part[64] = "";
    unsigned host, channel, target, lun, number;
    const char *ata = strstr(path, "/ata");
    const char *scsi = strstr(path, "/target");
    const char *name_space = strrchr(path, 'n');
    if (strcmp(bus, "ata") == 0 && ata && sscanf(ata, "/ata%u", &number) == 1) {
        tail = "-ata-";
        const uint64_t port =
            rmt_sysfs_number("%s/sys/class/ata_port/ata%u/port_no", root, number);
        snprintf(part, sizeof part, "%u", port ? (unsigned) port : number);
    } else if (scsi && (scsi = strchr(scsi + 1, '/')) &&
               sscanf(scsi, "/%u:%u:%u:%u", &host, &channel, &target, &lun) == 4) {
        tail = "-scsi-";
        snprintf(part, sizeof part, "%u:%u:%u", channel, target, lun);
    } else if (strcmp(bus, "nvme") == 0 && name_space) {
        tail = "-nvme-";
        snprintf(part, sizeof part, "%.16s", name_space + 1);
    }
    rmt_auto_str controller =
        slot[0] ? rmt_text("pci-%s", slot) : s_controller_place(path, bus);
    return rmt_text("%s%s%s", controller, tail, part);
}

// Where the kernel joins the paths to an NVMe disk, the disk stands below no controller;
// its subsystem names those it has. The path of the first one, or NULL.
static char *
s_controller_path(const char *link)
{
    rmt_auto_str names = rmt_sysfs_list("%s/device", link);
    for (const char *name = names; *name; name += strlen(name) + 1) {
        if (strncmp(name, "nvme", 4) != 0 || name[4 + strspn(name + 4, "0123456789")])
            continue;
        rmt_auto_str one = rmt_text("%s/device/%s", link, name);
        return realpath(one, NULL);
    }
    return NULL;
}

// Parts of a disk that look like disks of their own: the boot and protected areas of an
// eMMC (mmcblk0boot0), the single paths to an NVMe disk that are joined in another.
// Drives whose media are taken out are no disks to install on.
static bool
s_is_disk(const char *link, const char *name)
{
    if (strncmp(name, "sr", 2) == 0 || strncmp(name, "fd", 2) == 0)
        return false;
    if (strncmp(name, "mmcblk", 6) == 0 && name[6 + strspn(name + 6, "0123456789")])
        return false;
    return rmt_sysfs_exists("%s/device", link) && !rmt_sysfs_number("%s/hidden", link) &&
           rmt_sysfs_number("%s/size", link) > 0;
}

static void
s_set_identity(const char *root, const char *link, const char *name, rmt_record_t *disk)
{
    char text[RMT_SYSFS_TEXT_SIZE];
    if (!rmt_sysfs_text(text, "%s/wwid", link)[0])
        rmt_sysfs_text(text, "%s/device/wwid", link);
    rmt_sysfs_set(disk, "wwn", text);
    if (!rmt_sysfs_text(text, "%s/serial", link)[0] &&
        !rmt_sysfs_text(text, "%s/device/serial", link)[0])
        s_scsi_serial(root, name, text);
    rmt_sysfs_set(disk, "serial", text);
}

static void
s_set_place(const char *root, const char *link, const char *path, rmt_record_t *disk)
{
    rmt_auto_ptr joined = s_controller_path(link);
    const char *whole = strstr(path, "/nvme-subsystem/") && joined ? joined : path;
    char slot[RMT_PCI_SLOT_SIZE];
    rmt_pci_slot(whole + strlen(root), slot);
    rmt_auto_str place =
        s_disk_place(root, path + strlen(root), rmt_record_text(disk, "bus", ""), slot);
    rmt_record_set(disk, "path", place);
    rmt_pci_set_chain(disk, whole);
    char text[RMT_SYSFS_TEXT_SIZE];
    char device[RMT_SYSFS_TEXT_SIZE];
    rmt_sysfs_text(text, "%s/sys/bus/pci/devices/%s/vendor", root, slot);
    rmt_sysfs_text(device, "%s/sys/bus/pci/devices/%s/device", root, slot);
    if (slot[0] && strlen(text) > 2 && strlen(device) > 2)
        rmt_record_setf(disk, "controller", "%s:%s", text + 2, device + 2);
}

static void
s_read_disk(const char *root, const char *name, rmt_records_t *records)
{
    char path[PATH_MAX];
    char text[RMT_SYSFS_TEXT_SIZE];
    rmt_auto_str link = rmt_text("%s/sys/block/%s", root, name);
    if (!s_is_disk(link, name) || !realpath(link, path))
        return;
    const char *bus = s_disk_bus(path + strlen(root));
    rmt_record_t *disk = rmt_records_add(records);
    rmt_record_set(disk, "class", "disk");
    rmt_record_set(disk, "name", name);
    rmt_record_set(disk, "bus", bus);
    rmt_sysfs_text(text, "%s/device/model", link);
    rmt_record_set(disk, "media", s_disk_media(root, name, bus, text));
    rmt_sysfs_set(disk, "model", text);
    // On virtio this file holds a number.
    if (strncmp(rmt_sysfs_text(text, "%s/device/vendor", link), "0x", 2) != 0)
        rmt_sysfs_set(disk, "maker", text);
    rmt_record_set_u64(disk, "bytes", rmt_sysfs_number("%s/size", link) * 512);
    rmt_record_set_u64(disk, "logical-sector",
                       rmt_sysfs_number("%s/queue/logical_block_size", link));
    rmt_record_set_u64(disk, "physical-sector",
                       rmt_sysfs_number("%s/queue/physical_block_size", link));
    if (rmt_sysfs_number("%s/removable", link))
        rmt_record_set(disk, "removable", "yes");
    s_set_identity(root, link, name, disk);
    s_set_place(root, link, path, disk);
}

void
rmt_block_read(const char *root, rmt_records_t *records)
{
    rmt_auto_str names = rmt_sysfs_list("%s/sys/block", root);
    for (const char *name = names; *name; name += strlen(name) + 1)
        s_read_disk(root, name, records);
}
