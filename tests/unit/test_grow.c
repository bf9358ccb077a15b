// rmt_grow: arrays that get longer.
#include "tools/rmt_test.h"

#include "base/rmt_grow.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void
test_items_stay_and_the_space_doubles(void **state)
{
    (void) state;
    uint32_t *list = NULL;
    size_t space = 0, longer = 0;
    for (uint32_t count = 0; count < 1000; count++) {
        const size_t before = space;
        rmt_grow(&list, &space, count + 1);
        list[count] = count;
        longer += space != before;
        assert_true(space == before || space >= 2 * before);
    }
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(list[i], i);
    assert_true(longer <= 10);
    free(list);
}

static void
test_what_has_space_is_not_touched(void **state)
{
    (void) state;
    char *bytes = NULL;
    size_t space = 0;
    rmt_grow(&bytes, &space, 0);
    assert_null(bytes);
    rmt_grow(&bytes, &space, 5000);
    const char *before = bytes;
    const size_t enough = space;
    assert_true(enough >= 5000);
    rmt_grow(&bytes, &space, enough);
    assert_ptr_equal(bytes, before);
    assert_int_equal(space, enough);
    free(bytes);
}

static void
test_an_array_without_a_space_gets_longer_one_by_one(void **state)
{
    (void) state;
    uint64_t *list = NULL;
    for (size_t count = 0; count < 1000; count++) {
        rmt_grow_one(&list, count);
        assert_true(rmt_grown_space(count + 1) > count);
        list[count] = count;
    }
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(list[i], i);
    free(list);
}

static int
s_signal_of_growing_to(size_t wanted)
{
    const pid_t child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        uint64_t *list = NULL;
        size_t space = 0;
        rmt_grow(&list, &space, wanted);
        _exit(0);
    }
    int status;
    assert_int_not_equal(child, -1);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

// wanted * 8 bytes would be 8 bytes.
static void
test_a_size_that_overflows_ends_the_program(void **state)
{
    (void) state;
    assert_int_equal(s_signal_of_growing_to(SIZE_MAX / 8 + 2), SIGABRT);
    assert_int_equal(s_signal_of_growing_to(SIZE_MAX), SIGABRT);
    assert_int_equal(s_signal_of_growing_to(2), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items_stay_and_the_space_doubles),
        cmocka_unit_test(test_what_has_space_is_not_touched),
        cmocka_unit_test(test_an_array_without_a_space_gets_longer_one_by_one),
        cmocka_unit_test(test_a_size_that_overflows_ends_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
