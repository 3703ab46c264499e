/* Packets at transit nodes: on by the routes of the step in which they came, or answered as a router would.
 *
 * Invariant: the hop is charged where the packet leaves (sending half), checked here. A node answers no more often than
 * its allowance, and an answer travels like any other packet.
 */
#include <stdlib.h>

#include "core.h"

static uint32_t hash_of(const uint8_t *address, int family)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (int n = 0; n < (family == 4 ? 4 : 16); n++) hash = (hash ^ address[n]) * 16777619u;
    return hash ^ hash >> 15;
}

static int32_t look_up(const engine *e, const uint8_t *address, int family)
{
    for (uint32_t at = hash_of(address, family) & e->hash_mask;; at = (at + 1) & e->hash_mask) {
        uint32_t place = e->hash[at];
        if (place == NONE) return NOWHERE;
        const engine_address *a = &e->config.address[place];
        if (a->family == family && !memcmp(a->bytes, address, family == 4 ? 4 : 16)) return a->dest;
    }
}

bool hash_open(engine *e)
{
    uint32_t size = 16;
    while (size < 2 * (uint32_t)e->config.addresses + 1) size *= 2;
    e->hash_mask = size - 1;
    e->hash = malloc(size * sizeof *e->hash);
    if (!e->hash) return false;
    for (uint32_t n = 0; n < size; n++) e->hash[n] = NONE;
    for (int32_t place = 0; place < e->config.addresses; place++) {
        const engine_address *a = &e->config.address[place];
        uint32_t at = hash_of(a->bytes, a->family) & e->hash_mask;
        while (e->hash[at] != NONE) at = (at + 1) & e->hash_mask;
        e->hash[at] = (uint32_t)place;
    }
    return true;
}

int32_t destination_of(const engine *e, const uint8_t *data, uint32_t bytes)
{
    int family;
    const uint8_t *address = packet_destination(data, bytes, &family);
    return address ? look_up(e, address, family) : NOWHERE;
}

/* Whether the end of a moving link leaves this node in the playing step: routes that hold for the whole run may name a
 * link that has moved on since. */
static bool sends_on(lane *l, int32_t end, int32_t node)
{
    if (end % 2 == 0 || !flag(l->e, end, END_MOVING)) return true;
    holds h;
    schedule_at(l, end - 1, step_begin_s(l->e, l->rows.routes_step), &h);
    return h.peer == node;
}

/* The end on which routes of one whole row send; -1: none. A lane that is so late that its row has gone takes the
 * newest one. */
static int32_t routes_at(lane *l, int64_t place)
{
    rows *r = &l->rows;
    for (;;) {
        int32_t end = r->routes ? r->routes[place] : -1;
        if (!r->routes_head) return end;
        atomic_thread_fence(memory_order_acquire);
        if (shown(r->routes_head) == r->routes_step) return end;
        routes_move(l, step_begin_s(l->e, r->routes_step));
    }
}

int32_t route(lane *l, int32_t dest, int32_t node)
{
    const engine_config *c = &l->e->config;
    if (dest < 0) return -1;
    if (dest >= c->dests) return tree_route(l, dest - c->dests, node);
    int32_t end = routes_at(l, (int64_t)dest * c->nodes + node);
    if (end >= c->ends) return -1;
    return end >= 0 && c->static_routes && !sends_on(l, end, node) ? -1 : end;
}

/* Sends on what a node says itself. */
static void answer(lane *l, int32_t node, int32_t dest, const uint8_t *data, uint32_t bytes, double t_s)
{
    int32_t end = route(l, dest, node);
    /* Where rows are late a lane's routes may name an end that another lane sends on by now. */
    uint32_t number = end < 0 || l->e->sent_lane[end] != l->index ? NONE : pool_take(&l->pool, bytes);
    if (number == NONE) return;
    packet *q = pool_at(&l->pool, number);
    memcpy(q->data, data, bytes);
    q->bytes = bytes;
    q->size = bytes - VIRTIO;
    q->merged = 0;
    q->dest = dest;
    q->node = -1;
    q->hops = packet_hop_limit(data, bytes) + 1; /* its own node charges a hop too */
    sending_offer(l, end, number, t_s);
}

/* A packet goes no further: its hop limit is used up, or the node has no route for it. */
static void refuse(lane *l, int32_t end, uint32_t number)
{
    const engine *e = l->e;
    packet *q = pool_at(&l->pool, number);
    int family;
    const uint8_t *address = packet_destination(q->data, q->bytes, &family);
    if (!address || address_is_group(address, family)) { /* router solicitations and their like: the node heard them */
        pool_give(&l->pool, number);
        return;
    }
    bool expired = q->hops <= 1;
    double *cells = received_cells(l, end);
    cells[RECEIVED_PACKETS] -= 1.0;
    cells[RECEIVED_BYTES] -= q->size;
    cells[expired ? RECEIVED_DROP_TTL : RECEIVED_DROP_NOROUTE] += 1.0;
    tap_packet(l, taps_of(l, end), end, expired ? CAUSE_TTL : CAUSE_NOROUTE, q->at_s, q);
    const uint8_t *asker = packet_source(q->data, q->bytes, &family);
    int32_t dest = asker ? look_up(e, asker, family) : NOWHERE;
    static const uint8_t nothing[16];
    const uint8_t *own = family == 4 ? e->config.ipv4 + 4 * (int64_t)q->node : e->config.ipv6 + 16 * (int64_t)q->node;
    if (route(l, dest, q->node) >= 0 && memcmp(own, nothing, family == 4 ? 4 : 16) &&
        allowance_take(&l->allowances[q->node], q->at_s)) {
        uint32_t bytes = icmp_error(q->data, q->bytes, own, family, expired, q->hops, l->scratch);
        if (bytes) answer(l, q->node, dest, l->scratch, bytes, q->at_s);
    }
    pool_give(&l->pool, number);
}

/* A packet for the transit node itself: it answers pings, and hears everything else. */
static void arrive(lane *l, uint32_t number)
{
    packet *q = pool_at(&l->pool, number);
    int family;
    const uint8_t *asker = packet_source(q->data, q->bytes, &family);
    uint32_t bytes = asker ? icmp_echo_reply(q->data, q->bytes, l->scratch) : 0;
    if (bytes) answer(l, q->node, look_up(l->e, asker, family), l->scratch, bytes, q->at_s);
    pool_give(&l->pool, number);
}

void forward(lane *l, int32_t end, uint32_t number)
{
    packet *q = pool_at(&l->pool, number);
    const engine *e = l->e;
    if (q->at_s >= l->rows.stop_s) routes_move(l, q->at_s);
    if (q->dest == UNKNOWN) { /* it comes from a kernel */
        q->dest = destination_of(e, q->data, q->bytes);
        q->hops = packet_hop_limit(q->data, q->bytes);
    }
    if (q->dest >= e->config.dests && q->dest - e->config.dests == q->node) {
        arrive(l, number);
        return;
    }
    int32_t next = route(l, q->dest, q->node);
    if (next < 0 || q->hops <= 1 || e->sent_lane[next] != l->index)
        refuse(l, end, number);
    else
        sending_offer(l, next, number, q->at_s);
}
