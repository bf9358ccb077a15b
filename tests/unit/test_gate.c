// The gate of a target's agent, outcome by outcome (P6): each comparison of a fence has a
// row in which it alone decides.
#include "tools/rmt_test.h"

#include <errno.h>
#include <string.h>

#include "agent/install/gate.h"
#include "agent/install/order.h"
#include "base/rmt_auto.h"

static const uint8_t s_nonce[RMT_UID_SIZE] = {1};

// libzmq's own, or as it is in a libzmq that was built without CURVE.
static bool s_has_curve = true;

int __real_zmq_curve_keypair(char *public_out, char *secret_out);
int __wrap_zmq_curve_keypair(char *public_out, char *secret_out);

int
__wrap_zmq_curve_keypair(char *public_out, char *secret_out)
{
    if (!s_has_curve) {
        errno = ENOTSUP;
        return -1;
    }
    return __real_zmq_curve_keypair(public_out, secret_out);
}

static int
s_prepare(rmt_gate_t *gate, const char *order, rmt_gate_plan_t *plan_out,
          rmt_error_t *error)
{
    return rmt_gate_prepare(gate, order, strlen(order), plan_out, error);
}

// A GO for an order whose plan and nonce are those of a prepare.
static int
s_go(rmt_gate_t *gate, const char *order, const rmt_gate_plan_t *plan, rmt_fence_t fence,
     rmt_error_t *error)
{
    char plan_text[RMT_ID_TEXT_SIZE], nonce_text[33];
    const rmt_go_t go = {.order = order,
                         .size = strlen(order),
                         .plan = rmt_id_text(&plan->plan, plan_text),
                         .nonce = rmt_uid_text(plan->nonce, nonce_text),
                         .fence = fence};
    rmt_key_t key;
    *error = (rmt_error_t){0};
    return rmt_gate_go(gate, &go, &key, error);
}

// [1.25] P6
static void
test_era_decides_before_epoch_and_epoch_before_attempt(void **state)
{
    (void) state;
    static const rmt_fence_t seen = {5, 50, 500};
    static const struct {
        rmt_fence_t fence;
        rmt_code_t code;
    } rows[] = {
        {{5, 50, 500}, RMT_E_OK},     // The same GO once more
        {{4, 50, 500}, RMT_E_FENCED}, // An older era alone
        {{4, 51, 501}, RMT_E_FENCED}, // ... whatever comes after it
        {{6, 50, 500}, RMT_E_OK},     // A newer era alone
        {{6, 1, 1}, RMT_E_OK},        // ... whatever comes after it
        {{5, 49, 500}, RMT_E_FENCED}, // An older epoch alone
        {{5, 49, 501}, RMT_E_FENCED}, // ... whatever comes after it
        {{5, 51, 500}, RMT_E_OK},     // A newer epoch alone
        {{5, 51, 1}, RMT_E_OK},       // ... whatever comes after it
        {{5, 50, 499}, RMT_E_FENCED}, // An older attempt alone
        {{5, 50, 501}, RMT_E_OK},     // A newer attempt alone
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_gate) gate = rmt_gate_new(s_nonce);
        rmt_gate_plan_t plan;
        RMT_OK(s_prepare(gate, "order", &plan, &error));
        RMT_OK(s_go(gate, "order", &plan, seen, &error));
        (void) s_go(gate, "order", &plan, rows[i].fence, &error);
        assert_int_equal(error.code, rows[i].code);
        if (rows[i].code != RMT_E_OK)
            assert_string_equal(error.text, "the target has seen a newer GO");
        // A GO that was refused is no newest one.
        (void) s_go(gate, "order", &plan, seen, &error);
        assert_int_equal(error.code,
                         rows[i].code == RMT_E_OK && i != 0 ? RMT_E_FENCED : RMT_E_OK);
    }
}

// P6
static void
test_each_name_of_a_go_must_be_that_of_the_last_prepare(void **state)
{
    (void) state;
    const rmt_fence_t fence = {1, 1, 1};
    rmt_error_t error = {0};
    rmt_auto(rmt_gate) gate = rmt_gate_new(s_nonce);
    rmt_gate_plan_t first, last, wrong;
    RMT_OK(s_prepare(gate, "first", &first, &error));
    RMT_OK(s_prepare(gate, "last", &last, &error));
    wrong = last;
    wrong.nonce[0] ^= 1;
    RMT_FAILS(s_go(gate, "last", &wrong, fence, &error), RMT_E_FENCED);
    assert_string_equal(error.text, "the GO names another life of this agent");
    RMT_FAILS(s_go(gate, "last", &first, fence, &error), RMT_E_FENCED);
    assert_string_equal(error.text, "the GO names another plan");
    RMT_FAILS(s_go(gate, "first", &first, fence, &error), RMT_E_FENCED);
    assert_string_equal(error.text,
                        "this life of the agent did not prepare this plan last");
    RMT_OK(s_go(gate, "last", &last, fence, &error));
}

// P6
static void
test_a_plan_that_got_no_key_is_not_prepared(void **state)
{
    (void) state;
    const rmt_fence_t fence = {1, 1, 1};
    rmt_error_t error = {0};
    rmt_auto(rmt_gate) gate = rmt_gate_new(s_nonce);
    rmt_gate_plan_t plan = {.key = {.public_text = ""}};
    memcpy(plan.nonce, s_nonce, sizeof s_nonce);
    rmt_order_plan("order", 5, s_nonce, &plan.plan);
    s_has_curve = false;
    rmt_gate_plan_t none;
    RMT_FAILS(s_prepare(gate, "order", &none, &error), RMT_E_UNSUPPORTED);
    s_has_curve = true;
    RMT_FAILS(s_go(gate, "order", &plan, fence, &error), RMT_E_FENCED);
    error = (rmt_error_t){0};
    RMT_OK(s_prepare(gate, "order", &plan, &error));
    RMT_OK(s_go(gate, "order", &plan, fence, &error));
}

static void
test_a_gate_that_is_gone_may_be_destroyed_again(void **state)
{
    (void) state;
    rmt_gate_t *gate = rmt_gate_new(s_nonce);
    rmt_gate_destroy(&gate);
    assert_null(gate);
    rmt_gate_destroy(&gate);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_era_decides_before_epoch_and_epoch_before_attempt),
        cmocka_unit_test(test_each_name_of_a_go_must_be_that_of_the_last_prepare),
        cmocka_unit_test(test_a_plan_that_got_no_key_is_not_prepared),
        cmocka_unit_test(test_a_gate_that_is_gone_may_be_destroyed_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
