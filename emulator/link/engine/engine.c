/* The engine as a whole: its making, its orders, and play in memory, where time is what the caller says.
 *
 * Invariant: play in memory gives the same results for any number of lanes, with threads or without.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core.h"

/* ---- making ---- */

static const char *wrong_hosts(const engine_config *c)
{
    bool known[HOSTS] = {false};
    if (c->trunks < 0 || c->trunks >= HOSTS) return "trunks: expected 0 to 63";
    if (c->trunks && (!c->host_of_node || c->own_host < 0 || c->own_host >= HOSTS)) return "the hosts of nodes are not told";
    for (int n = 0; n < c->trunks; n++) {
        const engine_trunk *t = &c->trunk[n];
        if (t->host < 0 || t->host >= HOSTS || t->host == c->own_host || known[t->host]) return "a trunk leads to no other host";
        if (t->datagram_bytes < TRUNK_LEAST_BYTES || t->datagram_bytes > TRUNK_MOST_BYTES) return "datagrams: expected 1,232 to 8,972 bytes";
        known[t->host] = true;
    }
    if (!c->trunks) return NULL;
    for (int32_t n = 0; n < c->nodes; n++)
        if (c->host_of_node[n] != c->own_host && (c->host_of_node[n] >= HOSTS || !known[c->host_of_node[n]])) return "no trunk leads to a node's host";
    for (int32_t n = 0; n < c->ports; n++)
        if (c->host_of_node[c->port[n].node] != c->own_host) return "a port belongs to a node of another host";
    return NULL;
}

static const char *wrong(const engine_config *c)
{
    if (c->nodes < 0 || c->ends < 0 || c->dests < 0 || c->ports < 0 || c->addresses < 0) return "a count is negative";
    if (c->lanes < 1 || c->lanes > 64) return "lanes: expected 1 to 64";
    if (c->small_slots < 1 || c->large_slots < 1 || c->small_slots + c->large_slots > INT32_MAX) return "slots: expected 1 or more";
    if (c->lanes > 1 && c->handover_bytes < 4 * (int64_t)LARGE_BYTES) return "handover_bytes: expected four large packets";
    if (c->ring && (!(c->step_s > 0.0) || c->ring_capacity < 1)) return "the rows have no step or no room";
    for (int32_t end = 0; end < c->ends; end++) {
        const engine_end *x = &c->end[end];
        if (x->sender < 0 || x->sender >= c->nodes || x->far < 0 || x->far >= c->nodes) return "an end names no node";
        if (x->first_knot < 0 && !c->ring) return "an end has neither knots nor rows";
        if (x->first_knot >= 0 && x->knot_count < 1) return "an end has no knots";
        if (x->label_bytes > 1000) return "the name of an end is longer than 1,000 bytes";
    }
    for (int32_t n = 0; n < c->nodes; n++)
        if (c->lane_of_node[n] < 0 || c->lane_of_node[n] >= c->lanes) return "a node is in no lane";
    for (int32_t n = 0; n < c->ports; n++)
        if (c->port[n].node < 0 || c->port[n].node >= c->nodes || c->port[n].end >= c->ends) return "a port names no node or end";
    return wrong_hosts(c);
}

static bool place_ports(engine *e)
{
    const engine_config *c = &e->config;
    e->port_of_end = malloc(((size_t)c->ends + 1) * sizeof(int32_t));
    e->shared_port = malloc(((size_t)c->nodes + 1) * sizeof(int32_t));
    e->is_unread = calloc((size_t)c->ports + 1, sizeof(bool));
    if (!e->port_of_end || !e->shared_port || !e->is_unread) return false;
    for (int32_t n = 0; n < c->ends; n++) e->port_of_end[n] = -1;
    for (int32_t n = 0; n < c->nodes; n++) e->shared_port[n] = -1;
    for (int32_t n = 0; n < c->ports; n++) {
        if (c->port[n].end >= 0) e->port_of_end[c->port[n].end] = n;
        else e->shared_port[c->port[n].node] = n;
        if (c->port[n].fd >= 0) e->realtime = true;
    }
    return true;
}

/* Which ends lead to ports, and which leave transit nodes: the first are met to the microsecond, the others hide a
 * little lateness of the packets that come to their nodes. */
static bool sort_ends(engine *e)
{
    const engine_config *c = &e->config;
    bool *uplink = calloc((size_t)c->nodes + 1, 1); /* nodes that moving links belong to */
    e->exact = calloc((size_t)c->ends + 1, 1);
    e->leaves_transit = malloc(((size_t)c->ends + 1) * sizeof(int32_t));
    if (!uplink || !e->exact || !e->leaves_transit) {
        free(uplink);
        return false;
    }
    bool hosted = false; /* a moving link may lead to a node with a port */
    for (int32_t end = 0; end < c->ends; end += 2) {
        if (!(c->end[end].flags & END_MOVING)) continue;
        e->mobile = true;
        uplink[c->end[end].sender] = true;
    }
    for (int32_t n = 0; n < c->nodes; n++) hosted = hosted || (c->live[n] && !uplink[n]);
    e->knots_shortest_s = INFINITY;
    for (int32_t end = 0; end < c->ends; end++) {
        const engine_end *x = &c->end[end];
        bool moving = x->flags & END_MOVING, forward_end = end % 2 == 0;
        bool to_port = !(moving && forward_end) && e->port_of_end[end ^ 1] >= 0;
        e->exact[end] = to_port || (moving && hosted) || x->flags & END_OVERTAKING;
        if (moving && !forward_end ? false : c->live[x->sender]) continue;
        e->leaves_transit[e->leaves_transit_count++] = end;
        for (int32_t k = 0; x->first_knot >= 0 && k < x->knot_count; k++)
            if (c->knot_delay_s[x->first_knot + k] < e->knots_shortest_s) e->knots_shortest_s = c->knot_delay_s[x->first_knot + k];
    }
    free(uplink);
    return true;
}

/* A window of play in memory asks these ends for their delay, and may be as short as a millisecond. */
static bool find_crossing(engine *e)
{
    const engine_config *c = &e->config;
    e->crossing = malloc(((size_t)c->ends + 1) * sizeof(int32_t));
    if (!e->crossing) return false;
    for (int32_t end = 0; end < c->ends; end++) {
        const engine_end *x = &c->end[end];
        if (x->flags & END_MOVING || e->lane_of_node[x->sender] != e->lane_of_node[x->far])
            e->crossing[e->crossing_count++] = end;
    }
    return true;
}

static bool place_nodes(engine *e)
{
    const engine_config *c = &e->config;
    e->lane_of_node = malloc(((size_t)c->nodes + 1) * sizeof(int32_t));
    for (int32_t n = 0; e->lane_of_node && n < c->nodes; n++)
        e->lane_of_node[n] = c->trunks && c->host_of_node[n] != c->own_host ? AWAY(c->host_of_node[n]) : c->lane_of_node[n];
    return e->lane_of_node;
}

static bool open_all(engine *e)
{
    const engine_config *c = &e->config;
    e->order_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    e->sent = aligned_alloc(64, ((size_t)c->ends + 1) * sizeof *e->sent / 64 * 64 + 64);
    e->sent_lane = malloc(((size_t)c->ends + 1) * sizeof *e->sent_lane);
    e->lanes = calloc((size_t)c->lanes, sizeof *e->lanes);
    if (e->order_fd < 0 || !e->sent || !e->sent_lane || !e->lanes) return false;
    if (!place_nodes(e) || !place_ports(e) || !sort_ends(e) || !find_crossing(e) || !hash_open(e) || !trunks_open(e)) return false;
    e->meets = e->mobile && c->ring && (c->lanes > 1 || e->trunks);
    for (int32_t end = 0; end < c->ends; end++) {
        sending_open(e, end);
        e->sent_lane[end] = e->lane_of_node[c->end[end].sender];
    }
    for (int n = 0; n < c->lanes; n++)
        if (!lane_open(e, &e->lanes[n], n)) return false;
    atomic_init(&e->met_step, -1);
    return true;
}

engine *engine_create(const engine_config *config, char *why, size_t room)
{
    const char *reason = wrong(config);
    engine *e = reason ? NULL : calloc(1, sizeof *e);
    if (e) {
        e->config = *config;
        e->order_fd = -1;
        if (open_all(e)) return e;
        engine_destroy(e);
    }
    if (room) snprintf(why, room, "%s", reason ? reason : "there is not enough memory");
    return NULL;
}

void engine_destroy(engine *e)
{
    if (!e) return;
    for (int n = 0; e->lanes && n < e->config.lanes; n++) if (e->lanes[n].e) lane_close(&e->lanes[n]);
    for (int32_t end = 0; e->sent && end < e->config.ends; end++) {
        chain *c = e->sent[end].chain;
        for (int n = 0; c && n < STREAMS; n++) free(c->of[n]);
        free(c);
    }
    if (e->order_fd >= 0) close(e->order_fd);
    trunks_close(e);
    free(e->lane_of_node);
    free(e->lanes);
    free(e->sent);
    free(e->sent_lane);
    free(e->exact);
    free(e->leaves_transit);
    free(e->crossing);
    free(e->port_of_end);
    free(e->shared_port);
    free(e->is_unread);
    free(e->hash);
    free(e);
}

engine_lane_report *engine_report(engine *e, int index) { return &e->lanes[index].report; }

int64_t engine_turn_max_ns(engine *e, int index) { return atomic_exchange(&e->lanes[index].turn_max_ns, 0); }

/* ---- orders from another thread ---- */

int64_t engine_send(engine *e, const engine_order *order)
{
    int64_t number = 0;
    for (int n = 0; n < e->config.lanes; n++) {
        lane *l = &e->lanes[n];
        if (atomic_load(&l->ordered) - atomic_load(&l->obeyed) >= ORDERS) return 0;
    }
    for (int n = 0; n < e->config.lanes; n++) {
        lane *l = &e->lanes[n];
        int64_t ordered = atomic_load_explicit(&l->ordered, memory_order_relaxed);
        l->orders[ordered % ORDERS] = *order;
        atomic_store_explicit(&l->ordered, ordered + 1, memory_order_release);
        number = ordered + 1;
        eventfd_write(l->wake_fd, 1);
    }
    return number;
}

int64_t engine_obeyed(engine *e)
{
    int64_t least = INT64_MAX;
    for (int n = 0; n < e->config.lanes; n++) {
        int64_t obeyed = atomic_load(&e->lanes[n].obeyed);
        if (obeyed < least) least = obeyed;
    }
    return least;
}

int engine_order_fd(engine *e) { return e->order_fd; }

void engine_gate(engine *e, int shut) { atomic_store(&e->gate, shut); }

/* ---- in memory ---- */

int engine_offer(engine *e, int32_t end, double t_s, const uint8_t *data, uint32_t bytes, uint32_t size, int32_t dest,
                 int32_t hops)
{
    if (end < 0 || end >= e->config.ends || bytes < VIRTIO || e->sent_lane[end] < 0) return 0;
    lane *l = &e->lanes[e->sent_lane[end]];
    uint32_t number = pool_take(&l->pool, bytes);
    if (number == NONE) {
        sent_cells(e, end)[SENT_PACKETS] += 1.0;
        sent_cells(e, end)[SENT_DROP_OVERLOAD] += 1.0;
        return 0;
    }
    packet *q = pool_at(&l->pool, number);
    memcpy(q->data, data, bytes);
    q->bytes = bytes;
    q->size = size;
    q->merged = data[1] != 0;
    q->dest = dest;
    q->hops = hops;
    q->node = -1;
    sending_offer(l, end, number, t_s);
    return 1;
}

void engine_obey(engine *e, const engine_order *order, double t_s)
{
    for (int n = 0; n < e->config.lanes; n++) lane_obey(&e->lanes[n], order, t_s);
}

static double next_of_all_s(engine *e)
{
    double next_s = INFINITY;
    for (int n = 0; n < e->config.lanes; n++) {
        handovers_take(&e->lanes[n]);
        double at_s = wheel_next_s(&e->lanes[n].wheel);
        if (at_s < next_s) next_s = at_s;
    }
    return next_s;
}

double engine_next_s(engine *e) { return next_of_all_s(e); }

/* The shortest delay that any end which crosses lanes asks at t_s or later in the step: nothing that leaves from now on
 * is due in another lane sooner. */
static double shortest_crossing_s(engine *e, double t_s)
{
    const engine_config *c = &e->config;
    double shortest_s = INFINITY;
    for (int32_t n = 0; n < e->crossing_count; n++) {
        holds h;
        int32_t end = e->crossing[n];
        if (e->sent_lane[end] < 0) continue; /* another host looks after it */
        lane *l = &e->lanes[e->sent_lane[end]];
        const engine_end *x = &c->end[end];
        schedule_at(l, end, t_s, &h);
        double delay_s = h.delay_start_s < h.delay_end_s ? h.delay_start_s : h.delay_end_s;
        if (x->first_knot >= 0)
            for (int32_t k = 0; k < x->knot_count; k++)
                if (c->knot_delay_s[x->first_knot + k] < delay_s) delay_s = c->knot_delay_s[x->first_knot + k];
        if (c->ring && x->substep >= 0) delay_s = 0.0; /* substep tables change within the step */
        const override *o = l->overrides[end];
        if (o && o->given & VALUE_DELAY) delay_s = o->delay_s;
        if (h.peer >= 0 && delay_s < shortest_s) shortest_s = delay_s;
    }
    return shortest_s;
}

typedef struct { double until_s; bool before; } window;

typedef struct {
    engine *e;
    pthread_t thread;
    int lane;
    window *window;
    _Atomic int64_t *begun;   /* number of the window that plays; -1: the end */
    _Atomic int32_t *playing; /* lanes that have not finished it */
    _Atomic int32_t *awake;   /* threads that may still touch their lane: once there are none, all lanes are the caller's */
} player;

/* The lane's part of a window. Takes handovers until all lanes have finished, so that nobody waits for room in vain. */
static void play_window(lane *l, const window *w, _Atomic int32_t *playing)
{
    while (lane_play(l, w->until_s, w->before, 256) == 256) handovers_take(l);
    atomic_fetch_sub_explicit(playing, 1, memory_order_acq_rel);
    while (atomic_load_explicit(playing, memory_order_acquire))
        if (!handovers_take(l)) sched_yield();
}

static void *player_run(void *given)
{
    player *p = given;
    int64_t done = 0;
    for (;;) {
        int64_t begun;
        while ((begun = atomic_load_explicit(p->begun, memory_order_acquire)) == done) sched_yield();
        if (begun < 0) return NULL;
        play_window(&p->e->lanes[p->lane], p->window, p->playing);
        done = begun;
        atomic_fetch_sub_explicit(p->awake, 1, memory_order_acq_rel);
    }
}

/* The next window: up to the first thing that a packet of another lane may change, or the begin of a step. */
static bool next_window(engine *e, double until_s, window *w)
{
    const engine_config *c = &e->config;
    double next_s = next_of_all_s(e), begin_s = INFINITY;
    if (e->meets) {
        int64_t step = atomic_load(&e->met_step) + 1;
        begin_s = step ? step_begin_s(e, step) : -INFINITY;
        if (begin_s <= until_s && begin_s <= next_s) {
            step_change(e, step);
            atomic_store(&e->met_step, step);
            return next_window(e, until_s, w);
        }
    }
    if (!(next_s <= until_s)) return false;
    double ahead_s = shortest_crossing_s(e, next_s);
    *w = (window){next_s + ahead_s, true};
    if (c->ring) { /* the delays that were asked are those of one step */
        double end_s = (floor(next_s / c->step_s) + 1.0) * c->step_s;
        if (end_s > next_s && end_s < begin_s) begin_s = end_s;
    }
    if (begin_s < w->until_s) w->until_s = begin_s;
    if (w->until_s > until_s) *w = (window){until_s, false};
    if (w->before && w->until_s <= next_s) *w = (window){next_s, false}; /* no delay between lanes: see below */
    return true;
}

/* Plays the earliest timer of all lanes: how lanes without a delay between them keep the order. */
static void play_one(engine *e)
{
    lane *first = NULL;
    double first_s = INFINITY, at_s = INFINITY;
    uint32_t first_id = NONE;
    for (int n = 0; n < e->config.lanes; n++) {
        uint32_t id = wheel_first(&e->lanes[n].wheel, &at_s);
        if (id == NONE || at_s > first_s || (at_s == first_s && id > first_id)) continue;
        first_s = at_s;
        first_id = id;
        first = &e->lanes[n];
    }
    if (first) lane_play(first, first_s, false, 1);
}

void engine_play(engine *e, double until_s, int threads)
{
    int lanes = e->config.lanes;
    trunks_begin(&e->lanes[0]);
    if (lanes == 1 && !e->meets) {
        lane_play(&e->lanes[0], until_s, false, UINT64_MAX);
        return;
    }
    window w = {0};
    player players[64];
    _Atomic int64_t begun = 0;
    _Atomic int32_t playing = 0, awake = 0;
    int started = 1;
    e->threaded = threads != 0;
    for (; threads && started < lanes; started++) {
        players[started] = (player){e, 0, started, &w, &begun, &playing, &awake};
        if (pthread_create(&players[started].thread, NULL, player_run, &players[started])) break;
    }
    if (started < lanes) e->threaded = false;
    for (int64_t number = 1; next_window(e, until_s, &w); number++) {
        if (!w.before && w.until_s < until_s) {
            play_one(e);
            number--;
            continue;
        }
        if (!e->threaded) {
            for (int n = 0; n < lanes; n++) lane_play(&e->lanes[n], w.until_s, w.before, UINT64_MAX);
            continue;
        }
        atomic_store(&playing, lanes);
        atomic_store(&awake, lanes - 1);
        atomic_store_explicit(&begun, number, memory_order_release);
        play_window(&e->lanes[0], &w, &playing);
        while (atomic_load_explicit(&awake, memory_order_acquire)) sched_yield();
    }
    atomic_store(&begun, -1);
    for (int n = 1; n < started && threads; n++) pthread_join(players[n].thread, NULL);
    e->threaded = false;
}

static void tell(const packet *q, int32_t end, uint64_t offset, engine_delivery *out, uint8_t *bytes)
{
    *out = (engine_delivery){q->at_s, end, q->node, q->dest, q->hops, q->size, q->bytes, offset};
    memcpy(bytes + offset, q->data, q->bytes);
}

int64_t engine_take(engine *e, engine_delivery *out, int64_t most, uint8_t *bytes, uint64_t room)
{
    int64_t count = 0;
    uint64_t used = 0;
    while (count < most) {
        lane *first = NULL;
        const packet *earliest = NULL;
        for (int n = 0; n < e->config.lanes; n++) {
            lane *l = &e->lanes[n];
            const packet *q = l->out.head == NONE ? NULL : pool_at(&l->pool, l->out.head);
            if (q && (!earliest || q->at_s < earliest->at_s || (q->at_s == earliest->at_s && q->end < earliest->end))) {
                earliest = q;
                first = l;
            }
        }
        if (!first || used + earliest->bytes > room) break;
        tell(earliest, earliest->end, used, &out[count++], bytes);
        used += earliest->bytes;
        pool_give(&first->pool, list_remove(&first->out, &first->pool, first->out.head));
    }
    return count;
}

int64_t engine_inside(engine *e, int32_t end, int half, engine_delivery *out, int64_t most, uint8_t *bytes, uint64_t room)
{
    int64_t count = 0;
    uint64_t used = 0;
    for (int n = 0; n < e->config.lanes; n++) {
        lane *l = &e->lanes[n];
        if (!half && n != e->sent_lane[end]) continue;
        handovers_take(l);
        const list *all = half ? &l->received[end].flight : &e->sent[end].queue;
        for (uint32_t number = all->head; number != NONE; number = pool_at(&l->pool, number)->next, count++) {
            const packet *q = pool_at(&l->pool, number);
            if (count >= most || used + q->bytes > room) continue;
            tell(q, end, used, &out[count], bytes);
            used += q->bytes;
        }
    }
    return count;
}

void engine_holds(engine *e, int32_t end, double t_s, double out[10])
{
    holds h;
    schedule_at(&e->lanes[0], end, t_s, &h);
    double values[10] = {h.start_s, h.stop_s, h.delay_start_s, h.delay_end_s, h.rate_bps, h.loss, h.up, h.peer, h.until_s,
                         h.ttl_cost};
    memcpy(out, values, sizeof values);
}
