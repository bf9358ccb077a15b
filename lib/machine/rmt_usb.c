#include "base/rmt_auto.h"
#include "machine/rmt_devices.h"
#include "base/rmt_io.h"
#include "base/rmt_sysfs.h"

#include <stdio.h>
#include <string.h>

// "080650:usb-storage 030101:usbhid": class, subclass and protocol of each interface with
// its driver, "-" for none. The names of a device's interfaces are its own, ':' and more.
static char *
s_interfaces(const char *root, const char *names, const char *device)
{
    const size_t size = strlen(device);
    char *all = rmt_text("%s", "");
    for (const char *name = names; *name; name += strlen(name) + 1) {
        if (strncmp(name, device, size) != 0 || name[size] != ':')
            continue;
        rmt_auto_str folder = rmt_text("%s/sys/bus/usb/devices/%s", root, name);
        char parts[3][RMT_SYSFS_TEXT_SIZE];
        char driver[RMT_SYSFS_TEXT_SIZE];
        rmt_sysfs_text(parts[0], "%s/bInterfaceClass", folder);
        rmt_sysfs_text(parts[1], "%s/bInterfaceSubClass", folder);
        rmt_sysfs_text(parts[2], "%s/bInterfaceProtocol", folder);
        rmt_sysfs_link_name(driver, "%s/driver", folder);
        char *longer = rmt_text("%s%s%.2s%.2s%.2s:%s", all, all[0] ? " " : "", parts[0],
                                parts[1], parts[2], driver[0] ? driver : "-");
        free(all);
        all = longer;
    }
    return all;
}

static void
s_read_device(const char *root, const char *names, const char *name,
              rmt_records_t *records)
{
    static const struct {
        const char *field;
        const char *file;
    } rows[] = {
        {"vendor", "idVendor"},    {"product", "idProduct"},
        {"revision", "bcdDevice"}, {"usb-class", "bDeviceClass"},
        {"maker", "manufacturer"}, {"model", "product"},
    };
    rmt_auto_str folder = rmt_text("%s/sys/bus/usb/devices/%s", root, name);
    char text[RMT_SYSFS_TEXT_SIZE];
    if (!rmt_sysfs_text(text, "%s/idVendor", folder)[0])
        return;
    rmt_record_t *usb = rmt_records_add(records);
    rmt_record_set(usb, "class", "usb");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        rmt_sysfs_set(usb, rows[i].field,
                      rmt_sysfs_text(text, "%s/%s", folder, rows[i].file));
    rmt_auto_str interfaces = s_interfaces(root, names, name);
    rmt_sysfs_set(usb, "interfaces", interfaces);
    rmt_record_set(usb, "port", name);
}

void
rmt_usb_read(const char *root, rmt_records_t *records)
{
    rmt_auto_str names = rmt_sysfs_list("%s/sys/bus/usb/devices", root);
    for (const char *name = names; *name; name += strlen(name) + 1)
        s_read_device(root, names, name, records);
}
