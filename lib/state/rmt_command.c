#include "state/rmt_command.h"

#include <assert.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

typedef struct {
    const char **at;
    size_t *sizes;
    size_t count;
} words_t;

static void
s_add_word(words_t *self, const void *data, size_t size)
{
    self->at[self->count] = data;
    self->sizes[self->count++] = size;
}

static size_t
s_count_words(const rmt_record_t *record)
{
    return record ? 2 * rmt_record_count(record) : 0;
}

static void
s_add_record(words_t *self, const rmt_record_t *record)
{
    for (size_t i = 0; i < s_count_words(record) / 2; i++) {
        const char *name = rmt_record_name_at(record, i);
        size_t size = 0;
        const void *value = rmt_record_value_at(record, i, &size);
        s_add_word(self, name, strlen(name));
        s_add_word(self, value, size);
    }
}

static zframe_t *
s_settings_command(void)
{
    char *text = NULL;
    const int size =
        redisFormatCommand(&text, "CONFIG GET appendonly appendfsync maxmemory-policy "
                                  "min-replicas-to-write");
    assert(size > 0);
    zframe_t *command = zframe_new(text, (size_t) size);
    redisFreeCommand(text);
    return command;
}

zframe_t *
rmt_command_new(const rmt_call_t *call, int64_t clock_ms)
{
    assert(call && call->function);
    if (streq(call->function, RMT_STATE_SETTINGS))
        return s_settings_command();
    const size_t items = call->items ? rmt_records_count(call->items) : 0;
    char clock[24];
    snprintf(clock, sizeof clock, "%" PRId64, clock_ms);
    size_t count = 4 + items + (clock_ms ? 2 : 0) + s_count_words(call->meta) +
                   s_count_words(call->body);
    for (size_t i = 0; i < items; i++)
        count += s_count_words(rmt_records_at(call->items, i));
    words_t words = {.at = zmalloc(count * sizeof *words.at),
                     .sizes = zmalloc(count * sizeof *words.sizes)};
    s_add_word(&words, "FCALL", 5);
    s_add_word(&words, call->function, strlen(call->function));
    s_add_word(&words, "0", 1); // No keys
    s_add_record(&words, call->meta);
    if (clock_ms) {
        s_add_word(&words, "clock", 5);
        s_add_word(&words, clock, strlen(clock));
    }
    s_add_word(&words, "--", 2);
    s_add_record(&words, call->body);
    for (size_t i = 0; i < items; i++) {
        s_add_word(&words, "--", 2);
        s_add_record(&words, rmt_records_at(call->items, i));
    }
    assert(words.count == count);
    char *text = NULL;
    const long long size =
        redisFormatCommandArgv(&text, (int) count, words.at, words.sizes);
    assert(size > 0);
    zframe_t *command = zframe_new(text, (size_t) size);
    redisFreeCommand(text);
    free(words.at);
    free(words.sizes);
    return command;
}
