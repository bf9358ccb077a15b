// The process that parses for the writer: what code can do there that came with an image.
// System calls are put into it as a taken-over parser would make them. Needs root.
#include "integration/injected.h"
#include "integration/writer_bench.h"
#include "integration/writer_process.h"
#include "tools/rmt_wait.h"

#include "agent/diskw/parser_link.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"
#include "tree/rmt_inode.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#define WAIT_MS 20000
#define FOLDER 3  // The volume, of a parser
#define FILTERS 6 // Two of each stage

// The parser that the writer has now; 0 for none.
static pid_t
s_find_parser(const bench_t *self)
{
    rmt_error_t error = {0};
    rmt_auto_ptr text = NULL;
    size_t size = 0;
    rmt_auto_str path =
        rmt_text("/proc/%d/task/%d/children", (int) self->pid, (int) self->pid);
    RMT_OK(rmt_io_load(path, 4096, &text, &size, &error));
    return (pid_t) strtol(text, NULL, 10);
}

static bool
s_is_parsing(const bench_t *self)
{
    const pid_t pid = s_find_parser(self);
    return pid && kill(pid, 0) == 0 && injected_is_waiting(pid, FILTERS);
}

// A number of /proc/PID/status, in this base.
static uint64_t
s_status(pid_t pid, const char *name, int base)
{
    rmt_error_t error = {0};
    rmt_auto_str path = rmt_text("/proc/%d/status", (int) pid);
    rmt_auto_ptr text = NULL;
    size_t size = 0;
    RMT_OK(rmt_io_load(path, 65536, &text, &size, &error));
    const char *line = strstr(text, name);
    assert_non_null(line);
    return strtoull(line + strlen(name), NULL, base);
}

// It has the root of the tree, and waits for more.
static pid_t
s_begin_unpack(bench_t *self)
{
    rmt_error_t error = {0};
    bench_send_order(self, 0);
    bench_send_volume(self, RMT_PIPE_VOLUME);
    RMT_OK(rmt_pipe_flush(self->pipe, &error));
    RMT_WAIT_UNTIL(s_is_parsing(self), WAIT_MS);
    return s_find_parser(self);
}

// The tree is there, with the files of its first boot; the manifest is waited for.
static pid_t
s_begin_verify(bench_t *self)
{
    rmt_error_t error = {0};
    rmt_id_t root;
    bench_root(self, &root);
    bench_send_order(self, 0);
    bench_send_tree(self, &root);
    bench_send_personal(self);
    RMT_OK(rmt_pipe_send(self->pipe, RMT_PIPE_SETTLE, NULL, 0, &error));
    bench_send_volume(self, RMT_PIPE_VERIFY);
    RMT_OK(rmt_pipe_flush(self->pipe, &error));
    for (;;) {
        rmt_frame_t frame;
        assert_int_equal(rmt_pipe_recv(self->pipe, WAIT_MS, &frame, &error), 1);
        assert_int_equal(frame.kind, RMT_PIPE_PROGRESS);
        rmt_auto(rmt_record) record = rmt_pipe_record(&frame, &error);
        if (strcmp(rmt_record_text(record, "phase", ""), "verify") == 0)
            break;
    }
    RMT_WAIT_UNTIL(s_is_parsing(self), WAIT_MS);
    return s_find_parser(self);
}

// ---- Calls

#define FORBIDDEN INJECTED_FORBIDDEN

typedef struct {
    const char *name;
    long call;
    unsigned long arguments[4];
    long answer;
} row_t;

// Forbidden in both tasks, whatever the arguments.
static const row_t s_never[] = {
    {"execve", SYS_execve, {0}, FORBIDDEN},
    {"execveat", SYS_execveat, {0}, FORBIDDEN},
    {"fork", SYS_fork, {0}, FORBIDDEN},
    {"clone of a process", SYS_clone, {SIGCHLD}, -EPERM},
    {"mount", SYS_mount, {0, 0, 0, MS_SYNC}, FORBIDDEN},
    {"umount", SYS_umount2, {0}, FORBIDDEN},
    {"open_tree", SYS_open_tree, {0}, FORBIDDEN},
    {"fsopen", SYS_fsopen, {0}, FORBIDDEN},
    {"unshare", SYS_unshare, {CLONE_NEWNS}, FORBIDDEN},
    {"setns", SYS_setns, {0}, FORBIDDEN},
    {"chroot", SYS_chroot, {0}, FORBIDDEN},
    {"pivot_root", SYS_pivot_root, {0}, FORBIDDEN},
    {"open_by_handle_at", SYS_open_by_handle_at, {0}, FORBIDDEN},
    {"socket", SYS_socket, {AF_INET, SOCK_STREAM, 0}, FORBIDDEN},
    {"socketpair", SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0}, FORBIDDEN},
    {"connect", SYS_connect, {0}, FORBIDDEN},
    {"ptrace", SYS_ptrace, {PTRACE_TRACEME}, FORBIDDEN},
    {"process_vm_readv", SYS_process_vm_readv, {0}, FORBIDDEN},
    {"pidfd_open", SYS_pidfd_open, {1}, FORBIDDEN},
    {"kill", SYS_kill, {1, 0}, FORBIDDEN},
    {"tgkill", SYS_tgkill, {1, 1, 0}, -EPERM},
    {"prlimit64", SYS_prlimit64, {0}, FORBIDDEN},
    {"capset", SYS_capset, {0}, FORBIDDEN},
    {"prctl", SYS_prctl, {0}, FORBIDDEN},
    {"seccomp", SYS_seccomp, {0}, FORBIDDEN},
    {"setuid", SYS_setuid, {0}, FORBIDDEN},
    {"bpf", SYS_bpf, {0}, FORBIDDEN},
    {"io_uring_setup", SYS_io_uring_setup, {1}, FORBIDDEN},
    {"init_module", SYS_init_module, {0}, FORBIDDEN},
    {"memory that runs", SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE}, -EPERM},
    {"write to the pipe", SYS_write, {0, 0, 0}, -EPERM},
    {"write to the link", SYS_write, {1, 0, 0}, -EPERM},
    {"BLKFLSBUF", SYS_ioctl, {FOLDER, 0x1261}, -EPERM},
    {"FICLONE", SYS_ioctl, {FOLDER, 0x40049409}, -EPERM},
};

// And to verify also those that change a tree.
static const row_t s_changes[] = {
    {"openat2", SYS_openat2, {0}, FORBIDDEN},
    {"openat to write", SYS_openat, {FOLDER, 0, O_WRONLY}, -EPERM},
    {"openat to create", SYS_openat, {FOLDER, 0, O_CREAT}, -EPERM},
    {"mkdirat", SYS_mkdirat, {FOLDER, 0, 0700}, FORBIDDEN},
    {"mknodat", SYS_mknodat, {FOLDER, 0, S_IFIFO}, FORBIDDEN},
    {"unlinkat", SYS_unlinkat, {FOLDER, 0, 0}, FORBIDDEN},
    {"renameat2", SYS_renameat2, {FOLDER, 0, FOLDER, 0}, FORBIDDEN},
    {"linkat", SYS_linkat, {FOLDER, 0, FOLDER, 0}, FORBIDDEN},
    {"symlinkat", SYS_symlinkat, {0, FOLDER, 0}, FORBIDDEN},
    {"pwrite64", SYS_pwrite64, {FOLDER, 0, 0, 0}, FORBIDDEN},
    {"ftruncate", SYS_ftruncate, {FOLDER, 0}, FORBIDDEN},
    {"fallocate", SYS_fallocate, {FOLDER, 0}, FORBIDDEN},
    {"fchmod", SYS_fchmod, {FOLDER, 0777}, FORBIDDEN},
    {"fchownat", SYS_fchownat, {FOLDER, 0, 0, 0}, FORBIDDEN},
    {"utimensat", SYS_utimensat, {FOLDER, 0, 0, 0}, FORBIDDEN},
    {"fsetxattr", SYS_fsetxattr, {FOLDER, 0, 0, 0}, FORBIDDEN},
    {"SETFLAGS", SYS_ioctl, {FOLDER, 0x40086602}, -EPERM},
};

static void
s_try(pid_t pid, const struct user_regs_struct *stopped, const row_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].call == SYS_ptrace && rmt_process_is_sanitized())
            continue; // Its filter lets the sanitizer look into its own process
        const long found = injected_call(pid, stopped, rows[i].call, rows[i].arguments);
        if (found != rows[i].answer)
            fail_msg("%s gave %ld instead of %ld", rows[i].name, found, rows[i].answer);
    }
}

// Open a path to read.
static long
s_open(pid_t pid, const struct user_regs_struct *stopped, long folder, const char *path)
{
    const unsigned long text = injected_put(pid, stopped, 0, path, strlen(path) + 1);
    const unsigned long arguments[4] = {(unsigned long) folder, text, O_RDONLY};
    return injected_call(pid, stopped, SYS_openat, arguments);
}

// Nothing of the machine has a name: neither files of others nor devices nor /proc.
static void
s_try_ways_out(const bench_t *self, pid_t pid, const struct user_regs_struct *stopped)
{
    rmt_auto_str own = rmt_text("%s/tree/hello", self->folder);
    rmt_auto_str above = rmt_text("../../../../../..%s/tree/hello", self->folder);
    const char *const paths[] = {own,           above,
                                 self->disk,    "/dev/loop-control",
                                 "/etc/passwd", "/proc/self/mem",
                                 "/proc/1/mem", "/sys/kernel/uevent_helper"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        assert_int_equal(s_open(pid, stopped, AT_FDCWD, paths[i]), -ENOENT);
        const char *path = paths[i] + (*paths[i] == '/');
        assert_int_equal(s_open(pid, stopped, FOLDER, path), -ENOENT);
    }
}

// ---- What a parser has

static void
s_assert_has_little(pid_t pid, uint64_t most)
{
    rmt_auto_str root = rmt_text("/proc/%d/root/etc/passwd", (int) pid);
    const uint64_t effective = s_status(pid, "CapEff:", 16);
    assert_int_equal(effective & ~most, 0);
    assert_int_equal(s_status(pid, "CapPrm:", 16), effective);
    assert_int_equal(s_status(pid, "CapInh:", 16), 0);
    assert_int_equal(s_status(pid, "NoNewPrivs:", 10), 1);
    assert_int_equal(access(root, F_OK), -1);
    for (int fd = 0; fd < 64; fd++) {
        rmt_auto_str path = rmt_text("/proc/%d/fd/%d", (int) pid, fd);
        struct stat status;
        assert_int_equal(lstat(path, &status), fd <= FOLDER ? 0 : -1);
    }
}

// Look through all memory of a process.
static bool
s_holds(pid_t pid, const char *text)
{
    rmt_auto_str maps = rmt_text("/proc/%d/maps", (int) pid);
    char line[512];
    bool found = false;
    FILE *file = fopen(maps, "r");
    assert_non_null(file);
    while (!found && fgets(line, sizeof line, file)) {
        char *end = NULL;
        const unsigned long from = strtoul(line, &end, 16);
        const unsigned long to = strtoul(end + 1, &end, 16);
        if (end[1] != 'r' || to - from > ((size_t) 64 << 20))
            continue;
        rmt_auto_ptr copy = malloc(to - from);
        const struct iovec here = {copy, to - from};
        const struct iovec there = {(void *) from, to - from};
        const ssize_t size = process_vm_readv(pid, &here, 1, &there, 1, 0);
        found = size > 0 && memmem(copy, (size_t) size, text, strlen(text));
    }
    fclose(file);
    return found;
}

#define BIT(capability) ((uint64_t) 1 << (capability))

// ---- Cases

// P22: the parser makes files of an image, and nothing else.
static void
test_code_in_the_parser_reaches_neither_device_nor_program_nor_machine(void **state)
{
    bench_t *self = *state;
    struct user_regs_struct stopped;
    const pid_t pid = s_begin_unpack(self);
    s_assert_has_little(pid, BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) |
                                 BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_FOWNER) |
                                 BIT(CAP_FSETID) | BIT(CAP_MKNOD) |
                                 BIT(CAP_LINUX_IMMUTABLE) | BIT(CAP_SYS_RESOURCE));
    injected_stop(pid, &stopped);
    const unsigned long none[4] = {0};
    assert_int_equal(injected_call(pid, &stopped, SYS_getpid, none), pid);
    s_try(pid, &stopped, s_never, sizeof s_never / sizeof *s_never);
    s_try_ways_out(self, pid, &stopped);
    injected_go_on();
}

// A device of an image is made on the disk; here it opens nothing.
static void
test_code_in_the_parser_cannot_open_a_device_that_it_makes(void **state)
{
    bench_t *self = *state;
    struct user_regs_struct stopped;
    const pid_t pid = s_begin_unpack(self);
    injected_stop(pid, &stopped);
    const unsigned long name = injected_put(pid, &stopped, 0, "node", 5);
    const unsigned long make[4] = {FOLDER, name, S_IFCHR | 0600, makedev(1, 5)};
    const struct open_how how = {.flags = O_WRONLY};
    const unsigned long write[4] = {
        FOLDER, name, injected_put(pid, &stopped, 1, &how, sizeof how), sizeof how};
    assert_int_equal(injected_call(pid, &stopped, SYS_mknodat, make), 0);
    assert_int_equal(s_open(pid, &stopped, FOLDER, "node"), -EACCES);
    assert_int_equal(injected_call(pid, &stopped, SYS_openat2, write), -EACCES);
    injected_go_on();
}

// The attributes that need privileges are the writer's to set.
static void
test_code_in_the_parser_sets_no_trusted_attribute_itself(void **state)
{
    bench_t *self = *state;
    struct user_regs_struct stopped;
    const pid_t pid = s_begin_unpack(self);
    injected_stop(pid, &stopped);
    static const char value[20] = {0, 0, 0, 2}; // Capabilities: none
    static const char *const names[] = {"trusted.ramet", "security.ramet",
                                        "security.capability"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const unsigned long name =
            injected_put(pid, &stopped, 0, names[i], strlen(names[i]) + 1);
        const unsigned long set[4] = {FOLDER, name,
                                      injected_put(pid, &stopped, 1, value, sizeof value),
                                      sizeof value};
        const long found = injected_call(pid, &stopped, SYS_fsetxattr, set);
        if (found != -EPERM)
            fail_msg("%s gave %ld", names[i], found);
    }
    injected_go_on();
}

// Ask the writer over the link to set an attribute of a descriptor of the parser's, and
// wait for its answer.
static void
s_ask_to_set(pid_t pid, const struct user_regs_struct *stopped, int fd)
{
    const struct cmsghdr rights = {CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS};
    char control[CMSG_LEN(sizeof(int))];
    memcpy(control, &rights, sizeof rights);
    memcpy(control + sizeof rights, &fd, sizeof fd);
    rmt_parser_message_t message = {.kind = RMT_PARSER_REQUEST,
                                    .code = RMT_INODE_SET,
                                    .name = "trusted.ramet",
                                    .size = 1};
    const size_t head = offsetof(rmt_parser_message_t, fd);
    struct iovec parts[2] = {
        {(void *) injected_put(pid, stopped, 0, &message, head), head},
        {(void *) injected_put(pid, stopped, 1, "x", 2), 1}};
    struct msghdr packet = {
        .msg_iov = (void *) injected_put(pid, stopped, 2, parts, sizeof parts),
        .msg_iovlen = 2,
        .msg_control = (void *) injected_put(pid, stopped, 3, control, sizeof control),
        .msg_controllen = sizeof control};
    const unsigned long send[4] = {
        STDOUT_FILENO, injected_put(pid, stopped, 4, &packet, sizeof packet), 0};
    assert_int_equal(injected_call(pid, stopped, SYS_sendmsg, send), head + 1);
    packet.msg_control = NULL;
    packet.msg_controllen = 0;
    packet.msg_iovlen = 1;
    const unsigned long hear[4] = {
        STDOUT_FILENO, injected_put(pid, stopped, 4, &packet, sizeof packet), 0};
    assert_int_equal(injected_call(pid, stopped, SYS_recvmsg, hear), head);
}

// P22: the writer sets attributes for its parser on inodes of the parser's volume alone.
static void
test_the_writer_sets_attributes_of_the_volume_alone(void **state)
{
    bench_t *self = *state;
    struct user_regs_struct stopped;
    char value[2], other[] = "/tmp/test-parser-XXXXXX";
    // Standard error of writer and parser is a file of the machine.
    rmt_auto_fd file = mkostemp(other, O_CLOEXEC);
    rmt_auto_fd own = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    (void) bench_reap(self);
    dup2(file, STDERR_FILENO);
    self->pid = writer_process_start(&self->pipe);
    dup2(own, STDERR_FILENO);
    unlink(other);
    const pid_t pid = s_begin_unpack(self);
    rmt_auto_str root = rmt_text("/proc/%d/root", (int) pid);
    injected_stop(pid, &stopped);
    s_ask_to_set(pid, &stopped, FOLDER);
    assert_int_equal(getxattr(root, "trusted.ramet", value, sizeof value), 1);
    s_ask_to_set(pid, &stopped, STDERR_FILENO);
    assert_int_equal(fgetxattr(file, "trusted.ramet", value, sizeof value), -1);
    injected_go_on();
}

// P9 P22: what is verified is not changed by who verifies it.
static void
test_code_in_the_parser_that_verifies_changes_nothing(void **state)
{
    bench_t *self = *state;
    struct user_regs_struct stopped;
    const pid_t pid = s_begin_verify(self);
    s_assert_has_little(pid, BIT(CAP_DAC_READ_SEARCH));
    injected_stop(pid, &stopped);
    s_try(pid, &stopped, s_never, sizeof s_never / sizeof *s_never);
    s_try(pid, &stopped, s_changes, sizeof s_changes / sizeof *s_changes);
    s_try_ways_out(self, pid, &stopped);
    injected_go_on();
}

// The writer was given the files of the first boot before; its parser is not it.
static void
test_the_parser_has_no_memory_of_keys(void **state)
{
    bench_t *self = *state;
    const pid_t pid = s_begin_verify(self);
    assert_true(s_holds(self->pid, BENCH_SECRET));
    assert_true(s_holds(pid, "ramet-diskw"));
    assert_false(s_holds(pid, BENCH_SECRET));
}

// ---- How it ends

static void
s_assert_failed(bench_t *self, rmt_code_t code, const char *text)
{
    rmt_auto(rmt_record) record = NULL;
    assert_int_equal(bench_answer(self, &record), RMT_PIPE_ERROR);
    if (!strstr(rmt_record_text(record, "text", ""), text))
        fail_msg("'%s' lacks '%s'", rmt_record_text(record, "text", ""), text);
    assert_int_equal(rmt_record_u64(record, "code", 0), code);
    assert_int_not_equal(bench_reap(self), 0);
    assert_false(bench_is_attached(self));
}

static void
test_a_refused_call_of_the_parser_is_told_by_name(void **state)
{
    bench_t *self = *state;
    struct user_regs_struct regs;
    const pid_t pid = s_begin_unpack(self);
    injected_stop(pid, &regs);
    regs.rax = SYS_bpf;
    regs.orig_rax = (unsigned long long) -1;
    regs.rip -= 2;
    assert_int_equal(ptrace(PTRACE_SETREGS, pid, 0, &regs), 0);
    injected_go_on();
    s_assert_failed(self, RMT_E_REFUSED,
                    "in phase unpack the writer made the system call bpf");
}

static void
test_a_parser_that_dies_is_told_with_its_signal(void **state)
{
    bench_t *self = *state;
    const pid_t pid = s_begin_unpack(self);
    assert_int_equal(kill(pid, SIGKILL), 0);
    s_assert_failed(self, RMT_E_INTERNAL, "the parser was ended by signal 9 (Killed)");
}

// Its volume would stay in use.
static void
test_a_parser_does_not_outlive_its_writer(void **state)
{
    bench_t *self = *state;
    const pid_t pid = s_begin_unpack(self);
    // One that hangs does not see the end of its input.
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(kill(self->pid, SIGKILL), 0);
    (void) bench_reap(self);
    RMT_WAIT_UNTIL(kill(pid, 0) == -1, WAIT_MS);
    RMT_WAIT_UNTIL(!bench_is_attached(self), WAIT_MS);
}

static int
s_teardown(void **state)
{
    injected_go_on();
    return bench_teardown(state);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, bench_setup, s_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_code_in_the_parser_reaches_neither_device_nor_program_nor_machine),
        CASE(test_code_in_the_parser_cannot_open_a_device_that_it_makes),
        CASE(test_code_in_the_parser_sets_no_trusted_attribute_itself),
        CASE(test_the_writer_sets_attributes_of_the_volume_alone),
        CASE(test_code_in_the_parser_that_verifies_changes_nothing),
        CASE(test_the_parser_has_no_memory_of_keys),
        CASE(test_a_refused_call_of_the_parser_is_told_by_name),
        CASE(test_a_parser_that_dies_is_told_with_its_signal),
        CASE(test_a_parser_does_not_outlive_its_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
