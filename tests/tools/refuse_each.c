#include "tools/refuse_each.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/rmt_child.h"
#include "tools/rmt_test.h"

#define CALLS_MAX 48
#define TRY_S_MAX 60
#define NOT_STARTED 3 // Status of a child without a filter
// Of Linux 6.6; an older kernel only takes longer.
#define NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define NOTIF_SYNC_WAKE_UP ((__u64) 1)

const long refuse_each_files[] = {
    SYS_open,      SYS_openat,     SYS_openat2,  SYS_read,       SYS_pread64,
    SYS_write,     SYS_pwrite64,   SYS_writev,   SYS_lseek,      SYS_stat,
    SYS_fstat,     SYS_newfstatat, SYS_statx,    SYS_lstat,      SYS_statfs,
    SYS_fstatfs,   SYS_getdents64, SYS_readlink, SYS_readlinkat, SYS_access,
    SYS_faccessat, SYS_faccessat2, SYS_mkdir,    SYS_mkdirat,    SYS_unlink,
    SYS_unlinkat,  SYS_rmdir,      SYS_rename,   SYS_renameat,   SYS_renameat2,
    SYS_linkat,    SYS_symlinkat,  SYS_mknodat,  SYS_fsync,      SYS_fdatasync,
    SYS_ftruncate, SYS_fallocate,  SYS_fchmod,   SYS_fchmodat,   SYS_fchown,
    SYS_fchownat,  SYS_utimensat,  SYS_ioctl,    SYS_flock,      SYS_pipe2,
};
const size_t refuse_each_files_count =
    sizeof refuse_each_files / sizeof *refuse_each_files;

// What a child tells the test.
typedef struct {
    refused_t by;
    size_t seen;
} told_t;

// The child's two threads.
typedef struct {
    const refuse_each_t *each;
    told_t *told;
    _Atomic int listener; // -1 until the filter is there
    _Atomic bool is_over; // The act has ended: nothing is refused any more
} counter_t;

static bool
s_is_own(pid_t thread)
{
    return syscall(SYS_tgkill, getpid(), thread, 0) == 0;
}

static int
s_answer(counter_t *self, const struct seccomp_notif *asked)
{
    if (self->is_over || (self->each->only_own && !s_is_own((pid_t) asked->pid)) ||
        ++self->told->seen != self->told->by.number)
        return 0;
    self->told->by.call = asked->data.nr;
    return self->each->code;
}

static void *
s_count(void *context)
{
    counter_t *self = context;
    while (self->listener == -1)
        sched_yield();
    (void) ioctl(self->listener, NOTIF_SET_FLAGS, NOTIF_SYNC_WAKE_UP);
    for (;;) {
        struct seccomp_notif asked = {0};
        if (ioctl(self->listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) == -1)
            continue; // Who asked is gone
        const int code = s_answer(self, &asked);
        struct seccomp_notif_resp answer = {
            .id = asked.id,
            .error = -code,
            .flags = code == 0 ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0,
        };
        (void) ioctl(self->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
    return NULL;
}

// Ask the counting thread at each of the calls. Returns its descriptor, or -1.
static int
s_filter(const refuse_each_t *each)
{
    struct sock_filter steps[CALLS_MAX + 3] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    size_t used = 1;
    for (size_t i = 0; i < each->count; i++, used++)
        steps[used] = (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                                    (uint32_t) each->calls[i],
                                                    (uint8_t) (each->count - i), 0);
    steps[used++] = (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    steps[used++] =
        (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    const struct sock_fprog filter = {.len = (unsigned short) used, .filter = steps};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
        return -1;
    return (int) syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                         SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
}

__attribute__((noreturn)) static void
s_child(const refuse_each_t *each, told_t *told)
{
    // Its end by a signal fails the test; cmocka would go on in the child.
    alarm(TRY_S_MAX);
    (void) signal(SIGABRT, SIG_DFL);
    (void) signal(SIGSEGV, SIG_DFL);
    counter_t counter = {.each = each, .told = told, .listener = -1};
    pthread_t thread;
    if (pthread_create(&thread, NULL, s_count, &counter) != 0)
        _exit(NOT_STARTED);
    const int listener = s_filter(each);
    if (listener == -1)
        _exit(NOT_STARTED);
    counter.listener = listener;
    told->by.result = each->act(each->context, &told->by.error);
    counter.is_over = true;
    rmt_child_end(0);
}

static void
s_try(const refuse_each_t *each, told_t *told)
{
    fflush(NULL); // The child would print it again
    const pid_t child = fork();
    assert_int_not_equal(child, -1);
    if (child == 0)
        s_child(each, told);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    const refused_t *by = &told->by;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("call %zu, %ld: the child ended with status 0x%x", by->number, by->call,
                 status);
    if (by->result == -1 && *by->error.text == '\0')
        fail_msg("call %zu, %ld: the act fails without a text", by->number, by->call);
    if (by->result != 0 && by->call == -1)
        fail_msg("nothing was refused, and the act fails: %s", by->error.text);
}

size_t
refuse_each(const refuse_each_t *each)
{
    assert_in_range(each->count, 1, CALLS_MAX);
    told_t *told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(told, MAP_FAILED);
    const size_t step = each->step ? each->step : 1;
    size_t number = 1;
    for (;; number += step) {
        *told = (told_t){.by = {.number = number, .call = -1}};
        if (each->before)
            each->before(each->context);
        s_try(each, told);
        if (each->after)
            each->after(each->context, &told->by);
        if (told->by.call == -1)
            break;
    }
    munmap(told, sizeof *told);
    return number - step;
}

void
refuse_each_assert_told(void *context, const refused_t *by)
{
    (void) context;
    if (by->result == -1 && !strstr(by->error.text, strerror(EIO)))
        fail_msg("call %zu, %ld: %s", by->number, by->call, by->error.text);
}
