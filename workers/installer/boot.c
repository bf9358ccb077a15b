#include "installer/boot.h"
#include "installer/descriptor.h"
#include "installer/installer.h"
#include "installer/netboot.h"
#include "base/rmt_auto.h"
#include "wire/rmt_codec.h"
#include "base/rmt_config.h"
#include "base/rmt_log.h"

#define FACTS_SIZE_MAX ((size_t) 200 * 1024)

typedef int(s_netboot_fn)(const rmt_netboot_t *netboot, rmt_error_t *error);

// The target's record comes packed with the task, and its hardware packed in that.
static rmt_records_t *
s_unpack(const rmt_record_t *record, const char *name, rmt_error_t *error)
{
    size_t size = 0;
    const void *data = rmt_record_get(record, name, &size);
    return data && size ? rmt_codec_unpack_records(data, size, FACTS_SIZE_MAX, error)
                        : rmt_records_new();
}

static int
s_run(rmt_task_t *task, const rmt_holder_t *holder, const rmt_layout_t *layout,
      s_netboot_fn *netboot_fn, rmt_error_t *error)
{
    const char *folder = rmt_config_text(rmt_holder_config(holder), "boot");
    if (!*folder)
        return 0;
    const rmt_record_t *body = rmt_task_body(task);
    rmt_auto(rmt_records) records = s_unpack(body, "record", error);
    if (!records)
        return -1;
    if (rmt_records_count(records) == 0)
        return rmt_fail(error, RMT_E_PROTOCOL, "the task has no record of its target");
    const rmt_record_t *record = rmt_records_at(records, 0);
    rmt_auto(rmt_records) hardware = s_unpack(record, "hardware", error);
    if (!hardware)
        return -1;
    const rmt_netboot_t netboot = {.folder = folder,
                                   .target = rmt_record_text(body, "target", "?"),
                                   .hardware = hardware,
                                   .macs = rmt_record_text(record, "mac", ""),
                                   .era = rmt_task_era(task),
                                   .epoch = rmt_task_epoch(task),
                                   .layout = layout};
    return netboot_fn(&netboot, error);
}

int
installer_boot_reset(rmt_task_t *task, const rmt_holder_t *holder, rmt_error_t *error)
{
    return s_run(task, holder, NULL, rmt_netboot_installer, error);
}

int
installer_netboot(rmt_task_t *task, void *holder, rmt_error_t *error)
{
    const rmt_record_t *body = rmt_task_body(task);
    const char *target = rmt_record_text(body, "target", "");
    rmt_error_t unknown = {0};
    rmt_auto(rmt_records) descriptor =
        installer_descriptor(holder, rmt_record_text(body, "image", ""), &unknown);
    rmt_auto(rmt_layout) layout =
        descriptor ? rmt_layout_read(descriptor, &unknown) : NULL;
    if (!layout)
        rmt_log(RMT_WARN, "netboot.layout", "target=%s code=%s text=\"%s\"", target,
                rmt_code_name(unknown.code), unknown.text);
    if (s_run(task, holder, layout, rmt_netboot_disk, error) == -1)
        return -1;
    rmt_log(RMT_INFO, "netboot.disk", "target=%s", target);
    return 0;
}
