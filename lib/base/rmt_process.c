#include "base/rmt_process.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#ifndef __has_feature // Of clang
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                     \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

#define LINES_TOLD 3
#define OUTPUT_SIZE_MAX ((size_t) 64 * 1024)
// From this status on, env and the loader say that a program could not be run.
#define STATUS_NOT_RUN 126

// Daemons block signals and ignore SIGPIPE; what they start must not inherit that.
static void
s_init_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_init(attributes);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &defaults);
    posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

static int
s_spawn(const char *const *arguments, int in, int out, pid_t *pid_out)
{
    posix_spawnattr_t attributes;
    s_init_attributes(&attributes);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDERR_FILENO);
    char *const *list = (char *const *) (uintptr_t) arguments;
    const int rc =
        posix_spawnp(pid_out, arguments[0], &actions, &attributes, list, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

// A program's input is small, so a memory file holds it and no pump is needed.
static int
s_open_input(const char *input, rmt_error_t *error)
{
    if (!input) {
        const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        return null == -1 ? rmt_fail_errno(error, "open /dev/null") : null;
    }
    rmt_auto_fd fd = memfd_create("input", MFD_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "create a file in memory");
    if (rmt_io_write(fd, input, strlen(input), error) == -1)
        return -1;
    lseek(fd, 0, SEEK_SET);
    return rmt_take_fd(&fd);
}

static char *
s_collect(int fd)
{
    char *output = malloc(OUTPUT_SIZE_MAX + 1);
    assert(output);
    char spill[4096];
    size_t used = 0;
    for (;;) {
        const size_t room = OUTPUT_SIZE_MAX - used;
        const ssize_t done =
            room ? read(fd, output + used, room) : read(fd, spill, sizeof spill);
        if (done == -1 && errno == EINTR)
            continue;
        if (done <= 0)
            break;
        if (room)
            used += (size_t) done;
    }
    output[used] = '\0';
    return output;
}

// The program itself, where env starts it with other settings.
static const char *
s_program(const char *const *arguments)
{
    if (strcmp(arguments[0], "env") == 0)
        while (arguments[1] && strchr(*++arguments, '='))
            continue;
    const char *slash = strrchr(arguments[0], '/');
    return slash ? slash + 1 : arguments[0];
}

// A program's name with its version is no reason: "mkfs.fat 4.2 (2021-01-31)".
static bool
s_is_version(const char *line)
{
    const size_t name = strcspn(line, " ");
    return line[name] == ' ' && isdigit((unsigned char) line[name + 1]) &&
           strchr(line, '(') && !strchr(line, ':');
}

// The last lines that say something, in their order; programs that were called wrongly
// tell their usage behind the reason. Caller owns the result.
static char *
s_words(char *output)
{
    const char *lines[LINES_TOLD] = {"", "", ""};
    char *line, *rest = output;
    while ((line = strsep(&rest, "\n"))) {
        line += strspn(line, " \t");
        if (strncasecmp(line, "usage", strlen("usage")) == 0)
            break;
        if (!*line || s_is_version(line))
            continue;
        memmove(lines, lines + 1, (LINES_TOLD - 1) * sizeof *lines);
        lines[LINES_TOLD - 1] = line;
    }
    return rmt_text("%s%s%s%s%.300s", lines[0], *lines[0] ? "; " : "", lines[1],
                    *lines[1] ? "; " : "", lines[2]);
}

// What the kernel said to a program is in its words alone. A program that cannot be read
// lies on another disk than the one that it would have worked on.
static rmt_code_t
s_code(int status, const char *output, bool is_on_disk)
{
    return is_on_disk && WIFEXITED(status) && WEXITSTATUS(status) < STATUS_NOT_RUN &&
                   strstr(output, strerror(EIO))
               ? RMT_E_DISK
               : RMT_E_IO;
}

static int
s_run(const char *const *arguments, const char *input, bool is_on_disk, char **output_out,
      rmt_error_t *error)
{
    rmt_auto_fd in = s_open_input(input, error);
    if (in == -1)
        return -1;
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) == -1)
        return rmt_fail_errno(error, "pipe");
    rmt_auto_fd reader = pipe_fds[0];
    pid_t pid;
    const int rc = s_spawn(arguments, in, pipe_fds[1], &pid);
    close(pipe_fds[1]);
    if (rc)
        return rmt_fail(error, rc == ENOENT ? RMT_E_NOT_FOUND : RMT_E_IO, "run %s: %s",
                        arguments[0], strerror(rc));
    rmt_auto_str output = s_collect(reader);
    int status = 0;
    while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
        continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        if (output_out)
            *output_out = rmt_take(&output);
        return 0;
    }
    const int number = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
    const rmt_code_t code = s_code(status, output, is_on_disk);
    rmt_auto_str words = s_words(output);
    return rmt_fail(error, code, "%s ended with %s %d: %s", s_program(arguments),
                    WIFEXITED(status) ? "status" : "signal", number,
                    *words ? words : "it gives no reason");
}

int
rmt_process_run(const char *const *arguments, const char *input, char **output_out,
                rmt_error_t *error)
{
    return s_run(arguments, input, false, output_out, error);
}

int
rmt_process_run_on_disk(const char *const *arguments, rmt_error_t *error)
{
    return s_run(arguments, NULL, true, NULL, error);
}

bool
rmt_process_is_sanitized(void)
{
    return IS_SANITIZED;
}

void
rmt_process_keep_secrets(void)
{
    struct rlimit core;
    if (IS_SANITIZED)
        return;
    int rc = getrlimit(RLIMIT_CORE, &core);
    core.rlim_cur = 0;
    rc = rc == 0 ? setrlimit(RLIMIT_CORE, &core) : rc;
    assert(rc == 0);
    rc = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    assert(rc == 0);
}

void
rmt_process_open_many(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == -1)
        return;
    files.rlim_cur = files.rlim_max;
    (void) setrlimit(RLIMIT_NOFILE, &files);
}
