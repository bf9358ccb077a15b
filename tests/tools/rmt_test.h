// rmt_test - what every test includes: cmocka, and how a test says that a call of ours
// succeeded or failed.
//
// A failure shows the expression, the code and the text of the error, at the line of the
// test. Both macros take a call that returns 0 or -1, or a pointer that is NULL after a
// failure, or a variable that holds such a result.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rmt_error.h"

// RAMET_TEST names the cases that run, with * and ?; without it all do.
__attribute__((constructor)) static void
rmt_test_choose(void)
{
    const char *cases = getenv("RAMET_TEST");
    if (cases && *cases)
        cmocka_set_test_filter(cases);
}

// What a call said: 0 or a pointer is success, -1 or NULL is failure, all else is
// neither.
typedef enum { RMT_TEST_DONE, RMT_TEST_FAILED, RMT_TEST_STRANGE } rmt_test_outcome_t;

static inline rmt_test_outcome_t
rmt_test_of_int(int result)
{
    return result == 0    ? RMT_TEST_DONE
           : result == -1 ? RMT_TEST_FAILED
                          : RMT_TEST_STRANGE;
}

static inline rmt_test_outcome_t
rmt_test_of_pointer(const void *result)
{
    return result ? RMT_TEST_DONE : RMT_TEST_FAILED;
}

#define RMT_TEST_OUTCOME(expr)                                                           \
    _Generic((expr), int : rmt_test_of_int, default : rmt_test_of_pointer)(expr)

static inline void
rmt_test_ok(rmt_test_outcome_t outcome, const rmt_error_t *error, const char *expr,
            const char *file, int line)
{
    if (outcome == RMT_TEST_DONE)
        return;
    print_error("%s\n  %s: %s: %s\n", expr,
                outcome == RMT_TEST_FAILED ? "failed" : "gave neither 0 nor -1",
                rmt_code_name(error->code), error->text);
    _fail(file, line);
}

static inline void
rmt_test_fails(rmt_test_outcome_t outcome, const rmt_error_t *error, rmt_code_t code,
               const char *expr, const char *file, int line)
{
    if (outcome == RMT_TEST_FAILED && error->code == code)
        return;
    if (outcome == RMT_TEST_FAILED)
        print_error("%s\n  failed with %s: %s\n  expected %s\n", expr,
                    rmt_code_name(error->code), error->text, rmt_code_name(code));
    else
        print_error("%s\n  %s, expected %s\n", expr,
                    outcome == RMT_TEST_DONE ? "succeeded" : "gave neither 0 nor -1",
                    rmt_code_name(code));
    _fail(file, line);
}

// The call succeeds. The call puts its error into the variable error of this scope. (The
// name is that of the code too, which has no parentheses behind it.)
#define RMT_OK(expr)                                                                     \
    rmt_test_ok(RMT_TEST_OUTCOME(expr), &error, #expr, __FILE__, __LINE__)

// The call fails, with this code in the variable error of this scope.
#define RMT_FAILS(expr, code_)                                                           \
    rmt_test_fails(RMT_TEST_OUTCOME(expr), &error, code_, #expr, __FILE__, __LINE__)
