#include "agent/firstboot/scripts.h"
#include "base/rmt_auto.h"
#include "wire/rmt_codec.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"
#include "base/rmt_process.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define TABLE_SIZE_MAX ((size_t) 16 * 1024)
#define OUTCOME_SIZE_MAX ((size_t) 16 * 1024)
#define PATH_LINE "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static int
s_is_script(const struct dirent *item)
{
    return isdigit((unsigned char) item->d_name[0]) &&
           isdigit((unsigned char) item->d_name[1]) && item->d_name[2] == '-';
}

static uint32_t
s_timeout_s(const rmt_scripts_t *scripts, const char *name)
{
    rmt_auto_ptr data = NULL;
    size_t size;
    rmt_error_t ignored;
    if (rmt_io_load(scripts->table, TABLE_SIZE_MAX, &data, &size, &ignored) == -1)
        return RMT_SCRIPTS_TIMEOUT_S;
    char *rest = data;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        char *blank = strchr(line, ' ');
        if (!blank)
            continue;
        *blank = '\0';
        const long seconds = strtol(blank + 1, NULL, 10);
        if (strcmp(line, name) == 0 && seconds > 0 && seconds < 1000000)
            return (uint32_t) seconds;
    }
    return RMT_SCRIPTS_TIMEOUT_S;
}

// ---- Outcomes

static rmt_record_t *
s_outcome(const char *name, const char *status, const char *end)
{
    rmt_record_t *outcome = rmt_record_new();
    rmt_record_set(outcome, "script", name);
    rmt_record_set(outcome, "exit", status);
    rmt_record_set(outcome, "end", end);
    return outcome;
}

static int
s_save(const char *path, const rmt_record_t *outcome, rmt_error_t *error)
{
    rmt_auto(rmt_records) list = rmt_records_new();
    rmt_auto(rmt_record) copy = rmt_record_dup(outcome);
    rmt_records_append(list, &copy);
    rmt_auto(zchunk) packed = rmt_codec_pack_records(list);
    return rmt_io_save(path, zchunk_data(packed), zchunk_size(packed), 0600, error);
}

// NULL when there is none that can be read.
static rmt_record_t *
s_load(const char *path)
{
    rmt_auto_ptr data = NULL;
    size_t size;
    rmt_error_t ignored;
    if (rmt_io_load(path, OUTCOME_SIZE_MAX, &data, &size, &ignored) == -1)
        return NULL;
    rmt_auto(rmt_records) list =
        rmt_codec_unpack_records(data, size, OUTCOME_SIZE_MAX, &ignored);
    return list && rmt_records_count(list) ? rmt_record_dup(rmt_records_at(list, 0))
                                           : NULL;
}

// ---- Running

// Output is anything; records carry text.
static void
s_set_output(rmt_record_t *outcome, const char *tail)
{
    rmt_auto_str text = rmt_text("%s", tail);
    size_t size = strlen(text);
    while (size && isspace((unsigned char) text[size - 1]))
        text[--size] = '\0';
    for (char *at = text; *at; at++) {
        if ((unsigned char) *at >= 0x7f || (iscntrl((unsigned char) *at) && *at != '\n'))
            *at = '?';
    }
    rmt_record_set(outcome, "output", text);
}

static void
s_keep_log(const rmt_scripts_t *scripts, const char *name, const char *output)
{
    rmt_error_t error;
    rmt_auto_str path = rmt_text("%s/%s.log", scripts->log, name);
    if (*scripts->log && (rmt_io_mkdirs(scripts->log, 0755, &error) == -1 ||
                          rmt_io_save(path, output, strlen(output), 0600, &error) == -1))
        rmt_log(RMT_WARN, "script.unlogged", "script=%s text=\"%s\"", name, error.text);
}

static rmt_record_t *
s_run(const rmt_scripts_t *scripts, const char *name)
{
    const uint32_t timeout_s = s_timeout_s(scripts, name);
    rmt_auto_str path = rmt_text("%s/%s", scripts->folder, name);
    rmt_auto_str target = rmt_text("RAMET_TARGET=%s", scripts->target);
    rmt_auto_str image = rmt_text("RAMET_IMAGE=%s", scripts->image);
    const char *arguments[] = {path, NULL};
    const char *environment[] = {PATH_LINE, "HOME=/root", "LANG=C", target, image, NULL};
    const rmt_process_t process = {.arguments = arguments,
                                   .environment = environment,
                                   .timeout_ms = timeout_s * 1000};
    rmt_process_end_t end;
    rmt_error_t error = {0};
    (void) chmod(path, 0700);
    if (rmt_process_try(&process, &end, &error) == -1) {
        rmt_auto_str why = rmt_text("could not start: %s", error.text);
        return s_outcome(name, "-", why);
    }
    rmt_auto_str how = end.is_timeout ? rmt_text("was ended after %u s", timeout_s)
                       : end.signal   ? rmt_text("ended by signal %d", end.signal)
                                      : rmt_text("ended with status %d", end.status);
    rmt_auto_str status =
        end.is_timeout || end.signal ? rmt_text("-") : rmt_text("%d", end.status);
    rmt_record_t *outcome = s_outcome(name, status, how);
    rmt_record_set_u64(outcome, "seconds", end.time_ms / 1000);
    s_set_output(outcome, end.tail);
    s_keep_log(scripts, name, end.output);
    rmt_process_end_clear(&end);
    return outcome;
}

static rmt_record_t *
s_run_once(const rmt_scripts_t *scripts, const char *name, rmt_error_t *error)
{
    rmt_auto_str done = rmt_text("%s/%s.done", scripts->state, name);
    rmt_auto_str mark = rmt_text("%s/%s.begun", scripts->state, name);
    rmt_auto(rmt_record) outcome = s_load(done);
    if (outcome)
        return rmt_take(&outcome);
    if (access(mark, F_OK) == 0)
        outcome = s_outcome(name, "-", "was interrupted by a restart");
    else if (rmt_io_save(mark, "", 0, 0600, error) == -1)
        return NULL;
    else
        outcome = s_run(scripts, name);
    if (s_save(done, outcome, error) == -1)
        return NULL;
    const bool is_good = strcmp(rmt_record_text(outcome, "exit", ""), "0") == 0;
    rmt_log(is_good ? RMT_INFO : RMT_WARN, is_good ? "script.done" : "script.failed",
            "script=%s text=\"%s\"", name, rmt_record_text(outcome, "end", ""));
    return rmt_take(&outcome);
}

rmt_records_t *
rmt_scripts_run(const rmt_scripts_t *scripts, rmt_error_t *error)
{
    if (rmt_io_mkdirs(scripts->state, 0700, error) == -1)
        return NULL;
    rmt_auto(rmt_records) outcomes = rmt_records_new();
    struct dirent **items = NULL;
    const int count = scandir(scripts->folder, &items, s_is_script, alphasort);
    bool is_kept = true;
    for (int i = 0; i < count; i++) {
        rmt_auto(rmt_record) outcome =
            is_kept ? s_run_once(scripts, items[i]->d_name, error) : NULL;
        is_kept = outcome != NULL;
        if (outcome)
            rmt_records_append(outcomes, &outcome);
        free(items[i]);
    }
    free(items);
    return is_kept ? rmt_take(&outcomes) : NULL;
}
