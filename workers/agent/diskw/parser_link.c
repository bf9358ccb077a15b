#include "agent/diskw/parser_link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_SIZE offsetof(rmt_parser_message_t, fd)

typedef union {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
} control_t;

int
rmt_parser_send(int link, const rmt_parser_message_t *message, rmt_error_t *error)
{
    control_t control = {.room = {0}};
    struct iovec parts[2] = {{(void *) (uintptr_t) message, HEAD_SIZE},
                             {(void *) (uintptr_t) message->bytes, message->size}};
    struct msghdr packet = {.msg_iov = parts, .msg_iovlen = message->size ? 2 : 1};
    if (message->fd != -1) {
        packet.msg_control = &control;
        packet.msg_controllen = sizeof control.room;
        struct cmsghdr *head = CMSG_FIRSTHDR(&packet);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(head), &message->fd, sizeof(int));
    }
    ssize_t done;
    do
        done = sendmsg(link, &packet, MSG_NOSIGNAL);
    while (done == -1 && errno == EINTR);
    return done == -1 ? rmt_fail_errno(error, "tell the other half of the writer") : 0;
}

// One descriptor fits and not a second, so no more are handed over.
static int
s_fd_of(struct msghdr *packet)
{
    int fd = -1;
    struct cmsghdr *head = CMSG_FIRSTHDR(packet);
    if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS &&
        head->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&fd, CMSG_DATA(head), sizeof(int));
    return fd;
}

int
rmt_parser_recv(int link, rmt_parser_message_t *message_out, rmt_error_t *error)
{
    control_t control;
    struct iovec parts[2] = {{message_out, HEAD_SIZE},
                             {message_out->bytes, RMT_PARSER_BYTES_MAX}};
    struct msghdr packet = {.msg_iov = parts,
                            .msg_iovlen = 2,
                            .msg_control = &control,
                            .msg_controllen = CMSG_LEN(sizeof(int))};
    ssize_t done;
    do
        done = recvmsg(link, &packet, MSG_CMSG_CLOEXEC);
    while (done == -1 && errno == EINTR);
    message_out->fd = done == -1 ? -1 : s_fd_of(&packet);
    if (done == 0 || (done == -1 && errno == ECONNRESET))
        return 0;
    if (done == -1)
        return rmt_fail_errno(error, "hear the other half of the writer");
    message_out->name[XATTR_NAME_MAX] = '\0';
    if ((size_t) done >= HEAD_SIZE && !(packet.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) &&
        message_out->size == (size_t) done - HEAD_SIZE)
        return 1;
    if (message_out->fd != -1)
        close(message_out->fd);
    message_out->fd = -1;
    return rmt_fail(error, RMT_E_PROTOCOL,
                    "a message of %zd bytes came between the halves of the writer", done);
}
