#include "machine_tree.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/rmt_auto.h"
#include "facts/rmt_facts.h"
#include "machine/rmt_inventory.h"
#include "base/rmt_io.h"

#define FILE_SIZE_MAX ((size_t) 64 * 1024)

typedef struct {
    const char *root;
    const rmt_records_t *machine;
    rmt_error_t *error;
    int rc;
} tree_t;

static const char *
s_get(const rmt_record_t *record, const char *name)
{
    return rmt_record_text(record, name, "");
}

static void
s_put_bytes(tree_t *self, const char *path, const void *data, size_t size)
{
    rmt_auto_str full = rmt_text("%s/%s", self->root, path);
    rmt_auto_str folder = rmt_text("%s", full);
    *strrchr(folder, '/') = '\0';
    if (self->rc == 0 && rmt_io_mkdirs(folder, 0755, self->error) == 0) {
        FILE *file = fopen(full, "w");
        self->rc = file && fwrite(data, 1, size, file) == size && fclose(file) == 0
                       ? 0
                       : rmt_fail_errno(self->error, "write %s", full);
    }
}

// A file with this text as its line; nothing for an empty one.
static void __attribute__((format(printf, 3, 4)))
s_put(tree_t *self, const char *text, const char *format, ...)
{
    char path[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(path, sizeof path, format, arguments);
    va_end(arguments);
    rmt_auto_str line = rmt_text("%s\n", text);
    if (*text)
        s_put_bytes(self, path, line, strlen(line));
}

static void __attribute__((format(printf, 3, 4)))
s_link(tree_t *self, const char *target, const char *format, ...)
{
    char path[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(path, sizeof path, format, arguments);
    va_end(arguments);
    rmt_auto_str full = rmt_text("%s/%s", self->root, path);
    rmt_auto_str folder = rmt_text("%s", full);
    *strrchr(folder, '/') = '\0';
    if (self->rc == 0 &&
        (rmt_io_mkdirs(folder, 0755, self->error) == -1 || symlink(target, full) == -1))
        self->rc = rmt_fail_errno(self->error, "link %s", full);
}

// A device with a driver, whose module often has another name.
static void
s_bind(tree_t *self, const char *device, const char *driver, const char *modalias)
{
    static const char *const modules[][2] = {{"xhci_hcd", "xhci_pci"},
                                             {"sd", "sd_mod"},
                                             {"vbd", "xen_blkfront"},
                                             {"mmcblk", "mmc_block"},
                                             {"virtio-pci", "virtio_pci"}};
    char up[256] = "../";
    for (const char *p = device; *p && strlen(up) < sizeof up - 4; p++)
        strcat(up, *p == '/' ? "../" : "");
    rmt_auto_str target = rmt_text("%ssys/drivers/%s", up, driver);
    if (*driver)
        s_link(self, target, "%s/driver", device);
    s_put(self, modalias, "%s/modalias", device);
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        rmt_auto_str module = rmt_text("../../module/%s", modules[i][1]);
        rmt_auto_str link =
            rmt_text("%s/sys/drivers/%s/module", self->root, modules[i][0]);
        if (strcmp(driver, modules[i][0]) == 0 && access(link, F_OK) == -1 &&
            faccessat(AT_FDCWD, link, F_OK, AT_SYMLINK_NOFOLLOW) == -1)
            s_link(self, module, "sys/drivers/%s/module", driver);
    }
}

// ---- The machine as a whole

static void
s_make_system(tree_t *self, const rmt_record_t *system)
{
    static const char *const dmi[] = {"product_uuid", "board_serial", "sys_vendor",
                                      "product_name", "board_name",   "bios_version"};
    static const char *const tree[] = {"model", "serial-number", "compatible"};
    for (size_t i = 0; i < sizeof dmi / sizeof *dmi; i++)
        s_put(self, s_get(system, dmi[i]), "sys/class/dmi/id/%s", dmi[i]);
    for (size_t i = 0; i < sizeof tree / sizeof *tree; i++)
        s_put(self, s_get(system, tree[i]), "sys/firmware/devicetree/base/%s", tree[i]);
    s_put(self, rmt_record_text(system, "arch", "x86_64"), "proc/sys/kernel/arch");
    s_put(self, s_get(system, "kernel"), "proc/sys/kernel/osrelease");
    if (strcmp(s_get(system, "firmware"), "uefi") != 0)
        return;
    s_put(self, rmt_record_text(system, "efi-bits", "64"),
          "sys/firmware/efi/fw_platform_size");
    const char variable[5] = {6, 0, 0, 0,
                              strcmp(s_get(system, "secure-boot"), "on") == 0};
    if (rmt_record_has(system, "secure-boot"))
        s_put_bytes(self,
                    "sys/firmware/efi/efivars/"
                    "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
                    variable, sizeof variable);
}

static void
s_make_cpu(tree_t *self, const rmt_record_t *cpu)
{
    static const char *const x86[] = {"vendor",   "vendor_id", "family",   "cpu family",
                                      "model",    "model",     "name",     "model name",
                                      "stepping", "stepping",  "features", "flags"};
    static const char *const arm[] = {
        "features",         "Features", "vendor",   "CPU implementer", "family",
        "CPU architecture", "model",    "CPU part", "stepping",        "CPU revision"};
    const bool is_arm = strncmp(s_get(cpu, "vendor"), "0x", 2) == 0;
    const char *const *rows = is_arm ? arm : x86;
    const size_t count = is_arm ? sizeof arm / sizeof *arm : sizeof x86 / sizeof *x86;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    for (uint64_t i = 0; i < rmt_record_u64(cpu, "count", 1); i++) {
        fprintf(out, "processor\t: %u\n", (unsigned) i);
        for (size_t j = 0; j < count; j += 2) {
            if (rmt_record_has(cpu, rows[j]))
                fprintf(out, "%s\t: %s\n", rows[j + 1], s_get(cpu, rows[j]));
        }
        fputc('\n', out);
    }
    fclose(out);
    s_put_bytes(self, "proc/cpuinfo", text, size);
    free(text);
}

static void
s_make_memory(tree_t *self, const rmt_record_t *memory)
{
    rmt_auto_str text = rmt_text("MemTotal:       %u kB",
                                 (unsigned) rmt_record_u64(memory, "mib", 0) * 1024);
    s_put(self, text, "proc/meminfo");
}

// ---- PCI

// Path of the function in sys/devices, with what it stands behind.
static char *
s_pci_path(const tree_t *self, const char *slot)
{
    const rmt_record_t *pci = rmt_records_find(self->machine, "slot", slot);
    rmt_auto_str behind = rmt_text("%s", pci ? s_get(pci, "behind") : "");
    const char *first = *behind ? behind : slot;
    char *path = rmt_text("sys/devices/pci%.*s", (int) (strcspn(first, ":") + 3), first);
    char *rest = NULL;
    for (char *word = strtok_r(behind, " ", &rest); word;
         word = strtok_r(NULL, " ", &rest)) {
        char *longer = rmt_text("%s/%s", path, word);
        free(path);
        path = longer;
    }
    char *all = rmt_text("%s/%s", path, slot);
    free(path);
    return all;
}

static void
s_make_pci(tree_t *self, const rmt_record_t *pci)
{
    unsigned vendor = 0, device = 0, sub_vendor = 0, sub_device = 0, class = 0;
    sscanf(s_get(pci, "id"), "%x:%x", &vendor, &device);
    sscanf(s_get(pci, "sub"), "%x:%x", &sub_vendor, &sub_device);
    sscanf(s_get(pci, "type"), "%x", &class);
    const char *slot = s_get(pci, "slot");
    rmt_auto_str path = s_pci_path(self, slot);
    const struct {
        const char *file;
        unsigned value;
        int digits;
    } rows[] = {{"vendor", vendor, 4},
                {"device", device, 4},
                {"subsystem_vendor", sub_vendor, 4},
                {"subsystem_device", sub_device, 4},
                {"class", class, 6},
                {"revision", (unsigned) strtoul(s_get(pci, "rev"), NULL, 16), 2}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto_str text = rmt_text("0x%0*x", rows[i].digits, rows[i].value);
        s_put(self, text, "%s/%s", path, rows[i].file);
    }
    rmt_auto_str modalias =
        rmt_text("pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X", vendor, device,
                 sub_vendor, sub_device, class >> 16, class >> 8 & 0xff, class & 0xff);
    s_bind(self, path, s_get(pci, "driver"), modalias);
    if (rmt_record_has(pci, "function-of"))
        s_link(self, "..", "%s/physfn", path);
    rmt_auto_str target = rmt_text("../../../../%s", path);
    s_link(self, target, "sys/bus/pci/devices/%s", slot);
}

// ---- What hangs on controllers

// "0000:00:17.0", "vmbus:GUID", "xen:vbd-51712" or "platform:fe340000.mmc" as a path.
static char *
s_controller(tree_t *self, const rmt_record_t *record, const char *driver)
{
    const char *on = s_get(record, "on");
    const char *colon = strchr(on, ':');
    char *path;
    if (strncmp(on, "vmbus:", 6) == 0) {
        path = rmt_text("sys/devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0004:00/VMBUS:00/%s",
                        colon + 1);
        rmt_auto_str modalias = rmt_text("vmbus:%s", s_get(record, "type"));
        s_bind(self, path, driver, modalias);
    } else if (strncmp(on, "xen:", 4) == 0) {
        path = rmt_text("sys/devices/%s", colon + 1);
        rmt_auto_str modalias = rmt_text("xen:%.3s", colon + 1);
        s_bind(self, path, driver, modalias);
    } else if (strncmp(on, "platform:", 9) == 0) {
        path = rmt_text("sys/devices/platform/soc/%s", colon + 1);
        rmt_auto_str modalias = rmt_text("of:N%sT(null)", driver);
        s_bind(self, path, driver, modalias);
    } else {
        path = s_pci_path(self, on);
    }
    return path;
}

static char *
s_virtio(tree_t *self, const rmt_record_t *record, const char *parent, unsigned kind)
{
    static const char *const drivers[] = {"", "virtio_net", "virtio_blk"};
    char *path = rmt_text("%s/virtio%s", parent, rmt_record_text(record, "virtio", "0"));
    rmt_auto_str modalias = rmt_text("virtio:d%08Xv00001AF4", kind);
    s_bind(self, path, kind < 3 ? drivers[kind] : "virtio_scsi", modalias);
    s_put(self, "0x1af4", "%s/vendor", path);
    return path;
}

// A SCSI disk at "host:channel:target:lun" below a host adapter.
static char *
s_scsi(tree_t *self, const rmt_record_t *disk, const char *parent)
{
    unsigned host = 0, channel = 0, target = 0, lun = 0;
    sscanf(s_get(disk, "at"), "%u:%u:%u:%u", &host, &channel, &target, &lun);
    char *path = rmt_text("%s/host%u/target%u:%u:%u/%u:%u:%u:%u", parent, host, host,
                          channel, target, host, channel, target, lun);
    s_bind(self, path, "sd", "scsi:t-0x00");
    s_put(self, rmt_record_text(disk, "maker", "ATA"), "%s/vendor", path);
    s_put(self, s_get(disk, "model"), "%s/model", path);
    s_put(self, s_get(disk, "wwid"), "%s/wwid", path);
    rmt_auto_str file = rmt_text("%s/vpd_pg80", path);
    char page[64] = {0, (char) 0x80, 0, 0};
    snprintf(page + 4, sizeof page - 4, "%s", s_get(disk, "serial"));
    if (rmt_record_has(disk, "serial"))
        s_put_bytes(self, file, page, 4 + strlen(page + 4));
    return path;
}

static char *
s_nvme(tree_t *self, const rmt_record_t *disk, const char *parent)
{
    const char *name = s_get(disk, "name");
    const int size = (int) strcspn(name + 4, "n") + 4;
    char *path = rmt_text("%s/nvme/%.*s", parent, size, name);
    s_put(self, s_get(disk, "model"), "%s/model", path);
    s_put(self, s_get(disk, "serial"), "%s/serial", path);
    if (strcmp(s_get(disk, "via"), "nvme-joined") != 0)
        return path;
    // The disk itself belongs to the subsystem; the path to it is hidden.
    s_put(self, "1", "%s/%.*sc0%s/hidden", path, size, name, name + size);
    s_put(self, "1000", "%s/%.*sc0%s/size", path, size, name, name + size);
    s_link(self, "..", "%s/%.*sc0%s/device", path, size, name, name + size);
    rmt_auto_str hidden = rmt_text("../../%s/%.*sc0%s", path, size, name, name + size);
    s_link(self, hidden, "sys/block/%.*sc0%s", size, name, name + size);
    char *joined = rmt_text("sys/devices/virtual/nvme-subsystem/nvme-subsys%.*s",
                            size - 4, name + 4);
    rmt_auto_str up = rmt_text("../../../../../%s", path);
    s_link(self, up, "%s/%.*s", joined, size, name);
    s_put(self, s_get(disk, "model"), "%s/model", joined);
    s_put(self, s_get(disk, "serial"), "%s/serial", joined);
    free(path);
    return joined;
}

static char *
s_usb_interface(tree_t *self, const rmt_record_t *record, const char *parent)
{
    const char *port = s_get(record, "port");
    char *path = rmt_text("%s/usb%.1s/%s/%s:1.0", parent, port, port, port);
    s_bind(self, path, "usb-storage",
           "usb:v0781p5581d0100dc00dsc00dp00ic08isc06ip50in00");
    return path;
}

// The folder of the device that a disk is, made with what lies between.
static char *
s_disk_device(tree_t *self, const rmt_record_t *disk)
{
    const char *via = s_get(disk, "via");
    rmt_auto_str parent = s_controller(self, disk, s_get(disk, "driver"));
    if (strcmp(via, "ata") == 0) {
        rmt_auto_str port = rmt_text("%s/ata%s", parent, s_get(disk, "ata"));
        s_put(self, s_get(disk, "ata"), "sys/class/ata_port/ata%s/port_no",
              s_get(disk, "ata"));
        return s_scsi(self, disk, port);
    }
    if (strcmp(via, "scsi") == 0)
        return s_scsi(self, disk, parent);
    if (strcmp(via, "virtio-scsi") == 0) {
        rmt_auto_str virtio = s_virtio(self, disk, parent, 8);
        return s_scsi(self, disk, virtio);
    }
    if (strcmp(via, "usb") == 0) {
        rmt_auto_str port = s_usb_interface(self, disk, parent);
        return s_scsi(self, disk, port);
    }
    if (strcmp(via, "virtio") == 0)
        return s_virtio(self, disk, parent, 2);
    if (strncmp(via, "nvme", 4) == 0)
        return s_nvme(self, disk, parent);
    if (strcmp(via, "mmc") == 0) {
        char *card = rmt_text("%s/mmc_host/mmc0/mmc0:0001", parent);
        s_bind(self, card, "mmcblk", "mmc:block");
        s_put(self, s_get(disk, "serial"), "%s/serial", card);
        return card;
    }
    return rmt_take(&parent); // xen: the disk is the device
}

static void
s_make_disk(tree_t *self, const rmt_record_t *disk)
{
    const char *name = s_get(disk, "name");
    rmt_auto_str device = s_disk_device(self, disk);
    const bool is_nvme = strncmp(name, "nvme", 4) == 0;
    rmt_auto_str path = rmt_text("%s/%s%s", device, is_nvme ? "" : "block/", name);
    rmt_auto_str size =
        rmt_text("%llu", (unsigned long long) rmt_record_u64(disk, "bytes", 0) / 512);
    const char *sector = rmt_record_text(disk, "sector", "512");
    s_put(self, size, "%s/size", path);
    s_put(self, "0", "%s/hidden", path);
    s_put(self, rmt_record_text(disk, "removable", "0"), "%s/removable", path);
    s_put(self, rmt_record_text(disk, "rotational", "0"), "%s/queue/rotational", path);
    s_put(self, sector, "%s/queue/logical_block_size", path);
    s_put(self, rmt_record_text(disk, "physical", sector), "%s/queue/physical_block_size",
          path);
    s_link(self, is_nvme ? ".." : "../..", "%s/device", path);
    if (is_nvme)
        s_put(self, s_get(disk, "wwid"), "%s/wwid", path);
    if (strcmp(s_get(disk, "via"), "virtio") == 0)
        s_put(self, s_get(disk, "serial"), "%s/serial", path);
    rmt_auto_str target = rmt_text("../../%s", path);
    s_link(self, target, "sys/block/%s", name);
    if (strcmp(s_get(disk, "via"), "mmc") == 0) {
        // An eMMC shows its boot areas as disks below the disk.
        s_put(self, "8192", "%s/%sboot0/size", path, name);
        s_link(self, "..", "%s/%sboot0/device", path, name);
        rmt_auto_str area = rmt_text("../../%s/%sboot0", path, name);
        s_link(self, area, "sys/block/%sboot0", name);
    }
}

static void
s_make_nic(tree_t *self, const rmt_record_t *nic)
{
    const char *name = s_get(nic, "name");
    rmt_auto_str parent = s_controller(self, nic, s_get(nic, "driver"));
    rmt_auto_str device = strcmp(s_get(nic, "via"), "virtio") == 0
                              ? s_virtio(self, nic, parent, 1)
                              : rmt_text("%s", parent);
    rmt_auto_str path = rmt_text("%s/net/%s", device, name);
    s_put(self, s_get(nic, "mac"), "%s/address", path);
    s_put(self, rmt_record_text(nic, "assigned", "0"), "%s/addr_assign_type", path);
    s_link(self, "../..", "%s/device", path);
    if (rmt_record_has(nic, "radio"))
        s_put(self, "0", "%s/phy80211/index", path);
    rmt_auto_str target = rmt_text("../../../%s", path);
    s_link(self, target, "sys/class/net/%s", name);
}

static void
s_make_usb(tree_t *self, const rmt_record_t *usb)
{
    static const struct {
        const char *field;
        const char *file;
    } rows[] = {{"type", "bDeviceClass"},
                {"rev", "bcdDevice"},
                {"maker", "manufacturer"},
                {"model", "product"}};
    const char *port = s_get(usb, "port");
    unsigned vendor = 0, product = 0;
    sscanf(s_get(usb, "id"), "%x:%x", &vendor, &product);
    rmt_auto_str vendor_text = rmt_text("%04x", vendor);
    rmt_auto_str product_text = rmt_text("%04x", product);
    s_put(self, vendor_text, "sys/bus/usb/devices/%s/idVendor", port);
    s_put(self, product_text, "sys/bus/usb/devices/%s/idProduct", port);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        s_put(self, s_get(usb, rows[i].field), "sys/bus/usb/devices/%s/%s", port,
              rows[i].file);
    rmt_auto_str list = rmt_text("%s", s_get(usb, "interfaces"));
    char *rest = NULL;
    int number = 0;
    for (char *word = strtok_r(list, " ", &rest); word;
         word = strtok_r(NULL, " ", &rest), number++) {
        static const char *const files[] = {"bInterfaceClass", "bInterfaceSubClass",
                                            "bInterfaceProtocol"};
        for (size_t i = 0; i < 3; i++) {
            rmt_auto_str part = rmt_text("%.2s", word + 2 * i);
            s_put(self, part, "sys/bus/usb/devices/%s:1.%d/%s", port, number, files[i]);
        }
        rmt_auto_str driver = rmt_text("/sys/bus/usb/drivers/%s", word + 7);
        s_link(self, driver, "sys/bus/usb/devices/%s:1.%d/driver", port, number);
    }
}

int
machine_tree_make(const char *root, const char *text, rmt_error_t *error)
{
    static const struct {
        const char *class;
        void (*make)(tree_t *self, const rmt_record_t *record);
    } rows[] = {
        {"system", s_make_system}, {"cpu", s_make_cpu},   {"memory", s_make_memory},
        {"pci", s_make_pci},       {"disk", s_make_disk}, {"nic", s_make_nic},
        {"usb", s_make_usb},
    };
    rmt_auto(rmt_records) machine = rmt_facts_parse(text, error);
    if (!machine)
        return -1;
    tree_t self = {root, machine, error, 0};
    for (size_t i = 0; i < rmt_records_count(machine); i++) {
        const rmt_record_t *record = rmt_records_at(machine, i);
        for (size_t j = 0; j < sizeof rows / sizeof *rows; j++) {
            if (strcmp(s_get(record, "class"), rows[j].class) == 0)
                rows[j].make(&self, record);
        }
    }
    return self.rc;
}

// The lines of a text without those that an edit takes out, and with those it adds.
static char *
s_edited(const char *text, const char *edit)
{
    char *out = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&out, &size);
    rmt_auto_str words = rmt_text("%s", edit ? edit : "");
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
        rmt_auto_str one = rmt_text("%.*s", (int) strcspn(line, "\n"), line);
        bool is_out = false;
        for (const char *word = words; *word == '-'; word += strcspn(word, "\n") + 1) {
            rmt_auto_str what = rmt_text("%.*s", (int) strcspn(word + 1, "\n"), word + 1);
            is_out = is_out || strstr(one, what);
        }
        if (!is_out)
            fprintf(stream, "%s\n", one);
        if (!line[strcspn(line, "\n")])
            break;
    }
    const char *more = words;
    while (*more == '-' && strchr(more, '\n'))
        more = strchr(more, '\n') + 1;
    if (*more != '-')
        fprintf(stream, "%s", more);
    fclose(stream);
    return out;
}

rmt_records_t *
machine_tree_read(const char *path, const char *edit, rmt_error_t *error)
{
    rmt_auto_ptr text = NULL;
    size_t size = 0;
    if (rmt_io_load(path, FILE_SIZE_MAX, &text, &size, error) == -1)
        return NULL;
    rmt_auto_str edited = s_edited(text, edit);
    // Hundreds of small files: in memory where there is such a place.
    rmt_auto_str root = rmt_text("%s/ramet-machine-XXXXXX",
                                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(root)) {
        rmt_fail_errno(error, "make %s", root);
        return NULL;
    }
    rmt_records_t *records = NULL;
    if (machine_tree_make(root, edited, error) == 0)
        records = rmt_inventory_read_at(root, error);
    rmt_error_t ignored = {0};
    (void) rmt_io_remove_tree(root, &ignored);
    return records;
}
