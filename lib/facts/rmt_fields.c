#include "facts/rmt_fields.h"
#include "facts/rmt_address.h"
#include "facts/rmt_name.h"
#include "facts/rmt_network.h"
#include "facts/rmt_policy.h"
#include "facts/rmt_shape.h"
#include "facts/rmt_switch.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_SIZE 256
#define LIST_MARKS ", "

enum { SOURCE = 1, ENGINE = 2, TARGET = 4, ALL = 7 };

// Check a word, and put its canonical form into form_out; "" where the word is that.
typedef int(s_word_fn)(const char *word, char form_out[WORD_SIZE], rmt_error_t *error);

// ---- One kind of word each

static int
s_address(const char *word, char form_out[WORD_SIZE], rmt_error_t *error)
{
    rmt_address_t address;
    if (rmt_address_parse_own(word, &address, error) == -1)
        return -1;
    snprintf(form_out, WORD_SIZE, "%s", address.text);
    if (address.prefix)
        snprintf(form_out, WORD_SIZE, "%s/%u", address.text, address.prefix);
    return 0;
}

static int
s_host_address(const char *word, char form_out[WORD_SIZE], rmt_error_t *error)
{
    rmt_address_t address;
    if (rmt_address_parse(word, &address, error) == -1)
        return -1;
    snprintf(form_out, WORD_SIZE, "%s", address.text);
    return 0;
}

// Where a source or an engine is found: nothing there needs its network.
static int
s_place_of_host(const char *word, char form_out[WORD_SIZE], rmt_error_t *error)
{
    if (rmt_name_is_host(word))
        return 0;
    if (s_host_address(word, form_out, error) == 0)
        return 0;
    return rmt_fail(error, RMT_E_USAGE,
                    "'%.64s' is neither a host name nor an IP address; write one such as "
                    "web.lan or 10.0.0.7",
                    word);
}

static int
s_mask(const char *word, char form_out[WORD_SIZE], rmt_error_t *error)
{
    unsigned ignored;
    (void) form_out;
    return rmt_address_parse_mask(word, &ignored, error);
}

static int
s_prefix(const char *word, char form_out[WORD_SIZE], rmt_error_t *error)
{
    unsigned prefix;
    if (rmt_address_parse_prefix(word, &prefix, error) == -1)
        return -1;
    snprintf(form_out, WORD_SIZE, "%u", prefix);
    return 0;
}

static int
s_mac(const char *word, char form_out[WORD_SIZE], rmt_error_t *error)
{
    return rmt_address_parse_mac(word, form_out, error);
}

// Whether a copy runs cloud-init as a new instance does.
static int
s_cloud_init(const char *word, char form_out[WORD_SIZE], rmt_error_t *error)
{
    (void) form_out;
    if (strcmp(word, "off") == 0 || strcmp(word, "new") == 0)
        return 0;
    return rmt_fail(
        error, RMT_E_USAGE,
        "'%.64s' is neither off (cloud-init does not run again on the copy) nor "
        "new (it runs as on a new instance)",
        word);
}

static int
s_port(const char *word, char form_out[WORD_SIZE], rmt_error_t *error)
{
    if (strchr(word, ':'))
        return rmt_address_parse_mac(word, form_out, error);
    snprintf(form_out, WORD_SIZE, "%s", word);
    return rmt_shape_check_port(word, error);
}

#define S_NAMED(fn_, check_)                                                             \
    static int fn_(const char *word, char form_out[WORD_SIZE], rmt_error_t *error)       \
    {                                                                                    \
        (void) form_out;                                                                 \
        return check_(word, error);                                                      \
    }
S_NAMED(s_kind, rmt_shape_check_kind)
S_NAMED(s_mode, rmt_shape_check_mode)
S_NAMED(s_vlan, rmt_shape_check_vlan)
S_NAMED(s_name, rmt_name_check)
S_NAMED(s_hostname, rmt_name_check_hostname)
S_NAMED(s_domain, rmt_name_check_domain)
S_NAMED(s_interface, rmt_name_check_interface)
S_NAMED(s_identity, rmt_name_check_identity)
S_NAMED(s_label, rmt_name_check_value)
S_NAMED(s_policy, rmt_policy_check)
S_NAMED(s_switch_way, rmt_switch_check_way)
S_NAMED(s_switch_address, rmt_switch_check_address)
S_NAMED(s_switch_user, rmt_switch_check_user)
S_NAMED(s_switch_boot, rmt_switch_check_boot)
S_NAMED(s_switch_system, rmt_switch_check_system)

// ---- The table

typedef struct {
    const char *name;
    unsigned classes;
    unsigned words;  // More than one: a list of at most so many
    s_word_fn *take; // NULL: only ramet sets it
} row_t;

static const row_t s_rows[] = {
    {"name", ALL, 1, s_name},
    {"hostname", ALL, 1, s_hostname},
    {"identity", SOURCE | TARGET, 1, s_identity},
    {"place", SOURCE, 1, s_name},
    {"engine", TARGET, 1, s_name},
    {"policy", ENGINE, 1, s_policy},
    // The network. Those of a target are also fields of net.<role>.
    {"address", TARGET, RMT_NETWORK_ADDRESSES_MAX, s_address},
    {"address", SOURCE | ENGINE, 1, s_place_of_host},
    {"mask", TARGET, 1, s_mask},
    {"prefix", TARGET, 1, s_prefix},
    {"gateway", TARGET, 2, s_host_address},
    {"dns", TARGET, RMT_NETWORK_DNS_MAX, s_host_address},
    {"domain", ALL, 1, s_domain},
    {"mac", ALL, 1, s_mac},
    {"interface", TARGET, 1, s_interface},
    {"cloud-init", TARGET, 1, s_cloud_init},
    {"kind", TARGET, 1, s_kind},
    {"ports", TARGET, RMT_NETWORK_PORTS_MAX, s_port},
    {"mode", TARGET, 1, s_mode},
    {"vlan", TARGET, 1, s_vlan},
    {"link", TARGET, 1, s_interface},
    // How its power is switched.
    {"power", TARGET, 1, s_switch_way},
    {"power-address", TARGET, 1, s_switch_address},
    {"power-user", TARGET, 1, s_switch_user},
    {"power-boot", TARGET, 1, s_switch_boot},
    {"power-system", TARGET, 1, s_switch_system},
    // Labels that need no label. before them.
    {"site", ALL, 1, s_label},
    {"room", ALL, 1, s_label},
    {"rack", ALL, 1, s_label},
    {"position", ALL, 1, s_label},
    {"group", ALL, 1, s_label},
    {"owner", ALL, 1, s_label},
    {"comment", ALL, 1, s_label},
    // What the system finds out.
    {"hardware", SOURCE | TARGET, 1, NULL},
    {"approved", ALL, 1, NULL},
    {"created", ALL, 1, NULL},
    {"present", ALL, 1, NULL},
    {"state", TARGET, 1, NULL},
    {"held", TARGET, 1, NULL},
    {"job", TARGET, 1, NULL},
    {"phase", TARGET, 1, NULL},
    {"epoch", TARGET, 1, NULL},
    {"image", TARGET, 1, NULL},
    {"confirmed-epoch", TARGET, 1, NULL},
    {"confirmed-at", TARGET, 1, NULL},
    {"release", TARGET, 1, NULL},
    {"addresses", TARGET, 1, NULL},
    {"failed-units", TARGET, 1, NULL},
    {"warning", TARGET, 1, NULL},
};

#define ROW_COUNT (sizeof s_rows / sizeof *s_rows)

static const row_t *
s_find(unsigned class, const char *field)
{
    static const row_t label = {"label", ALL, 1, s_label};
    rmt_error_t ignored;
    if (strncmp(field, "label.", 6) == 0)
        return rmt_name_check(field + 6, &ignored) == 0 ? &label : NULL;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (s_rows[i].classes & class && strcmp(s_rows[i].name, field) == 0)
            return &s_rows[i];
    }
    return NULL;
}

// ---- A field that does not exist

static size_t
s_least(size_t a, size_t b)
{
    return a < b ? a : b;
}

// How many letters must be put in, left out or changed to make one word of the other.
static size_t
s_distance(const char *one, const char *other)
{
    size_t row[RMT_RECORD_NAME_MAX + 2];
    const size_t size = strlen(other);
    assert(size < sizeof row / sizeof *row);
    for (size_t i = 0; i <= size; i++)
        row[i] = i;
    for (size_t i = 0; one[i]; i++) {
        size_t corner = row[0];
        row[0] = i + 1;
        for (size_t k = 0; k < size; k++) {
            const size_t change = corner + (one[i] != other[k]);
            corner = row[k + 1];
            row[k + 1] = s_least(change, s_least(row[k], row[k + 1]) + 1);
        }
    }
    return row[size];
}

static const char *
s_nearest(unsigned class, const char *field, bool is_of_network)
{
    const char *nearest = "name";
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const row_t *row = &s_rows[i];
        const bool is_candidate = row->take && row->classes & class &&
                                  (!is_of_network || rmt_network_is_field(row->name));
        const size_t distance = is_candidate ? s_distance(field, row->name) : SIZE_MAX;
        if (distance < least) {
            least = distance;
            nearest = row->name;
        }
    }
    return nearest;
}

static int
s_fail_unknown(const char *class_name, unsigned class, const char *name,
               rmt_error_t *error)
{
    char role[RMT_ROLE_MAX + 1];
    const char *field;
    const bool is_role = class == TARGET && strncmp(name, "net.", 4) == 0;
    if (is_role && rmt_network_part(name, role, &field))
        return rmt_fail(error, RMT_E_USAGE,
                        "an interface has no field %s; the nearest field is net.%s.%s",
                        field, role, s_nearest(class, field, true));
    if (is_role)
        return rmt_fail(
            error, RMT_E_USAGE,
            "the name is not net.<role>.<field>; write one such as net.data.address");
    return rmt_fail(error, RMT_E_USAGE,
                    "a record of a %s has no such field; the nearest field is %s. For a "
                    "label of your own, write label.%s=",
                    class_name, s_nearest(class, name, false), name);
}

// ---- One field

static const row_t *
s_find_field(unsigned class, const char *name)
{
    char role[RMT_ROLE_MAX + 1];
    const char *field;
    if (class != TARGET || strncmp(name, "net.", 4) != 0)
        return s_find(class, name);
    if (!rmt_network_part(name, role, &field) || !rmt_network_is_field(field))
        return NULL;
    return s_find(class, field);
}

// Words of a gateway are one of a family each.
static int
s_check_families(const char *list, rmt_error_t *error)
{
    const char *comma = strchr(list, ',');
    if (comma && (strchr(comma, ':') != NULL) ==
                     (memchr(list, ':', (size_t) (comma - list)) != NULL))
        return rmt_fail(error, RMT_E_USAGE,
                        "two gateways have one family; write one gateway, or one of IPv4 "
                        "and one of IPv6 as in 10.0.0.1,fd00::1");
    return 0;
}

// Check a list; its canonical form has commas between. Caller owns *form_out.
static int
s_take_list(const row_t *row, const char *value, char **form_out, rmt_error_t *error)
{
    rmt_auto_str words = rmt_text("%s", value);
    rmt_auto_str form = rmt_text("%s", "");
    unsigned count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(words, LIST_MARKS, &rest); word;
         word = strtok_r(NULL, LIST_MARKS, &rest)) {
        char one[WORD_SIZE] = "";
        if (row->take(word, one, error) == -1)
            return -1;
        if (++count > row->words)
            return rmt_fail(error, RMT_E_USAGE,
                            "the list has more than %u values; remove some", row->words);
        char *longer = rmt_text("%s%s%s", form, count > 1 ? "," : "", one);
        free(form);
        form = longer;
    }
    if (count == 0)
        return row->take(value, (char[WORD_SIZE]){""}, error);
    if (row->words == 2 && s_check_families(form, error) == -1)
        return -1;
    *form_out = rmt_take(&form);
    return 0;
}

// Check the value of a field. Caller owns *form_out; NULL where the value stays.
static int
s_take_value(const row_t *row, const char *value, char **form_out, rmt_error_t *error)
{
    char form[WORD_SIZE] = "";
    if (row->words > 1)
        return s_take_list(row, value, form_out, error);
    if (row->take(value, form, error) == -1)
        return -1;
    *form_out = *form ? rmt_text("%s", form) : NULL;
    return 0;
}

static int
s_check_field(const char *class_name, unsigned class, rmt_record_t *changes,
              const char *name, rmt_error_t *error)
{
    const row_t *row = s_find_field(class, name);
    const char *value = rmt_record_text(changes, name, NULL);
    if (value && !*value)
        return 0;
    if (!row)
        return s_fail_unknown(class_name, class, name, error);
    if (!row->take)
        return rmt_fail(error, RMT_E_USAGE, "only ramet sets this field; leave it out");
    if (!value)
        return rmt_fail(error, RMT_E_USAGE, "the value contains a NUL byte; write text");
    rmt_auto_str form = NULL;
    if (s_take_value(row, value, &form, error) == -1)
        return -1;
    if (form)
        rmt_record_set(changes, name, form);
    return 0;
}

// ---- Records

static void
s_merge_network(rmt_record_t *merged, const rmt_record_t *record)
{
    for (size_t i = 0; record && i < rmt_record_count(record); i++) {
        const char *name = rmt_record_name_at(record, i);
        if (strncmp(name, "net.", 4) == 0 || rmt_network_is_field(name))
            rmt_record_set(merged, name, rmt_record_text(record, name, ""));
    }
}

static unsigned
s_class(const char *name)
{
    return strcmp(name, "source") == 0   ? SOURCE
           : strcmp(name, "engine") == 0 ? ENGINE
                                         : TARGET;
}

int
rmt_fields_check(const char *class, rmt_record_t *changes, const rmt_record_t *before,
                 rmt_error_t *error)
{
    assert(class);
    assert(changes);
    rmt_auto_str record =
        rmt_text("%s %.64s", class, rmt_record_text(changes, "name", "?"));
    for (size_t i = 0; i < rmt_record_count(changes); i++) {
        const char *name = rmt_record_name_at(changes, i);
        if (strcmp(name, "class") == 0)
            continue; // That of the record, as the door says it
        if (s_check_field(class, s_class(class), changes, name, error) == -1) {
            rmt_wrap(error, "%s=%.80s", name, rmt_record_text(changes, name, ""));
            return rmt_wrap(error, "%s", record);
        }
    }
    rmt_auto(rmt_record) merged = rmt_record_new();
    s_merge_network(merged, before);
    s_merge_network(merged, changes);
    if (s_class(class) == TARGET && rmt_network_check_addresses(merged, error) == -1)
        return rmt_wrap(error, "%s", record);
    return 0;
}

int
rmt_fields_check_enrolment(const rmt_record_t *body, rmt_error_t *error)
{
    static const struct {
        const char *name;
        int (*check)(const char *text, rmt_error_t *error);
    } rows[] = {{"name", rmt_name_check},
                {"place", rmt_name_check},
                {"identity", rmt_name_check_identity}};
    assert(body);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *value = rmt_record_text(body, rows[i].name, "");
        if (*value && rows[i].check(value, error) == -1)
            return rmt_wrap(error, "%s of this machine", rows[i].name);
    }
    return 0;
}
