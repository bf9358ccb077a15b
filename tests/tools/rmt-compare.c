// ramet-compare A B [--ignore GLOB]... - every difference between two trees, on standard
// output, one a line. For tests and for people; not installed.
// Exit: 0 none, 1 differences, 64 usage, 2 trouble.
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/rmt_auto.h"
#include "tree/rmt_compare.h"
#include "base/rmt_log.h"

#define EXIT_DIFFERENT 1
#define EXIT_TROUBLE 2
#define EXIT_USAGE 64

static void
s_print(void *context, const rmt_compare_finding_t *finding)
{
    (void) context;
    char path[4096], text[4096];
    printf("%-10s /%s: %s\n", finding->what,
           rmt_log_escape(path, sizeof path, finding->path),
           rmt_log_escape(text, sizeof text, finding->text));
}

static int
s_usage(void)
{
    fputs("usage: ramet-compare A B [--ignore GLOB]...\n", stderr);
    return EXIT_USAGE;
}

static int
s_open(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd == -1)
        perror(path);
    return fd;
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {{"ignore", required_argument, NULL, 'i'},
                                            {0}};
    // All arguments could be globs; one more ends the list.
    rmt_auto_ptr room = calloc((size_t) argc + 1, sizeof(char *));
    if (!room)
        return EXIT_TROUBLE;
    const char **ignores = room;
    size_t ignore_count = 0;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option != 'i')
            return s_usage();
        ignores[ignore_count++] = optarg;
    }
    if (argc - optind != 2)
        return s_usage();
    rmt_auto_fd expected_fd = s_open(argv[optind]);
    rmt_auto_fd found_fd = s_open(argv[optind + 1]);
    if (expected_fd == -1 || found_fd == -1)
        return EXIT_TROUBLE;

    const rmt_compare_input_t expected = {.tree_fd = expected_fd};
    const rmt_compare_input_t found = {.tree_fd = found_fd};
    const rmt_compare_options_t compare = {.ignores = ignores, .finding_fn = s_print};
    rmt_compare_report_t report;
    rmt_error_t error = {0};
    if (rmt_compare_run(&expected, &found, &compare, &report, &error) == -1) {
        fprintf(stderr, "ramet-compare: %s\n", error.text);
        return EXIT_TROUBLE;
    }
    return report.differences ? EXIT_DIFFERENT : 0;
}
