#include "installer/boot.h"
#include "installer/addressing.h"
#include "installer/descriptor.h"
#include "installer/installer.h"
#include "base/rmt_auto.h"
#include "wire/rmt_codec.h"
#include "place/holder.h"
#include "base/rmt_log.h"
#include "facts/rmt_order.h"
#include "installer/scripts.h"
#include "installer/secret.h"

#include <string.h>

#define ORDER_SIZE_MAX ((size_t) 60 * 1024)
#define FACTS_SIZE_MAX ((size_t) 200 * 1024)

static rmt_records_t *
s_unpack(const rmt_record_t *body, const char *name, rmt_error_t *error)
{
    size_t size = 0;
    const void *data = rmt_record_get(body, name, &size);
    if (!data) {
        rmt_fail(error, RMT_E_PROTOCOL, "the task has no %s", name);
        return NULL;
    }
    return rmt_codec_unpack_records(data, size, FACTS_SIZE_MAX, error);
}

static int
s_add_choices(rmt_order_t *order, const rmt_record_t *body, rmt_error_t *error)
{
    rmt_auto(rmt_records) choices = s_unpack(body, "choice", error);
    if (!choices)
        return -1;
    for (size_t i = 0; i < rmt_records_count(choices); i++)
        if (rmt_order_add_choice(order, rmt_records_at(choices, i), error) == -1)
            return -1;
    return 0;
}

// The layout as the image's descriptor has it, from this engine's store; *os_out is its
// system, where it has one, and the caller's also when this fails.
static int
s_set_layout(rmt_order_t *order, const rmt_holder_t *holder, const char *image_text,
             rmt_record_t **os_out, rmt_error_t *error)
{
    rmt_auto(rmt_records) descriptor = installer_descriptor(holder, image_text, error);
    if (!descriptor)
        return -1;
    const rmt_record_t *os = rmt_records_find(descriptor, "class", "os");
    *os_out = os ? rmt_record_dup(os) : NULL;
    rmt_layout_destroy(&order->layout);
    order->layout = rmt_layout_read(descriptor, error);
    return order->layout ? 0 : rmt_wrap(error, "image %s", image_text);
}

// Several pages where the scripts are large.
static int
s_add_scripts(rmt_order_t *order, rmt_task_t *task, const rmt_holder_t *holder,
              rmt_error_t *error)
{
    const char *engine = rmt_holder_place(holder);
    rmt_auto(rmt_record) ask = rmt_record_new();
    rmt_record_set(ask, "engine", engine);
    rmt_record_set(ask, "target", rmt_record_text(rmt_task_body(task), "target", ""));
    do {
        rmt_auto(rmt_msg) page = rmt_task_request(task, "script.page", ask, NULL, error);
        if (!page)
            return -1;
        for (size_t i = 0; i < rmt_records_count(page->items); i++) {
            rmt_record_t *script = rmt_records_at(page->items, i);
            rmt_task_tick(task);
            if (installer_script_complete(script, rmt_holder_store(holder),
                                          rmt_holder_config(holder), error) == -1)
                return rmt_wrap(error, "engine %s", engine);
            if (rmt_order_add_personal(order, "script", script, error) == -1)
                return -1;
        }
        rmt_record_set(ask, "cursor", page->cursor ? page->cursor : "");
    } while (*rmt_record_text(ask, "cursor", ""));
    return 0;
}

// What makes this target itself: its record, and the scripts for it (M18).
static int
s_add_personal(rmt_order_t *order, rmt_task_t *task, const rmt_holder_t *holder,
               const rmt_record_t *os, rmt_error_t *error)
{
    const rmt_record_t *body = rmt_task_body(task);
    rmt_auto(rmt_records) record = s_unpack(body, "record", error);
    if (!record)
        return -1;
    if (rmt_records_count(record) == 0)
        return rmt_fail(error, RMT_E_PROTOCOL, "the task has no record of its target");
    if (installer_addressing_complete(rmt_records_at(record, 0), os, error) == -1)
        return -1;
    if (rmt_order_add_personal(order, "target", rmt_records_at(record, 0), error) == -1)
        return -1;
    return s_add_scripts(order, task, holder, error);
}

// Caller owns the result, which is complete.
static rmt_order_t *
s_make(rmt_task_t *task, const rmt_holder_t *holder, rmt_error_t *error)
{
    const rmt_record_t *body = rmt_task_body(task);
    const char *image_text = rmt_record_text(body, "image", "");
    rmt_auto(rmt_record) os = NULL;
    rmt_id_t image;
    if (rmt_id_parse(&image, image_text, error) == -1) {
        rmt_wrap(error, "image");
        return NULL;
    }
    rmt_auto(rmt_order) order = rmt_order_new(&image, rmt_record_text(body, "target", ""),
                                              rmt_holder_place(holder));
    if (s_add_choices(order, body, error) == -1 ||
        s_set_layout(order, holder, image_text, &os, error) == -1 ||
        s_add_personal(order, task, holder, os, error) == -1)
        return NULL;
    return rmt_take(&order);
}

// Volumes that are too many for an order are those of the image's descriptor.
static zchunk_t *
s_pack(rmt_order_t *order, rmt_error_t *error)
{
    for (int i = 0; i < 2; i++) {
        order->is_short = i > 0;
        rmt_auto(rmt_records) records = rmt_order_write(order, error);
        rmt_auto(zchunk) packed = records ? rmt_codec_pack_records(records) : NULL;
        if (!packed || zchunk_size(packed) <= ORDER_SIZE_MAX)
            return rmt_take(&packed);
        rmt_fail(error, RMT_E_TOO_BIG,
                 "the order has %zu bytes, limit %zu; give this target smaller scripts",
                 zchunk_size(packed), ORDER_SIZE_MAX);
    }
    return NULL;
}

int
installer_order(rmt_task_t *task, void *holder, rmt_error_t *error)
{
    rmt_auto(rmt_order) order = s_make(task, holder, error);
    rmt_auto(zchunk) packed = order ? s_pack(order, error) : NULL;
    if (!packed ||
        installer_secret_add(task, rmt_holder_config(holder), order->layout, error) == -1)
        return -1;
    if (installer_boot_reset(task, holder, error) == -1)
        return -1;
    rmt_record_put(rmt_task_outputs(task), "order", zchunk_data(packed),
                   zchunk_size(packed));
    rmt_log(RMT_INFO, "order.done", "target=%s bytes=%zu", order->target,
            zchunk_size(packed));
    return 0;
}
