#include "agent/source/profile.h"
#include "agent/source/profiles.h"
#include "base/rmt_auto.h"
#include "facts/rmt_facts.h"
#include "tree/rmt_glob.h"
#include "base/rmt_io.h"

#include <string.h>

#define PROFILE_SIZE_MAX ((size_t) 1024 * 1024)

static int
s_check_rule(const rmt_record_t *rule, const char *name, rmt_error_t *error)
{
    const char *class = rmt_record_text(rule, "class", "");
    const char *path = rmt_record_text(rule, "path", "");
    if (strcmp(class, "leave") != 0 && strcmp(class, "key") != 0)
        return rmt_fail(error, RMT_E_CONFIG,
                        "profile %.200s: class=%.32s is unknown; write leave or key",
                        name, class);
    // A rule for everything is a slip that would cost all data.
    if (!*path || strcmp(path, "/") == 0 || strcmp(path, "*") == 0 ||
        strcmp(path, "/*") == 0)
        return rmt_fail(
            error, RMT_E_CONFIG,
            "profile %.200s: path=\"%.100s\" of a rule matches no path, or every path",
            name, path);
    return 0;
}

rmt_records_t *
rmt_profile_parse(const char *text, const char *name, rmt_error_t *error)
{
    rmt_auto(rmt_records) found = rmt_facts_parse(text, error);
    if (!found) {
        error->code = RMT_E_CONFIG;
        (void) rmt_wrap(error, "profile %.200s", name);
        return NULL;
    }
    const rmt_record_t *head = rmt_records_find(found, "class", "profile");
    const char *version = head ? rmt_record_text(head, "version", "") : "";
    if (strcmp(version, RMT_PROFILE_VERSION) != 0) {
        rmt_fail(error, head ? RMT_E_UNSUPPORTED : RMT_E_CONFIG,
                 head ? "profile %.200s has version \"%.16s\", not " RMT_PROFILE_VERSION
                      : "profile %.200s has no line class=profile "
                        "version=%.0s" RMT_PROFILE_VERSION,
                 name, version);
        return NULL;
    }
    rmt_auto(rmt_records) rules = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(found); i++) {
        const rmt_record_t *rule = rmt_records_at(found, i);
        if (rule == head)
            continue;
        if (s_check_rule(rule, name, error) == -1)
            return NULL;
        rmt_auto(rmt_record) copy = rmt_record_dup(rule);
        rmt_records_append(rules, &copy);
    }
    return rmt_take(&rules);
}

static rmt_records_t *
s_read_one(const char *name, rmt_error_t *error)
{
    for (const rmt_profile_text_t *own = rmt_profile_texts; own->name; own++)
        if (strcmp(own->name, name) == 0)
            return rmt_profile_parse(own->text, name, error);
    if (name[0] != '/') {
        rmt_fail(error, RMT_E_CONFIG,
                 "the profile %.200s does not exist; name default, clean or the path of "
                 "a file",
                 name);
        return NULL;
    }
    rmt_auto_ptr text = NULL;
    size_t size = 0;
    if (rmt_io_load(name, PROFILE_SIZE_MAX, &text, &size, error) == -1) {
        (void) rmt_wrap(error, "profile %.200s", name);
        return NULL;
    }
    return rmt_profile_parse(text, name, error);
}

rmt_records_t *
rmt_profile_read(const rmt_config_t *config, rmt_error_t *error)
{
    rmt_auto(rmt_records) all = rmt_records_new();
    const char *const *names = rmt_config_list(config, "profile");
    for (; *names; names++) {
        rmt_auto(rmt_records) rules = s_read_one(*names, error);
        if (!rules)
            return NULL;
        for (size_t i = 0; i < rmt_records_count(rules); i++) {
            rmt_auto(rmt_record) copy = rmt_record_dup(rmt_records_at(rules, i));
            rmt_records_append(all, &copy);
        }
    }
    return rmt_take(&all);
}

const char *
rmt_profile_find(const rmt_records_t *rules, const char *class, const char *path)
{
    for (size_t i = 0; i < rmt_records_count(rules); i++) {
        const rmt_record_t *rule = rmt_records_at(rules, i);
        const char *const globs[] = {rmt_record_text(rule, "path", ""), NULL};
        if (strcmp(rmt_record_text(rule, "class", ""), class) == 0 &&
            rmt_glob_match(globs, path))
            return rmt_record_text(rule, "what", "rule");
    }
    return NULL;
}
