#include "agent/install/screen.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define FIELD_SIZE 1280 // The longest reason of a console, and more
#define DEVICE_COUNT_MAX 8
#define NAMES_SIZE_MAX ((size_t) 4096)
#define BAR_WIDTH 30
#define TEXT_WIDTH 66   // Of a terminal with 80 columns, beside the labels
#define STEP_PERCENT 10 // A line for so much progress; the picture shows each percent

struct rmt_screen {
    struct {
        int fd;
        bool is_picture;
    } devices[DEVICE_COUNT_MAX];
    size_t count;
    char fields[RMT_SCREEN_FIELD_COUNT][FIELD_SIZE];
    int percent, shown_percent; // -1: none
    bool is_changed;            // Some field that a line has
    bool is_troubled;           // The trouble differs from the one told last
};

// What a person can do about an error, by its code.
static const char *
s_advice(rmt_code_t code)
{
    static const struct {
        rmt_code_t code;
        const char *text;
    } rows[] = {
        {RMT_E_UNAVAILABLE,
         "check the broker and the network; this machine tries again by itself"},
        {RMT_E_TIMEOUT,
         "check the broker and the network; this machine tries again by itself"},
        {RMT_E_NOT_ALLOWED, "make a new token (ramet key token target) for the netboot "
                            "configuration; see ramet target show"},
        {RMT_E_CONFIG, "correct ramet.broker, ramet.key and ramet.token in the netboot "
                       "configuration, then start this machine again"},
        {RMT_E_INCOMPATIBLE, "compare ramet target inventory with the image; choose "
                             "another target, or a policy"},
        {RMT_E_NO_SPACE, "put a larger disk into this machine, or choose another target"},
        {RMT_E_NOT_FOUND,
         "check the cables, and the controller's mode in the firmware's setup"},
        {RMT_E_IO, "check this machine's disks and memory; then: ramet job retry"},
        {RMT_E_CORRUPT, "run: ramet image verify; then: ramet job retry"},
        {RMT_E_FENCED, "nothing: a newer order has replaced this one"},
        {RMT_E_CANCELLED,
         "nothing: the task was cancelled; see at a console: ramet job show"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].code == code)
            return rows[i].text;
    return "at a console, run: ramet job logs";
}

static bool
s_is_virtual_terminal(const char *path)
{
    return strncmp(path, "/dev/tty", 8) == 0 && path[8] >= '0' && path[8] <= '9';
}

rmt_screen_t *
rmt_screen_new(const char *const *devices)
{
    assert(devices);
    rmt_screen_t *self = calloc(1, sizeof *self);
    assert(self);
    self->percent = self->shown_percent = -1;
    for (; *devices && self->count < DEVICE_COUNT_MAX; devices++) {
        const int fd =
            open(*devices, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC | O_APPEND);
        if (fd == -1)
            continue;
        self->devices[self->count].fd = fd;
        self->devices[self->count++].is_picture = s_is_virtual_terminal(*devices);
    }
    return self;
}

void
rmt_screen_destroy(rmt_screen_t **self_p)
{
    rmt_screen_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        close(self->devices[i].fd);
    free(self);
    *self_p = NULL;
}

void
rmt_screen_set(rmt_screen_t *self, rmt_screen_field_t field, const char *text)
{
    assert(self && field < RMT_SCREEN_FIELD_COUNT);
    // A terminal obeys control characters, and texts come from other machines.
    char safe[FIELD_SIZE];
    rmt_log_escape(safe, sizeof safe, text ? text : "");
    if (strcmp(safe, self->fields[field]) == 0)
        return;
    memcpy(self->fields[field], safe, sizeof safe);
    if (field == RMT_SCREEN_TROUBLE || field == RMT_SCREEN_ADVICE)
        self->is_troubled = self->fields[RMT_SCREEN_TROUBLE][0] != '\0';
    self->is_changed = true;
}

void
rmt_screen_set_progress(rmt_screen_t *self, uint64_t done, uint64_t total)
{
    self->percent = total ? (int) (done >= total ? 100 : done * 100 / total) : -1;
}

void
rmt_screen_set_trouble(rmt_screen_t *self, const rmt_error_t *error)
{
    rmt_screen_set(self, RMT_SCREEN_TROUBLE, error->code ? error->text : "");
    rmt_screen_set(self, RMT_SCREEN_ADVICE, error->code ? s_advice(error->code) : "");
}

// ---- Output

static double
s_uptime_s(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static void
s_write(int fd, const char *text)
{
    (void) !write(fd, text, strlen(text));
}

static char *
s_bar(const rmt_screen_t *self)
{
    char bar[BAR_WIDTH + 1];
    if (self->percent < 0)
        return rmt_text("%s", "");
    memset(bar, '-', BAR_WIDTH);
    memset(bar, '#', (size_t) (self->percent * BAR_WIDTH / 100));
    bar[BAR_WIDTH] = '\0';
    return rmt_text("  [%s] %3d %%", bar, self->percent);
}

// One field of the picture, broken at blanks where the terminal ends.
static void
s_put_row(FILE *out, const char *label, const char *text)
{
    fprintf(out, "  %-11s", label);
    while (strlen(text) > TEXT_WIDTH) {
        size_t size = TEXT_WIDTH;
        while (size > 0 && text[size] != ' ')
            size--;
        if (size == 0)
            size = TEXT_WIDTH;
        fprintf(out, "%.*s\n%13s", (int) size, text, "");
        text += size + (text[size] == ' ');
    }
    fprintf(out, "%s\n", text);
}

static void
s_draw(const rmt_screen_t *self, int fd)
{
    rmt_auto_str bar = s_bar(self);
    rmt_auto_str doing = rmt_text("%s%s", self->fields[RMT_SCREEN_DOING], bar);
    rmt_auto_str up = rmt_text("%.2f s", s_uptime_s());
    char *picture = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&picture, &size);
    assert(out);
    // Home, clear; the cursor rests below the picture.
    fputs("\033[H\033[2J\n  ramet " RMT_VERSION
          ": this machine waits to be installed, or is "
          "being installed.\n\n",
          out);
    s_put_row(out, "name", self->fields[RMT_SCREEN_NAME]);
    s_put_row(out, "machine", self->fields[RMT_SCREEN_MACHINE]);
    s_put_row(out, "addresses", self->fields[RMT_SCREEN_ADDRESSES]);
    s_put_row(out, "broker", self->fields[RMT_SCREEN_BROKER]);
    fputc('\n', out);
    s_put_row(out, "doing", doing);
    fputc('\n', out);
    s_put_row(out, "trouble", self->fields[RMT_SCREEN_TROUBLE]);
    s_put_row(out, "what to do", self->fields[RMT_SCREEN_ADVICE]);
    fputc('\n', out);
    s_put_row(out, "up", up);
    fclose(out);
    s_write(fd, picture);
    free(picture);
}

// With what is known; a line should stand alone in a log.
static char *
s_line(const rmt_screen_t *self)
{
    static const struct {
        rmt_screen_field_t field;
        const char *before;
    } parts[] = {
        {RMT_SCREEN_NAME, " as "},
        {RMT_SCREEN_ADDRESSES, ", "},
        {RMT_SCREEN_BROKER, ", broker "},
    };
    char *line =
        rmt_text("ramet, up %.2f s: %s", s_uptime_s(), self->fields[RMT_SCREEN_DOING]);
    if (self->percent >= 0) {
        char *longer = rmt_text("%s %d %%", line, self->percent);
        free(line);
        return longer;
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const char *field = self->fields[parts[i].field];
        if (!*field)
            continue;
        char *longer = rmt_text("%s%s%s", line, parts[i].before, field);
        free(line);
        line = longer;
    }
    return line;
}

static void
s_print(const rmt_screen_t *self, int fd)
{
    rmt_auto_str line = s_line(self);
    rmt_auto_str trouble =
        self->is_troubled
            ? rmt_text("ramet, trouble: %s; what to do: %s\n",
                       self->fields[RMT_SCREEN_TROUBLE], self->fields[RMT_SCREEN_ADVICE])
            : rmt_text("%s", "");
    rmt_auto_str all = rmt_text("%s\n%s", line, trouble);
    s_write(fd, all);
}

void
rmt_screen_show(rmt_screen_t *self)
{
    assert(self);
    const bool is_step =
        self->percent >= 0 &&
        (self->shown_percent < 0 || self->percent == 100 ||
         self->percent / STEP_PERCENT != self->shown_percent / STEP_PERCENT);
    if (!self->is_changed && self->percent == self->shown_percent)
        return;
    for (size_t i = 0; i < self->count; i++) {
        if (self->devices[i].is_picture)
            s_draw(self, self->devices[i].fd);
        else if (self->is_changed || is_step)
            s_print(self, self->devices[i].fd);
    }
    self->is_changed = self->is_troubled = false;
    self->shown_percent = self->percent;
}

char **
rmt_screen_consoles(const char *path)
{
    rmt_auto_ptr text = NULL;
    size_t size = 0;
    rmt_error_t ignored = {0};
    if (rmt_io_load(path, NAMES_SIZE_MAX, &text, &size, &ignored) == -1)
        size = 0;
    const size_t table = (DEVICE_COUNT_MAX + 1) * sizeof(char *);
    char **names = calloc(1, table + size + (size_t) DEVICE_COUNT_MAX * sizeof "/dev/");
    assert(names);
    char *at = (char *) names + table;
    char *rest = text;
    size_t count = 0;
    for (char *word = size ? strsep(&rest, " \n") : NULL;
         word && count < DEVICE_COUNT_MAX; word = strsep(&rest, " \n")) {
        if (!*word || strchr(word, '/'))
            continue;
        names[count++] = at;
        // tty0 is whichever terminal is seen; a shell on the second one stays unspoiled.
        at += sprintf(at, "/dev/%s", strcmp(word, "tty0") == 0 ? "tty1" : word) + 1;
    }
    return names;
}
