#!/usr/bin/env python3
# lives of ops/lib/common.sh: a process that has ended does not live, whenever its parent asks for it. A
# look that found it and could not read it a moment later said that it lives, and it was not started again.
import os
import subprocess
import sys

COMMON = os.path.join(os.environ["RAMET_SOURCE"], "ops/lib/common.sh")
SCRIPT = '. "$1"; for i in 1 2 3 4 5 6 7 8; do echo look; ! lives "$2" || echo lives; done'


def look(pid):
    return subprocess.Popen(["bash", "-c", SCRIPT, "-", COMMON, str(pid)], stdout=subprocess.PIPE)


def main():
    parent = look(os.getpid())
    if parent.communicate()[0].count(b"lives") != 8:
        sys.exit("a process that runs is said to have ended")
    for turn in range(40):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        looks = look(pid)
        for _ in range(turn % 8 + 1):
            looks.stdout.readline()
        os.waitpid(pid, 0)
        if b"lives" in looks.communicate()[0]:
            sys.exit(f"turn {turn}: a process that has ended is said to live")


main()
