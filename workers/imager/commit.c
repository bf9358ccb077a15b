#include "imager/imager.h"
#include "base/rmt_auto.h"
#include "wire/rmt_codec.h"
#include "place/holder.h"
#include "place/space.h"
#include "base/rmt_clock.h"
#include "base/rmt_log.h"
#include "crypto/rmt_sign.h"
#include "facts/rmt_layout.h"
#include "store/rmt_store.h"
#include "trust/rmt_release.h"

#include <stdlib.h>
#include <string.h>

static rmt_records_t *
s_part(const rmt_records_t *descriptor, const char *part)
{
    rmt_records_t *found = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(descriptor); i++) {
        const rmt_record_t *record = rmt_records_at(descriptor, i);
        if (strcmp(rmt_record_text(record, "part", ""), part) != 0)
            continue;
        rmt_record_t *copy = rmt_record_dup(record);
        rmt_records_append(found, &copy);
    }
    return found;
}

// The kernel and the files that tell its drivers, and the outline of the system.
static rmt_records_t *
s_kernel(const rmt_records_t *descriptor)
{
    rmt_records_t *found = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(descriptor); i++) {
        const rmt_record_t *record = rmt_records_at(descriptor, i);
        const char *class = rmt_record_text(record, "class", "");
        if ((strncmp(class, "kernel", 6) != 0 && strcmp(class, "outline") != 0) ||
            strcmp(rmt_record_text(record, "part", ""), "os") != 0)
            continue;
        rmt_record_t *copy = rmt_record_dup(record);
        rmt_records_append(found, &copy);
    }
    return found;
}

static void
s_put_packed(rmt_record_t *outputs, const char *name, const rmt_records_t *records)
{
    rmt_auto(zchunk) packed = rmt_codec_pack_records(records);
    rmt_record_put(outputs, name, zchunk_data(packed), zchunk_size(packed));
}

const rmt_record_t *
imager_find_image(const rmt_records_t *descriptor, rmt_error_t *error)
{
    const rmt_record_t *image = rmt_records_find(descriptor, "class", "image");
    if (!image) {
        rmt_fail(error, RMT_E_CORRUPT, "the descriptor has no record of class image");
        return NULL;
    }
    const char *format = rmt_record_text(image, "format", "");
    const char *features = rmt_record_text(image, "features", "");
    if (strcmp(format, "1") != 0 || *features) {
        rmt_fail(
            error, RMT_E_UNSUPPORTED,
            "this imager does not know image format \"%.16s\" with features \"%.64s\"",
            format, features);
        return NULL;
    }
    return image;
}

// How the image's system is told its network.
static void
s_put_network(rmt_record_t *outputs, const rmt_records_t *descriptor)
{
    static const char *const fields[] = {"network-stack", "network-by-name",
                                         "network-shapes", "network-refusal"};
    const rmt_record_t *os = rmt_records_find(descriptor, "class", "os");
    for (size_t i = 0; os && i < sizeof fields / sizeof *fields; i++) {
        if (rmt_record_has(os, fields[i]))
            rmt_record_set(outputs, fields[i], rmt_record_text(os, fields[i], ""));
    }
}

// What the catalogue and the matching need to know without the descriptor.
static int
s_fill_outputs(rmt_task_t *task, const rmt_records_t *descriptor, rmt_error_t *error)
{
    const rmt_record_t *image = imager_find_image(descriptor, error);
    if (!image)
        return -1;
    rmt_record_t *outputs = rmt_task_outputs(task);
    rmt_auto(rmt_layout) disks = rmt_layout_read(descriptor, error);
    if (!disks)
        return rmt_wrap(error, "descriptor");
    rmt_record_set(outputs, "state", rmt_record_text(image, "state", "INCOMPLETE"));
    rmt_record_set_u64(outputs, "files", rmt_record_u64(image, "files", 0));
    rmt_record_set_u64(outputs, "bytes", rmt_record_u64(image, "bytes", 0));
    rmt_record_set_u64(outputs, "volumes", disks->volume_count);
    rmt_auto(rmt_records) hardware = s_part(descriptor, "hardware");
    rmt_auto(rmt_records) layout = s_part(descriptor, "layout");
    rmt_auto(rmt_records) kernel = s_kernel(descriptor);
    if (rmt_records_count(kernel))
        s_put_packed(outputs, "kernel", kernel);
    s_put_packed(outputs, "hardware", hardware);
    s_put_packed(outputs, "layout", layout);
    s_put_network(outputs, descriptor);
    return 0;
}

// With the imager's own image key, where it has one. Seconds since 1970 rise from image
// to image.
static int
s_sign(rmt_task_t *task, const rmt_config_t *config, const rmt_id_t *image,
       rmt_error_t *error)
{
    const char *path = rmt_config_text(config, "sign-key");
    rmt_sign_key_t key;
    if (!*path)
        return 0;
    if (rmt_sign_key_load(&key, path, error) == -1)
        return rmt_wrap(error, "sign the image");
    char key_text[RMT_SIGN_PUBLIC_TEXT_SIZE];
    rmt_auto_str line =
        rmt_release_sign(image, (uint64_t) rmt_clock_wall_ms() / 1000, &key);
    rmt_sign_key_wipe(&key);
    rmt_record_set(rmt_task_outputs(task), "signature", line);
    rmt_record_set(rmt_task_outputs(task), "signature-key",
                   rmt_sign_key_text(&key, key_text));
    return 0;
}

static int
s_commit(rmt_task_t *task, void *holder, rmt_error_t *error)
{
    rmt_id_t id, image;
    const char *text = rmt_record_text(rmt_task_body(task), "descriptor", "");
    if (rmt_id_parse(&id, text, error) == -1)
        return rmt_wrap(error, "descriptor");
    rmt_auto(rmt_store) store = rmt_store_new(rmt_holder_store(holder), false, error);
    if (!store)
        return -1;
    rmt_task_progress(task, "commit", 0, 0, NULL);
    rmt_auto_ptr plain = malloc(RMT_CHUNK_PLAIN_MAX);
    size_t size;
    if (rmt_store_read(store, &id, plain, &size, error) == -1)
        return rmt_wrap(error, "read descriptor");
    rmt_auto(rmt_records) descriptor =
        rmt_codec_unpack_records(plain, size, RMT_CHUNK_PLAIN_MAX, error);
    if (!descriptor || s_fill_outputs(task, descriptor, error) == -1)
        return -1;
    if (rmt_store_image_put(store, plain, size, &image, error) == -1)
        return rmt_wrap(error, "commit image");
    if (s_sign(task, rmt_holder_config(holder), &image, error) == -1)
        return -1;
    char image_text[RMT_ID_TEXT_SIZE];
    rmt_record_set(rmt_task_outputs(task), "image", rmt_id_text(&image, image_text));
    rmt_log(RMT_INFO, "image.committed", "image=%s source=%s state=%s", image_text,
            rmt_record_text(rmt_task_body(task), "source", ""),
            rmt_record_text(rmt_task_outputs(task), "state", ""));
    return 0;
}

int
imager_commit(rmt_task_t *task, void *holder, rmt_error_t *error)
{
    return place_with_space(task, holder, s_commit, error);
}
