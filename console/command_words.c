#include "console/command_words.h"
#include "console/nearest.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <string.h>

// Words of other programs for what ramet calls otherwise.
static const char *const s_other_words[][2] = {
    {"ls", "list"},      {"rm", "remove"},     {"delete", "remove"},
    {"del", "remove"},   {"get", "show"},      {"status", "show"},
    {"info", "show"},    {"describe", "show"}, {"edit", "set"},
    {"new", "create"},   {"log", "logs"},      {"stop", "cancel"},
    {"abort", "cancel"}, {"follow", "watch"},  {"run", "start"},
    {"free", "break"},   {"enroll", "enrol"},  {"machine", "target"},
    {"host", "target"},  {"node", "target"},
};

static const char *
s_other_word(const char *word)
{
    for (size_t i = 0; i < sizeof s_other_words / sizeof *s_other_words; i++) {
        if (streq(s_other_words[i][0], word))
            return s_other_words[i][1];
    }
    return word;
}

// An option that stands before the verb. How many words it takes, or -1.
static int
s_take_option(command_words_t *self, int argc, char **argv, rmt_error_t *error)
{
    bool has_value;
    if (!command_common_option(argv[0], &has_value, error))
        return -1;
    const int used = has_value && argc > 1 ? 2 : 1;
    for (int i = 0; i < used; i++)
        self->rest[self->rest_count++] = argv[i];
    return used;
}

static void
s_take_word(command_words_t *self, char *word)
{
    if (!self->verb && !(self->noun && self->is_help) && streq(word, "help")) {
        self->is_help = true;
    } else if (!self->noun) {
        self->noun = word;
        // "ramet doctor" has no verb of its own.
        self->verb = command_find(word, "") ? "" : NULL;
    } else if (!self->verb) {
        self->verb = word;
    } else {
        self->rest[self->rest_count++] = word;
    }
}

int
command_words_sort(command_words_t *self, int argc, char **argv, rmt_error_t *error)
{
    bool is_plain = false; // Behind "--" a word is no option
    for (int i = 0; i < argc; i++) {
        char *word = argv[i];
        const bool is_option = !is_plain && word[0] == '-' && word[1];
        is_plain |= streq(word, "--");
        if (is_option && (streq(word, "--help") || streq(word, "-h"))) {
            self->is_help = true;
        } else if (is_option && (streq(word, "--version") || streq(word, "-V"))) {
            self->is_version = true;
        } else if (is_option && streq(word, "--print-config")) {
            self->is_print = true;
        } else if (is_option && !self->verb) {
            const int used = s_take_option(self, argc - i, argv + i, error);
            if (used == -1)
                return -1;
            i += used - 1;
        } else if (is_option) {
            self->rest[self->rest_count++] = word;
        } else {
            s_take_word(self, word);
        }
    }
    return 0;
}

static const char *
s_nearest_noun(const char *word)
{
    nearest_t nearest = {.wanted = s_other_word(word)};
    for (size_t t = 0; command_tables[t]; t++) {
        for (const command_t *row = command_tables[t]; row->noun; row++)
            nearest_try(&nearest, row->noun);
    }
    return nearest.best;
}

static const char *
s_nearest_verb(const char *noun, const char *word)
{
    nearest_t nearest = {.wanted = s_other_word(word)};
    for (size_t t = 0; command_tables[t]; t++) {
        for (const command_t *row = command_tables[t]; row->noun; row++) {
            if (streq(row->noun, noun))
                nearest_try(&nearest, row->verb);
        }
    }
    return nearest.best;
}

static int
s_refuse_noun(const command_words_t *self, rmt_error_t *error)
{
    const char *verb = self->verb ? self->verb : "";
    // "ramet list jobs" has its words in the other order.
    const char *noun = *verb ? s_nearest_noun(verb) : NULL;
    if (noun && s_nearest_verb(noun, self->noun))
        return rmt_fail(error, RMT_E_USAGE,
                        "the noun \"%s\" does not exist; did you mean: ramet %s %s",
                        self->noun, noun, s_nearest_verb(noun, self->noun));
    noun = s_nearest_noun(self->noun);
    const char *near = noun && *verb ? s_nearest_verb(noun, verb) : NULL;
    if (!noun)
        return rmt_fail(error, RMT_E_USAGE,
                        "the noun \"%s\" does not exist; see: ramet help", self->noun);
    return rmt_fail(error, RMT_E_USAGE,
                    "the noun \"%s\" does not exist; did you mean: ramet %s%s%s",
                    self->noun, noun, near ? " " : "", near ? near : "");
}

const command_t *
command_words_find(const command_words_t *self, rmt_error_t *error)
{
    const command_t *command = self->verb ? command_find(self->noun, self->verb) : NULL;
    if (command)
        return command;
    if (!command_find(self->noun, NULL)) {
        s_refuse_noun(self, error);
        return NULL;
    }
    const char *near = s_nearest_verb(self->noun, self->verb);
    if (near)
        rmt_fail(error, RMT_E_USAGE, "%s has no verb \"%s\"; did you mean: ramet %s %s",
                 self->noun, self->verb, self->noun, near);
    else
        rmt_fail(error, RMT_E_USAGE, "%s has no verb \"%s\"; see: ramet help %s",
                 self->noun, self->verb, self->noun);
    return NULL;
}
