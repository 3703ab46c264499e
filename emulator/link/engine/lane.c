/* One lane: its memory, its timers played in order, orders that it obeys, and sending halves that change lanes.
 *
 * Invariant: timers are played in the order of (time, end, half), so equal input gives equal results however the nodes
 * are shared out to lanes.
 */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core.h"

bool lane_open(engine *e, lane *l, int index)
{
    const engine_config *c = &e->config;
    size_t ends = (size_t)c->ends + 1, nodes = (size_t)c->nodes + 1;
    l->e = e;
    l->index = index;
    l->epoll = -1;
    l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    l->early_s = 50e-6;
    l->playing_end = -1;
    atomic_init(&l->sleeps_until_ns, INT64_MIN);
    list_clear(&l->out);
    l->received_cells = c->received + (size_t)index * (size_t)c->ends * RECEIVED_CELLS;
    l->received = calloc(ends, sizeof *l->received);
    l->overrides = calloc(ends, sizeof *l->overrides);
    l->allowances = calloc(nodes, sizeof *l->allowances);
    l->inbox = calloc((size_t)c->lanes, sizeof *l->inbox);
    l->orders = malloc(ORDERS * sizeof *l->orders);
    l->scratch = malloc(LARGE_BYTES);
    l->unread = malloc(((size_t)c->ports + 1) * sizeof(int32_t));
    if (!l->received || !l->overrides || !l->allowances || !l->inbox || !l->orders || !l->scratch || !l->unread || l->wake_fd < 0)
        return false;
    if (!pool_open(&l->pool, (uint32_t)c->small_slots, (uint32_t)c->large_slots)) return false;
    if (!wheel_open(&l->wheel, 2 * (uint32_t)c->ends)) return false;
    for (int from = 0; from < c->lanes; from++)
        if (from != index && !byte_ring_open(&l->inbox[from], (uint64_t)c->handover_bytes)) return false;
    for (int32_t end = 0; end < c->ends; end++) {
        receiving *r = &l->received[end];
        list_clear(&r->flight);
        r->port = flag(e, end, END_MOVING) && end % 2 == 0 ? -1 : e->port_of_end[end ^ 1];
        r->timer.exact = e->exact[end];
        l->wheel.timers[sending_id(end)] = &e->sent[end].timer;
        l->wheel.timers[receiving_id(end)] = &r->timer;
    }
    schedule_open(l);
    batching_update(l);
    return true;
}

void lane_close(lane *l)
{
    for (int32_t end = 0; l->overrides && end < l->e->config.ends; end++) free(l->overrides[end]);
    if (l->inbox) handovers_forget(l);
    for (int from = 0; l->inbox && from < l->e->config.lanes; from++) byte_ring_close(&l->inbox[from]);
    for (int n = 0; n < TREES; n++) free(l->trees[n].next_end);
    taps_close(l);
    if (l->wake_fd >= 0) close(l->wake_fd);
    pool_close(&l->pool);
    wheel_close(&l->wheel);
    free(l->received);
    free(l->overrides);
    free(l->allowances);
    free(l->inbox);
    free(l->orders);
    free(l->scratch);
    free(l->unread);
    free(l->rows.fixed);
    free(l->tree_cost);
    free(l->tree_ends);
    free(l->tree_first);
    free(l->tree_sender);
    free(l->tree_heap.of);
}

uint64_t lane_play(lane *l, double until_s, bool before, uint64_t most)
{
    uint64_t played = 0;
    double at_s;
    for (uint32_t id; played < most && (id = wheel_take(&l->wheel, until_s, before, &at_s)) != NONE; played++) {
        int32_t end = (int32_t)(id / 2);
        if (id % 2) {
            receiving_play(l, end, at_s, until_s, before);
            continue;
        }
        l->playing_end = end;
        l->playing_s = at_s;
        sending_play(l, end, at_s);
        l->playing_end = -1;
        receiving_play(l, end, at_s, until_s, before); /* no other timer stands between the two halves of an end */
    }
    return played;
}

/* ---- orders ---- */

void lane_obey(lane *l, const engine_order *order, double t_s)
{
    int32_t end = order->end;
    if (order->kind == ORDER_STOP) atomic_store(&l->stopped, true);
    if (order->kind >= ORDER_STOP || end < 0 || end >= l->e->config.ends) return;
    bool mine = l->e->sent_lane[end] == l->index;
    if (mine && l->e->sent[end].flags & AWAITED && queue_hold_order(l, order, t_s)) return;
    override *o = l->overrides[end];
    if (!o && !(o = l->overrides[end] = calloc(1, sizeof *o))) return;
    if (mine) sending_advance(l, end, t_s); /* what has left keeps its times */
    switch (order->kind) {
    case ORDER_SET:
        o->given = (o->given | order->set) & ~order->clear;
        if (order->set & VALUE_UP) o->up = order->up != 0;
        if (order->set & VALUE_RATE) o->rate_bps = order->rate_bps;
        if (order->set & VALUE_DELAY) o->delay_s = order->delay_s;
        if (order->set & VALUE_LOSS) o->loss = order->loss;
        l->overrides_changed = true;
        break;
    case ORDER_HOLD:
    case ORDER_RELEASE:
        o->paused = order->kind == ORDER_HOLD;
        break;
    default:
        o->taps = order->taps;
        if (mine) l->e->sent[end].taps = o->taps;
        return;
    }
    if (!mine) return;
    sending_reload(l, end, t_s);
    sending_wake(l, end);
}

/* ---- steps ---- */

double step_begin_s(const engine *e, int64_t step) { return (double)step * e->config.step_s; }

static void move_one(engine *e, int32_t end, int32_t from, int32_t to, int64_t step)
{
    if (from >= 0 && e->sent[end].flags & AWAITED) queue_give_up(&e->lanes[from], end);
    if (from >= 0 && to >= 0) sending_move(e, end, &e->lanes[from], &e->lanes[to], step_begin_s(e, step));
    else if (from >= 0) queue_send(e, end, &e->lanes[from], AWAY(to), step);
    e->sent_lane[end] = to;
    if (to < 0) return;
    e->sent[end].taps = taps_of(&e->lanes[to], end);
    if (from < 0) queue_await(e, end, &e->lanes[to], step);
}

/* Every lane has played to the begin of the step: sending halves whose sender is now in another lane move there, and what
 * waits in those whose sender is now of another host goes to it. Then those come that other hosts had: what they send
 * belongs to the new step. */
void step_change(engine *e, int64_t step)
{
    double begin_s = step_begin_s(e, step);
    for (int coming = 0; coming < 2; coming++) {
        for (int n = 0; coming && n < e->config.lanes; n++) e->lanes[n].epoch = (uint64_t)step << 56;
        for (int32_t end = 1; end < e->config.ends; end += 2) {
            if (!flag(e, end, END_MOVING) || (e->sent_lane[end] < 0) != coming) continue;
            holds h;
            schedule_at(&e->lanes[0], end - 1, begin_s, &h);
            if (h.peer < 0) continue;
            int32_t from = e->sent_lane[end], to = e->lane_of_node[h.peer];
            if (from != to) move_one(e, end, from, to, step);
        }
    }
}
