#include "console/command.h"
#include "console/confirm.h"
#include "console/field.h"
#include "console/fold.h"
#include "console/moment.h"
#include "console/targets.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAMES_SIZE 200 // Of the machines that a question names

// What the broker told of the job, in words for people.
static char *
s_sentence(const rmt_record_t *told, uint64_t count)
{
    return rmt_text("image %s will erase the disks of %" PRIu64 " target%s of engine %s",
                    rmt_record_text(told, "image-name", "?"), count,
                    count == 1 ? "" : "s", rmt_record_text(told, "engines", "?"));
}

// When it begins, the machines that are switched to begin with, and those that cannot be.
static void
s_say_more(call_t *call, const rmt_record_t *told)
{
    char time[MOMENT_TEXT_SIZE];
    const char *window = rmt_record_text(told, "window", "");
    if (rmt_record_has(told, "begins"))
        call_say(call, "begins at %s",
                 moment_text((int64_t) rmt_record_u64(told, "begins", 0), call->view.utc,
                             time));
    if (*window)
        call_say(call, "begins targets in the window %s alone", window);
    const char *switched = rmt_record_text(told, "switched", "");
    const char *not_switched = rmt_record_text(told, "not-switched", "");
    if (*switched)
        call_say(call, "off, or running their system, and switched by this job: %s",
                 switched);
    if (*not_switched)
        call_say(call, "absent, and with no way to switch their power: %s", not_switched);
}

// Without a terminal the command line is the confirmation.
static int
s_refuse(const call_t *call, const rmt_record_t *told, const char *sentence,
         rmt_error_t *error)
{
    const char *large = rmt_record_text(told, "large", "no");
    rmt_auto_str more = rmt_text("--count %s", rmt_record_text(told, "targets", "0"));
    rmt_auto_str line = call_line(call, more);
    fprintf(stderr, "to do it without a terminal: %s\n", line);
    return rmt_fail(error, RMT_E_USAGE, "%s%s%s; confirm it with %s", sentence,
                    strcmp(large, "no") == 0 ? "" : ", ",
                    strcmp(large, "no") == 0 ? "" : large, more);
}

// On a terminal the user types the number of machines that will be erased.
static int
s_ask(const char *sentence, uint64_t count, rmt_error_t *error)
{
    fprintf(stderr, "%s.\nType the number of targets to continue: ", sentence);
    char answer[32] = "";
    char *end = NULL;
    if (!fgets(answer, sizeof answer, stdin) || strtoull(answer, &end, 10) != count ||
        (*end && *end != '\n'))
        return rmt_fail(error, RMT_E_CANCELLED, "nothing was changed");
    return 0;
}

int
confirm_erase(call_t *call, const char *verb, rmt_record_t *body, rmt_records_t *items,
              rmt_error_t *error)
{
    const char *given = rmt_record_text(call->options, "count", NULL);
    rmt_record_set(body, "dry-run", "yes");
    rmt_auto(rmt_msg) reply = call_request(call, verb, body, items, error);
    rmt_record_remove(body, "dry-run");
    if (!reply)
        return -1;
    const uint64_t count = rmt_record_u64(reply->body, "targets", 0);
    const char *left_out = rmt_record_text(reply->body, "left-out", "");
    rmt_auto_str safe = field_safe(left_out, strlen(left_out));
    if (*safe)
        call_say(call, "left out: %s", safe);
    s_say_more(call, reply->body);
    const bool is_large = !rmt_record_is(reply->body, "large", "no");
    if (count == 0 || given || (rmt_record_has(call->options, "yes") && !is_large))
        return 0;
    rmt_auto_str sentence = s_sentence(reply->body, count);
    if (!isatty(STDIN_FILENO))
        return s_refuse(call, reply->body, sentence, error);
    // What lies there now is the last thing that a person sees before the question.
    if (items && isatty(STDOUT_FILENO) && targets_show_erased(call, items, error) == -1)
        return -1;
    rmt_record_set_u64(body, "count", count);
    return s_ask(sentence, count, error);
}

// The names of the targets, at most so many bytes. Caller owns.
static char *
s_names(const rmt_records_t *chosen)
{
    const size_t count = rmt_records_count(chosen);
    rmt_auto_ptr memory = calloc(count + 1, sizeof(char *));
    const char **names = memory;
    for (size_t i = 0; i < count; i++)
        names[i] = rmt_record_text(rmt_records_at(chosen, i), "target", "?");
    return fold_names(names, count, NAMES_SIZE);
}

int
confirm_count(call_t *call, const rmt_records_t *chosen, rmt_error_t *error)
{
    const uint64_t count = rmt_records_count(chosen);
    const char *given = rmt_record_text(call->options, "count", NULL);
    rmt_auto_str number = rmt_text("%" PRIu64, count);
    if (given ? strcmp(given, number) == 0 : count <= 1)
        return 0;
    rmt_auto_str names = s_names(chosen);
    rmt_auto_str sentence =
        rmt_text("%s %s acts on %" PRIu64 " target%s: %s", call->command->noun,
                 call->command->verb, count, count == 1 ? "" : "s", names);
    if (given || !isatty(STDIN_FILENO))
        return rmt_fail(error, RMT_E_USAGE, "%s; confirm it with --count %" PRIu64,
                        sentence, count);
    return s_ask(sentence, count, error);
}

int
confirm_power(call_t *call, const char *action, const rmt_records_t *chosen,
              rmt_error_t *error)
{
    const uint64_t count = rmt_records_count(chosen);
    const char *given = rmt_record_text(call->options, "count", NULL);
    rmt_auto_str number = rmt_text("%" PRIu64, count);
    if (given ? strcmp(given, number) == 0
              : count == 1 && rmt_record_has(call->options, "yes"))
        return 0;
    rmt_auto_str names = s_names(chosen);
    rmt_auto_str sentence =
        rmt_text("target power %s cuts the power of %" PRIu64 " target%s: %s", action,
                 count, count == 1 ? "" : "s", names);
    if (!given && isatty(STDIN_FILENO))
        return s_ask(sentence, count, error);
    rmt_auto_str more = rmt_text("--count %s", number);
    rmt_auto_str line = call_line(call, more);
    fprintf(stderr, "to do it without a terminal: %s\n", line);
    return rmt_fail(error, RMT_E_USAGE, "%s; confirm it with %s", sentence, more);
}
