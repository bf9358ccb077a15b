#include "rmt_match.h"
#include "rmt_auto.h"
#include "rmt_io.h"
#include "rmt_match_run.h"
#include "rmt_policy.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const rmt_match_row_t s_rows[] = {
    {"cpu", "cpu", "", rmt_match_cpu},
    {"cpu-count", "cpu", "count", rmt_match_number},
    {"cpu-features", "cpu", "features", rmt_match_features},
    {"memory", "memory", "bytes", rmt_match_number},
    {"firmware", "system", "firmware", rmt_match_firmware},
    {"secure-boot", "system", "secure-boot", rmt_match_secure_boot},
    {"controller", "pci", "01", rmt_match_devices},
    {"nic", "pci", "02", rmt_match_devices},
    {"gpu", "pci", "03", rmt_match_devices},
    {"pci", "pci", "", rmt_match_devices},
    {"usb", "usb", "", rmt_match_devices},
    {"disk", "disk", "", NULL},
    {"disk-size", "disk", "bytes", NULL},
    {"driver", "pci", "", rmt_match_driver},
    {"root-driver", "disk", "", rmt_match_root_driver},
};

// What most verdicts need, beside their three texts.
#define VERDICT_FIELDS 9
#define VERDICT_BYTES 128

#define ROW_COUNT (sizeof s_rows / sizeof *s_rows)
_Static_assert(ROW_COUNT <= RMT_MATCH_ROWS_MAX, "more rows than sets");

struct rmt_match {
    rmt_match_config_t config;
    const char *policies[RMT_MATCH_ROWS_MAX]; // In force for each row
    rmt_match_set_t sets[RMT_MATCH_ROWS_MAX]; // Of the image's devices
};

// ---- For all parts

static const rmt_match_row_t *
s_find_row(const char *component)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (strcmp(s_rows[i].component, component) == 0)
            return &s_rows[i];
    }
    return NULL;
}

bool
rmt_match_has_word(const char *words, const char *word)
{
    const size_t size = strlen(word);
    for (const char *p = words; size && (p = strstr(p, word)); p += size) {
        if ((p == words || p[-1] == ' ') && (p[size] == ' ' || p[size] == '\0'))
            return true;
    }
    return false;
}

const char *
rmt_match_text(const rmt_record_t *record, const char *name)
{
    return record ? rmt_record_text(record, name, "") : "";
}

char *
rmt_match_bytes(uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
    if (bytes < 1024)
        return rmt_text("%" PRIu64 " bytes", bytes);
    double amount = (double) bytes / 1024;
    size_t unit = 0;
    for (; amount >= 1024 && unit + 1 < sizeof units / sizeof *units; unit++)
        amount /= 1024;
    return rmt_text("%" PRIu64 " bytes (%.1f %s)", bytes, amount, units[unit]);
}

const char *
rmt_match_policy(const rmt_match_run_t *run, const char *component)
{
    const rmt_match_row_t *row = s_find_row(component);
    return row ? run->policies[row - s_rows] : "";
}

bool
rmt_match_is(const rmt_match_run_t *run, const char *component, const char *policy)
{
    return strcmp(rmt_match_policy(run, component), policy) == 0;
}

rmt_record_t *
rmt_match_verdict(rmt_match_run_t *run, const char *component, const char *wanted,
                  const char *had, bool fits, const char *reason)
{
    if (!reason)
        reason = "same";
    rmt_record_t *made = rmt_record_new_room(
        VERDICT_FIELDS, VERDICT_BYTES + strlen(wanted) + strlen(had) + strlen(reason));
    rmt_record_t *verdict = rmt_records_append(run->verdicts, &made);
    rmt_record_set(verdict, "class", "verdict");
    rmt_record_set(verdict, "component", component);
    rmt_record_set(verdict, "policy", rmt_match_policy(run, component));
    rmt_record_set(verdict, "wanted", wanted);
    rmt_record_set(verdict, "had", had);
    rmt_record_set(verdict, "fits", fits ? "yes" : "no");
    rmt_record_set(verdict, "reason", reason);
    run->fits = run->fits && fits;
    return verdict;
}

// ---- The instance

rmt_match_t *
rmt_match_new(const rmt_match_config_t *config)
{
    assert(config);
    assert(config->hardware);
    rmt_match_t *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    self->config = *config;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const char *usual = rmt_policy_usual(s_rows[i].component);
        assert(usual);
        self->policies[i] =
            config->policy ? rmt_record_text(config->policy, s_rows[i].component, usual)
                           : usual;
        if (s_rows[i].compare == rmt_match_devices)
            self->sets[i] = rmt_match_set_new(config->hardware, &s_rows[i],
                                              strcmp(self->policies[i], "family") == 0);
    }
    return self;
}

void
rmt_match_destroy(rmt_match_t **self_p)
{
    assert(self_p);
    rmt_match_t *self = rmt_take(self_p);
    if (!self)
        return;
    for (size_t i = 0; i < ROW_COUNT; i++)
        rmt_match_set_clear(&self->sets[i]);
    free(self);
}

rmt_records_t *
rmt_match_target(rmt_match_t *self, const rmt_records_t *hardware, bool *fits_out)
{
    assert(self);
    assert(hardware);
    assert(fits_out);
    rmt_match_run_t run = {.image = &self->config,
                           .sets = self->sets,
                           .rows = s_rows,
                           .policies = self->policies,
                           .target = hardware,
                           .verdicts = rmt_records_new(),
                           .fits = true};
    for (size_t i = 0; i < ROW_COUNT; i++) {
        // The disks come once, at their first row; drivers need to know them.
        if (strcmp(s_rows[i].component, "disk") == 0)
            rmt_match_disks(&run);
        else if (s_rows[i].compare && strcmp(self->policies[i], "ignore") != 0)
            s_rows[i].compare(&run, &s_rows[i]);
    }
    *fits_out = run.fits;
    return run.verdicts;
}
