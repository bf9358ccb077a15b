#include "agent/source/source.h"
#include "agent/source/bootcode.h"
#include "agent/source/compare.h"
#include "agent/source/descriptor.h"
#include "agent/source/excludes.h"
#include "agent/source/gaps.h"
#include "agent/hardware.h"
#include "agent/source/hooks.h"
#include "agent/source/kernel.h"
#include "agent/source/outline.h"
#include "agent/source/source_disk.h"
#include "agent/source/profile.h"
#include "agent/source/raw.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "machine/rmt_inventory.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"
#include "base/rmt_memory.h"
#include "exchange/rmt_offer.h"
#include "net/rmt_worker.h"
#include "agent/source/snapshot.h"
#include "agent/source/survey.h"
#include "agent/source/swap_files.h"
#include "agent/source/system.h"
#include "agent/source/volume.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REACH_MS 60000 // How long one attempt looks for an imager
#define REACH_PAUSE_MS 1000

typedef struct {
    rmt_agent_t *agent;
    rmt_task_t *task;
    bool is_unreached; // No imager took the stream
    rmt_source_disk_t *disk;
    rmt_records_t *rules; // Of the profiles
    rmt_offer_t *offer;
    rmt_descriptor_t *descriptor;
    rmt_capture_report_t totals;
    uint64_t done;                                   // Bytes of volumes that are behind
    rmt_snapshot_t *snapshots[RMT_SOURCE_TREES_MAX]; // NULL: the volume is read as it is
    char *reasons[RMT_SOURCE_TREES_MAX]; // Why there is none, when that says something
} capture_t;

static int
s_put(void *context, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    const capture_t *self = context;
    return rmt_offer_chunk(self->offer, chunk, error);
}

static void
s_add_totals(rmt_capture_report_t *totals, const rmt_capture_report_t *report)
{
    totals->files += report->files;
    totals->folders += report->folders;
    totals->symlinks += report->symlinks;
    totals->others += report->others;
    totals->hard_links += report->hard_links;
    totals->size += report->size;
    totals->cached += report->cached;
}

static uint64_t
s_entries(const rmt_capture_report_t *report)
{
    return report->files + report->folders + report->symlinks + report->others +
           report->hard_links;
}

// Where the volume is read: from its snapshot, if there is one.
static int
s_tree(const capture_t *self, size_t index)
{
    return self->snapshots[index] ? rmt_snapshot_fd(self->snapshots[index])
                                  : rmt_source_disk_tree(self->disk, index);
}

static const char *
s_mount_of(const capture_t *self, size_t index)
{
    const char *mount = rmt_source_disk_volume(self->disk, index)->mount;
    return mount ? mount : "";
}

// The volume is read as it is, and why.
static void
s_go_live(capture_t *self, size_t index, const rmt_error_t *why)
{
    rmt_snapshot_destroy(&self->snapshots[index]);
    if (why->code == RMT_E_OK || why->code == RMT_E_UNSUPPORTED)
        return;
    rmt_log(RMT_WARN, "snapshot.failed", "volume=%s error=\"%s\"",
            s_mount_of(self, index), why->text);
    free(self->reasons[index]);
    self->reasons[index] = rmt_text("%s", why->text);
}

// Snapshots of all volumes that can have one, one right after the other. Returns true
// when no volume is read from where it is written.
static bool
s_make_snapshots(capture_t *self)
{
    bool is_all = true;
    for (size_t i = 0; i < rmt_source_disk_count(self->disk); i++) {
        rmt_error_t error = {0};
        if (rmt_config_bool(self->agent->config, "snapshot"))
            self->snapshots[i] = rmt_snapshot_new(rmt_source_disk_tree(self->disk, i),
                                                  self->agent->name, &error);
        if (!self->snapshots[i])
            s_go_live(self, i, &error);
        is_all = is_all && self->snapshots[i];
    }
    return is_all;
}

// What was read where, for people. Caller owns.
static char *
s_read_from(const capture_t *self)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    for (size_t i = 0; i < rmt_source_disk_count(self->disk); i++) {
        const char *mount = s_mount_of(self, i);
        fprintf(out, "%s%s %s", i ? ", " : "", *mount ? mount : "-",
                self->snapshots[i] ? "snapshot" : "live");
        if (self->reasons[i])
            fprintf(out, " (%s)", self->reasons[i]);
    }
    fclose(out);
    return text;
}

static void
s_remove_snapshots(capture_t *self)
{
    for (size_t i = 0; i < RMT_SOURCE_TREES_MAX; i++) {
        rmt_snapshot_destroy(&self->snapshots[i]);
        free(self->reasons[i]);
    }
}

static int
s_read_volume(capture_t *self, size_t index, rmt_id_t *root_out,
              rmt_capture_report_t *report_out, rmt_error_t *error)
{
    const rmt_volume_setup_t setup = {.agent = self->agent,
                                      .task = self->task,
                                      .offer = self->offer,
                                      .disk = self->disk,
                                      .rules = self->rules,
                                      .index = index,
                                      .tree_fd = s_tree(self, index),
                                      .is_still = self->snapshots[index],
                                      .done = self->done};
    return rmt_volume_capture(&setup, root_out, report_out, error);
}

// A snapshot may run out of space while it is read: then all of it is read once more,
// from where it is written.
static int
s_read_anywhere(capture_t *self, size_t index, rmt_id_t *root_out,
                rmt_capture_report_t *report_out, rmt_error_t *error)
{
    rmt_error_t why = {0};
    const int result = s_read_volume(self, index, root_out, report_out, error);
    if (!self->snapshots[index] || rmt_snapshot_check(self->snapshots[index], &why) == 0)
        return result;
    if (result == 0)
        rmt_capture_report_clear(report_out);
    s_go_live(self, index, &why);
    return s_read_volume(self, index, root_out, report_out, error);
}

static int
s_capture_volume(capture_t *self, size_t index, rmt_error_t *error)
{
    rmt_capture_report_t report = {0};
    rmt_id_t root;
    if (s_read_anywhere(self, index, &root, &report, error) == -1)
        return -1;
    rmt_layout_volume_t *volume = rmt_source_disk_volume(self->disk, index);
    volume->has_root = true;
    volume->root = root;
    volume->files = s_entries(&report);
    volume->bytes_tree = report.size;
    volume->bytes_reserved =
        report.reserved +
        rmt_swap_files_bytes(rmt_source_disk_layout(self->disk), volume);
    rmt_descriptor_add_report(self->descriptor, s_mount_of(self, index), &report);
    s_add_totals(&self->totals, &report);
    self->done += report.size;
    rmt_capture_report_clear(&report);
    return 0;
}

// Swap and unformatted partitions have no tree; they name the empty manifest.
static int
s_name_empty(capture_t *self, rmt_error_t *error)
{
    rmt_auto(rmt_manifest_writer) writer = rmt_manifest_writer_new(s_put, self);
    rmt_id_t root;
    if (rmt_manifest_writer_finish(writer, &root, error) == -1)
        return rmt_wrap(error, "manifest of nothing");
    rmt_layout_t *layout = rmt_source_disk_layout(self->disk);
    for (size_t i = 0; i < layout->volume_count; i++) {
        if (layout->volumes[i].has_root)
            continue;
        layout->volumes[i].has_root = true;
        layout->volumes[i].root = root;
    }
    return 0;
}

// The hardware of a disk of the layout: the one with its role, else, of a tree that
// stands for several disks, one like the first.
static rmt_record_t *
s_find_device(rmt_records_t *hardware, const rmt_layout_disk_t *disk, size_t index)
{
    rmt_record_t *found = rmt_records_find(hardware, "role", disk->role);
    if (!found && index == 0)
        found = rmt_records_find(hardware, "class", "disk");
    if (found)
        return found;
    const rmt_record_t *first = rmt_records_find(hardware, "class", "disk");
    rmt_record_t *copy = first ? rmt_record_dup(first) : rmt_record_new();
    static const char *const own[] = {"serial", "wwn", "path", "name"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        rmt_record_remove(copy, own[i]);
    rmt_record_set(copy, "class", "disk");
    rmt_record_set(copy, "name", disk->role);
    rmt_records_append(hardware, &copy);
    return rmt_records_at(hardware, rmt_records_count(hardware) - 1);
}

// The disks of the image are those of the layout, whatever machine has read them.
static void
s_add_hardware(capture_t *self, const rmt_record_t *ways)
{
    rmt_auto(rmt_records) hardware = rmt_records_dup(self->agent->hardware);
    const rmt_layout_t *layout = rmt_source_disk_layout(self->disk);
    for (size_t i = 0; i < layout->disk_count; i++) {
        const rmt_layout_disk_t *disk = &layout->disks[i];
        rmt_record_t *device = s_find_device(hardware, disk, i);
        rmt_record_set(device, "role", disk->role);
        rmt_record_set_u64(device, "bytes", disk->bytes);
        rmt_record_set_u64(device, "logical-sector", disk->sector);
        rmt_record_set_u64(device, "required-bytes", rmt_layout_min_bytes(layout, i));
    }
    rmt_record_t *system = rmt_records_find(hardware, "class", "system");
    if (system)
        rmt_record_merge(system, ways);
    rmt_descriptor_add(self->descriptor, "hardware", hardware);
}

// What its copies will be is planned by an engine.
static int
s_add_outline(capture_t *self, rmt_records_t *system, rmt_error_t *error)
{
    rmt_outline_tree_t trees[RMT_SOURCE_TREES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < rmt_source_disk_count(self->disk); i++)
        if (*s_mount_of(self, i) == '/')
            trees[count++] = (rmt_outline_tree_t){s_mount_of(self, i), s_tree(self, i)};
    return rmt_agent_outline(trees, count, s_put, self, system, error);
}

static int
s_describe(capture_t *self, rmt_chunk_t *chunk_out, void *room, zchunk_t **packed_out,
           rmt_error_t *error)
{
    rmt_source_disk_settle(self->disk);
    rmt_auto(rmt_records) boot = NULL;
    rmt_auto(rmt_record) ways = rmt_record_new();
    if (rmt_bootcode_read(self->disk, &boot, ways, error) == -1 ||
        rmt_gaps_tell(self->disk, boot, error) == -1)
        return -1;
    s_add_hardware(self, ways);
    rmt_auto(rmt_records) layout = rmt_records_new();
    rmt_layout_write(rmt_source_disk_layout(self->disk), layout);
    rmt_descriptor_add(self->descriptor, "layout", layout);
    rmt_auto(rmt_records) system = rmt_system_read(self->disk, error);
    if (!system)
        return -1;
    const bool is_paranoid = rmt_record_flag(rmt_task_body(self->task), "paranoid");
    rmt_initramfs_memory_t *memory = is_paranoid ? NULL : self->agent->initramfs;
    if (rmt_agent_kernel(self->disk, memory, s_put, self, system, error) == -1 ||
        s_add_outline(self, system, error) == -1)
        return -1;
    rmt_descriptor_add_list(self->descriptor, "dropped",
                            rmt_source_disk_dropped(self->disk));
    rmt_descriptor_add_list(self->descriptor, "replayed",
                            rmt_source_disk_replayed(self->disk));
    rmt_auto(rmt_records) left_out =
        rmt_excludes_told(rmt_record_text(rmt_task_body(self->task), "exclude", ""),
                          self->rules, rmt_source_disk_layout(self->disk));
    rmt_descriptor_add(self->descriptor, "exclude", left_out);
    rmt_descriptor_add(self->descriptor, "exclude", rmt_source_disk_without(self->disk));
    rmt_descriptor_add(self->descriptor, "os", system);
    rmt_descriptor_add(self->descriptor, "boot", boot);
    rmt_auto_str firmware = rmt_text("%s", rmt_record_text(ways, "boot-paths", "none"));
    firmware[strcspn(firmware, " ")] = '\0';
    *packed_out = rmt_descriptor_pack(self->descriptor, firmware, &self->totals, error);
    if (!*packed_out)
        return -1;
    rmt_chunk_make(chunk_out, zchunk_data(*packed_out), zchunk_size(*packed_out), room);
    return 0;
}

static int
s_try_imagers(capture_t *self, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "place",
                   rmt_record_text(rmt_task_body(self->task), "place", ""));
    rmt_record_set(body, "service", "receive");
    rmt_auto(rmt_msg) reply = rmt_task_request(self->task, "holders", body, NULL, error);
    if (!reply)
        return rmt_wrap(error, "ask the broker for imagers");
    const rmt_offer_config_t config = {.holders = rmt_msg_items(reply),
                                       .host = rmt_task_host(self->task),
                                       .own = &self->agent->key,
                                       .task = rmt_task_id(self->task),
                                       .job = rmt_task_job(self->task),
                                       .attempt = rmt_task_attempt(self->task),
                                       .alive = rmt_task_go_on,
                                       .context = self->task};
    self->offer = rmt_offer_new(&config, error);
    return self->offer ? 0 : -1;
}

// An imager that has died is named until its broker misses it, and one that was started
// anew does not know this source yet. One without space is waited for however long it
// takes.
static int
s_open_offer(capture_t *self, rmt_error_t *error)
{
    const int64_t until_ms = rmt_clock_ms() + REACH_MS;
    while (s_try_imagers(self, error) == -1) {
        const bool is_full = error->code == RMT_E_NO_SPACE;
        self->is_unreached =
            error->code == RMT_E_UNAVAILABLE || error->code == RMT_E_NOT_ALLOWED;
        if (!is_full && (!self->is_unreached || rmt_clock_ms() > until_ms))
            return -1;
        rmt_task_progress(self->task, is_full ? "await-space" : "await-imager", 0, 0,
                          error->text);
        const struct timespec pause = {.tv_sec = REACH_PAUSE_MS / 1000};
        nanosleep(&pause, NULL);
        if (!rmt_task_go_on(self->task))
            return rmt_fail(error, RMT_E_CANCELLED, "the task was cancelled");
    }
    self->is_unreached = false;
    return 0;
}

static void
s_set_outputs(capture_t *self, const rmt_id_t *id)
{
    rmt_record_t *outputs = rmt_task_outputs(self->task);
    rmt_offer_stats_t stats;
    rmt_offer_stats(self->offer, &stats);
    char text[RMT_ID_TEXT_SIZE];
    rmt_record_set(outputs, "descriptor", rmt_id_text(id, text));
    rmt_record_set_u64(outputs, "files", s_entries(&self->totals));
    rmt_record_set_u64(outputs, "bytes", self->totals.size);
    rmt_record_set_u64(outputs, "cached", self->totals.cached);
    rmt_auto_str read_from = s_read_from(self);
    rmt_record_set(outputs, "read-from", read_from);
    rmt_record_set_u64(outputs, "sent", stats.bytes_sent);
    rmt_record_set(outputs, "state", rmt_descriptor_state(self->descriptor));
}

// A failure of the second hook spoils no image, but must be seen.
static void
s_end_hooks(capture_t *self, const rmt_hooks_t *hooks)
{
    rmt_error_t error = {0};
    if (rmt_hooks_after(hooks, &error) == 0)
        return;
    rmt_log(RMT_ERROR, "hook.failed", "source=%s error=\"%s\"", hooks->source,
            error.text);
    if (self)
        rmt_record_set(rmt_task_outputs(self->task), "warning", error.text);
}

// Those who look at the job should know that the source was not shut down.
static void
s_tell_replayed(capture_t *self)
{
    const rmt_records_t *replayed = rmt_source_disk_replayed(self->disk);
    rmt_auto_str all = rmt_text("%s", "");
    for (size_t i = 0; replayed && i < rmt_records_count(replayed); i++) {
        const rmt_record_t *one = rmt_records_at(replayed, i);
        const char *path = rmt_record_text(one, "path", "");
        const char *reason = rmt_record_text(one, "reason", "");
        rmt_log(RMT_WARN, "volume.replayed",
                "source=%s volume=\"%s\" bytes=%" PRIu64 " text=\"%s\"",
                self->agent->name, path, rmt_record_u64(one, "bytes", 0), reason);
        char *longer = rmt_text("%s%s%s: %s", all, i ? "; " : "", path, reason);
        free(all);
        all = longer;
    }
    if (*all)
        rmt_record_set(rmt_task_outputs(self->task), "warning", all);
}

static int
s_read_volumes(capture_t *self, const rmt_hooks_t *hooks, rmt_error_t *error)
{
    s_tell_replayed(self);
    if (s_make_snapshots(self))
        s_end_hooks(self, hooks);
    for (size_t i = 0; i < rmt_source_disk_count(self->disk); i++)
        if (s_capture_volume(self, i, error) == -1)
            return -1;
    const uint64_t before = self->done;
    if (rmt_raw_capture(self->disk, self->task, self->offer, &self->done, error) == -1)
        return -1;
    self->totals.size += self->done - before;
    return 0;
}

// The hooks stand around all that looks at the source.
static int
s_read_all(capture_t *self, rmt_error_t *error)
{
    const rmt_hooks_t hooks = {.config = self->agent->config,
                               .source = self->agent->name};
    self->rules = rmt_profile_read(self->agent->config, error);
    if (!self->rules || s_open_offer(self, error) == -1)
        return -1;
    int result = rmt_hooks_before(&hooks, error);
    if (result == 0) {
        const rmt_parts_words_t parts = rmt_parts_of(rmt_task_body(self->task));
        self->disk =
            rmt_source_disk_new(self->agent->config, self->agent->name, &parts, error);
        result = self->disk ? s_read_volumes(self, &hooks, error) : -1;
    }
    s_end_hooks(self, &hooks);
    return result;
}

static int
s_run_capture(capture_t *self, rmt_error_t *error)
{
    rmt_task_progress(self->task, "inventory", 0, 0, NULL);
    if (s_read_all(self, error) == -1 || s_name_empty(self, error) == -1)
        return -1;
    rmt_auto(zchunk) packed = NULL;
    rmt_auto_ptr room = malloc(RMT_CHUNK_STORED_MAX);
    rmt_chunk_t chunk;
    if (!room)
        abort();
    if (s_describe(self, &chunk, room, &packed, error) == -1)
        return -1;
    rmt_task_progress(self->task, "seal", self->done, self->done, NULL);
    if (rmt_offer_chunk(self->offer, &chunk, error) == -1 ||
        rmt_offer_seal(self->offer, error) == -1)
        return -1;
    s_set_outputs(self, &chunk.id);
    return 0;
}

// What the broker has to know of a capture that failed: whether another attempt can do
// better, and whether this one has brought something that stays.
static void
s_tell_cut(const capture_t *self)
{
    if (!self->is_unreached && (!self->offer || !rmt_offer_is_cut(self->offer)))
        return;
    rmt_record_t *outputs = rmt_task_outputs(self->task);
    rmt_offer_stats_t stats = {0};
    if (self->offer)
        rmt_offer_stats(self->offer, &stats);
    rmt_record_set(outputs, "cut", "yes");
    rmt_record_set_u64(outputs, "sent", stats.bytes_sent);
}

static int
s_capture(rmt_task_t *task, void *context, rmt_error_t *error)
{
    rmt_agent_t *agent = context;
    capture_t self = {.agent = agent, .task = task};
    self.descriptor = rmt_descriptor_new(agent->name);
    rmt_log(RMT_INFO, "capture.start", "source=%s attempt=%u", agent->name,
            rmt_task_attempt(task));
    const int rc = s_run_capture(&self, error);
    if (rc == 0)
        rmt_log(RMT_INFO, "capture.done", "source=%s bytes=%" PRIu64, agent->name,
                self.done);
    else
        rmt_log(RMT_ERROR, "capture.failed", "source=%s error=\"%s\"", agent->name,
                error->text);
    if (rc == -1)
        s_tell_cut(&self);
    rmt_offer_destroy(&self.offer);
    s_remove_snapshots(&self);
    rmt_source_disk_destroy(&self.disk);
    rmt_descriptor_destroy(&self.descriptor);
    rmt_records_destroy(&self.rules);
    rmt_memory_return();
    return rc;
}

static int
s_compare(rmt_task_t *task, void *context, rmt_error_t *error)
{
    return rmt_compare_task(task, context, NULL, error);
}

int
rmt_source_run(rmt_agent_t *agent, rmt_error_t *error)
{
    if (!agent->initramfs)
        agent->initramfs = rmt_initramfs_memory_new(
            (uint32_t) rmt_config_number(agent->config, "cache-margin-s"));
    // Due since an agent before this one died.
    const rmt_hooks_t hooks = {.config = agent->config, .source = agent->name};
    s_end_hooks(NULL, &hooks);
    if (rmt_config_bool(agent->config, "snapshot"))
        rmt_snapshot_sweep(agent->name);
    rmt_auto_str service = rmt_text("capture@source/%s", agent->name);
    rmt_auto(rmt_record) hello = rmt_record_new();
    rmt_auto_str identity = rmt_inventory_identity(agent->hardware);
    if (identity)
        rmt_record_set(hello, "identity", identity);
    rmt_auto_str compare = rmt_text("compare@source/%s", agent->name);
    rmt_auto_str survey = rmt_text("survey@source/%s", agent->name);
    const rmt_service_t services[] = {
        {service, 1, s_capture}, {compare, 1, s_compare}, {survey, 1, rmt_survey_run}};
    const rmt_worker_config_t config = {.brokers = rmt_hosts_list(agent->hosts),
                                        .own = &agent->key,
                                        .broker_key = agent->broker_key,
                                        .role = "source",
                                        .name = agent->name,
                                        .nonce = agent->nonce,
                                        .hello = hello,
                                        .services = services,
                                        .service_count =
                                            sizeof services / sizeof *services,
                                        .context = agent};
    rmt_auto(rmt_worker) worker = rmt_worker_new(&config, error);
    return worker ? rmt_worker_run(worker, error) : -1;
}
