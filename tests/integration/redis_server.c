#include "integration/redis_server.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tools/rmt_test.h"
#include "tools/rmt_wait.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"

#define START_MS 10000
#define END_MS 10000

pid_t
spawn_program(const char *dir, const char *name, char *const *argv)
{
    char log[192];
    snprintf(log, sizeof log, "%s/%s.log", dir, name);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL); // It does not outlive a test that crashed
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    const int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execvp(argv[0], argv);
    _exit(127);
}

int
end_program(pid_t *pid, int signal)
{
    int status = -1;
    if (*pid <= 0)
        return status;
    kill(*pid, signal);
    const int64_t limit = rmt_clock_ms() + END_MS;
    while (waitpid(*pid, &status, WNOHANG) == 0) {
        if (rmt_clock_ms() > limit)
            kill(*pid, SIGKILL);
        if (rmt_clock_ms() > limit + END_MS)
            fail_msg("process %d does not end", (int) *pid);
        rmt_wait_turn();
    }
    *pid = 0;
    return status;
}

static int
s_answers(const redis_server_t *self)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char reply[7] = {0};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", self->socket);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    const int ok = connect(fd, (struct sockaddr *) &address, sizeof address) == 0 &&
                   write(fd, "PING\r\n", 6) == 6 && read(fd, reply, 5) == 5 &&
                   memcmp(reply, "+PONG", 5) == 0;
    close(fd);
    return ok;
}

void
redis_server_load(const redis_server_t *self, const char *library, size_t size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char head[96], reply[128] = {0};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", self->socket);
    snprintf(head, sizeof head,
             "*4\r\n$8\r\nFUNCTION\r\n$4\r\nLOAD\r\n$7\r\nREPLACE\r\n$%zu\r\n", size);
    FILE *link = fdopen(socket(AF_UNIX, SOCK_STREAM, 0), "r+");
    assert_non_null(link);
    assert_int_equal(connect(fileno(link), (struct sockaddr *) &address, sizeof address),
                     0);
    fputs(head, link);
    fwrite(library, 1, size, link);
    fputs("\r\n", link);
    fflush(link);
    assert_non_null(fgets(reply, sizeof reply, link));
    fclose(link);
    if (reply[0] != '$')
        fail_msg("%s", reply);
}

char *
redis_server_eval(const redis_server_t *self, const char *script)
{
    const char *const words[] = {"redis-cli", "-s", self->socket, "eval",
                                 script,      "0",  NULL};
    rmt_error_t error = {0};
    char *output = NULL;
    RMT_OK(rmt_process_run(words, NULL, &output, &error));
    return output;
}

void
redis_server_start(redis_server_t *self)
{
    // The configuration of a farm, but for its places.
    const char *top = getenv("RAMET_SOURCE");
    rmt_auto_str config = rmt_text("%s/ops/redis.conf", top ? top : ".");
    char *argv[] = {"redis-server", config, "--unixsocket", self->socket, "--dir",
                    self->dir,      NULL};
    unlink(self->socket);
    self->pid = spawn_program(self->dir, "redis", argv);
    const int64_t limit = rmt_clock_ms() + START_MS;
    while (!s_answers(self)) {
        if (rmt_clock_ms() > limit)
            fail_msg("redis-server does not answer; see %s/redis.log", self->dir);
        rmt_wait_turn();
    }
}

void
redis_server_new(redis_server_t *self)
{
    *self = (redis_server_t){.dir = "/tmp/ramet-test.XXXXXX"};
    assert_non_null(mkdtemp(self->dir));
    snprintf(self->socket, sizeof self->socket, "%s/redis.sock", self->dir);
    redis_server_start(self);
}

void
redis_server_end(redis_server_t *self, int signal)
{
    end_program(&self->pid, signal);
}

void
redis_server_destroy(redis_server_t *self)
{
    rmt_error_t error = {0};
    redis_server_end(self, SIGTERM);
    RMT_OK(rmt_io_remove_tree(self->dir, &error));
}
