/* Trunks over UDP sockets: many datagrams in one system call, by segmentation (GSO) and merging (GRO) in the kernel.
 *
 * Invariant: no call blocks; what the kernel cannot take now is kept and tried again. Datagrams are not fragmented, as
 * long as the path takes those of the size that was found before play.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "core.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define CALLS 32 /* that one turn makes at most for one trunk's datagrams */
#define BUFFER_BYTES (16 << 20)
#define RETRY_SEND_S 100e-6

static void whole_only(const trunk *t, bool whole)
{
    int how = whole ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT;
    setsockopt(t->config.fd, IPPROTO_IP, IP_MTU_DISCOVER, &how, sizeof how);
}

/* Buffers as large as this user may have them. Half of them is counted on: the kernel keeps its own books in them, too. */
void trunk_attach(trunk *t)
{
    int fd = t->config.fd, bytes = BUFFER_BYTES, one = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes)) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes)) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    setsockopt(fd, SOL_UDP, UDP_GRO, &one, sizeof one);
    whole_only(t, true);
    socklen_t length = sizeof bytes;
    if (!getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &length)) t->own_room_bytes = (uint32_t)bytes / 2;
}

/* ---- receiving ---- */

typedef union { struct cmsghdr first; uint8_t room[CMSG_SPACE(sizeof(int))]; } control_room;

/* What one call brings: datagrams of `segment` bytes side by side, the last maybe less. */
static ssize_t receive_once(const trunk *t, uint8_t *out, uint32_t *segment)
{
    control_room room;
    struct iovec part = {out, DATAGRAMS_BYTES};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room.room, .msg_controllen = sizeof room};
    ssize_t got = recvmsg(t->config.fd, &message, MSG_DONTWAIT);
    *segment = got > 0 ? (uint32_t)got : 0;
    for (struct cmsghdr *c = got > 0 ? CMSG_FIRSTHDR(&message) : NULL; c; c = CMSG_NXTHDR(&message, c)) {
        int size;
        if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO) continue;
        memcpy(&size, CMSG_DATA(c), sizeof size);
        if (size > 0) *segment = (uint32_t)size;
    }
    return got;
}

void trunk_receive(lane *l, trunk *t)
{
    for (int n = 0; n < CALLS; n++) {
        uint32_t segment;
        ssize_t got = receive_once(t, l->e->datagrams, &segment);
        if (got < 0 && (errno == ECONNREFUSED || errno == EMSGSIZE)) continue; /* what came of an earlier datagram */
        if (got <= 0) return;
        instant at = lane_instant(l);
        for (uint32_t offset = 0; offset < (uint32_t)got; offset += segment) {
            uint32_t left = (uint32_t)got - offset;
            trunk_take(t, at, l->e->datagrams + offset, left < segment ? left : segment);
        }
    }
}

/* ---- sending ---- */

static ssize_t send_once(const trunk *t, const trunk_span *span)
{
    control_room room;
    struct iovec part = {(void *)(uintptr_t)span->at, span->bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (span->segment < span->bytes) {
        uint16_t segment = (uint16_t)span->segment;
        message.msg_control = room.room;
        message.msg_controllen = CMSG_SPACE(sizeof segment);
        room.first = (struct cmsghdr){.cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof segment)};
        memcpy(CMSG_DATA(&room.first), &segment, sizeof segment);
    }
    return sendmsg(t->config.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

#define TRIES 3 /* an error may be that of an earlier datagram */

/* One datagram. False: not now. What is lost is asked for again. */
static bool send_one(trunk *t, const trunk_span *span)
{
    for (int tries = 0; tries < TRIES; tries++) {
        if (send_once(t, span) >= 0) return true;
        if (errno == EAGAIN || errno == ENOBUFS) return false;
    }
    if (errno != EMSGSIZE || t->early) return true;
    whole_only(t, false); /* the path has changed */
    t->report.fragments = 1;
    send_once(t, span);
    return true;
}

/* Whether the kernel has taken it, or never will. */
static bool send_span(trunk *t, const trunk_span *span)
{
    if (span->segment == span->bytes) return send_one(t, span);
    for (int tries = 0; tries < TRIES; tries++) {
        if (send_once(t, span) >= 0) return true;
        if (errno == EAGAIN || errno == ENOBUFS) return false;
    }
    t->singly = true; /* no segmentation here, or none of this size */
    for (uint32_t offset = 0; offset < span->bytes; offset += span->segment) {
        uint32_t left = span->bytes - offset, bytes = left < span->segment ? left : span->segment;
        send_one(t, &(trunk_span){span->at + offset, bytes, bytes});
    }
    return true;
}

void trunk_transmit(lane *l, trunk *t)
{
    instant at = lane_instant(l);
    for (;;) {
        if (t->kept.bytes && at.now_s < t->retry_s) return;
        trunk_span span = t->kept.bytes ? t->kept : trunk_next(t, at, t->singly ? 1 : TRUNK_SEGMENTS);
        t->kept.bytes = 0;
        if (!span.bytes) return;
        if (send_span(t, &span)) continue;
        t->kept = span;
        t->retry_s = at.now_s + RETRY_SEND_S;
        return;
    }
}
