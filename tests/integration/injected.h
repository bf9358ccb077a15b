// injected - system calls of a test's, made by another process as one would make them
// that was taken over by what it reads: the process is stopped where it waits for input.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/user.h>

// The test's own number for a call that ended in SIGSYS.
#define INJECTED_FORBIDDEN 100000L

// Are so many filters there, and does the process wait for input, in the system call
// poll?
bool injected_is_waiting(pid_t pid, unsigned filters);
// Stop it there, so that its last instruction but one is a system call.
void injected_stop(pid_t pid, struct user_regs_struct *regs_out);
// Have it make a call of four arguments. The kernel's answer: -errno, or
// INJECTED_FORBIDDEN.
long injected_call(pid_t pid, const struct user_regs_struct *stopped, long call,
                   const unsigned long *arguments);
// Put bytes where its stack is free, room 0 to 15. Their address there.
unsigned long injected_put(pid_t pid, const struct user_regs_struct *stopped,
                           unsigned room, const void *bytes, size_t size);
// Let the stopped process go on, if there is one. Also for a teardown: no other process
// can wait for a process that is stopped like that.
void injected_go_on(void);
