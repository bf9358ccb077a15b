#include "crypto/rmt_chain.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "crypto/rmt_hex.h"
#include "crypto/rmt_id.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#define DOMAIN "ramet-audit-v1" // With its NUL before the link
#define HEAD "{\"n\":"
#define LINK ",\"link\":\""
#define SIGNATURE "\",\"signature\":\""
#define MARK ",\"mark\":\""
#define PREV "\",\"prev\":\""
#define KEY "\",\"key\":\""
#define END "\"}"
#define LENGTH(literal) (sizeof(literal) - 1)

static void
s_hash(const uint8_t prev[RMT_CHAIN_LINK_SIZE], const char *body, size_t size,
       uint8_t link_out[RMT_CHAIN_LINK_SIZE])
{
    rmt_id_t id;
    rmt_digest_t *digest = rmt_digest_new();
    rmt_digest_update(digest, prev, RMT_CHAIN_LINK_SIZE);
    rmt_digest_update(digest, body, size);
    rmt_digest_finish(digest, &id);
    rmt_digest_destroy(&digest);
    memcpy(link_out, id.bytes + 1, RMT_CHAIN_LINK_SIZE);
}

char *
rmt_chain_link_text(const uint8_t link[RMT_CHAIN_LINK_SIZE],
                    char out[RMT_CHAIN_LINK_TEXT_SIZE])
{
    return sodium_bin2hex(out, RMT_CHAIN_LINK_TEXT_SIZE, link, RMT_CHAIN_LINK_SIZE);
}

static void
s_signed(const uint8_t link[RMT_CHAIN_LINK_SIZE],
         uint8_t out[sizeof DOMAIN + RMT_CHAIN_LINK_SIZE])
{
    memcpy(out, DOMAIN, sizeof DOMAIN);
    memcpy(out + sizeof DOMAIN, link, RMT_CHAIN_LINK_SIZE);
}

// ---- Writing

static void
s_go_on(rmt_chain_t *self, const char *body)
{
    uint8_t link[RMT_CHAIN_LINK_SIZE];
    s_hash(self->link, body, strlen(body), link);
    memcpy(self->link, link, sizeof link);
    self->n++;
}

char *
rmt_chain_add(rmt_chain_t *self, const char *members)
{
    assert(self && members && *members);
    char link[RMT_CHAIN_LINK_TEXT_SIZE];
    rmt_auto_str body = rmt_text(HEAD "%" PRIu64 ",%s", self->n + 1, members);
    s_go_on(self, body);
    return rmt_text("%s" LINK "%s" END "\n", body, rmt_chain_link_text(self->link, link));
}

char *
rmt_chain_mark(rmt_chain_t *self, const char *word, const char *members,
               const rmt_sign_key_t *key)
{
    assert(self && word && members && *members && key);
    char link[RMT_CHAIN_LINK_TEXT_SIZE], public_text[RMT_SIGN_PUBLIC_TEXT_SIZE];
    char signature_text[RMT_SIGN_TEXT_SIZE];
    uint8_t message[sizeof DOMAIN + RMT_CHAIN_LINK_SIZE], signature[RMT_SIGN_SIZE];
    rmt_auto_str body = rmt_text(HEAD "%" PRIu64 MARK "%s" PREV "%s" KEY "%s\",%s",
                                 self->n + 1, word, rmt_chain_link_text(self->link, link),
                                 rmt_sign_key_text(key, public_text), members);
    s_go_on(self, body);
    s_signed(self->link, message);
    rmt_sign_make(key, message, sizeof message, signature);
    return rmt_text("%s" LINK "%s" SIGNATURE "%s" END "\n", body,
                    rmt_chain_link_text(self->link, link),
                    rmt_sign_text(signature, signature_text));
}

// ---- Reading

// What is left of a line, from its front or from its end.
typedef struct {
    const char *at;
    size_t size;
} rest_t;

static bool
s_take(rest_t *rest, const char *literal)
{
    const size_t size = strlen(literal);
    if (rest->size < size || memcmp(rest->at, literal, size) != 0)
        return false;
    rest->at += size;
    rest->size -= size;
    return true;
}

static bool
s_take_end(rest_t *rest, const char *literal)
{
    const size_t size = strlen(literal);
    if (rest->size < size || memcmp(rest->at + rest->size - size, literal, size) != 0)
        return false;
    rest->size -= size;
    return true;
}

static bool
s_take_digits(rest_t *rest, uint8_t *out, size_t size)
{
    if (rest->size < 2 * size || !rmt_hex_read(out, size, rest->at))
        return false;
    rest->at += 2 * size;
    rest->size -= 2 * size;
    return true;
}

static bool
s_take_digits_end(rest_t *rest, uint8_t *out, size_t size)
{
    if (rest->size < 2 * size ||
        !rmt_hex_read(out, size, rest->at + rest->size - 2 * size))
        return false;
    rest->size -= 2 * size;
    return true;
}

static bool
s_take_number(rest_t *rest, uint64_t *out)
{
    uint64_t number = 0;
    size_t count = 0;
    for (; count < rest->size && rest->at[count] >= '0' && rest->at[count] <= '9';
         count++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t) (rest->at[count] - '0'), &number))
            return false;
    if (count == 0 || number == 0 || rest->at[0] == '0')
        return false;
    rest->at += count;
    rest->size -= count;
    *out = number;
    return true;
}

static bool
s_take_word(rest_t *rest, char *out, size_t size)
{
    size_t count = 0;
    while (count < rest->size && rest->at[count] >= 'a' && rest->at[count] <= 'z')
        count++;
    if (count == 0 || count >= size)
        return false;
    memcpy(out, rest->at, count);
    out[count] = '\0';
    rest->at += count;
    rest->size -= count;
    return true;
}

// The fields of a mark have their places.
static bool
s_read_mark(rmt_chain_line_t *line, rest_t *rest)
{
    return s_take(rest, MARK) && s_take_word(rest, line->mark, sizeof line->mark) &&
           s_take(rest, PREV) && s_take_digits(rest, line->prev, sizeof line->prev) &&
           s_take(rest, KEY) &&
           s_take_digits(rest, line->key.public_key, sizeof line->key.public_key) &&
           s_take(rest, "\",");
}

int
rmt_chain_read(rmt_chain_line_t *line_out, const char *text, size_t size,
               rmt_error_t *error)
{
    assert(line_out && text && error);
    rmt_chain_line_t line = {.mark = ""};
    rest_t rest = {text, size};
    (void) s_take_end(&rest, "\n");
    bool is_good = size <= RMT_CHAIN_LINE_MAX && !memchr(rest.at, '\n', rest.size) &&
                   s_take(&rest, HEAD) && s_take_number(&rest, &line.at.n) &&
                   s_take_end(&rest, END);
    const bool is_mark =
        is_good && rest.size > LENGTH(MARK) && memcmp(rest.at, MARK, LENGTH(MARK)) == 0;
    if (is_mark)
        is_good = s_take_digits_end(&rest, line.signature, sizeof line.signature) &&
                  s_take_end(&rest, SIGNATURE);
    is_good = is_good && s_take_digits_end(&rest, line.at.link, sizeof line.at.link) &&
              s_take_end(&rest, LINK);
    line.body_size = is_good ? (size_t) (rest.at + rest.size - text) : 0;
    if (is_good && is_mark)
        is_good = s_read_mark(&line, &rest);
    else if (is_good)
        is_good = s_take(&rest, ",");
    if (!is_good || rest.size == 0)
        return rmt_fail(error, RMT_E_CORRUPT,
                        "the line does not have the form of a line "
                        "of an audit file");
    *line_out = line;
    return 0;
}

bool
rmt_chain_holds(const uint8_t prev[RMT_CHAIN_LINK_SIZE], const rmt_chain_line_t *line,
                const char *text)
{
    assert(prev && line && text);
    uint8_t link[RMT_CHAIN_LINK_SIZE];
    s_hash(prev, text, line->body_size, link);
    return memcmp(link, line->at.link, sizeof link) == 0;
}

bool
rmt_chain_is_signed(const rmt_chain_line_t *line)
{
    assert(line);
    rmt_error_t error = {0};
    uint8_t message[sizeof DOMAIN + RMT_CHAIN_LINK_SIZE];
    s_signed(line->at.link, message);
    return *line->mark && rmt_sign_check(&line->key, message, sizeof message,
                                         line->signature, &error) == 0;
}
