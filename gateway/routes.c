#include "gateway/routes.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "console/job.h"
#include "console/object.h"
#include "console/targets.h"
#include "gateway/metrics.h"

#include <string.h>

#define NAME_SIZE 256
#define API "/api/v1/"

typedef struct route route_t;
typedef char *(answer_fn) (call_t *call, const route_t *route, const char *name,
                           rmt_error_t *error);
struct route {
    const char *path; // * is a name
    answer_fn *answer;
    const char *verb;  // Where it is the verb alone that differs
    const char *field; // The verb's field for the name
};

static char *
s_list(call_t *call, const route_t *route, const char *name, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    if (route->field)
        rmt_record_set(body, route->field, name);
    rmt_auto(rmt_records) items = call_list(call, route->verb, body, error);
    return items ? object_list(items, NULL) : NULL;
}

static char *
s_record(call_t *call, const route_t *route, const char *name, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    if (route->field)
        rmt_record_set(body, route->field, name);
    rmt_auto(rmt_msg) reply = call_request(call, route->verb, body, NULL, error);
    return reply ? object_record(reply->body, NULL, NULL) : NULL;
}

static char *
s_targets(call_t *call, const route_t *route, const char *name, rmt_error_t *error)
{
    (void) route;
    (void) name;
    rmt_auto(rmt_records) items = targets_list(call, error);
    return items ? object_list(items, NULL) : NULL;
}

static char *
s_jobs(call_t *call, const route_t *route, const char *name, rmt_error_t *error)
{
    (void) route;
    (void) name;
    rmt_auto(rmt_records) items = job_list(call, error);
    return items ? object_list(items, NULL) : NULL;
}

static char *
s_job(call_t *call, const route_t *route, const char *name, rmt_error_t *error)
{
    (void) route;
    rmt_auto(rmt_msg) reply = job_show(call, name, error);
    return reply ? object_record(reply->body, "targets", reply->items) : NULL;
}

static char *
s_job_logs(call_t *call, const route_t *route, const char *name, rmt_error_t *error)
{
    (void) route;
    rmt_auto(rmt_records) items = job_logs(call, name, NULL, error);
    return items ? object_list(items, NULL) : NULL;
}

// What the brokers say; what a console finds on its own computer is not in it.
static char *
s_doctor(call_t *call, const route_t *route, const char *name, rmt_error_t *error)
{
    (void) route;
    (void) name;
    rmt_auto(rmt_msg) status = call_whole(call, "farm.status", NULL, error);
    rmt_auto(rmt_msg) found =
        status ? call_request(call, "farm.check", NULL, NULL, error) : NULL;
    if (!found)
        return NULL;
    rmt_auto(rmt_record) record = rmt_record_dup(status->body);
    rmt_record_merge(record, found->body);
    rmt_auto(rmt_records) none = rmt_records_new();
    const output_section_t sections[] = {
        {"services", status->items ? status->items : none, NULL},
        {"findings", found->items ? found->items : none, NULL},
    };
    return object_sections(record, sections, 2);
}

static char *
s_metrics(call_t *call, const route_t *route, const char *name, rmt_error_t *error)
{
    (void) route;
    (void) name;
    return metrics_farm(call, error);
}

static const route_t s_routes[] = {
    {API "jobs", s_jobs, NULL, NULL},
    {API "jobs/*", s_job, NULL, NULL},
    {API "jobs/*/logs", s_job_logs, NULL, NULL},
    {API "jobs/*/verdicts", s_list, "job.verdicts", "job"},
    {API "jobs/*/findings", s_list, "job.findings", "job"},
    {API "targets", s_targets, NULL, NULL},
    {API "targets/*", s_record, "target.show", "name"},
    {API "sources", s_list, "source.list", NULL},
    {API "sources/*", s_record, "source.show", "name"},
    {API "engines", s_list, "engine.list", NULL},
    {API "engines/*", s_record, "engine.show", "name"},
    {API "images", s_list, "image.list", NULL},
    {API "images/*", s_record, "image.show", "name"},
    {API "locks", s_list, "lock.list", NULL},
    {API "whoami", s_record, "key.whoami", NULL},
    {API "doctor", s_doctor, NULL, NULL},
    {"/metrics", s_metrics, NULL, NULL},
};

// Does the path have the form of the route? name_out gets what stands for the *.
static bool
s_fits(const char *path, const char *form, char name_out[NAME_SIZE])
{
    const size_t before = strcspn(form, "*");
    if (!form[before])
        return streq(path, form);
    if (strncmp(path, form, before) != 0)
        return false;
    const size_t size = strcspn(path + before, "/");
    if (size == 0 || size >= NAME_SIZE || !streq(path + before + size, form + before + 1))
        return false;
    snprintf(name_out, NAME_SIZE, "%.*s", (int) size, path + before);
    return true;
}

static const route_t *
s_find(const char *path, char name_out[NAME_SIZE])
{
    for (size_t i = 0; i < sizeof s_routes / sizeof *s_routes; i++)
        if (s_fits(path, s_routes[i].path, name_out))
            return &s_routes[i];
    return NULL;
}

bool
routes_has(const char *path)
{
    char name[NAME_SIZE];
    return s_find(path, name);
}

char *
routes_answer(call_t *call, const char *path, rmt_error_t *error)
{
    char name[NAME_SIZE] = "";
    const route_t *route = s_find(path, name);
    if (route)
        return route->answer(call, route, name, error);
    rmt_fail(error, RMT_E_NOT_FOUND, "the path %s does not exist", path);
    return NULL;
}
