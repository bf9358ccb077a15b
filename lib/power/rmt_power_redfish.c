// Redfish (DMTF DSP0266): the state and the orders of a ComputerSystem, over HTTPS.
#include "power/rmt_power_way.h"
#include "base/rmt_auto.h"
#include "base/rmt_guarded.h"
#include "base/rmt_io.h"
#include "crypto/rmt_secret.h"
#include "facts/rmt_switch.h"
#include "http/rmt_http.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MAX ((size_t) 256 * 1024)
#define KEY_SIZE_MAX 16384
#define SYSTEMS "/redfish/v1/Systems"
#define PATH_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._:-"

static inline void
s_release(json_t **json)
{
    json_decref(*json);
}
#define auto_json __attribute__((cleanup(s_release))) json_t *

// ---- A request

static int
s_refuse(const power_run_t *run, const rmt_http_answer_t *answer, const char *secret,
         const char *path, rmt_error_t *error)
{
    if (answer->status == 401 || answer->status == 403)
        return rmt_fail(
            error, RMT_E_NOT_ALLOWED,
            "the BMC refuses the account %s (status %u); look at power-user, and "
            "at the password in %s",
            rmt_record_text(run->target, "power-user", ""), answer->status, secret);
    if (answer->status >= 300 && answer->status < 400)
        return rmt_fail(
            error, RMT_E_UNAVAILABLE,
            "the BMC sends %s to another address (status %u), where ramet does "
            "not follow; set power-address to where its Redfish is",
            path, answer->status);
    return rmt_fail(error, RMT_E_UNAVAILABLE,
                    "the BMC answers %s with status %u; look whether it has Redfish, and "
                    "restart it",
                    path, answer->status);
}

// The public key of the BMC where it is pinned, else the authorities of the engine.
static int
s_trust(const power_run_t *run, char **pin_out, const char **ca_out, rmt_error_t *error)
{
    rmt_auto_str pin = rmt_text("%s/%s.pub", run->config->secrets, run->address);
    const rmt_guarded_t key = {pin, "public key of a BMC", RMT_GUARDED_TRUST,
                               KEY_SIZE_MAX};
    if (access(pin, F_OK) == 0) {
        if (rmt_guarded_check(&key, error) == -1)
            return -1;
        *pin_out = rmt_take(&pin);
        return 0;
    }
    if (*run->config->ca) {
        *ca_out = run->config->ca;
        return 0;
    }
    return rmt_fail(
        error, RMT_E_CONFIG,
        "nothing says which certificate of the BMC is right; set power-ca in the "
        "engine's installer.cfg, or write its public key into %s",
        pin);
}

// Caller owns *answer_out, whose status is of the 200s.
static int
s_ask(const power_run_t *run, const char *method, const char *path, const char *json,
      rmt_http_answer_t *answer_out, rmt_error_t *error)
{
    char host[RMT_SWITCH_HOST_SIZE];
    uint16_t port;
    const char *user = rmt_record_text(run->target, "power-user", "");
    if (power_host(run, host, &port, error) == -1)
        return -1;
    if (!*user)
        return rmt_fail(
            error, RMT_E_CONFIG,
            "its record has no power-user, the account at its BMC; set it with: "
            "ramet target set %s power-user=NAME",
            run->name);
    rmt_auto_str file = power_secret_file(run, error);
    rmt_auto_secret password = NULL;
    rmt_auto_str pin = NULL;
    const char *ca = NULL;
    if (!file || rmt_secret_load(file, "password of a BMC", &password, error) == -1 ||
        s_trust(run, &pin, &ca, error) == -1)
        return -1;
    password[strcspn(password, "\r\n")] = '\0';
    const bool is_v6 = strchr(host, ':');
    rmt_auto_str url = rmt_text("https://%s%s%s:%u%s", is_v6 ? "[" : "", host,
                                is_v6 ? "]" : "", port ? port : 443, path);
    const rmt_http_ask_t ask = {.method = method,
                                .url = url,
                                .user = user,
                                .password = password,
                                .ca = ca,
                                .pin = pin,
                                .json = json,
                                .timeout_ms = power_left_ms(run),
                                .answer_max = ANSWER_MAX};
    if (rmt_http_do(&ask, answer_out, error) == -1)
        return rmt_wrap(error, "%s %s", method, path);
    if (answer_out->status >= 200 && answer_out->status < 300)
        return 0;
    (void) s_refuse(run, answer_out, file, path, error);
    rmt_http_answer_clear(answer_out);
    return -1;
}

// Caller owns the object. NULL: as above, or UNAVAILABLE for what is no object.
static json_t *
s_get(const power_run_t *run, const char *path, rmt_error_t *error)
{
    rmt_http_answer_t answer;
    if (s_ask(run, "GET", path, NULL, &answer, error) == -1)
        return NULL;
    json_t *object = json_loadb(answer.body, answer.size, 0, NULL);
    rmt_http_answer_clear(&answer);
    if (json_is_object(object))
        return object;
    json_decref(object);
    rmt_fail(error, RMT_E_UNAVAILABLE,
             "the BMC answers %s with what is not a JSON object; restart the BMC", path);
    return NULL;
}

// ---- The system

// A path of the BMC's own below Systems, which goes into the next requests.
static bool
s_is_path(const char *path)
{
    return path && strncmp(path, SYSTEMS "/", strlen(SYSTEMS "/")) == 0 &&
           strlen(path) < POWER_PATH_SIZE && strspn(path, PATH_LETTERS) == strlen(path) &&
           !strstr(path, "..");
}

static int
s_find_system(power_run_t *run, rmt_error_t *error)
{
    const char *system = rmt_record_text(run->target, "power-system", "");
    if (*run->path)
        return 0;
    if (*system) {
        snprintf(run->path, sizeof run->path, SYSTEMS "/%s", system);
        return 0;
    }
    auto_json all = s_get(run, SYSTEMS, error);
    if (!all)
        return -1;
    const json_t *members = json_object_get(all, "Members");
    const size_t count = json_array_size(members);
    const char *path =
        json_string_value(json_object_get(json_array_get(members, 0), "@odata.id"));
    if (count != 1)
        return rmt_fail(error, RMT_E_UNAVAILABLE,
                        "the BMC has %zu systems; name one with: ramet target set %s "
                        "power-system=ID",
                        count, run->name);
    if (!s_is_path(path))
        return rmt_fail(error, RMT_E_UNAVAILABLE,
                        "the BMC names its system by a wrong path; name it with: ramet "
                        "target set %s power-system=ID",
                        run->name);
    snprintf(run->path, sizeof run->path, "%s", path);
    return 0;
}

// Caller owns the object. NULL: as s_get.
static json_t *
s_system(power_run_t *run, rmt_error_t *error)
{
    return s_find_system(run, error) == 0 ? s_get(run, run->path, error) : NULL;
}

static int
s_look(power_run_t *run, bool *is_on_out, rmt_error_t *error)
{
    auto_json system = s_system(run, error);
    if (!system)
        return -1;
    const char *state = json_string_value(json_object_get(system, "PowerState"));
    // One that goes on is not on yet.
    *is_on_out = state && (strcmp(state, "On") == 0 || strcmp(state, "PoweringOff") == 0);
    if (*is_on_out ||
        (state && (strcmp(state, "Off") == 0 || strcmp(state, "PoweringOn") == 0)))
        return 0;
    return rmt_fail(error, RMT_E_UNAVAILABLE,
                    "the BMC says neither On nor Off, but \"%.40s\"; restart the BMC",
                    state ? state : "");
}

// ---- Orders

static int
s_send(const power_run_t *run, const char *method, const char *path, const char *json,
       rmt_error_t *error)
{
    rmt_http_answer_t answer;
    if (s_ask(run, method, path, json, &answer, error) == -1)
        return -1;
    rmt_http_answer_clear(&answer);
    return 0;
}

static int
s_reset(power_run_t *run, const char *type, rmt_error_t *error)
{
    auto_json system = s_system(run, error);
    if (!system)
        return -1;
    const json_t *action =
        json_object_get(json_object_get(system, "Actions"), "#ComputerSystem.Reset");
    const char *target = json_string_value(json_object_get(action, "target"));
    rmt_auto_str path = s_is_path(target)
                            ? rmt_text("%s", target)
                            : rmt_text("%s/Actions/ComputerSystem.Reset", run->path);
    rmt_auto_str json = rmt_text("{\"ResetType\":\"%s\"}", type);
    return s_send(run, "POST", path, json, error);
}

// Whether it will start from the network cannot be seen later, so it is looked at now.
static int
s_boot_net(power_run_t *run, rmt_error_t *error)
{
    const char *boot = rmt_record_text(run->target, "power-boot", "");
    rmt_auto_str json =
        rmt_text("{\"Boot\":{\"BootSourceOverrideEnabled\":\"Once\","
                 "\"BootSourceOverrideTarget\":\"Pxe\"%s}}",
                 strcmp(boot, "uefi") == 0   ? ",\"BootSourceOverrideMode\":\"UEFI\""
                 : strcmp(boot, "bios") == 0 ? ",\"BootSourceOverrideMode\":\"Legacy\""
                                             : "");
    if (s_find_system(run, error) == -1 ||
        s_send(run, "PATCH", run->path, json, error) == -1)
        return -1;
    auto_json system = s_system(run, error);
    if (!system)
        return -1;
    const json_t *found = json_object_get(system, "Boot");
    const char *target =
        json_string_value(json_object_get(found, "BootSourceOverrideTarget"));
    if (target && strcmp(target, "Pxe") == 0)
        return 0;
    return rmt_fail(
        error, RMT_E_UNAVAILABLE,
        "the BMC took the order to start it from the network, and "
        "does not have it, so its power was not switched; set its boot order by hand");
}

static int
s_tell(power_run_t *run, power_order_t order, rmt_error_t *error)
{
    return order == POWER_GO_ON    ? s_reset(run, "On", error)
           : order == POWER_GO_OFF ? s_reset(run, "ForceOff", error)
                                   : s_boot_net(run, error);
}

const power_way_t power_redfish = {.name = "redfish", .look = s_look, .tell = s_tell};
