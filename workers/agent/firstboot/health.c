#include "agent/firstboot/health.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_error.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"
#include "facts/rmt_address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"
#define SYSTEMD_PATH "/run/systemd/system"
#define TEXT_SIZE_MAX ((size_t) 4096)

// Add a word to a field that is a list parted by blanks; over the cap it is left out.
static void
s_append(rmt_record_t *report, const char *name, const char *text)
{
    const char *before = rmt_record_text(report, name, "");
    if (strlen(before) + strlen(text) + 1 > TEXT_SIZE_MAX)
        return;
    rmt_auto_str both = rmt_text("%s%s%s", before, *before ? " " : "", text);
    rmt_record_set(report, name, both);
}

static void
s_collect_units(rmt_record_t *report)
{
    const char *arguments[] = {"systemctl", "list-units", "--failed", "--no-legend",
                               "--plain",   "--no-pager", NULL};
    rmt_auto_str output = NULL;
    rmt_error_t error = {0};
    if (rmt_process_run(arguments, NULL, &output, &error) == -1) {
        rmt_record_set(report, "failed-units", "unknown");
        return;
    }
    rmt_record_set(report, "failed-units", "");
    char *rest = output, *line;
    while ((line = strsep(&rest, "\n"))) {
        line[strcspn(line, " \t")] = '\0';
        if (!*line)
            continue;
        s_append(report, "failed-units", line);
        rmt_record_set(report, "degraded", "yes");
    }
}

// A unit that is still starting has not failed yet.
static void
s_settle(unsigned wait_s)
{
    const char *const arguments[] = {"systemctl", "is-system-running", "--wait", NULL};
    const rmt_process_t process = {.arguments = arguments, .timeout_ms = wait_s * 1000};
    rmt_process_end_t end;
    rmt_error_t ignored;
    if (rmt_process_try(&process, &end, &ignored) == 0)
        rmt_process_end_clear(&end);
}

static void
s_collect_addresses(rmt_record_t *report)
{
    struct ifaddrs *list = NULL;
    rmt_record_set(report, "addresses", "");
    if (getifaddrs(&list) == -1)
        return;
    for (struct ifaddrs *item = list; item; item = item->ifa_next) {
        char text[INET6_ADDRSTRLEN];
        if (!item->ifa_addr || (item->ifa_flags & IFF_LOOPBACK) ||
            !(item->ifa_flags & IFF_UP))
            continue;
        const int family = item->ifa_addr->sa_family;
        const void *address = NULL;
        if (family == AF_INET)
            address =
                &((const struct sockaddr_in *) (const void *) item->ifa_addr)->sin_addr;
        else if (family == AF_INET6)
            address =
                &((const struct sockaddr_in6 *) (const void *) item->ifa_addr)->sin6_addr;
        if (!address || !inet_ntop(family, address, text, sizeof text))
            continue;
        rmt_auto_str word = rmt_text("%s=%s", item->ifa_name, text);
        s_append(report, "addresses", word);
    }
    freeifaddrs(list);
}

// Whether an interface has this address.
static bool
s_has_address(const char *text)
{
    rmt_address_t wanted;
    struct ifaddrs *list = NULL;
    bool found = false;
    if (!rmt_address_read(text, &wanted) || getifaddrs(&list) == -1)
        return false;
    const int family = wanted.is_v6 ? AF_INET6 : AF_INET;
    for (struct ifaddrs *item = list; item && !found; item = item->ifa_next) {
        if (!item->ifa_addr || item->ifa_addr->sa_family != family)
            continue;
        const struct sockaddr *any = item->ifa_addr;
        const void *own =
            family == AF_INET
                ? (const void *) &((const struct sockaddr_in *) (const void *) any)
                      ->sin_addr
                : &((const struct sockaddr_in6 *) (const void *) any)->sin6_addr;
        found = memcmp(own, wanted.bytes, family == AF_INET ? 4 : 16) == 0;
    }
    freeifaddrs(list);
    return found;
}

// Networks come up in their own time.
static void
s_check_wanted(const char *const *wanted, unsigned wait_s, rmt_record_t *report)
{
    const int64_t until = rmt_clock_ms() + (int64_t) wait_s * 1000;
    for (; *wanted; wanted++) {
        while (!s_has_address(*wanted) && rmt_clock_ms() < until)
            (void) poll(NULL, 0, 500);
        if (s_has_address(*wanted))
            continue;
        s_append(report, "missing-addresses", *wanted);
        rmt_record_set(report, "degraded", "yes");
    }
}

// In a chroot that plays the firmware the host's addresses and units say nothing.
static bool
s_is_chroot(void)
{
    struct stat own, first;
    return stat("/", &own) == -1 || stat("/proc/1/root", &first) == -1 ||
           own.st_dev != first.st_dev || own.st_ino != first.st_ino;
}

static void
s_collect_boot(rmt_record_t *report)
{
    rmt_auto_ptr boot = NULL;
    size_t size = 0;
    rmt_error_t error = {0};
    rmt_record_set(report, "boot", "unknown");
    if (rmt_io_load(BOOT_ID_PATH, 64, &boot, &size, &error) == -1)
        return;
    char *text = boot;
    text[strcspn(text, "\n")] = '\0';
    rmt_record_set(report, "boot", text);
}

void
rmt_health_collect(const char *const *wanted, unsigned wait_s, rmt_record_t *report)
{
    const bool is_chroot = s_is_chroot();
    s_collect_boot(report);
    if (!is_chroot && access(SYSTEMD_PATH, F_OK) == 0) {
        s_settle(wait_s);
        s_collect_units(report);
    } else {
        rmt_record_set(report, "failed-units", "unknown");
    }
    if (!is_chroot) {
        s_check_wanted(wanted, wait_s, report);
        s_collect_addresses(report);
    } else {
        rmt_record_set(report, "addresses", "not checked");
    }
}
