/* Queues that go from host to host: a moving link's downlink is sent on by the host of the satellite that serves.
 *
 * At the begin of a step the old host sends what still waits in the end's queue, then the queue's state with those of the
 * end's random streams. The new host keeps what is offered and ordered meanwhile, and plays all of it from the begin of
 * the step on once it is there, so departures keep their logical times. Invariant: after half of the end's delay it waits
 * no longer, and counts a late queue; what comes then is offered as it comes.
 */
#include <stdlib.h>

#include "core.h"

typedef struct { /* what RECORD_MOVED carries; the streams that `streams` names follow, each as a `stream` */
    double idle_s, last_s, admission_s_per_byte, left, since_s;
    uint32_t waiting; /* packets in the queue */
    uint8_t streams, bad;
    uint16_t unused;
} queue_state;

typedef struct waiting {
    struct waiting *next;
    engine_handover record;
    uint8_t bytes[];
} waiting;

struct arrival { /* a queue that is coming */
    int64_t begin_step; /* modulo 256 */
    bool told;          /* its state is there */
    uint32_t count;     /* packets so far */
    double bytes;       /* of them */
    int32_t end;
    waiting *first, *last; /* by place */
    double begin_s;
    queue_state state;
    stream *of[STREAMS];
};

struct held_order {
    struct held_order *next;
    engine_order order;
    double t_s;
    uint32_t behind; /* so many of the packets that wait */
};

static bool complete(const struct arrival *a) { return a->told && a->count == a->state.waiting; }

void queue_forget(struct arrival *a)
{
    if (!a) return;
    for (waiting *w = a->first, *next; w; w = next) {
        next = w->next;
        free(w);
    }
    for (int n = 0; n < STREAMS; n++) free(a->of[n]);
    free(a);
}

static void drop_all(engine *e, struct arrival *a)
{
    if (a) sent_cells(e, a->end)[SENT_DROP_OVERLOAD] += a->count;
    queue_forget(a);
}

void queue_close(move *m)
{
    queue_forget(m->coming);
    for (struct held_order *o = m->orders, *next; o; o = next) {
        next = o->next;
        free(o);
    }
}

/* ---- the old host ---- */

static void send_state(engine *e, int32_t end, int host, int64_t step, uint32_t count)
{
    sending *s = &e->sent[end];
    static const size_t most = sizeof(queue_state) + STREAMS * sizeof(stream);
    uint8_t body[sizeof(queue_state) + STREAMS * sizeof(stream)];
    queue_state state = {s->idle_s, s->last_s, s->admission_s_per_byte, s->left, s->since_s, count, 0, s->chain && s->chain->bad, 0};
    uint32_t bytes = sizeof state;
    for (int n = 0; s->chain && n < STREAMS && bytes < most; n++) {
        if (!s->chain->of[n]) continue;
        state.streams |= (uint8_t)(1u << n);
        memcpy(body + bytes, s->chain->of[n], sizeof(stream));
        bytes += sizeof(stream);
    }
    memcpy(body, &state, sizeof state);
    engine_handover m = {step_begin_s(e, step), end, 0, UNKNOWN, 0, RECORD_MOVED, (uint8_t)step, 0, bytes};
    trunks_add(e, host, &m, body); /* without room the new host gives up in time */
}

void queue_send(engine *e, int32_t end, lane *from, int host, int64_t step)
{
    sending *s = &e->sent[end];
    if (s->queue.head != NONE) sending_advance(from, end, step_begin_s(e, step));
    wheel_forget(&from->wheel, sending_id(end));
    uint32_t count = 0;
    while (s->queue.head != NONE) {
        uint32_t number = list_remove(&s->queue, &from->pool, s->queue.head);
        const packet *q = pool_at(&from->pool, number);
        engine_handover m = {q->at_s, end, (int32_t)count, q->dest, (int16_t)q->hops, RECORD_WAITING, (uint8_t)step, q->size, q->bytes};
        if (trunks_add(e, host, &m, q->data)) count++;
        else sent_cells(e, end)[SENT_DROP_OVERLOAD] += 1.0;
        pool_give(&from->pool, number);
    }
    send_state(e, end, host, step, count);
    s->queued_bytes = 0.0;
    s->departs_s = INFINITY;
    s->stop_s = -INFINITY;
}

/* ---- the new host ---- */

void queue_await(engine *e, int32_t end, lane *to, int64_t step)
{
    sending *s = &e->sent[end];
    struct arrival *a = e->moves[end].coming;
    s->departs_s = INFINITY;
    s->stop_s = s->idle_s = s->last_s = -INFINITY;
    s->flags |= AWAITED;
    if (a && complete(a) && a->begin_step == (step & 255)) {
        e->moves[end].coming = NULL;
        queue_install(to, a);
        return;
    }
    holds h;
    double begin_s = step_begin_s(e, step);
    schedule_at(to, end, begin_s, &h);
    wheel_set(&to->wheel, sending_id(end), begin_s + h.delay_start_s / 2);
}

void queue_hold(lane *l, int32_t end, uint32_t number) { list_append(&l->e->moves[end].offered, &l->pool, number); }

bool queue_hold_order(lane *l, const engine_order *order, double t_s)
{
    move *m = &l->e->moves[order->end];
    struct held_order **at = &m->orders, *o = malloc(sizeof *o);
    if (!o) return false;
    while (*at) at = &(*at)->next;
    *o = (struct held_order){NULL, *order, t_s, m->offered.count};
    *at = o;
    return true;
}

/* What was offered and ordered meanwhile, in its order. */
static void go_on(lane *l, int32_t end)
{
    move *m = &l->e->moves[end];
    uint32_t offered = 0;
    l->e->sent[end].flags &= (uint16_t)~AWAITED;
    while (m->orders || m->offered.head != NONE) {
        struct held_order *o = m->orders;
        if (o && o->behind == offered) {
            m->orders = o->next;
            lane_obey(l, &o->order, o->t_s);
            free(o);
            continue;
        }
        uint32_t number = list_remove(&m->offered, &l->pool, m->offered.head);
        sending_offer(l, end, number, pool_at(&l->pool, number)->at_s);
        offered++;
    }
    sending_wake(l, end);
}

void queue_give_up(lane *l, int32_t end)
{
    l->report.late_queues++;
    wheel_unset(&l->wheel, sending_id(end));
    go_on(l, end);
}

static void take_streams(sending *s, struct arrival *a)
{
    bool some = false;
    for (int n = 0; n < STREAMS; n++) some = some || a->of[n];
    if (!s->chain && (!some || !(s->chain = calloc(1, sizeof(chain))))) return;
    for (int n = 0; n < STREAMS; n++) {
        free(s->chain->of[n]);
        s->chain->of[n] = a->of[n];
        a->of[n] = NULL;
    }
    s->chain->bad = a->state.bad != 0;
}

/* The packet as one of this lane; NONE: no memory, and it is counted. */
static uint32_t take_waiting(lane *l, const waiting *w)
{
    uint32_t number = pool_take(&l->pool, w->record.bytes);
    if (number == NONE) {
        sent_cells(l->e, w->record.end)[SENT_DROP_OVERLOAD] += 1.0;
        return NONE;
    }
    packet *q = pool_at(&l->pool, number);
    memcpy(q->data, w->bytes, w->record.bytes);
    q->at_s = w->record.due_s;
    q->bytes = w->record.bytes;
    q->size = w->record.size;
    q->merged = q->data[1] != 0;
    q->dest = w->record.dest;
    q->hops = w->record.hops;
    q->node = -1;
    return number;
}

/* Too late: the queue has been played without it. Its packets go on as if they were offered now. */
static void install_late(lane *l, struct arrival *a)
{
    double now_s = l->now_s > a->begin_s ? l->now_s : a->begin_s;
    for (const waiting *w = a->first; w; w = w->next) {
        uint32_t number = take_waiting(l, w);
        if (number == NONE) continue;
        sent_cells(l->e, a->end)[SENT_PACKETS] -= 1.0; /* the old host has counted it */
        sent_cells(l->e, a->end)[SENT_BYTES] -= w->record.size;
        sending_offer(l, a->end, number, now_s);
    }
}

void queue_install(lane *l, struct arrival *a)
{
    engine *e = l->e;
    sending *s = &e->sent[a->end];
    if (e->sent_lane[a->end] != l->index) { /* it has moved on */
        drop_all(e, a);
        return;
    }
    take_streams(s, a);
    if (!(s->flags & AWAITED)) {
        install_late(l, a);
        queue_forget(a);
        return;
    }
    wheel_unset(&l->wheel, sending_id(a->end));
    s->idle_s = a->state.idle_s;
    s->last_s = a->state.last_s;
    s->admission_s_per_byte = a->state.admission_s_per_byte;
    s->queued_bytes = 0.0;
    for (const waiting *w = a->first; w; w = w->next) {
        uint32_t number = take_waiting(l, w);
        if (number == NONE) continue;
        const packet *q = pool_at(&l->pool, number);
        if (s->queue.head != NONE) {
            s->queued_bytes += q->size;
        } else {
            s->left = w == a->first ? a->state.left : q->size;
            s->since_s = a->state.since_s;
        }
        list_append(&s->queue, &l->pool, number);
    }
    if (s->queue.head != NONE) {
        s->stop_s = a->begin_s;
        sending_advance(l, a->end, a->begin_s);
    }
    int32_t end = a->end;
    queue_forget(a);
    go_on(l, end);
}

/* ---- its parts ---- */

/* Whether a queue may be in such a state: before its first departure and arrival those are at -inf, and before the first
 * rate a byte takes for ever. */
static bool possible(const queue_state *s)
{
    return s->idle_s < INFINITY && s->last_s < INFINITY && s->admission_s_per_byte >= 0.0 && s->left >= 0.0 &&
           isfinite(s->left) && isfinite(s->since_s);
}

static bool add_state(struct arrival *a, const engine_handover *m, const uint8_t *bytes)
{
    uint32_t used = sizeof a->state;
    if (a->told || m->bytes < used) return false;
    memcpy(&a->state, bytes, used);
    if (!possible(&a->state)) return false;
    for (int n = 0; n < STREAMS; n++) {
        if (!(a->state.streams >> n & 1)) continue;
        if (m->bytes - used < sizeof(stream) || !(a->of[n] || (a->of[n] = malloc(sizeof(stream))))) return false;
        memcpy(a->of[n], bytes + used, sizeof(stream));
        used += sizeof(stream);
    }
    a->begin_s = m->due_s;
    a->told = true;
    return true;
}

static bool add_waiting(struct arrival *a, const engine_handover *m, const uint8_t *bytes)
{
    waiting **at = a->last && a->last->record.node < m->node ? &a->last->next : &a->first; /* nearly always the last */
    while (*at && (*at)->record.node < m->node) at = &(*at)->next;
    if ((*at && (*at)->record.node == m->node) || a->bytes + m->bytes > MEMORY_BYTES) return false;
    waiting *w = malloc(sizeof *w + m->bytes);
    if (!w) return false;
    w->record = *m;
    memcpy(w->bytes, bytes, m->bytes);
    w->next = *at;
    *at = w;
    if (!w->next) a->last = w;
    a->count++;
    a->bytes += m->bytes;
    return true;
}

/* All of it is here, for the lane that now has the end. */
static void hand_to_lane(engine *e, struct arrival *a, int32_t to)
{
    if (to == 0) {
        queue_install(&e->lanes[0], a);
        return;
    }
    engine_handover message = {-INFINITY, a->end, 0, UNKNOWN, 0, RECORD_MOVED, (uint8_t)a->begin_step, 0, sizeof a};
    uint8_t *at = handover_begin(e, 0, to, &message, 0);
    if (!at) {
        drop_all(e, a);
        return;
    }
    memcpy(at, &a, sizeof a);
    handover_done(e, 0, to, &message);
}

bool queue_comes(engine *e, const engine_handover *m, const uint8_t *bytes)
{
    move *moved = &e->moves[m->end];
    struct arrival *a = moved->coming;
    if (a && a->begin_step != m->step) { /* of an earlier step, which is over */
        drop_all(e, a);
        a = NULL;
    }
    if (!a && (a = calloc(1, sizeof *a))) {
        a->end = m->end;
        a->begin_step = m->step;
    }
    moved->coming = a;
    bool taken = a && (m->kind == RECORD_MOVED ? add_state(a, m, bytes) : add_waiting(a, m, bytes));
    if (!taken && m->kind == RECORD_WAITING) sent_cells(e, m->end)[SENT_DROP_OVERLOAD] += 1.0;
    int32_t to = e->sent_lane[m->end];
    if (a && complete(a) && to >= 0) { /* else its step has not begun here yet */
        moved->coming = NULL;
        hand_to_lane(e, a, to);
    }
    return taken;
}
