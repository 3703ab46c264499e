/* The receiving half of a link end: packets in flight, and their delivery at the far node when they are due.
 *
 * Invariant: packets come out in the order of their due times, those of one time in the order in which they left.
 */
#include "core.h"

/* Puts the packet behind `before` (NONE: first). */
static void put(lane *l, int32_t end, uint32_t before, uint32_t number)
{
    double at_s = pool_at(&l->pool, number)->at_s;
    list_insert_after(&l->received[end].flight, &l->pool, before, number);
    bool at_once = end == l->playing_end && at_s <= l->playing_s; /* its delivery is the next thing that happens */
    if (before == NONE && !at_once) wheel_set(&l->wheel, receiving_id(end), at_s);
}

void receiving_add(lane *l, int32_t end, uint32_t number)
{
    double at_s = pool_at(&l->pool, number)->at_s;
    uint32_t before = l->received[end].flight.tail; /* nearly always the place: only overtaking ends look further */
    while (before != NONE && pool_at(&l->pool, before)->at_s > at_s) before = pool_at(&l->pool, before)->prev;
    put(l, end, before, number);
}

/* Whether `a` left before `b`, by their orders: epochs (8 bits) count first, and all numbers begin anew at 0. */
static bool left_before(uint64_t a, uint64_t b)
{
    int8_t epochs = (int8_t)((a >> 56) - (b >> 56));
    return epochs ? epochs < 0 : (int64_t)((a - b) << 8) < 0;
}

void receiving_add_by_order(lane *l, int32_t end, uint32_t number)
{
    const packet *q = pool_at(&l->pool, number), *p;
    uint32_t before = l->received[end].flight.tail;
    for (; before != NONE; before = p->prev) {
        p = pool_at(&l->pool, before);
        if (p->at_s < q->at_s || (p->at_s == q->at_s && !left_before(q->order, p->order))) break;
    }
    put(l, end, before, number);
}

static void deliver(lane *l, int32_t end, receiving *r, uint32_t number)
{
    packet *q = pool_at(&l->pool, number);
    double *cells = received_cells(l, end);
    cells[RECEIVED_PACKETS] += 1.0;
    cells[RECEIVED_BYTES] += q->size;
    int32_t port = r->port;
    if (port < 0 && l->e->config.live[q->node]) port = l->e->shared_port[q->node];
    if (port < 0) {
        forward(l, end, number);
        return;
    }
    q->end = end;
    if (port_write(l, port, end, number)) return;
    cells[RECEIVED_PACKETS] -= 1.0; /* the port did not take it */
    cells[RECEIVED_BYTES] -= q->size;
    cells[RECEIVED_DROP_REFUSED] += 1.0;
    tap_packet(l, taps_of(l, end), end, CAUSE_OVERLOAD, q->at_s, q);
    pool_give(&l->pool, number);
}

void receiving_play(lane *l, int32_t end, double due_s, double until_s, bool before)
{
    receiving *r = &l->received[end];
    /* A port that has a descriptor gets all that is due at once. Elsewhere one packet is played for one timer, for the
     * next hops see the order over all ends. */
    bool all = r->port >= 0 && l->e->realtime && !before;
    if (all) due_s = until_s;
    do {
        if (r->flight.head == NONE || pool_at(&l->pool, r->flight.head)->at_s > due_s) break;
        deliver(l, end, r, list_remove(&r->flight, &l->pool, r->flight.head));
    } while (all);
    if (r->flight.head != NONE) wheel_set(&l->wheel, receiving_id(end), pool_at(&l->pool, r->flight.head)->at_s);
}
