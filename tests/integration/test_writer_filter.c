// The system calls that the running writer may make: they are put into it as a taken-over
// writer would make them.
#include "integration/injected.h"
#include "integration/writer_process.h"
#include "tools/rmt_test.h"
#include "tools/rmt_wait.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/diskw/filter.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"

#define WAIT_MS 20000

static const struct {
    const char *name;
    long call;
    unsigned long arguments[4];
    long answer; // In the writer that waits for its order
} s_calls[] = {
    {"getppid", SYS_getppid, {0}, 0}, // Shows that the others fail by the filter
    {"ptrace", SYS_ptrace, {PTRACE_TRACEME}, INJECTED_FORBIDDEN},
    {"bpf", SYS_bpf, {0}, INJECTED_FORBIDDEN},
    {"kexec_load", SYS_kexec_load, {0}, INJECTED_FORBIDDEN},
    {"kexec_file_load", SYS_kexec_file_load, {0}, INJECTED_FORBIDDEN},
    {"init_module", SYS_init_module, {0}, INJECTED_FORBIDDEN},
    {"finit_module", SYS_finit_module, {0}, INJECTED_FORBIDDEN},
    {"delete_module", SYS_delete_module, {0}, INJECTED_FORBIDDEN},
    {"open_by_handle_at", SYS_open_by_handle_at, {0}, INJECTED_FORBIDDEN},
    {"name_to_handle_at", SYS_name_to_handle_at, {0}, INJECTED_FORBIDDEN},
    {"keyctl", SYS_keyctl, {0}, INJECTED_FORBIDDEN},
    {"add_key", SYS_add_key, {0}, INJECTED_FORBIDDEN},
    {"userfaultfd", SYS_userfaultfd, {0}, INJECTED_FORBIDDEN},
    {"io_uring_setup", SYS_io_uring_setup, {1, 0}, INJECTED_FORBIDDEN},
    {"perf_event_open", SYS_perf_event_open, {0}, INJECTED_FORBIDDEN},
    {"process_vm_writev", SYS_process_vm_writev, {0}, INJECTED_FORBIDDEN},
    {"pidfd_getfd", SYS_pidfd_getfd, {0}, INJECTED_FORBIDDEN},
    {"chroot", SYS_chroot, {0}, -EFAULT}, // Of its parser
    {"pivot_root", SYS_pivot_root, {0}, INJECTED_FORBIDDEN},
    {"setns", SYS_setns, {0}, INJECTED_FORBIDDEN},
    {"fsopen", SYS_fsopen, {0}, INJECTED_FORBIDDEN},
    {"open_tree", SYS_open_tree, {0}, INJECTED_FORBIDDEN},
    {"move_mount", SYS_move_mount, {0}, INJECTED_FORBIDDEN},
    {"reboot", SYS_reboot, {0}, INJECTED_FORBIDDEN},
    {"swapon", SYS_swapon, {0}, INJECTED_FORBIDDEN},
    {"settimeofday", SYS_settimeofday, {0}, INJECTED_FORBIDDEN},
    {"personality", SYS_personality, {0xffffffff}, INJECTED_FORBIDDEN},
    {"connect", SYS_connect, {0}, INJECTED_FORBIDDEN},
    {"socket", SYS_socket, {AF_INET, SOCK_STREAM, 0}, -EPERM},
    {"mount with devices", SYS_mount, {0, 0, 0, MS_NOSUID}, -EPERM},
    {"remount",
     SYS_mount,
     {0, 0, 0, MS_REMOUNT | MS_NODEV | MS_NOSUID | MS_NOEXEC},
     -EPERM},
    {"mount", SYS_mount, {0, 0, 0, MS_NODEV | MS_NOSUID | MS_NOEXEC}, -EFAULT},
    {"unshare of users", SYS_unshare, {CLONE_NEWUSER}, -EPERM},
    {"clone of users", SYS_clone, {CLONE_NEWUSER | SIGCHLD}, -EPERM},
    {"clone3", SYS_clone3, {0}, -ENOSYS},
    {"SG_IO", SYS_ioctl, {0, 0x2285}, -EPERM},
    {"TIOCSTI", SYS_ioctl, {0, 0x5412}, -EPERM},
};

typedef struct {
    pid_t pid;
    rmt_pipe_t *pipe;
} writer_t;

static int
s_setup(void **state)
{
    writer_t *self = calloc(1, sizeof *self);
    self->pid = writer_process_start(&self->pipe);
    *state = self;
    return 0;
}

static int
s_teardown(void **state)
{
    writer_t *self = *state;
    injected_go_on();
    rmt_pipe_destroy(&self->pipe);
    (void) kill(self->pid, SIGKILL);
    (void) waitpid(self->pid, NULL, 0);
    free(self);
    return 0;
}

// P22: a writer that is taken over by what it reads cannot reach the kernel's back doors.
static void
test_calls_that_writing_does_not_need_fail_in_the_writer(void **state)
{
    const writer_t *self = *state;
    struct user_regs_struct stopped;
    RMT_WAIT_UNTIL(injected_is_waiting(self->pid, 2), WAIT_MS);
    injected_stop(self->pid, &stopped);
    for (size_t i = 0; i < sizeof s_calls / sizeof *s_calls; i++) {
        if (s_calls[i].call == SYS_ptrace && rmt_process_is_sanitized())
            continue; // Its filter lets the sanitizer look into its own process
        const long wanted = s_calls[i].call == SYS_getppid ? getpid() : s_calls[i].answer;
        const long found =
            injected_call(self->pid, &stopped, s_calls[i].call, s_calls[i].arguments);
        if (found != wanted)
            fail_msg("%s gave %ld instead of %ld", s_calls[i].name, found, wanted);
    }
    injected_go_on();
}

// P22: it is told which call was refused, and when.
static void
test_a_refused_call_ends_the_writer_with_its_name(void **state)
{
    writer_t *self = *state;
    struct user_regs_struct regs;
    rmt_error_t error = {0};
    RMT_WAIT_UNTIL(injected_is_waiting(self->pid, 2), WAIT_MS);
    injected_stop(self->pid, &regs);
    regs.rax = SYS_bpf;
    regs.orig_rax = (unsigned long long) -1;
    regs.rip -= 2;
    assert_int_equal(ptrace(PTRACE_SETREGS, self->pid, 0, &regs), 0);
    injected_go_on();
    rmt_frame_t frame;
    assert_int_equal(rmt_pipe_recv(self->pipe, WAIT_MS, &frame, &error), 1);
    assert_int_equal(frame.kind, RMT_PIPE_ERROR);
    rmt_auto(rmt_record) answer = rmt_pipe_record(&frame, &error);
    RMT_OK(answer);
    assert_int_equal(rmt_record_u64(answer, "code", 0), RMT_E_REFUSED);
    assert_non_null(strstr(rmt_record_text(answer, "text", ""),
                           "in phase order the writer made the system call bpf"));
}

// ---- Later stages, in a process of the test's own

static int
s_call(long call, unsigned long first, unsigned long fourth)
{
    return syscall(call, first, NULL, NULL, fourth) == -1 ? errno : 0;
}

static int
s_try_mount(void *context, rmt_error_t *error)
{
    (void) error;
    int *found = context;
    *found = s_call(SYS_mount, 0, MS_NODEV | MS_NOSUID | MS_NOEXEC);
    return 0;
}

// What the stages say; 0 when all is as it must be, else the number of the line.
static int
s_walk_stages(void)
{
    rmt_error_t error = {0};
    int found = 0;
    if (rmt_filter_enter(RMT_FILTER_START, &error) == -1 ||
        s_call(SYS_mount, 0, MS_NOSUID | MS_NOEXEC) != EFAULT ||
        s_call(SYS_unshare, CLONE_NEWNS, 0) != 0)
        return __LINE__;
    if (rmt_filter_enter(RMT_FILTER_WRITE, &error) == -1 ||
        s_call(SYS_mount, 0, MS_NOSUID | MS_NOEXEC) != EPERM ||
        s_call(SYS_mount, 0, MS_NODEV | MS_NOSUID | MS_NOEXEC) != EFAULT ||
        rmt_filter_check("format", &error) == -1)
        return __LINE__;
    if (rmt_filter_run(s_try_mount, &found, &error) == -1 || found != EPERM ||
        rmt_filter_check("format", &error) == 0 ||
        !strstr(error.text, "in phase format the writer made the system call mount"))
        return __LINE__;
    return s_call(SYS_unshare, CLONE_NEWNS, 0) == EPERM ? 0 : __LINE__;
}

static int
s_status_of(int (*function)(void))
{
    int status = 0;
    const pid_t pid = fork();
    if (pid == 0)
        _exit(function());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void
test_each_stage_allows_less(void **state)
{
    (void) state;
    assert_int_equal(s_status_of(s_walk_stages), 0);
}

static int
s_start_program(void *context, rmt_error_t *error)
{
    (void) error;
    int *status = context;
    char *const arguments[] = {"umount", "-n", "/proc/no-mount-point", NULL};
    const pid_t pid = fork();
    if (pid == 0) {
        execvp(arguments[0], arguments);
        _exit(127);
    }
    return waitpid(pid, status, 0) == pid ? 0 : -1;
}

static int
s_start_tool(void)
{
    rmt_error_t error = {0};
    int status = 0;
    if (rmt_filter_enter(RMT_FILTER_WRITE, &error) == -1 ||
        rmt_filter_run(s_start_program, &status, &error) == -1)
        return __LINE__;
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? 0 : __LINE__;
}

// A program that the writer starts has less than the writer.
static void
test_a_tool_cannot_unmount(void **state)
{
    (void) state;
    assert_int_equal(s_status_of(s_start_tool), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_calls_that_writing_does_not_need_fail_in_the_writer, s_setup,
            s_teardown),
        cmocka_unit_test_setup_teardown(test_a_refused_call_ends_the_writer_with_its_name,
                                        s_setup, s_teardown),
        cmocka_unit_test(test_each_stage_allows_less),
        cmocka_unit_test(test_a_tool_cannot_unmount),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
