#include "agent/diskw/work.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "crypto/rmt_id.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

// systemd mounts a partition of this type on /var when its GUID follows from the
// machine's id. A copy has another id, and so its /var would be left out; a line of its
// fstab says what the GUID said (docs/spec/3-facts.md).

#define TYPE_VAR "4d21b016-b534-45c2-a9fb-5c16e091fd2d"
#define NUMBER_SIZE 16
#define BLOCK_SIZE 64 // Of SHA-256

// The sixteen bytes of 32 hexadecimal digits, with dashes or without. False for less.
static bool
s_take_number(const char *text, uint8_t number_out[NUMBER_SIZE])
{
    size_t size = 0;
    for (; size < NUMBER_SIZE && *text; text += *text == '-') {
        unsigned byte;
        if (!isxdigit((unsigned char) text[0]) || !isxdigit((unsigned char) text[1]) ||
            sscanf(text, "%2x", &byte) != 1)
            return false;
        number_out[size++] = (uint8_t) byte;
        text += 2;
    }
    return size == NUMBER_SIZE;
}

static void
s_hash(uint8_t mask, const uint8_t key[NUMBER_SIZE], const uint8_t *data, size_t size,
       rmt_id_t *id_out)
{
    uint8_t block[BLOCK_SIZE + RMT_ID_SIZE];
    memset(block, mask, BLOCK_SIZE);
    for (size_t i = 0; i < NUMBER_SIZE; i++)
        block[i] ^= key[i];
    memcpy(block + BLOCK_SIZE, data, size);
    rmt_id_compute(id_out, block, BLOCK_SIZE + size);
}

// The GUID that systemd expects: an HMAC of the type by the machine's id, in the form of
// a random UUID.
static void
s_expect(const uint8_t machine[NUMBER_SIZE], const uint8_t type[NUMBER_SIZE],
         uint8_t guid_out[NUMBER_SIZE])
{
    rmt_id_t inner, outer;
    s_hash(0x36, machine, type, NUMBER_SIZE, &inner);
    s_hash(0x5c, machine, inner.bytes + 1, RMT_ID_SIZE - 1, &outer);
    memcpy(guid_out, outer.bytes + 1, NUMBER_SIZE);
    guid_out[6] = (uint8_t) ((guid_out[6] & 0x0f) | 0x40);
    guid_out[8] = (uint8_t) ((guid_out[8] & 0x3f) | 0x80);
}

static bool
s_is_var(const rmt_layout_partition_t *partition, const char *machine_id)
{
    uint8_t machine[NUMBER_SIZE], type[NUMBER_SIZE], guid[NUMBER_SIZE];
    uint8_t wanted[NUMBER_SIZE];
    if (strcasecmp(partition->type, TYPE_VAR) != 0 ||
        !s_take_number(machine_id, machine) || !s_take_number(TYPE_VAR, type) ||
        !s_take_number(partition->guid, guid))
        return false;
    s_expect(machine, type, wanted);
    return memcmp(guid, wanted, NUMBER_SIZE) == 0;
}

// Whether a line of the table mounts something there.
static bool
s_has_var(const char *fstab)
{
    rmt_auto_str copy = rmt_text("%s", fstab);
    char *rest = copy;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        char *save = NULL;
        const char *device = strtok_r(line, " \t", &save);
        const char *folder = device ? strtok_r(NULL, " \t\r", &save) : NULL;
        if (folder && *device != '#' && strcmp(folder, "/var") == 0)
            return true;
    }
    return false;
}

static void
s_plan_line(const rmt_layout_partition_t *partition, const char *fstab,
            rmt_records_t *actions)
{
    const size_t size = strlen(fstab);
    rmt_auto_str guid = rmt_text("%s", partition->guid);
    for (char *at = guid; *at; at++)
        *at = (char) tolower((unsigned char) *at);
    rmt_auto_str text = rmt_text("%s%sPARTUUID=%s /var auto defaults 0 2\n", fstab,
                                 size && fstab[size - 1] != '\n' ? "\n" : "", guid);
    rmt_record_t *action = rmt_records_find(actions, "path", "/etc/fstab");
    if (!action) {
        action = rmt_records_add(actions);
        rmt_record_set(action, "class", "write");
        rmt_record_set(action, "path", "/etc/fstab");
        rmt_record_set(action, "what", "mounts");
        rmt_record_set(action, "mode", "0644");
    }
    rmt_record_set(action, "content", text);
}

int
rmt_work_plan_discovered(const rmt_work_t *self, int root, rmt_records_t *actions,
                         rmt_error_t *error)
{
    rmt_auto_str machine_id = NULL;
    rmt_auto_str fstab = NULL;
    if (rmt_rooted_load(root, "/etc/machine-id", &machine_id, NULL, error) == -1 ||
        rmt_rooted_load(root, "/etc/fstab", &fstab, NULL, error) == -1)
        return -1;
    const rmt_record_t *action = rmt_records_find(actions, "path", "/etc/fstab");
    const char *text = action  ? rmt_record_text(action, "content", "")
                       : fstab ? fstab
                               : "";
    for (size_t i = 0; machine_id && i < self->layout->partition_count; i++) {
        const rmt_layout_partition_t *partition = &self->layout->partitions[i];
        if (s_is_var(partition, machine_id) && !s_has_var(text)) {
            s_plan_line(partition, text, actions);
            break;
        }
    }
    return 0;
}
