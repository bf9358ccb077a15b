#include "agent/install/uplink.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

static void
s_join(char **text_p, const char *part)
{
    char *longer = *text_p ? rmt_text("%s, %s", *text_p, part) : rmt_text("%s", part);
    free(*text_p);
    *text_p = longer;
}

// True with the address as text when others could reach it.
static bool
s_address_text(const struct sockaddr *address, char out[INET6_ADDRSTRLEN])
{
    if (address && address->sa_family == AF_INET) {
        const struct sockaddr_in *four = (const void *) address;
        return inet_ntop(AF_INET, &four->sin_addr, out, INET6_ADDRSTRLEN) != NULL;
    }
    if (address && address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const void *) address;
        return !IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr) &&
               inet_ntop(AF_INET6, &six->sin6_addr, out, INET6_ADDRSTRLEN) != NULL;
    }
    return false;
}

char *
rmt_uplink_addresses(void)
{
    struct ifaddrs *list = NULL;
    char *text = NULL;
    if (getifaddrs(&list) == -1)
        return NULL;
    for (const struct ifaddrs *one = list; one; one = one->ifa_next) {
        char address[INET6_ADDRSTRLEN];
        if ((one->ifa_flags & IFF_LOOPBACK) || !s_address_text(one->ifa_addr, address))
            continue;
        rmt_auto_str part = rmt_text("%s on %s", address, one->ifa_name);
        s_join(&text, part);
    }
    freeifaddrs(list);
    return text;
}

// The number in an attribute of a card; -1 when there is none (carrier of one that is
// down cannot be read).
static long
s_number(const char *sys, const char *name, const char *attribute)
{
    rmt_auto_str path = rmt_text("%s/class/net/%s/%s", sys, name, attribute);
    rmt_auto_ptr text = NULL;
    size_t size = 0;
    rmt_error_t ignored = {0};
    if (rmt_io_load(path, 4096, &text, &size, &ignored) == -1)
        return -1;
    return strtol(text, NULL, 10);
}

static bool
s_has(const char *sys, const char *name, const char *entry)
{
    rmt_auto_str path = rmt_text("%s/class/net/%s/%s", sys, name, entry);
    return access(path, F_OK) == 0;
}

static bool
s_is_wired(const char *sys, const char *name)
{
    return name[0] != '.' && s_number(sys, name, "type") == ARPHRD_ETHER &&
           s_has(sys, name, "device") && !s_has(sys, name, "phy80211");
}

char *
rmt_uplink_trouble(const char *sys)
{
    rmt_auto_str folder = rmt_text("%s/class/net", sys);
    struct dirent **names = NULL;
    const int count = scandir(folder, &names, NULL, alphasort);
    rmt_auto_str cards = NULL;
    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;
        if (s_is_wired(sys, name)) {
            rmt_auto_str part =
                rmt_text("%s %s", name,
                         s_number(sys, name, "carrier") == 1 ? "got no answer to DHCP"
                                                             : "has no link");
            s_join(&cards, part);
        }
        free(names[i]);
    }
    free(names);
    if (!cards)
        return rmt_text("no network: this machine has no wired card that the kernel has "
                        "a driver for");
    return rmt_text("no network: %s", cards);
}
