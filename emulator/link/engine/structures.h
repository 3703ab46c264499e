/* What Python and the engine share: constants and structures.
 * Made of structures.py by `python -m emulator.link.engine.header`: change that one. */
#ifndef SKYLOOM_ENGINE_STRUCTURES_H
#define SKYLOOM_ENGINE_STRUCTURES_H

#include <stddef.h>
#include <stdint.h>

#define ENGINE_ABI 1
#define SENT_CELLS 16
#define RECEIVED_CELLS 8
#define LATENESS_BUCKETS 320
#define TAPS 32
#define TAP_MAGIC 0x536b7955u
#define HOSTS 64
#define PROBES 64

/* What is unusual about a link end. MOVING: the far node (of a forward end) or the sender (of a backward one)
 * follows the rows. ETHERNET: frames, not packets. HEAD_DROP: a full queue drops its oldest packet. HOLD_WHEN_DOWN:
 * an outage keeps packets instead of dropping them. OVERTAKING: a later packet may arrive first. BURST_LOSS:
 * Gilbert-Elliott chain. */
enum {
    END_MOVING = 1,
    END_ETHERNET = 2,
    END_HEAD_DROP = 4,
    END_HOLD_WHEN_DOWN = 8,
    END_OVERTAKING = 16,
    END_BURST_LOSS = 32
};

/* Cells of 8 bytes, which only grow, that the sender's lane counts for a link end. */
enum {
    SENT_PACKETS = 0,
    SENT_BYTES = 1,
    SENT_DROP_QUEUE = 2,
    SENT_DROP_LOSS = 3,
    SENT_DROP_OUTAGE = 4,
    SENT_DROP_OVERLOAD = 5,
    SENT_DELAY_SUM_S = 6,
    SENT_DUPLICATED = 7,
    SENT_CORRUPTED = 8
};

/* Cells of 8 bytes, which only grow, that the receiver's lane counts for a link end. */
enum {
    RECEIVED_PACKETS = 0,
    RECEIVED_BYTES = 1,
    RECEIVED_LATE_SUM_S = 2,
    RECEIVED_LATE_MAX_S = 3,
    RECEIVED_DROP_REFUSED = 4,
    RECEIVED_DROP_NOROUTE = 5,
    RECEIVED_DROP_TTL = 6
};

/* Why a packet is in a capture: it was sent, or dropped for this cause. */
enum {
    CAUSE_SENT = 0,
    CAUSE_QUEUE = 4,
    CAUSE_LOSS = 5,
    CAUSE_OUTAGE = 6,
    CAUSE_OVERLOAD = 7,
    CAUSE_NOROUTE = 8,
    CAUSE_TTL = 9
};

/* What an engine_handover is: a packet in flight; one that waits in a queue whose end another host sends on now; or
 * the state of such a queue, behind its packets. */
enum {
    RECORD_PACKET = 0,
    RECORD_WAITING = 1,
    RECORD_MOVED = 2
};

/* What an order does. */
enum {
    ORDER_SET = 0,
    ORDER_HOLD = 1,
    ORDER_RELEASE = 2,
    ORDER_TAPS = 3,
    ORDER_STOP = 4
};

/* Values of a link end that an order sets, or gives back to the schedule. */
enum {
    VALUE_UP = 1,
    VALUE_RATE = 2,
    VALUE_DELAY = 4,
    VALUE_LOSS = 8
};

/* A link end. */
typedef struct {
    double queue_bytes, queue_packets, queue_s; /* bounds of what waits, the packet in transmission apart; inf: none */
    double jitter_s; /* added delay is uniform in [0, 2 jitter_s) */
    double duplicate, corrupt; /* probabilities */
    double good_to_bad, bad_to_good, loss_good, loss_bad; /* of burst loss */
    double period_s; /* of its knots; inf: they do not repeat */
    int32_t sender, far; /* nodes; of a moving link those at the start */
    int32_t first_knot; /* place in the knot arrays; -1: the end follows the rows */
    int32_t knot_count;
    int32_t substep; /* place in the rows' substep tables; -1: none */
    uint32_t flags; /* END_* */
    uint32_t label; /* where the name of its random streams begins in `labels` */
    uint32_t label_bytes;
} engine_end;

/* A port of a node. */
typedef struct {
    int32_t fd; /* non-blocking; -1: a port in memory, emptied by `engine_take` */
    int32_t node;
    int32_t end; /* on which its packets leave; -1: by destination (a live satellite's shared downlink) */
    int32_t ethernet;
} engine_port;

/* An address of a node. */
typedef struct {
    uint8_t family; /* 4 or 6 */
    uint8_t bytes[16];
    uint8_t unused[3];
    int32_t dest; /* its destination: a place in the route table, or dests + node for a transit node */
} engine_address;

/* The way to another host: a UDP socket that is connected to its engine. */
typedef struct {
    int32_t host;
    int32_t fd; /* non-blocking; -1: a trunk in memory (`engine_trunk_pull`, `engine_trunk_push`) */
    uint64_t cookie_sent, cookie_expected; /* of datagrams to that host, and of those from it */
    /* of the largest datagram, its head included; where sizes are tried before play (`engine_attend`), of the largest
     * that is tried */
    uint32_t datagram_bytes;
    uint32_t unused;
} engine_trunk;

/* All that the engine is told of a network. The caller keeps the arrays alive as long as the engine. */
typedef struct {
    int32_t nodes, ends, dests, ports, addresses, lanes;
    int32_t static_routes; /* the routes of the first row hold for the whole run */
    int32_t transit_routes; /* transit nodes can be reached: 0 no, 1 along shortest delays, 2 from neighbours only */
    const engine_end *end;
    const engine_port *port;
    const engine_address *address;
    const uint8_t *live; /* nodes: has a namespace (ports, a kernel that counts hops) */
    const uint8_t *may_forward; /* nodes: may stand in the middle of a way to a transit node */
    const int32_t *lane_of_node; /* nodes */
    const uint8_t *host_of_node; /* nodes; 0: all are of this host */
    const uint8_t *ipv4; /* nodes x 4; all zero: none */
    const uint8_t *ipv6; /* nodes x 16 */
    const uint8_t *labels; /* "<seed>/link/<end name>/" of each end */
    const double *knot_t_s, *knot_delay_s, *knot_rate_bps, *knot_loss;
    const uint8_t *knot_up;
    const uint8_t *ring; /* rows of the schedule in shared memory (emulator/schedule/ring.py); 0: none */
    int64_t ring_header_bytes, ring_bytes_per_row, ring_capacity;
    /* columns of a row (row_columns.h): bytes from its slot's begin */
    int64_t at_head, at_delay_start_s, at_delay_end_s, at_rate_bps, at_loss, at_up, at_peer, at_next_end,
        at_substep_count, at_substep_t_s, at_substep_delay_s, at_substep_rate_bps, at_substep_loss, at_substep_up;
    int64_t substep_knots;
    double step_s;
    int64_t small_slots, large_slots; /* packets of up to 2 KiB and larger ones that each lane may hold */
    int64_t handover_bytes; /* of the ring between two lanes */
    double *sent; /* ends x SENT_CELLS, filled by the engine */
    double *received; /* lanes x ends x RECEIVED_CELLS */
    int64_t *unrouted; /* nodes: packets of a shared downlink without a route */
    const engine_trunk *trunk; /* one a host beside this one */
    int32_t trunks, own_host;
} engine_config;

/* What a lane knows about itself; it grows, where nothing else is said. Read while the lane writes it. */
typedef struct {
    double lateness_sum_s, lateness_max_s;
    double cpu_s; /* of its thread */
    double slept_s;
    double overloaded_s; /* time in which ports were not read because due packets lagged */
    double late_engine_s, late_scheduler_s, late_capture_s; /* lateness of packets later than 1 ms, by what caused it */
    double now_s; /* scenario time of its last turn */
    int64_t late_packets; /* later than 1 ms */
    int64_t wakeups, turns;
    int64_t late_rows; /* times that a row was not there when it was needed */
    int64_t handed_over, late_handovers;
    int64_t late_queues; /* that came from another host too late to keep their packets' times */
    int64_t pool_small, pool_large; /* packets held at the moment */
    int64_t obeyed; /* number of the last order that it has obeyed */
    int64_t turn_max_ns; /* longest turn since `engine_turn_max_ns` */
    int32_t realtime; /* whether it runs in a real-time class at the moment */
    int32_t unused;
    int64_t lateness[LATENESS_BUCKETS];
} engine_lane_report;

/* A question about the clock of another host and its answer: ns of each host's own CLOCK_MONOTONIC. */
typedef struct {
    int64_t asked_ns, answered_ns; /* of the host that asked: when it sent, and when the answer came */
    int64_t heard_ns, told_ns; /* of the host that answered: when the question came, and when it sent */
    int64_t asker; /* host */
} clock_probe;

/* What a trunk knows about itself; counters only grow. Read while the engine writes it. */
typedef struct {
    int64_t records_sent, records_received;
    int64_t queues_sent, queues_received; /* of them: ends of queues that move, which are no packets */
    int64_t peer_sent; /* records that the other host has sent whole, by its newest beat */
    int64_t bytes_sent, bytes_received; /* of records, with their heads */
    int64_t datagrams_sent, datagrams_received; /* with records, repairs not counted */
    int64_t asked, repaired, given_up; /* datagrams: asked for again, sent again, missing for good */
    /* records that came after they were due, and of those the ones that a later one of their end had overtaken */
    int64_t late, reordered;
    int64_t rejected, repeated; /* datagrams and records that make no sense; datagrams that came twice */
    int64_t dropped; /* records for which the trunk had no room */
    int64_t datagram_bytes; /* of the largest datagram that passes both ways, as found before play */
    int64_t fragments; /* 1: the path no longer takes such datagrams whole, so they go in fragments */
    double heard_s; /* scenario time of the last datagram */
    double least_rtt_s; /* of the newest probes; inf: none was answered */
    /* datagrams with records by the time that they took, as the two hosts' scenario times have it */
    int64_t latency[LATENESS_BUCKETS];
    int64_t probed; /* probes so far: number n lies at place n mod PROBES */
    clock_probe probe[PROBES];
} trunk_report;

/* What is done to a link end. */
typedef struct {
    uint32_t kind; /* ORDER_* */
    int32_t end;
    uint32_t set, clear; /* VALUE_*: which follow the values below, which follow the schedule again */
    uint32_t taps; /* ORDER_TAPS: bit n: tap n listens to this end */
    uint32_t up;
    double rate_bps, delay_s, loss;
} engine_order;

/* A packet seen from outside. */
typedef struct {
    double at_s; /* due time; of a packet that waits: when it was offered */
    int32_t end, node;
    int32_t dest, hops;
    uint32_t size; /* bytes on the wire */
    uint32_t bytes; /* that it has, virtio header included */
    uint64_t offset; /* of its bytes in the buffer given */
} engine_delivery;

/* What crosses between lanes and between hosts: a packet that has left an end, with the instant at which it is due
 * at the far node. `bytes` follow: of the packet, or of what Record says. */
typedef struct {
    double due_s; /* of a packet that waits: when it was offered; of a queue's state: begin of the step */
    int32_t end;
    int32_t node; /* receiver; of a packet that waits: its place in the queue */
    int32_t dest;
    int16_t hops;
    uint8_t kind; /* RECORD_* */
    uint8_t step; /* modulo 256: at whose begin a queue moved; of a packet: in which it left */
    uint32_t size, bytes;
} engine_handover;

/* The fields of each structure, for layout.c. */
#define ENGINE_END(F) \
    F(queue_bytes) F(queue_packets) F(queue_s) F(jitter_s) F(duplicate) F(corrupt) F(good_to_bad) F(bad_to_good) \
    F(loss_good) F(loss_bad) F(period_s) F(sender) F(far) F(first_knot) F(knot_count) F(substep) F(flags) F(label) \
    F(label_bytes)
#define ENGINE_PORT(F) \
    F(fd) F(node) F(end) F(ethernet)
#define ENGINE_ADDRESS(F) \
    F(family) F(bytes) F(unused) F(dest)
#define ENGINE_TRUNK(F) \
    F(host) F(fd) F(cookie_sent) F(cookie_expected) F(datagram_bytes) F(unused)
#define ENGINE_CONFIG(F) \
    F(nodes) F(ends) F(dests) F(ports) F(addresses) F(lanes) F(static_routes) F(transit_routes) F(end) F(port) \
    F(address) F(live) F(may_forward) F(lane_of_node) F(host_of_node) F(ipv4) F(ipv6) F(labels) F(knot_t_s) \
    F(knot_delay_s) F(knot_rate_bps) F(knot_loss) F(knot_up) F(ring) F(ring_header_bytes) F(ring_bytes_per_row) \
    F(ring_capacity) F(at_head) F(at_delay_start_s) F(at_delay_end_s) F(at_rate_bps) F(at_loss) F(at_up) \
    F(at_peer) F(at_next_end) F(at_substep_count) F(at_substep_t_s) F(at_substep_delay_s) F(at_substep_rate_bps) \
    F(at_substep_loss) F(at_substep_up) F(substep_knots) F(step_s) F(small_slots) F(large_slots) F(handover_bytes) \
    F(sent) F(received) F(unrouted) F(trunk) F(trunks) F(own_host)
#define ENGINE_LANE_REPORT(F) \
    F(lateness_sum_s) F(lateness_max_s) F(cpu_s) F(slept_s) F(overloaded_s) F(late_engine_s) F(late_scheduler_s) \
    F(late_capture_s) F(now_s) F(late_packets) F(wakeups) F(turns) F(late_rows) F(handed_over) F(late_handovers) \
    F(late_queues) F(pool_small) F(pool_large) F(obeyed) F(turn_max_ns) F(realtime) F(unused) F(lateness)
#define CLOCK_PROBE(F) \
    F(asked_ns) F(answered_ns) F(heard_ns) F(told_ns) F(asker)
#define TRUNK_REPORT(F) \
    F(records_sent) F(records_received) F(queues_sent) F(queues_received) F(peer_sent) F(bytes_sent) \
    F(bytes_received) F(datagrams_sent) F(datagrams_received) F(asked) F(repaired) F(given_up) F(late) \
    F(reordered) F(rejected) F(repeated) F(dropped) F(datagram_bytes) F(fragments) F(heard_s) F(least_rtt_s) \
    F(latency) F(probed) F(probe)
#define ENGINE_ORDER(F) \
    F(kind) F(end) F(set) F(clear) F(taps) F(up) F(rate_bps) F(delay_s) F(loss)
#define ENGINE_DELIVERY(F) \
    F(at_s) F(end) F(node) F(dest) F(hops) F(size) F(bytes) F(offset)
#define ENGINE_HANDOVER(F) \
    F(due_s) F(end) F(node) F(dest) F(hops) F(kind) F(step) F(size) F(bytes)

#endif
