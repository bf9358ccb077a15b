#include "facts/rmt_endpoint.h"
#include "facts/rmt_address.h"
#include "facts/rmt_name.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    char inner[RMT_ENDPOINT_HOST_SIZE];
    snprintf(inner, sizeof inner, "%.*s", (int) (size - 2), host + 1);
    rmt_address_t address;
    return rmt_address_read(inner, &address) && address.is_v6;
}

static bool
s_is_host(const char *host)
{
    rmt_address_t address;
    return strcmp(host, "@") == 0 || strcmp(host, "*") == 0 || s_is_bracketed(host) ||
           rmt_name_is_host(host) || (rmt_address_read(host, &address) && !address.is_v6);
}

int
rmt_endpoint_split(const char *text, char host_out[RMT_ENDPOINT_HOST_SIZE],
                   uint16_t *port_out, rmt_error_t *error)
{
    assert(text && host_out && port_out && error);
    const char *colon = strrchr(text, ':');
    const size_t size = colon ? (size_t) (colon - text) : 0;
    char host[RMT_ENDPOINT_HOST_SIZE];
    unsigned long port = 0;
    if (size == 0 || size >= sizeof host)
        return rmt_fail(error, RMT_E_USAGE,
                        "\"%.64s\" is not host:port; write one such as 10.0.0.1:5670",
                        text);
    snprintf(host, sizeof host, "%.*s", (int) size, text);
    if (!s_is_host(host) || !s_read_number(colon + 1, UINT16_MAX, &port))
        return rmt_fail(error, RMT_E_USAGE,
                        "\"%.64s\" is not host:port; write one such as 10.0.0.1:5670",
                        text);
    memcpy(host_out, host, sizeof host);
    *port_out = (uint16_t) port;
    return 0;
}

char *
rmt_endpoint_broker(const char *text, rmt_port_t port, rmt_error_t *error)
{
    assert(text && error);
    char host[RMT_ENDPOINT_HOST_SIZE];
    uint16_t base = RMT_PORT_BASE;
    if (strlen(text) < sizeof host && s_is_host(text))
        snprintf(host, sizeof host, "%s", text);
    else if (rmt_endpoint_split(text, host, &base, error) == -1)
        return NULL;
    const unsigned number = base + (unsigned) port;
    if (base == 0 || number > UINT16_MAX) {
        rmt_fail(error, RMT_E_USAGE,
                 "\"%.64s\" is too high for a broker's base port; write a lower port",
                 text);
        return NULL;
    }
    return rmt_text("%s:%u", host, number);
}

char *
rmt_endpoint_expand(const char *text, const char *broker_host, rmt_error_t *error)
{
    assert(text && broker_host && error);
    char host[RMT_ENDPOINT_HOST_SIZE];
    uint16_t port = 0;
    if (rmt_endpoint_split(text, host, &port, error) == -1)
        return NULL;
    return rmt_text("%s:%u", strcmp(host, "@") == 0 ? broker_host : host,
                    (unsigned) port);
}
