#include "base/rmt_failpoint.h"

#ifdef RAMET_FAILPOINTS

#include <czmq.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARMED_MAX 32

typedef struct {
    char name[64], action[16];
    unsigned long argument; // Of the action: errno or milliseconds
    uint64_t only, passed;  // only: 0 for each time
} armed_t;

// One plan for a program: a point is passed in any thread, in code that has no context.
static pthread_mutex_t s_mutex = PTHREAD_MUTEX_INITIALIZER;
static bool s_is_planned;
static armed_t s_armed[ARMED_MAX];
static size_t s_count;
static uint64_t s_acted;

// Begin and end of the section, which the linker names. A program without a point has
// none.
extern const char *const __start_rmt_failpoints[] __attribute__((weak));
extern const char *const __stop_rmt_failpoints[] __attribute__((weak));

const char *const *
rmt_failpoint_names(size_t *count_out)
{
    *count_out = (size_t) (__stop_rmt_failpoints - __start_rmt_failpoints);
    return __start_rmt_failpoints;
}

// ---- Plans

static bool
s_is_known(const char *name)
{
    size_t count = 0;
    const char *const *names = rmt_failpoint_names(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static bool
s_parse_errno(armed_t *armed, const char *text)
{
    static const struct {
        const char *name;
        unsigned long number;
    } rows[] = {{"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT},
                {"ENOENT", ENOENT}, {"EACCES", EACCES}, {"EROFS", EROFS},
                {"EMFILE", EMFILE}, {"EBUSY", EBUSY},   {"EAGAIN", EAGAIN}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, text) == 0)
            armed->argument = rows[i].number;
    return armed->argument != 0;
}

static bool
s_parse_number(unsigned long *number_out, const char *text)
{
    char *end = NULL;
    errno = 0;
    *number_out = strtoul(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && text[0] != '-';
}

static bool
s_parse_action(armed_t *armed, char *action)
{
    char *argument = strchr(action, ':');
    if (argument)
        *argument++ = '\0';
    snprintf(armed->action, sizeof armed->action, "%s", action);
    if (strcmp(action, "error") == 0)
        return argument && s_parse_errno(armed, argument);
    if (strcmp(action, "delay") == 0)
        return argument && s_parse_number(&armed->argument, argument);
    return !argument && (strcmp(action, "crash") == 0 || strcmp(action, "stop") == 0);
}

static int
s_parse(armed_t *armed, const char *item, rmt_error_t *error)
{
    char text[128];
    snprintf(text, sizeof text, "%s", item);
    char *action = strchr(text, '=');
    if (action)
        *action++ = '\0';
    char *only = action ? strchr(action, '@') : NULL;
    if (only)
        *only++ = '\0';
    *armed = (armed_t){.only = 0};
    snprintf(armed->name, sizeof armed->name, "%s", text);
    unsigned long nth = 0;
    if (!action || !s_parse_action(armed, action) ||
        (only && (!s_parse_number(&nth, only) || nth == 0)))
        return rmt_fail(error, RMT_E_USAGE,
                        "'%s' does not set a failpoint; write NAME=ACTION[@N], with the "
                        "action error:ERRNO, crash, stop or delay:MS",
                        item);
    armed->only = nth;
    return 0;
}

// The mutex is held. A plan of the environment may name points of other programs.
static int
s_arm(const char *plan, bool is_known_wanted, rmt_error_t *error)
{
    armed_t armed[ARMED_MAX];
    size_t count = 0;
    char text[1024];
    if ((size_t) snprintf(text, sizeof text, "%s", plan) >= sizeof text)
        return rmt_fail(error, RMT_E_USAGE,
                        "RAMET_FAILPOINT has %zu bytes, and at most %zu fit",
                        strlen(plan), sizeof text - 1);
    char *rest = NULL;
    for (char *item = strtok_r(text, ",", &rest); item;
         item = strtok_r(NULL, ",", &rest)) {
        if (count == ARMED_MAX)
            return rmt_fail(error, RMT_E_USAGE,
                            "RAMET_FAILPOINT has more than %d failpoints", ARMED_MAX);
        if (s_parse(&armed[count], item, error) == -1)
            return -1;
        if (is_known_wanted && !s_is_known(armed[count].name))
            return rmt_fail(
                error, RMT_E_NOT_FOUND,
                "the failpoint '%s' does not exist; docs/testing.md lists them",
                armed[count].name);
        count++;
    }
    memcpy(s_armed, armed, count * sizeof *armed);
    s_count = count;
    s_acted = 0;
    s_is_planned = true;
    return 0;
}

int
rmt_failpoint_arm(const char *plan, rmt_error_t *error)
{
    pthread_mutex_lock(&s_mutex);
    const int result = s_arm(plan ? plan : "", true, error);
    pthread_mutex_unlock(&s_mutex);
    return result;
}

uint64_t
rmt_failpoint_acted(void)
{
    pthread_mutex_lock(&s_mutex);
    const uint64_t acted = s_acted;
    pthread_mutex_unlock(&s_mutex);
    return acted;
}

// ---- Passing

// The mutex is held.
static void
s_read_environment(void)
{
    const char *plan = getenv("RAMET_FAILPOINT");
    rmt_error_t error = {0};
    if (s_arm(plan ? plan : "", false, &error) == 0)
        return;
    dprintf(STDERR_FILENO, "RAMET_FAILPOINT: %s\n", error.text);
    abort();
}

// Whether the point acts this time, and how.
static bool
s_find(const char *name, armed_t *armed_out)
{
    bool acts = false;
    pthread_mutex_lock(&s_mutex);
    if (!s_is_planned)
        s_read_environment();
    for (size_t i = 0; i < s_count; i++) {
        armed_t *armed = &s_armed[i];
        if (strcmp(armed->name, name) != 0)
            continue;
        armed->passed++;
        if (acts || (armed->only && armed->only != armed->passed))
            continue;
        acts = true;
        s_acted++;
        *armed_out = *armed;
    }
    pthread_mutex_unlock(&s_mutex);
    return acts;
}

int
rmt_failpoint_pass(const char *name)
{
    armed_t armed;
    const int before = errno;
    if (!s_find(name, &armed))
        return 0;
    dprintf(STDERR_FILENO, "failpoint %s %s\n", name, armed.action);
    if (strcmp(armed.action, "error") == 0) {
        errno = (int) armed.argument;
        return -1;
    }
    if (strcmp(armed.action, "crash") == 0)
        raise(SIGKILL);
    if (strcmp(armed.action, "stop") == 0)
        raise(SIGSTOP);
    if (strcmp(armed.action, "delay") == 0)
        zclock_sleep((int) armed.argument);
    errno = before;
    return 0;
}

#endif
