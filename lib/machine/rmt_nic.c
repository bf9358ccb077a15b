#include "base/rmt_auto.h"
#include "machine/rmt_devices.h"
#include "base/rmt_io.h"
#include "base/rmt_sysfs.h"

#include <limits.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define MAC_SIZE 6

// The driver knows what is burnt in, whatever address is set now; "" where it does not
// say. Returns text.
static char *
s_ask_driver(const char *name, char text[RMT_SYSFS_TEXT_SIZE])
{
    text[0] = '\0';
    union {
        struct ethtool_perm_addr head;
        unsigned char room[sizeof(struct ethtool_perm_addr) + 32];
    } ask = {.head = {.cmd = ETHTOOL_GPERMADDR, .size = 32}};
    struct ifreq request = {.ifr_data = (char *) &ask};
    if (strlen(name) >= sizeof request.ifr_name)
        return text;
    strcpy(request.ifr_name, name);
    rmt_auto_fd fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd == -1 || ioctl(fd, SIOCETHTOOL, &request) == -1 || ask.head.size != MAC_SIZE)
        return text;
    const unsigned char *mac = ask.room + sizeof ask.head;
    bool is_set = false;
    for (size_t i = 0; i < MAC_SIZE; i++)
        is_set = is_set || mac[i];
    if (is_set)
        snprintf(text, RMT_SYSFS_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
                 mac[1], mac[2], mac[3], mac[4], mac[5]);
    return text;
}

// Only addresses that are burnt in: what a bond or a random address shows would change
// who the machine is.
static void
s_set_mac(const char *root, const char *folder, const char *name, rmt_record_t *nic)
{
    char text[RMT_SYSFS_TEXT_SIZE] = "";
    if (!root[0])
        s_ask_driver(name, text);
    if (!text[0])
        rmt_sysfs_text(text, "%s/bonding_slave/perm_hwaddr", folder);
    if (!text[0] && rmt_sysfs_number("%s/addr_assign_type", folder) == 0)
        rmt_sysfs_text(text, "%s/address", folder);
    rmt_sysfs_set(nic, "mac", text);
}

// Interfaces of a device only; a virtual function is a setting, not a part.
void
rmt_nic_read(const char *root, rmt_records_t *records)
{
    rmt_auto_str names = rmt_sysfs_list("%s/sys/class/net", root);
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str folder = rmt_text("%s/sys/class/net/%s", root, name);
        char text[RMT_SYSFS_TEXT_SIZE];
        char path[PATH_MAX];
        if (!rmt_sysfs_exists("%s/device", folder) ||
            rmt_sysfs_exists("%s/device/physfn", folder) || !realpath(folder, path))
            continue;
        rmt_record_t *nic = rmt_records_add(records);
        rmt_record_set(nic, "class", "nic");
        rmt_record_set(nic, "name", name);
        s_set_mac(root, folder, name, nic);
        rmt_sysfs_set(nic, "driver",
                      rmt_sysfs_link_name(text, "%s/device/driver", folder));
        const bool is_radio = rmt_sysfs_exists("%s/phy80211", folder);
        rmt_record_set(nic, "media", is_radio ? "radio" : "cable");
        char slot[RMT_PCI_SLOT_SIZE];
        rmt_pci_slot(path + strlen(root), slot);
        // What hangs on USB is plugged in, wherever its host controller is.
        const bool is_usb = strstr(path + strlen(root), "/usb") != NULL;
        rmt_sysfs_set(nic, is_usb ? "usb-host" : "pci", slot);
        rmt_pci_set_chain(nic, path);
    }
}
