// rmt_esp - the programs that UEFI starts: loaders among the files of an EFI system
// partition, which lie in a folder (docs/architecture.md, "FAT without a driver").
//
// GRUB is carried, alone or behind shim, systemd-boot, and unified kernel images. A
// machine whose firmware keeps no entry for a disk starts its fallback,
// EFI/BOOT/BOOTX64.EFI, so every target gets one.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"

#define RMT_ESP_WINDOWS "EFI/Microsoft/Boot/bootmgfw.efi"

// Look at the files. Caller owns *esp_out, a record {path, kind grub|shim|systemd-boot|
// unified, vendor, fallback yes|no|other (it starts Windows), windows yes}: the loader of
// the only vendor folder that has one, else the only unified kernel image below
// EFI/Linux, else the fallback; path "" when nothing can be started. Names are compared
// as FAT does. 0, or -1: UNSUPPORTED (a kernel without its options, an unknown loader,
// several to choose from without a fallback: by name), IO.
int rmt_esp_examine(int root_fd, rmt_record_t **esp_out, rmt_error_t *error);

// Is there a file at this path?
bool rmt_esp_has(int root_fd, const char *path);

// Make the fallback of the loader that was found, with what this one loads from its own
// folder, when there is none. 0, or -1: NO_SPACE, IO.
int rmt_esp_complete(int root_fd, const rmt_record_t *esp, rmt_error_t *error);

// Do the files that rmt_esp_complete will make have room in a FAT (a volume record) that
// holds `files` files of these bytes in all? 0, or -1: NO_SPACE, with a remedy.
int rmt_esp_check_room(int root_fd, const rmt_record_t *esp, const rmt_record_t *volume,
                       uint64_t bytes, uint64_t files, rmt_error_t *error);

// Give the copy a seed of its own in place of loader/random-seed, which systemd-boot
// hands to the kernel (systemd-boot(7)). 0, or -1: NO_SPACE, IO.
int rmt_esp_renew(int root_fd, rmt_error_t *error);
