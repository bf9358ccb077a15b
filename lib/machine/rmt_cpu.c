#include "machine/rmt_devices.h"
#include "base/rmt_sysfs.h"

#include <stdio.h>
#include <string.h>

// Take the value of a cpuinfo line "key : value"; NULL for another key.
static const char *
s_value(const char *line, const char *key)
{
    const size_t size = strlen(key);
    if (strncmp(line, key, size) != 0)
        return NULL;
    line += size;
    line += strspn(line, " \t");
    if (*line != ':')
        return NULL;
    line++;
    return line + strspn(line, " \t");
}

// Keys of x86 and of ARM; the first one that tells a field is right for all.
void
rmt_cpu_read(char *cpuinfo, const char *arch, rmt_records_t *records)
{
    static const struct {
        const char *field;
        const char *key;
    } rows[] = {
        {"vendor", "vendor_id"},  {"vendor", "CPU implementer"},
        {"family", "cpu family"}, {"family", "CPU architecture"},
        {"model", "model"},       {"model", "CPU part"},
        {"stepping", "stepping"}, {"stepping", "CPU revision"},
        {"name", "model name"},   {"features", "flags"},
        {"features", "Features"},
    };
    rmt_record_t *cpu = rmt_records_add(records);
    rmt_record_set(cpu, "class", "cpu");
    rmt_record_set(cpu, "arch", arch);
    uint64_t count = 0;
    char *rest = cpuinfo;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        count += s_value(line, "processor") != NULL;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            const char *value = s_value(line, rows[i].key);
            if (value && !rmt_record_has(cpu, rows[i].field))
                rmt_sysfs_set(cpu, rows[i].field, value);
        }
    }
    rmt_record_set_u64(cpu, "count", count);
}
