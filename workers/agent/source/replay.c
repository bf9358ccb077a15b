#include "agent/source/replay.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"
#include "disk/rmt_fs.h"
#include "disk/rmt_overlay.h"
#include "disk/rmt_unclean.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#define STEPS_MAX 3 // A log may hold a note of errors, after which fsck has to look

struct rmt_replay {
    const rmt_config_t *config;
    const rmt_scratch_t *scratch;
    rmt_overlay_t **layers;
    size_t count;
    rmt_records_t *told;
};

// A layer that is being made.
typedef struct {
    const char *fs; // As blkid calls it
    rmt_overlay_t *overlay;
    const char *folder; // To mount it on
} work_t;

// How a program runs unattended when a machine starts, and what a person may run.
static const struct {
    const char *fs, *program, *option, *remedy;
} s_rows[] = {
    {"ext4", "e2fsck", "-p", "e2fsck -f"},
    {"ext3", "e2fsck", "-p", "e2fsck -f"},
    {"ext2", "e2fsck", "-p", "e2fsck -f"},
    {"vfat", "fsck.fat", "-a", "fsck.fat -r"},
    // These lose what the log holds.
    {"xfs", NULL, NULL, "xfs_repair -L"},
    {"btrfs", NULL, NULL, "btrfs rescue zero-log"},
};

static size_t
s_row(const char *fs)
{
    size_t row = 0;
    while (strcmp(s_rows[row].fs, fs) != 0) {
        row++;
        assert(row < sizeof s_rows / sizeof *s_rows);
    }
    return row;
}

rmt_replay_t *
rmt_replay_new(const rmt_config_t *config, const rmt_scratch_t *scratch)
{
    assert(config && scratch);
    rmt_replay_t *self = calloc(1, sizeof *self);
    assert(self);
    *self =
        (rmt_replay_t){.config = config, .scratch = scratch, .told = rmt_records_new()};
    return self;
}

void
rmt_replay_destroy(rmt_replay_t **self_p)
{
    rmt_replay_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        rmt_overlay_destroy(&self->layers[i]);
    free(self->layers);
    rmt_records_destroy(&self->told);
    free(self);
    *self_p = NULL;
}

const rmt_records_t *
rmt_replay_told(const rmt_replay_t *self)
{
    return self->told;
}

// The first line that says what is wrong: not the program's name and version, nor that it
// has to look. Each line may begin with the device, which is a scratch one.
static const char *
s_first_words(char *output, const char *program, const char *device)
{
    const size_t size = strlen(device);
    char *line;
    while ((line = strsep(&output, "\n"))) {
        if (strncmp(line, device, size) == 0)
            line += size + strspn(line + size, ": ");
        const bool is_name = strncmp(line, program, strlen(program)) == 0;
        if (*line && !isspace((unsigned char) *line) && !is_name &&
            !strstr(line, "check forced"))
            return line;
    }
    return "it gives no reason";
}

// Status 1 says that something was mended, 2 that its own machine would start once more.
static int
s_check(const work_t *work, rmt_error_t *error)
{
    const char *program = s_rows[s_row(work->fs)].program;
    const char *option = s_rows[s_row(work->fs)].option;
    const char *device = rmt_overlay_device(work->overlay);
    const char *const words[] = {"env", "LC_ALL=C", program, option, device, NULL};
    const rmt_process_t process = {.arguments = words};
    rmt_process_end_t end = {0};
    if (rmt_process_try(&process, &end, error) == -1)
        return -1;
    const int rc =
        end.signal == 0 && end.status <= 2
            ? 0
            : rmt_fail(error, RMT_E_REFUSED, "%s %s leaves it to a person: %s", program,
                       option, s_first_words(end.output, program, device));
    rmt_process_end_clear(&end);
    return rc;
}

static int
s_mend(const work_t *work, rmt_unclean_t unclean, rmt_error_t *error)
{
    const int rc = unclean == RMT_UNCLEAN_CHECK
                       ? s_check(work, error)
                       : rmt_fs_replay(work->fs, rmt_overlay_device(work->overlay),
                                       work->folder, error);
    // Without room all else that failed is a consequence.
    rmt_error_t full = {0};
    if (rmt_overlay_flush(work->overlay, &full) == -1 &&
        (rc == 0 || full.code == RMT_E_NO_SPACE)) {
        *error = full;
        return -1;
    }
    return rc;
}

static int
s_mend_all(const work_t *work, rmt_unclean_t unclean, rmt_error_t *error)
{
    const char *why;
    for (int step = 0; unclean != RMT_UNCLEAN_NOT; step++) {
        if (step == STEPS_MAX)
            return rmt_fail(error, RMT_E_REFUSED, "it stays so after it was mended");
        if (s_mend(work, unclean, error) == -1 ||
            rmt_unclean_look(work->fs, rmt_overlay_device(work->overlay), &unclean, &why,
                             error) == -1)
            return -1;
    }
    return 0;
}

// How a person names the device in a command. Caller owns the result.
static char *
s_device(const rmt_replay_place_t *place)
{
    if (place->logical)
        return rmt_text("/dev/%s", place->logical);
    struct stat status;
    const size_t size = strlen(place->disk);
    const bool is_file = stat(place->disk, &status) == 0 && S_ISREG(status.st_mode);
    const bool has_gap =
        is_file || (size && isdigit((unsigned char) place->disk[size - 1]));
    rmt_auto_str part = place->number
                            ? rmt_text("%s%" PRIu64, has_gap ? "p" : "", place->number)
                            : rmt_text("%s", "");
    return is_file ? rmt_text("\"$(losetup -fP --show %s)\"%s", place->disk, part)
                   : rmt_text("%s%s", place->disk, part);
}

// Where its own machine would replay the log, that is the best of all.
static int
s_fail(const char *fs, const char *device, const char *why, rmt_error_t *error)
{
    const rmt_error_t cause = *error;
    if (cause.code == RMT_E_NO_SPACE)
        return rmt_fail(error, cause.code,
                        "not cleanly unmounted: %s: %s; give it more in the settings of "
                        "the source's agent: replay-mib, or another folder as state",
                        why, cause.text);
    return rmt_fail(error, cause.code,
                    "not cleanly unmounted: %s: %s; start that machine and shut it down, "
                    "or mend it: %s %s",
                    why, cause.text, s_rows[s_row(fs)].remedy, device);
}

// Caller owns the result.
static rmt_overlay_t *
s_make_layer(const rmt_replay_t *self, const char *device, uint32_t sector,
             const char *folder, rmt_error_t *error)
{
    const rmt_overlay_setup_t setup = {
        .device = device,
        .folder = folder,
        .room = rmt_config_text(self->config, "state"),
        .limit = (uint64_t) rmt_config_number(self->config, "replay-mib") << 20,
        .sector = sector};
    return rmt_overlay_new(&setup, error);
}

static void
s_keep(rmt_replay_t *self, rmt_overlay_t **layer_p, const char *words, const char *why)
{
    rmt_record_t *told = rmt_records_add(self->told);
    rmt_record_set(told, "path", words);
    rmt_record_setf(told, "reason",
                    "not cleanly unmounted: %s; the image has it as after the next start",
                    why);
    rmt_record_set_u64(told, "bytes", rmt_overlay_written(*layer_p));
    self->layers = realloc(self->layers, (self->count + 1) * sizeof *self->layers);
    assert(self->layers);
    self->layers[self->count++] = rmt_take(layer_p);
}

int
rmt_replay_settle(rmt_replay_t *self, const rmt_replay_place_t *place, char **device_p,
                  rmt_record_t **format_p, rmt_error_t *error)
{
    rmt_unclean_t unclean;
    const char *why;
    rmt_auto_str fs = rmt_text("%s", rmt_record_text(*format_p, "fs", ""));
    if (rmt_unclean_look(fs, *device_p, &unclean, &why, error) == -1)
        return -1;
    if (unclean == RMT_UNCLEAN_NOT)
        return 0;
    rmt_auto_str name = rmt_text("replay-%zu", self->count);
    rmt_auto_str folder = rmt_scratch_folder(self->scratch, name, error);
    if (!folder)
        return -1;
    rmt_auto(rmt_overlay) layer =
        s_make_layer(self, *device_p, place->sector, folder, error);
    const work_t work = {.fs = fs, .overlay = layer, .folder = folder};
    rmt_auto_str device = s_device(place);
    if (!layer || s_mend_all(&work, unclean, error) == -1)
        return s_fail(fs, device, why, error);
    rmt_auto(rmt_record) format = rmt_fs_probe(rmt_overlay_device(layer), error);
    if (!format)
        return rmt_rename(error, rmt_overlay_device(layer), "it");
    rmt_record_destroy(format_p);
    *format_p = rmt_take(&format);
    free(*device_p);
    *device_p = rmt_text("%s", rmt_overlay_device(layer));
    s_keep(self, &layer, place->words, why);
    return 0;
}
