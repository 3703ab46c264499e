/* Scenario time: the run's monotonic clock less T0, and how a host with another clock reads it (emulator/model/clock_page.py).
 *
 * Invariant: lines are read whole, without waiting: one byte says which is the newest, and its place is written again only
 * CLOCK_LINES lines later.
 */
#include <time.h>

#include "core.h"

void engine_share_clock(engine *e, const clock_page *page) { e->clock = page; }

int64_t engine_run_clock_ns(engine *e, int64_t own_ns)
{
    uint8_t newest = e->clock ? atomic_load_explicit(&e->clock->newest, memory_order_acquire) : 0;
    if (!newest) return own_ns;
    const clock_line *line = &e->clock->line[newest - 1];
    int64_t since_ns = own_ns - line->at_ns;
    return line->run_ns + since_ns + llrint((double)since_ns * line->rate);
}

instant lane_instant(const lane *l)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t own_ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    return (instant){(double)(engine_run_clock_ns(l->e, own_ns) - l->t0_ns) * 1e-9, own_ns};
}

double lane_now_s(const lane *l) { return lane_instant(l).now_s; }
