#include "integration/injected.h"

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "tools/rmt_test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

static pid_t s_stopped; // By the test that goes on; 0: none

#define ROOM_SIZE 512
#define BELOW_STACK 65536

bool
injected_is_waiting(pid_t pid, unsigned filters)
{
    rmt_error_t error = {0};
    rmt_auto_str status = rmt_text("/proc/%d/status", (int) pid);
    rmt_auto_str call = rmt_text("/proc/%d/syscall", (int) pid);
    rmt_auto_ptr text = NULL;
    size_t size = 0;
    RMT_OK(rmt_io_load(status, 65536, &text, &size, &error));
    const char *line = strstr(text, "Seccomp_filters:");
    if (!line || strtoull(line + strlen("Seccomp_filters:"), NULL, 10) != filters)
        return false;
    rmt_auto_ptr number = NULL;
    RMT_OK(rmt_io_load(call, 4096, &number, &size, &error));
    return strtol(number, NULL, 10) == SYS_poll;
}

static int
s_wait_stop(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, __WALL), pid);
    assert_true(WIFSTOPPED(status));
    return WSTOPSIG(status);
}

void
injected_stop(pid_t pid, struct user_regs_struct *regs_out)
{
    assert_int_equal(ptrace(PTRACE_ATTACH, pid, 0, 0), 0);
    s_stopped = pid;
    (void) s_wait_stop(pid);
    assert_int_equal(ptrace(PTRACE_GETREGS, pid, 0, regs_out), 0);
}

long
injected_call(pid_t pid, const struct user_regs_struct *stopped, long call,
              const unsigned long *arguments)
{
    struct user_regs_struct regs = *stopped;
    regs.rax = (unsigned long long) call;
    regs.orig_rax = (unsigned long long) -1;
    regs.rip -= 2; // The instruction "syscall"
    regs.rdi = arguments[0];
    regs.rsi = arguments[1];
    regs.rdx = arguments[2];
    regs.r10 = arguments[3];
    regs.r8 = regs.r9 = 0;
    const unsigned long long begin = regs.rip;
    int signal_number;
    assert_int_equal(ptrace(PTRACE_SETREGS, pid, 0, &regs), 0);
    // The trap of the step before may still be due; then nothing has happened.
    do {
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, 0, 0), 0);
        signal_number = s_wait_stop(pid);
        assert_int_equal(ptrace(PTRACE_GETREGS, pid, 0, &regs), 0);
    } while (signal_number == SIGTRAP && regs.rip == begin);
    assert_int_equal(ptrace(PTRACE_SETREGS, pid, 0, stopped), 0);
    assert_true(signal_number == SIGSYS || signal_number == SIGTRAP);
    return signal_number == SIGSYS ? INJECTED_FORBIDDEN : (long) regs.rax;
}

unsigned long
injected_put(pid_t pid, const struct user_regs_struct *stopped, unsigned room,
             const void *bytes, size_t size)
{
    assert_true(size <= ROOM_SIZE);
    const unsigned long at = stopped->rsp - BELOW_STACK + room * ROOM_SIZE;
    for (size_t i = 0; i < size; i += sizeof(long)) {
        long word = 0;
        memcpy(&word, (const char *) bytes + i,
               size - i < sizeof word ? size - i : sizeof word);
        assert_int_equal(ptrace(PTRACE_POKEDATA, pid, at + i, word), 0);
    }
    return at;
}

void
injected_go_on(void)
{
    if (s_stopped)
        (void) ptrace(PTRACE_DETACH, s_stopped, 0, 0);
    s_stopped = 0;
}
