#include "agent/diskw/filter_rows.h"

#include <linux/blkpg.h>
#include <linux/blkzoned.h>
#include <linux/cdrom.h>
#include <linux/fd.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/hdreg.h>
#include <linux/loop.h>
#include <linux/mount.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define TOOL(name)                                                                       \
    {                                                                                    \
        SCMP_SYS(name), RMT_FILTER_TOOL                                                  \
    }
#define WRITE(name)                                                                      \
    {                                                                                    \
        SCMP_SYS(name), RMT_FILTER_WRITE                                                 \
    }
#define START(name)                                                                      \
    {                                                                                    \
        SCMP_SYS(name), RMT_FILTER_START                                                 \
    }

// Calls of another processor's kernel have no number here, and no rule is made of them.
// clang-format off
static const rmt_filter_call_t s_writer_calls[] = {
    // Descriptors
    TOOL(read), TOOL(write), TOOL(readv), TOOL(writev), TOOL(pread64), TOOL(pwrite64),
    TOOL(preadv), TOOL(pwritev), TOOL(preadv2), TOOL(pwritev2), TOOL(lseek), TOOL(close),
    TOOL(close_range), TOOL(dup), TOOL(dup2), TOOL(dup3), TOOL(fcntl), TOOL(flock),
    TOOL(ioctl), TOOL(pipe), TOOL(pipe2), TOOL(poll), TOOL(ppoll), TOOL(select),
    TOOL(pselect6), TOOL(epoll_create), TOOL(epoll_create1), TOOL(epoll_ctl),
    TOOL(epoll_wait), TOOL(epoll_pwait), TOOL(eventfd2), TOOL(signalfd4),
    TOOL(memfd_create), TOOL(sendfile), TOOL(copy_file_range), TOOL(splice),
    // Files and folders
    TOOL(open), TOOL(openat), TOOL(openat2), TOOL(creat), TOOL(access), TOOL(faccessat),
    TOOL(faccessat2), TOOL(stat), TOOL(lstat), TOOL(fstat), TOOL(newfstatat), TOOL(statx),
    TOOL(statfs), TOOL(fstatfs), TOOL(getdents), TOOL(getdents64), TOOL(getcwd),
    TOOL(chdir), TOOL(fchdir), TOOL(readlink), TOOL(readlinkat), TOOL(umask), TOOL(mkdir),
    TOOL(mkdirat), TOOL(mknod), TOOL(mknodat), TOOL(symlink), TOOL(symlinkat), TOOL(link),
    TOOL(linkat), TOOL(unlink), TOOL(unlinkat), TOOL(rmdir), TOOL(rename), TOOL(renameat),
    TOOL(renameat2), TOOL(chmod), TOOL(fchmod), TOOL(fchmodat), TOOL(chown), TOOL(lchown),
    TOOL(fchown), TOOL(fchownat), TOOL(utime), TOOL(utimes), TOOL(futimesat),
    TOOL(utimensat), TOOL(setxattr), TOOL(lsetxattr), TOOL(fsetxattr), TOOL(getxattr),
    TOOL(lgetxattr), TOOL(fgetxattr), TOOL(listxattr), TOOL(llistxattr), TOOL(flistxattr),
    TOOL(removexattr), TOOL(lremovexattr), TOOL(fremovexattr),
    // What reaches the disk
    TOOL(truncate), TOOL(ftruncate), TOOL(fallocate), TOOL(fadvise64), TOOL(readahead),
    TOOL(fsync), TOOL(fdatasync), TOOL(sync), TOOL(syncfs), TOOL(sync_file_range),
    // Memory
    TOOL(brk), TOOL(mmap), TOOL(munmap), TOOL(mremap), TOOL(mprotect), TOOL(madvise),
    TOOL(msync), TOOL(mincore), TOOL(mlock), TOOL(mlock2), TOOL(munlock), TOOL(membarrier),
    // Threads and processes
    TOOL(clone), TOOL(clone3), TOOL(fork), TOOL(vfork), TOOL(execve), TOOL(exit),
    TOOL(exit_group), TOOL(wait4), TOOL(waitid), TOOL(futex), TOOL(set_robust_list),
    TOOL(get_robust_list), TOOL(rseq), TOOL(set_tid_address), TOOL(arch_prctl),
    TOOL(sched_yield), TOOL(sched_getaffinity), TOOL(sched_setaffinity),
    TOOL(sched_getparam), TOOL(sched_getscheduler), TOOL(getcpu), TOOL(getpid),
    TOOL(getppid), TOOL(gettid), TOOL(getpgrp), TOOL(getpgid), TOOL(setpgid),
    TOOL(getsid), TOOL(getuid), TOOL(geteuid), TOOL(getgid), TOOL(getegid),
    TOOL(getresuid), TOOL(getresgid), TOOL(getgroups), TOOL(setuid), TOOL(setgid),
    TOOL(setresuid), TOOL(setresgid), TOOL(getpriority), TOOL(setpriority), TOOL(getrlimit), TOOL(setrlimit),
    TOOL(prlimit64), TOOL(getrusage), TOOL(prctl), TOOL(capget), TOOL(seccomp),
    TOOL(uname), TOOL(sysinfo), TOOL(times), TOOL(getrandom),
    // Signals and time
    TOOL(rt_sigaction), TOOL(rt_sigprocmask), TOOL(rt_sigreturn), TOOL(rt_sigpending),
    TOOL(rt_sigtimedwait), TOOL(rt_sigsuspend), TOOL(sigaltstack), TOOL(kill),
    TOOL(tgkill), TOOL(restart_syscall), TOOL(pause), TOOL(nanosleep),
    TOOL(clock_nanosleep), TOOL(clock_gettime), TOOL(clock_getres), TOOL(gettimeofday),
    TOOL(time), TOOL(alarm), TOOL(getitimer), TOOL(setitimer), TOOL(timer_create),
    TOOL(timer_settime), TOOL(timer_delete), TOOL(timerfd_create), TOOL(timerfd_settime),
    // No arguments of it are allowed, and libraries do without it
    TOOL(socket),
    // The writer alone; all after umount2 is for its parsers
    WRITE(mount), WRITE(umount2), WRITE(chroot), WRITE(capset), WRITE(socketpair),
    WRITE(sendmsg), WRITE(recvmsg), START(unshare),
};
// clang-format on

#define ALL_BITS UINT64_MAX
#define NO_USE (MS_NODEV | MS_NOSUID | MS_NOEXEC)
#define MOUNT(last, mask, value)                                                         \
    {                                                                                    \
        SCMP_SYS(mount), RMT_FILTER_##last, 3, (mask), (value)                           \
    }
#define NEW_SPACES                                                                       \
    (CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |          \
     CLONE_NEWUTS | CLONE_NEWCGROUP)
#define IOCTL(command)                                                                   \
    {                                                                                    \
        SCMP_SYS(ioctl), RMT_FILTER_TOOL, 1, UINT32_MAX, (command)                       \
    }
#define BTRFS_TYPE 0x94
#define XFS_IOC_DIOINFO _IOC(_IOC_READ, 'X', 30, 12)
#define BLKGETDISKSEQ_NOW _IOR(0x12, 128, __u64)

static const rmt_filter_argument_t s_writer_arguments[] = {
    // A file system on which no device is a device and no program runs; one that is there
    // already under a second name; and, at the start, a /dev and mounts of its own.
    MOUNT(WRITE, NO_USE | MS_BIND | MS_MOVE | MS_REMOUNT, NO_USE),
    MOUNT(WRITE, ALL_BITS, MS_BIND),
    MOUNT(START, ALL_BITS, MS_NOSUID | MS_NOEXEC),
    MOUNT(START, ALL_BITS, MS_REC | MS_SLAVE),
    MOUNT(START, ALL_BITS, MS_PRIVATE),
    {SCMP_SYS(unshare), RMT_FILTER_START, 0, ALL_BITS, CLONE_NEWNS},
    {SCMP_SYS(socketpair), RMT_FILTER_WRITE, 0, ALL_BITS, AF_UNIX},
    {SCMP_SYS(clone), RMT_FILTER_TOOL, 0, NEW_SPACES, 0},
    // Tables, sizes, discards, and caches of block devices
    IOCTL(BLKROGET),
    IOCTL(BLKGETSIZE),
    IOCTL(BLKGETSIZE64),
    IOCTL(BLKSSZGET),
    IOCTL(BLKPBSZGET),
    IOCTL(BLKBSZGET),
    IOCTL(BLKBSZSET),
    IOCTL(BLKSECTGET),
    IOCTL(BLKIOMIN),
    IOCTL(BLKIOOPT),
    IOCTL(BLKALIGNOFF),
    IOCTL(BLKROTATIONAL),
    IOCTL(BLKDISCARD),
    IOCTL(BLKDISCARDZEROES),
    IOCTL(BLKZEROOUT),
    IOCTL(BLKFLSBUF),
    IOCTL(BLKRRPART),
    IOCTL(BLKPG),
    IOCTL(BLKGETZONESZ),
    IOCTL(BLKGETNRZONES),
    IOCTL(BLKREPORTZONE),
    IOCTL(BLKGETDISKSEQ_NOW),
    IOCTL(HDIO_GETGEO),
    IOCTL(CDROM_GET_CAPABILITY),
    IOCTL(CDROM_LAST_WRITTEN),
    IOCTL(FDGETPRM),
    IOCTL(FDGETFDCSTAT),
    IOCTL(LOOP_CTL_GET_FREE),
    IOCTL(LOOP_CONFIGURE),
    IOCTL(LOOP_GET_STATUS64),
    IOCTL(LOOP_CLR_FD),
    // Files: flags, extents, projects; all of btrfs; is it a terminal?
    IOCTL(FS_IOC_GETFLAGS),
    IOCTL(FS_IOC_SETFLAGS),
    IOCTL(FS_IOC_FSGETXATTR),
    IOCTL(FS_IOC_FSSETXATTR),
    IOCTL(FS_IOC_FIEMAP),
    IOCTL(FS_IOC_GETVERSION),
    IOCTL(XFS_IOC_DIOINFO),
    IOCTL(TCGETS),
    IOCTL(FIONREAD),
    {SCMP_SYS(ioctl), RMT_FILTER_TOOL, 1, 0xff00, BTRFS_TYPE << 8},
};

// ---- A parser

#define UNPACK(name)                                                                     \
    {                                                                                    \
        SCMP_SYS(name), RMT_FILTER_UNPACK                                                \
    }
#define VERIFY(name)                                                                     \
    {                                                                                    \
        SCMP_SYS(name), RMT_FILTER_VERIFY                                                \
    }

// clang-format off
static const rmt_filter_call_t s_parser_calls[] = {
    // The pipe, the link, messages on standard error
    VERIFY(read), VERIFY(write), VERIFY(writev), VERIFY(poll), VERIFY(ppoll),
    VERIFY(sendmsg), VERIFY(recvmsg), VERIFY(close), VERIFY(fcntl),
    // Reading a tree
    VERIFY(openat), VERIFY(pread64), VERIFY(lseek), VERIFY(ioctl), VERIFY(fstat),
    VERIFY(newfstatat), VERIFY(statx), VERIFY(fstatfs), VERIFY(getdents64),
    VERIFY(readlinkat), VERIFY(fgetxattr), VERIFY(flistxattr), VERIFY(fadvise64),
    // Making one
    UNPACK(openat2), UNPACK(pwrite64), UNPACK(ftruncate),
    UNPACK(fallocate), UNPACK(umask), UNPACK(mkdirat), UNPACK(mknodat), UNPACK(symlinkat),
    UNPACK(linkat), UNPACK(fchmod), UNPACK(fchown), UNPACK(fchownat), UNPACK(utimensat),
    UNPACK(fsetxattr), UNPACK(fremovexattr),
    // Memory; qsort asks how much there is
    VERIFY(sysinfo), VERIFY(brk), VERIFY(mmap), VERIFY(munmap), VERIFY(mremap), VERIFY(mprotect),
    VERIFY(madvise), VERIFY(membarrier),
    // Threads
    VERIFY(clone), VERIFY(clone3), VERIFY(exit), VERIFY(exit_group), VERIFY(futex),
    VERIFY(set_robust_list), VERIFY(rseq), VERIFY(sched_yield), VERIFY(sched_getaffinity),
    VERIFY(getpid), VERIFY(gettid), VERIFY(geteuid), VERIFY(getegid), VERIFY(getrandom),
    // Signals and time; the arguments of tgkill are in filter.c
    VERIFY(tgkill), VERIFY(rt_sigaction), VERIFY(rt_sigprocmask), VERIFY(rt_sigreturn),
    VERIFY(sigaltstack), VERIFY(restart_syscall), VERIFY(clock_gettime),
    VERIFY(clock_nanosleep), VERIFY(nanosleep), VERIFY(gettimeofday), VERIFY(time),
};
// clang-format on

#define SAME_PROCESS (CLONE_VM | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define PARSER_IOCTL(last, command)                                                      \
    {                                                                                    \
        SCMP_SYS(ioctl), RMT_FILTER_##last, 1, UINT32_MAX, (command)                     \
    }

static const rmt_filter_argument_t s_parser_arguments[] = {
    {SCMP_SYS(write), RMT_FILTER_VERIFY, 0, UINT32_MAX, STDERR_FILENO},
    {SCMP_SYS(writev), RMT_FILTER_VERIFY, 0, UINT32_MAX, STDERR_FILENO},
    {SCMP_SYS(openat), RMT_FILTER_VERIFY, 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY},
    {SCMP_SYS(clone), RMT_FILTER_VERIFY, 0, SAME_PROCESS | NEW_SPACES, SAME_PROCESS},
    {SCMP_SYS(mmap), RMT_FILTER_VERIFY, 2, PROT_EXEC, 0},
    {SCMP_SYS(mprotect), RMT_FILTER_VERIFY, 2, PROT_EXEC, 0},
    PARSER_IOCTL(VERIFY, FS_IOC_GETFLAGS),
    PARSER_IOCTL(VERIFY, FS_IOC_FSGETXATTR),
    PARSER_IOCTL(VERIFY, FS_IOC_FIEMAP),
    PARSER_IOCTL(UNPACK, FS_IOC_SETFLAGS),
    PARSER_IOCTL(UNPACK, FS_IOC_FSSETXATTR),
};

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

const rmt_filter_list_t RMT_FILTER_WRITER = {
    s_writer_calls, COUNT(s_writer_calls), s_writer_arguments, COUNT(s_writer_arguments)};
const rmt_filter_list_t RMT_FILTER_PARSER = {
    s_parser_calls, COUNT(s_parser_calls), s_parser_arguments, COUNT(s_parser_arguments)};
