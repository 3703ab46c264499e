/* A trunk: what goes between this engine and that of one other host.
 *
 * Records (engine_handover, each with its bytes behind it) are one stream of bytes, cut into datagrams that are numbered
 * and begin with a trunk_head. Datagrams may be lost, doubled or overtaken: the receiver asks for what it misses, and
 * hands on every record that it has whole, whatever is missing before it. The protocol (trunk_send.c, trunk_receive.c)
 * knows neither sockets nor lanes nor a clock: time is passed in. Sockets are trunk_socket.c; what records mean to the
 * engine is trunks.c and trunk_moves.c.
 *
 * Invariant: nothing that comes from the other host is trusted: what makes no sense is counted and dropped.
 */
#ifndef SKYLOOM_ENGINE_TRUNK_H
#define SKYLOOM_ENGINE_TRUNK_H

#include <stdbool.h>

#include "structures.h"

#define TRUNK_MAGIC 0x4B53
#define TRUNK_VERSION 1
#define TRUNK_FIRST (UINT32_MAX - 4) /* sequence: so that numbers begin anew at 0 in every run, not first in a long one */
#define TRUNK_DATAGRAMS 8192u /* that each side keeps: of what it sent for repair, of what came for torn records */
#define TRUNK_SPAN 64u        /* datagrams that one record touches at most */
#define TRUNK_SEGMENTS 44u    /* datagrams in one system call */
#define TRUNK_LEAST_BYTES 1232u
#define TRUNK_USUAL_BYTES 1472u /* what a path with an MTU of 1,500 bytes carries in one piece */
#define TRUNK_MOST_BYTES 8972u
#define NO_BEGIN 0xFFFF       /* trunk_head.begin: the record before goes on in the next datagram */

enum { TRUNK_DATA, TRUNK_ASK, TRUNK_BEAT, TRUNK_PROBE, TRUNK_ANSWER, TRUNK_RESULT, TRUNK_SIZE, TRUNK_SIZED };
enum { TRUNK_REPAIR = 1, TRUNK_UNACKED = 2 /* a beat: not all that its sender has sent is acknowledged */ };

typedef struct { /* of every datagram; all numbers are little endian */
    uint16_t magic;
    uint8_t version, kind;
    uint32_t sequence;  /* of data; of all others: the one that comes next */
    uint64_t cookie;
    int64_t sent_ns;    /* scenario time of the sender */
    uint16_t begin;     /* where, behind the head, the first record begins that begins here */
    uint8_t flags, host;
    uint32_t missing;   /* first sequence that the sender misses in the other direction */
} trunk_head;

typedef struct { /* of TRUNK_BEAT */
    int64_t records_sent, records_received;
    uint32_t repaired, given_up;
    uint32_t room_bytes; /* of the socket's buffer: what may be under way unacknowledged */
    uint32_t unused;
} trunk_beat;

typedef struct { /* of TRUNK_SIZE and of its answer TRUNK_SIZED, which are padded to the size that they try */
    uint32_t passes; /* the largest size of which an answer has come back so far */
    uint32_t unused;
} trunk_size;

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "datagrams are little endian");
_Static_assert(sizeof(trunk_head) == 32 && sizeof(trunk_beat) == 32 && sizeof(engine_handover) == 32, "no gaps");

typedef struct { double now_s; int64_t clock_ns; } instant; /* scenario time, and CLOCK_MONOTONIC */

typedef struct { const uint8_t *at; uint32_t bytes, segment; } trunk_span; /* datagrams of `segment`, the last maybe less */

/* ---- the receiver's view of one datagram ---- */

enum { MISSING, COME, GIVEN_UP };

typedef struct {
    uint32_t sequence;
    uint16_t bytes, begin; /* of what is behind the head */
    uint16_t torn;         /* where a record begins that goes on in the next datagram; NO_BEGIN: none */
    uint8_t state, asked;
    double ask_s, until_s; /* when to ask for it (again), and until when */
} seat;

typedef struct trunk trunk;

/* A whole record: its bytes are fetched by `trunk_read` with the place given. */
typedef void trunk_sink(void *to, trunk *t, const engine_handover *record, uint32_t sequence, uint32_t offset);

struct trunk {
    engine_trunk config;
    uint8_t own_host;
    bool early;            /* play has not begun: nothing but clocks and sizes is looked at */
    bool full;             /* the other host does not keep up, so ports must wait */
    bool singly;           /* this socket takes no segments */
    trunk_span kept;       /* which the kernel could not take yet */
    double retry_s;
    trunk_sink *sink;
    void *to;
    trunk_report report;
    uint32_t datagram_bytes, take_bytes; /* of the largest datagram that is sent, and of the largest one that may come */
    /* sending: datagrams [acked, sent) may be asked for, [sent, built) wait, `built` is being filled */
    uint8_t *kept_sent;
    uint16_t *sent_bytes;
    uint32_t acked, sent, built, open_bytes;
    int64_t records_out;   /* of report.records_sent: known to have been sent whole */
    double flush_s;        /* when the open one is sent, however full */
    uint32_t room_bytes;   /* of the other's socket */
    uint32_t own_room_bytes;
    uint32_t again[1024], again_first, again_count; /* sequences asked for */
    /* receiving: everything before `next` has come or was given up, nothing from `end` on is known */
    uint8_t *kept_received;
    seat *seats;
    uint32_t next, end;
    double gaps_s;         /* when to look at what is missing */
    double ahead_s;        /* longest time that a packet has come before it was due */
    uint32_t owed_bytes;   /* received since the other side heard of it */
    /* beats and probes */
    double beat_s, beat_every_s, told_s, probe_s, probe_every_s;
    bool asks;             /* this side probes the other one's clock, and tries sizes */
    double rtts_s[32];     /* of the newest probes */
    clock_probe answer, result;
    bool answers, tells;   /* there is one to send */
    double size_s;         /* when the next size is tried */
    uint32_t tries, passes, came; /* sizes tried; the largest that passes both ways; the largest that came */
    uint32_t sized;        /* a size to answer; 0: none */
    uint8_t control[TRUNK_MOST_BYTES];
};

#define PROBE_S 0.1        /* between two probes in play */
#define EARLY_PROBE_S 0.01 /* and before */

bool trunk_open(trunk *t, const engine_trunk *config, uint8_t own_host, trunk_sink *sink, void *to);
void trunk_close(trunk *t);
void trunk_begin(trunk *t, bool early); /* times have another origin from now on */

/* trunk_send.c */
/* Appends a record; false: no room. The time at which it must be there says how long it may wait for others. */
bool trunk_add(trunk *t, double now_s, const engine_handover *record, const uint8_t *bytes);
/* The next datagrams to send, at most `segments` of them; bytes 0: none now. Each is given once. */
trunk_span trunk_next(trunk *t, instant at, uint32_t segments);
double trunk_wake_s(const trunk *t, double now_s); /* when there is something to do without anything coming */
void trunk_acknowledged(trunk *t, uint32_t missing);
void trunk_asked(trunk *t, const uint8_t *body, uint32_t bytes);

/* trunk_receive.c */
void trunk_take(trunk *t, instant at, const uint8_t *datagram, uint32_t bytes);
void trunk_read(const trunk *t, uint32_t sequence, uint32_t offset, uint8_t *out, uint32_t bytes);
uint32_t trunk_ask(trunk *t, double now_s, uint8_t *body); /* sequences that are asked for now; bytes of the body */

static inline uint8_t *trunk_slot(uint8_t *ring, uint32_t slot_bytes, uint32_t sequence)
{
    return ring + (size_t)(sequence % TRUNK_DATAGRAMS) * slot_bytes;
}

#endif
