// Whether the image's own kernel drives the target (M12).
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "match/rmt_match_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The driver under logical volumes, which no device names.
#define MAPPER_NAME "devname:mapper/control"
#define MAPPER_MODULE "dm_mod"
#define CRYPT_MODULE "dm_crypt" // Found by its own name
#define RAID_MODULE "dm_raid"   // The same

// The drivers of arrays by their level, which no device names either.
static const struct {
    uint64_t level;
    const char *name, *module;
} s_levels[] = {{0, "md-level-0", "raid0"},   {1, "md-level-1", "raid1"},
                {4, "md-level-4", "raid456"}, {5, "md-level-5", "raid456"},
                {6, "md-level-6", "raid456"}, {10, "md-level-10", "raid10"}};

// Did the source run the kernel that the image starts? Then what had a driver there has
// one in the image.
static bool
s_is_same_kernel(const rmt_match_run_t *run)
{
    const rmt_record_t *system =
        rmt_records_find(run->image->hardware, "class", "system");
    const char *version = rmt_match_text(system, "kernel");
    const size_t size = strlen(version);
    return size && strncmp(run->image->drivers->kernel, version, size) == 0 &&
           strchr(" ", run->image->drivers->kernel[size]);
}

static bool
s_was_driven(const rmt_match_run_t *run, const char *name)
{
    const rmt_records_t *hardware = run->image->hardware;
    if (!s_is_same_kernel(run))
        return false;
    for (size_t i = 0; i < rmt_records_count(hardware); i++) {
        const rmt_record_t *record = rmt_records_at(hardware, i);
        if (rmt_match_has_word(rmt_match_text(record, "modaliases"), name) ||
            (rmt_record_has(record, "driver") &&
             strcmp(rmt_match_text(record, "modalias"), name) == 0))
            return true;
    }
    return false;
}

static rmt_served_t
s_find(const rmt_match_run_t *run, const char *name, const char *known,
       const char **module_out)
{
    const rmt_match_drivers_t *drivers = run->image->drivers;
    *module_out = "";
    const rmt_served_t served = drivers->find(drivers->context, name, known, module_out);
    if (served == RMT_SERVED_NOT && s_was_driven(run, name))
        return RMT_SERVED_BUILTIN;
    return served;
}

// A list of names, and that of the modules which drive them on the target.
typedef struct {
    char *names, *modules;
    char *names_rest, *modules_rest;
} chain_t;

static chain_t
s_chain_new(const rmt_record_t *device)
{
    chain_t chain = {.names = rmt_text("%s", rmt_match_text(device, "modaliases")),
                     .modules = rmt_text("%s", rmt_match_text(device, "modules"))};
    chain.names_rest = chain.names;
    chain.modules_rest = chain.modules;
    return chain;
}

// The next name, or NULL at the end, when the chain is freed.
static const char *
s_chain_next(chain_t *chain, const char **module_out)
{
    const char *name = strsep(&chain->names_rest, " ");
    const char *module = strsep(&chain->modules_rest, " ");
    *module_out = module ? module : "";
    if (name && *name)
        return name;
    free(chain->names);
    free(chain->modules);
    return NULL;
}

// Controllers of disks, networks and USB must be driven; other devices need not be.
static bool
s_must_be_driven(const char *pci_class)
{
    return strncmp(pci_class, "01", 2) == 0 || strncmp(pci_class, "02", 2) == 0 ||
           strncmp(pci_class, "0c03", 4) == 0;
}

// A device without a driver on the source needs none on the target.
static bool
s_was_idle(const rmt_match_run_t *run, const rmt_record_t *pci)
{
    const rmt_records_t *hardware = run->image->hardware;
    for (size_t i = 0; i < rmt_records_count(hardware); i++) {
        const rmt_record_t *record = rmt_records_at(hardware, i);
        if (strcmp(rmt_match_text(record, "class"), "pci") == 0 &&
            strcmp(rmt_match_text(record, "vendor"), rmt_match_text(pci, "vendor")) ==
                0 &&
            strcmp(rmt_match_text(record, "device"), rmt_match_text(pci, "device")) == 0)
            return !rmt_record_has(record, "driver");
    }
    return false;
}

static void
s_tell(rmt_match_run_t *run, const rmt_match_row_t *row, const char *device, bool fits,
       const char *reason)
{
    const char *kernel = run->image->drivers->kernel;
    if (!fits || run->image->explain)
        rmt_match_verdict(run, row->component, kernel, device, fits, reason);
}

static void
s_judge_pci(rmt_match_run_t *run, const rmt_match_row_t *row, const rmt_record_t *pci)
{
    const char *class = rmt_match_text(pci, "pci-class");
    const char *module;
    rmt_auto_str device = rmt_text("%s:%s class %s", rmt_match_text(pci, "vendor"),
                                   rmt_match_text(pci, "device"), class);
    const rmt_served_t served = s_find(run, rmt_match_text(pci, "modalias"),
                                       rmt_match_text(pci, "module"), &module);
    if (served == RMT_SERVED_NOT) {
        const bool was_idle = s_was_idle(run, pci);
        const bool fits = was_idle || !s_must_be_driven(class);
        s_tell(run, row, device, fits,
               was_idle ? "no driver, as on the source"
               : fits   ? "no driver"
                        : "the image's kernel has no driver for it");
        return;
    }
    rmt_auto_str reason = rmt_text("%s", module[0] ? module : "built in");
    s_tell(run, row, device, true, reason);
}

// Interfaces that hang on no PCI function of their own.
static void
s_judge_nic(rmt_match_run_t *run, const rmt_match_row_t *row, const rmt_record_t *nic)
{
    chain_t chain = s_chain_new(nic);
    const char *known;
    for (const char *name = s_chain_next(&chain, &known); name;
         name = s_chain_next(&chain, &known)) {
        const char *module;
        const bool fits = s_find(run, name, known, &module) != RMT_SERVED_NOT;
        rmt_auto_str device = rmt_text("%s %s", rmt_match_text(nic, "name"), name);
        s_tell(run, row, device, fits,
               !fits       ? "the image's kernel has no driver for it"
               : module[0] ? module
                           : "built in");
    }
}

void
rmt_match_driver(rmt_match_run_t *run, const rmt_match_row_t *row)
{
    if (!run->image->drivers) {
        rmt_match_verdict(run, row->component, "", "", true,
                          "not compared: the image has no record of its kernel");
        return;
    }
    const size_t before = rmt_records_count(run->verdicts);
    size_t count = 0;
    for (size_t i = 0; i < rmt_records_count(run->target); i++) {
        const rmt_record_t *record = rmt_records_at(run->target, i);
        const char *class = rmt_match_text(record, "class");
        if (strcmp(class, "pci") == 0 && rmt_record_has(record, "modalias")) {
            s_judge_pci(run, row, record);
            count++;
        } else if (strcmp(class, "nic") == 0 && !rmt_record_has(record, "pci")) {
            s_judge_nic(run, row, record);
            count++;
        }
    }
    if (before == rmt_records_count(run->verdicts)) {
        rmt_auto_str devices = rmt_text("%zu devices", count);
        rmt_match_verdict(run, row->component, run->image->drivers->kernel, devices, true,
                          count ? "each device that needs a driver has one"
                                : "the target's facts do not have this component");
    }
}

// ---- What is needed before the root file system is there

static void
s_judge_early(rmt_match_run_t *run, const rmt_match_row_t *row, const char *name,
              const char *known)
{
    const char *module;
    const rmt_served_t served = s_find(run, name, known, &module);
    const bool fits = served == RMT_SERVED_EARLY || served == RMT_SERVED_BUILTIN;
    rmt_auto_str reason =
        served == RMT_SERVED_NOT ? rmt_text("the image's kernel has no driver for it")
        : served == RMT_SERVED_LATE
            ? rmt_text("the image's initramfs lacks %s, or a module that it needs",
                       module)
            : rmt_text("%s", module[0] ? module : "built in");
    s_tell(run, row, name, fits, reason);
}

// A program that starts a layer below the root. Some initramfs have another way.
static void
s_warn_program(rmt_match_run_t *run, const rmt_match_row_t *row, const char *program)
{
    const char *module;
    rmt_auto_str name = rmt_text("program:%s", program);
    if (s_find(run, name, "", &module) != RMT_SERVED_NOT)
        return;
    rmt_auto_str reason =
        rmt_text("the image's initramfs has no program %s, which starts "
                 "what the root lies on; on the source: update-initramfs "
                 "-u, or dracut -f",
                 program);
    rmt_record_t *verdict = rmt_match_verdict(
        run, row->component, run->image->drivers->kernel, name, true, reason);
    rmt_record_set(verdict, "warning", "yes");
}

static void
s_judge_level(rmt_match_run_t *run, const rmt_match_row_t *row, uint64_t level)
{
    for (size_t i = 0; i < sizeof s_levels / sizeof *s_levels; i++)
        if (s_levels[i].level == level)
            s_judge_early(run, row, s_levels[i].name, s_levels[i].module);
}

// LVM's word for a kind of RAID begins with the level of md that does it.
static void
s_judge_raid(rmt_match_run_t *run, const rmt_match_row_t *row,
             const rmt_layout_logical_t *logical)
{
    if (!logical || !*logical->raid)
        return;
    s_judge_early(run, row, RAID_MODULE, RAID_MODULE);
    s_judge_level(run, row, strtoull(logical->raid + strlen("raid"), NULL, 10));
}

static bool
s_is_encrypted(const rmt_layout_t *layout, const rmt_layout_volume_t *volume)
{
    for (size_t i = 0; i < layout->crypt_count; i++)
        if (rmt_layout_is_in_crypt(layout, volume, &layout->crypts[i]))
            return true;
    return false;
}

// The layers between the disk and the root.
static void
s_judge_layers(rmt_match_run_t *run, const rmt_match_row_t *row,
               const rmt_layout_volume_t *root)
{
    const rmt_layout_t *layout = run->image->layout;
    const rmt_layout_array_t *array =
        rmt_layout_find_array(layout, rmt_layout_array_below(layout, root));
    const bool is_encrypted = s_is_encrypted(layout, root);
    if (array)
        s_judge_level(run, row, array->level);
    if (root->logical || is_encrypted)
        s_judge_early(run, row, MAPPER_NAME, MAPPER_MODULE);
    s_judge_raid(run, row, rmt_layout_logical_of(layout, root));
    if (is_encrypted)
        s_judge_early(run, row, CRYPT_MODULE, CRYPT_MODULE);
    if (array)
        s_warn_program(run, row, "mdadm");
    if (root->logical)
        s_warn_program(run, row, "lvm");
    if (is_encrypted)
        s_warn_program(run, row, "cryptsetup");
}

void
rmt_match_root_driver(rmt_match_run_t *run, const rmt_match_row_t *row)
{
    if (!run->image->drivers || !run->root_disk)
        return;
    const size_t before = rmt_records_count(run->verdicts);
    chain_t chain = s_chain_new(run->root_disk);
    const char *known;
    bool is_told = false;
    for (const char *name = s_chain_next(&chain, &known); name;
         name = s_chain_next(&chain, &known)) {
        s_judge_early(run, row, name, known);
        is_told = true;
    }
    const rmt_layout_volume_t *root = rmt_match_root(run);
    const char *fs = root ? rmt_fs_kind_name(root->fs) : "";
    rmt_auto_str fs_name = rmt_text("fs-%s", fs);
    if (fs[0])
        s_judge_early(run, row, fs_name, fs);
    if (root)
        s_judge_layers(run, row, root);
    if (before == rmt_records_count(run->verdicts))
        rmt_match_verdict(run, row->component, run->image->drivers->kernel,
                          rmt_match_text(run->root_disk, "name"), true,
                          is_told ? "the kernel or its initramfs has the drivers"
                                  : "the target's facts do not have this component");
}
