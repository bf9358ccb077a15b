// Wake-on-LAN: a datagram that a network card wakes its machine by. Nothing answers it.
#include "power/rmt_power_way.h"
#include "base/rmt_auto.h"
#include "facts/rmt_address.h"
#include "facts/rmt_switch.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define PORT 9    // Of the service discard
#define REPEATS 3 // A datagram may be lost
#define MAC_SIZE 6
#define MAC_TIMES 16 // In a datagram

static void
s_packet(const char *mac, unsigned char packet_out[MAC_SIZE * (MAC_TIMES + 1)])
{
    unsigned char bytes[MAC_SIZE];
    for (size_t i = 0; i < MAC_SIZE; i++)
        bytes[i] = (unsigned char) strtoul(mac + 3 * i, NULL, 16);
    memset(packet_out, 0xff, MAC_SIZE);
    for (size_t i = 1; i <= MAC_TIMES; i++)
        memcpy(packet_out + i * MAC_SIZE, bytes, MAC_SIZE);
}

// The broadcast address of an interface of this computer. 0, or -1: CONFIG.
static int
s_broadcast_of(const char *interface, struct in_addr *address_out, rmt_error_t *error)
{
    struct ifaddrs *list = NULL;
    bool is_found = false;
    if (getifaddrs(&list) == -1)
        return rmt_fail_errno(error, "list the interfaces");
    for (const struct ifaddrs *item = list; item && !is_found; item = item->ifa_next) {
        is_found = strcmp(item->ifa_name, interface) == 0 && item->ifa_addr &&
                   item->ifa_addr->sa_family == AF_INET &&
                   item->ifa_flags & IFF_BROADCAST && item->ifa_broadaddr;
        if (is_found) {
            struct sockaddr_in address;
            memcpy(&address, item->ifa_broadaddr, sizeof address);
            *address_out = address.sin_addr;
        }
    }
    freeifaddrs(list);
    if (is_found)
        return 0;
    return rmt_fail(
        error, RMT_E_CONFIG,
        "the engine has no interface %.64s with an IPv4 broadcast address; name "
        "one, or the broadcast address itself, by power-address or by power-wol "
        "in installer.cfg",
        interface);
}

static int
s_where(const power_run_t *run, struct sockaddr_in *to_out, rmt_error_t *error)
{
    const char *where = *run->address ? run->address : run->config->broadcast;
    char host[RMT_SWITCH_HOST_SIZE] = "";
    uint16_t port = 0;
    if (!*where)
        return rmt_fail(
            error, RMT_E_CONFIG,
            "nothing says on which network to wake it; set power-wol in the "
            "engine's installer.cfg, or: ramet target set %s power-address=ETH",
            run->name);
    *to_out = (struct sockaddr_in){.sin_family = AF_INET};
    if (!rmt_switch_part(where, host, &port))
        snprintf(host, sizeof host, "%s", where);
    to_out->sin_port = htons(port ? port : PORT);
    if (inet_pton(AF_INET, host, &to_out->sin_addr) == 1)
        return 0;
    return s_broadcast_of(host, &to_out->sin_addr, error);
}

static int
s_send(const power_run_t *run, const char *mac, rmt_error_t *error)
{
    unsigned char packet[MAC_SIZE * (MAC_TIMES + 1)];
    struct sockaddr_in to;
    const int yes = 1;
    if (s_where(run, &to, error) == -1)
        return -1;
    s_packet(mac, packet);
    rmt_auto_fd fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd == -1 || setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &yes, sizeof yes) == -1)
        return rmt_fail_errno(error, "open a socket");
    for (int i = 0; i < REPEATS; i++) {
        if (sendto(fd, packet, sizeof packet, 0, (const struct sockaddr *) &to,
                   sizeof to) != (ssize_t) sizeof packet)
            return rmt_fail_errno(error, "send to %s", inet_ntoa(to.sin_addr));
    }
    return 0;
}

static int
s_do(power_run_t *run, rmt_power_end_t *end_out, rmt_error_t *error)
{
    const char *mac = rmt_record_text(run->target, "mac", "");
    char form[RMT_MAC_TEXT_SIZE];
    rmt_error_t ignored;
    const bool is_present = rmt_record_flag(run->target, "present");
    if (run->action == RMT_POWER_STATUS) {
        end_out->what = is_present ? "on" : "unknown";
        snprintf(end_out->text, sizeof end_out->text, "%s",
                 is_present ? "its agent is present"
                            : "Wake-on-LAN tells nothing, and no agent is present");
        return 0;
    }
    if (run->action != RMT_POWER_ON)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "Wake-on-LAN can switch a machine on, and nothing else; do it at "
                        "the machine, or give it another power=WAY");
    if (rmt_address_parse_mac(mac, form, &ignored) == -1)
        return rmt_fail(error, RMT_E_CONFIG,
                        "its record has no MAC to wake; set it with: ramet target set %s "
                        "mac=MAC",
                        run->name);
    if (s_send(run, form, error) == -1)
        return -1;
    end_out->what = "sent";
    snprintf(end_out->text, sizeof end_out->text,
             "%s was told to wake; nothing answers that: see whether it comes with "
             "ramet target show %s",
             form, run->name);
    return 0;
}

const power_way_t power_wol = {.name = "wol", .whole = s_do};
