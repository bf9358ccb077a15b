#include "facts/rmt_policy.h"
#include "base/rmt_auto.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define WORD_SIZE 256
#define SETS "exact, family, ignore"
#define COUNTS "exact, at-least, ignore"

typedef struct {
    const char *component;
    const char *usual;
    const char *rules; // Those it takes
} row_t;

static const row_t s_rows[] = {
    {"cpu", "exact", SETS},
    {"cpu-count", "at-least", COUNTS},
    {"cpu-features", "at-least", "at-least, ignore"},
    {"memory", "at-least", COUNTS},
    {"firmware", "exact", "exact, ignore"},
    {"secure-boot", "exact", "exact, ignore"},
    {"controller", "exact", SETS},
    {"nic", "exact", SETS},
    {"gpu", "exact", SETS},
    {"pci", "exact", SETS},
    {"usb", "ignore", "exact, ignore"},
    {"disk", "exact", SETS},
    {"disk-size", "at-least", "exact, at-least"},
    {"driver", "at-least", "at-least, ignore"},
    {"root-driver", "at-least", "at-least, ignore"},
};

#define ROW_COUNT (sizeof s_rows / sizeof *s_rows)

static const row_t *
s_find(const char *component)
{
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (strcmp(s_rows[i].component, component) == 0)
            return &s_rows[i];
    return NULL;
}

const char *
rmt_policy_usual(const char *component)
{
    assert(component);
    const row_t *row = s_find(component);
    return row ? row->usual : NULL;
}

static bool
s_takes(const row_t *row, const char *rule)
{
    const size_t size = strlen(rule);
    for (const char *p = row->rules; size && *p; p += strspn(p, ", ")) {
        const size_t own = strcspn(p, ",");
        if (own == size && strncmp(p, rule, size) == 0)
            return true;
        p += own;
    }
    return false;
}

static int
s_fail_component(const char *name, rmt_error_t *error)
{
    char all[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < ROW_COUNT; i++)
        used += (size_t) snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "",
                                  s_rows[i].component);
    assert(used < sizeof all);
    return rmt_fail(error, RMT_E_USAGE,
                    "policy %.64s: this component does not exist; write one of %s, or "
                    "disk.<role> for the disk of a role",
                    name, all);
}

static int
s_check(const char *name, const char *rule, rmt_error_t *error)
{
    if (strncmp(name, "disk.", 5) == 0 && name[5]) {
        if (*rule)
            return 0;
        return rmt_fail(error, RMT_E_USAGE,
                        "policy %s=: the value is empty; write the wwn, serial, path or "
                        "name of the disk",
                        name);
    }
    const row_t *row = s_find(name);
    if (!row)
        return s_fail_component(name, error);
    if (!s_takes(row, rule))
        return rmt_fail(
            error, RMT_E_USAGE,
            "policy %s=%.64s: this rule does not exist; the rules of %s are %s", name,
            rule, name, row->rules);
    return 0;
}

int
rmt_policy_parse(rmt_record_t *policy, const char *text, rmt_error_t *error)
{
    assert(policy);
    assert(text);
    while (*text) {
        const size_t size = strcspn(text, ",");
        char word[WORD_SIZE];
        snprintf(word, sizeof word, "%.*s", (int) size, text);
        char *equals = strchr(word, '=');
        if (equals)
            *equals = '\0';
        if (size >= sizeof word || (size && (!equals || !rmt_record_name_is_valid(word))))
            return rmt_fail(
                error, RMT_E_USAGE,
                "policy \"%.80s\" is not component=rule; write one such as disk=family",
                word);
        if (size && s_check(word, equals + 1, error) == -1)
            return -1;
        if (size)
            rmt_record_set(policy, word, equals + 1);
        text += size + (text[size] == ',');
    }
    return 0;
}

int
rmt_policy_check(const char *text, rmt_error_t *error)
{
    rmt_auto(rmt_record) ignored = rmt_record_new();
    return rmt_policy_parse(ignored, text, error);
}
