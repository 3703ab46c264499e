/* A monotonic clock that drifts, or stands still for a while as that of a paused machine: preloaded by other_clocks.py.
 *
 * SHIFTED_CLOCK is "origin rate from pause": from the kernel's reading `origin` on it gains `rate` (s/s), and at the
 * kernel's reading `from` it stands still for `pause`; all in ns. Without it the clock is the kernel's.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>

static int (*kernel_gettime)(clockid_t, struct timespec *);
static int (*kernel_settime)(int, int, const struct itimerspec *, struct itimerspec *);
static double rate;
static int64_t origin, from = INT64_MAX, pause_ns;

void shifted_clock_read(void)
{
    const char *text = getenv("SHIFTED_CLOCK");
    long long o, f, p;
    if (text && sscanf(text, "%lld %lf %lld %lld", &o, &rate, &f, &p) == 4) origin = o, from = f, pause_ns = p;
}

__attribute__((constructor)) static void begin(void)
{
    kernel_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    kernel_settime = (int (*)(int, int, const struct itimerspec *, struct itimerspec *))dlsym(RTLD_NEXT, "timerfd_settime");
    shifted_clock_read();
}

static int64_t gained(int64_t kernel) { return (int64_t)((double)(kernel - origin) * rate); }

static int64_t shifted(int64_t kernel)
{
    int64_t stood = kernel - from;
    if (kernel < from) stood = 0;
    if (stood > pause_ns) stood = pause_ns;
    return kernel + gained(kernel) - stood;
}

static int64_t kernel_at(int64_t reading)
{
    int64_t kernel = reading - gained(reading);
    return kernel < from ? kernel : kernel + pause_ns;
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
    int status = kernel_gettime(clock, out);
    if (status || clock != CLOCK_MONOTONIC || !origin) return status;
    int64_t reading = shifted((int64_t)out->tv_sec * 1000000000 + out->tv_nsec);
    out->tv_sec = reading / 1000000000;
    out->tv_nsec = reading % 1000000000;
    return 0;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old)
{
    struct itimerspec spec = *new;
    if ((flags & TFD_TIMER_ABSTIME) && origin && (spec.it_value.tv_sec || spec.it_value.tv_nsec > 1)) {
        int64_t kernel = kernel_at((int64_t)spec.it_value.tv_sec * 1000000000 + spec.it_value.tv_nsec);
        if (kernel < 1) kernel = 1;
        spec.it_value.tv_sec = kernel / 1000000000;
        spec.it_value.tv_nsec = kernel % 1000000000;
    }
    return kernel_settime(fd, flags, &spec, old);
}
