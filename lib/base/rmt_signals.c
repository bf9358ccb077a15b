#include "base/rmt_signals.h"

#include <assert.h>
#include <czmq.h>
#include <signal.h>
#include <sys/signalfd.h>

static sigset_t
s_set(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

void
rmt_signals_block(void)
{
    zsys_handler_set(NULL);
    (void) signal(SIGPIPE, SIG_IGN);
    const sigset_t set = s_set();
    const int rc = pthread_sigmask(SIG_BLOCK, &set, NULL);
    assert(rc == 0);
}

int
rmt_signals_open(rmt_error_t *error)
{
    assert(error);
    rmt_signals_block();
    const sigset_t set = s_set();
    const int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return fd == -1 ? rmt_fail_errno(error, "create a descriptor for signals") : fd;
}

int
rmt_signals_read(int fd)
{
    struct signalfd_siginfo info;
    const ssize_t size = read(fd, &info, sizeof info);
    return size == (ssize_t) sizeof info ? (int) info.ssi_signo : 0;
}
