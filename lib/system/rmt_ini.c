#include "system/rmt_ini.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "system/rmt_lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Take the line apart. 1: it has a value; 0: it has none, and need not; -1: no such line.
static int
s_part(char *text, char **section, rmt_ini_line_t *line)
{
    text = rmt_lines_trim(text);
    if (!text[0] || text[0] == '#' || text[0] == ';')
        return 0;
    const size_t size = strlen(text);
    if (text[0] == '[') {
        if (size < 3 || text[size - 1] != ']')
            return -1;
        text[size - 1] = '\0';
        free(*section);
        *section = rmt_text("%s", text + 1);
        return 0;
    }
    char *mark = strchr(text, '=');
    if (!mark || mark == text || !**section)
        return -1;
    *mark = '\0';
    line->section = *section;
    line->key = rmt_lines_trim(text);
    line->value = rmt_lines_trim(mark + 1);
    return 1;
}

int
rmt_ini_read(rmt_netscan_t *scan, const char *path, bool is_unit, rmt_ini_fn *take,
             void *context)
{
    rmt_auto_str text = NULL;
    if (rmt_netscan_load(scan, path, &text) == -1)
        return -1;
    rmt_auto_str section = rmt_text("%s", "");
    rmt_lines_t lines;
    rmt_lines_begin(&lines, text, is_unit ? RMT_LINES_SPACED : RMT_LINES_ALONE);
    for (char *words; (words = rmt_lines_next(&lines));) {
        rmt_ini_line_t line = {.path = path, .line = lines.number};
        const int found = s_part(words, &section, &line);
        if (found == -1)
            rmt_netscan_refuse(scan, path, lines.number,
                               "is neither [section] nor key=value below one: '%.60s'",
                               words);
        if (found == 1 && take(context, scan, &line) == -1)
            return -1;
    }
    return 0;
}

int
rmt_ini_strip(rmt_netscan_t *scan, const char *path, const char *copy, bool is_unit,
              rmt_ini_is_fn *is_foreign)
{
    rmt_auto_str text = NULL;
    if (rmt_netscan_load(scan, path, &text) == -1)
        return -1;
    rmt_auto_str whole = rmt_text("%s", text ? text : "");
    rmt_auto_str section = rmt_text("%s", "");
    char *kept = NULL;
    size_t size = 0;
    bool has_any = false;
    FILE *out = open_memstream(&kept, &size);
    rmt_lines_t lines;
    rmt_lines_begin(&lines, text, is_unit ? RMT_LINES_SPACED : RMT_LINES_ALONE);
    for (char *words; (words = rmt_lines_next(&lines));) {
        const size_t at = (size_t) (lines.start - text);
        rmt_ini_line_t line = {.path = path, .line = lines.number};
        if (s_part(words, &section, &line) == 1 && is_foreign(&line))
            has_any = true;
        else
            fwrite(whole + at, 1, (size_t) (lines.rest - lines.start), out);
    }
    if (fclose(out))
        abort();
    if (has_any)
        rmt_netscan_write(scan, copy, 0644, kept);
    free(kept);
    return 0;
}
