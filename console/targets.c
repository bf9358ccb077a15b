#include "console/targets.h"
#include "console/field.h"
#include "console/table.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "wire/rmt_codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DISKS_MAX 10 // Machines, up to which each is asked for its disks

const char *const targets_columns[] = {"name",       "engine", "address", "state",
                                       "image-name", "since",  "job",     "phase",
                                       "reason",     NULL};

// A target that no admin has approved, or that is silent, is not free for a job.
static const char *
s_target_state(const rmt_record_t *target)
{
    const char *state = rmt_record_text(target, "state", "");
    if (strcmp(state, "free") != 0)
        return state;
    return !rmt_record_flag(target, "approved")  ? "pending"
           : !rmt_record_flag(target, "present") ? "absent"
                                                 : "free";
}

// Name the image that runs on each target, and say since when.
static int
s_name_images(call_t *call, rmt_records_t *targets, rmt_error_t *error)
{
    rmt_auto(rmt_records) images = NULL;
    for (size_t i = 0; i < rmt_records_count(targets); i++) {
        rmt_record_t *target = rmt_records_at(targets, i);
        rmt_auto_str id = strdup(rmt_record_text(target, "image", ""));
        rmt_auto_str since = strdup(rmt_record_text(target, "confirmed-at", ""));
        rmt_auto_str state = strdup(s_target_state(target));
        rmt_record_set(target, "state", state);
        if (*since)
            rmt_record_set(target, "since", since);
        rmt_auto(rmt_record) body = rmt_record_new();
        if (*id && !images && !(images = call_list(call, "image.list", body, error)))
            return -1;
        const rmt_record_t *image = *id ? rmt_records_find(images, "id", id) : NULL;
        if (image)
            rmt_record_set(target, "image-name", rmt_record_text(image, "name", ""));
    }
    return 0;
}

rmt_records_t *
targets_list(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto(rmt_records) targets = call_list(call, "target.list", body, error);
    return targets && s_name_images(call, targets, error) == 0 ? rmt_take(&targets)
                                                               : NULL;
}

// Is the word one of those with commas between?
static bool
s_has_word(const char *words, const char *word)
{
    const size_t size = strlen(word);
    for (const char *at = words; (at = strstr(at, word)); at += size) {
        if ((at == words || at[-1] == ',') && (!at[size] || at[size] == ','))
            return true;
    }
    return false;
}

int
targets_show_choice(call_t *call, const char *engines, rmt_error_t *error)
{
    rmt_auto(rmt_records) targets = targets_list(call, error);
    if (!targets)
        return -1;
    rmt_auto(rmt_records) own = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(targets); i++) {
        rmt_record_t *target = rmt_record_dup(rmt_records_at(targets, i));
        if (s_has_word(engines, rmt_record_text(target, "engine", "")))
            rmt_records_append(own, &target);
        rmt_record_destroy(&target);
    }
    table_print(own, targets_columns, &call->view);
    return 0;
}

// "sda 931.5 GiB Samsung SSD 870, sdb 3.6 TiB" of the machine's facts. Caller owns.
static char *
s_disks(call_t *call, const char *name)
{
    rmt_error_t ignored = {0};
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "name", name);
    rmt_auto(rmt_msg) reply = call_request(call, "target.show", body, NULL, &ignored);
    size_t size = 0;
    const void *packed = reply ? rmt_record_get(reply->body, "hardware", &size) : NULL;
    rmt_auto(rmt_records) facts =
        packed ? rmt_codec_unpack_records(packed, size, size + 1, &ignored) : NULL;
    char *text = strdup("");
    for (size_t i = 0; facts && i < rmt_records_count(facts); i++) {
        const rmt_record_t *disk = rmt_records_at(facts, i);
        if (!rmt_record_is(disk, "class", "disk"))
            continue;
        char bytes[16];
        field_bytes(rmt_record_u64(disk, "bytes", 0), bytes);
        const char *model = rmt_record_text(disk, "model", "");
        rmt_auto_str before = text;
        text = rmt_text("%s%s%s %s%s%s", before, *before ? ", " : "",
                        rmt_record_text(disk, "name", "disk"), bytes, *model ? " " : "",
                        model);
    }
    return text;
}

static const char *const s_erased_columns[] = {"name",  "address", "state", "image-name",
                                               "since", "disks",   NULL};

rmt_records_t *
targets_erased(call_t *call, const rmt_records_t *chosen, rmt_error_t *error)
{
    rmt_auto(rmt_records) targets = targets_list(call, error);
    if (!targets)
        return NULL;
    rmt_records_t *erased = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(chosen); i++) {
        const char *name = rmt_record_text(rmt_records_at(chosen, i), "target", "");
        const rmt_record_t *target = rmt_records_find(targets, "name", name);
        if (!target)
            continue;
        rmt_record_t *copy = rmt_record_new();
        for (const char *const *field = s_erased_columns; *field; field++)
            rmt_record_set(copy, *field, rmt_record_text(target, *field, ""));
        if (rmt_records_count(chosen) <= DISKS_MAX) {
            rmt_auto_str disks = s_disks(call, name);
            rmt_record_set(copy, "disks", disks);
        }
        rmt_records_append(erased, &copy);
    }
    return erased;
}

int
targets_show_erased(call_t *call, const rmt_records_t *chosen, rmt_error_t *error)
{
    rmt_auto(rmt_records) erased = targets_erased(call, chosen, error);
    if (!erased)
        return -1;
    table_print(erased, s_erased_columns, &call->view);
    return 0;
}
