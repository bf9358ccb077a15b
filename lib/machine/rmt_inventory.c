#include "machine/rmt_inventory.h"
#include "base/rmt_auto.h"
#include "machine/rmt_devices.h"
#include "base/rmt_io.h"
#include "base/rmt_sysfs.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/utsname.h>

#define PROC_SIZE_MAX ((size_t) 16 * 1024 * 1024)

// What board makers leave in the fields of a serial or UUID; compared without case.
// A row that ends with '*' is a prefix.
static const char *const s_placeholders[] = {
    "to be filled*",
    "not specified*",
    "not applicable*",
    "not available*",
    "not present*",
    "default*",
    "system serial*",
    "base board serial*",
    "chassis serial*",
    "unknown*",
    "none",
    "n/a",
    "na",
    "o.e.m.*",
    "oem*",
    "invalid*",
    "123456789",
    "0123456789",
    "1234567890",
    "03000200-0400-0500-0006-000700080009",
    "12345678-1234-5678-90ab-cddeefaabbcc",
};

static void
s_lower(char *text)
{
    for (; *text; text++)
        *text = (char) tolower((unsigned char) *text);
}

// True when every byte that is not a separator is the same one of 0, f, x.
static bool
s_is_filler(const char *text)
{
    char first = '\0';
    for (; *text; text++) {
        if (strchr("-:. ", *text))
            continue;
        const char c = (char) tolower((unsigned char) *text);
        if (!strchr("0fx", c) || (first && c != first))
            return false;
        first = c;
    }
    return true;
}

static bool
s_is_placeholder(const char *text)
{
    if (s_is_filler(text))
        return true;
    for (size_t i = 0; i < sizeof s_placeholders / sizeof *s_placeholders; i++) {
        const char *row = s_placeholders[i];
        const size_t size = strlen(row);
        const bool prefix = row[size - 1] == '*';
        if (prefix ? strncasecmp(text, row, size - 1) == 0 : strcasecmp(text, row) == 0)
            return true;
    }
    return false;
}

// Memory blocks count what is built in; MemTotal lacks what the kernel keeps for
// itself, so it is only asked where there are no memory blocks.
static uint64_t
s_memory_bytes(const char *root, const char *meminfo)
{
    char text[RMT_SYSFS_TEXT_SIZE];
    rmt_sysfs_text(text, "%s/sys/devices/system/memory/block_size_bytes", root);
    const uint64_t block = strtoull(text, NULL, 16);
    uint64_t count = 0;
    if (block) {
        rmt_auto_str names = rmt_sysfs_list("%s/sys/devices/system/memory", root);
        for (const char *name = names; *name; name += strlen(name) + 1) {
            if (strncmp(name, "memory", 6) == 0 && isdigit((unsigned char) name[6]))
                count += rmt_sysfs_number("%s/sys/devices/system/memory/%s/online", root,
                                          name);
        }
    }
    if (count)
        return count * block;
    const char *line = strstr(meminfo, "MemTotal:");
    return line ? strtoull(line + strlen("MemTotal:"), NULL, 10) * 1024 : 0;
}

// A recorded tree says what it was recorded on; older kernels do not tell it in a file.
static void
s_arch(const char *root, char arch[RMT_SYSFS_TEXT_SIZE])
{
    struct utsname kernel;
    uname(&kernel);
    if (!rmt_sysfs_text(arch, "%s/proc/sys/kernel/arch", root)[0])
        snprintf(arch, RMT_SYSFS_TEXT_SIZE, "%s", kernel.machine);
}

rmt_records_t *
rmt_inventory_read_at(const char *root, rmt_error_t *error)
{
    assert(root);
    rmt_auto_str cpu_path = rmt_text("%s/proc/cpuinfo", root);
    rmt_auto_str memory_path = rmt_text("%s/proc/meminfo", root);
    rmt_auto_ptr cpuinfo = NULL;
    rmt_auto_ptr meminfo = NULL;
    size_t size;
    if (rmt_io_load(cpu_path, PROC_SIZE_MAX, &cpuinfo, &size, error) == -1 ||
        rmt_io_load(memory_path, PROC_SIZE_MAX, &meminfo, &size, error) == -1)
        return NULL;
    char arch[RMT_SYSFS_TEXT_SIZE];
    s_arch(root, arch);
    rmt_records_t *records = rmt_records_new();
    rmt_dmi_read(root, arch, records);
    rmt_cpu_read(cpuinfo, arch, records);
    rmt_record_t *memory = rmt_records_add(records);
    rmt_record_set(memory, "class", "memory");
    rmt_record_set_u64(memory, "bytes", s_memory_bytes(root, meminfo));
    rmt_block_read(root, records);
    rmt_pci_read(root, records);
    rmt_nic_read(root, records);
    rmt_usb_read(root, records);
    return records;
}

rmt_records_t *
rmt_inventory_read(rmt_error_t *error)
{
    return rmt_inventory_read_at("", error);
}

static int
s_compare_text(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

static char *
s_macs(const rmt_records_t *records)
{
    const size_t count = rmt_records_count(records);
    rmt_auto_ptr memory = calloc(count + 1, sizeof(char *));
    const char **macs = memory;
    if (!macs)
        abort();
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const rmt_record_t *record = rmt_records_at(records, i);
        const char *mac = rmt_record_text(record, "mac", "");
        if (strcmp(rmt_record_text(record, "class", ""), "nic") == 0 && mac[0] &&
            !s_is_placeholder(mac))
            macs[used++] = mac;
    }
    if (used == 0)
        return NULL;
    qsort(macs, used, sizeof *macs, s_compare_text);
    char *text = rmt_text("mac:%s", macs[0]);
    for (size_t i = 1; i < used; i++) {
        char *longer = rmt_text("%s,%s", text, macs[i]);
        free(text);
        text = longer;
    }
    s_lower(text);
    return text;
}

char *
rmt_inventory_identity(const rmt_records_t *records)
{
    assert(records);
    const rmt_record_t *system = rmt_records_find(records, "class", "system");
    const char *uuid = system ? rmt_record_text(system, "uuid", "") : "";
    const char *serial = system ? rmt_record_text(system, "board-serial", "") : "";
    if (!s_is_placeholder(uuid)) {
        char *text = rmt_text("uuid:%s", uuid);
        s_lower(text);
        return text;
    }
    if (!s_is_placeholder(serial))
        return rmt_text("board:%s", serial);
    return s_macs(records);
}

char *
rmt_inventory_own_identity(void)
{
    char arch[RMT_SYSFS_TEXT_SIZE];
    s_arch("", arch);
    rmt_auto(rmt_records) records = rmt_records_new();
    rmt_dmi_read("", arch, records);
    rmt_nic_read("", records);
    return rmt_inventory_identity(records);
}

char *
rmt_inventory_macs(const rmt_records_t *records, size_t *count_out)
{
    char *macs = rmt_text("%s", "");
    *count_out = 0;
    for (size_t i = 0; records && i < rmt_records_count(records); i++) {
        const rmt_record_t *record = rmt_records_at(records, i);
        const char *mac = rmt_record_text(record, "mac", "");
        if (!rmt_record_is(record, "class", "nic") || !*mac)
            continue;
        char *longer = rmt_text("%s%s%s", macs, *macs ? " " : "", mac);
        free(macs);
        macs = longer;
        (*count_out)++;
    }
    return macs;
}

static bool
s_is_idle_storage(const rmt_record_t *record)
{
    return strcmp(rmt_record_text(record, "class", ""), "pci") == 0 &&
           strncmp(rmt_record_text(record, "pci-class", ""), "01", 2) == 0 &&
           !*rmt_record_text(record, "driver", "");
}

char *
rmt_inventory_no_disk(const rmt_records_t *records)
{
    assert(records);
    if (rmt_records_find(records, "class", "disk"))
        return NULL;
    char *text =
        rmt_text("no disk: this machine has no disk that the kernel has a driver for");
    const char *before = "; without a driver: ";
    for (size_t i = 0; i < rmt_records_count(records); i++) {
        const rmt_record_t *record = rmt_records_at(records, i);
        if (!s_is_idle_storage(record))
            continue;
        char *longer =
            rmt_text("%s%s%s:%s", text, before, rmt_record_text(record, "vendor", "?"),
                     rmt_record_text(record, "device", "?"));
        free(text);
        text = longer;
        before = ", ";
    }
    return text;
}
