// rmt_personal - the changes that give a copy of an image its own name and identity.
//
// A plan is a list of records, so that it can be shown, kept and applied later:
//   class=write  {path, what, mode (octal), uid, gid, content}
//   class=link   {path, what, target}
//   class=remove {path, what}
//   class=move   {path, what, from}
//   class=remove-folder {path, what}     where it is empty
// Plans hold fresh private keys: they are secrets. All paths begin at the tree's
// root with a slash. Nothing of the tree is ever run.
#pragma once

#include <stdbool.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"

// Plan for the tree under root_fd and a target's record {name, hostname, address,
// prefix | mask, gateway, dns, domain, mac, interface, net.<role>.<field>, cloud-init};
// name or hostname must be there, without an address DHCP is set. Each call makes new
// identities. Blocks for ssh-keygen, which runs here. Caller owns *actions_out. 0, or -1:
// USAGE (a field), UNSUPPORTED (stack, system), NOT_FOUND (ssh-keygen), IO.
int rmt_personal_plan(int root_fd, const rmt_record_t *target,
                      rmt_records_t **actions_out, rmt_error_t *error);

// Plan for a tree of the image that its root does not mount, such as the other half of
// two roots, or a /var that is found by the type of its partition: that of a whole system
// (needs_kernel: of one with kernels of its own, so that the trees of containers stay as
// they are), else of the identities of a /var or a /boot; nothing for other data.
// Caller owns *actions_out. 0, or -1: as rmt_personal_plan.
int rmt_personal_plan_other(int root_fd, const rmt_record_t *target, bool needs_kernel,
                            rmt_records_t **actions_out, rmt_error_t *error);

// The same plan, with a fresh key's file in it and no key: nothing is run, and it costs
// little. For a tree that stands for one that is not there yet (rmt_outline.h).
int rmt_personal_rehearse(int root_fd, const rmt_record_t *target,
                          rmt_records_t **actions_out, rmt_error_t *error);

// Whether a plan for this record can be made on a system like the image's, before there
// is a tree: its words, and the stack that the image's record of class os names (NULL:
// not known). 0, or -1: USAGE, UNSUPPORTED, as above.
int rmt_personal_check(const rmt_record_t *target, const rmt_record_t *os,
                       rmt_error_t *error);

// Append a record class=warning {path, line, what, text} for what a plan leaves on a copy
// although it is the source's: its name in files that no grammar of ramet's reads, and
// identities that are not the copy's own to make. `line` is absent for a whole file. The
// tree alone counts, so one call is enough for all targets.
// 0, or -1: what rmt_rooted_load says.
#define RMT_PERSONAL_WARNINGS_MAX 24
int rmt_personal_warn(int root_fd, rmt_records_t *warnings, rmt_error_t *error);
// "PATH:LINE: TEXT". Caller owns the result (free).
char *rmt_personal_warning_text(const rmt_record_t *warning);

// Append what the first boot needs: `files` are class=file {name, mode, content} for
// /usr/lib/ramet/firstboot and class=script {name, content, timeout-s} for
// /usr/lib/ramet/scripts/NN-name, in this order; `command` is the line that is started
// when the system is up, by the init of the tree: a unit of systemd, a service of OpenRC
// or runit, else the script /etc/init.d/ramet-firstboot, which init's table, the rc
// folders or rcS start.
// 0, or -1: USAGE (a name or the command), UNSUPPORTED (nothing could start it, or an
// init that is not known, by name).
int rmt_personal_first_boot(int root_fd, const char *command, const rmt_records_t *files,
                            rmt_records_t *actions, rmt_error_t *error);

// What starts the first boot, to be removed after it: whole files, folders and links, and
// files of the system in which the lines with this mark are ours. NULL-terminated.
#define RMT_PERSONAL_MARK "ramet-firstboot"
extern const char *const RMT_PERSONAL_STARTERS[];
extern const char *const RMT_PERSONAL_LINES[];

// Whether all that is planned can be done in this tree. 0, or -1: REFUSED (a path leads
// over what is no plain folder, or is a folder itself).
int rmt_personal_try(int root_fd, const rmt_records_t *actions, rmt_error_t *error);

// Do what is planned, in order. Doing it again gives the same. What is made has the
// SELinux label that the tree's own rules give it. Not synced.
// 0, or -1: REFUSED (a path leads over a symlink), USAGE, NO_SPACE, IO.
int rmt_personal_apply(int root_fd, const rmt_records_t *actions, rmt_error_t *error);

// Give what is at this very path its label; and make a folder and those above it that are
// missing, with theirs. 0, or -1: as above.
int rmt_personal_label(int root_fd, const char *path, rmt_error_t *error);
int rmt_personal_make_folders(int root_fd, const char *path, rmt_error_t *error);

// What a verifier leaves out: records {class=personal, path, what}, one for each path
// of the plan, and what=folder for the folders above it, whose times change and which
// may be new; what is below such a folder is not left out. Caller owns the result.
rmt_records_t *rmt_personal_paths(const rmt_records_t *actions);
