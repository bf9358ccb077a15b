#include "integration/writer_process.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "tools/rmt_test.h"

pid_t
writer_process_start(rmt_pipe_t **pipe_out)
{
    int down[2], up[2];
    rmt_auto_str program = rmt_text("%s/ramet-diskw", getenv("RAMET_BIN"));
    assert_int_equal(pipe2(down, O_CLOEXEC), 0);
    assert_int_equal(pipe2(up, O_CLOEXEC), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        dup2(down[0], STDIN_FILENO);
        dup2(up[1], STDOUT_FILENO);
        execl(program, program, (char *) NULL);
        _exit(127);
    }
    assert_int_not_equal(pid, -1);
    close(down[0]);
    close(up[1]);
    *pipe_out = rmt_pipe_new(up[0], down[1]);
    return pid;
}
