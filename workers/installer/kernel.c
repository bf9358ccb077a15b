#include "installer/kernel.h"
#include "installer/facts.h"
#include "base/rmt_auto.h"

#include <stdlib.h>
#include <string.h>

#define FILES_MAX 16

static int
s_add_files(rmt_task_t *task, const rmt_holder_t *holder, const rmt_records_t *records,
            rmt_drivers_t *drivers, rmt_error_t *error)
{
    size_t files = 0;
    for (size_t i = 0; i < rmt_records_count(records); i++) {
        const rmt_record_t *file = rmt_records_at(records, i);
        rmt_auto_ptr data = NULL;
        size_t size = 0;
        if (!rmt_record_is(file, "class", "kernel-file"))
            continue;
        if (++files > FILES_MAX)
            return rmt_fail(error, RMT_E_PROTOCOL, "over %d files", FILES_MAX);
        if (installer_facts_load(task, holder, file, &data, &size, error) == -1 ||
            rmt_drivers_add(drivers, rmt_record_text(file, "name", ""), data, size,
                            error) == -1)
            return -1;
    }
    return rmt_drivers_open(drivers, error);
}

int
installer_kernel(rmt_task_t *task, const rmt_holder_t *holder,
                 const rmt_records_t *records, rmt_drivers_t **drivers_out,
                 rmt_error_t *error)
{
    const rmt_record_t *kernel =
        records ? rmt_records_find(records, "class", "kernel") : NULL;
    *drivers_out = NULL;
    if (!kernel)
        return 0;
    const char *state = rmt_record_text(kernel, "initramfs-state", "none");
    rmt_auto(rmt_drivers) drivers = rmt_drivers_new(
        rmt_record_text(kernel, "version", "?"), strcmp(state, "unknown") != 0, error);
    if (!drivers || s_add_files(task, holder, records, drivers, error) == -1)
        return rmt_wrap(error, "facts about the image's kernel");
    *drivers_out = rmt_take(&drivers);
    return 0;
}
