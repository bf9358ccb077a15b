#include "broker/fields.h"
#include "facts/rmt_address.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "facts/rmt_policy.h"

#include <stdlib.h>
#include <string.h>

static bool
s_is_ip(const char *text)
{
    return rmt_address_is_ipv4(text) || rmt_address_is_ipv6(text);
}

static bool
s_is_ip_or_prefix(const char *text)
{
    return s_is_ip(text) || rmt_address_is_prefix(text);
}

static bool
s_is_ip_or_host(const char *text)
{
    return s_is_ip(text) ||
           (rmt_address_is_host(text) && text[strspn(text, "0123456789.")]);
}

static bool
s_is_list(const char *text, bool (*is_valid)(const char *word))
{
    rmt_auto_str words = rmt_text("%s", text);
    char *rest = NULL;
    for (char *word = strtok_r(words, ", ", &rest); word;
         word = strtok_r(NULL, ", ", &rest)) {
        if (!is_valid(word))
            return false;
    }
    return true;
}

static bool
s_is_ip_list(const char *text)
{
    return s_is_list(text, s_is_ip);
}

static bool
s_is_prefix_list(const char *text)
{
    return s_is_list(text, s_is_ip_or_prefix);
}

static bool
s_is_prefix_length(const char *text)
{
    return strlen(text) <= 3 && !text[strspn(text, "0123456789")] && atoi(text) <= 128;
}

static const struct {
    const char *class; // NULL: all
    const char *field;
    bool (*is_valid)(const char *text);
    const char *form;
} s_rows[] = {
    {"target", "address", s_is_prefix_list, "IP addresses with commas between"},
    {NULL, "address", s_is_ip_or_host, "an IP address or a host name"},
    {NULL, "mask", rmt_address_is_netmask, "a mask like 255.255.255.0"},
    {NULL, "prefix", s_is_prefix_length, "a length of 0 to 128"},
    {NULL, "gateway", s_is_ip_list, "IP addresses with commas between"},
    {NULL, "dns", s_is_ip_list, "IP addresses with commas between"},
    {NULL, "mac", rmt_address_is_mac, "a MAC like 52:54:00:12:34:56"},
    {NULL, "hostname", rmt_address_is_host, "a host name"},
    {NULL, "domain", rmt_address_is_host, "a domain name"},
};

// Of net.<role>.<field> the field, as for another interface the same holds.
static const char *
s_bare(const char *name)
{
    const char *dot = strncmp(name, "net.", 4) == 0 ? strchr(name + 4, '.') : NULL;
    return dot ? dot + 1 : name;
}

int
rmt_fields_check(const char *class, const rmt_record_t *record, rmt_error_t *error)
{
    if (strcmp(class, "engine") == 0 &&
        rmt_policy_check(rmt_record_text(record, "policy", ""), error) == -1)
        return -1;
    for (size_t i = 0; i < rmt_record_count(record); i++) {
        const char *name = rmt_record_name_at(record, i);
        const char *value = rmt_record_text(record, name, NULL);
        for (size_t r = 0; value && *value && r < sizeof s_rows / sizeof *s_rows; r++) {
            if (strcmp(s_rows[r].field, s_bare(name)) != 0 ||
                (s_rows[r].class && strcmp(s_rows[r].class, class) != 0))
                continue;
            if (!s_rows[r].is_valid(value))
                return rmt_fail(error, RMT_E_USAGE, "%s=%s of %s %s is not %s", name,
                                value, class, rmt_record_text(record, "name", "?"),
                                s_rows[r].form);
            break;
        }
    }
    return 0;
}
