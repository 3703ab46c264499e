/* Ways to transit nodes, which have no place in the planner's route table: made when somebody talks to one.
 *
 * A tree of shortest delays towards one node, from what the links ask at the begin of the step, by Dijkstra's algorithm.
 * Invariant: a tree lasts one step, and at most TREES are made in one, each in some 0.3 ms for 1,600 nodes.
 */
#include <stdlib.h>

#include "core.h"

static void ends_now(lane *l, double t_s, int32_t *far, double *delay_s)
{
    const engine_config *c = &l->e->config;
    for (int32_t end = 0; end < c->ends; end++) {
        holds h;
        schedule_at(l, end, t_s, &h);
        far[end] = h.up && h.rate_bps > 0.0 ? h.peer : -1;
        delay_s[end] = h.delay_start_s;
    }
}

static bool relax_from(lane *l, int32_t target, const int32_t *far, const double *delay_s, int32_t *next_end)
{
    const engine_config *c = &l->e->config;
    int32_t *first = l->tree_first, *ends = l->tree_ends;
    memset(first, 0, ((size_t)c->nodes + 2) * sizeof *first);
    for (int32_t end = 0; end < c->ends; end++)
        if (far[end] >= 0) first[far[end] + 2]++;
    for (int32_t node = 0; node < c->nodes; node++) first[node + 2] += first[node + 1];
    for (int32_t end = 0; end < c->ends; end++)
        if (far[end] >= 0) ends[first[far[end] + 1]++] = end;
    for (int32_t node = 0; node < c->nodes; node++) {
        l->tree_cost[node] = INFINITY;
        next_end[node] = -1;
    }
    heap *h = &l->tree_heap;
    h->count = 0;
    l->tree_cost[target] = 0.0;
    if (!heap_add(h, 0.0, (uint32_t)target)) return false;
    while (h->count) {
        wake top = h->of[0];
        heap_drop(h);
        int32_t node = (int32_t)top.id;
        if (top.at_s > l->tree_cost[node]) continue;
        if (node != target && (c->transit_routes == 2 || !c->may_forward[node])) continue;
        for (int32_t n = first[node]; n < first[node + 1]; n++) {
            int32_t end = ends[n], sender = l->tree_sender[end];
            double cost = top.at_s + delay_s[end];
            if (sender < 0 || cost >= l->tree_cost[sender]) continue;
            l->tree_cost[sender] = cost;
            next_end[sender] = end;
            if (!heap_add(h, cost, (uint32_t)sender)) return false;
        }
    }
    return true;
}

static bool grow(lane *l, tree *t, int32_t target, int64_t step)
{
    const engine_config *c = &l->e->config;
    size_t nodes = (size_t)c->nodes, ends = (size_t)c->ends;
    if (!l->tree_cost) {
        l->tree_cost = malloc((nodes + ends + 1) * sizeof(double));
        l->tree_first = malloc((nodes + 2) * sizeof(int32_t));
        l->tree_ends = malloc((ends + 1) * sizeof(int32_t));
        l->tree_sender = malloc((2 * ends + 1) * sizeof(int32_t));
    }
    if (!t->next_end) t->next_end = malloc((nodes + 1) * sizeof(int32_t));
    if (!l->tree_cost || !l->tree_first || !l->tree_ends || !l->tree_sender || !t->next_end) return false;
    int32_t *far = l->tree_sender + ends;
    double *delay_s = l->tree_cost + nodes;
    ends_now(l, step > 0 ? step_begin_s(l->e, step) : 0.0, far, delay_s); /* every lane makes the same tree */
    for (int32_t end = 0; end < c->ends; end++) /* the downlink of a moving link starts where its uplink leads */
        l->tree_sender[end] = c->end[end].flags & END_MOVING && end % 2 ? far[end - 1] : c->end[end].sender;
    t->node = target;
    return relax_from(l, target, far, delay_s, t->next_end);
}

int32_t tree_route(lane *l, int32_t target, int32_t node)
{
    if (!l->e->config.transit_routes) return -1;
    int64_t step = l->rows.routes_step;
    tree *free_one = NULL;
    for (int n = 0; n < TREES; n++) {
        tree *t = &l->trees[n];
        if (t->next_end && t->node == target && t->step == step) return t->next_end[node];
        if (!t->next_end || t->step != step) free_one = t;
    }
    if (!free_one || !grow(l, free_one, target, step)) return -1;
    free_one->step = step;
    return free_one->next_end[node];
}
