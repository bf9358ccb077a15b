#include "rmt_devices.h"
#include "rmt_auto.h"
#include "rmt_io.h"
#include "rmt_sysfs.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

// The last PCI address in a sysfs path, such as 0000:00:1f.2; "" for none.
static void
s_pci_slot(const char *path, char slot[16])
{
    slot[0] = '\0';
    for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
        unsigned domain, bus, device, function;
        int used = 0;
        if (sscanf(p, "/%4x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &used) ==
                4 &&
            used == 13 && (p[13] == '/' || p[13] == '\0'))
            snprintf(slot, 16, "%.12s", p + 1);
    }
}

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

static const char *
s_disk_media(const char *root, const char *name, const char *bus, const char *model)
{
    if (strcmp(bus, "virtio") == 0 || strcmp(bus, "xen") == 0 || strstr(model, "QEMU") ||
        strcasestr(model, "virtual") || strstr(model, "VBOX"))
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
    return slot[0] ? rmt_text("pci-%s%s%s", slot, tail, part)
                   : rmt_text("%s%s", bus, part);
}

static void
s_read_disk(const char *root, const char *name, rmt_records_t *records)
{
    char path[PATH_MAX];
    char text[RMT_SYSFS_TEXT_SIZE];
    rmt_auto_str link = rmt_text("%s/sys/block/%s", root, name);
    const uint64_t sectors = rmt_sysfs_number("%s/size", link);
    if (!realpath(link, path) || !rmt_sysfs_exists("%s/device", link) || sectors == 0 ||
        strncmp(name, "sr", 2) == 0 || strncmp(name, "fd", 2) == 0)
        return;
    const char *bus = s_disk_bus(path + strlen(root));
    rmt_record_t *disk = rmt_records_add(records);
    rmt_record_set(disk, "class", "disk");
    rmt_record_set(disk, "name", name);
    rmt_record_set(disk, "bus", bus);
    rmt_sysfs_text(text, "%s/device/model", link);
    rmt_record_set(disk, "media", s_disk_media(root, name, bus, text));
    rmt_sysfs_set(disk, "model", text);
    rmt_record_set_u64(disk, "bytes", sectors * 512);
    rmt_record_set_u64(disk, "logical-sector",
                       rmt_sysfs_number("%s/queue/logical_block_size", link));
    rmt_record_set_u64(disk, "physical-sector",
                       rmt_sysfs_number("%s/queue/physical_block_size", link));
    if (!rmt_sysfs_text(text, "%s/wwid", link)[0])
        rmt_sysfs_text(text, "%s/device/wwid", link);
    rmt_sysfs_set(disk, "wwn", text);
    if (!rmt_sysfs_text(text, "%s/serial", link)[0] &&
        !rmt_sysfs_text(text, "%s/device/serial", link)[0])
        s_scsi_serial(root, name, text);
    rmt_sysfs_set(disk, "serial", text);
    char slot[16];
    s_pci_slot(path, slot);
    rmt_auto_str place = s_disk_place(root, path + strlen(root), bus, slot);
    rmt_record_set(disk, "path", place);
    if (slot[0]) {
        char device[RMT_SYSFS_TEXT_SIZE];
        rmt_sysfs_text(text, "%s/sys/bus/pci/devices/%s/vendor", root, slot);
        rmt_sysfs_text(device, "%s/sys/bus/pci/devices/%s/device", root, slot);
        if (strlen(text) > 2 && strlen(device) > 2)
            rmt_record_setf(disk, "controller", "%s:%s", text + 2, device + 2);
    }
}

// The mode a storage controller is switched to shows in its class code; the bound
// driver does not tell, as another kernel binds another one.
static const char *
s_driver_mode(unsigned class)
{
    static const struct {
        unsigned class;
        const char *mode;
    } rows[] = {
        {0x010601, "ahci"}, {0x0104, "raid"}, {0x0101, "ide"},
        {0x010802, "nvme"}, {0x0107, "sas"},  {0x0100, "scsi"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (class == rows[i].class || class >> 8 == rows[i].class)
            return rows[i].mode;
    }
    return "";
}

static void
s_read_pci(const char *root, rmt_records_t *records)
{
    rmt_auto_str slots = rmt_sysfs_list("%s/sys/bus/pci/devices", root);
    for (const char *slot = slots; *slot; slot += strlen(slot) + 1) {
        rmt_auto_str folder = rmt_text("%s/sys/bus/pci/devices/%s", root, slot);
        const uint64_t class = rmt_sysfs_number("%s/class", folder);
        char text[RMT_SYSFS_TEXT_SIZE];
        rmt_record_t *pci = rmt_records_add(records);
        rmt_record_set(pci, "class", "pci");
        rmt_record_setf(pci, "vendor", "%04x",
                        (unsigned) rmt_sysfs_number("%s/vendor", folder));
        rmt_record_setf(pci, "device", "%04x",
                        (unsigned) rmt_sysfs_number("%s/device", folder));
        rmt_record_setf(pci, "pci-class", "%06x", (unsigned) class);
        rmt_sysfs_set(pci, "driver", rmt_sysfs_link_name(text, "%s/driver", folder));
        rmt_sysfs_set(pci, "driver-mode", s_driver_mode((unsigned) class));
        rmt_record_set(pci, "slot", slot);
    }
}

// Only interfaces of a device, and of those only addresses that are burnt in: what
// a bond or a random address shows would change who the machine is.
static void
s_read_nics(const char *root, rmt_records_t *records)
{
    rmt_auto_str names = rmt_sysfs_list("%s/sys/class/net", root);
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str folder = rmt_text("%s/sys/class/net/%s", root, name);
        char text[RMT_SYSFS_TEXT_SIZE];
        if (!rmt_sysfs_exists("%s/device", folder))
            continue;
        rmt_record_t *nic = rmt_records_add(records);
        rmt_record_set(nic, "class", "nic");
        rmt_record_set(nic, "name", name);
        if (!rmt_sysfs_text(text, "%s/bonding_slave/perm_hwaddr", folder)[0] &&
            rmt_sysfs_number("%s/addr_assign_type", folder) == 0)
            rmt_sysfs_text(text, "%s/address", folder);
        rmt_sysfs_set(nic, "mac", text);
        rmt_sysfs_set(nic, "driver",
                      rmt_sysfs_link_name(text, "%s/device/driver", folder));
        char path[PATH_MAX];
        char slot[16];
        if (!realpath(folder, path))
            continue;
        s_pci_slot(path, slot);
        rmt_sysfs_set(nic, "pci", slot);
    }
}

static void
s_read_usb(const char *root, rmt_records_t *records)
{
    rmt_auto_str names = rmt_sysfs_list("%s/sys/bus/usb/devices", root);
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str folder = rmt_text("%s/sys/bus/usb/devices/%s", root, name);
        char text[RMT_SYSFS_TEXT_SIZE];
        if (!rmt_sysfs_text(text, "%s/idVendor", folder)[0])
            continue;
        rmt_record_t *usb = rmt_records_add(records);
        rmt_record_set(usb, "class", "usb");
        rmt_record_set(usb, "vendor", text);
        rmt_sysfs_set(usb, "product", rmt_sysfs_text(text, "%s/idProduct", folder));
        rmt_sysfs_set(usb, "usb-class", rmt_sysfs_text(text, "%s/bDeviceClass", folder));
    }
}

void
rmt_devices_read(const char *root, rmt_records_t *records)
{
    rmt_auto_str names = rmt_sysfs_list("%s/sys/block", root);
    for (const char *name = names; *name; name += strlen(name) + 1)
        s_read_disk(root, name, records);
    s_read_pci(root, records);
    s_read_nics(root, records);
    s_read_usb(root, records);
}
