#include "facts/rmt_address.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_SIZE_MAX 63
#define NAME_SIZE_MAX 253

// Decimal digits only, so that "+1", " 1" and "0x1" are no numbers here.
static bool
s_read_number(const char *text, unsigned long limit, unsigned long *number_out)
{
    const size_t size = strlen(text);
    if (size == 0 || size > 5 || strspn(text, "0123456789") != size)
        return false;
    *number_out = strtoul(text, NULL, 10);
    return *number_out <= limit;
}

static bool
s_is_bracketed(const char *host)
{
    const size_t size = strlen(host);
    if (size < 4 || host[0] != '[' || host[size - 1] != ']')
        return false;
    char inner[RMT_ADDRESS_HOST_SIZE];
    snprintf(inner, sizeof inner, "%.*s", (int) (size - 2), host + 1);
    return rmt_address_is_ipv6(inner);
}

static bool
s_is_host(const char *host)
{
    return strcmp(host, "@") == 0 || strcmp(host, "*") == 0 || s_is_bracketed(host) ||
           rmt_address_is_host(host);
}

int
rmt_address_split(const char *text, char host_out[RMT_ADDRESS_HOST_SIZE],
                  uint16_t *port_out, rmt_error_t *error)
{
    assert(text && host_out && port_out && error);
    const char *colon = strrchr(text, ':');
    const size_t size = colon ? (size_t) (colon - text) : 0;
    char host[RMT_ADDRESS_HOST_SIZE];
    unsigned long port = 0;
    if (size == 0 || size >= sizeof host)
        return rmt_fail(error, RMT_E_USAGE, "\"%.64s\" is not host:port", text);
    snprintf(host, sizeof host, "%.*s", (int) size, text);
    if (!s_is_host(host) || !s_read_number(colon + 1, UINT16_MAX, &port))
        return rmt_fail(error, RMT_E_USAGE, "\"%.64s\" is not host:port", text);
    memcpy(host_out, host, sizeof host);
    *port_out = (uint16_t) port;
    return 0;
}

char *
rmt_address_broker(const char *text, rmt_port_t port, rmt_error_t *error)
{
    assert(text && error);
    char host[RMT_ADDRESS_HOST_SIZE];
    uint16_t base = RMT_PORT_BASE;
    if (strlen(text) < sizeof host && s_is_host(text))
        snprintf(host, sizeof host, "%s", text);
    else if (rmt_address_split(text, host, &base, error) == -1)
        return NULL;
    const unsigned number = base + (unsigned) port;
    if (base == 0 || number > UINT16_MAX) {
        rmt_fail(error, RMT_E_USAGE, "\"%.64s\" leaves no room for a broker's ports",
                 text);
        return NULL;
    }
    return rmt_text("%s:%u", host, number);
}

char *
rmt_address_expand(const char *text, const char *broker_host, rmt_error_t *error)
{
    assert(text && broker_host && error);
    char host[RMT_ADDRESS_HOST_SIZE];
    uint16_t port = 0;
    if (rmt_address_split(text, host, &port, error) == -1)
        return NULL;
    return rmt_text("%s:%u", strcmp(host, "@") == 0 ? broker_host : host,
                    (unsigned) port);
}

bool
rmt_address_is_ipv4(const char *text)
{
    struct in_addr address;
    return inet_pton(AF_INET, text, &address) == 1;
}

bool
rmt_address_is_ipv6(const char *text)
{
    struct in6_addr address;
    return inet_pton(AF_INET6, text, &address) == 1;
}

bool
rmt_address_is_prefix(const char *text)
{
    const char *slash = strchr(text, '/');
    char address[INET6_ADDRSTRLEN];
    unsigned long bits = 0;
    if (!slash || (size_t) (slash - text) >= sizeof address)
        return false;
    snprintf(address, sizeof address, "%.*s", (int) (slash - text), text);
    if (rmt_address_is_ipv4(address))
        return s_read_number(slash + 1, 32, &bits);
    return rmt_address_is_ipv6(address) && s_read_number(slash + 1, 128, &bits);
}

bool
rmt_address_is_netmask(const char *text)
{
    struct in_addr address;
    if (inet_pton(AF_INET, text, &address) != 1)
        return false;
    // Ones, then zeros: the inverse plus one has at most one bit.
    const uint32_t holes = ~ntohl(address.s_addr);
    return (holes & (holes + 1)) == 0;
}

bool
rmt_address_is_mac(const char *text)
{
    if (strlen(text) != 17)
        return false;
    for (size_t i = 0; i < 17; i++) {
        const unsigned char at = (unsigned char) text[i];
        if (i % 3 == 2 ? at != ':' : !isxdigit(at))
            return false;
    }
    return true;
}

bool
rmt_address_is_host(const char *text)
{
    const size_t size = strlen(text);
    if (size == 0 || size > NAME_SIZE_MAX)
        return false;
    size_t label = 0;
    for (size_t i = 0; i <= size; i++) {
        const unsigned char at = (unsigned char) text[i];
        if (at == '.' || at == '\0') {
            if (label == 0 || label > LABEL_SIZE_MAX || text[i - 1] == '-')
                return false;
            label = 0;
            continue;
        }
        if (at >= 0x80 || !(isalnum(at) || (at == '-' && label > 0)))
            return false;
        label++;
    }
    return true;
}
