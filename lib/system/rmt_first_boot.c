#include "system/rmt_personal.h"
#include "system/rmt_action.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_starter.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define FOLDER "/usr/lib/ramet"
#define SCRIPT_COUNT_MAX 99

// One plain file name.
static bool
s_is_name(const char *name)
{
    if (!name[0] || name[0] == '.' || strlen(name) > 200)
        return false;
    for (; *name; name++) {
        if (!isalnum((unsigned char) *name) && !strchr("._-+", *name))
            return false;
    }
    return true;
}

static bool
s_is_line(const char *text)
{
    if (text[0] != '/')
        return false;
    for (; *text; text++) {
        if (iscntrl((unsigned char) *text) || *text == '\'')
            return false;
    }
    return true;
}

static void
s_write(rmt_records_t *actions, const char *path, unsigned mode, const char *text)
{
    rmt_action_write(actions, path, "first-boot", mode, text, strlen(text));
}

// ---- Files

// The time limits of scripts, one a line, for those that have one.
static void
s_print_limit(FILE *out, const rmt_record_t *file, const char *path)
{
    const uint64_t seconds = rmt_record_u64(file, "timeout-s", 0);
    if (seconds)
        fprintf(out, "%s %llu\n", strrchr(path, '/') + 1, (unsigned long long) seconds);
}

static int
s_plan_files(const rmt_records_t *files, FILE *limits, rmt_records_t *actions,
             rmt_error_t *error)
{
    size_t scripts = 0;
    for (size_t i = 0; i < rmt_records_count(files); i++) {
        const rmt_record_t *file = rmt_records_at(files, i);
        const char *class = rmt_record_text(file, "class", "");
        const char *name = rmt_record_text(file, "name", "");
        const bool is_script = strcmp(class, "script") == 0;
        size_t size = 0;
        const void *content = rmt_record_get(file, "content", &size);
        if (!s_is_name(name) || !content || (!is_script && strcmp(class, "file") != 0))
            return rmt_fail(error, RMT_E_USAGE,
                            "the first boot file '%s' of class '%s' has a bad name, an "
                            "unknown class or no content",
                            name, class);
        if (is_script && ++scripts > SCRIPT_COUNT_MAX)
            return rmt_fail(error, RMT_E_USAGE, "the order has more than %d scripts",
                            SCRIPT_COUNT_MAX);
        rmt_auto_str path = is_script
                                ? rmt_text(FOLDER "/scripts/%02zu-%s", scripts, name)
                                : rmt_text(FOLDER "/firstboot/%s", name);
        const char *mode = rmt_record_text(file, "mode", is_script ? "0700" : "0600");
        rmt_action_write(actions, path, is_script ? "script" : "first-boot",
                         (unsigned) strtoul(mode, NULL, 8) & 0777, content, size);
        if (is_script)
            s_print_limit(limits, file, path);
    }
    return 0;
}

int
rmt_personal_first_boot(int root_fd, const char *command, const rmt_records_t *files,
                        rmt_records_t *actions, rmt_error_t *error)
{
    assert(files);
    assert(actions);
    if (!s_is_line(command))
        return rmt_fail(error, RMT_E_USAGE,
                        "the first boot command must be one line with an absolute path");
    char *limits = NULL;
    size_t size;
    FILE *out = open_memstream(&limits, &size);
    const int rc = s_plan_files(files, out, actions, error);
    if (fclose(out))
        abort();
    if (rc == 0 && size)
        s_write(actions, FOLDER "/firstboot/scripts", 0600, limits);
    free(limits);
    if (rc == -1)
        return -1;
    rmt_rooted_begin();
    return rmt_rooted_end(rmt_starter_plan(root_fd, command, actions, error), error);
}
