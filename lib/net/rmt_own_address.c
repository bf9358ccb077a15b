#include "net/rmt_own_address.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "facts/rmt_endpoint.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef union {
    struct sockaddr any;
    struct sockaddr_in ip4;
    struct sockaddr_in6 ip6;
} address_t;

static bool
s_is_loopback(const address_t *own)
{
    return own->any.sa_family == AF_INET
               ? ntohl(own->ip4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET
               : IN6_IS_ADDR_LOOPBACK(&own->ip6.sin6_addr);
}

static char *
s_print(const address_t *own)
{
    char text[INET6_ADDRSTRLEN] = "";
    const bool is_ip4 = own->any.sa_family == AF_INET;
    const void *bytes =
        is_ip4 ? (const void *) &own->ip4.sin_addr : (const void *) &own->ip6.sin6_addr;
    if (s_is_loopback(own))
        return rmt_text("@");
    if (!inet_ntop(own->any.sa_family, bytes, text, (socklen_t) sizeof text))
        return NULL;
    return rmt_text(is_ip4 ? "%s" : "[%s]", text);
}

// A datagram socket that is connected sends nothing, and has the address of its route.
static char *
s_towards(const struct addrinfo *info)
{
    rmt_auto_fd fd = socket(info->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    address_t own = {0};
    socklen_t size = sizeof own;
    if (fd == -1 || connect(fd, info->ai_addr, info->ai_addrlen) == -1 ||
        getsockname(fd, &own.any, &size) == -1)
        return NULL;
    return s_print(&own);
}

static char *
s_towards_broker(const char *broker)
{
    char host[RMT_ENDPOINT_HOST_SIZE], service[8];
    uint16_t port = 0;
    rmt_error_t error = {0};
    rmt_auto_str endpoint = rmt_endpoint_broker(broker, RMT_PORT_WORKERS, &error);
    if (!endpoint || rmt_endpoint_split(endpoint, host, &port, &error) == -1)
        return NULL;
    char *name = host;
    if (*host == '[') {
        host[strlen(host) - 1] = '\0';
        name++;
    }
    snprintf(service, sizeof service, "%u", port);
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    struct addrinfo *list = NULL;
    if (getaddrinfo(name, service, &hints, &list) != 0)
        return NULL;
    char *own = NULL;
    for (const struct addrinfo *info = list; info && !own; info = info->ai_next)
        if (info->ai_family == AF_INET || info->ai_family == AF_INET6)
            own = s_towards(info);
    freeaddrinfo(list);
    return own;
}

char *
rmt_own_address(const char *const *brokers, rmt_error_t *error)
{
    assert(brokers);
    assert(error);
    char *own = NULL;
    for (size_t i = 0; brokers[i] && !own; i++)
        own = s_towards_broker(brokers[i]);
    if (!own)
        rmt_fail(
            error, RMT_E_UNAVAILABLE,
            "the address of this host towards the broker %s is not known yet: it has "
            "no route, or the name is not resolved; the setting addresses can name it",
            brokers[0]);
    return own;
}
