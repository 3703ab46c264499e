/* A lane in real time: turns that give out what is due, obey orders, read ports, and sleep until there is more.
 *
 * Invariant: an order that was sent before a packet is obeyed before that packet is read. While due packets lag by more
 * than LAG_S ports are not read: the kernel drops and counts what its queues cannot hold, and nothing is late by seconds.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core.h"

#define LAG_S 2e-3
#define PLAY_BATCH 2048       /* timers between two looks at orders and ports */
#define EVENTS 64             /* that one turn takes, and ports that it reads */
#define LONGEST_SLEEP_S 0.05  /* figures of itself are brought up to date so often */
#define NOTE_S 1e-3           /* between two looks at the processor time it has had, which cost a system call */
#define SPIN_SHARE 0.05       /* of a core, spent awake before deliveries to ports */
#define SPIN_INTERVAL_S 0.25
#define SPIN_MOST_S 250e-6
#define REALTIME_SHARE 0.8    /* of a core in an interval; a lane that takes more leaves the real-time class */

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

double thread_cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- scheduling ---- */

struct sched_attributes { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t priority; uint64_t runtime, deadline, period; };

/* A slice of 100 us (Linux 6.12 and later; older kernels ignore it) lets a waking thread come sooner. */
static void be_prompt(void)
{
    struct sched_attributes a = {.size = sizeof a, .policy = SCHED_OTHER, .nice = getpriority(PRIO_PROCESS, 0), .runtime = 100000};
    syscall(SYS_sched_setattr, 0, &a, 0);
    prctl(PR_SET_TIMERSLACK, 1UL);
}

static bool set_class(int policy, int priority)
{
    struct sched_param p = {.sched_priority = priority};
    return syscall(SYS_sched_setscheduler, 0, policy | SCHED_RESET_ON_FORK, &p) == 0;
}

/* A real-time thread could starve the machine, so three things bound it: it leaves its class when it takes more than
 * REALTIME_SHARE of a core over an interval; after RTTIME_US without sleep a signal makes all leave at once, whoever
 * gets to run; and should that fail the kernel ends the process. */
#define RTTIME_US 200000

static _Atomic pid_t realtime_threads[64];

static void leave_all(int signal_number)
{
    (void)signal_number;
    int kept = errno;
    struct sched_param p = {.sched_priority = 0};
    for (int n = 0; n < 64; n++) {
        pid_t thread = atomic_exchange(&realtime_threads[n], 0);
        if (thread) syscall(SYS_sched_setscheduler, thread, SCHED_OTHER, &p);
    }
    errno = kept;
}

static void enter_realtime(lane *l)
{
    struct rlimit limit = {RTTIME_US, 5 * RTTIME_US};
    struct sigaction action = {.sa_handler = leave_all, .sa_flags = SA_RESTART};
    if (sigaction(SIGXCPU, &action, NULL) || setrlimit(RLIMIT_RTTIME, &limit) || !set_class(SCHED_FIFO, 1)) return;
    atomic_store(&realtime_threads[l->index], (pid_t)syscall(SYS_gettid));
    l->report.realtime = 1;
}

static void leave_realtime(lane *l)
{
    if (!l->report.realtime) return;
    atomic_store(&realtime_threads[l->index], 0);
    set_class(SCHED_OTHER, 0);
    be_prompt();
    l->report.realtime = 0;
}

/* ---- turns ---- */

static void obey_orders(lane *l)
{
    int64_t done = atomic_load_explicit(&l->obeyed, memory_order_relaxed);
    int64_t ordered = atomic_load_explicit(&l->ordered, memory_order_acquire);
    if (done == ordered) return;
    while (done < ordered) lane_obey(l, &l->orders[done++ % ORDERS], lane_now_s(l));
    if (l->overrides_changed) batching_update(l);
    l->report.obeyed = done;
    atomic_store(&l->obeyed, done);
    eventfd_write(l->e->order_fd, 1);
}

/* The begin of a step, where links move between lanes: each waits for the others, and the last gives senders their new
 * owners. */
static void meet(lane *l, int64_t step)
{
    engine *e = l->e;
    lane_play(l, step_begin_s(e, step), true, UINT64_MAX);
    if (atomic_fetch_add(&e->met_count, 1) + 1 == e->config.lanes) {
        for (int n = 0; n < e->config.lanes; n++) handovers_take(&e->lanes[n]);
        step_change(e, step);
        atomic_store(&e->met_count, 0);
        atomic_store(&e->met_step, step);
        return;
    }
    while (atomic_load(&e->met_step) < step && !atomic_load(&l->stopped)) {
        struct timespec nap = {0, 20000};
        clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
    }
}

static bool plays_trunks(const lane *l) { return !l->index && l->e->trunks; }

static double next_meeting_s(const lane *l)
{
    const engine *e = l->e;
    if (!e->meets) return INFINITY;
    int64_t step = atomic_load(&e->met_step) + 1;
    return step ? step_begin_s(e, step) : -INFINITY;
}

enum { GATE = -1, WOKEN = -2, TRUNK = -3 /* and below: TRUNK - place */ };

/* Notes what has come. Ports say once that packets are there; until they are seen to be empty they stay in `unread`. */
static void note_events(lane *l, const struct epoll_event *events, int count)
{
    l->gate = false;
    for (int n = 0; n < count; n++) {
        int32_t place = (int32_t)events[n].data.u64;
        if (place >= 0) {
            unread_add(l, place);
        } else if (place == GATE) {
            l->gate = true;
        } else if (place <= TRUNK) {
            l->called |= 1ull << (TRUNK - place);
        } else {
            eventfd_t value;
            eventfd_read(l->wake_fd, &value);
        }
    }
    if (atomic_load(&l->e->gate)) l->gate = true; /* an order waits in the control socket, or is just being handed over */
}

static void read_ports(lane *l)
{
    for (int32_t n = l->unread_count < EVENTS ? l->unread_count : EVENTS; n > 0; n--) {
        int32_t place = unread_take(l);
        if (port_read(l, place)) unread_add(l, place);
    }
}

static void note_self(lane *l, double now_s)
{
    engine_lane_report *r = &l->report;
    double cpu_s = thread_cpu_s();
    r->cpu_s = cpu_s;
    r->now_s = now_s;
    r->late_rows = l->rows.late;
    r->pool_small = pool_held(&l->pool, false);
    r->pool_large = pool_held(&l->pool, true);
    l->noted_slept_s = r->slept_s;
    if (now_s - l->spin_at_s < SPIN_INTERVAL_S) return;
    if (l->report.realtime && !atomic_load(&realtime_threads[l->index])) leave_realtime(l);
    if (cpu_s - l->interval_cpu_s > REALTIME_SHARE * (now_s - l->spin_at_s)) leave_realtime(l);
    l->spin_left_s = SPIN_SHARE * SPIN_INTERVAL_S;
    l->spin_at_s = now_s;
    l->interval_cpu_s = cpu_s;
}

/* Collects what comes within `seconds`, into `events`; returns how many. */
static int wait_for(lane *l, double seconds, struct epoll_event *events)
{
    int64_t whole = (int64_t)seconds;
    struct { int64_t seconds, nanoseconds; } timeout = {whole, (int64_t)((seconds - (double)whole) * 1e9)};
    long count = syscall(SYS_epoll_pwait2, l->epoll, events, EVENTS, &timeout, NULL, 0);
    if (count < 0 && errno == ENOSYS) /* before Linux 5.11: up to a millisecond early, then awake */
        count = epoll_wait(l->epoll, events, EVENTS, (int)(seconds * 1e3));
    return count < 0 ? 0 : (int)count;
}

/* Until when the lane may sleep: a little less before deliveries to ports, with the rest spent awake. 0: it may not. */
static double bedtime(lane *l, double now_s, double meeting_s, double *early_s)
{
    bool exact;
    double until_s = wheel_wake_s(&l->wheel, l->rows.batching_s, &exact);
    if (meeting_s < until_s) until_s = meeting_s;
    double trunks_s = plays_trunks(l) ? trunks_wake_s(l, now_s) : INFINITY;
    if (trunks_s < until_s) {
        until_s = trunks_s;
        exact = false;
    }
    if (now_s + LONGEST_SLEEP_S < until_s) {
        until_s = now_s + LONGEST_SLEEP_S;
        exact = false;
    }
    *early_s = exact && l->spin_left_s > 0.0 ? l->early_s : 0.0;
    if (until_s - now_s > *early_s) return until_s;
    if (until_s != l->spun_until_s && until_s > now_s) {
        l->spun_until_s = until_s;
        l->spin_left_s -= until_s - now_s;
    }
    return 0.0;
}

/* Sleeps until something is due, or comes; returns how many events came. */
static int sleep_until(lane *l, double until_s, double early_s, struct epoll_event *events)
{
    double now_s = lane_now_s(l);
    if (l->e->config.lanes > 1) {
        atomic_store(&l->sleeps_until_ns, (int64_t)(until_s * 1e9));
        atomic_thread_fence(memory_order_seq_cst);
        if (handovers_take(l)) {
            atomic_store(&l->sleeps_until_ns, INT64_MIN);
            return 0;
        }
    }
    double seconds = until_s - early_s - now_s;
    int count = wait_for(l, seconds > 0.0 ? seconds : 0.0, events);
    atomic_store(&l->sleeps_until_ns, INT64_MIN);
    double woken_s = l->now_s = lane_now_s(l);
    l->report.wakeups++;
    l->report.slept_s += woken_s - now_s;
    l->overslept_s = woken_s > until_s ? woken_s - until_s : 0.0;
    l->capture_s = 0.0;
    if (woken_s - l->report.now_s > NOTE_S) note_self(l, woken_s);
    if (early_s > 0.0) { /* follow the time that waking up takes, so that some 9 of 10 wakings are in time */
        double over_s = woken_s - (until_s - early_s);
        if (over_s > early_s) l->early_s = early_s * 1.18 + 1e-6 < SPIN_MOST_S ? early_s * 1.18 + 1e-6 : SPIN_MOST_S;
        else if (over_s >= 0.0) l->early_s = early_s * 0.98 > 5e-6 ? early_s * 0.98 : 5e-6;
    }
    return count;
}

static void turn_ended(lane *l, double began_s, double now_s)
{
    int64_t took_ns = (int64_t)((now_s - began_s) * 1e9);
    int64_t longest_ns = atomic_load_explicit(&l->turn_max_ns, memory_order_relaxed);
    while (took_ns > longest_ns && !atomic_compare_exchange_weak(&l->turn_max_ns, &longest_ns, took_ns)) {}
    if (++l->report.turns % 64 == 0 && now_s - l->report.now_s > LONGEST_SLEEP_S) note_self(l, now_s);
}

static void play(lane *l)
{
    struct epoll_event events[EVENTS];
    while (!atomic_load_explicit(&l->stopped, memory_order_relaxed)) {
        double now_s = l->now_s = lane_now_s(l), meeting_s = next_meeting_s(l), until_s = 0.0, early_s = 0.0;
        if (now_s >= meeting_s) {
            meet(l, atomic_load(&l->e->met_step) + 1);
            continue;
        }
        bool crowded = lane_play(l, now_s, false, PLAY_BATCH) == PLAY_BATCH;
        bool lagging = crowded && wheel_next_s(&l->wheel) < lane_now_s(l) - LAG_S;
        bool busy = crowded || l->gate || l->unread_count;
        if (l->e->config.lanes > 1 && handovers_take(l)) busy = true;
        if (!busy) until_s = bedtime(l, lane_now_s(l), meeting_s, &early_s);
        if (until_s > 0.0) turn_ended(l, now_s, lane_now_s(l));
        int count = until_s > 0.0 ? sleep_until(l, until_s, early_s, events) : epoll_wait(l->epoll, events, EVENTS, 0);
        note_events(l, events, count);
        obey_orders(l);
        if (l->called) trunks_read(l);
        if (plays_trunks(l) && trunks_full(l->e)) lagging = true; /* another host does not keep up */
        if (l->gate) sched_yield(); /* it is a matter of microseconds */
        else if (!lagging) read_ports(l);
        if (plays_trunks(l)) trunks_transmit(l);
        double after_s = lane_now_s(l);
        if (lagging) l->report.overloaded_s += after_s - now_s;
        turn_ended(l, l->now_s, after_s);
    }
}

/* ---- begin and end ---- */

static bool watch(lane *l, int fd, int32_t place)
{
    struct epoll_event event = {.events = place < 0 ? EPOLLIN : EPOLLIN | EPOLLET, .data.u64 = (uint64_t)(int64_t)place};
    return epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool watch_all(lane *l, int gate_fd)
{
    const engine_config *c = &l->e->config;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll < 0 || !watch(l, l->wake_fd, WOKEN)) return false;
    if (gate_fd >= 0 && !watch(l, gate_fd, GATE)) return false;
    for (int32_t n = 0; n < c->ports; n++)
        if (c->port[n].fd >= 0 && l->e->lane_of_node[c->port[n].node] == l->index && !watch(l, c->port[n].fd, n)) return false;
    for (int n = 0; plays_trunks(l) && n < c->trunks; n++)
        if (c->trunk[n].fd >= 0 && !watch(l, c->trunk[n].fd, TRUNK - n)) return false;
    return true;
}

int engine_run(engine *e, int index, int64_t t0_ns, int gate_fd, int realtime)
{
    lane *l = &e->lanes[index];
    l->t0_ns = t0_ns;
    if (plays_trunks(l)) trunks_begin(l);
    l->now_s = l->spin_at_s = lane_now_s(l);
    l->spin_left_s = SPIN_SHARE * SPIN_INTERVAL_S;
    int status = watch_all(l, gate_fd) ? 0 : errno;
    if (!status) {
        be_prompt();
        if (realtime) enter_realtime(l);
        note_self(l, l->now_s);
        play(l);
        note_self(l, lane_now_s(l));
    }
    leave_realtime(l);
    if (l->epoll >= 0) close(l->epoll);
    l->epoll = -1;
    return status;
}
