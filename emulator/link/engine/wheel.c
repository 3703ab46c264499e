/* Timers of link ends: a wheel of buckets 30 us wide, and a heap for the bucket that is playing.
 *
 * Invariant: timers are taken in the order of (time, id), whatever bucket or heap they lie in. A heap may hold wakes
 * that no longer count; a wake counts if its timer lies there and has its time.
 */
#include <stdlib.h>

#include "core.h"

static int64_t tick_of(double at_s)
{
    double ticks = floor(at_s * TICKS_PER_S);
    return ticks >= 9e18 ? INT64_MAX : ticks <= -9e18 ? INT64_MIN : (int64_t)ticks;
}

static bool earlier(const wake *a, const wake *b)
{
    return a->at_s < b->at_s || (a->at_s == b->at_s && a->id < b->id);
}

/* ---- 4-ary heap ---- */

bool heap_add(heap *h, double at_s, uint32_t id)
{
    if (h->count == h->room) {
        uint32_t room = h->room ? 2 * h->room : 64;
        wake *of = realloc(h->of, room * sizeof *of);
        if (!of) return false;
        h->of = of;
        h->room = room;
    }
    wake new = {at_s, id, 0};
    uint32_t at = h->count++;
    while (at) {
        uint32_t above = (at - 1) / 4;
        if (!earlier(&new, &h->of[above])) break;
        h->of[at] = h->of[above];
        at = above;
    }
    h->of[at] = new;
    return true;
}

void heap_drop(heap *h)
{
    wake last = h->of[--h->count];
    uint32_t at = 0;
    for (;;) {
        uint32_t first = 4 * at + 1, least = first;
        if (first >= h->count) break;
        uint32_t stop = first + 4 < h->count ? first + 4 : h->count;
        for (uint32_t child = first + 1; child < stop; child++)
            if (earlier(&h->of[child], &h->of[least])) least = child;
        if (!earlier(&h->of[least], &last)) break;
        h->of[at] = h->of[least];
        at = least;
    }
    h->of[at] = last;
}

/* ---- wheel ---- */

bool wheel_open(wheel *w, uint32_t ids)
{
    memset(w, 0, sizeof *w);
    w->timers = calloc(ids ? ids : 1, sizeof *w->timers);
    w->bucket = malloc(TICKS * sizeof *w->bucket);
    w->some = calloc(TICKS / 64, sizeof *w->some);
    if (!w->timers || !w->bucket || !w->some) return false;
    for (uint32_t n = 0; n < TICKS; n++) w->bucket[n] = NONE;
    w->tick = -2 * (int64_t)TICKS_PER_S; /* play begins at 0, and nothing comes long before it */
    return true;
}

void wheel_close(wheel *w)
{
    free(w->timers);
    free(w->bucket);
    free(w->some);
    free(w->near.of);
    free(w->far.of);
    memset(w, 0, sizeof *w);
}

static void chain_remove(wheel *w, uint32_t id)
{
    timer *t = w->timers[id];
    uint32_t place = (uint32_t)tick_of(t->at_s) % TICKS;
    uint32_t *at = &w->bucket[place];
    while (*at != id) at = &w->timers[*at]->next;
    *at = t->next;
    if (w->bucket[place] == NONE) w->some[place / 64] &= ~(1ull << place % 64);
    w->in_buckets--;
}

void wheel_unset(wheel *w, uint32_t id)
{
    timer *t = w->timers[id];
    if (t->place == IN_BUCKET) chain_remove(w, id);
    t->place = IDLE; /* a wake in a heap counts no longer */
}

static void heap_forget(heap *h, uint32_t id)
{
    uint32_t count = h->count, found = 0;
    for (uint32_t n = 0; n < count; n++) found += h->of[n].id == id;
    if (!found) return;
    h->count = 0;
    for (uint32_t n = 0; n < count; n++) {
        wake kept = h->of[n];
        if (kept.id != id) heap_add(h, kept.at_s, kept.id); /* into a place that has been read */
    }
}

void wheel_forget(wheel *w, uint32_t id)
{
    wheel_unset(w, id);
    heap_forget(&w->near, id);
    heap_forget(&w->far, id);
}

bool wheel_set(wheel *w, uint32_t id, double at_s)
{
    timer *t = w->timers[id];
    if (t->place != IDLE) {
        if (t->at_s <= at_s) return true;
        wheel_unset(w, id);
    }
    t->at_s = at_s;
    int64_t tick = tick_of(at_s);
    if (tick <= w->tick) {
        t->place = IN_NEAR;
        return heap_add(&w->near, at_s, id);
    }
    if (tick - w->tick >= TICKS) {
        t->place = IN_FAR;
        return heap_add(&w->far, at_s, id);
    }
    uint32_t place = (uint32_t)tick % TICKS;
    t->place = IN_BUCKET;
    t->next = w->bucket[place];
    w->bucket[place] = id;
    w->some[place / 64] |= 1ull << place % 64;
    w->in_buckets++;
    return true;
}

/* The first tick after `w->tick` whose bucket is not empty; INT64_MAX: all are. */
static int64_t next_bucket(const wheel *w)
{
    if (!w->in_buckets) return INT64_MAX;
    uint32_t first = (uint32_t)(w->tick + 1) % TICKS, word = first / 64;
    uint64_t bits = w->some[word] & (~0ull << first % 64);
    for (uint32_t turns = 0; turns <= TICKS / 64; turns++) {
        if (bits) {
            uint32_t place = word * 64 + (uint32_t)__builtin_ctzll(bits);
            return w->tick + 1 + (int64_t)((place - first) & (TICKS - 1));
        }
        word = (word + 1) % (TICKS / 64);
        bits = w->some[word];
    }
    return INT64_MAX;
}

static bool counts(const wheel *w, const wake *top, uint8_t place)
{
    const timer *t = w->timers[top->id];
    return t->place == place && t->at_s == top->at_s;
}

static void prune(wheel *w, heap *h, uint8_t place)
{
    while (h->count && !counts(w, &h->of[0], place)) heap_drop(h);
}

/* Brings what is due in the next tick into `near`, unless that tick is later than `last`; whether there was one. */
static bool refill(wheel *w, int64_t last)
{
    prune(w, &w->far, IN_FAR);
    int64_t bucket = next_bucket(w), far = w->far.count ? tick_of(w->far.of[0].at_s) : INT64_MAX;
    int64_t tick = bucket < far ? bucket : far;
    if (tick > last || tick == INT64_MAX) return false;
    w->tick = tick;
    if (bucket == tick) {
        uint32_t place = (uint32_t)tick % TICKS, id = w->bucket[place];
        w->bucket[place] = NONE;
        w->some[place / 64] &= ~(1ull << place % 64);
        for (uint32_t next; id != NONE; id = next) {
            timer *t = w->timers[id];
            next = t->next;
            t->place = IN_NEAR;
            heap_add(&w->near, t->at_s, id);
            w->in_buckets--;
        }
    }
    while (w->far.count && tick_of(w->far.of[0].at_s) <= tick) {
        wake top = w->far.of[0];
        if (counts(w, &top, IN_FAR)) {
            w->timers[top.id]->place = IN_NEAR;
            heap_add(&w->near, top.at_s, top.id);
        }
        heap_drop(&w->far);
    }
    return true;
}

uint32_t wheel_take(wheel *w, double until_s, bool before, double *at_s)
{
    int64_t last = tick_of(until_s);
    for (;;) {
        prune(w, &w->near, IN_NEAR);
        if (w->near.count) {
            wake top = w->near.of[0];
            if (before ? top.at_s >= until_s : top.at_s > until_s) return NONE;
            heap_drop(&w->near);
            w->timers[top.id]->place = IDLE;
            *at_s = top.at_s;
            return top.id;
        }
        if (!refill(w, last)) {
            /* nothing is due: let the buckets begin with the present, or what is set next would gather in `near` */
            if (w->tick < last - 1 && last != INT64_MAX) w->tick = last - 1;
            return NONE;
        }
    }
}

uint32_t wheel_first(wheel *w, double *at_s)
{
    do prune(w, &w->near, IN_NEAR);
    while (!w->near.count && refill(w, INT64_MAX - 1));
    if (!w->near.count) return NONE;
    *at_s = w->near.of[0].at_s;
    return w->near.of[0].id;
}

/* The least time among the timers of one bucket. */
static double bucket_least_s(const wheel *w, int64_t tick)
{
    double least = INFINITY;
    for (uint32_t id = w->bucket[(uint32_t)tick % TICKS]; id != NONE; id = w->timers[id]->next)
        if (w->timers[id]->at_s < least) least = w->timers[id]->at_s;
    return least;
}

double wheel_next_s(wheel *w)
{
    prune(w, &w->near, IN_NEAR);
    if (w->near.count) return w->near.of[0].at_s;
    prune(w, &w->far, IN_FAR);
    double far_s = w->far.count ? w->far.of[0].at_s : INFINITY;
    int64_t bucket = next_bucket(w);
    double near_s = bucket == INT64_MAX ? INFINITY : bucket_least_s(w, bucket);
    return near_s < far_s ? near_s : far_s;
}

/* A timer that is met exactly at its time, or up to batching_s later. */
static void look(const wheel *w, uint32_t id, double batching_s, double *least_s, bool *exact)
{
    const timer *t = w->timers[id];
    double at_s = t->exact ? t->at_s : t->at_s + batching_s;
    if (at_s < *least_s) {
        *least_s = at_s;
        *exact = t->exact != 0;
    }
}

double wheel_wake_s(wheel *w, double batching_s, bool *exact)
{
    double least_s = INFINITY;
    *exact = false;
    for (uint32_t n = 0; n < w->near.count; n++)
        if (counts(w, &w->near.of[n], IN_NEAR)) look(w, w->near.of[n].id, batching_s, &least_s, exact);
    prune(w, &w->far, IN_FAR);
    if (w->far.count) look(w, w->far.of[0].id, 0.0, &least_s, exact);
    int64_t kept = w->tick;
    for (;;) { /* buckets that begin before the best so far */
        int64_t tick = next_bucket(w);
        if (tick == INT64_MAX || (double)tick / TICKS_PER_S >= least_s) break;
        for (uint32_t id = w->bucket[(uint32_t)tick % TICKS]; id != NONE; id = w->timers[id]->next)
            look(w, id, batching_s, &least_s, exact);
        if (tick - kept >= TICKS - 1) break;
        w->tick = tick;
    }
    w->tick = kept;
    return least_s;
}
