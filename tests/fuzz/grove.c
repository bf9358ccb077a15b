#include "fuzz/grove.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "fuzz/canary.h"
#include "fuzz/must.h"

#define MARK "== "
#define FILES_MAX 64
#define PATH_SIZE_MAX 400

static char *s_top, *s_root;
static int s_root_fd = -1, s_world_fd = -1;

static void
s_remove(void)
{
    rmt_error_t ignored;
    (void) rmt_io_remove_tree(s_top, &ignored);
    free(s_top);
    free(s_root);
}

const char *
grove_top(void)
{
    if (s_top)
        return s_top;
    char shm[] = "/dev/shm/ramet-fuzz-XXXXXX", tmp[] = "/tmp/ramet-fuzz-XXXXXX";
    const char *made = mkdtemp(shm);
    made = made ? made : mkdtemp(tmp);
    MUST(made);
    s_top = rmt_text("%s", made);
    s_root = rmt_text("%s/world/root", made);
    MUST(atexit(s_remove) == 0);
    return s_top;
}

const char *
grove_root(void)
{
    (void) grove_top();
    return s_root;
}

// ---- Sections

// No part of it is "..", so that it stays below where it begins.
static bool
s_is_inside(const char *path)
{
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        const size_t size = strcspn(part, "/");
        if (size > 200 || (size == 2 && strncmp(part, "..", 2) == 0))
            return false;
    }
    return *path && *path != '/' && strlen(path) < PATH_SIZE_MAX;
}

// A link that goes up as often as its path goes down, and not more, stays in the tree.
static bool
s_is_closed(const char *path, const char *target)
{
    size_t depth = 0;
    for (const char *at = path; (at = strchr(at, '/')); at++)
        depth++;
    for (; strncmp(target, "../", 3) == 0; target += 3)
        if (depth-- == 0)
            return false;
    return s_is_inside(target);
}

static void
s_make_one(char *path, const uint8_t *data, size_t size, bool is_closed)
{
    rmt_error_t ignored;
    char *target = strstr(path, " -> ");
    if (target) {
        *target = '\0';
        target += strlen(" -> ");
    }
    if (!s_is_inside(path) || (target && is_closed && !s_is_closed(path, target)))
        return;
    rmt_auto_str full = rmt_text("%s/%s", s_root, path);
    rmt_auto_str folder = rmt_text("%s", full);
    *strrchr(folder, '/') = '\0';
    // Another section's link may stand where this one wants a folder.
    rmt_auto_ptr real = NULL;
    if (rmt_io_mkdirs(folder, 0755, &ignored) == -1 || !(real = realpath(folder, NULL)) ||
        strcmp(real, folder) != 0 || full[strlen(full) - 1] == '/')
        return;
    if (target) {
        (void) symlink(target, full);
        return;
    }
    rmt_auto_fd fd =
        open(full, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    MUST(fd == -1 || rmt_io_write(fd, data, size, &ignored) == 0);
}

// Where the next section begins, or the end.
static const uint8_t *
s_next(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *found = memmem(at, (size_t) (end - at), "\n" MARK, strlen(MARK) + 1);
    return found ? found + 1 : end;
}

static void
s_make_all(const uint8_t *data, size_t size, bool is_closed)
{
    const uint8_t *end = data + size;
    size_t count = 0;
    for (const uint8_t *at = data; at < end && count < FILES_MAX; count++) {
        const uint8_t *next = s_next(at, end);
        const uint8_t *line = memchr(at, '\n', (size_t) (next - at));
        if (line && (size_t) (line - at) > strlen(MARK) &&
            memcmp(at, MARK, strlen(MARK)) == 0) {
            rmt_auto_str path = strndup((const char *) at + strlen(MARK),
                                        (size_t) (line - at) - strlen(MARK));
            s_make_one(path, line + 1, (size_t) (next - line) - 1, is_closed);
        }
        at = next;
    }
}

int
grove_make(const uint8_t *data, size_t size, bool is_closed)
{
    rmt_error_t error;
    MUST(rmt_io_mkdirs(grove_root(), 0755, &error) == 0);
    s_make_all(data, size, is_closed);
    rmt_auto_str world = rmt_text("%s/world", s_top);
    s_world_fd = open(world, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    MUST(s_world_fd != -1);
    canary_plant(s_world_fd);
    s_root_fd = open(s_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    MUST(s_root_fd != -1);
    return s_root_fd;
}

void
grove_end(void)
{
    rmt_error_t error;
    rmt_auto_str world = rmt_text("%s/world", s_top);
    close(s_root_fd);
    canary_look(s_world_fd);
    close(s_world_fd);
    MUST(rmt_io_remove_tree(world, &error) == 0);
}
