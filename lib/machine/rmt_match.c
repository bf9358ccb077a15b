#include "rmt_match.h"
#include "rmt_auto.h"
#include "rmt_io.h"
#include "rmt_match_run.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// What the kernel keeps for itself differs between kernels, so a twin may show a
// little less memory than the source did: a 32nd is allowed to lack.
#define MEMORY_SLACK 32

typedef struct row row_t;
typedef void compare_t(rmt_match_run_t *run, const row_t *row);

struct row {
    const char *component;
    const char *class;    // Class of the records that are compared
    const char *field;    // Number to compare, or prefix of the PCI class
    const char *policy;   // Default
    const char *policies; // Those it takes
    compare_t *compare;   // NULL: compared with the disks
};

static compare_t s_compare_cpu;
static compare_t s_compare_number;
static compare_t s_compare_firmware;
static compare_t s_compare_set;

static const row_t s_rows[] = {
    {"cpu", "cpu", "", "exact", "exact family ignore", s_compare_cpu},
    {"cpu-count", "cpu", "count", "at-least", "exact at-least ignore", s_compare_number},
    {"memory", "memory", "bytes", "at-least", "exact at-least ignore", s_compare_number},
    {"firmware", "system", "firmware", "exact", "exact ignore", s_compare_firmware},
    {"disk", "disk", "", "exact", "exact family ignore", NULL},
    {"disk-size", "disk", "bytes", "at-least", "exact at-least", NULL},
    {"controller", "pci", "01", "exact", "exact family ignore", s_compare_set},
    {"nic", "pci", "02", "exact", "exact family ignore", s_compare_set},
    {"gpu", "pci", "03", "exact", "exact family ignore", s_compare_set},
    {"pci", "pci", "", "exact", "exact family ignore", s_compare_set},
};

#define ROW_COUNT (sizeof s_rows / sizeof *s_rows)

static const row_t *
s_find_row(const char *component)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (strcmp(s_rows[i].component, component) == 0)
            return &s_rows[i];
    }
    return NULL;
}

static bool
s_has_word(const char *words, const char *word)
{
    const size_t size = strlen(word);
    for (const char *p = words; size && (p = strstr(p, word)); p += size) {
        if ((p == words || p[-1] == ' ') && (p[size] == ' ' || p[size] == '\0'))
            return true;
    }
    return false;
}

static const char *
s_text(const rmt_record_t *record, const char *name)
{
    return record ? rmt_record_text(record, name, "") : "";
}

const char *
rmt_match_policy(const rmt_match_run_t *run, const char *component)
{
    const row_t *row = s_find_row(component);
    assert(row);
    return run->policy ? rmt_record_text(run->policy, component, row->policy)
                       : row->policy;
}

rmt_record_t *
rmt_match_verdict(rmt_match_run_t *run, const char *component, const char *wanted,
                  const char *had, bool fits, const char *reason)
{
    rmt_record_t *verdict = rmt_records_add(run->verdicts);
    rmt_record_set(verdict, "class", "verdict");
    rmt_record_set(verdict, "component", component);
    rmt_record_set(verdict, "policy", rmt_match_policy(run, component));
    rmt_record_set(verdict, "wanted", wanted);
    rmt_record_set(verdict, "had", had);
    rmt_record_set(verdict, "fits", fits ? "yes" : "no");
    rmt_record_set(verdict, "reason", reason ? reason : "same");
    run->fits = run->fits && fits;
    return verdict;
}

// A field that the image does not tell is not asked of the target.
static void
s_compare_cpu(rmt_match_run_t *run, const row_t *row)
{
    static const char *const fields[] = {"arch", "vendor", "family", "model"};
    const bool family = strcmp(rmt_match_policy(run, row->component), "family") == 0;
    const rmt_record_t *image = rmt_records_find(run->image, "class", "cpu");
    const rmt_record_t *target = rmt_records_find(run->target, "class", "cpu");
    rmt_auto_str wanted =
        rmt_text("%s %s %s %s", s_text(image, "arch"), s_text(image, "vendor"),
                 s_text(image, "family"), s_text(image, "model"));
    rmt_auto_str had =
        rmt_text("%s %s %s %s", s_text(target, "arch"), s_text(target, "vendor"),
                 s_text(target, "family"), s_text(target, "model"));
    for (size_t i = 0; i < (family ? 3 : 4); i++) {
        const char *text = s_text(image, fields[i]);
        if (!text[0] || strcmp(text, s_text(target, fields[i])) == 0)
            continue;
        rmt_auto_str reason = rmt_text("another %s", fields[i]);
        rmt_match_verdict(run, row->component, wanted, had, false, reason);
        return;
    }
    rmt_match_verdict(run, row->component, wanted, had, true, NULL);
}

static void
s_compare_number(rmt_match_run_t *run, const row_t *row)
{
    const bool exact = strcmp(rmt_match_policy(run, row->component), "exact") == 0;
    const rmt_record_t *image = rmt_records_find(run->image, "class", row->class);
    const rmt_record_t *target = rmt_records_find(run->target, "class", row->class);
    const uint64_t wanted = image ? rmt_record_u64(image, row->field, 0) : 0;
    const uint64_t had = target ? rmt_record_u64(target, row->field, 0) : 0;
    const bool is_memory = strcmp(row->component, "memory") == 0;
    const uint64_t slack = is_memory ? wanted / MEMORY_SLACK : 0;
    const bool enough = had >= wanted - slack;
    const bool fits = exact ? enough && had <= wanted + slack : enough;
    rmt_auto_str wanted_text = rmt_text("%" PRIu64, wanted);
    rmt_auto_str had_text = rmt_text("%" PRIu64, had);
    const char *reason = had == wanted ? NULL
                         : !enough     ? "less than the image's hardware"
                         : fits        ? "enough"
                                       : "more than the image's hardware";
    rmt_match_verdict(run, row->component, wanted_text, had_text, fits, reason);
}

// The image tells with boot-paths how it can be started; without that it can be
// started only as it was on its source.
static void
s_compare_firmware(rmt_match_run_t *run, const row_t *row)
{
    const rmt_record_t *image = rmt_records_find(run->image, "class", row->class);
    const rmt_record_t *target = rmt_records_find(run->target, "class", row->class);
    const char *had = target ? rmt_record_text(target, row->field, "none") : "none";
    const char *own = image ? rmt_record_text(image, row->field, "none") : "none";
    const char *paths = image ? rmt_record_text(image, "boot-paths", own) : own;
    if (strcmp(had, "none") == 0) {
        rmt_match_verdict(run, row->component, paths, had, true, "nothing to start from");
        return;
    }
    const bool fits = s_has_word(paths, had);
    rmt_auto_str reason = rmt_text(fits ? "the image has a boot path for %s"
                                        : "the image has no boot path for %s",
                                   had);
    rmt_match_verdict(run, row->component, paths, had, fits, reason);
}

typedef struct {
    char **keys;
    size_t count;
} set_t;

static int
s_compare_key(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

// Which component a PCI class belongs to: its own row, or the last one.
static bool
s_is_of_row(const row_t *row, const char *pci_class)
{
    if (row->field[0])
        return strncmp(pci_class, row->field, 2) == 0;
    return strncmp(pci_class, "01", 2) != 0 && strncmp(pci_class, "02", 2) != 0 &&
           strncmp(pci_class, "03", 2) != 0;
}

static char *
s_pci_key(const rmt_record_t *pci, bool family)
{
    const char *mode = s_text(pci, "driver-mode");
    return rmt_text("%s:%s class %s%s%s", s_text(pci, "vendor"),
                    family ? "*" : s_text(pci, "device"), s_text(pci, "pci-class"),
                    mode[0] ? " " : "", mode);
}

// The devices of a row as a sorted multiset. A network interface that is not on
// PCI is known by its driver.
static set_t
s_set_new(const rmt_records_t *records, const row_t *row, bool family)
{
    const size_t count = rmt_records_count(records);
    set_t set = {.keys = calloc(count + 1, sizeof(char *))};
    if (!set.keys)
        abort();
    const bool nics = strcmp(row->component, "nic") == 0;
    for (size_t i = 0; i < count; i++) {
        const rmt_record_t *record = rmt_records_at(records, i);
        const char *class = s_text(record, "class");
        if (strcmp(class, "pci") == 0 && s_is_of_row(row, s_text(record, "pci-class")))
            set.keys[set.count++] = s_pci_key(record, family);
        else if (nics && strcmp(class, "nic") == 0 && !rmt_record_has(record, "pci"))
            set.keys[set.count++] = rmt_text("driver %s", s_text(record, "driver"));
    }
    qsort(set.keys, set.count, sizeof(char *), s_compare_key);
    return set;
}

static void
s_set_free(set_t *set)
{
    for (size_t i = 0; i < set->count; i++)
        free(set->keys[i]);
    free(set->keys);
}

// Walk two sorted multisets and tell what only one of them has, one verdict each.
static void
s_compare_set(rmt_match_run_t *run, const row_t *row)
{
    const bool family = strcmp(rmt_match_policy(run, row->component), "family") == 0;
    set_t image = s_set_new(run->image, row, family);
    set_t target = s_set_new(run->target, row, family);
    size_t i = 0, j = 0, differences = 0;
    while (i < image.count || j < target.count) {
        const int order = i == image.count    ? 1
                          : j == target.count ? -1
                                              : strcmp(image.keys[i], target.keys[j]);
        if (order < 0)
            rmt_match_verdict(run, row->component, image.keys[i], "", false,
                              "the target lacks it");
        else if (order > 0)
            rmt_match_verdict(run, row->component, "", target.keys[j], false,
                              "the image's hardware did not have it");
        differences += order != 0;
        i += order <= 0;
        j += order >= 0;
    }
    if (differences == 0) {
        rmt_auto_str devices = rmt_text("%zu devices", image.count);
        rmt_match_verdict(run, row->component, devices, devices, true, NULL);
    }
    s_set_free(&image);
    s_set_free(&target);
}

static int
s_check_policy(const rmt_record_t *policy, rmt_error_t *error)
{
    for (size_t i = 0; policy && i < rmt_record_count(policy); i++) {
        const char *name = rmt_record_name_at(policy, i);
        if (strncmp(name, "disk.", 5) == 0 || strcmp(name, "class") == 0)
            continue;
        const row_t *row = s_find_row(name);
        const char *value = rmt_record_text(policy, name, "");
        if (!row)
            return rmt_fail(error, RMT_E_USAGE, "no component '%s' to have a policy",
                            name);
        if (!s_has_word(row->policies, value))
            return rmt_fail(error, RMT_E_USAGE, "policy %s=%s: one of %s is wanted", name,
                            value, row->policies);
    }
    return 0;
}

int
rmt_match_run(const rmt_records_t *image_hardware, const rmt_records_t *target_hardware,
              const rmt_record_t *policy, rmt_records_t **verdicts_out, bool *fits_out,
              rmt_error_t *error)
{
    assert(image_hardware);
    assert(target_hardware);
    if (s_check_policy(policy, error) == -1)
        return -1;
    rmt_match_run_t run = {image_hardware, target_hardware, policy, rmt_records_new(),
                           true};
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (s_rows[i].compare &&
            strcmp(rmt_match_policy(&run, s_rows[i].component), "ignore"))
            s_rows[i].compare(&run, &s_rows[i]);
    }
    rmt_match_disks(&run);
    *verdicts_out = run.verdicts;
    *fits_out = run.fits;
    return 0;
}
