#include "base/rmt_sysfs.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// The path is made from a format in every function here.
#define S_PATH(path, format)                                                             \
    char path[PATH_MAX];                                                                 \
    do {                                                                                 \
        va_list arguments_;                                                              \
        va_start(arguments_, format);                                                    \
        vsnprintf(path, sizeof path, format, arguments_);                                \
        va_end(arguments_);                                                              \
    } while (0)

static char *
s_read_line(char text[RMT_SYSFS_TEXT_SIZE], const char *path)
{
    text[0] = '\0';
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return text;
    const ssize_t size = read(fd, text, RMT_SYSFS_TEXT_SIZE - 1);
    text[size > 0 ? size : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    size_t end = strlen(text);
    while (end && isspace((unsigned char) text[end - 1]))
        text[--end] = '\0';
    const size_t start = strspn(text, " \t");
    memmove(text, text + start, end - start + 1);
    return text;
}

char *
rmt_sysfs_text(char text[RMT_SYSFS_TEXT_SIZE], const char *format, ...)
{
    S_PATH(path, format);
    return s_read_line(text, path);
}

uint64_t
rmt_sysfs_number(const char *format, ...)
{
    S_PATH(path, format);
    char text[RMT_SYSFS_TEXT_SIZE];
    s_read_line(text, path);
    return strtoull(text, NULL, strncmp(text, "0x", 2) == 0 ? 16 : 10);
}

char *
rmt_sysfs_link_name(char text[RMT_SYSFS_TEXT_SIZE], const char *format, ...)
{
    S_PATH(path, format);
    const ssize_t size = readlink(path, text, RMT_SYSFS_TEXT_SIZE - 1);
    text[size > 0 ? size : 0] = '\0';
    const char *slash = strrchr(text, '/');
    if (slash)
        memmove(text, slash + 1, strlen(slash));
    return text;
}

bool
rmt_sysfs_exists(const char *format, ...)
{
    S_PATH(path, format);
    return access(path, F_OK) == 0;
}

char *
rmt_sysfs_list(const char *format, ...)
{
    S_PATH(path, format);
    char *names = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&names, &size);
    struct dirent **entries = NULL;
    const int count = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.')
            fwrite(entries[i]->d_name, 1, strlen(entries[i]->d_name) + 1, out);
        free(entries[i]);
    }
    free(entries);
    fputc('\0', out);
    if (fclose(out))
        abort();
    return names;
}

void
rmt_sysfs_set(rmt_record_t *record, const char *name, const char *text)
{
    if (text[0])
        rmt_record_set(record, name, text);
}
