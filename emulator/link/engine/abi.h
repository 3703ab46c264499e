/* The packet engine's interface: everything that crosses between Python and C, and nothing else.
 *
 * The engine knows link ends, nodes, queues, schedule steps, ports and orders by number; it knows no names, no scenario
 * and no protocol. Link i has the ends 2i (sends from its node a to b) and 2i+1 (from b to a). Times are seconds of the
 * scenario as double, rates are bit/s, sizes are bytes. A packet is a virtio-net header of 10 bytes, for Ethernet a
 * frame header, then IPv4 or IPv6.
 *
 * Invariant: Python checks sizes and offsets of these structures against `engine_layout` before it uses any of them.
 */
#ifndef SKYLOOM_ENGINE_ABI_H
#define SKYLOOM_ENGINE_ABI_H

#include <stddef.h>
#include <stdint.h>

#define ENGINE_ABI 1
#define ENGINE_API __attribute__((visibility("default")))

typedef struct engine engine;

/* ---- configuration; Python keeps the arrays alive as long as the engine ---- */

enum {
    END_MOVING = 1,         /* the far node (of a forward end) or the sender (of a backward end) follows the rows */
    END_ETHERNET = 2,       /* frames, not packets */
    END_HEAD_DROP = 4,      /* a full queue drops its oldest packet */
    END_HOLD_WHEN_DOWN = 8, /* an outage keeps packets instead of dropping them */
    END_OVERTAKING = 16,    /* a later packet may arrive first */
    END_BURST_LOSS = 32     /* Gilbert-Elliott chain */
};

typedef struct {
    double queue_bytes, queue_packets, queue_s; /* bounds of what waits, the packet in transmission apart; inf: none */
    double jitter_s;                            /* added delay is uniform in [0, 2 jitter_s) */
    double duplicate, corrupt;                  /* probabilities */
    double good_to_bad, bad_to_good, loss_good, loss_bad;
    double period_s;      /* of its knots; inf: they do not repeat */
    int32_t sender, far;  /* nodes; of a moving link those at the start */
    int32_t first_knot;   /* place in the knot arrays; -1: the end follows the rows */
    int32_t knot_count;
    int32_t fine;         /* place in the rows' finer tables; -1: none */
    uint32_t flags;       /* END_* */
    uint32_t label;       /* where the name of its random streams begins in `labels` */
    uint32_t label_bytes;
} engine_end;

typedef struct {
    int32_t fd;       /* non-blocking; -1: a port in memory, emptied by `engine_take` */
    int32_t node;
    int32_t end;      /* end on which its packets leave; -1: by destination (shared downlink of a live satellite) */
    int32_t ethernet;
} engine_port;

typedef struct {
    uint8_t family;   /* 4 or 6 */
    uint8_t bytes[16];
    uint8_t unused[3];
    int32_t dest;     /* its destination: a place in the route table, or dests + node for a transit node */
} engine_address;

typedef struct {
    int32_t nodes, ends, dests, ports, addresses, lanes;
    int32_t static_routes;   /* the routes of the first row hold for the whole run */
    int32_t transit_routes;  /* transit nodes can be reached: 0 no, 1 along shortest delays, 2 from neighbours only */
    const engine_end *end;
    const engine_port *port;
    const engine_address *address;
    const uint8_t *live;         /* nodes: has a namespace (ports, a kernel that counts hops) */
    const uint8_t *may_forward;  /* nodes: may stand in the middle of a way to a transit node */
    const int32_t *lane_of_node; /* nodes */
    const uint8_t *ipv4;         /* nodes x 4; all zero: none */
    const uint8_t *ipv6;         /* nodes x 16 */
    const uint8_t *labels;       /* "<seed>/link/<end name>/" of each end */
    const double *knot_t_s, *knot_delay_s, *knot_rate_bps, *knot_loss;
    const uint8_t *knot_up;
    /* rows of the schedule in shared memory, see emulator/schedule/ring.py; base 0: there are none */
    const uint8_t *ring;
    int64_t ring_header_bytes, ring_bytes_per_row, ring_capacity;
    int64_t at_head, at_delay_start_s, at_delay_end_s, at_rate_bps, at_loss, at_up, at_peer, at_next_end;
    int64_t at_fine_count, at_fine_t_s, at_fine_delay_s, at_fine_rate_bps, at_fine_loss, at_fine_up;
    int64_t fine_knots;
    double step_s;
    int64_t small_slots, large_slots; /* packets of up to 2 KiB and larger ones that each lane may hold */
    int64_t handover_bytes;           /* of the ring between two lanes */
    double *sent;                     /* ends x SENT_CELLS, filled by the engine */
    double *received;                 /* lanes x ends x RECEIVED_CELLS */
    int64_t *unrouted;                /* nodes: packets of a shared downlink without a route */
} engine_config;

/* ---- counters: cells of 8 bytes that only grow, each written by one lane ---- */

enum { SENT_PACKETS, SENT_BYTES, SENT_DROP_QUEUE, SENT_DROP_LOSS, SENT_DROP_OUTAGE, SENT_DROP_OVERLOAD,
       SENT_DELAY_SUM_S, SENT_DUPLICATED, SENT_CORRUPTED, SENT_CELLS = 16 };
enum { RECEIVED_PACKETS, RECEIVED_BYTES, RECEIVED_LATE_SUM_S, RECEIVED_LATE_MAX_S, RECEIVED_DROP_REFUSED,
       RECEIVED_DROP_NOROUTE, RECEIVED_DROP_TTL, RECEIVED_CELLS = 8 };

/* Causes in captures: the values of emulator.link.stats.EndStats. */
enum { CAUSE_SENT = 0, CAUSE_QUEUE = 4, CAUSE_LOSS = 5, CAUSE_OUTAGE = 6, CAUSE_OVERLOAD = 7, CAUSE_NOROUTE = 8,
       CAUSE_TTL = 9 };

#define LATENESS_BUCKETS 320 /* of 1/8 octave from 2^-20 s on, as emulator.link.lateness */

typedef struct { /* what a lane knows about itself; it grows, where nothing else is said */
    double lateness_sum_s, lateness_max_s;
    double cpu_s;         /* of its thread */
    double slept_s;
    double overloaded_s;  /* time in which ports were not read because due packets lagged */
    double late_engine_s, late_scheduler_s, late_capture_s; /* lateness of packets later than 1 ms, by what caused it */
    double now_s;         /* scenario time of its last turn */
    int64_t late_packets; /* later than 1 ms */
    int64_t wakeups, turns;
    int64_t late_rows;    /* times that a row was not there when it was needed */
    int64_t handed_over, late_handovers;
    int64_t pool_small, pool_large; /* packets held at the moment */
    int64_t obeyed;       /* number of the last order that it has obeyed */
    int64_t turn_max_ns;  /* longest turn since `engine_turn_max_ns` */
    int32_t realtime;     /* whether it runs in a real-time class at the moment */
    int32_t unused;
    int64_t lateness[LATENESS_BUCKETS];
} engine_lane_report;

/* ---- orders ---- */

enum { ORDER_SET, ORDER_HOLD, ORDER_RELEASE, ORDER_TAPS, ORDER_STOP };
enum { VALUE_UP = 1, VALUE_RATE = 2, VALUE_DELAY = 4, VALUE_LOSS = 8 };

typedef struct {
    uint32_t kind;       /* ORDER_* */
    int32_t end;
    uint32_t set, clear; /* VALUE_*: which follow the values below, which follow the schedule again */
    uint32_t taps;       /* ORDER_TAPS: bit n: tap n listens to this end */
    uint32_t up;
    double rate_bps, delay_s, loss;
} engine_order;

/* ---- packets seen from outside ---- */

typedef struct {
    double at_s;      /* due time; of a packet that waits: when it was offered */
    int32_t end, node;
    int32_t dest, hops;
    uint32_t size;    /* bytes on the wire */
    uint32_t bytes;   /* that it has, virtio header included */
    uint64_t offset;  /* of its bytes in the buffer given */
} engine_delivery;

/* What crosses between lanes, and later between machines: a packet that has left an end, with the instant at which it
 * is due at the far node. `bytes` of packet follow. */
typedef struct {
    double due_s;
    int32_t end, node;
    int32_t dest, hops;
    uint32_t size, bytes;
} engine_handover;

#define TAPS 32
#define TAP_MAGIC 0x536B7955u

/* ---- functions ---- */

/* NULL where memory is short or the configuration makes no sense; `why` then says what (room bytes). */
ENGINE_API engine *engine_create(const engine_config *config, char *why, size_t room);
ENGINE_API void engine_destroy(engine *e);
ENGINE_API const char *engine_built_with(void);
ENGINE_API size_t engine_layout(uint32_t *out, size_t room); /* sizes and offsets; returns how many there are */
ENGINE_API engine_lane_report *engine_report(engine *e, int lane);
ENGINE_API int64_t engine_turn_max_ns(engine *e, int lane);  /* and begins a new interval */

/* In memory: time is what the caller says; lanes are played by this thread or, with `threads`, by one thread each. */
ENGINE_API int engine_offer(engine *e, int32_t end, double t_s, const uint8_t *data, uint32_t bytes, uint32_t size,
                            int32_t dest, int32_t hops);
ENGINE_API void engine_play(engine *e, double until_s, int threads);
ENGINE_API double engine_next_s(engine *e);
ENGINE_API void engine_obey(engine *e, const engine_order *order, double t_s);
/* Packets that reached ports in memory, in the order in which they came due, as many as fit; returns how many. */
ENGINE_API int64_t engine_take(engine *e, engine_delivery *out, int64_t most, uint8_t *bytes, uint64_t room);
/* Packets inside an end: those that wait (half 0) or are in flight (half 1); returns how many there are. */
ENGINE_API int64_t engine_inside(engine *e, int32_t end, int half, engine_delivery *out, int64_t most, uint8_t *bytes,
                                 uint64_t room);
/* What holds for an end at a time: start, stop, delay at start and end, rate, loss, up, peer, until, hops it costs. */
ENGINE_API void engine_holds(engine *e, int32_t end, double t_s, double out[10]);

/* In real time. `engine_run` plays one lane in the calling thread until ORDER_STOP, from t0_ns (CLOCK_MONOTONIC) on. */
ENGINE_API int engine_run(engine *e, int lane, int64_t t0_ns, int gate_fd, int realtime);
/* Numbers of orders rise by one; 0: the ring is full, try again. `engine_order_fd` is readable when some were obeyed. */
ENGINE_API int64_t engine_send(engine *e, const engine_order *order);
ENGINE_API int64_t engine_obeyed(engine *e);
ENGINE_API int engine_order_fd(engine *e);
/* Ports are not read while the gate is shut: an order that is being handed over holds for what was sent after it. */
ENGINE_API void engine_gate(engine *e, int shut);

/* Captures: tap n (0 to 31) keeps up to `room` bytes a lane until `engine_tap_drain` takes them. */
ENGINE_API int engine_tap_open(engine *e, int tap, uint64_t room, uint32_t snaplen);
ENGINE_API void engine_tap_close(engine *e, int tap);
ENGINE_API int64_t engine_tap_lost(engine *e, int tap);
/* Writes one batch (see emulator/link/taps.py) of what has been kept; returns its bytes, 0: nothing there. */
ENGINE_API uint64_t engine_tap_drain(engine *e, int tap, uint8_t *out, uint64_t room);

/* Single functions, for tests against their models in Python. */
ENGINE_API uint32_t engine_wire_size(const uint8_t *data, uint32_t bytes, int ethernet);
ENGINE_API void engine_set_hop_limit(uint8_t *data, uint32_t bytes, int hops);
ENGINE_API uint32_t engine_complete(uint8_t *data, uint32_t bytes);
/* Segments `first` to `first + count` of a merged packet, as a packet of its own; returns its bytes, 0: not merged. */
ENGINE_API uint32_t engine_segments(const uint8_t *data, uint32_t bytes, int ethernet, uint32_t first, uint32_t count,
                                    uint8_t *out);
ENGINE_API uint32_t engine_icmp_error(const uint8_t *data, uint32_t bytes, const uint8_t *node, int family, int expired,
                                      int hops, uint8_t *out);
ENGINE_API uint32_t engine_echo_reply(const uint8_t *data, uint32_t bytes, uint8_t *out);
ENGINE_API void engine_random(const uint8_t *label, uint32_t bytes, double *out, int64_t count);

#endif
