// The state file of a broker: all of it is read, or the broker does not start (P6,
// [1.63]).
#include "tools/rmt_test.h"

#include <stdlib.h>
#include <unistd.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "broker/broker.h"

#define ID "00112233445566778899aabbccddeeff"
#define OLD "era = 3\naudit = \"1700000000000-2\"\n"
#define WHOLE OLD "moment = \"1700000000000123\"\nid = \"" ID "\"\n"

typedef struct {
    char folder[64];
    char *path;
    rmt_settings_t settings;
    rmt_broker_t broker;
} fixture_t;

static int
s_setup(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    assert_non_null(self);
    strcpy(self->folder, "/tmp/ramet-state-XXXXXX");
    assert_non_null(mkdtemp(self->folder));
    self->path = rmt_text("%s/broker.state", self->folder);
    self->settings.state_file = self->path;
    *state = self;
    return 0;
}

static int
s_teardown(void **state)
{
    fixture_t *self = *state;
    rmt_error_t error = {0};
    RMT_OK(rmt_io_remove_tree(self->folder, &error));
    free(self->path);
    free(self);
    return 0;
}

static int
s_load(fixture_t *self, const char *text, size_t size, rmt_error_t *error_out)
{
    rmt_error_t error = {0};
    RMT_OK(rmt_io_save(self->path, text, size, 0600, &error));
    self->broker = (rmt_broker_t){.settings = &self->settings};
    return rmt_broker_load(&self->broker, error_out);
}

static void
s_need(fixture_t *self, const char *text)
{
    rmt_error_t error = {0};
    RMT_OK(s_load(self, text, strlen(text), &error));
}

static void
test_what_was_saved_is_read(void **state)
{
    fixture_t *self = *state;
    rmt_error_t error = {0};
    rmt_broker_t *broker = &self->broker;
    broker->settings = &self->settings;
    RMT_OK(rmt_broker_load(broker, &error));
    rmt_auto_str id = rmt_text("%s", broker->id);
    RMT_OK(rmt_broker_save(broker, &error)); // Before Redis was seen
    *broker = (rmt_broker_t){.settings = &self->settings};
    RMT_OK(rmt_broker_load(broker, &error));
    assert_string_equal(broker->id, id);
    broker->era = 3;
    rmt_broker_know(broker, "1700000000000-2", "1700000000000123");
    RMT_OK(rmt_broker_save(broker, &error));
    *broker = (rmt_broker_t){.settings = &self->settings};
    RMT_OK(rmt_broker_load(broker, &error));
    assert_int_equal(broker->file_era, 3);
    assert_string_equal(broker->known.id, "1700000000000-2");
    assert_string_equal(broker->known.moment, "1700000000000123");
    assert_string_equal(broker->id, id);
    assert_true(broker->is_id_saved);
}

static void
test_a_file_of_an_older_version_is_read(void **state)
{
    fixture_t *self = *state;
    s_need(self, OLD);
    assert_int_equal(self->broker.file_era, 3);
    assert_string_equal(self->broker.known.id, "1700000000000-2");
    assert_string_equal(self->broker.known.moment, "");
    assert_int_equal(strlen(self->broker.id), 32);
    assert_false(self->broker.is_id_saved);
}

// Cut anywhere, or with any octet changed, it is not read as another one.
static void
test_a_damaged_file_is_refused(void **state)
{
    fixture_t *self = *state;
    rmt_error_t error = {0};
    s_need(self, WHOLE);
    for (size_t size = 0; size < strlen(WHOLE); size++)
        if (size != strlen(OLD))
            RMT_FAILS(s_load(self, WHOLE, size, &error), RMT_E_CONFIG);
    for (size_t at = 0; at < strlen(WHOLE); at++) {
        char text[] = WHOLE;
        static const char others[] = {'\0', ' ', '-', 'x'};
        for (size_t i = 0; i < sizeof others; i++) {
            text[at] = others[i];
            if (WHOLE[at] != others[i])
                RMT_FAILS(s_load(self, text, strlen(WHOLE), &error), RMT_E_CONFIG);
        }
    }
    assert_non_null(strstr(error.text, self->path));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_what_was_saved_is_read),
        CASE(test_a_file_of_an_older_version_is_read),
        CASE(test_a_damaged_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
