// ramet-agent - speaks for one computer: as a source that is imaged, as a target that is
// written, or as a fresh installation that reports its first boot.
#include "agent/agent.h"
#include "agent/install/bare.h"
#include "agent/firstboot/firstboot.h"
#include "base/rmt_auto.h"
#include "base/rmt_log.h"
#include "base/rmt_memory.h"
#include "base/rmt_options.h"
#include "base/rmt_signals.h"
#include "agent/source/source.h"
#include "agent/install/target.h"

#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

#define USAGE                                                                            \
    "usage: ramet-agent source|target|firstboot|bare [options]\n"                        \
    "  source     offer to make an image of this computer\n"                             \
    "  target     offer to write an image to this computer's disks\n"                    \
    "  firstboot  report that an installed system is up, once\n"                         \
    "  bare       target by the kernel's command line, on a machine that runs nothing "  \
    "else"

// The word decides which table of keys holds, so it is looked for before the options.
static const rmt_config_row_t *
s_find_rows(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "firstboot") == 0)
            return RMT_FIRSTBOOT_ROWS;
        if (strcmp(argv[i], "bare") == 0)
            return RMT_BARE_ROWS;
    }
    return RMT_AGENT_ROWS;
}

static int
s_reboot(rmt_error_t *error)
{
    rmt_log(RMT_INFO, "target.reboot", "firmware=next");
    sync();
    return reboot(RB_AUTOBOOT) == -1 ? rmt_fail_errno(error, "reboot") : 0;
}

static int
s_run_target(rmt_agent_t *agent, rmt_error_t *error)
{
    bool is_reboot = false;
    if (rmt_target_run(agent, &is_reboot, error) == -1)
        return -1;
    return is_reboot ? s_reboot(error) : 0;
}

static int
s_run_bare(const rmt_config_t *config, rmt_error_t *error)
{
    bool is_reboot = false;
    if (rmt_bare_run(config, &is_reboot, error) == -1)
        return -1;
    return is_reboot ? s_reboot(error) : 0;
}

static int
s_run(const rmt_config_t *config, const char *word, rmt_error_t *error)
{
    if (strcmp(word, "firstboot") == 0)
        return rmt_firstboot_run(config, error);
    if (strcmp(word, "bare") == 0)
        return s_run_bare(config, error);
    const char *role = rmt_config_text(config, "role");
    if (*word && *role && strcmp(word, role) != 0)
        return rmt_fail(error, RMT_E_CONFIG,
                        "role is %.16s in the configuration, not %.16s", role, word);
    if (*word)
        role = word;
    if (strcmp(role, "source") != 0 && strcmp(role, "target") != 0)
        return rmt_fail(error, RMT_E_USAGE,
                        "'%.16s' is not source, target, firstboot or bare", role);
    rmt_auto(rmt_agent) agent = rmt_agent_new(config, role, NULL, error);
    if (!agent)
        return -1;
    if (strcmp(role, "source") == 0) {
        rmt_memory_keep();
        return rmt_source_run(agent, error);
    }
    return s_run_target(agent, error);
}

int
main(int argc, char **argv)
{
    rmt_signals_block();
    const rmt_options_t options = {
        .program = "ramet-agent",
        .usage = USAGE,
        .rows = s_find_rows(argc, argv),
        .file = s_find_rows(argc, argv) == RMT_BARE_ROWS ? NULL : "/etc/ramet/agent.cfg",
        .words_min = 0,
        .words_max = 1,
    };
    rmt_error_t error = {0};
    rmt_auto(rmt_config) config = NULL;
    int first = 0;
    int rc = rmt_options_read(&options, argc, argv, &first, &config, &error);
    if (rc == 1)
        rc = s_run(config, first < argc ? argv[first] : "", &error);
    if (rc == 0)
        return 0;
    rmt_log(RMT_ERROR, "agent.failed", "code=%s error=\"%s\"", rmt_code_name(error.code),
            error.text);
    return rmt_code_exit(error.code);
}
