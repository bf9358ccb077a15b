#include "match/rmt_match.h"
#include "base/rmt_auto.h"
#include "match/rmt_match_run.h"
#include "facts/rmt_policy.h"

#include <assert.h>
#include <stdlib.h>
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

#define ROW_COUNT (sizeof s_rows / sizeof *s_rows)
_Static_assert(ROW_COUNT <= RMT_MATCH_ROWS_MAX, "more rows than sets");

struct rmt_match {
    rmt_match_config_t config;
    const char *policies[RMT_MATCH_ROWS_MAX]; // In force for each row
    rmt_match_set_t sets[RMT_MATCH_ROWS_MAX]; // Of the image's devices
};

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
                           .row_count = ROW_COUNT,
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
    rmt_match_other_disks(&run);
    *fits_out = run.fits;
    return run.verdicts;
}
