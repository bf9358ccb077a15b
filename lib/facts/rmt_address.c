#include "facts/rmt_address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOPBACK_V4 127

static unsigned
s_bits(const rmt_address_t *address)
{
    return address->is_v6 ? 128 : 32;
}

bool
rmt_address_read(const char *text, rmt_address_t *address_out)
{
    assert(text);
    assert(address_out);
    rmt_address_t address = {.is_v6 = strchr(text, ':') != NULL};
    const int family = address.is_v6 ? AF_INET6 : AF_INET;
    if (inet_pton(family, text, address.bytes) != 1 ||
        !inet_ntop(family, address.bytes, address.text, sizeof address.text))
        return false;
    *address_out = address;
    return true;
}

// What no host can have, in words; NULL for an address that is good.
static const char *
s_why_no_host(const rmt_address_t *address)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    static const uint8_t none[16] = {0}, all[4] = {0xff, 0xff, 0xff, 0xff};
    const uint8_t *bytes = address->bytes;
    if (memcmp(bytes, none, s_bits(address) / 8) == 0)
        return "the address is not the address of a host";
    if (!address->is_v6 && memcmp(bytes, all, sizeof all) == 0)
        return "the address is the broadcast address";
    if (address->is_v6 ? bytes[0] == 0xff : bytes[0] >> 4 == 0xe)
        return "the address is a multicast address";
    if (address->is_v6 && memcmp(bytes, mapped, sizeof mapped) == 0)
        return "the address is an IPv4 address in the form of IPv6; write it as IPv4";
    return NULL;
}

static bool
s_is_loopback(const rmt_address_t *address)
{
    static const uint8_t own[16] = {[15] = 1};
    return address->is_v6 ? memcmp(address->bytes, own, sizeof own) == 0
                          : address->bytes[0] == LOOPBACK_V4;
}

int
rmt_address_parse(const char *text, rmt_address_t *address_out, rmt_error_t *error)
{
    rmt_address_t address;
    if (!rmt_address_read(text, &address))
        return rmt_fail(error, RMT_E_USAGE,
                        "'%.64s' is not an IP address; write one such as 10.0.0.1 or "
                        "fd00::1",
                        text);
    const char *why = s_why_no_host(&address);
    if (why)
        return rmt_fail(error, RMT_E_USAGE,
                        "'%s': %s; write the address of a host, such as %s", text, why,
                        address.is_v6 ? "fd00::1" : "10.0.0.1");
    *address_out = address;
    return 0;
}

// Decimal digits only, so that "+1", " 1" and "0x1" are no numbers here.
static bool
s_read_number(const char *text, unsigned limit, unsigned *number_out)
{
    const size_t size = strlen(text);
    if (size == 0 || size > 3 || strspn(text, "0123456789") != size)
        return false;
    *number_out = (unsigned) strtoul(text, NULL, 10);
    return *number_out >= 1 && *number_out <= limit;
}

// The first and the last address of an IPv4 network are not those of a host, except for
// the links between two and the single addresses.
static bool
s_is_host_of(const rmt_address_t *address, unsigned prefix)
{
    if (address->is_v6 || prefix > 30)
        return true;
    uint32_t number;
    memcpy(&number, address->bytes, sizeof number);
    const uint32_t hosts = 0xffffffffu >> prefix;
    const uint32_t host = ntohl(number) & hosts;
    return host != 0 && host != hosts;
}

int
rmt_address_set_prefix(rmt_address_t *address, unsigned prefix, rmt_error_t *error)
{
    if (prefix < 1 || prefix > s_bits(address))
        return rmt_fail(error, RMT_E_USAGE,
                        "the length of %s is 1 to %u bits; write %s/%s", address->text,
                        s_bits(address), address->text, address->is_v6 ? "64" : "24");
    if (!s_is_host_of(address, prefix))
        return rmt_fail(error, RMT_E_USAGE,
                        "%s/%u is the first or last address of its network, and a host "
                        "cannot have it; write one between, such as 10.0.0.7/24",
                        address->text, prefix);
    address->prefix = prefix;
    return 0;
}

int
rmt_address_parse_own(const char *text, rmt_address_t *address_out, rmt_error_t *error)
{
    rmt_address_t address;
    char host[RMT_ADDRESS_TEXT_SIZE];
    const size_t size = strcspn(text, "/");
    if (size >= sizeof host)
        return rmt_fail(error, RMT_E_USAGE,
                        "'%.64s' is not an IP address; write one such as 10.0.0.7/24",
                        text);
    memcpy(host, text, size);
    host[size] = '\0';
    if (!rmt_address_read(host, &address))
        return rmt_fail(error, RMT_E_USAGE,
                        "'%.64s' is not an IP address with the length of its network; "
                        "write one such as 10.0.0.7/24 or fd00::7/64",
                        text);
    if (rmt_address_parse(host, &address, error) == -1)
        return -1;
    if (s_is_loopback(&address))
        return rmt_fail(error, RMT_E_USAGE,
                        "'%s' is the loopback, which each host has; write an address "
                        "such as %s",
                        host, address.is_v6 ? "fd00::7/64" : "10.0.0.7/24");
    unsigned prefix;
    if (text[size] && !s_read_number(text + size + 1, s_bits(&address), &prefix))
        return rmt_fail(
            error, RMT_E_USAGE,
            "'%.64s': the length after the slash is 1 to %u bits; write %s/%s", text,
            s_bits(&address), host, address.is_v6 ? "64" : "24");
    if (text[size] && rmt_address_set_prefix(&address, prefix, error) == -1)
        return -1;
    *address_out = address;
    return 0;
}

int
rmt_address_parse_mask(const char *text, unsigned *prefix_out, rmt_error_t *error)
{
    rmt_address_t mask;
    uint32_t bits = 0;
    if (rmt_address_read(text, &mask) && !mask.is_v6)
        memcpy(&bits, mask.bytes, sizeof bits);
    bits = ntohl(bits);
    // Ones, then zeros: the inverse plus one has at most one bit.
    if (bits == 0 || (~bits & (~bits + 1)) != 0)
        return rmt_fail(error, RMT_E_USAGE,
                        "'%.64s' is not a mask; write one such as 255.255.255.0", text);
    *prefix_out = (unsigned) __builtin_popcount(bits);
    return 0;
}

int
rmt_address_parse_prefix(const char *text, unsigned *prefix_out, rmt_error_t *error)
{
    if (!s_read_number(text, 128, prefix_out))
        return rmt_fail(error, RMT_E_USAGE,
                        "'%.64s' is not the length of a network; write a number of "
                        "bits such as 24",
                        text);
    return 0;
}

int
rmt_address_parse_mac(const char *text, char mac_out[RMT_MAC_TEXT_SIZE],
                      rmt_error_t *error)
{
    char mac[RMT_MAC_TEXT_SIZE] = "";
    for (size_t i = 0; i < sizeof mac - 1; i++) {
        const unsigned char at = (unsigned char) text[i];
        if (i % 3 == 2 ? at != ':' && at != '-' : !isxdigit(at))
            return rmt_fail(error, RMT_E_USAGE,
                            "'%.64s' is not a MAC; write one such as 52:54:00:12:34:56",
                            text);
        mac[i] = (char) (i % 3 == 2 ? ':' : tolower(at));
    }
    const char *why = text[sizeof mac - 1]         ? "is longer than a MAC"
                      : strchr("13579bdf", mac[1]) ? "is a multicast MAC"
                      : strspn(mac, "0:") == sizeof mac - 1
                          ? "is the empty MAC, which no card has"
                          : NULL;
    if (why)
        return rmt_fail(
            error, RMT_E_USAGE,
            "'%.64s' %s; write the MAC of one interface, such as 52:54:00:12:34:56", text,
            why);
    memcpy(mac_out, mac, sizeof mac);
    return 0;
}

bool
rmt_address_equal(const rmt_address_t *a, const rmt_address_t *b)
{
    return a->is_v6 == b->is_v6 && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool
rmt_address_covers(const rmt_address_t *address, const rmt_address_t *other)
{
    const size_t whole = address->prefix / 8, rest = address->prefix % 8;
    return address->is_v6 == other->is_v6 && address->prefix > 0 &&
           memcmp(address->bytes, other->bytes, whole) == 0 &&
           (rest == 0 ||
            (address->bytes[whole] ^ other->bytes[whole]) >> (8 - rest) == 0);
}

bool
rmt_address_is_link_local(const rmt_address_t *address)
{
    return address->is_v6 && address->bytes[0] == 0xfe && address->bytes[1] >> 6 == 2;
}
