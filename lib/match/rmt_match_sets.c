// Devices, compared as multisets.
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "match/rmt_match_run.h"

#include <stdlib.h>
#include <string.h>

#define DEVICE_SIZE 9 // "8086:1533"

static int
s_compare_key(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

// Which component a PCI class belongs to: its own row, or the last one.
static bool
s_is_of_row(const rmt_match_row_t *row, const char *pci_class)
{
    if (row->field[0])
        return strncmp(pci_class, row->field, 2) == 0;
    return strncmp(pci_class, "01", 2) != 0 && strncmp(pci_class, "02", 2) != 0 &&
           strncmp(pci_class, "03", 2) != 0;
}

static char *
s_pci_key(const rmt_record_t *pci, bool family)
{
    const char *mode = rmt_match_text(pci, "driver-mode");
    return rmt_text("%s:%s class %s%s%s", rmt_match_text(pci, "vendor"),
                    family ? "*" : rmt_match_text(pci, "device"),
                    rmt_match_text(pci, "pci-class"), mode[0] ? " " : "", mode);
}

// Storage, keyboards and mice come and go, hubs are only ways to them: classes 08, 03
// and 09, of the device or of one of its interfaces.
static bool
s_is_plugged(const rmt_record_t *usb)
{
    static const char *const classes[] = {"03", "08", "09"};
    const char *interfaces = rmt_match_text(usb, "interfaces");
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (strcmp(rmt_match_text(usb, "usb-class"), classes[i]) == 0)
            return true;
        for (const char *p = interfaces; *p; p += strspn(p, " ")) {
            if (strncmp(p, classes[i], 2) == 0)
                return true;
            p += strcspn(p, " ");
        }
    }
    return false;
}

// NULL for what the row does not compare. A network interface that is not on PCI is
// known by its driver.
static char *
s_key(const rmt_record_t *record, const rmt_match_row_t *row, bool family)
{
    const char *class = rmt_match_text(record, "class");
    if (strcmp(class, "pci") == 0 && strcmp(row->class, "pci") == 0 &&
        s_is_of_row(row, rmt_match_text(record, "pci-class")))
        return s_pci_key(record, family);
    if (strcmp(class, "nic") == 0 && strcmp(row->component, "nic") == 0 &&
        !rmt_record_has(record, "pci"))
        return rmt_text("driver %s", rmt_match_text(record, "driver"));
    if (strcmp(class, "usb") == 0 && strcmp(row->class, "usb") == 0 &&
        !s_is_plugged(record))
        return rmt_text("%s:%s class %s", rmt_match_text(record, "vendor"),
                        rmt_match_text(record, "product"),
                        rmt_match_text(record, "usb-class"));
    return NULL;
}

rmt_match_set_t
rmt_match_set_new(const rmt_records_t *records, const rmt_match_row_t *row, bool family)
{
    const size_t count = rmt_records_count(records);
    rmt_match_set_t set = {.keys = calloc(count + 1, sizeof(char *))};
    if (!set.keys)
        abort();
    for (size_t i = 0; i < count; i++) {
        char *key = s_key(rmt_records_at(records, i), row, family);
        if (key)
            set.keys[set.count++] = key;
    }
    qsort(set.keys, set.count, sizeof(char *), s_compare_key);
    return set;
}

void
rmt_match_set_clear(rmt_match_set_t *set)
{
    for (size_t i = 0; i < set->count; i++)
        free(set->keys[i]);
    free(set->keys);
    *set = (rmt_match_set_t){0};
}

// What is on one side only: the same device in another mode is told as one difference.
static void
s_tell_differences(rmt_match_run_t *run, const rmt_match_row_t *row,
                   const rmt_match_set_t *image, const rmt_match_set_t *target)
{
    for (size_t i = 0; i < image->count; i++) {
        size_t j = 0;
        while (j < target->count &&
               (!target->keys[j] ||
                strncmp(image->keys[i], target->keys[j], DEVICE_SIZE) != 0))
            j++;
        const bool is_there = j < target->count && row->class[0] == 'p';
        rmt_match_verdict(run, row->component, image->keys[i],
                          is_there ? target->keys[j] : "", false,
                          is_there ? "the same device in another mode; see its firmware"
                                   : "the target lacks it");
        if (is_there)
            target->keys[j] = NULL;
    }
    for (size_t j = 0; j < target->count; j++) {
        if (target->keys[j])
            rmt_match_verdict(run, row->component, "", target->keys[j], false,
                              "the source lacks it");
    }
}

// Walk two sorted multisets; what only one of them has goes to lists of its own.
void
rmt_match_devices(rmt_match_run_t *run, const rmt_match_row_t *row)
{
    const rmt_match_set_t *image = &run->sets[row - run->rows];
    rmt_match_set_t target =
        rmt_match_set_new(run->target, row, rmt_match_is(run, row->component, "family"));
    rmt_auto_ptr lacking = calloc(image->count + 1, sizeof(char *));
    rmt_auto_ptr extra = calloc(target.count + 1, sizeof(char *));
    if (!lacking || !extra)
        abort();
    rmt_match_set_t only_image = {.keys = lacking};
    rmt_match_set_t only_target = {.keys = extra};
    size_t i = 0, j = 0;
    while (i < image->count || j < target.count) {
        const int order = i == image->count   ? 1
                          : j == target.count ? -1
                                              : strcmp(image->keys[i], target.keys[j]);
        if (order == 0 && run->image->explain)
            rmt_match_verdict(run, row->component, image->keys[i], target.keys[j], true,
                              NULL);
        if (order < 0)
            only_image.keys[only_image.count++] = image->keys[i];
        else if (order > 0)
            only_target.keys[only_target.count++] = target.keys[j];
        i += order <= 0;
        j += order >= 0;
    }
    s_tell_differences(run, row, &only_image, &only_target);
    if (only_image.count + only_target.count == 0 && !run->image->explain) {
        rmt_auto_str devices = rmt_text("%zu devices", image->count);
        rmt_match_verdict(run, row->component, devices, devices, true, NULL);
    }
    rmt_match_set_clear(&target);
}
