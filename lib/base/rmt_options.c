#include "base/rmt_options.h"
#include "base/rmt_auto.h"
#include "base/rmt_log.h"

#include <assert.h>
#include <getopt.h>
#include <unistd.h>

enum { OPTION_CHECK = 256, OPTION_PRINT, OPTION_HELP, OPTION_VERSION };

static const struct option s_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"verbose", no_argument, NULL, 'v'},
    {"check-config", no_argument, NULL, OPTION_CHECK},
    {"print-config", no_argument, NULL, OPTION_PRINT},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

#define SHORT_OPTIONS ":c:v"

const char *
rmt_options_word(int argc, char **argv)
{
    assert(argv);
    optind = 0; // Starts getopt anew
    opterr = 0;
    while (getopt_long(argc, argv, SHORT_OPTIONS, s_options, NULL) != -1) {
        // Each option is passed over with its value.
    }
    return optind < argc ? argv[optind] : "";
}

static void
s_print_help(const rmt_options_t *self)
{
    printf("%s\n"
           "  -c, --config FILE   read this configuration%s%s%s\n"
           "  -v, --verbose       write more to the log\n"
           "      --check-config  check the configuration, then end\n"
           "      --print-config  print every setting with its default, then end\n"
           "      --help          print this text, then end\n"
           "      --version       print the version, then end\n",
           self->usage, self->file ? " (" : "", self->file ? self->file : "",
           self->file ? ")" : "");
}

static int
s_check_words(const rmt_options_t *self, int count, rmt_error_t *error)
{
    if (count < self->words_min || count > self->words_max)
        return rmt_fail(error, RMT_E_USAGE,
                        "%s takes %d to %d arguments, and %d are given; see --help",
                        self->program, self->words_min, self->words_max, count);
    return 0;
}

int
rmt_options_read(const rmt_options_t *self, int argc, char **argv, int *first_word_out,
                 rmt_config_t **config_out, rmt_error_t *error)
{
    assert(self && argv && first_word_out && config_out && error);
    const char *file = self->file && access(self->file, F_OK) == 0 ? self->file : NULL;
    bool check = false;
    optind = 0; // Starts getopt anew, also for a second call
    opterr = 0;
    int option;
    while ((option = getopt_long(argc, argv, SHORT_OPTIONS, s_options, NULL)) != -1)
        switch (option) {
        case 'c':
            file = optarg;
            break;
        case 'v':
            rmt_log_set_level(RMT_DEBUG);
            break;
        case OPTION_CHECK:
            check = true;
            break;
        case OPTION_PRINT:
            rmt_config_print(self->rows, stdout);
            return 0;
        case OPTION_HELP:
            s_print_help(self);
            return 0;
        case OPTION_VERSION:
            printf("%s %s\n", self->program, RMT_VERSION);
            return 0;
        default:
            return rmt_fail(error, RMT_E_USAGE, "%s %.64s; see --help",
                            option == ':' ? "a value is missing after" : "unknown option",
                            argv[optind - 1]);
        }
    if (!check && s_check_words(self, argc - optind, error) == -1)
        return -1;
    rmt_auto(rmt_config) config = rmt_config_new(self->rows, file, error);
    if (!config)
        return -1;
    if (check) {
        printf("%s: good\n", file ? file : "presets");
        return 0;
    }
    *first_word_out = optind;
    *config_out = rmt_take(&config);
    return 1;
}
