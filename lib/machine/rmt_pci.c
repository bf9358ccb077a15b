#include "base/rmt_auto.h"
#include "machine/rmt_devices.h"
#include "base/rmt_io.h"
#include "base/rmt_sysfs.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define BRIDGE 0x06

// The domain has four digits or, behind a volume management device, more.
void
rmt_pci_slot(const char *path, char slot[RMT_PCI_SLOT_SIZE])
{
    slot[0] = '\0';
    for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
        unsigned domain, bus, device, function;
        int used = 0;
        if (sscanf(p, "/%8x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &used) ==
                4 &&
            used >= 13 && used < RMT_PCI_SLOT_SIZE && (p[used] == '/' || p[used] == '\0'))
            snprintf(slot, RMT_PCI_SLOT_SIZE, "%.*s", used - 1, p + 1);
    }
}

// Buses whose devices are found by their kind alone, so that every kernel names its
// drivers for them in the same way. What firmware describes (acpi:, of:, platform:) has
// drivers built in that name nothing.
static bool
s_is_told(const char *modalias)
{
    static const char *const buses[] = {
        "pci:", "virtio:", "vmbus:", "xen:", "scsi:", "usb:", "mmc:"};
    for (size_t i = 0; i < sizeof buses / sizeof *buses; i++) {
        if (strncmp(modalias, buses[i], strlen(buses[i])) == 0)
            return !strchr(modalias, ' ');
    }
    return false;
}

// The module of the driver that is bound to the device in a folder, or the driver's own
// name where it is built in; "" for none. As the kernel writes modules, with '_'.
static char *
s_module(char text[RMT_SYSFS_TEXT_SIZE], const char *folder)
{
    if (!rmt_sysfs_link_name(text, "%s/driver/module", folder)[0])
        rmt_sysfs_link_name(text, "%s/driver", folder);
    for (char *p = text; *p; p++)
        *p = *p == '-' ? '_' : *p;
    return text;
}

static void
s_append(rmt_record_t *record, const char *field, const char *word)
{
    rmt_auto_str before = rmt_text("%s", rmt_record_text(record, field, ""));
    rmt_record_setf(record, field, "%s%s%s", before, before[0] ? " " : "", word);
}

void
rmt_pci_set_chain(rmt_record_t *record, const char *path)
{
    rmt_auto_str folder = rmt_text("%s", path);
    for (char *slash = strrchr(folder, '/'); slash && slash != folder;
         slash = strrchr(folder, '/')) {
        char modalias[RMT_SYSFS_TEXT_SIZE];
        char module[RMT_SYSFS_TEXT_SIZE];
        const bool is_bridge =
            (rmt_sysfs_number("%s/class", folder) >> 16 & 0xff) == BRIDGE;
        if (!is_bridge && s_module(module, folder)[0] &&
            s_is_told(rmt_sysfs_text(modalias, "%s/modalias", folder))) {
            s_append(record, "modaliases", modalias);
            s_append(record, "modules", module);
        }
        *slash = '\0';
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
s_read_function(const char *folder, const char *slot, rmt_record_t *pci)
{
    char text[RMT_SYSFS_TEXT_SIZE];
    const unsigned class = (unsigned) rmt_sysfs_number("%s/class", folder);
    rmt_record_set(pci, "class", "pci");
    rmt_record_setf(pci, "vendor", "%04x",
                    (unsigned) rmt_sysfs_number("%s/vendor", folder));
    rmt_record_setf(pci, "device", "%04x",
                    (unsigned) rmt_sysfs_number("%s/device", folder));
    rmt_record_setf(pci, "pci-class", "%06x", class);
    if (rmt_sysfs_exists("%s/subsystem_vendor", folder))
        rmt_record_setf(pci, "subsystem", "%04x:%04x",
                        (unsigned) rmt_sysfs_number("%s/subsystem_vendor", folder),
                        (unsigned) rmt_sysfs_number("%s/subsystem_device", folder));
    if (rmt_sysfs_exists("%s/revision", folder))
        rmt_record_setf(pci, "revision", "%02x",
                        (unsigned) rmt_sysfs_number("%s/revision", folder));
    rmt_sysfs_set(pci, "driver", rmt_sysfs_link_name(text, "%s/driver", folder));
    rmt_sysfs_set(pci, "module", s_module(text, folder));
    rmt_sysfs_set(pci, "driver-mode", s_driver_mode(class));
    rmt_sysfs_set(pci, "modalias", rmt_sysfs_text(text, "%s/modalias", folder));
    rmt_record_set(pci, "slot", slot);
}

// A virtual function (it has a link to its physical one) is a setting of the system that
// runs, and no part of the machine.
void
rmt_pci_read(const char *root, rmt_records_t *records)
{
    rmt_auto_str slots = rmt_sysfs_list("%s/sys/bus/pci/devices", root);
    for (const char *slot = slots; *slot; slot += strlen(slot) + 1) {
        rmt_auto_str folder = rmt_text("%s/sys/bus/pci/devices/%s", root, slot);
        if (!rmt_sysfs_exists("%s/physfn", folder))
            s_read_function(folder, slot, rmt_records_add(records));
    }
}
