/* What holds for a link end at a time: by its own schedule, by the rows of the network, or by substep tables.
 *
 * Invariant: `schedule_at(t)` covers t (start <= t < stop, t < until), so whoever walks from until to until moves on.
 *
 * The planner writes rows into shared memory while the engine reads (see emulator/schedule/ring.py). The head of a row is
 * its sequence counter: its step, or -1 while it is written, and no step comes twice. So what was read counts where the
 * head showed the step before (load with acquire: no later read comes before it) and shows it afterwards (fence with
 * acquire, then the load: no earlier read comes after it). Whatever else was read is thrown away.
 */
#include <stdlib.h>

#include "core.h"
#include "row_columns.h"

/* ---- knots ---- */

static void knot_values(const engine *e, int64_t at, int64_t next, double start_s, double stop_s, holds *out)
{
    const engine_config *c = &e->config;
    out->start_s = start_s;
    out->stop_s = stop_s;
    out->delay_start_s = c->knot_delay_s[at];
    out->delay_end_s = c->knot_delay_s[next];
    out->rate_bps = c->knot_rate_bps[at];
    out->loss = c->knot_loss[at];
    out->up = c->knot_up[at] != 0;
}

/* As emulator.schedule.piecewise.segment: the same comparisons of the same sums, so that both give equal times. */
static void knots_at(const engine *e, const engine_end *end, double t_s, holds *out)
{
    const double *times = e->config.knot_t_s + end->first_knot;
    int64_t first = end->first_knot, last = end->knot_count - 1, cycle = 0;
    double period_s = end->period_s;
    if (period_s < INFINITY) {
        cycle = (int64_t)floor(t_s / period_s);
        if ((double)cycle * period_s > t_s) cycle--;
        else if ((double)(cycle + 1) * period_s <= t_s) cycle++;
    }
    double base_s = cycle ? (double)cycle * period_s : 0.0, local_s = t_s - base_s;
    int64_t low = 0, high = last + 1; /* the last knot that is not later than local_s */
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (times[middle] <= local_s) low = middle + 1; else high = middle;
    }
    int64_t place = low - 1;
    while (place < last && base_s + times[place + 1] <= t_s) place++;
    while (place > 0 && base_s + times[place] > t_s) place--;
    if (place < 0 || base_s + times[place] > t_s) /* before the first knot its values hold */
        knot_values(e, first, first, t_s < 0.0 ? t_s : 0.0, base_s + times[0], out);
    else if (place < last)
        knot_values(e, first + place, first + place + 1, base_s + times[place], base_s + times[place + 1], out);
    else if (period_s < INFINITY)
        knot_values(e, first + last, first, base_s + times[last], (double)(cycle + 1) * period_s, out);
    else
        knot_values(e, first + last, first + last, times[last], INFINITY, out);
}

/* ---- rows ---- */

static const uint8_t *slot_of(const engine_config *c, int64_t step)
{
    return c->ring + c->ring_header_bytes + step % c->ring_capacity * c->ring_bytes_per_row;
}

static bool row_holds(const engine_config *c, int64_t step)
{
    return step >= 0 && shown(slot_of(c, step) + c->at_head) == step;
}

/* Whether what has been read of the row of `step` is of that row alone. */
static bool row_held(const engine_config *c, int64_t step)
{
    atomic_thread_fence(memory_order_acquire);
    return row_holds(c, step);
}

static int64_t step_of(const engine_config *c, double t_s)
{
    double step = floor(t_s / c->step_s);
    if (step * c->step_s > t_s) step -= 1.0;
    else if ((step + 1.0) * c->step_s <= t_s) step += 1.0;
    return step < 0.0 ? 0 : (int64_t)step;
}

/* Lets `rows.row` show the row that holds at t_s (before 0 the first); returns until when. Where the planner is late the
 * last row is held and counted; false: there is none at all. */
static bool row_at(lane *l, double t_s, double *until_s)
{
    const engine_config *c = &l->e->config;
    rows *r = &l->rows;
    int64_t step = step_of(c, t_s);
    if (r->step != step || !row_holds(c, step)) {
        if (!row_holds(c, step)) {
            r->late++;
            if (r->step < 0 || !row_holds(c, r->step)) {
                int64_t latest = shown(c->ring);
                if (!row_holds(c, latest)) return false;
                step = latest;
            } else {
                step = r->step;
            }
            r->step = step;
            r->row = slot_of(c, step);
            *until_s = t_s + RETRY_S;
            return true;
        }
        r->step = step;
        r->row = slot_of(c, step);
    }
    *until_s = t_s >= 0.0 ? (double)(step + 1) * c->step_s : 0.0;
    return true;
}

/* As emulator.schedule.substep.segment; false: the step has no substep table for this end. */
static bool substep_at(const engine_config *c, const uint8_t *row, int64_t place, double begin_s, double end_s, double t_s,
                    holds *out)
{
    int64_t count = row_substep_count(c, row, place);
    if (count < 2 || count > c->substep_knots) return false;
    int64_t first = place * c->substep_knots, last = first + count - 1;
    int64_t low = first, high = last;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (row_substep_t_s(c, row, middle) <= t_s) low = middle + 1; else high = middle;
    }
    int64_t here = low - 1 > first ? low - 1 : first;
    out->start_s = here > first ? row_substep_t_s(c, row, here) : begin_s;
    double next_s = row_substep_t_s(c, row, here + 1);
    out->stop_s = here + 1 < last ? (next_s < end_s ? next_s : end_s) : end_s;
    out->delay_start_s = row_substep_delay_s(c, row, here);
    out->delay_end_s = row_substep_delay_s(c, row, here + 1);
    if (out->stop_s - out->start_s < 1e-9) out->delay_start_s = out->delay_end_s; /* a jump, but for rounding */
    out->rate_bps = row_substep_rate_bps(c, row, here);
    out->loss = row_substep_loss(c, row, here);
    out->up = row_substep_up(c, row, here) != 0;
    return true;
}

static uint8_t ttl_cost_of(const engine *e, int32_t sender)
{
    return sender >= 0 && sender < e->config.nodes && e->config.live[sender] ? 0 : 1;
}

/* Reads a row once; the caller asks whether it still held afterwards. */
static void read_row(lane *l, int32_t number, double t_s, double until_s, holds *out)
{
    const engine *e = l->e;
    const engine_config *c = &e->config;
    const engine_end *end = &c->end[number];
    const uint8_t *row = l->rows.row;
    int32_t sender = end->sender;
    out->peer = end->far;
    if (end->flags & END_MOVING) {
        out->peer = row_peer(c, row, number);
        if (number % 2) sender = row_peer(c, row, number - 1);
    }
    out->ttl_cost = ttl_cost_of(e, sender);
    if (end->first_knot >= 0) {
        knots_at(e, end, t_s, out);
        out->until_s = out->stop_s < until_s ? out->stop_s : until_s;
        return;
    }
    double begin_s = (double)l->rows.step * c->step_s, end_s = (double)(l->rows.step + 1) * c->step_s;
    bool finer = end->substep >= 0 && substep_at(c, row, end->substep, begin_s, end_s, t_s > 0.0 ? t_s : 0.0, out);
    if (!finer) {
        out->start_s = begin_s;
        out->stop_s = end_s;
        out->delay_start_s = row_delay_start_s(c, row, number);
        out->delay_end_s = row_delay_end_s(c, row, number);
        out->rate_bps = row_rate_bps(c, row, number);
        out->loss = row_loss(c, row, number);
        out->up = row_up(c, row, number) != 0;
    }
    if (t_s < out->start_s || t_s >= out->stop_s) { /* before play, or another row: its nearer end is what is known */
        double delay_s = t_s < out->start_s ? out->delay_start_s : out->delay_end_s;
        out->start_s = t_s;
        out->stop_s = until_s;
        out->delay_start_s = out->delay_end_s = delay_s;
    }
    out->until_s = finer ? out->stop_s : until_s;
}

void schedule_at(lane *l, int32_t number, double t_s, holds *out)
{
    const engine_config *c = &l->e->config;
    const engine_end *end = &c->end[number];
    if (!c->ring || (end->first_knot >= 0 && !(end->flags & END_MOVING))) {
        knots_at(l->e, end, t_s, out);
        out->until_s = out->stop_s;
        out->peer = end->far;
        out->ttl_cost = ttl_cost_of(l->e, end->sender);
        return;
    }
    for (;;) {
        double until_s;
        if (!row_at(l, t_s, &until_s)) { /* no row at all: the end is down until one comes */
            *out = (holds){.start_s = t_s, .stop_s = t_s + RETRY_S, .until_s = t_s + RETRY_S, .peer = -1, .ttl_cost = 1};
            return;
        }
        read_row(l, number, t_s, until_s, out);
        if (row_held(c, l->rows.step)) return; /* else it was overwritten while we read: look again */
    }
}

/* ---- routes ---- */

void schedule_open(lane *l)
{
    l->rows = (rows){.step = -1, .routes_step = -1, .stop_s = l->e->config.ring ? -INFINITY : INFINITY};
}

/* The shortest delay that an end asks in a row while it is up; inf: it is down. */
static double shortest_in_row(const engine_config *c, const uint8_t *row, int32_t end)
{
    double shortest_s = INFINITY;
    int32_t place = c->end[end].substep;
    int64_t count = place >= 0 ? row_substep_count(c, row, place) : 0, first = place * c->substep_knots;
    if (count > 0 && count <= c->substep_knots) {
        for (int64_t k = first; k < first + count; k++) { /* a stretch reaches to the knot that ends it */
            bool up = row_substep_up(c, row, k) || (k > first && row_substep_up(c, row, k - 1));
            double delay_s = row_substep_delay_s(c, row, k);
            if (up && delay_s < shortest_s) shortest_s = delay_s;
        }
    } else if (row_up(c, row, end)) {
        double start_s = row_delay_start_s(c, row, end), end_s = row_delay_end_s(c, row, end);
        shortest_s = start_s < end_s ? start_s : end_s;
    }
    return shortest_s;
}

/* A packet that leaves a transit node late by half of the shortest delay there is still in time at the next; by a quarter
 * where the next may be of another host, for the way there takes its part. */
void batching_update(lane *l)
{
    const engine *e = l->e;
    double shortest_s = 2 * LOOKING_AHEAD_S;
    if (e->knots_shortest_s < shortest_s) shortest_s = e->knots_shortest_s;
    for (int32_t n = 0; n < e->leaves_transit_count; n++) {
        int32_t end = e->leaves_transit[n];
        const override *o = l->overrides[end];
        double delay_s = INFINITY;
        if (o && o->given & VALUE_DELAY) delay_s = o->delay_s;
        else if (l->rows.row && e->config.end[end].first_knot < 0) delay_s = shortest_in_row(&e->config, l->rows.row, end);
        if (delay_s < shortest_s) shortest_s = delay_s;
    }
    if (l->rows.row && !row_held(&e->config, l->rows.step)) shortest_s = 0.0; /* unknown: until the next row none */
    l->rows.batching_s = shortest_s / (e->trunks ? 4 : 2);
    l->overrides_changed = false;
}

/* Keeps a copy of the first routes, which hold for the whole run; false: not yet. */
static bool routes_keep(lane *l)
{
    const engine_config *c = &l->e->config;
    rows *r = &l->rows;
    if (r->fixed) return true;
    size_t bytes = (size_t)c->dests * (size_t)c->nodes * sizeof(int32_t);
    int64_t step = row_holds(c, 0) ? 0 : r->step;
    int32_t *routes = malloc(bytes ? bytes : 1);
    if (!routes) return false;
    memcpy(routes, slot_of(c, step) + c->at_next_end, bytes);
    if (row_held(c, step)) r->fixed = routes; else free(routes);
    return r->fixed;
}

void routes_move(lane *l, double t_s)
{
    const engine_config *c = &l->e->config;
    rows *r = &l->rows;
    if (!c->ring) return;
    double until_s;
    if (!row_at(l, t_s, &until_s) || (c->static_routes && !routes_keep(l))) {
        r->routes = NULL;
        r->routes_head = NULL;
        r->stop_s = t_s + RETRY_S;
        return;
    }
    r->stop_s = until_s;
    if (r->routes_step == r->step && r->routes) return;
    r->routes = c->static_routes ? r->fixed : (const int32_t *)(const void *)(r->row + c->at_next_end);
    r->routes_head = c->static_routes ? NULL : r->row + c->at_head;
    r->routes_step = r->step;
    batching_update(l);
}
