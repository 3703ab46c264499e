/* The trunks of an engine: packets whose far node another host plays leave by them, and what comes goes into flight lists.
 *
 * Lane 0 plays all trunks; packets of other lanes come to it and go from it as between lanes. Invariant: a record is
 * looked through before anything is done with it, so whatever the other host says, no access is wrong.
 */
#include <stdlib.h>

#include "core.h"

static bool sensible(const engine *e, const engine_handover *m)
{
    const engine_config *c = &e->config;
    if (m->end < 0 || m->end >= c->ends || m->kind > RECORD_MOVED || !isfinite(m->due_s)) return false;
    if (m->dest < NOWHERE || m->dest >= c->dests + c->nodes) return false;
    if (m->kind != RECORD_MOVED && (m->bytes < VIRTIO || m->bytes > LARGEST)) return false;
    bool moving = flag(e, m->end, END_MOVING);
    if (m->kind != RECORD_PACKET) return moving && m->end % 2;
    if (m->node < 0 || m->node >= c->nodes || e->lane_of_node[m->node] < 0) return false;
    return m->node == c->end[m->end].far || (moving && m->end % 2 == 0);
}

static void count_late(engine *e, trunk *t, const engine_handover *m)
{
    double *newest_s = &e->newest_due_s[m->end];
    if (m->due_s < t->report.heard_s) {
        t->report.late++;
        if (m->due_s < *newest_s) t->report.reordered++;
    }
    if (m->due_s > *newest_s) *newest_s = m->due_s;
}

static void take_record(void *to, trunk *t, const engine_handover *m, uint32_t sequence, uint32_t offset)
{
    engine *e = to;
    lane *l = &e->lanes[0];
    if (!sensible(e, m)) {
        t->report.rejected++;
        return;
    }
    if (m->kind != RECORD_PACKET) {
        trunk_read(t, sequence, offset, l->scratch, m->bytes);
        if (!queue_comes(e, m, l->scratch)) t->report.rejected++;
        return;
    }
    count_late(e, t, m);
    uint64_t order = (uint64_t)m->step << 56 | (uint64_t)sequence << 24 | offset;
    int32_t lane_of_far = e->lane_of_node[m->node];
    if (lane_of_far == 0) {
        uint32_t number = handover_accept(l, m);
        if (number == NONE) return;
        trunk_read(t, sequence, offset, pool_at(&l->pool, number)->data, m->bytes);
        handover_arrive(l, m, order, number);
        return;
    }
    uint8_t *at = handover_begin(e, 0, lane_of_far, m, order);
    if (!at) { /* that lane does not keep up */
        received_cells(l, m->end)[RECEIVED_DROP_REFUSED] += 1.0;
        return;
    }
    trunk_read(t, sequence, offset, at, m->bytes);
    handover_done(e, 0, lane_of_far, m);
}

bool trunks_open(engine *e)
{
    const engine_config *c = &e->config;
    if (!c->trunks) return true;
    size_t ends = (size_t)c->ends + 1;
    e->trunks = calloc((size_t)c->trunks, sizeof *e->trunks);
    e->newest_due_s = malloc(ends * sizeof *e->newest_due_s);
    e->moves = calloc(ends, sizeof *e->moves);
    e->datagrams = malloc(DATAGRAMS_BYTES);
    if (!e->trunks || !e->newest_due_s || !e->moves || !e->datagrams) return false;
    for (int32_t end = 0; end < c->ends; end++) {
        e->newest_due_s[end] = -INFINITY;
        list_clear(&e->moves[end].offered);
    }
    for (int n = 0; n < c->trunks; n++) {
        trunk *t = &e->trunks[n];
        if (!trunk_open(t, &c->trunk[n], (uint8_t)c->own_host, take_record, e)) return false;
        if (t->config.fd >= 0) trunk_attach(t);
        e->trunk_of_host[t->config.host] = t;
    }
    return true;
}

void trunks_close(engine *e)
{
    for (int n = 0; e->trunks && n < e->config.trunks; n++) trunk_close(&e->trunks[n]);
    for (int32_t end = 0; e->moves && end < e->config.ends; end++) queue_close(&e->moves[end]);
    free(e->trunks);
    free(e->newest_due_s);
    free(e->moves);
    free(e->datagrams);
}

void trunks_begin(lane *l)
{
    for (int n = 0; n < l->e->config.trunks; n++)
        if (l->e->trunks[n].early) trunk_begin(&l->e->trunks[n], false);
}

/* Before play the caller is lane 0, and times are those of the clock. */
void engine_attend(engine *e)
{
    lane *l = &e->lanes[0];
    for (int n = 0; n < e->config.trunks; n++) {
        trunk *t = &e->trunks[n];
        if (!t->early) trunk_begin(t, true);
        if (t->config.fd < 0) continue;
        trunk_receive(l, t);
        trunk_transmit(l, t);
    }
}

bool trunks_add(engine *e, int host, const engine_handover *m, const uint8_t *bytes)
{
    return trunk_add(e->trunk_of_host[host], e->lanes[0].now_s, m, bytes);
}

void trunks_read(lane *l)
{
    for (int n = 0; n < l->e->config.trunks; n++)
        if (l->called >> n & 1) trunk_receive(l, &l->e->trunks[n]);
    l->called = 0;
}

void trunks_transmit(lane *l)
{
    for (int n = 0; n < l->e->config.trunks; n++)
        if (l->e->trunks[n].config.fd >= 0) trunk_transmit(l, &l->e->trunks[n]);
}

double trunks_wake_s(const lane *l, double now_s)
{
    double wake_s = INFINITY;
    for (int n = 0; n < l->e->config.trunks; n++) {
        double one_s = trunk_wake_s(&l->e->trunks[n], now_s);
        if (one_s < wake_s) wake_s = one_s;
    }
    return wake_s;
}

bool trunks_full(const engine *e)
{
    bool full = false;
    for (int n = 0; n < e->config.trunks; n++) full = full || e->trunks[n].full;
    return full;
}

/* ---- for Python ---- */

static trunk *trunk_to(engine *e, int host) { return host >= 0 && host < HOSTS ? e->trunk_of_host[host] : NULL; }

static instant in_memory(double now_s) { return (instant){now_s, (int64_t)(now_s * 1e9)}; }

trunk_report *engine_trunk_report(engine *e, int host)
{
    trunk *t = trunk_to(e, host);
    return t ? &t->report : NULL;
}

uint32_t engine_trunk_pull(engine *e, int host, double now_s, uint8_t *out, uint32_t room)
{
    trunk *t = trunk_to(e, host);
    if (!t || room < TRUNK_MOST_BYTES) return 0;
    for (int n = 0; n < e->config.lanes; n++) handovers_take(&e->lanes[n]);
    trunk_span span = trunk_next(t, in_memory(now_s), 1);
    if (span.bytes) memcpy(out, span.at, span.bytes);
    return span.bytes;
}

void engine_trunk_push(engine *e, int host, double now_s, const uint8_t *datagram, uint32_t bytes)
{
    trunk *t = trunk_to(e, host);
    if (t) trunk_take(t, in_memory(now_s), datagram, bytes);
}
