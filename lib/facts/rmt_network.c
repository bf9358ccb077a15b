#include "facts/rmt_network.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "facts/rmt_shape.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define MAIN "main"
#define LIST_MARKS ", "

// ---- The fields of one interface

static char *
s_field_name(const char *role, const char *field)
{
    return strcmp(role, MAIN) == 0 ? rmt_text("%s", field)
                                   : rmt_text("net.%s.%s", role, field);
}

// "" for none. Valid as long as the record.
static const char *
s_field(const rmt_record_t *target, const char *role, const char *field)
{
    rmt_auto_str name = s_field_name(role, field);
    return rmt_record_text(target, name, "");
}

// Put the name of the field and its value before an error.
static int
s_blame(const char *role, const char *field, const char *value, rmt_error_t *error)
{
    rmt_auto_str name = s_field_name(role, field);
    return rmt_wrap(error, "%s=%.80s", name, value);
}

typedef int(s_word_fn)(const char *word, rmt_interface_t *self, rmt_error_t *error);

// Take each word of a list; an error names the field.
static int
s_each_word(const rmt_record_t *target, const char *field, rmt_interface_t *self,
            s_word_fn *take, rmt_error_t *error)
{
    const char *value = s_field(target, self->role, field);
    rmt_auto_str text = rmt_text("%s", value);
    size_t count = 0;
    char *rest = text;
    for (char *word = strsep(&rest, LIST_MARKS); word; word = strsep(&rest, LIST_MARKS)) {
        count += word[0] != '\0';
        if (word[0] && take(word, self, error) == -1)
            return s_blame(self->role, field, value, error);
    }
    // Marks alone are a value, and no list.
    if (*value && count == 0 && take(value, self, error) == -1)
        return s_blame(self->role, field, value, error);
    return 0;
}

// ---- Addresses

static int
s_take_address(const char *word, rmt_interface_t *self, rmt_error_t *error)
{
    rmt_address_t address;
    if (self->address_count == RMT_NETWORK_ADDRESSES_MAX)
        return rmt_fail(error, RMT_E_USAGE,
                        "interface %s has more than %d addresses; remove some",
                        self->role, RMT_NETWORK_ADDRESSES_MAX);
    if (rmt_address_parse_own(word, &address, error) == -1)
        return -1;
    self->addresses[self->address_count++] = address;
    return 0;
}

typedef struct {
    unsigned mask, prefix; // 0 for none
} lengths_t;

static int
s_read_lengths(const rmt_record_t *target, const char *role, lengths_t *lengths,
               rmt_error_t *error)
{
    const char *mask = s_field(target, role, "mask");
    const char *prefix = s_field(target, role, "prefix");
    if (*mask && rmt_address_parse_mask(mask, &lengths->mask, error) == -1)
        return s_blame(role, "mask", mask, error);
    if (*prefix && rmt_address_parse_prefix(prefix, &lengths->prefix, error) == -1)
        return s_blame(role, "prefix", prefix, error);
    return 0;
}

// An address without a length gets that of prefix or, of IPv4, of mask.
static int
s_complete(rmt_address_t *address, const lengths_t *lengths, rmt_error_t *error)
{
    unsigned prefix = lengths->prefix;
    if (!prefix && !address->is_v6)
        prefix = lengths->mask;
    if (!prefix)
        return rmt_fail(error, RMT_E_USAGE,
                        "%s lacks the length of its network; write %s/%s, or set %s "
                        "beside it",
                        address->text, address->text, address->is_v6 ? "64" : "24",
                        address->is_v6 ? "prefix=64" : "mask=255.255.255.0");
    return rmt_address_set_prefix(address, prefix, error);
}

static int
s_take_addresses(const rmt_record_t *target, rmt_interface_t *self, rmt_error_t *error)
{
    lengths_t lengths = {0};
    if (s_each_word(target, "address", self, s_take_address, error) == -1 ||
        s_read_lengths(target, self->role, &lengths, error) == -1)
        return -1;
    for (size_t i = 0; i < self->address_count; i++) {
        if (self->addresses[i].prefix == 0 &&
            s_complete(&self->addresses[i], &lengths, error) == -1)
            return s_blame(self->role, "address", s_field(target, self->role, "address"),
                           error);
    }
    return 0;
}

// A mask or prefix that is the length of no address of its family contradicts them.
static int
s_check_length(const rmt_interface_t *self, const char *field, const char *value,
               unsigned length, bool is_mask, rmt_error_t *error)
{
    const rmt_address_t *other = NULL;
    for (size_t i = 0; i < self->address_count; i++) {
        if (is_mask && self->addresses[i].is_v6)
            continue;
        if (self->addresses[i].prefix == length)
            return 0;
        other = &self->addresses[i];
    }
    if (!length || !other)
        return 0;
    rmt_fail(error, RMT_E_USAGE,
             "the value contradicts the address %s/%u; remove %s, or the length after "
             "the address",
             other->text, other->prefix, field);
    return s_blame(self->role, field, value, error);
}

static int
s_check_lengths(const rmt_record_t *target, const rmt_interface_t *self,
                rmt_error_t *error)
{
    lengths_t lengths = {0};
    const char *mask = s_field(target, self->role, "mask");
    const char *prefix = s_field(target, self->role, "prefix");
    if (s_read_lengths(target, self->role, &lengths, error) == -1)
        return -1;
    if (lengths.mask && lengths.prefix && lengths.mask != lengths.prefix) {
        rmt_fail(error, RMT_E_USAGE,
                 "the prefix %s and this mask of %u bits differ; remove one of them",
                 prefix, lengths.mask);
        return s_blame(self->role, "mask", mask, error);
    }
    if (s_check_length(self, "mask", mask, lengths.mask, true, error) == -1)
        return -1;
    return s_check_length(self, "prefix", prefix, lengths.prefix, false, error);
}

// ---- The way out, and the servers of names

static int
s_take_gateway(const char *word, rmt_interface_t *self, rmt_error_t *error)
{
    rmt_address_t address;
    if (rmt_address_parse(word, &address, error) == -1)
        return -1;
    rmt_network_gateway_t *gateway = &self->gateway[address.is_v6];
    if (gateway->address.text[0])
        return rmt_fail(error, RMT_E_USAGE,
                        "the gateways %s and %s have one family; write one of them",
                        gateway->address.text, address.text);
    gateway->address = address;
    return 0;
}

// Each gateway is reached from an address of its family, over its network or directly.
static int
s_check_gateway(const rmt_record_t *target, rmt_interface_t *self, bool is_v6,
                rmt_error_t *error)
{
    rmt_network_gateway_t *gateway = &self->gateway[is_v6];
    const char *value = s_field(target, self->role, "gateway");
    if (!gateway->address.text[0])
        return 0;
    bool has_family = false;
    gateway->is_on_link = !rmt_address_is_link_local(&gateway->address);
    for (size_t i = 0; i < self->address_count; i++) {
        const rmt_address_t *own = &self->addresses[i];
        has_family = has_family || own->is_v6 == is_v6;
        if (rmt_address_covers(own, &gateway->address))
            gateway->is_on_link = false;
        if (rmt_address_equal(own, &gateway->address)) {
            rmt_fail(error, RMT_E_USAGE, "the gateway is the target's own address %s/%u",
                     own->text, own->prefix);
            return s_blame(self->role, "gateway", value, error);
        }
    }
    if (has_family)
        return 0;
    rmt_fail(error, RMT_E_USAGE,
             "interface %s has no %s address from which this gateway is reached; add one "
             "such as address=%s, or remove the gateway",
             self->role, is_v6 ? "IPv6" : "IPv4", is_v6 ? "fd00::7/64" : "10.0.0.7/24");
    return s_blame(self->role, "gateway", value, error);
}

static int
s_take_dns(const char *word, rmt_interface_t *self, rmt_error_t *error)
{
    if (self->dns_count == RMT_NETWORK_DNS_MAX)
        return rmt_fail(error, RMT_E_USAGE,
                        "interface %s has more than %d DNS servers; remove some",
                        self->role, RMT_NETWORK_DNS_MAX);
    if (rmt_address_parse(word, &self->dns[self->dns_count], error) == -1)
        return -1;
    self->dns_count++;
    return 0;
}

// ---- One interface

static int
s_take_words(const rmt_record_t *target, rmt_interface_t *self, rmt_error_t *error)
{
    const char *domain = s_field(target, self->role, "domain");
    const char *mac = s_field(target, self->role, "mac");
    const char *name = s_field(target, self->role, "interface");
    if (*domain && rmt_name_check_domain(domain, error) == -1)
        return s_blame(self->role, "domain", domain, error);
    if (*mac && rmt_address_parse_mac(mac, self->mac, error) == -1)
        return s_blame(self->role, "mac", mac, error);
    if (*name && rmt_name_check_interface(name, error) == -1)
        return s_blame(self->role, "interface", name, error);
    snprintf(self->domain, sizeof self->domain, "%s", domain);
    snprintf(self->name, sizeof self->name, "%s", name);
    for (size_t i = 0; RMT_SHAPE_FIELDS[i]; i++) {
        const char *value = s_field(target, self->role, RMT_SHAPE_FIELDS[i]);
        if (rmt_shape_take(self, RMT_SHAPE_FIELDS[i], value, error) == -1)
            return s_blame(self->role, RMT_SHAPE_FIELDS[i], value, error);
    }
    return rmt_shape_end(self, error);
}

static void
s_name_role(rmt_interface_t *self, const char *role)
{
    const bool is_main = strcmp(role, MAIN) == 0;
    snprintf(self->role, sizeof self->role, "%s", role);
    snprintf(self->label, sizeof self->label, "%s%s", is_main ? "ramet" : "ramet-",
             is_main ? "" : role);
}

static int
s_take_interface(const rmt_record_t *target, const char *role, rmt_interface_t *self,
                 rmt_error_t *error)
{
    s_name_role(self, role);
    if (s_take_addresses(target, self, error) == -1 ||
        s_check_lengths(target, self, error) == -1 ||
        s_each_word(target, "gateway", self, s_take_gateway, error) == -1 ||
        s_each_word(target, "dns", self, s_take_dns, error) == -1 ||
        s_take_words(target, self, error) == -1)
        return -1;
    for (int family = 0; family < 2; family++) {
        if (s_check_gateway(target, self, family == 1, error) == -1)
            return -1;
    }
    return 0;
}

// ---- All interfaces

static const char *const s_fields[] = {"address",   "gateway", "dns",   "domain", "mac",
                                       "interface", "kind",    "ports", "mode",   "vlan",
                                       "link",      "mask",    "prefix"};
#define FIELD_COUNT (sizeof s_fields / sizeof *s_fields)
#define WEAK_COUNT 2 // mask and prefix alone tell of no interface

// Whether the record says something of the interface main.
static bool
s_has_main(const rmt_record_t *target)
{
    for (size_t i = 0; i < FIELD_COUNT - WEAK_COUNT; i++) {
        if (rmt_record_text(target, s_fields[i], "")[0])
            return true;
    }
    return false;
}

bool
rmt_network_part(const char *name, char role_out[RMT_ROLE_MAX + 1],
                 const char **field_out)
{
    rmt_error_t ignored;
    if (strncmp(name, "net.", 4) != 0) {
        strcpy(role_out, MAIN);
        *field_out = name;
        return true;
    }
    const size_t size = strcspn(name + 4, ".");
    if (size > RMT_ROLE_MAX || name[4 + size] != '.')
        return false;
    memcpy(role_out, name + 4, size);
    role_out[size] = '\0';
    *field_out = name + 4 + size + 1;
    return rmt_name_check_role(role_out, &ignored) == 0;
}

bool
rmt_network_is_field(const char *field)
{
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (strcmp(s_fields[i], field) == 0)
            return true;
    }
    return false;
}

typedef int(s_interface_fn)(const rmt_record_t *target, const char *role,
                            rmt_network_t *network, rmt_error_t *error);

static bool
s_has_role(const rmt_network_t *network, const char *role)
{
    for (size_t i = 0; i < network->count; i++) {
        if (strcmp(network->interfaces[i].role, role) == 0)
            return true;
    }
    return false;
}

static int
s_add(const rmt_record_t *target, const char *role, rmt_network_t *network,
      rmt_error_t *error)
{
    if (s_has_role(network, role))
        return 0;
    if (network->count == RMT_NETWORK_INTERFACES_MAX)
        return rmt_fail(error, RMT_E_USAGE, "more than %d interfaces; remove some",
                        RMT_NETWORK_INTERFACES_MAX);
    return s_take_interface(target, role, &network->interfaces[network->count++], error);
}

// Every field net.<role>.<field> that has a value names a role.
static int
s_each_role(const rmt_record_t *target, rmt_network_t *network, s_interface_fn *take,
            rmt_error_t *error)
{
    for (size_t i = 0; i < rmt_record_count(target); i++) {
        const char *name = rmt_record_name_at(target, i);
        char role[RMT_ROLE_MAX + 1];
        const char *field = NULL;
        if (strncmp(name, "net.", 4) != 0 || !*rmt_record_text(target, name, ""))
            continue;
        if (!rmt_network_part(name, role, &field) || !rmt_network_is_field(field))
            return rmt_fail(error, RMT_E_USAGE,
                            "field %s is not net.<role>.<field> with a field of an "
                            "interface; write one such as net.data.address",
                            name);
        if (take(target, role, network, error) == -1)
            return -1;
    }
    return 0;
}

// ---- Interfaces beside each other

// A text that only one interface can have.
static int
s_check_same(const char *field, const char *value, const rmt_interface_t *one,
             const rmt_interface_t *other, rmt_error_t *error)
{
    return rmt_fail(error, RMT_E_USAGE,
                    "%s %s belongs to interface %s and to %s; only one can have it",
                    field, value, other->role, one->role);
}

static int
s_check_addresses(const rmt_interface_t *one, const rmt_interface_t *other,
                  rmt_error_t *error)
{
    for (size_t i = 0; i < one->address_count; i++) {
        const size_t count = one == other ? i : other->address_count;
        for (size_t k = 0; k < count; k++) {
            if (rmt_address_equal(&one->addresses[i], &other->addresses[k]))
                return one == other ? rmt_fail(error, RMT_E_USAGE,
                                               "address %s of interface %s is in the "
                                               "list twice; remove one of the two",
                                               one->addresses[i].text, one->role)
                                    : s_check_same("address", one->addresses[i].text, one,
                                                   other, error);
        }
    }
    return 0;
}

static int
s_check_pair(const rmt_interface_t *one, const rmt_interface_t *other, rmt_error_t *error)
{
    if (one->mac[0] && strcmp(one->mac, other->mac) == 0)
        return s_check_same("mac", one->mac, one, other, error);
    if (one->name[0] && strcmp(one->name, other->name) == 0)
        return s_check_same("interface", one->name, one, other, error);
    for (int family = 0; family < 2; family++) {
        if (one->gateway[family].address.text[0] &&
            other->gateway[family].address.text[0])
            return rmt_fail(error, RMT_E_USAGE,
                            "gateway %s of interface %s and %s of %s: only one interface "
                            "can have the gateway of a family; remove one",
                            other->gateway[family].address.text, other->role,
                            one->gateway[family].address.text, one->role);
    }
    return s_check_addresses(one, other, error);
}

static int
s_check(const rmt_network_t *network, rmt_error_t *error)
{
    for (size_t i = 0; i < network->count; i++) {
        const rmt_interface_t *one = &network->interfaces[i];
        if (network->count > 1 && !one->mac[0] && !one->name[0]) {
            rmt_auto_str field = s_field_name(one->role, "mac");
            return rmt_fail(error, RMT_E_USAGE,
                            "interface %s is one of %zu, and no field tells it from the "
                            "others; set %s=, such as %s=52:54:00:12:34:56",
                            one->role, network->count, field, field);
        }
        if (s_check_addresses(one, one, error) == -1)
            return -1;
        for (size_t k = 0; k < i; k++) {
            if (s_check_pair(one, &network->interfaces[k], error) == -1)
                return -1;
        }
    }
    return 0;
}

// ---- The record

static int
s_take_hostname(const rmt_record_t *target, rmt_network_t *network, rmt_error_t *error)
{
    const char *own = rmt_record_text(target, "hostname", "");
    const char *name = rmt_record_text(target, "name", "");
    const char *hostname = *own ? own : name;
    if (rmt_name_check_hostname(hostname, error) == -1)
        return *own ? rmt_wrap(error, "hostname=%.80s", own)
                    : rmt_wrap(error, "the name is the host name where none is set");
    snprintf(network->hostname, sizeof network->hostname, "%s", hostname);
    return 0;
}

int
rmt_network_parse(const rmt_record_t *target, rmt_network_t *network_out,
                  rmt_error_t *error)
{
    assert(target);
    assert(network_out);
    rmt_network_t network = {.count = 0};
    if (s_take_hostname(target, &network, error) == -1 ||
        (s_has_main(target) && s_add(target, MAIN, &network, error) == -1) ||
        s_each_role(target, &network, s_add, error) == -1 ||
        (network.count == 0 && s_add(target, MAIN, &network, error) == -1) ||
        rmt_shape_join(&network, error) == -1 || s_check(&network, error) == -1)
        return -1;
    *network_out = network;
    return 0;
}

static int
s_check_role(const rmt_record_t *target, const char *role, rmt_network_t *network,
             rmt_error_t *error)
{
    (void) network;
    rmt_interface_t one = {.address_count = 0};
    s_name_role(&one, role);
    return s_take_addresses(target, &one, error);
}

int
rmt_network_check_addresses(const rmt_record_t *target, rmt_error_t *error)
{
    assert(target);
    if (s_check_role(target, MAIN, NULL, error) == -1)
        return -1;
    return s_each_role(target, NULL, s_check_role, error);
}
