#include "installer/rehearsal.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_outline.h"
#include "system/rmt_personal.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The agent tells its own; a plan does not depend on it.
#define COMMAND "/usr/lib/ramet/firstboot/ramet-agent firstboot"

#define WARNINGS_MAX 8 // As each target's verdict has them

// Shapes of records that fitted: nothing differs in them that could refuse a plan.
#define SHAPES_MAX 32
typedef struct {
    char *shapes[SHAPES_MAX]; // Owned
    size_t changes[SHAPES_MAX];
    size_t count;
} memo_t;

struct installer_rehearsal {
    installer_rehearsal_config_t config;
    char folder[sizeof "/tmp/ramet-outline-XXXXXX"];
    int root;
    char *warnings; // Owned
    memo_t *memo;   // Owned; judging changes it
};

// The same for all targets, so they are looked for once.
static int
s_find_warnings(installer_rehearsal_t *self, rmt_error_t *error)
{
    rmt_auto(rmt_records) warnings = rmt_records_new();
    if (rmt_personal_warn(self->root, warnings, error) == -1)
        return -1;
    const size_t count = rmt_records_count(warnings);
    self->warnings = rmt_text("%s", "");
    for (size_t i = 0; i < count && i <= WARNINGS_MAX; i++) {
        rmt_auto_str text = i < WARNINGS_MAX
                                ? rmt_personal_warning_text(rmt_records_at(warnings, i))
                                : rmt_text("and %zu more, which ramet image create "
                                           "SOURCE --dry-run shows",
                                           count - i);
        char *all = rmt_text("%s%s%s", self->warnings, i ? "; " : "", text);
        free(self->warnings);
        self->warnings = all;
    }
    return 0;
}

installer_rehearsal_t *
installer_rehearsal_new(const installer_rehearsal_config_t *config, rmt_error_t *error)
{
    rmt_auto(installer_rehearsal) self = calloc(1, sizeof *self);
    assert(self);
    self->config = *config;
    self->memo = calloc(1, sizeof *self->memo);
    assert(self->memo);
    self->root = -1;
    strcpy(self->folder, "/tmp/ramet-outline-XXXXXX");
    if (!mkdtemp(self->folder)) {
        rmt_fail_errno(error, "make folder %s", self->folder);
        *self->folder = '\0';
        return NULL;
    }
    self->root = open(self->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (self->root == -1) {
        rmt_fail_errno(error, "open %s", self->folder);
        return NULL;
    }
    if (rmt_outline_build(config->outline, self->root, error) == -1 ||
        s_find_warnings(self, error) == -1)
        return NULL;
    self->config.outline = NULL;
    return rmt_take(&self);
}

void
installer_rehearsal_destroy(installer_rehearsal_t **self_p)
{
    rmt_error_t ignored = {0};
    installer_rehearsal_t *self = *self_p;
    if (!self)
        return;
    if (self->root != -1)
        close(self->root);
    for (size_t i = 0; i < self->memo->count; i++)
        free(self->memo->shapes[i]);
    free(self->memo);
    if (*self->folder)
        (void) rmt_io_remove_tree(self->folder, &ignored);
    free(self->warnings);
    free(self);
    *self_p = NULL;
}

const char *
installer_rehearsal_warnings(const installer_rehearsal_t *self)
{
    return self->warnings;
}

static rmt_record_t *
s_add(rmt_records_t *verdicts, const char *component, const char *fact,
      const char *wanted, const char *had, const char *reason)
{
    rmt_record_t *verdict = rmt_records_add(verdicts);
    rmt_record_set(verdict, "class", "verdict");
    rmt_record_set(verdict, "component", component);
    if (*fact)
        rmt_record_set(verdict, "fact", fact);
    rmt_record_set(verdict, "wanted", wanted);
    rmt_record_set(verdict, "had", had);
    rmt_record_set(verdict, "fits", "yes");
    rmt_record_set(verdict, "reason", reason);
    return verdict;
}

// ---- What is made of the disks

static void
s_explain_disks(const installer_rehearsal_t *self, rmt_records_t *verdicts)
{
    const rmt_layout_t *layout = self->config.layout;
    const char *paths = self->config.boot_paths;
    for (size_t i = 0; i < layout->volume_count; i++) {
        const rmt_layout_volume_t *volume = &layout->volumes[i];
        const char *role = layout->disks[volume->disk].role;
        rmt_auto_str place = rmt_text("%s%s%s", volume->mount ? volume->mount : "",
                                      volume->mount && volume->subvolume ? " " : "",
                                      volume->subvolume ? volume->subvolume : "");
        rmt_auto_str part =
            volume->partition ? rmt_text("partition %" PRIu64 " of ", volume->partition)
            : volume->array   ? rmt_text("array %s, first on ", volume->array)
            : volume->logical ? rmt_text("logical volume %s of ", volume->logical)
                              : rmt_text("%s", "");
        const char *how =
            volume->fs == RMT_FS_RAW ? "written block by block" : "made again";
        rmt_auto_str reason = rmt_text("%sdisk %s: erased, and %s", part, role, how);
        rmt_record_set(s_add(verdicts, "volume", place,
                             rmt_record_text(volume->format, "fs", "none"), "", reason),
                       "role", role);
    }
    if (*paths && strcmp(paths, "none") != 0)
        s_add(verdicts, "boot-record", "", paths, "", "written last");
}

// ---- What is done in the trees

static const char *
s_kind_word(mode_t kind)
{
    return kind == S_IFREG   ? "file"
           : kind == S_IFLNK ? "symlink"
           : kind == S_IFDIR ? "folder"
           : kind            ? "other"
                             : "nothing";
}

static void
s_explain(const installer_rehearsal_t *self, const rmt_records_t *actions,
          rmt_records_t *verdicts)
{
    s_explain_disks(self, verdicts);
    for (size_t i = 0; i < rmt_records_count(actions); i++) {
        const rmt_record_t *action = rmt_records_at(actions, i);
        const char *path = rmt_record_text(action, "path", "");
        s_add(verdicts, "configure", path, rmt_record_text(action, "class", ""),
              s_kind_word(rmt_rooted_kind(self->root, path)),
              rmt_record_text(action, "what", ""));
    }
}

static int
s_rehearse(const installer_rehearsal_t *self, const rmt_record_t *target,
           rmt_records_t **actions_out, rmt_error_t *error)
{
    rmt_auto(rmt_records) files = rmt_records_new();
    rmt_record_t *key = rmt_records_add(files);
    rmt_record_set(key, "class", "file");
    rmt_record_set(key, "name", "key");
    rmt_record_set(key, "content", "");
    if (rmt_personal_rehearse(self->root, target, actions_out, error) == -1 ||
        rmt_personal_first_boot(self->root, COMMAND, files, *actions_out, error) == -1)
        return -1;
    return rmt_personal_try(self->root, *actions_out, error);
}

// ---- Judging

static bool
s_is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

// The fields of a record with their values; of addresses and names only that there are
// some and of which family, since their values go into files alone.
static char *
s_shape(const rmt_record_t *target)
{
    static const char *const foreign[] = {"hardware", "identity", "state",     "reason",
                                          "engine",   "name",     "addresses", NULL};
    static const char *const written[] = {
        "address", "prefix", "mask", "gateway", "dns", "domain", "mac", "hostname", NULL};
    char *shape = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&shape, &size);
    for (size_t i = 0; i < rmt_record_count(target); i++) {
        const char *name = rmt_record_name_at(target, i);
        const char *dot = strrchr(name, '.');
        const char *text = rmt_record_text(target, name, "");
        if (s_is_one_of(name, foreign) || strncmp(name, "label.", 6) == 0)
            continue;
        if (s_is_one_of(dot ? dot + 1 : name, written))
            fprintf(out, "%s %d %d\n", name, *text != '\0', strchr(text, ':') != NULL);
        else
            fprintf(out, "%s=%s\n", name, text);
    }
    if (fclose(out))
        abort();
    return shape;
}

static bool
s_add_verdict(rmt_records_t *verdicts, size_t changes, bool fits, const char *reason)
{
    rmt_auto_str wanted = rmt_text("%zu changes", changes);
    rmt_record_t *verdict = s_add(verdicts, "configure", "", wanted, "", reason);
    rmt_record_set(verdict, "fits", fits ? "yes" : "no");
    return fits;
}

static void
s_remember(memo_t *memo, char **shape_p, size_t changes)
{
    if (memo->count == SHAPES_MAX)
        return;
    memo->shapes[memo->count] = rmt_take(shape_p);
    memo->changes[memo->count++] = changes;
}

bool
installer_rehearsal_judge(const installer_rehearsal_t *self, const rmt_record_t *target,
                          rmt_records_t *verdicts)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) actions = NULL;
    memo_t *memo = self->memo;
    rmt_auto_str shape = s_shape(target);
    for (size_t i = 0; i < memo->count && !self->config.explain; i++)
        if (strcmp(memo->shapes[i], shape) == 0)
            return s_add_verdict(verdicts, memo->changes[i], true, "planned");
    const bool is_done = s_rehearse(self, target, &actions, &error) == 0;
    const bool fits = is_done || self->config.is_cut;
    const size_t changes = actions ? rmt_records_count(actions) : 0;
    const char *reason = is_done ? "planned"
                         : fits  ? "not known: the outline of the image is cut"
                                 : error.text;
    s_add_verdict(verdicts, changes, fits, reason);
    if (is_done)
        s_remember(memo, &shape, changes);
    if (is_done && self->config.explain)
        s_explain(self, actions, verdicts);
    return fits;
}
