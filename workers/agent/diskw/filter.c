#include "agent/diskw/filter.h"
#include "agent/diskw/filter_rows.h"
#include "base/rmt_process.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

// What the kernel answers to a call that is not allowed: the signal SIGSYS of FORBIDDEN
// goes before the error of REFUSED where both filters of a stage say no.
#define FORBIDDEN SCMP_ACT_TRAP
#define REFUSED SCMP_ACT_ERRNO(EPERM)

// The number of the first call that was refused, plus one; written by the signal handler.
static volatile sig_atomic_t s_refused;

// The call comes back with an error, as it would where the kernel refuses it.
static void
s_on_refused(int number, siginfo_t *info, void *context)
{
    ucontext_t *machine = context;
    (void) number;
    if (!s_refused)
        s_refused = info->si_syscall + 1;
#if defined(__x86_64__)
    machine->uc_mcontext.gregs[REG_RAX] = -EPERM;
#elif defined(__aarch64__)
    machine->uc_mcontext.regs[0] = (unsigned long long) -EPERM;
#else
#error "say where this processor keeps the result of a system call"
#endif
}

static int
s_fail(int rc, const char *what, rmt_error_t *error)
{
    errno = rc < 0 ? -rc : EPERM;
    return rmt_fail_errno(error, "%s the filter of system calls", what);
}

static const rmt_filter_list_t *
s_list(rmt_filter_stage_t stage)
{
    return stage < RMT_FILTER_UNPACK ? &RMT_FILTER_WRITER : &RMT_FILTER_PARSER;
}

// Calls that are allowed with some arguments alone; no row fits those named here.
static bool
s_is_looked_into(const rmt_filter_list_t *list, int call)
{
    for (size_t i = 0; i < list->argument_count; i++)
        if (list->arguments[i].call == call)
            return true;
    return call == SCMP_SYS(socket) || call == SCMP_SYS(clone3) ||
           (list == &RMT_FILTER_PARSER && call == SCMP_SYS(tgkill));
}

// What no row of a parser can say.
static int
s_add_parser(scmp_filter_ctx filter)
{
    // Where it finds a fault of its own it ends itself, and no other process.
    const struct scmp_arg_cmp is_own = {0, SCMP_CMP_MASKED_EQ, UINT32_MAX,
                                        (scmp_datum_t) getpid()};
    int rc = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &is_own);
    // What the second filter is loaded with; that one has neither.
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 0);
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(seccomp), 0);
    return rc;
}

// The calls of a stage; with is_strict those that are looked into only where a row fits.
static int
s_add_rules(scmp_filter_ctx filter, rmt_filter_stage_t stage, bool is_strict)
{
    int rc = 0;
    const rmt_filter_list_t *list = s_list(stage);
    for (size_t i = 0; i < list->call_count && rc == 0; i++) {
        const rmt_filter_call_t *row = &list->calls[i];
        if (row->last >= stage && !(is_strict && s_is_looked_into(list, row->call)))
            rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, row->call, 0);
    }
    for (size_t i = 0; is_strict && i < list->argument_count && rc == 0; i++) {
        const rmt_filter_argument_t *row = &list->arguments[i];
        const struct scmp_arg_cmp fits = {row->argument, SCMP_CMP_MASKED_EQ, row->mask,
                                          row->value};
        if (row->last >= stage)
            rc = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, row->call, 1, &fits);
    }
    // Its flags lie in memory, where no filter sees them; libraries have clone instead.
    if (rc == 0 && is_strict)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (rc == 0 && is_strict && list == &RMT_FILTER_PARSER)
        rc = s_add_parser(filter);
    // A sanitizer looks into its own process at the end.
    if (rc == 0 && rmt_process_is_sanitized())
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ptrace), 0);
    return rc;
}

static int
s_load(rmt_filter_stage_t stage, bool is_strict, rmt_error_t *error)
{
    scmp_filter_ctx filter = seccomp_init(is_strict ? REFUSED : FORBIDDEN);
    if (!filter)
        return s_fail(0, "make", error);
    int rc = seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1);
    if (rc == 0)
        rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (rc == 0)
        rc = s_add_rules(filter, stage, is_strict);
    if (rc == 0)
        rc = seccomp_load(filter);
    seccomp_release(filter);
    return rc == 0 ? 0 : s_fail(rc, "load", error);
}

// Of the calling thread, and of all that it starts later.
static int
s_enter(rmt_filter_stage_t stage, rmt_error_t *error)
{
    return s_load(stage, true, error) == -1 ? -1 : s_load(stage, false, error);
}

int
rmt_filter_enter(rmt_filter_stage_t stage, rmt_error_t *error)
{
    struct sigaction action = {.sa_sigaction = s_on_refused,
                               .sa_flags = SA_SIGINFO | SA_NODEFER};
    if (sigaction(SIGSYS, &action, NULL) == -1)
        return rmt_fail_errno(error, "hear of refused system calls");
    return s_enter(stage, error);
}

typedef struct {
    rmt_filter_fn *function;
    void *context;
    rmt_error_t *error;
    int rc;
} run_t;

static void *
s_run(void *context)
{
    run_t *self = context;
    self->rc = s_enter(RMT_FILTER_TOOL, self->error);
    if (self->rc == 0)
        self->rc = self->function(self->context, self->error);
    return NULL;
}

int
rmt_filter_run(rmt_filter_fn *function, void *context, rmt_error_t *error)
{
    run_t run = {function, context, error, -1};
    pthread_t thread;
    errno = pthread_create(&thread, NULL, s_run, &run);
    if (errno)
        return rmt_fail_errno(error, "start a thread");
    pthread_join(thread, NULL);
    return run.rc;
}

int
rmt_filter_check(const char *phase, rmt_error_t *error)
{
    const int refused = s_refused;
    if (!refused)
        return 0;
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, refused - 1);
    rmt_fail(error, RMT_E_REFUSED,
             "in phase %s the writer made the system call %s (%d), which its filter "
             "forbids; keep this message: it tells of a fault or of an attack",
             phase, name ? name : "without a name", refused - 1);
    free(name);
    return -1;
}
