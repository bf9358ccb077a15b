// ramet-agent - speaks for one computer: as a source that is imaged, as a target that is
// written, or as a fresh installation that reports its first boot.
#include "agent/agent.h"
#include "agent/install/bare.h"
#include "agent/install/bundle.h"
#include "agent/firstboot/firstboot.h"
#include "base/rmt_auto.h"
#include "base/rmt_log.h"
#include "base/rmt_memory.h"
#include "base/rmt_options.h"
#include "base/rmt_signals.h"
#include "agent/source/source.h"
#include "agent/install/target.h"
#include "base/rmt_process.h"

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

// The word decides which table of keys holds, and which file is read without -c.
static void
s_choose_table(const char *word, rmt_options_t *options)
{
    options->rows = RMT_AGENT_ROWS;
    options->file = "/etc/ramet/agent.cfg";
    if (strcmp(word, "firstboot") == 0) {
        options->rows = RMT_FIRSTBOOT_ROWS;
        options->file = "/" RMT_BUNDLE_FOLDER "/" RMT_BUNDLE_CONFIG;
    } else if (strcmp(word, "bare") == 0) {
        options->rows = RMT_BARE_ROWS;
        options->file = NULL;
    }
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
        rmt_process_open_many();
        return rmt_source_run(agent, error);
    }
    return s_run_target(agent, error);
}

int
main(int argc, char **argv)
{
    rmt_process_keep_secrets();
    rmt_signals_block();
    rmt_options_t options = {.program = "ramet-agent", .usage = USAGE, .words_max = 1};
    s_choose_table(rmt_options_word(argc, argv), &options);
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
