// The files of a foreign system (os-release, hostname, hosts, network stacks, units,
// identities), as a grove: it is examined, and given a name of its own. Nothing outside
// of its tree changes, whatever its links say.
#include <stdint.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "facts/rmt_facts.h"
#include "fuzz/grove.h"
#include "fuzz/listing.h"
#include "fuzz/must.h"
#include "system/rmt_os.h"
#include "system/rmt_personal.h"

#define TARGET                                                                           \
    "class=target name=n7 hostname=node7 address=10.1.2.3 prefix=24 gateway=10.1.2.1 "   \
    "dns=10.1.2.2 domain=lab.example interface=eth0 mac=52:54:00:12:34:56\n"
#define SCRIPT "class=script name=hello content=\"#!/bin/sh\"\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Every path of a plan begins at the root and goes down alone.
static void
s_check_plan(const rmt_records_t *actions)
{
    for (size_t i = 0; i < rmt_records_count(actions); i++) {
        const char *path = rmt_record_text(rmt_records_at(actions, i), "path", "");
        MUST(path[0] == '/' && !strstr(path, "/../"));
    }
    rmt_auto(rmt_records) paths = rmt_personal_paths(actions);
    MUST(rmt_records_count(paths) > 0 || rmt_records_count(actions) == 0);
}

// True when the path of a line of a listing is one of these, or below one that is no
// folder above another.
static bool
s_is_named(const char *line, const rmt_records_t *paths)
{
    for (size_t i = 0; i < rmt_records_count(paths); i++) {
        const rmt_record_t *record = rmt_records_at(paths, i);
        const char *path = rmt_record_text(record, "path", "");
        const size_t size = strlen(path);
        if (strncmp(line + 1, path, size) == 0 &&
            (line[1 + size] == ' ' ||
             (line[1 + size] == '/' && !rmt_record_is(record, "what", "folder"))))
            return true;
    }
    return false;
}

// Of the lines of one listing, those that the other one does not have are of named paths.
static void
s_check_lines(const char *lines, const char *others, const rmt_records_t *paths)
{
    rmt_auto_str copy = rmt_text("%s", lines);
    char *rest = copy;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        rmt_auto_str whole = rmt_text("%s\n", line);
        if (!*line || strstr(others, whole) || s_is_named(line, paths))
            continue;
        fprintf(stderr, "no action names what was or became\n%s", whole);
        abort();
    }
}

static void
s_check_changes(const char *before, const char *after, const rmt_records_t *actions)
{
    rmt_auto(rmt_records) paths = rmt_personal_paths(actions);
    s_check_lines(before, after, paths);
    s_check_lines(after, before, paths);
}

static void
s_personalise(int root_fd)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) target = rmt_facts_parse(TARGET, &error);
    rmt_auto(rmt_records) files = rmt_facts_parse(SCRIPT, &error);
    rmt_auto(rmt_records) actions = NULL;
    MUST(target && files);
    if (rmt_personal_plan(root_fd, rmt_records_at(target, 0), &actions, &error) == -1 ||
        rmt_personal_first_boot(root_fd, "/usr/lib/ramet/agent", files, actions,
                                &error) == -1) {
        MUST(error.code == RMT_E_UNSUPPORTED);
        return;
    }
    s_check_plan(actions);
    rmt_auto_str before = listing_of(root_fd, LISTING_PLAIN, NULL);
    if (rmt_personal_apply(root_fd, actions, &error) == -1) {
        MUST(error.code != RMT_E_OK);
        return;
    }
    // Once more, it does the same.
    rmt_auto_str once = listing_of(root_fd, LISTING_PLAIN, NULL);
    MUST(rmt_personal_apply(root_fd, actions, &error) == 0);
    rmt_auto_str twice = listing_of(root_fd, LISTING_PLAIN, NULL);
    MUST(strcmp(once, twice) == 0);
    rmt_auto_str name = NULL;
    MUST(rmt_rooted_load(root_fd, "/etc/hostname", &name, NULL, &error) == 0);
    s_check_changes(before, once, actions);
    MUST(!rmt_records_find(actions, "path", "/etc/hostname") ||
         (name && strcmp(name, "node7\n") == 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rmt_error_t error = {0};
    const int root_fd = grove_make(data, size, false);
    rmt_auto(rmt_records) records = NULL;
    if (rmt_os_examine(root_fd, &records, &error) == 0) {
        rmt_auto_str text = rmt_facts_print(records);
        rmt_auto(rmt_records) again = rmt_facts_parse(text, &error);
        MUST(again && rmt_records_count(again) == rmt_records_count(records));
        rmt_auto(rmt_records) warnings = rmt_records_new();
        MUST(rmt_personal_warn(root_fd, warnings, &error) == 0);
        MUST(rmt_records_count(warnings) <= RMT_PERSONAL_WARNINGS_MAX);
        s_personalise(root_fd);
    } else {
        MUST(error.code == RMT_E_UNSUPPORTED);
    }
    grove_end();
    return 0;
}
