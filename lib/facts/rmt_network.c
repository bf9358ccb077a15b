#include "facts/rmt_network.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define MAIN "main"

static bool
s_is_address(const char *text, bool *is_v6_out)
{
    unsigned char bytes[16];
    *is_v6_out = strchr(text, ':') != NULL;
    return inet_pton(*is_v6_out ? AF_INET6 : AF_INET, text, bytes) == 1;
}

// Bits of a mask such as 255.255.255.0; -1 when it has holes.
static int
s_mask_bits(const char *text)
{
    struct in_addr mask;
    if (inet_pton(AF_INET, text, &mask) != 1)
        return -1;
    const uint32_t bits = ntohl(mask.s_addr);
    int count = 0;
    while (count < 32 && bits & (1u << (31 - count)))
        count++;
    return count < 32 && bits << count ? -1 : count;
}

// Only bytes of these classes, at most size of them.
static bool
s_is_word(const char *text, const char *more, size_t size)
{
    size_t i = 0;
    for (; text[i]; i++) {
        if (!isalnum((unsigned char) text[i]) && !strchr(more, text[i]))
            return false;
    }
    return i <= size;
}

// A field of one interface. Valid as long as the record.
static const char *
s_field(const rmt_record_t *target, const char *role, const char *field)
{
    if (strcmp(role, MAIN) == 0)
        return rmt_record_text(target, field, "");
    rmt_auto_str name = rmt_text("net.%s.%s", role, field);
    return rmt_record_text(target, name, "");
}

// One address; its length stands behind it, or in the fields prefix and mask.
static int
s_parse_address(const rmt_record_t *target, const char *text, rmt_interface_t *self,
                rmt_error_t *error)
{
    if (self->address_count == RMT_NETWORK_ADDRESSES_MAX)
        return rmt_fail(error, RMT_E_USAGE, "interface %s has more than %d addresses",
                        self->role, RMT_NETWORK_ADDRESSES_MAX);
    rmt_network_address_t *address = &self->addresses[self->address_count];
    const size_t size = strcspn(text, "/");
    if (size >= sizeof address->text)
        return rmt_fail(error, RMT_E_USAGE, "address '%s' is too long", text);
    memcpy(address->text, text, size);
    address->text[size] = '\0';
    if (!s_is_address(address->text, &address->is_v6))
        return rmt_fail(error, RMT_E_USAGE, "address '%s' is none", text);
    const char *mask = s_field(target, self->role, "mask");
    const char *prefix =
        text[size] ? text + size + 1 : s_field(target, self->role, "prefix");
    int bits = -1;
    if (prefix[0] && strspn(prefix, "0123456789") == strlen(prefix) && strlen(prefix) < 4)
        bits = (int) strtol(prefix, NULL, 10);
    else if (!prefix[0] && mask[0] && !address->is_v6)
        bits = s_mask_bits(mask);
    if (bits < 1 || bits > (address->is_v6 ? 128 : 32))
        return rmt_fail(error, RMT_E_USAGE,
                        "address '%s' has no right prefix or mask; write it as %s/%s",
                        text, address->text, address->is_v6 ? "64" : "24");
    address->prefix = (unsigned) bits;
    self->address_count++;
    return 0;
}

static bool
s_covers(const rmt_network_address_t *address, const char *gateway)
{
    unsigned char own[16] = {0}, other[16] = {0};
    const int family = address->is_v6 ? AF_INET6 : AF_INET;
    if (inet_pton(family, address->text, own) != 1 ||
        inet_pton(family, gateway, other) != 1)
        return false;
    const size_t whole = address->prefix / 8, rest = address->prefix % 8;
    return memcmp(own, other, whole) == 0 &&
           (rest == 0 || (own[whole] ^ other[whole]) >> (8 - rest) == 0);
}

static int
s_parse_gateway(const rmt_record_t *target, const char *text, rmt_interface_t *self,
                rmt_error_t *error)
{
    (void) target;
    bool is_v6;
    if (!s_is_address(text, &is_v6) || strlen(text) >= RMT_NETWORK_TEXT_SIZE)
        return rmt_fail(error, RMT_E_USAGE, "gateway '%s' is no address", text);
    rmt_network_gateway_t *gateway = &self->gateway[is_v6];
    if (gateway->text[0])
        return rmt_fail(error, RMT_E_USAGE, "gateway '%s' is a second one of its kind",
                        text);
    strcpy(gateway->text, text);
    bool has_kind = self->address_count == 0;
    gateway->is_on_link = !(is_v6 && strncasecmp(text, "fe80:", 5) == 0);
    for (size_t i = 0; i < self->address_count; i++) {
        has_kind = has_kind || self->addresses[i].is_v6 == is_v6;
        if (self->addresses[i].is_v6 == is_v6 && s_covers(&self->addresses[i], text))
            gateway->is_on_link = false;
    }
    return has_kind ? 0
                    : rmt_fail(error, RMT_E_USAGE,
                               "gateway '%s' has no address of its kind beside it", text);
}

static int
s_parse_dns(const rmt_record_t *target, const char *text, rmt_interface_t *self,
            rmt_error_t *error)
{
    (void) target;
    bool is_v6;
    if (!s_is_address(text, &is_v6) || strlen(text) >= RMT_NETWORK_TEXT_SIZE ||
        self->dns_count == RMT_NETWORK_DNS_MAX)
        return rmt_fail(error, RMT_E_USAGE, "dns '%s' is no address or one too many",
                        text);
    strcpy(self->dns[self->dns_count++], text);
    return 0;
}

typedef int(s_word_fn)(const rmt_record_t *target, const char *word,
                       rmt_interface_t *self, rmt_error_t *error);

static int
s_each_word(const rmt_record_t *target, const char *field, rmt_interface_t *self,
            s_word_fn *take, rmt_error_t *error)
{
    rmt_auto_str text = rmt_text("%s", s_field(target, self->role, field));
    char *rest = text;
    for (char *word = strsep(&rest, ", "); word; word = strsep(&rest, ", ")) {
        if (word[0] && take(target, word, self, error) == -1)
            return -1;
    }
    return 0;
}

// 52:54:00:AB:CD:EF or 52-54-00-ab-cd-ef; the address of a group names no interface.
static int
s_parse_mac(const char *text, char mac_out[18], rmt_error_t *error)
{
    for (int i = 0; i < 17; i++) {
        const char c = text[i];
        if (i % 3 == 2 ? c != ':' && c != '-' : !isxdigit((unsigned char) c))
            return rmt_fail(error, RMT_E_USAGE, "mac '%s' is none", text);
        mac_out[i] = (char) (i % 3 == 2 ? ':' : tolower((unsigned char) c));
    }
    mac_out[17] = '\0';
    if (text[17] || strchr("13579bdf", mac_out[1]))
        return rmt_fail(error, RMT_E_USAGE, "mac '%s' is not that of one interface",
                        text);
    return 0;
}

static int
s_parse_interface(const rmt_record_t *target, const char *role, rmt_interface_t *self,
                  rmt_error_t *error)
{
    snprintf(self->role, sizeof self->role, "%s", role);
    snprintf(self->label, sizeof self->label, "%s%s",
             strcmp(role, MAIN) == 0 ? "ramet" : "ramet-",
             strcmp(role, MAIN) == 0 ? "" : role);
    const char *domain = s_field(target, role, "domain");
    const char *mac = s_field(target, role, "mac");
    const char *name = s_field(target, role, "interface");
    if (s_each_word(target, "address", self, s_parse_address, error) == -1 ||
        s_each_word(target, "gateway", self, s_parse_gateway, error) == -1 ||
        s_each_word(target, "dns", self, s_parse_dns, error) == -1 ||
        (mac[0] && s_parse_mac(mac, self->mac, error) == -1))
        return -1;
    if (!s_is_word(domain, ".-", sizeof self->domain - 1))
        return rmt_fail(error, RMT_E_USAGE, "domain '%s' is none", domain);
    if (!s_is_word(name, ".-_", sizeof self->name - 1))
        return rmt_fail(error, RMT_E_USAGE, "interface '%s' is none", name);
    snprintf(self->domain, sizeof self->domain, "%s", domain);
    snprintf(self->name, sizeof self->name, "%s", name);
    return 0;
}

static bool
s_has_main(const rmt_record_t *target)
{
    static const char *const fields[] = {"address", "gateway", "mac", "interface"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (rmt_record_text(target, fields[i], "")[0])
            return true;
    }
    return false;
}

static int
s_add(const rmt_record_t *target, const char *role, rmt_network_t *network,
      rmt_error_t *error)
{
    for (size_t i = 0; i < network->count; i++) {
        if (strcmp(network->interfaces[i].role, role) == 0)
            return 0;
    }
    if (network->count == RMT_NETWORK_INTERFACES_MAX)
        return rmt_fail(error, RMT_E_USAGE, "more than %d interfaces",
                        RMT_NETWORK_INTERFACES_MAX);
    return s_parse_interface(target, role, &network->interfaces[network->count++], error);
}

// Every field net.<role>.<field> names a role.
static int
s_add_roles(const rmt_record_t *target, rmt_network_t *network, rmt_error_t *error)
{
    for (size_t i = 0; i < rmt_record_count(target); i++) {
        const char *name = rmt_record_name_at(target, i);
        if (strncmp(name, "net.", 4) != 0)
            continue;
        char role[sizeof network->interfaces->role];
        const size_t size = strcspn(name + 4, ".");
        if (size == 0 || size >= sizeof role || name[4 + size] != '.' ||
            strncmp(name + 4, MAIN ".", sizeof MAIN) == 0)
            return rmt_fail(error, RMT_E_USAGE, "field %s is not net.<role>.<field>",
                            name);
        memcpy(role, name + 4, size);
        role[size] = '\0';
        if (s_add(target, role, network, error) == -1)
            return -1;
    }
    return 0;
}

static int
s_check(const rmt_network_t *network, rmt_error_t *error)
{
    const char *owner[2] = {NULL, NULL};
    for (size_t i = 0; i < network->count; i++) {
        const rmt_interface_t *one = &network->interfaces[i];
        if (network->count > 1 && !one->mac[0] && !one->name[0])
            return rmt_fail(error, RMT_E_USAGE,
                            "interface %s is one of several and has neither mac nor "
                            "interface",
                            one->role);
        for (int kind = 0; kind < 2; kind++) {
            if (!one->gateway[kind].text[0])
                continue;
            if (owner[kind])
                return rmt_fail(error, RMT_E_USAGE,
                                "gateway of interface %s and of %s: only one can have it",
                                owner[kind], one->role);
            owner[kind] = one->role;
        }
        for (size_t k = 0; k < i; k++) {
            if (one->mac[0] && strcmp(one->mac, network->interfaces[k].mac) == 0)
                return rmt_fail(error, RMT_E_USAGE, "mac %s is that of %s and of %s",
                                one->mac, network->interfaces[k].role, one->role);
        }
    }
    return 0;
}

int
rmt_network_parse(const rmt_record_t *target, rmt_network_t *network_out,
                  rmt_error_t *error)
{
    rmt_network_t network = {.count = 0};
    if (s_has_main(target) && s_add(target, MAIN, &network, error) == -1)
        return -1;
    if (s_add_roles(target, &network, error) == -1)
        return -1;
    if (network.count == 0 && s_add(target, MAIN, &network, error) == -1)
        return -1;
    if (s_check(&network, error) == -1)
        return -1;
    *network_out = network;
    return 0;
}
