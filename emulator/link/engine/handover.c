/* What crosses between lanes: packets that have left an end whose far node belongs to another lane, or to another host.
 *
 * A message is an engine_handover with the instant at which the packet is due, and the packet's bytes; so the time for
 * handing over is the link's whole delay. Invariant: messages of one end arrive in the order in which it sent them.
 */
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core.h"

/* ---- ring of records: 8 bytes of length, then the record; one that would pass the end begins anew at the front ---- */

#define SKIP UINT64_MAX

static uint64_t padded(uint64_t bytes) { return (bytes + 15) & ~7ull; }

bool byte_ring_open(byte_ring *r, uint64_t room)
{
    memset(r, 0, sizeof *r);
    r->room = (room + 4095) & ~4095ull;
    r->bytes = mmap(NULL, r->room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (r->bytes == MAP_FAILED) r->bytes = NULL;
    return r->bytes != NULL;
}

void byte_ring_close(byte_ring *r)
{
    if (r->bytes) munmap(r->bytes, r->room);
    r->bytes = NULL;
}

uint8_t *byte_ring_begin(byte_ring *r, uint64_t bytes)
{
    uint64_t written = atomic_load_explicit(&r->written, memory_order_relaxed);
    uint64_t read = atomic_load_explicit(&r->read, memory_order_acquire);
    uint64_t need = padded(bytes), place = written % r->room, rest = r->room - place;
    uint64_t skipped = need > rest ? rest : 0;
    if (need > r->room || written + skipped + need - read > r->room) return NULL;
    if (skipped) {
        memcpy(r->bytes + place, &(uint64_t){SKIP}, 8);
        atomic_store_explicit(&r->written, written + skipped, memory_order_release);
        place = 0;
    }
    memcpy(r->bytes + place, &bytes, 8);
    return r->bytes + place + 8;
}

void byte_ring_done(byte_ring *r, uint64_t bytes)
{
    uint64_t written = atomic_load_explicit(&r->written, memory_order_relaxed);
    atomic_store_explicit(&r->written, written + padded(bytes), memory_order_release);
}

const uint8_t *byte_ring_peek(byte_ring *r, uint64_t *bytes)
{
    for (;;) {
        uint64_t read = atomic_load_explicit(&r->read, memory_order_relaxed);
        if (read == atomic_load_explicit(&r->written, memory_order_acquire)) return NULL;
        uint64_t place = read % r->room;
        memcpy(bytes, r->bytes + place, 8);
        if (*bytes != SKIP) return r->bytes + place + 8;
        atomic_store_explicit(&r->read, read + r->room - place, memory_order_release);
    }
}

void byte_ring_drop(byte_ring *r, uint64_t bytes)
{
    uint64_t read = atomic_load_explicit(&r->read, memory_order_relaxed);
    atomic_store_explicit(&r->read, read + padded(bytes), memory_order_release);
}

/* ---- handing over ---- */

static void wake_lane(lane *to, double due_s)
{
    atomic_thread_fence(memory_order_seq_cst); /* our record is seen, or we see that it sleeps */
    int64_t until_ns = atomic_load_explicit(&to->sleeps_until_ns, memory_order_relaxed);
    if (until_ns != INT64_MIN && due_s * 1e9 < (double)until_ns) {
        uint64_t one = 1;
        if (write(to->wake_fd, &one, 8) < 0) return; /* it is full, so the lane will wake */
    }
}

typedef struct { engine_handover m; uint64_t order; } message;

uint8_t *handover_begin(engine *e, int from, int to, const engine_handover *m, uint64_t order)
{
    message head = {*m, order};
    uint8_t *at = byte_ring_begin(&e->lanes[to].inbox[from], sizeof head + m->bytes);
    if (!at) return NULL;
    memcpy(at, &head, sizeof head);
    return at + sizeof head;
}

void handover_done(engine *e, int from, int to, const engine_handover *m)
{
    byte_ring_done(&e->lanes[to].inbox[from], sizeof(message) + m->bytes);
    if (e->realtime) wake_lane(&e->lanes[to], e->lane_of_node[m->node] == to ? m->due_s : -INFINITY);
}

void hand_over(lane *l, int32_t end, uint32_t number)
{
    engine *e = l->e;
    packet *q = pool_at(&l->pool, number);
    int32_t to = e->lane_of_node[q->node];
    if (to == l->index) {
        receiving_add(l, end, number);
        return;
    }
    engine_handover m = {q->at_s, end, q->node, q->dest, (int16_t)q->hops, RECORD_PACKET, (uint8_t)(q->order >> 56), q->size, q->bytes};
    if (to < 0 && l->index == 0) {
        if (!trunks_add(e, AWAY(to), &m, q->data)) sent_cells(e, end)[SENT_DROP_OVERLOAD] += 1.0;
        pool_give(&l->pool, number);
        return;
    }
    if (to < 0) to = 0; /* it plays the trunks */
    uint8_t *at;
    while (!(at = handover_begin(e, l->index, to, &m, q->order))) {
        if (e->realtime) { /* the other lane does not keep up */
            sent_cells(e, end)[SENT_DROP_OVERLOAD] += 1.0;
            pool_give(&l->pool, number);
            return;
        }
        if (!e->threaded) handovers_take(&e->lanes[to]);
        else if (!handovers_take(l)) sched_yield();
    }
    memcpy(at, q->data, q->bytes);
    handover_done(e, l->index, to, &m);
    l->report.handed_over++;
    pool_give(&l->pool, number);
}

uint32_t handover_accept(lane *l, const engine_handover *m)
{
    uint32_t number = pool_take(&l->pool, m->bytes);
    if (number == NONE) {
        received_cells(l, m->end)[RECEIVED_DROP_REFUSED] += 1.0;
        return NONE;
    }
    packet *q = pool_at(&l->pool, number);
    q->at_s = m->due_s;
    q->bytes = m->bytes;
    q->size = m->size;
    q->dest = m->dest;
    q->hops = m->hops;
    q->node = m->node;
    return number;
}

void handover_arrive(lane *l, const engine_handover *m, uint64_t order, uint32_t number)
{
    packet *q = pool_at(&l->pool, number);
    q->merged = q->data[1] != 0;
    q->order = order;
    receiving_add_by_order(l, m->end, number);
}

static void receive(lane *l, const uint8_t *record)
{
    message head;
    memcpy(&head, record, sizeof head);
    record += sizeof head;
    engine_handover m = head.m;
    if (m.kind == RECORD_MOVED) {
        struct arrival *a;
        memcpy(&a, record, sizeof a);
        queue_install(l, a);
        return;
    }
    int32_t to = l->e->lane_of_node[m.node];
    if (to < 0) {
        if (!trunks_add(l->e, AWAY(to), &m, record)) received_cells(l, m.end)[RECEIVED_DROP_REFUSED] += 1.0;
        return;
    }
    uint32_t number = handover_accept(l, &m);
    if (number == NONE) return;
    memcpy(pool_at(&l->pool, number)->data, record, m.bytes);
    if (l->e->realtime && m.due_s < l->now_s) l->report.late_handovers++;
    handover_arrive(l, &m, head.order, number);
}

static void forget(lane *l, const uint8_t *record)
{
    message head;
    struct arrival *a;
    (void)l;
    memcpy(&head, record, sizeof head);
    if (head.m.kind != RECORD_MOVED) return;
    memcpy(&a, record + sizeof head, sizeof a);
    queue_forget(a);
}

/* Does `with` each message that other lanes have sent; whether there was one. */
static bool empty_inbox(lane *l, void with(lane *l, const uint8_t *record))
{
    bool some = false;
    for (int from = 0; from < l->e->config.lanes; from++) {
        if (from == l->index) continue;
        uint64_t bytes;
        const uint8_t *record;
        while ((record = byte_ring_peek(&l->inbox[from], &bytes))) {
            with(l, record);
            byte_ring_drop(&l->inbox[from], bytes);
            some = true;
        }
    }
    return some;
}

bool handovers_take(lane *l) { return empty_inbox(l, receive); }

void handovers_forget(lane *l) { empty_inbox(l, forget); }
