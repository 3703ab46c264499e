/* Scenario time on a host whose clock is not the lead's: the host's own CLOCK_MONOTONIC less t0, and a correction.
 *
 * The correction follows a line that is told from outside (probes, emulator/runtime/cluster/clocks.py). Invariant: it
 * changes by no more than SLEW and the line's drift, so time neither jumps nor runs backward, but before the first line,
 * when nothing is played yet.
 */
#include <time.h>

#include "core.h"

#define SLEW 200e-6 /* s/s */

static double correction_of(const clock_map *m, int64_t local_ns)
{
    double since_s = (double)(local_ns - m->at_ns) * 1e-9, rest_s = fabs(m->rest_s) - SLEW * since_s;
    return m->goal_s + m->drift * since_s + (rest_s > 0.0 ? copysign(rest_s, m->rest_s) : 0.0);
}

/* The map changes seldom, and whole: its version is odd while it is written. */
double engine_correction_s(engine *e, int64_t local_ns)
{
    for (;;) {
        uint32_t version = atomic_load_explicit(&e->clock_version, memory_order_acquire);
        if (!version) return 0.0;
        clock_map map = e->clock;
        atomic_thread_fence(memory_order_acquire);
        if (version % 2 == 0 && version == atomic_load_explicit(&e->clock_version, memory_order_relaxed))
            return correction_of(&map, local_ns);
    }
}

void engine_set_clock(engine *e, int64_t local_ns, double correction_s, double drift)
{
    uint32_t version = atomic_load_explicit(&e->clock_version, memory_order_relaxed);
    double rest_s = version ? correction_of(&e->clock, local_ns) - correction_s : 0.0;
    atomic_store_explicit(&e->clock_version, version + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    e->clock = (clock_map){local_ns, correction_s, drift, rest_s};
    atomic_store_explicit(&e->clock_version, version + 2, memory_order_release);
}

instant lane_instant(const lane *l)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t local_ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    double now_s = (double)t.tv_sec + (double)t.tv_nsec * 1e-9 - l->t0_s;
    if (l->e->trunks) now_s += engine_correction_s(l->e, local_ns);
    return (instant){now_s, local_ns};
}

double lane_now_s(const lane *l) { return lane_instant(l).now_s; }
