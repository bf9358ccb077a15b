#include "health.h"
#include "rmt_auto.h"
#include "rmt_error.h"
#include "rmt_io.h"
#include "rmt_process.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

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

static int
s_is_script(const struct dirent *item)
{
    return isdigit((unsigned char) item->d_name[0]) &&
           isdigit((unsigned char) item->d_name[1]) && item->d_name[2] == '-';
}

void
rmt_health_run_scripts(const char *folder, rmt_record_t *report)
{
    struct dirent **items = NULL;
    const int count = scandir(folder, &items, s_is_script, alphasort);
    for (int i = 0; i < count; i++) {
        rmt_auto_str path = rmt_text("%s/%s", folder, items[i]->d_name);
        const char *arguments[] = {path, NULL};
        rmt_error_t error = {0};
        if (rmt_process_run(arguments, NULL, NULL, &error) == -1) {
            rmt_auto_str text = rmt_text("%s (%s);", items[i]->d_name, error.text);
            s_append(report, "scripts-failed", text);
            rmt_record_set(report, "degraded", "yes");
        }
        free(items[i]);
    }
    free(items);
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

void
rmt_health_collect(rmt_record_t *report)
{
    rmt_auto_ptr boot = NULL;
    size_t size = 0;
    rmt_error_t error = {0};
    if (rmt_io_load(BOOT_ID_PATH, 64, &boot, &size, &error) == 0) {
        char *text = boot;
        text[strcspn(text, "\n")] = '\0';
        rmt_record_set(report, "boot", text);
    } else {
        rmt_record_set(report, "boot", "unknown");
    }
    // In a chroot that plays the firmware the host's addresses say nothing.
    if (access(SYSTEMD_PATH, F_OK) == 0) {
        s_collect_units(report);
        s_collect_addresses(report);
    } else {
        rmt_record_set(report, "failed-units", "unknown");
        rmt_record_set(report, "addresses", "not checked");
    }
}
