#include "gateway/page.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <czmq.h>

#define FILE_SIZE_MAX ((size_t) 1024 * 1024)
#define SCRIPT "text/javascript; charset=utf-8"

static const struct {
    const char *path, *file, *type;
} s_files[] = {
    {"/", "index.html", "text/html; charset=utf-8"},
    {"/ramet.css", "ramet.css", "text/css; charset=utf-8"},
    {"/main.js", "main.js", SCRIPT},
    {"/act.js", "act.js", SCRIPT},
    {"/feed.js", "feed.js", SCRIPT},
    {"/farm.js", "farm.js", SCRIPT},
    {"/grid.js", "grid.js", SCRIPT},
    {"/job.js", "job.js", SCRIPT},
    {"/words.js", "words.js", SCRIPT},
};
#define FILE_COUNT (sizeof s_files / sizeof *s_files)

struct page {
    web_answer_t *answers[FILE_COUNT];
};

page_t *
page_new(const char *folder)
{
    assert(folder);
    rmt_auto(page) self = zmalloc(sizeof *self);
    for (size_t i = 0; i < FILE_COUNT; i++) {
        rmt_error_t ignored = {0};
        rmt_auto_str path = rmt_text("%s/%s", folder, s_files[i].file);
        void *data = NULL;
        size_t size = 0;
        if (rmt_io_load(path, FILE_SIZE_MAX, &data, &size, &ignored) == -1)
            return NULL;
        char *body = data;
        self->answers[i] = web_answer_new(200, s_files[i].type, &body, size);
    }
    return rmt_take(&self);
}

void
page_destroy(page_t **self_p)
{
    assert(self_p);
    page_t *self = rmt_take(self_p);
    for (size_t i = 0; self && i < FILE_COUNT; i++)
        web_answer_destroy(&self->answers[i]);
    free(self);
}

page_file_t
page_find(const page_t *self, const char *path)
{
    for (size_t i = 0; i < FILE_COUNT; i++)
        if (streq(s_files[i].path, path))
            return (page_file_t){s_files[i].type, self ? self->answers[i] : NULL};
    return (page_file_t){0};
}
