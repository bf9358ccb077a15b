#include "tools/refuse.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tools/rmt_child.h"
#include "tools/rmt_test.h"

#define ROWS_MAX 8
#define STEPS_EACH 6
#define NO_FILTER 3 // Status of a child that could not refuse anything

// Steps of a filter for one row: its call, its argument, the refusal; else the next row.
static size_t
s_add(struct sock_filter *out, const refusal_t *row)
{
    const uint32_t argument = (uint32_t) offsetof(struct seccomp_data, args) +
                              row->argument * (uint32_t) sizeof(uint64_t);
    const struct sock_filter steps[STEPS_EACH] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t) row->call, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, row->mask),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, row->value & row->mask, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t) row->code),
    };
    memcpy(out, steps, sizeof steps);
    return STEPS_EACH;
}

static int
s_refuse(const refusal_t *rows, size_t count)
{
    struct sock_filter steps[ROWS_MAX * STEPS_EACH + 1];
    size_t used = 0;
    for (size_t i = 0; i < count && i < ROWS_MAX; i++)
        used += s_add(steps + used, &rows[i]);
    steps[used++] = (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const struct sock_fprog filter = {.len = (unsigned short) used, .filter = steps};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                   prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0
               ? 0
               : -1;
}

// The act, in a thread of the child: a filter holds for the thread that asks for it, and
// for what that starts, and the child's own end meets none.
typedef struct {
    const refusal_t *rows;
    size_t count;
    int (*act)(void *context, rmt_error_t *error);
    void *context;
    rmt_error_t *told;
    int status; // Of the child
} try_t;

static void *
s_run(void *context)
{
    try_t *try = context;
    try->status = s_refuse(try->rows, try->count) == -1     ? NO_FILTER
                  : try->act(try->context, try->told) == -1 ? 1
                                                            : 0;
    return NULL;
}

__attribute__((noreturn)) static void
s_child(try_t *try)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, s_run, try) != 0 || pthread_join(thread, NULL) != 0)
        _exit(NO_FILTER);
    rmt_child_end(try->status);
}

int
refuse_in_child(const refusal_t *rows, size_t count,
                int (*act)(void *context, rmt_error_t *error), void *context,
                rmt_error_t *error)
{
    rmt_error_t *told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(told, MAP_FAILED);
    assert_true(count <= ROWS_MAX);
    fflush(NULL); // The child would print it again
    const pid_t child = fork();
    assert_int_not_equal(child, -1);
    if (child == 0)
        s_child(&(try_t){rows, count, act, context, told, NO_FILTER});
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
    *error = *told;
    munmap(told, sizeof *told);
    return WEXITSTATUS(status) == 0 ? 0 : -1;
}
