/* What benchmarks need at the speed of C, apart from the engine: floors that the engine is held against, and a load.
 *
 * Invariant: of the engine only abi.h is used, so what is measured is the library as it is shipped.
 */
#include <math.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "abi.h"

#define API __attribute__((visibility("default")))
#define VIRTIO 10

API void bare_relay(int a, int b, double delay_s);
API void delay_datagrams(int a, int b, double delay_s, double jitter_s, double loss);
API void only_wake(double interval_s, double *late_s, int64_t count);
API int64_t bare_hops(const int32_t *next_end, const int32_t *peer, const double *delay_s, int32_t ends, int32_t nodes,
                      int32_t dests, const int32_t *node_of_dest, int32_t packets, int64_t hops);

typedef struct {
    double t_s, step_s;         /* time played so far, and how much of it is played at once */
    int64_t steps, threads;
    const int32_t *end_of_node; /* on which a live node sends, and its address */
    const uint8_t *ipv4;
    const int32_t *live;
    int64_t live_count;
    uint8_t *junk;              /* written before each step, so that caches forget the engine */
    uint64_t junk_bytes;
    engine_delivery *room;
    uint8_t *bytes;
    int64_t most, bytes_room;
    int64_t wall_ns, cpu_ns;    /* spent in the engine by the clock, and of the processor by this thread */
} load;

API void play_load(engine *e, load *l);

static int64_t read_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int64_t now_ns(void) { return read_ns(CLOCK_MONOTONIC); }

static uint32_t draw(void)
{
    static uint32_t state = 2463534242u;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

/* ---- a relay that is nothing but its system calls, and never sleeps ---- */

#define HELD 8192
#define SLOT 2048

typedef struct { uint8_t data[HELD][SLOT]; ssize_t bytes[HELD]; int64_t due_ns[HELD]; uint32_t first, count; } flight;

static void pass(flight *f, int from, int to, int64_t delay_ns)
{
    while (f->count < HELD) {
        uint32_t at = (f->first + f->count) % HELD;
        f->bytes[at] = read(from, f->data[at], SLOT);
        if (f->bytes[at] <= 0) break;
        if (!delay_ns) {
            if (write(to, f->data[at], (size_t)f->bytes[at]) < 0) return;
            continue;
        }
        f->due_ns[at] = now_ns() + delay_ns;
        f->count++;
    }
    while (f->count && f->due_ns[f->first] <= now_ns()) {
        if (write(to, f->data[f->first], (size_t)f->bytes[f->first]) < 0) return;
        f->first = (f->first + 1) % HELD;
        f->count--;
    }
}

/* Packets from a to b and from b to a, each delay_s after it was read. Does not return. */
void bare_relay(int a, int b, double delay_s)
{
    flight *there = calloc(1, sizeof *there), *back = calloc(1, sizeof *back);
    int64_t delay_ns = (int64_t)(delay_s * 1e9);
    while (there && back) {
        pass(there, a, b, delay_ns);
        pass(back, b, a, delay_ns);
    }
}

/* ---- a network between two UDP sockets ---- */

/* Takes what has come from one side, due delay_ns +- jitter_ns later, never before what came earlier. */
static void take_in(flight *f, int from, int64_t delay_ns, int64_t jitter_ns)
{
    while (f->count < HELD) {
        uint32_t at = (f->first + f->count) % HELD, before = (at + HELD - 1) % HELD;
        f->bytes[at] = read(from, f->data[at], SLOT);
        if (f->bytes[at] <= 0) return;
        f->due_ns[at] = now_ns() + delay_ns + (int64_t)((draw() / 2147483648.0 - 1.0) * (double)jitter_ns);
        if (f->count && f->due_ns[at] < f->due_ns[before]) f->due_ns[at] = f->due_ns[before];
        f->count++;
    }
}

static void give_out(flight *f, int to, double loss, int64_t *next_ns)
{
    while (f->count && f->due_ns[f->first] <= now_ns()) {
        bool lost = draw() < loss * 4294967296.0;
        if (!lost && write(to, f->data[f->first], (size_t)f->bytes[f->first]) < 0) {} /* full: as a network would, it loses it */
        f->first = (f->first + 1) % HELD;
        f->count--;
    }
    if (f->count && f->due_ns[f->first] < *next_ns) *next_ns = f->due_ns[f->first];
}

/* Datagrams between two connected, non-blocking sockets, each delay_s +- jitter_s (uniform) late, or lost with a
 * probability. Does not return. */
void delay_datagrams(int a, int b, double delay_s, double jitter_s, double loss)
{
    flight *there = calloc(1, sizeof *there), *back = calloc(1, sizeof *back);
    int64_t delay_ns = (int64_t)(delay_s * 1e9), jitter_ns = (int64_t)(jitter_s * 1e9);
    prctl(PR_SET_TIMERSLACK, 1UL);
    while (there && back) {
        int64_t next_ns = INT64_MAX;
        take_in(there, a, delay_ns, jitter_ns);
        take_in(back, b, delay_ns, jitter_ns);
        give_out(there, b, loss, &next_ns);
        give_out(back, a, loss, &next_ns);
        int64_t wait_ns = next_ns == INT64_MAX ? 1000000000 : next_ns - now_ns();
        struct pollfd both[2] = {{a, POLLIN, 0}, {b, POLLIN, 0}};
        struct timespec wait = {wait_ns / 1000000000, wait_ns > 0 ? wait_ns % 1000000000 : 0};
        if (wait_ns > 0) ppoll(both, 2, &wait, NULL);
    }
}

/* ---- a thread that does nothing but wake in time ---- */

/* How late it wakes from `count` sleeps, each until a time that was set before. */
void only_wake(double interval_s, double *late_s, int64_t count)
{
    prctl(PR_SET_TIMERSLACK, 1UL);
    int64_t due_ns = now_ns();
    for (int64_t n = 0; n < count; n++) {
        due_ns += (int64_t)(interval_s * 1e9);
        struct timespec due = {due_ns / 1000000000, due_ns % 1000000000};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL)) {}
        late_s[n] = (double)(now_ns() - due_ns) * 1e-9;
    }
}

/* ---- hops without an engine: a binary heap of packets, a route, a rate, a delay ---- */

typedef struct { double at_s; int32_t node, dest; } bare;

static void sift(bare *heap, int32_t count, bare moving)
{
    int32_t at = 0;
    for (int32_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && heap[child + 1].at_s < heap[child].at_s) child++;
        if (heap[child].at_s >= moving.at_s) break;
        heap[at] = heap[child];
    }
    heap[at] = moving;
}

/* Nanoseconds of the processor that so many hops take. */
int64_t bare_hops(const int32_t *next_end, const int32_t *peer, const double *delay_s, int32_t ends, int32_t nodes,
                  int32_t dests, const int32_t *node_of_dest, int32_t packets, int64_t hops)
{
    double *idle_s = calloc((size_t)ends, sizeof *idle_s);
    bare *heap = calloc((size_t)packets, sizeof *heap);
    if (!idle_s || !heap) return -1;
    for (int32_t n = 0; n < packets; n++)
        heap[n] = (bare){n * 1e-6, node_of_dest[draw() % (uint32_t)dests], (int32_t)(draw() % (uint32_t)dests)};
    int64_t began_ns = read_ns(CLOCK_THREAD_CPUTIME_ID);
    for (int64_t n = 0; n < hops; n++) {
        bare p = heap[0];
        while (p.node == node_of_dest[p.dest]) p.dest = (int32_t)(draw() % (uint32_t)dests);
        int32_t end = next_end[(int64_t)p.dest * nodes + p.node];
        double leaves_s = (p.at_s > idle_s[end] ? p.at_s : idle_s[end]) + 128 * 8e-9;
        idle_s[end] = leaves_s;
        p.at_s = leaves_s + delay_s[end];
        p.node = peer[end];
        sift(heap, packets, p);
    }
    int64_t took_ns = read_ns(CLOCK_THREAD_CPUTIME_ID) - began_ns;
    free(idle_s);
    free(heap);
    return took_ns;
}

/* ---- a load on the engine in memory ---- */

static void send_on(engine *e, load *l)
{
    for (int64_t count; (count = engine_take(e, l->room, l->most, l->bytes, (uint64_t)l->bytes_room)) > 0;) {
        for (int64_t n = 0; n < count; n++) {
            const engine_delivery *d = &l->room[n];
            uint8_t *data = l->bytes + d->offset;
            int32_t from = d->node, to;
            do to = l->live[draw() % (uint64_t)l->live_count];
            while (to == from);
            data[VIRTIO + 8] = 255; /* ways over the larger torus have more than 64 hops */
            memcpy(data + VIRTIO + 16, l->ipv4 + 4 * to, 4);
            engine_offer(e, l->end_of_node[from], l->t_s, data, d->bytes, d->size, -1, 0);
        }
    }
}

/* Plays `steps` steps. Sending packets on from live nodes is not counted. */
void play_load(engine *e, load *l)
{
    for (int64_t n = 0; n < l->steps; n++) {
        if (l->junk_bytes) memset(l->junk, (int)n, l->junk_bytes);
        l->t_s += l->step_s;
        int64_t began_ns = now_ns(), cpu_ns = read_ns(CLOCK_THREAD_CPUTIME_ID);
        engine_play(e, l->t_s, (int)l->threads);
        l->cpu_ns += read_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
        l->wall_ns += now_ns() - began_ns;
        send_on(e, l);
    }
}
