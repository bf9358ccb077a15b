#include "system/rmt_action.h"
#include "base/rmt_auto.h"
#include "base/rmt_rooted.h"

static rmt_record_t *
s_add(rmt_records_t *actions, const char *class, const char *path, const char *what)
{
    rmt_record_t *action = rmt_records_add(actions);
    rmt_record_set(action, "class", class);
    rmt_record_set(action, "path", path);
    rmt_record_set(action, "what", what);
    return action;
}

void
rmt_action_write(rmt_records_t *actions, const char *path, const char *what,
                 unsigned mode, const void *content, size_t size)
{
    rmt_record_t *action = s_add(actions, "write", path, what);
    rmt_record_setf(action, "mode", "%04o", mode);
    rmt_record_set(action, "uid", "0");
    rmt_record_set(action, "gid", "0");
    rmt_record_put(action, "content", content, size);
}

int
rmt_action_edit(int root_fd, rmt_records_t *actions, const char *path, const char *what,
                const void *content, size_t size, rmt_error_t *error)
{
    struct stat info = {.st_mode = 0644};
    rmt_auto_fd fd = -1;
    if (rmt_rooted_open(root_fd, path, &fd, error) == -1)
        return -1;
    if (fd != -1 && fstat(fd, &info) == -1)
        return rmt_fail_errno(error, "status of %s", path);
    rmt_record_t *action = s_add(actions, "write", path, what);
    rmt_record_setf(action, "mode", "%04o", (unsigned) info.st_mode & 07777);
    rmt_record_setf(action, "uid", "%u", (unsigned) info.st_uid);
    rmt_record_setf(action, "gid", "%u", (unsigned) info.st_gid);
    rmt_record_put(action, "content", content, size);
    return 0;
}

void
rmt_action_link(rmt_records_t *actions, const char *path, const char *what,
                const char *target)
{
    rmt_record_set(s_add(actions, "link", path, what), "target", target);
}

void
rmt_action_remove(rmt_records_t *actions, const char *path, const char *what)
{
    s_add(actions, "remove", path, what);
}

void
rmt_action_move(rmt_records_t *actions, const char *path, const char *what,
                const char *from)
{
    rmt_record_set(s_add(actions, "move", path, what), "from", from);
}

void
rmt_action_remove_folder(rmt_records_t *actions, const char *path, const char *what)
{
    s_add(actions, "remove-folder", path, what);
}
