/* What the fuzz targets share: numbers, packets and small networks out of the fuzzer's bytes, and what must hold after
 * every step. A network is sane where Python makes it so; packets are anything.
 */
#ifndef SKYLOOM_FUZZ_DECODE_H
#define SKYLOOM_FUZZ_DECODE_H

#include <stdio.h>
#include <stdlib.h>

#include "core.h"

#define NODES 4
#define LINKS 5
#define ENDS (2 * LINKS)
#define KNOTS 4
#define STEPS 4
#define STEP_S 0.25
#define LABEL 16

typedef struct { const uint8_t *at; size_t left; } reader;

static inline uint32_t get(reader *r)
{
    if (!r->left) return 0;
    r->left--;
    return *r->at++;
}

static inline uint32_t get_wide(reader *r) { return get(r) << 8 | get(r); }

static inline double get_delay(reader *r)
{
    static const double some[] = {0.0, 0.001, 0.01, 0.05, 0.3};
    uint32_t n = get(r);
    return n < 200 ? some[n % 5] : get_wide(r) * 1e-5;
}

static inline double get_rate(reader *r)
{
    static const double some[] = {INFINITY, 0.0, 8e3, 1e6, 1e8};
    uint32_t n = get(r);
    return n < 200 ? some[n % 5] : 1.0 + get_wide(r) * 1e3;
}

static inline double get_share(reader *r)
{
    uint32_t n = get(r);
    return n < 128 ? 0.0 : n < 250 ? (n - 128) / 128.0 : 1.0;
}

static inline double get_bound(reader *r)
{
    uint32_t n = get(r);
    return n < 128 ? INFINITY : n - 128.0;
}

/* ---- packets ---- */

static inline void put_be16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* A packet from one node's address to another's; of `data` as many bytes as it has. With any virtio header. */
static inline uint32_t get_packet(reader *r, uint8_t *data)
{
    uint32_t kind = get(r), bytes;
    if (kind % 8 == 7) { /* anything at all */
        bytes = VIRTIO + get(r) % 120;
        for (uint32_t n = 0; n < bytes; n++) data[n] = (uint8_t)get(r);
        return bytes;
    }
    uint32_t ip = VIRTIO + (kind & 64 ? ETHERNET : 0), from = get(r) % (NODES + 1), to = get(r) % (NODES + 2), ttl = get(r) % 16;
    uint32_t body = get(r) % 4 ? get(r) : get_wide(r) % 20000, header = kind & 1 ? 40 : 20;
    bytes = ip + header + 20 + body;
    memset(data, 0, bytes);
    uint8_t *head = data + ip;
    static const uint8_t protocols[] = {17, 6, 1, 58};
    uint8_t protocol = protocols[kind / 2 % 4];
    if (kind & 1) {
        head[0] = 0x60;
        put_be16(head + 4, 20 + body);
        head[6] = protocol;
        head[7] = (uint8_t)ttl;
        head[8] = head[24] = 0xFD;
        head[23] = (uint8_t)(from + 1);
        head[39] = (uint8_t)(to + 1);
        if (to == NODES + 1) head[24] = 0xFF;
    } else {
        head[0] = 0x45;
        put_be16(head + 2, header + 20 + body);
        head[8] = (uint8_t)ttl;
        head[9] = protocol;
        head[12] = head[16] = 10;
        head[15] = (uint8_t)(from + 1);
        head[19] = (uint8_t)(to + 1);
        if (to == NODES + 1) head[16] = 224;
        uint32_t sum = sum16(head, 20, 0);
        put_be16(head + 10, ~sum);
    }
    uint8_t *transport = head + header;
    transport[0] = protocol == 1 ? 8 : protocol == 58 ? 128 : 0;
    transport[12] = 0x50;
    if (kind & 32) { /* merged */
        uint16_t segment = (uint16_t)(get(r) % 2 ? get(r) : get_wide(r)), start = (uint16_t)(ip + header - VIRTIO);
        uint16_t offset = protocol == 17 ? 6 : 16;
        data[0] = 1;
        data[1] = protocol == 17 ? 5 : kind & 1 ? 4 : 1;
        memcpy(data + 4, &segment, 2);
        memcpy(data + 6, &start, 2);
        memcpy(data + 8, &offset, 2);
    } else if (protocol == 1) {
        put_be16(transport + 2, 0);
        put_be16(transport + 2, ~sum16(transport, 20 + body, 0));
    }
    for (uint32_t wrong = get(r) % 4; wrong == 3; wrong = get(r) % 4) data[get(r) % bytes] = (uint8_t)get(r);
    return bytes;
}

/* ---- networks ---- */

typedef struct {
    int64_t head[2];
    double delay_start_s[ENDS], delay_end_s[ENDS], rate_bps[ENDS], loss[ENDS];
    int32_t peer[ENDS + 2], next_end[NODES][NODES];
    uint8_t up[ENDS + 6];
    int32_t substep_count[2];
    double substep_t_s[2][KNOTS], substep_delay_s[2][KNOTS], substep_rate_bps[2][KNOTS], substep_loss[2][KNOTS];
    uint8_t substep_up[2][KNOTS];
} fuzz_row;

typedef struct {
    engine_config config;
    engine_end end[ENDS];
    engine_port port[ENDS + NODES];
    engine_address address[2 * NODES];
    uint8_t live[NODES], may_forward[NODES], ipv4[4 * NODES], ipv6[16 * NODES], labels[LABEL * ENDS];
    int32_t lane_of_node[NODES];
    double knot_t_s[ENDS * KNOTS], knot_delay_s[ENDS * KNOTS], knot_rate_bps[ENDS * KNOTS], knot_loss[ENDS * KNOTS];
    uint8_t knot_up[ENDS * KNOTS];
    double sent[ENDS * SENT_CELLS], received[3 * ENDS * RECEIVED_CELLS];
    int64_t unrouted[NODES];
    struct { int64_t latest, unused[7]; fuzz_row row[STEPS]; } ring;
} network;

static inline void make_knots(reader *r, network *w, int32_t end)
{
    engine_end *x = &w->end[end];
    x->first_knot = end * KNOTS;
    x->knot_count = 1 + (int32_t)(get(r) % KNOTS);
    double t_s = 0.0;
    for (int32_t n = x->first_knot; n < x->first_knot + x->knot_count; n++) {
        w->knot_t_s[n] = t_s;
        w->knot_delay_s[n] = get_delay(r);
        w->knot_rate_bps[n] = get_rate(r);
        w->knot_loss[n] = get_share(r);
        w->knot_up[n] = get(r) % 8 != 0;
        t_s += get_delay(r);
    }
    x->period_s = get(r) % 2 ? INFINITY : t_s + 0.01;
}

static inline void make_end(reader *r, network *w, int32_t end, int32_t sender, int32_t far, bool rows, bool moving)
{
    engine_end *x = &w->end[end];
    uint32_t flags = get(r);
    *x = (engine_end){.queue_bytes = INFINITY, .queue_packets = INFINITY, .queue_s = INFINITY, .period_s = INFINITY,
                      .sender = sender, .far = far, .first_knot = -1, .substep = -1, .label = (uint32_t)end * LABEL,
                      .label_bytes = LABEL};
    x->flags = (flags & (END_HEAD_DROP | END_HOLD_WHEN_DOWN | END_OVERTAKING | END_BURST_LOSS)) | (moving ? END_MOVING : 0);
    if (flags & 64) x->flags |= END_ETHERNET;
    if (flags & 128) { /* bounds and effects */
        x->queue_bytes = 50 * get_bound(r);
        x->queue_packets = get_bound(r);
        x->queue_s = get_bound(r) / 1000;
        x->jitter_s = get_share(r) / 10;
        x->duplicate = get_share(r) / 4; /* in a circle without delay packets would multiply for long */
        x->corrupt = get_share(r);
        x->good_to_bad = get_share(r);
        x->bad_to_good = get_share(r);
        x->loss_good = get_share(r);
        x->loss_bad = get_share(r);
    } else {
        x->flags &= ~(uint32_t)END_BURST_LOSS;
    }
    if (!rows || (!moving && get(r) % 4 == 0)) make_knots(r, w, end);
}

static inline int32_t sender_now(const network *w, int32_t end, const fuzz_row *row)
{
    return w->end[end].flags & END_MOVING && end % 2 ? row->peer[end - 1] : w->end[end].sender;
}

static inline void make_row(reader *r, network *w, int32_t step)
{
    fuzz_row *row = &w->ring.row[step];
    engine_config *c = &w->config;
    row->head[0] = step;
    for (int32_t end = 0; end < c->ends; end++) {
        row->delay_start_s[end] = get_delay(r);
        row->delay_end_s[end] = get(r) % 2 ? row->delay_start_s[end] : get_delay(r);
        row->rate_bps[end] = get_rate(r);
        row->loss[end] = get_share(r);
        row->up[end] = get(r) % 8 != 0;
        row->peer[end] = w->end[end].far;
        if (w->end[end].flags & END_MOVING && end % 2 == 0) row->peer[end] = (int32_t)(get(r) % (uint32_t)c->nodes);
        if (row->peer[end] == w->end[end].sender) row->peer[end] = -1; /* out of coverage */
    }
    for (int32_t dest = 0; dest < c->dests; dest++)
        for (int32_t node = 0; node < c->nodes; node++) {
            int32_t end = (int32_t)(get(r) % (uint32_t)c->ends);
            row->next_end[dest][node] = sender_now(w, end, row) == node ? end : -1;
            for (int32_t n = 0; n < c->ends && row->next_end[dest][node] < 0; n++)
                if (sender_now(w, n, row) == node) row->next_end[dest][node] = n;
        }
    for (int place = 0; place < 2; place++) {
        row->substep_count[place] = get(r) % 2 ? KNOTS : 0;
        for (int n = 0; n < KNOTS; n++) {
            row->substep_t_s[place][n] = (step + n / 3.0) * STEP_S;
            row->substep_delay_s[place][n] = get_delay(r);
            row->substep_rate_bps[place][n] = get_rate(r);
            row->substep_loss[place][n] = get_share(r);
            row->substep_up[place][n] = get(r) % 8 != 0;
        }
    }
}

static inline void make_nodes(reader *r, network *w)
{
    engine_config *c = &w->config;
    for (int32_t node = 0; node < c->nodes; node++) {
        w->live[node] = node == 0 || node == c->nodes - 1 || get(r) % 4 == 0;
        w->may_forward[node] = get(r) % 4 != 0;
        w->lane_of_node[node] = (int32_t)(get(r) % (uint32_t)c->lanes);
        w->ipv4[4 * node] = 10;
        w->ipv4[4 * node + 3] = (uint8_t)(node + 1);
        w->ipv6[16 * node] = 0xFD;
        w->ipv6[16 * node + 15] = (uint8_t)(node + 1);
        c->dests += w->live[node];
    }
    for (int32_t node = 0, dest = 0; node < c->nodes; node++) {
        int32_t place = w->live[node] ? dest++ : c->dests + node;
        engine_address four = {.family = 4, .dest = place}, six = {.family = 6, .dest = place};
        memcpy(four.bytes, w->ipv4 + 4 * node, 4);
        memcpy(six.bytes, w->ipv6 + 16 * node, 16);
        w->address[c->addresses++] = four;
        w->address[c->addresses++] = six;
    }
}

static inline void make_ports(network *w)
{
    engine_config *c = &w->config;
    for (int32_t end = 0; end < c->ends; end++) {
        bool moving = w->end[end].flags & END_MOVING;
        if (w->live[w->end[end].sender] && !(moving && end % 2))
            w->port[c->ports++] = (engine_port){-1, w->end[end].sender, end, (w->end[end].flags & END_ETHERNET) != 0};
    }
    for (int32_t node = 0; node < c->nodes; node++) /* shared downlinks, for whoever a moving link leads to */
        if (w->live[node]) w->port[c->ports++] = (engine_port){-1, node, -1, 0};
}

/* A network of 2 to 4 nodes; with `rows` its links follow a schedule and may move, and it has up to three lanes. */
static inline void make_network(reader *r, network *w, bool rows)
{
    memset(w, 0, sizeof *w);
    engine_config *c = &w->config;
    c->nodes = 2 + (int32_t)(get(r) % 3);
    c->lanes = 1 + (int32_t)(get(r) % 3);
    int32_t links = 1 + (int32_t)(get(r) % LINKS);
    c->ends = 2 * links;
    make_nodes(r, w);
    for (size_t n = 0; n < sizeof w->labels; n++) w->labels[n] = (uint8_t)('a' + n % 26);
    for (int32_t link = 0; link < links; link++) {
        uint32_t said = get(r);
        int32_t a = (int32_t)(said % (uint32_t)c->nodes), b = (a + 1 + (int32_t)(said / 8 % (uint32_t)(c->nodes - 1))) % c->nodes;
        bool moving = rows && said >= 192;
        make_end(r, w, 2 * link, a, b, rows, moving);
        make_end(r, w, 2 * link + 1, b, a, rows, moving);
        w->end[2 * link + 1].flags = (w->end[2 * link + 1].flags & ~(uint32_t)END_ETHERNET) | (w->end[2 * link].flags & END_ETHERNET);
    }
    if (rows) {
        w->end[0].substep = w->end[0].first_knot < 0 && get(r) % 2 ? 0 : -1;
        w->end[1].substep = w->end[1].first_knot < 0 && get(r) % 2 ? 1 : -1;
        for (int32_t step = 0; step < STEPS; step++) make_row(r, w, step);
        w->ring.latest = STEPS - 1;
        c->ring = (const uint8_t *)&w->ring;
        c->ring_header_bytes = (int64_t)((const uint8_t *)w->ring.row - c->ring);
        c->ring_bytes_per_row = sizeof(fuzz_row);
        c->ring_capacity = STEPS;
        c->static_routes = get(r) % 4 == 0;
        c->transit_routes = (int32_t)(get(r) % 3);
#define COLUMN(name) c->at_##name = (int64_t)offsetof(fuzz_row, name)
        COLUMN(head), COLUMN(delay_start_s), COLUMN(delay_end_s), COLUMN(rate_bps), COLUMN(loss), COLUMN(up), COLUMN(peer);
        COLUMN(substep_count), COLUMN(substep_t_s), COLUMN(substep_delay_s), COLUMN(substep_rate_bps), COLUMN(substep_loss), COLUMN(substep_up);
#undef COLUMN
        c->at_next_end = (int64_t)offsetof(fuzz_row, next_end);
        c->substep_knots = KNOTS;
        c->step_s = STEP_S;
        for (int32_t step = 0; step < STEPS; step++) { /* a table of dests x nodes lies closely packed */
            int32_t packed[NODES * NODES];
            for (int32_t n = 0; n < c->dests * c->nodes; n++) packed[n] = w->ring.row[step].next_end[n / c->nodes][n % c->nodes];
            memcpy(w->ring.row[step].next_end, packed, sizeof(int32_t) * (size_t)(c->dests * c->nodes));
        }
    } else {
        c->step_s = INFINITY;
    }
    make_ports(w);
    c->end = w->end, c->port = w->port, c->address = w->address, c->live = w->live, c->may_forward = w->may_forward;
    c->lane_of_node = w->lane_of_node, c->ipv4 = w->ipv4, c->ipv6 = w->ipv6, c->labels = w->labels;
    c->knot_t_s = w->knot_t_s, c->knot_delay_s = w->knot_delay_s, c->knot_rate_bps = w->knot_rate_bps;
    c->knot_loss = w->knot_loss, c->knot_up = w->knot_up;
    c->sent = w->sent, c->received = w->received, c->unrouted = w->unrouted;
    c->small_slots = 8 + 8 * (get(r) % 16);
    c->large_slots = 1 + get(r) % 8;
    c->handover_bytes = 4 * LARGE_BYTES;
}

/* ---- what must hold ---- */

static inline void demand(bool holds, const char *what, int32_t end)
{
    if (holds) return;
    fprintf(stderr, "link end %d: %s\n", end, what);
    abort();
}

/* Packets sent and copies made are delivered, dropped with a cause, or inside; and every slot that is taken holds one
 * of those inside or one that waits at a port. */
static inline void check_conservation(engine *e)
{
    const engine_config *c = &e->config;
    uint64_t inside = 0, held = 0;
    for (int32_t end = 0; end < c->ends; end++) {
        /* Looking inside takes in what other lanes have handed over, so counters come afterwards. */
        int64_t here = engine_inside(e, end, 0, NULL, 0, NULL, 0) + engine_inside(e, end, 1, NULL, 0, NULL, 0);
        const double *s = sent_cells(e, end);
        double out = s[SENT_DROP_QUEUE] + s[SENT_DROP_LOSS] + s[SENT_DROP_OUTAGE] + s[SENT_DROP_OVERLOAD];
        for (int n = 0; n < c->lanes; n++) {
            const double *got = c->received + ((size_t)n * (size_t)c->ends + (size_t)end) * RECEIVED_CELLS;
            out += got[RECEIVED_PACKETS] + got[RECEIVED_DROP_REFUSED] + got[RECEIVED_DROP_NOROUTE] + got[RECEIVED_DROP_TTL];
            demand(got[RECEIVED_PACKETS] >= 0 && got[RECEIVED_BYTES] >= 0, "a counter of deliveries is negative", end);
        }
        demand(s[SENT_PACKETS] + s[SENT_DUPLICATED] == out + (double)here, "packets have vanished or appeared", end);
        inside += (uint64_t)here;
        double waiting = 0.0;
        lane *l = &e->lanes[e->sent_lane[end]];
        const list *queue = &e->sent[end].queue;
        for (uint32_t n = queue->head; n != NONE; n = pool_at(&l->pool, n)->next)
            if (n != queue->head) waiting += pool_at(&l->pool, n)->size;
        demand(waiting == (queue->head == NONE ? 0.0 : e->sent[end].queued_bytes), "the account of waiting bytes is wrong", end);
    }
    for (int n = 0; n < c->lanes; n++) {
        inside += e->lanes[n].out.count;
        held += pool_held(&e->lanes[n].pool, false) + pool_held(&e->lanes[n].pool, true);
    }
    demand(inside == held, "slots are lost, or have two owners", -1);
}

static inline void take_all(engine *e)
{
    static uint8_t bytes[4 * LARGE_BYTES];
    engine_delivery got[64];
    double last_s = -INFINITY;
    for (int64_t count; (count = engine_take(e, got, 64, bytes, sizeof bytes)) > 0;)
        for (int64_t n = 0; n < count; n++) {
            demand(got[n].at_s >= last_s, "deliveries are not in order", got[n].end);
            demand(e->config.live[got[n].node], "a delivery at a transit node", got[n].end);
            last_s = got[n].at_s;
        }
}

#endif
