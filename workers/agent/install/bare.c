#include "agent/install/bare.h"
#include "agent/agent.h"
#include "agent/install/cmdline.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "machine/rmt_inventory.h"
#include "base/rmt_io.h"
#include "base/rmt_signals.h"
#include "agent/install/screen.h"
#include "agent/install/target.h"
#include "agent/install/told.h"
#include "agent/install/uplink.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#define LINE_SIZE_MAX ((size_t) 64 * 1024)
#define STEP_MS 100         // Between two looks at addresses and disks
#define DHCP_MS 4000        // An answer may take so long before it counts as trouble
#define DISKS_MS 10000      // So long a first disk is waited for
#define SETTLE_MS 300       // Disks appear one after the other
#define SETTLE_LONG_MS 2000 // Behind controllers that look for them one by one
#define AGAIN_MS 5000       // First pause after a failure; doubles
#define AGAIN_MS_MAX 60000

const rmt_config_row_t RMT_BARE_ROWS[] = {
    {"cmdline", RMT_CONFIG_PATH, "/proc/cmdline", 0, 0,
     "File with the kernel's command line."},
    {"state", RMT_CONFIG_PATH, "/run/ramet", 0, 0,
     "Folder for key and name, which last for one boot."},
    {"consoles", RMT_CONFIG_PATH, "/sys/class/tty/console/active", 0, 0,
     "File with the names of the consoles that the screen is shown on."},
    {NULL, 0, NULL, 0, 0, NULL},
};

typedef struct {
    const rmt_config_t *config;
    rmt_screen_t *screen;
    rmt_told_t told;
    int signals;
    bool is_ended; // By a signal
} bare_t;

// False: a signal asks for the end.
static bool
s_pause(bare_t *self, int pause_ms)
{
    struct pollfd item = {.fd = self->signals, .events = POLLIN};
    (void) poll(&item, 1, pause_ms);
    if (rmt_signals_read(self->signals))
        self->is_ended = true;
    return !self->is_ended;
}

// ---- What the agent tells

static void
s_on_enrol(void *context, bool is_pending, const char *text)
{
    rmt_told_enrol(&((bare_t *) context)->told, is_pending, text);
}

static bool
s_on_link(void *context, bool is_welcome, const rmt_error_t *trouble)
{
    return rmt_told_link(&((bare_t *) context)->told, is_welcome, trouble);
}

static void
s_on_told(void *context, const rmt_msg_t *msg)
{
    rmt_told_msg(&((bare_t *) context)->told, msg);
}

// ---- Steps

static rmt_config_t *
s_read_cmdline(bare_t *self, rmt_error_t *error)
{
    const char *folder = rmt_config_text(self->config, "state");
    rmt_auto_ptr line = NULL;
    size_t size = 0;
    if (rmt_io_mkdirs(folder, 0700, error) == -1 ||
        rmt_io_load(rmt_config_text(self->config, "cmdline"), LINE_SIZE_MAX, &line, &size,
                    error) == -1)
        return NULL;
    rmt_auto_str text = rmt_cmdline_config(line, folder, error);
    rmt_auto_str path = rmt_text("%s/agent.cfg", folder);
    if (!text || rmt_io_save(path, text, strlen(text), 0600, error) == -1)
        return NULL;
    return rmt_config_new(RMT_AGENT_ROWS, path, error);
}

// False: a signal.
static bool
s_wait_address(bare_t *self)
{
    const int64_t late_ms = rmt_clock_ms() + DHCP_MS;
    rmt_told_doing(&self->told, "waiting for an address");
    while (true) {
        rmt_auto_str addresses = rmt_uplink_addresses();
        rmt_screen_set(self->screen, RMT_SCREEN_ADDRESSES, addresses);
        rmt_error_t trouble = {0};
        if (addresses) {
            rmt_told_trouble(&self->told, &trouble);
            return true;
        }
        if (rmt_clock_ms() >= late_ms) {
            rmt_auto_str text = rmt_uplink_trouble("/sys");
            rmt_fail(&trouble, RMT_E_UNAVAILABLE, "%s", text);
            rmt_screen_set_trouble(self->screen, &trouble);
            rmt_screen_set(self->screen, RMT_SCREEN_ADVICE,
                           "check the cable, the switch and the DHCP server; this "
                           "machine tries again by itself");
            rmt_screen_show(self->screen);
        }
        if (!s_pause(self, STEP_MS))
            return false;
    }
}

static bool
s_is_pci(const rmt_record_t *record, const char *class)
{
    return strcmp(rmt_record_text(record, "class", ""), "pci") == 0 &&
           strncmp(rmt_record_text(record, "pci-class", ""), class, strlen(class)) == 0;
}

// USB, RAID and SAS find their disks long after their driver is there.
static int64_t
s_settle_ms(const rmt_records_t *hardware)
{
    for (size_t i = 0; i < rmt_records_count(hardware); i++) {
        const rmt_record_t *record = rmt_records_at(hardware, i);
        if (s_is_pci(record, "0c03") || s_is_pci(record, "0104") ||
            s_is_pci(record, "0107"))
            return SETTLE_LONG_MS;
    }
    return SETTLE_MS;
}

static size_t
s_count_disks(const rmt_records_t *hardware)
{
    size_t count = 0;
    for (size_t i = 0; i < rmt_records_count(hardware); i++)
        count += strcmp(rmt_record_text(rmt_records_at(hardware, i), "class", ""),
                        "disk") == 0;
    return count;
}

static void
s_set_machine(bare_t *self, const rmt_records_t *hardware)
{
    const rmt_record_t *system = rmt_records_find(hardware, "class", "system");
    rmt_auto_str identity = rmt_inventory_identity(hardware);
    rmt_auto_str text =
        rmt_text("%s %s, %zu disks, %s", rmt_record_text(system, "vendor", "unknown"),
                 rmt_record_text(system, "product", "computer"), s_count_disks(hardware),
                 identity ? identity : "without an identity");
    rmt_screen_set(self->screen, RMT_SCREEN_MACHINE, text);
}

// A machine without a disk enrols too, so that its inventory can be looked
// at. 0, or -1: IO, CANCELLED.
static int
s_wait_disks(bare_t *self, rmt_error_t *error)
{
    const int64_t end_ms = rmt_clock_ms() + DISKS_MS;
    int64_t same_ms = rmt_clock_ms();
    size_t count = 0;
    rmt_told_doing(&self->told, "searching for disks");
    while (true) {
        rmt_auto(rmt_records) hardware = rmt_inventory_read(error);
        if (!hardware)
            return -1;
        const size_t found = s_count_disks(hardware);
        const int64_t now = rmt_clock_ms();
        if (found != count)
            same_ms = now;
        count = found;
        if (now >= end_ms || (count > 0 && now - same_ms >= s_settle_ms(hardware))) {
            s_set_machine(self, hardware);
            self->told.no_disk = (rmt_error_t){0};
            rmt_auto_str text = rmt_inventory_no_disk(hardware);
            if (text)
                rmt_fail(&self->told.no_disk, RMT_E_NOT_FOUND, "%s", text);
            return 0;
        }
        if (!s_pause(self, STEP_MS))
            return rmt_fail(error, RMT_E_CANCELLED, "the program was asked to stop");
    }
}

// One life as a target. 0: over, *reboot_out tells how; -1: try again.
static int
s_live(bare_t *self, bool *reboot_out, rmt_error_t *error)
{
    rmt_auto(rmt_config) config = s_read_cmdline(self, error);
    if (!config)
        return -1;
    rmt_screen_set(self->screen, RMT_SCREEN_BROKER,
                   rmt_config_list(config, "brokers")[0]);
    if (s_wait_disks(self, error) == -1)
        return -1;
    if (!s_wait_address(self))
        return rmt_fail(error, RMT_E_CANCELLED, "the program was asked to stop");
    const rmt_agent_watch_t watch = {s_on_enrol, s_on_link, s_on_told, self};
    rmt_told_doing(&self->told, "enrolling");
    rmt_auto(rmt_agent) agent = rmt_agent_new(config, "target", &watch, error);
    if (!agent)
        return -1;
    rmt_screen_set(self->screen, RMT_SCREEN_NAME, agent->name);
    rmt_told_doing(&self->told, "calling the broker");
    if (rmt_target_run(agent, reboot_out, error) == -1)
        return -1;
    if (!self->told.is_refused)
        return 0;
    (void) unlink(rmt_config_text(config, "key"));
    return rmt_fail(error, RMT_E_NOT_ALLOWED,
                    "the broker no longer accepts the key of this boot");
}

int
rmt_bare_run(const rmt_config_t *config, bool *reboot_out, rmt_error_t *error)
{
    rmt_auto_fd signals = rmt_signals_open(error);
    if (signals == -1)
        return -1;
    char **consoles = rmt_screen_consoles(rmt_config_text(config, "consoles"));
    rmt_auto(rmt_screen) screen = rmt_screen_new((const char *const *) consoles);
    free(consoles);
    bare_t self = {.config = config, .screen = screen, .signals = signals};
    rmt_told_begin(&self.told, screen);
    int pause_ms = AGAIN_MS;
    while (s_live(&self, reboot_out, error) == -1) {
        if (error->code == RMT_E_CANCELLED || self.is_ended)
            break;
        rmt_screen_set(screen, RMT_SCREEN_DOING, "waiting to try again");
        rmt_told_trouble(&self.told, error);
        if (!s_pause(&self, pause_ms))
            break;
        pause_ms = pause_ms * 2 > AGAIN_MS_MAX ? AGAIN_MS_MAX : pause_ms * 2;
    }
    if (*reboot_out)
        rmt_told_doing(&self.told, "starting the installed system");
    rmt_told_end(&self.told);
    return 0;
}
