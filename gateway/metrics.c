#include "gateway/metrics.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_memory.h"
#include "console/job.h"
#include "console/targets.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LABELS_MAX 128 // Of one family; what is more counts together
#define LABEL_SIZE 192

// How many there are of each kind.
typedef struct {
    char labels[LABEL_SIZE];
    uint64_t count;
} tally_row_t;
typedef struct {
    tally_row_t rows[LABELS_MAX];
    size_t count;
} tally_t;

// A value between quotes, as the format wants it: foreign text among it.
static void
s_add_label(char *labels, const char *name, const char *value)
{
    size_t used = strlen(labels);
    used += (size_t) snprintf(labels + used, LABEL_SIZE - used, "%s%s=\"",
                              used ? "," : "", name);
    for (; *value && used < LABEL_SIZE - 40; value++) {
        const unsigned char letter = (unsigned char) *value;
        if (letter == '\\' || letter == '"')
            labels[used++] = '\\';
        labels[used++] = letter < ' ' || letter > '~' ? '_' : *value;
    }
    snprintf(labels + used, LABEL_SIZE - used, "\"");
}

static void
s_tally(tally_t *tally, const char *labels, uint64_t count)
{
    size_t i = 0;
    while (i < tally->count && !streq(tally->rows[i].labels, labels))
        i++;
    if (i == LABELS_MAX)
        i = LABELS_MAX - 1;
    if (i == tally->count)
        snprintf(tally->rows[tally->count++].labels, LABEL_SIZE, "%s", labels);
    tally->rows[i].count += count;
}

static void
s_family(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
s_number(FILE *out, const char *name, const char *type, const char *help, uint64_t number)
{
    s_family(out, name, type, help);
    fprintf(out, "%s %" PRIu64 "\n", name, number);
}

static void
s_print(FILE *out, const char *name, const char *help, const tally_t *tally)
{
    s_family(out, name, "gauge", help);
    for (size_t i = 0; i < tally->count; i++)
        fprintf(out, "%s{%s} %" PRIu64 "\n", name, tally->rows[i].labels,
                tally->rows[i].count);
}

// Count records by one or two fields; missing: what stands for an empty value.
static void
s_count(FILE *out, const char *name, const char *help, const rmt_records_t *items,
        const char *const *fields, const char *missing)
{
    rmt_auto_ptr memory = zmalloc(sizeof(tally_t));
    tally_t *tally = memory;
    for (size_t i = 0; i < rmt_records_count(items); i++) {
        char labels[LABEL_SIZE] = "";
        for (size_t f = 0; fields[f]; f++) {
            const char *value = rmt_record_text(rmt_records_at(items, i), fields[f], "");
            s_add_label(labels, fields[f], *value ? value : missing);
        }
        s_tally(tally, labels, 1);
    }
    s_print(out, name, help, tally);
}

// A service of a target has the name of the machine in it: what counts is the verb.
static void
s_services(FILE *out, const rmt_records_t *services, const char *name, const char *help,
           const char *field)
{
    rmt_auto_ptr memory = zmalloc(sizeof(tally_t));
    tally_t *tally = memory;
    for (size_t i = 0; i < rmt_records_count(services); i++) {
        const rmt_record_t *service = rmt_records_at(services, i);
        rmt_auto_str verb = strdup(rmt_record_text(service, "service", "?"));
        verb[strcspn(verb, "@")] = '\0';
        char labels[LABEL_SIZE] = "";
        s_add_label(labels, "service", verb);
        s_tally(tally, labels, rmt_record_u64(service, field, 0));
    }
    s_print(out, name, help, tally);
}

static int
s_list(FILE *out, call_t *call, const char *verb, const char *name, const char *help,
       const char *const *fields, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto(rmt_records) items = call_list(call, verb, body, error);
    if (!items)
        return -1;
    s_count(out, name, help, items, fields, "no");
    return 0;
}

static int
s_images(FILE *out, call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto(rmt_records) items = call_list(call, "image.list", body, error);
    if (!items)
        return -1;
    uint64_t bytes = 0;
    for (size_t i = 0; i < rmt_records_count(items); i++)
        bytes += rmt_record_u64(rmt_records_at(items, i), "bytes", 0);
    s_number(out, "ramet_images", "gauge", "Images in the catalogue.",
             rmt_records_count(items));
    s_number(out, "ramet_images_bytes", "gauge",
             "Bytes of the files of all images, before chunks are shared.", bytes);
    return 0;
}

static int
s_machines(FILE *out, call_t *call, rmt_error_t *error)
{
    static const char *const state[] = {"state", NULL};
    static const char *const phase[] = {"phase", NULL};
    static const char *const present[] = {"present", NULL};
    rmt_auto(rmt_records) targets = targets_list(call, error);
    if (!targets)
        return -1;
    s_count(out, "ramet_targets", "Targets by state.", targets, state, "unknown");
    s_count(out, "ramet_targets_in_phase", "Targets by the phase of their job.", targets,
            phase, "none");
    if (s_list(out, call, "source.list", "ramet_sources",
               "Sources by whether their agent is there.", present, error) == -1)
        return -1;
    return s_list(out, call, "engine.list", "ramet_engines",
                  "Engines by whether an installer of them is there.", present, error);
}

static int
s_work(FILE *out, call_t *call, rmt_error_t *error)
{
    static const char *const kind_state[] = {"kind", "state", NULL};
    static const char *const level[] = {"level", NULL};
    rmt_auto(rmt_records) jobs = job_list(call, error);
    rmt_auto(rmt_msg) status = jobs ? call_whole(call, "farm.status", NULL, error) : NULL;
    rmt_auto(rmt_msg) found =
        status ? call_request(call, "farm.check", NULL, NULL, error) : NULL;
    if (!found)
        return -1;
    rmt_auto(rmt_records) none = rmt_records_new();
    s_count(out, "ramet_jobs", "Jobs that are kept, by kind and state.", jobs, kind_state,
            "unknown");
    const rmt_records_t *services = status->items ? status->items : none;
    s_services(out, services, "ramet_tasks_queued",
               "Tasks that wait for a worker, by service.", "queued");
    s_services(out, services, "ramet_worker_slots",
               "Tasks that workers take at once, by service.", "slots");
    s_count(out, "ramet_findings", "Findings of ramet doctor, by level.",
            found->items ? found->items : none, level, "unknown");
    return 0;
}

char *
metrics_farm(call_t *call, rmt_error_t *error)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert(out);
    const bool is_whole = s_machines(out, call, error) == 0 &&
                          s_work(out, call, error) == 0 &&
                          s_images(out, call, error) == 0;
    fclose(out);
    if (is_whole)
        return text;
    free(text); // Half a farm would look like a small one
    return NULL;
}

// One figure of each webhook; none is no family.
static void
s_hooks(FILE *out, const char *name, const char *type, const char *help,
        const uint64_t *figures, size_t count)
{
    if (count > 0)
        s_family(out, name, type, help);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s{webhook=\"%zu\"} %" PRIu64 "\n", name, i, figures[i]);
}

static void
s_all_hooks(FILE *out, const webhook_counts_t *hooks, size_t count)
{
    uint64_t told[SETTINGS_WEBHOOKS_MAX], failed[SETTINGS_WEBHOOKS_MAX];
    uint64_t up[SETTINGS_WEBHOOKS_MAX];
    assert(count <= SETTINGS_WEBHOOKS_MAX);
    for (size_t i = 0; i < count; i++) {
        told[i] = hooks[i].told;
        failed[i] = hooks[i].failed;
        up[i] = hooks[i].is_up;
    }
    s_hooks(out, "ramet_gateway_webhook_told_total", "counter",
            "States of jobs that the webhook has taken.", told, count);
    s_hooks(out, "ramet_gateway_webhook_failures_total", "counter",
            "States of jobs that it has not taken when it was told.", failed, count);
    s_hooks(out, "ramet_gateway_webhook_up", "gauge",
            "Whether the webhook answered the last time.", up, count);
}

char *
metrics_own(const web_counts_t *counts, const webhook_counts_t *hooks, size_t hook_count,
            bool is_broker_up)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert(out);
    s_family(out, "ramet_build_info", "gauge", "The version of the gateway.");
    fprintf(out, "ramet_build_info{version=\"" RMT_VERSION "\"} 1\n");
    s_number(out, "ramet_broker_up", "gauge", "Whether the broker answered.",
             is_broker_up);
    s_number(out, "ramet_gateway_requests_total", "counter", "Requests answered.",
             counts->requests);
    s_number(out, "ramet_gateway_refused_requests_total", "counter",
             "Requests answered with a status from 400 on.", counts->refused);
    s_number(out, "ramet_gateway_connections", "gauge", "Open connections.",
             counts->connections);
    s_number(out, "ramet_gateway_event_streams", "gauge", "Open event streams.",
             counts->streams);
    s_all_hooks(out, hooks, hook_count);
    s_number(out, "process_resident_memory_bytes", "gauge", "Resident memory in bytes.",
             rmt_memory_resident());
    fclose(out);
    return text;
}
