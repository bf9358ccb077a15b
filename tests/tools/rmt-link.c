// ramet-link A B [SEED] - a network link between two network namespaces, as bad as a test
// needs it.
//
// A and B are files of namespaces, such as /run/netns/hq. Each gets a TUN device "bad0",
// without address; the link carries packets between the two. It first prints "seed SEED",
// then reads standard input, a line a command, and answers each with a line:
//   up|down|both RULES...   replace the rules (link_way.h) of the way from B to A (up),
//                           from A to B (down), or of both; answer "ok"
//   counts                  answer what has happened to packets so far
// It ends with its input. A word that it does not know is an error, and its end.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_random.h"
#include "tools/link_way.h"

#define ENDS 2
#define BURST 64 // Packets of one end before the other has its turn
#define LINE_SIZE 512

static struct {
    int tun[ENDS];
    link_way_t *way[ENDS]; // From this end to the other
    uint8_t packet[LINK_PACKET_MAX];
    char line[LINE_SIZE];
    size_t line_size;
} s_link;

static void
s_die(const char *what)
{
    fprintf(stderr, "ramet-link: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static int64_t
s_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

// A TUN device in another namespace; it stays there when this process is back in its own.
static int
s_tun(const char *name_of_namespace)
{
    rmt_auto_fd home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    rmt_auto_fd away = open(name_of_namespace, O_RDONLY | O_CLOEXEC);
    if (home == -1 || away == -1 || setns(away, CLONE_NEWNET) == -1)
        s_die(name_of_namespace);
    const int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    strcpy(request.ifr_name, "bad0");
    if (tun == -1 || ioctl(tun, TUNSETIFF, &request) == -1)
        s_die("make a TUN device");
    if (setns(home, CLONE_NEWNET) == -1)
        s_die("come back to the first namespace");
    return tun;
}

// ---- Commands

static void
s_print_counts(void)
{
    for (size_t i = ENDS; i-- > 0;) {
        const link_counts_t *counts = link_way_counts(s_link.way[i]);
        printf("%s packets %" PRIu64 " bytes %" PRIu64 " lost %" PRIu64 " full %" PRIu64
               " twice %" PRIu64 " early %" PRIu64 " cut %" PRIu64 "%s",
               i ? "up" : "down", counts->packets, counts->bytes, counts->lost,
               counts->full, counts->twice, counts->early, counts->cut, i ? ", " : "\n");
    }
}

static int
s_obey(char *line)
{
    char *rest = line;
    const char *verb = strsep(&rest, " ");
    const char *words = rest ? rest : "";
    int rc = 0;
    if (strcmp(verb, "counts") == 0) {
        s_print_counts();
        return 0;
    }
    if (strcmp(verb, "down") == 0)
        rc = link_way_rules(s_link.way[0], words);
    else if (strcmp(verb, "up") == 0)
        rc = link_way_rules(s_link.way[1], words);
    else if (strcmp(verb, "both") == 0)
        rc = link_way_rules(s_link.way[0], words) | link_way_rules(s_link.way[1], words);
    else
        rc = -1;
    if (rc == 0)
        puts("ok");
    return rc;
}

// Returns false at the end of the input.
static bool
s_read_commands(void)
{
    const ssize_t size = read(STDIN_FILENO, s_link.line + s_link.line_size,
                              sizeof s_link.line - 1 - s_link.line_size);
    if (size <= 0)
        return false;
    s_link.line_size += (size_t) size;
    s_link.line[s_link.line_size] = '\0';
    char *rest = s_link.line;
    for (char *end; (end = strchr(rest, '\n')); rest = end + 1) {
        *end = '\0';
        if (s_obey(rest) == -1) {
            fprintf(stderr, "ramet-link: wrong command\n");
            exit(EXIT_FAILURE);
        }
    }
    s_link.line_size = strlen(rest);
    memmove(s_link.line, rest, s_link.line_size + 1);
    return true;
}

// ---- Packets

static void
s_read_packets(size_t end)
{
    const int64_t now = s_now_us();
    for (int i = 0; i < BURST; i++) {
        const ssize_t size = read(s_link.tun[end], s_link.packet, sizeof s_link.packet);
        if (size <= 0)
            return; // EAGAIN, or EIO while the device is down
        link_way_put(s_link.way[end], s_link.packet, (size_t) size, now);
    }
}

static void
s_deliver(size_t end)
{
    const int64_t now = s_now_us();
    size_t size;
    while ((size = link_way_take(s_link.way[end], s_link.packet, now)) > 0)
        // A device that is down, or has no space, loses packets as a real one does.
        if (write(s_link.tun[1 - end], s_link.packet, size) == -1 && errno == EBADF)
            s_die("deliver a packet");
}

static struct timespec
s_wait_time(void)
{
    int64_t due = link_way_due_us(s_link.way[0]);
    if (link_way_due_us(s_link.way[1]) < due)
        due = link_way_due_us(s_link.way[1]);
    int64_t left = due == INT64_MAX ? 1000000 : due - s_now_us();
    if (left < 0)
        left = 0;
    return (struct timespec){left / 1000000, left % 1000000 * 1000};
}

static void
s_run(void)
{
    struct pollfd wait[] = {{s_link.tun[0], POLLIN, 0},
                            {s_link.tun[1], POLLIN, 0},
                            {STDIN_FILENO, POLLIN, 0}};
    for (;;) {
        const struct timespec time = s_wait_time();
        if (ppoll(wait, 3, &time, NULL) == -1 && errno != EINTR)
            s_die("wait");
        if (wait[2].revents && !s_read_commands())
            return;
        for (size_t end = 0; end < ENDS; end++)
            if (wait[end].revents & POLLIN)
                s_read_packets(end);
        for (size_t end = 0; end < ENDS; end++)
            s_deliver(end);
    }
}

int
main(int argc, char **argv)
{
    if (argc < 3 || argc > 4)
        return 64;
    uint64_t seed = 0;
    rmt_random_bytes(&seed, 4);
    if (argc == 4)
        seed = strtoull(argv[3], NULL, 10);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t end = 0; end < ENDS; end++) {
        s_link.tun[end] = s_tun(argv[1 + end]);
        s_link.way[end] = link_way_new(seed * ENDS + end);
    }
    printf("seed %" PRIu64 "\n", seed);
    s_run();
    for (size_t end = 0; end < ENDS; end++)
        link_way_destroy(&s_link.way[end]);
    return EXIT_SUCCESS;
}
