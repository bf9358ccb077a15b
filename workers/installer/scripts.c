#include "installer/scripts.h"
#include "base/rmt_auto.h"
#include "crypto/rmt_id.h"
#include "base/rmt_io.h"
#include "facts/rmt_location.h"
#include "base/rmt_log.h"
#include "base/rmt_process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define FETCH_MS 60000
#define CONNECT_S "15"
#define ARGUMENTS_MAX 40

typedef struct {
    const char *items[ARGUMENTS_MAX + 1];
    size_t count;
} arguments_t;

static void
s_add(arguments_t *arguments, const char *const *words)
{
    for (; *words && arguments->count < ARGUMENTS_MAX; words++)
        arguments->items[arguments->count++] = *words;
}

// A server that sends without end meets the limit of files.
static void
s_add_limit(arguments_t *arguments, const char *limit)
{
    const char *const words[] = {"prlimit", limit, "--", NULL};
    s_add(arguments, words);
}

// The user's own settings of curl play no part, and a redirection stays with https.
static void
s_add_curl(arguments_t *arguments, const char *url, const char *file,
           const rmt_config_t *config)
{
    const char *ca = rmt_config_text(config, "script-ca");
    const char *const words[] = {"curl",         "-q",
                                 "--silent",     "--show-error",
                                 "--fail",       "--proto",
                                 "=https",       "--proto-redir",
                                 "=https",       "--location",
                                 "--max-redirs", "5",
                                 "--globoff",    "--connect-timeout",
                                 CONNECT_S,      "--output",
                                 file,           NULL};
    const char *const own_ca[] = {"--cacert", ca, NULL};
    const char *const last[] = {"--url", url, NULL};
    s_add(arguments, words);
    if (*ca)
        s_add(arguments, own_ca);
    s_add(arguments, last);
}

// scp speaks SFTP, so that the other side needs no shell. A host that is not known is
// refused, as no person is there to be asked.
static void
s_add_scp(arguments_t *arguments, const char *from, const char *file,
          const char *const *options)
{
    static const char *const words[] = {"scp",
                                        "-q",
                                        "-B",
                                        "-o",
                                        "ConnectTimeout=" CONNECT_S,
                                        "-o",
                                        "StrictHostKeyChecking=yes",
                                        NULL};
    const char *const last[] = {"--", from, file, NULL};
    s_add(arguments, words);
    s_add(arguments, options);
    s_add(arguments, last);
}

static int
s_fetch(const char *url, const char *file, const rmt_config_t *config, rmt_error_t *error)
{
    rmt_location_t location;
    if (rmt_location_parse(url, &location, error) == -1)
        return -1;
    const char *key = rmt_config_text(config, "script-key");
    rmt_auto_str limit = rmt_text("--fsize=%zu", INSTALLER_SCRIPT_SIZE_MAX + 1);
    rmt_auto_str hosts =
        rmt_text("UserKnownHostsFile=%s", rmt_config_text(config, "script-hosts"));
    const bool is_v6 = strchr(location.host, ':');
    rmt_auto_str port =
        location.port ? rmt_text(":%u", location.port) : rmt_text("%s", "");
    rmt_auto_str from =
        rmt_text("scp://%s%s%s%s%s%s/%s", location.user, *location.user ? "@" : "",
                 is_v6 ? "[" : "", location.host, is_v6 ? "]" : "", port, location.path);
    const char *options[7] = {NULL};
    size_t count = 0;
    if (*key) {
        options[count++] = "-i";
        options[count++] = key;
        options[count++] = "-o";
        options[count++] = "IdentitiesOnly=yes";
    }
    if (*rmt_config_text(config, "script-hosts")) {
        options[count++] = "-o";
        options[count++] = hosts;
    }
    arguments_t arguments = {.count = 0};
    s_add_limit(&arguments, limit);
    if (location.is_ssh)
        s_add_scp(&arguments, from, file, options);
    else
        s_add_curl(&arguments, url, file, config);
    const rmt_process_t process = {.arguments = arguments.items, .timeout_ms = FETCH_MS};
    rmt_process_end_t end;
    if (rmt_process_try(&process, &end, error) == -1)
        return -1;
    const bool is_good = end.status == 0;
    if (!is_good) {
        end.tail[strcspn(end.tail, "\n")] = '\0';
        rmt_fail(error, RMT_E_UNAVAILABLE, "%s could not be fetched: %s", url,
                 end.is_timeout          ? "the time limit was over"
                 : end.signal == SIGXFSZ ? "the contents are larger than 48 KiB"
                 : *end.tail             ? end.tail
                                         : "the program gave no reason");
    }
    rmt_process_end_clear(&end);
    return is_good ? 0 : -1;
}

// ---- The hash

static bool
s_is_sha256(const char *text)
{
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static void
s_hash(const void *data, size_t size, char text_out[RMT_ID_TEXT_SIZE])
{
    rmt_id_t id;
    rmt_id_compute(&id, data, size);
    rmt_id_text(&id, text_out);
}

// The contents of a file when they have this hash. 0; 1 for another hash, which is told;
// or -1: NOT_FOUND, TOO_BIG, IO.
static int
s_load(const char *path, const char *sha256, rmt_record_t *script, char had_out[65],
       rmt_error_t *error)
{
    rmt_auto_ptr data = NULL;
    size_t size;
    char id[RMT_ID_TEXT_SIZE];
    if (rmt_io_load(path, INSTALLER_SCRIPT_SIZE_MAX, &data, &size, error) == -1)
        return -1;
    s_hash(data, size, id);
    snprintf(had_out, 65, "%s", id + 2); // Behind the byte of the algorithm
    if (strcmp(had_out, sha256) != 0)
        return 1;
    rmt_record_put(script, "content", data, size);
    return 0;
}

static int
s_take(const char *url, const char *sha256, const char *path, rmt_record_t *script,
       const rmt_config_t *config, rmt_error_t *error)
{
    char had[65];
    rmt_auto_str temp = rmt_text("%s.%d.XXXXXX", path, (int) getpid());
    rmt_auto_fd fd = mkostemp(temp, O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "create %s", temp);
    int rc = s_fetch(url, temp, config, error);
    if (rc == 0)
        rc = s_load(temp, sha256, script, had, error);
    if (rc == 1)
        rmt_fail(
            error, RMT_E_CORRUPT,
            "%s has SHA-256 %s, and the script is pinned to %s; nothing was installed. "
            "To use the new contents, add the script again with their hash",
            url, had, sha256);
    else if (rc == 0 && rename(temp, path) == -1)
        rc = rmt_fail_errno(error, "keep %s", path);
    if (rc != 0)
        (void) unlink(temp);
    return rc == 0 ? 0 : -1;
}

int
installer_script_complete(rmt_record_t *script, const char *store,
                          const rmt_config_t *config, rmt_error_t *error)
{
    const char *url = rmt_record_text(script, "location", "");
    rmt_auto_str sha256 = rmt_text("%s", rmt_record_text(script, "sha256", ""));
    const char *name = rmt_record_text(script, "name", "?");
    if (!*url)
        return 0;
    if (!s_is_sha256(sha256))
        return rmt_fail(error, RMT_E_USAGE, "script %s has no SHA-256", name);
    rmt_auto_str folder = rmt_text("%s/scripts", store);
    rmt_auto_str path = rmt_text("%s/%s", folder, sha256);
    char had[65];
    rmt_error_t ignored;
    if (rmt_io_mkdirs(folder, 0700, error) == -1)
        return -1;
    if (s_load(path, sha256, script, had, &ignored) == 0)
        return 0;
    if (s_take(url, sha256, path, script, config, error) == -1)
        return rmt_wrap(error, "script %s", name);
    rmt_log(RMT_INFO, "script.fetched", "script=%s location=%s", name, url);
    return 0;
}
