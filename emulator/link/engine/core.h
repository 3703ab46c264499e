/* The engine's own structures, in the order in which a packet meets them: pool, sending half, wheel, receiving half,
 * lane.
 *
 * A lane is one thread's share of the network: the nodes that `lane_of_node` gives it, their ports, the sending halves
 * of the ends on which they send, and the receiving halves of the ends on which they receive. Invariant: a lane touches
 * only its own halves; between lanes goes nothing but handovers (handover.c) and, at the begin of a step, sending
 * halves whose sender has changed (lane.c).
 */
#ifndef SKYLOOM_ENGINE_CORE_H
#define SKYLOOM_ENGINE_CORE_H

#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "abi.h"
#include "trunk.h"

#define VIRTIO 10u
#define ETHERNET 14u
#define LARGEST (65535u + VIRTIO + ETHERNET)
#define SMALL_BYTES 2064u   /* of a small slot: a full Ethernet frame; not a power of two, so slots do not alias */
#define LARGE_BYTES 65664u  /* of a large one: a merged segment */
#define NONE UINT32_MAX     /* no packet */
#define UNKNOWN (-1)        /* destination that was not looked up */
#define NOWHERE (-2)        /* destination that nobody has */
#define RETRY_S 0.01        /* how soon a missing row is asked for again */
#define PIECE_S 1e-3        /* what a link may take to send one merged segment; a slower one gets it in pieces */
#define MEMORY_BYTES (256.0 * 1024 * 1024) /* what may wait at one end, whatever its bounds say */
#define LOOKING_AHEAD_S 1e-3 /* longest time that a packet at a transit node may wait for others */

/* ---- packets (pool.c) ---- */

typedef struct {
    double at_s;       /* offered, then due */
    uint8_t *data;
    uint32_t next, prev; /* in the list that holds it */
    uint32_t bytes, size; /* in memory with its virtio header; on the wire */
    int32_t dest, node;  /* route table place; where it arrives */
    int32_t hops;        /* left, where a transit node has looked (dest is not UNKNOWN) */
    int32_t end;         /* by which it came, where it waits at a port in memory */
    uint32_t merged;     /* whether it is a merged segment: its bytes need not be looked at to know */
    uint64_t order;      /* among those of its end that are due with it: epoch, and behind it the place in a trunk's stream */
} packet;

typedef struct {
    packet *meta;                       /* apart from the bytes: a hop looks at these 64 bytes only */
    uint8_t *small, *large;             /* slots; a packet's number is that of its slot, large ones behind small ones */
    uint32_t *free_small, *free_large;  /* stacks, so that warm memory is used again first */
    uint32_t small_slots, large_slots;
    uint32_t small_free, large_free;    /* heights of the stacks */
    uint32_t small_touched, large_touched; /* slots beyond these have never been used and take no memory */
} pool;

bool pool_open(pool *p, uint32_t small_slots, uint32_t large_slots);
void pool_close(pool *p);
uint32_t pool_take(pool *p, uint32_t bytes); /* a packet with room for so many bytes; NONE: there is none */
void pool_give(pool *p, uint32_t number);
uint32_t pool_held(const pool *p, bool large); /* packets in use */
static inline packet *pool_at(const pool *p, uint32_t number) { return &p->meta[number]; }

typedef struct { uint32_t head, tail; uint32_t count; } list; /* of packets, linked by next and prev */

static inline void list_clear(list *l) { l->head = l->tail = NONE; l->count = 0; }

static inline void list_append(list *l, pool *p, uint32_t number)
{
    packet *q = pool_at(p, number);
    q->next = NONE;
    q->prev = l->tail;
    if (l->tail == NONE) l->head = number; else pool_at(p, l->tail)->next = number;
    l->tail = number;
    l->count++;
}

static inline uint32_t list_remove(list *l, pool *p, uint32_t number)
{
    packet *q = pool_at(p, number);
    if (q->prev == NONE) l->head = q->next; else pool_at(p, q->prev)->next = q->next;
    if (q->next == NONE) l->tail = q->prev; else pool_at(p, q->next)->prev = q->prev;
    l->count--;
    return number;
}

/* Puts `number` behind the packet `after` (NONE: at the head). */
static inline void list_insert_after(list *l, pool *p, uint32_t after, uint32_t number)
{
    packet *q = pool_at(p, number);
    q->prev = after;
    q->next = after == NONE ? l->head : pool_at(p, after)->next;
    if (after == NONE) l->head = number; else pool_at(p, after)->next = number;
    if (q->next == NONE) l->tail = number; else pool_at(p, q->next)->prev = number;
    l->count++;
}

/* ---- timers (wheel.c) ---- */

enum { IDLE, IN_BUCKET, IN_NEAR, IN_FAR };

typedef struct {
    double at_s;
    uint32_t next;  /* in its bucket */
    uint8_t place;  /* IDLE, IN_BUCKET … */
    uint8_t exact;  /* it leads to a port, so it is met to the microsecond */
    uint16_t unused;
} timer;

typedef struct { double at_s; uint32_t id, unused; } wake; /* of wakes of one time the lower id comes first */
typedef struct { wake *of; uint32_t count, room; } heap;

#define TICKS 16384         /* buckets */
#define TICKS_PER_S 32768.0 /* of 30.5 us: half a second in all */

typedef struct {
    timer **timers;         /* by id; id = 2 end + half */
    uint32_t *bucket;       /* head of each bucket's chain */
    uint64_t *some;         /* a bit a bucket: it is not empty */
    int64_t tick;           /* of what has moved into `near`; later ticks are in buckets, or beyond them in `far` */
    heap near, far;
    uint32_t in_buckets;
} wheel;

bool heap_add(heap *h, double at_s, uint32_t id);
void heap_drop(heap *h); /* its first */

bool wheel_open(wheel *w, uint32_t ids);
void wheel_close(wheel *w);
/* Sets the timer `id`, or moves it to an earlier time; a timer that is set for an earlier time already stays. */
bool wheel_set(wheel *w, uint32_t id, double at_s); /* false: no memory for it */
void wheel_unset(wheel *w, uint32_t id);
/* Unsets a timer that another wheel is going to have: a wake left here would count again if it is set there for the same
 * time. */
void wheel_forget(wheel *w, uint32_t id);
/* Takes the first timer that is due by `until_s` (strictly before it where `before`); its id, or NONE. */
uint32_t wheel_take(wheel *w, double until_s, bool before, double *at_s);
double wheel_next_s(wheel *w); /* time of the first timer, inf where none is set */
uint32_t wheel_first(wheel *w, double *at_s); /* the first timer and its time; NONE: none is set */
/* When to wake: the first exact timer, or any other + batching_s. `exact`: it is an exact one. */
double wheel_wake_s(wheel *w, double batching_s, bool *exact);

/* ---- random streams and effects (random.c, effects.c) ---- */

typedef struct { uint32_t state[624]; uint32_t index; } stream;

void stream_seed(stream *s, const uint8_t *label, uint32_t bytes); /* as Python's random.Random(str) */
double stream_next(stream *s);                                     /* as random.Random.random() */

enum { STREAM_LOSS, STREAM_BURST, STREAM_DUPLICATE, STREAM_CORRUPT, STREAM_JITTER, STREAMS };

typedef struct {
    stream *of[STREAMS]; /* made when first drawn from */
    bool bad;            /* state of the Gilbert-Elliott chain */
} chain;

typedef struct { uint32_t number; double jitter_s; } copy;

/* ---- link ends ---- */

enum { HAS_BOUNDS = 1, COUNTS_PACKETS = 2, PER_PACKET = 4, OVERTAKES = 8, RUNNING = 16, ACCEPTS = 32, RANDOM = 64,
       HELD = 128, LOSSY = 256, AWAITED = 512 };

/* The sending half: queue, transmitter, loss. The packet at the head of `queue` sits in the transmitter and is apart
 * from the queue's bounds; `left` of its bytes are still to be sent at `since_s`. */
typedef struct {
    timer timer;
    double departs_s;          /* when the head leaves, if the values of now last; inf: nothing leaves */
    double stop_s;             /* until when the values below hold */
    double base_s, slope;      /* delay of a departure at t: base_s + slope t */
    double seconds_per_byte;   /* 0: no rate */
    double idle_s, last_s;     /* last departure, last arrival */
    list queue;
    int32_t peer;              /* node that receives */
    uint32_t taps;
    uint16_t flags;
    uint8_t ttl_cost;          /* hops that leaving costs */
    double queued_bytes;       /* without the head */
    double left, since_s;
    double admission_s_per_byte; /* the last finite seconds_per_byte: the queue bound in time counts with it */
    double loss;
    chain *chain;
} sending;

/* The receiving half: what is in flight, in the order in which it is due. */
typedef struct {
    timer timer;
    list flight;
    int32_t port; /* place of the port that always receives; -1: ask the node */
} receiving;

typedef struct { /* what orders set on an end */
    uint32_t given; /* VALUE_* */
    bool up, paused;
    uint32_t taps;
    double rate_bps, delay_s, loss;
} override;

/* ---- schedule (schedule.c) ---- */

typedef struct {
    double start_s, stop_s, delay_start_s, delay_end_s, rate_bps, loss;
    bool up;
    int32_t peer;
    double until_s; /* until when all of it is known to hold */
    uint8_t ttl_cost;
} holds;

/* The sequence counter in the head of a row: its step, or -1 while it is written; also the ring's newest step. */
static inline int64_t shown(const uint8_t *head)
{
    return atomic_load_explicit((const _Atomic int64_t *)(const void *)head, memory_order_acquire);
}

typedef struct { /* a lane's view of the rows */
    int64_t step;          /* that `row` shows; -1: none yet */
    const uint8_t *row;
    const int32_t *routes; /* dests x nodes, of the playing step */
    const uint8_t *routes_head; /* head of the row that `routes` lie in; NULL: they are a copy, or there are none */
    int64_t routes_step;   /* step of `routes`; -1: none yet */
    double stop_s;         /* until when `routes` hold */
    int32_t *fixed;        /* a copy of the first routes, where they hold for the whole run */
    double batching_s;     /* how late a packet may be passed on by a transit node and still be in time at the next */
    int64_t late;
} rows;

/* ---- lane ---- */

typedef struct { _Atomic uint64_t written, read; uint8_t *bytes; uint64_t room; } byte_ring; /* one writer, one reader */

bool byte_ring_open(byte_ring *r, uint64_t room);
void byte_ring_close(byte_ring *r);
/* Room for a record of so many bytes, in one piece; NULL: full. `byte_ring_done` hands it to the reader. */
uint8_t *byte_ring_begin(byte_ring *r, uint64_t bytes);
void byte_ring_done(byte_ring *r, uint64_t bytes);
const uint8_t *byte_ring_peek(byte_ring *r, uint64_t *bytes); /* the oldest record; NULL: none */
void byte_ring_drop(byte_ring *r, uint64_t bytes);

typedef struct { /* of one lane for one capture; records are a tap_record and the packet's bytes */
    byte_ring ring;
    _Atomic int64_t lost;
    uint32_t cut; /* bytes of each packet that are kept, virtio header included */
    _Atomic bool open;
} tap;

typedef struct { double left_s; uint32_t mark, kept, original, unused; } tap_record;

typedef struct { double tokens, at_s; } allowance; /* of ICMP answers of one node */

typedef struct { /* way to one transit node, for one step */
    int32_t node;
    int64_t step;
    int32_t *next_end; /* by node; -1: no way */
} tree;

#define TREES 32      /* transit nodes that may be talked to in one step */
#define ORDERS 16384  /* in the ring of one lane */

typedef struct lane {
    engine *e;
    int index;
    pool pool;
    wheel wheel;
    receiving *received;   /* by end */
    double *received_cells;
    override **overrides;  /* by end; NULL: none */
    rows rows;
    bool overrides_changed;     /* since `rows.batching_s` was worked out */
    allowance *allowances; /* by node, made with the first answer */
    tree trees[TREES];
    double *tree_cost;     /* by node, for making a tree; so are those below */
    int32_t *tree_ends, *tree_first, *tree_sender;
    heap tree_heap;
    byte_ring *inbox;      /* by lane that writes */
    _Atomic(tap *) taps[TAPS];
    uint32_t tapped;       /* packets, to take the time of some */
    engine_order *orders;
    _Atomic int64_t ordered, obeyed;
    _Atomic bool stopped;
    engine_lane_report report;
    _Atomic int64_t turn_max_ns;
    uint64_t epoch;        /* number of the last step at which halves changed hosts, as packet.order begins with it */
    int32_t playing_end;   /* whose sending half plays; -1: none */
    double playing_s;
    list out;              /* packets at ports in memory; `node` is then the port's place */
    /* real time */
    int epoll, wake_fd;
    _Atomic int64_t sleeps_until_ns; /* scenario time for which it sleeps; INT64_MIN: it is awake */
    double now_s;          /* of this turn */
    int64_t t0_ns;
    double early_s, spin_left_s, spin_at_s, spun_until_s;
    double interval_cpu_s; /* time of its thread at the begin of the interval */
    int32_t *unread;       /* ports that may have packets: a ring, as long as there are ports */
    int32_t unread_first, unread_count;
    bool gate;             /* an order waits, so that ports do */
    uint64_t called;       /* trunks that may have datagrams, by place */
    double noted_slept_s;  /* `report.slept_s` when its figures were noted last */
    double overslept_s, capture_s; /* lag of this waking: what the scheduler and captures took */
    uint8_t *scratch;      /* LARGE_BYTES */
} lane;

typedef struct { /* of one end whose sending half goes from host to host (trunk_moves.c) */
    struct arrival *coming; /* what has come of its queue */
    list offered;           /* packets that wait until all of it is there */
    struct held_order *orders; /* likewise, what is done to the end meanwhile, in order */
} move;

#define CLOCK_LINES 64
typedef struct { int64_t at_ns, run_ns; double rate; int64_t unused; } clock_line; /* as in emulator/model/clock_page.py */
struct clock_page { _Atomic uint8_t newest; uint8_t unused[63]; clock_line line[CLOCK_LINES]; };

struct engine {
    engine_config config;
    int32_t *lane_of_node; /* AWAY(host): it is of another host */
    trunk *trunks;         /* in the order of `config.trunk`; lane 0 plays them all */
    trunk *trunk_of_host[HOSTS];
    double *newest_due_s;  /* by end: of what has come over trunks */
    move *moves;           /* by end */
    uint8_t *datagrams;    /* DATAGRAMS_BYTES: what one system call brings */
    const clock_page *clock; /* trunk_clock.c; NULL: this host's clock is the run's */
    sending *sent;         /* by end */
    int32_t *sent_lane;    /* by end: the lane of its sender */
    uint8_t *exact;        /* by end: its packets go to a port, or they might */
    int32_t *leaves_transit; /* ends on which a transit node sends, or may */
    int32_t leaves_transit_count;
    int32_t *crossing;     /* ends on which packets may change lanes */
    int32_t crossing_count;
    double knots_shortest_s; /* shortest delay of those of them that follow knots */
    int32_t *port_of_end, *shared_port; /* by end, by node; -1: none */
    bool *is_unread;       /* by port: it is in its lane's `unread` */
    uint32_t *hash;        /* open addressing: place in config.address, NONE */
    uint32_t hash_mask;
    bool mobile;           /* some links are moving */
    bool meets;            /* so sending halves change lanes, or hosts */
    bool realtime;         /* `engine_run` plays it: ports have descriptors */
    lane *lanes;
    int order_fd;
    _Atomic int gate;
    bool threaded;         /* `engine_play` plays each lane in a thread of its own */
    /* meeting of all lanes at the begin of a step */
    _Atomic int64_t met_step;
    _Atomic int32_t met_count;
};

static inline bool flag(const engine *e, int32_t end, uint32_t which) { return (e->config.end[end].flags & which) != 0; }
static inline double *sent_cells(const engine *e, int32_t end) { return e->config.sent + (size_t)end * SENT_CELLS; }
static inline double *received_cells(const lane *l, int32_t end) { return l->received_cells + (size_t)end * RECEIVED_CELLS; }

/* schedule.c */
void schedule_open(lane *l);
void schedule_at(lane *l, int32_t end, double t_s, holds *out);
void routes_move(lane *l, double t_s); /* bring `rows.routes` to the step of t_s */
void batching_update(lane *l);

/* sending.c; `t_s` may not fall from call to call */
void sending_open(engine *e, int32_t end);
void sending_offer(lane *l, int32_t end, uint32_t number, double t_s);
void sending_play(lane *l, int32_t end, double t_s);    /* its timer has come */
void sending_advance(lane *l, int32_t end, double t_s);
void sending_reload(lane *l, int32_t end, double t_s);  /* overrides, taps or the schedule have changed */
void sending_wake(lane *l, int32_t end);                /* set its timer */

/* effects.c */
int effects_copies(lane *l, int32_t end, uint32_t number, double loss, copy out[2]); /* how many survive */

/* receiving.c */
void receiving_add(lane *l, int32_t end, uint32_t number);
void receiving_add_by_order(lane *l, int32_t end, uint32_t number); /* for one that may have been overtaken on its way */
void receiving_play(lane *l, int32_t end, double due_s, double until_s, bool before);

/* handover.c */
void hand_over(lane *l, int32_t end, uint32_t number);  /* a packet that has left `end`; at_s is its due time */
bool handovers_take(lane *l);                           /* whether there were any */
void handovers_forget(lane *l);                         /* at the end, with the queues that they lead to */
uint32_t handover_accept(lane *l, const engine_handover *m); /* a packet without its bytes; NONE: refused, and counted */
void handover_arrive(lane *l, const engine_handover *m, uint64_t order, uint32_t number); /* now it has them */
/* Room for the bytes of a message from one lane to another; NULL: full. `handover_done` sends it. */
uint8_t *handover_begin(engine *e, int from, int to, const engine_handover *m, uint64_t order);
void handover_done(engine *e, int from, int to, const engine_handover *m);

/* trunks.c: the ways to other hosts, which lane 0 plays */
#define AWAY(host) (-1 - (host))
#define DATAGRAMS_BYTES 65536u
bool trunks_open(engine *e);
void trunks_close(engine *e);
bool trunks_add(engine *e, int host, const engine_handover *m, const uint8_t *bytes); /* false: no room */
void trunks_read(lane *l);      /* what sockets have */
void trunks_transmit(lane *l);
double trunks_wake_s(const lane *l, double now_s);
bool trunks_full(const engine *e);
void trunks_begin(lane *l);     /* play begins: times are the scenario's from now on */

/* trunk_socket.c */
void trunk_attach(trunk *t);
void trunk_receive(lane *l, trunk *t);
void trunk_transmit(lane *l, trunk *t);

/* trunk_moves.c: queues that go from host to host, at the begin of a step */
void queue_send(engine *e, int32_t end, lane *from, int host, int64_t step);
void queue_await(engine *e, int32_t end, lane *to, int64_t step);
void queue_hold(lane *l, int32_t end, uint32_t number);                 /* a packet offered before the queue has come */
bool queue_hold_order(lane *l, const engine_order *order, double t_s);  /* an order likewise; false: no memory */
bool queue_comes(engine *e, const engine_handover *m, const uint8_t *bytes); /* a part of one, over a trunk; false: refused */
void queue_install(lane *l, struct arrival *a);                         /* all of it */
void queue_give_up(lane *l, int32_t end);                               /* it is too late */
void queue_forget(struct arrival *a);
void queue_close(move *m);

/* What has not left the queue of `end` moves from one lane to another: its sender has changed. */
void sending_move(engine *e, int32_t end, lane *from, lane *to, double t_s);

/* forward.c, trees.c */
void forward(lane *l, int32_t end, uint32_t number);    /* a packet at a transit node, come by `end` */
bool hash_open(engine *e);
int32_t destination_of(const engine *e, const uint8_t *data, uint32_t bytes);
int32_t route(lane *l, int32_t dest, int32_t node); /* by the step that plays; -1: none */
int32_t tree_route(lane *l, int32_t target, int32_t node);

/* packet.c: nothing here trusts lengths */
int packet_version(const uint8_t *data, uint32_t bytes, uint32_t ip);         /* 4, 6, or 0 */
const uint8_t *packet_destination(const uint8_t *data, uint32_t bytes, int *family); /* NULL: none */
const uint8_t *packet_source(const uint8_t *data, uint32_t bytes, int *family);
bool address_is_group(const uint8_t *address, int family);
int packet_hop_limit(const uint8_t *data, uint32_t bytes);
void packet_set_hop_limit(uint8_t *data, uint32_t bytes, int hops);
uint32_t packet_wire_size(const uint8_t *data, uint32_t bytes, uint32_t ip);
uint32_t packet_segment(const uint8_t *data, uint32_t bytes, uint32_t ip, uint32_t *headers); /* payload bytes; 0 */
uint32_t packet_segments(const uint8_t *data, uint32_t bytes, uint32_t ip); /* how many; 1 where it is not merged */
uint32_t packet_cut(const uint8_t *data, uint32_t bytes, uint32_t ip, uint32_t first, uint32_t count, uint8_t *out);
uint32_t packet_complete(uint8_t *data, uint32_t bytes); /* its checksum, where that is still partial */
bool packet_flip(uint8_t *data, uint32_t bytes, uint32_t ip, double where); /* a bit behind its IP header */
uint32_t sum16(const uint8_t *data, uint32_t bytes, uint32_t start);

/* icmp.c */
uint32_t icmp_error(const uint8_t *data, uint32_t bytes, const uint8_t *node, int family, bool expired, int hops,
                    uint8_t *out);                          /* bytes of the answer; 0: none may be sent */
uint32_t icmp_echo_reply(const uint8_t *data, uint32_t bytes, uint8_t *out);
bool allowance_take(allowance *a, double t_s);

/* ports.c */
bool port_write(lane *l, int32_t port, int32_t end, uint32_t number); /* false: refused */
void unread_add(lane *l, int32_t port);
int32_t unread_take(lane *l);
bool port_read(lane *l, int32_t port);                                /* whether there may be more */

/* taps.c */
static inline uint32_t taps_of(const lane *l, int32_t end) { return l->overrides[end] ? l->overrides[end]->taps : 0; }
void taps_close(lane *l);
void tap_packet(lane *l, uint32_t taps, int32_t end, int cause, double left_s, const packet *q);

/* trunk_clock.c */
instant lane_instant(const lane *l);
double lane_now_s(const lane *l);

/* loop.c */
double thread_cpu_s(void);

/* lane.c */
bool lane_open(engine *e, lane *l, int index);
void lane_close(lane *l);
uint64_t lane_play(lane *l, double until_s, bool before, uint64_t most); /* timers; returns how many */
void lane_obey(lane *l, const engine_order *order, double t_s);
void step_change(engine *e, int64_t step);  /* all lanes have played to its begin: give sending halves to new owners */
double step_begin_s(const engine *e, int64_t step);

static inline uint32_t sending_id(int32_t end) { return 2 * (uint32_t)end; }
static inline uint32_t receiving_id(int32_t end) { return 2 * (uint32_t)end + 1; }

#endif
