// rmt_archive_acl - POSIX ACLs between the kernel's attribute and libarchive's entry. For
// lib/archive alone.
#pragma once

#include <archive_entry.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_error.h"
#include "store/rmt_manifest.h"

#define RMT_ACL_ACCESS "system.posix_acl_access"
#define RMT_ACL_DEFAULT "system.posix_acl_default"

// Add the ACL of an attribute. 0, or -1: CORRUPT when it is none.
int rmt_archive_acl_put(struct archive_entry *to, const rmt_xattr_t *xattr,
                        rmt_error_t *error);

// The permissions of the mask in an attribute, which are those of the group class in
// st_mode. -1: it has none, or is no ACL.
int rmt_archive_acl_mask(const void *data, size_t size);

// The attribute's bytes of an ACL of the entry. Caller owns *data_out (free), which is
// NULL when the entry has none.
// 0, or -1: UNSUPPORTED (names a user without a number, or is no POSIX ACL).
int rmt_archive_acl_get(struct archive_entry *from, bool is_default, void **data_out,
                        uint32_t *size_out, rmt_error_t *error);
