#include "system/rmt_lines.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

void
rmt_lines_begin(rmt_lines_t *self, char *text, rmt_lines_join_t join)
{
    *self = (rmt_lines_t){.rest = text, .join = join};
}

char *
rmt_lines_next(rmt_lines_t *self)
{
    char *line = self->rest;
    if (!line || !*line)
        return NULL;
    self->number = ++self->next;
    self->start = line;
    char *out = line;
    char *in = line;
    for (;;) {
        char *end = strchrnul(in, '\n');
        const size_t size = (size_t) (end - in);
        const int has_more = *end != '\0';
        memmove(out, in, size);
        out += size;
        in = end + has_more;
        if (out > line && out[-1] == '\r')
            out--;
        if (self->join == RMT_LINES_ALONE || out == line || out[-1] != '\\' || !has_more)
            break;
        out--;
        if (self->join == RMT_LINES_SPACED)
            *out++ = ' ';
        self->next++;
    }
    *out = '\0';
    self->rest = in;
    return line;
}

char *
rmt_lines_trim(char *text)
{
    while (isspace((unsigned char) *text))
        text++;
    size_t size = strlen(text);
    while (size && isspace((unsigned char) text[size - 1]))
        size--;
    text[size] = '\0';
    return text;
}

char *
rmt_lines_word(char **rest, const char *marks)
{
    char *word = *rest ? *rest + strspn(*rest, marks) : NULL;
    if (!word || !*word)
        return NULL;
    char *end = word + strcspn(word, marks);
    *rest = *end ? end + 1 : end;
    *end = '\0';
    return word;
}
