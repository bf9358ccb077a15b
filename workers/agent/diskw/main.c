// ramet-diskw - writes the disks of one machine, and is the only program that does.
//
// Started by ramet-agent with the order and the verified contents on standard input; its
// answers go to standard output. It has no network, sees no other disk, and keeps only
// the capabilities and the system calls that writing needs.
#include "agent/diskw/filter.h"
#include "agent/diskw/harden.h"
#include "agent/diskw/parser.h"
#include "agent/diskw/session.h"
#include "base/rmt_auto.h"
#include "base/rmt_log.h"
#include "base/rmt_signals.h"
#include "base/rmt_process.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

static int
s_run(rmt_error_t *error)
{
    rmt_auto_fd signals = rmt_signals_open(error);
    if (signals == -1)
        return -1;
    // What it parses came through the network: it must not reach it.
    if (unshare(CLONE_NEWNET) == -1)
        return rmt_fail_errno(error, "leave the network");
    if (rmt_harden(error) == -1 || rmt_filter_enter(RMT_FILTER_START, error) == -1)
        return -1;
    rmt_auto(rmt_pipe) pipe = rmt_pipe_new(dup(STDIN_FILENO), dup(STDOUT_FILENO));
    return rmt_session_run(pipe, signals, error);
}

int
main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], RMT_PARSER_WORD) == 0)
        return rmt_parser_main();
    if (argc > 1) {
        const bool version = strcmp(argv[1], "--version") == 0;
        printf(version ? "ramet-diskw " RMT_VERSION "\n"
                       : "ramet-diskw takes no arguments; ramet-agent starts it\n");
        return version || strcmp(argv[1], "--help") == 0 ? 0 : rmt_code_exit(RMT_E_USAGE);
    }
    rmt_process_keep_secrets();
    rmt_error_t error = {0};
    if (s_run(&error) == -1) {
        rmt_log(RMT_ERROR, "diskw.failed", "code=%s error=\"%s\"",
                rmt_code_name(error.code), error.text);
        return rmt_code_exit(error.code);
    }
    return 0;
}
