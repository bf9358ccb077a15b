// Which role may use which verb, and how keys of people are told apart and renewed (P18).
#include <stdlib.h>
#include <string.h>

#include "integration/broker_farm.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#define PAGE_MAX ((size_t) 1 << 20)

// The page says "| role, role | `verb` `verb` |"; this is one such row.
typedef struct {
    char *roles, *verbs;
} row_t;

static size_t
s_rows(char *page, row_t *rows, size_t max)
{
    size_t count = 0;
    char *at = strstr(page, "## Who may use which verb");
    assert_non_null(at);
    char *rest = NULL, *end = strstr(at + 3, "\n## ");
    if (end)
        *end = '\0';
    for (char *line = strtok_r(at, "\n", &rest); line && count < max;
         line = strtok_r(NULL, "\n", &rest)) {
        char *verbs = strstr(line, " | `");
        if (strncmp(line, "| ", 2) != 0 || !verbs)
            continue;
        *verbs = '\0';
        rows[count++] = (row_t){line + 2, verbs + 3};
    }
    return count;
}

static bool
s_has_role(const char *roles, const char *role)
{
    rmt_auto_str quoted = rmt_text("`%s`", role);
    return strstr(roles, quoted) != NULL;
}

typedef struct {
    const char *role, *place, *service; // service is "" for one that asks alone
    rmt_port_t port;
} peer_t;

// A session of a new key of that role. Caller owns the result.
static zsock_t *
s_session(broker_farm_t *farm, const peer_t *peer, size_t n)
{
    rmt_auto_str name = rmt_text("%s%zu", peer->role, n);
    const rmt_key_t key = broker_enrol(farm, peer->role, name, peer->place);
    zsock_t *socket = broker_dial(farm, &key, peer->port);
    if (*peer->service) {
        rmt_auto_str service =
            rmt_text("%s%s", peer->service, strchr(peer->service, '/') ? name : "");
        rmt_auto(rmt_msg) hello = broker_hello(peer->role, name, service);
        rmt_auto(rmt_msg) welcome = broker_say(socket, hello, RMT_MSG_WELCOME);
    }
    return socket;
}

// The broker does not even look at the request.
static bool
s_is_refused(zsock_t *socket, const char *verb)
{
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_REQUEST);
    rmt_msg_text(&msg->verb, verb);
    rmt_auto(rmt_msg) reply = broker_say(socket, msg, RMT_MSG_REPLY);
    return reply->code == RMT_E_NOT_ALLOWED && reply->text &&
           strstr(reply->text, "may not use the verb");
}

// Every verb of the page asked by this role: refused where the page does not name it.
// A key that is refused 60 times is muted, so each row of the page has a key of its own.
static void
s_try_role(broker_farm_t *farm, const peer_t *peer, const row_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const bool may = s_has_role(rows[i].roles, peer->role);
        rmt_auto(zsock) socket = s_session(farm, peer, i);
        rmt_auto_str verbs = strdup(rows[i].verbs);
        char *rest = NULL;
        for (char *verb = strtok_r(verbs, "` |", &rest); verb;
             verb = strtok_r(NULL, "` |", &rest)) {
            if (may == s_is_refused(socket, verb))
                fail_msg("%s: %s %s use it", verb, peer->role, may ? "cannot" : "can");
        }
    }
}

// P18: every role and every verb, as the page says.
static void
test_each_role_may_use_the_verbs_that_the_page_says(void **state)
{
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    static const peer_t peers[] = {
        {"operator", "", "", RMT_PORT_CONSOLE},
        {"viewer", "", "", RMT_PORT_CONSOLE},
        {"dashboard", "", "", RMT_PORT_CONSOLE},
        {"imager", "hq", "commit@hq", RMT_PORT_WORKERS},
        {"installer", "lab", "match@lab", RMT_PORT_WORKERS},
        {"source", "hq", "capture@source/", RMT_PORT_AGENTS},
        {"target", "lab", "prepare@target/", RMT_PORT_AGENTS},
    };
    const char *top = getenv("RAMET_SOURCE");
    rmt_auto_str path = rmt_text("%s/docs/security.md", top ? top : ".");
    rmt_auto_ptr page = NULL;
    size_t size;
    RMT_OK(rmt_io_load(path, PAGE_MAX, &page, &size, &error));
    row_t rows[16];
    const size_t count = s_rows(page, rows, 16);
    assert_in_range(count, 6, 15);
    for (size_t i = 0; i < sizeof peers / sizeof *peers; i++)
        s_try_role(farm, &peers[i], rows, count);
}

// ---- Names

static void
test_a_refusal_says_which_role_may(void **state)
{
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    const rmt_key_t key = broker_enrol(farm, "viewer", "eve", "");
    rmt_auto(rmt_client) eve = broker_client(farm, &key);
    RMT_FAILS(broker_ask(eve, "job.cancel", "job=x", "", NULL, &error),
              RMT_E_NOT_ALLOWED);
    assert_non_null(strstr(error.text, "admin or operator"));
    assert_non_null(strstr(error.text, "ramet key token operator"));
    RMT_FAILS(broker_ask(eve, "lock.break", "target=x", "", NULL, &error),
              RMT_E_NOT_ALLOWED);
    assert_non_null(strstr(error.text, "ask an admin to do it"));
}

static rmt_code_t
s_enrol(broker_farm_t *farm, const char *role, const char *name)
{
    rmt_error_t error = {0};
    rmt_key_t key;
    RMT_OK(rmt_key_new(&key, &error));
    rmt_auto(zsock) socket = broker_dial(farm, &key, RMT_PORT_ENROL);
    rmt_auto_str want = rmt_text("role=%s approve=yes", role);
    rmt_auto(rmt_msg) token = broker_need(farm, "key.token", want, "");
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_ENROL);
    rmt_msg_text(&msg->token, rmt_record_text(token->body, "token", ""));
    rmt_record_set(rmt_msg_body(msg), "role", role);
    rmt_record_set(msg->body, "name", name);
    rmt_auto(rmt_msg) answer = broker_say(socket, msg, RMT_MSG_ENROLLED);
    return rmt_code_from(answer->code);
}

// [4.55]
static void
test_two_people_do_not_have_one_name(void **state)
{
    broker_farm_t *farm = *state;
    assert_int_equal(s_enrol(farm, "operator", "ada"), RMT_E_OK);
    assert_int_equal(s_enrol(farm, "operator", "ada"), RMT_E_EXISTS);
    assert_int_equal(s_enrol(farm, "viewer", "ada"), RMT_E_EXISTS);
    assert_int_equal(s_enrol(farm, "viewer", "admin"), RMT_E_EXISTS);
    rmt_auto(rmt_msg) gone = broker_need(farm, "key.revoke", "name=ada", "");
    assert_int_equal(s_enrol(farm, "viewer", "ada"), RMT_E_OK);
}

static void
test_what_was_done_has_the_name_of_who_did_it(void **state)
{
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    const rmt_key_t key = broker_enrol(farm, "operator", "ada", "");
    rmt_auto(rmt_client) ada = broker_client(farm, &key);
    rmt_auto(rmt_msg) who = broker_ask(ada, "key.whoami", "", "", NULL, &error);
    RMT_OK(who);
    assert_string_equal(rmt_record_text(who->body, "name", ""), "ada");
    assert_string_equal(rmt_record_text(who->body, "role", ""), "operator");
    assert_non_null(strstr(rmt_record_text(who->body, "may", ""), "deploy.start"));
    assert_null(strstr(rmt_record_text(who->body, "may", ""), "key.token"));
    hand_t *imager = hand_hire_imager(farm);
    hand_t *web = hand_hire_source(farm);
    rmt_auto(rmt_msg) made =
        broker_ask(ada, "image.create", "source=web name=img", "", NULL, &error);
    RMT_OK(made);
    rmt_auto(rmt_msg) jobs = broker_need(farm, "job.list", "", "");
    assert_true(rmt_record_is(rmt_records_at(jobs->items, 0), "by", "ada"));
    rmt_auto(rmt_msg) keys = broker_need(farm, "key.list", "", "");
    assert_non_null(rmt_records_find(keys->items, "name", "admin"));
    hand_dismiss(&web);
    hand_dismiss(&imager);
}

// ---- Rotation

static void
test_a_rotated_key_gives_way_when_the_new_one_works(void **state)
{
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    const rmt_key_t old_key = broker_enrol(farm, "operator", "ada", "");
    rmt_key_t new_key;
    RMT_OK(rmt_key_new(&new_key, &error));
    rmt_auto_str body = rmt_text("key=%s", new_key.public_text);
    rmt_auto(rmt_client) old = broker_client(farm, &old_key);
    rmt_auto(rmt_msg) first = broker_ask(old, "key.rotate", body, "", NULL, &error);
    RMT_OK(first);
    rmt_auto(rmt_msg) again = broker_ask(old, "key.rotate", body, "", NULL, &error);
    RMT_OK(again); // A rotation that was cut off goes on
    rmt_auto(rmt_client) new = broker_client(farm, &new_key);
    rmt_auto(rmt_msg) who = broker_ask(new, "key.whoami", "", "", NULL, &error);
    RMT_OK(who);
    assert_string_equal(rmt_record_text(who->body, "name", ""), "ada");
    RMT_WAIT_UNTIL(!broker_ask(old, "job.list", "", "", NULL, &error), BROKER_WAIT_MS);
    assert_int_equal(error.code, RMT_E_NOT_ALLOWED);
    rmt_auto(rmt_msg) jobs = broker_ask(new, "job.list", "", "", NULL, &error);
    RMT_OK(jobs);
}

static void
test_a_foreign_key_is_not_taken_over_by_a_rotation(void **state)
{
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    const rmt_key_t ada_key = broker_enrol(farm, "operator", "ada", "");
    const rmt_key_t eve_key = broker_enrol(farm, "viewer", "eve", "");
    rmt_auto(rmt_client) eve = broker_client(farm, &eve_key);
    rmt_auto_str body = rmt_text("key=%s", ada_key.public_text);
    RMT_FAILS(broker_ask(eve, "key.rotate", body, "", NULL, &error), RMT_E_EXISTS);
    RMT_FAILS(broker_ask(eve, "key.rotate", "key=short", "", NULL, &error), RMT_E_USAGE);
    RMT_FAILS(broker_ask(farm->client, "key.rotate", body, "", NULL, &error),
              RMT_E_REFUSED);
}

// ---- Tokens

static void
test_a_revoked_token_lets_nobody_in(void **state)
{
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) token =
        broker_need(farm, "key.token", "role=viewer approve=yes uses=9", "");
    rmt_auto(rmt_msg) list = broker_need(farm, "token.list", "", "");
    assert_int_equal(rmt_records_count(list->items), 1);
    const rmt_record_t *item = rmt_records_at(list->items, 0);
    assert_true(rmt_record_is(item, "by", "admin"));
    const char *id = rmt_record_text(item, "id", "");
    const char *text = rmt_record_text(token->body, "token", "");
    assert_non_null(strstr(text, id));
    rmt_auto_str body = rmt_text("name=%s", id);
    rmt_auto(rmt_msg) gone = broker_need(farm, "token.revoke", body, "");
    RMT_FAILS(broker_ask(farm->client, "token.revoke", body, "", NULL, &error),
              RMT_E_NOT_FOUND);
    rmt_auto(rmt_msg) none = broker_need(farm, "token.list", "", "");
    assert_int_equal(rmt_records_count(none->items), 0);
    rmt_key_t key;
    RMT_OK(rmt_key_new(&key, &error));
    rmt_auto(zsock) socket = broker_dial(farm, &key, RMT_PORT_ENROL);
    rmt_auto(rmt_msg) knock = rmt_msg_new(RMT_MSG_ENROL);
    rmt_msg_text(&knock->token, text);
    rmt_record_set(rmt_msg_body(knock), "role", "viewer");
    rmt_record_set(knock->body, "name", "bob");
    rmt_auto(rmt_msg) answer = broker_say(socket, knock, RMT_MSG_ENROLLED);
    assert_int_equal(answer->code, RMT_E_NOT_ALLOWED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_each_role_may_use_the_verbs_that_the_page_says),
        CASE(test_a_refusal_says_which_role_may),
        CASE(test_two_people_do_not_have_one_name),
        CASE(test_what_was_done_has_the_name_of_who_did_it),
        CASE(test_a_rotated_key_gives_way_when_the_new_one_works),
        CASE(test_a_foreign_key_is_not_taken_over_by_a_rotation),
        CASE(test_a_revoked_token_lets_nobody_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
