/* Memory for packets: slots of two sizes, taken from the top of a stack of free ones.
 *
 * Invariant: what a lane holds is bounded by its slots; a packet that finds none is dropped by whoever asked.
 */
#include <sys/mman.h>

#include "core.h"

static void *reserve(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

static void release(void *at, size_t bytes)
{
    if (at) munmap(at, bytes);
}

bool pool_open(pool *p, uint32_t small_slots, uint32_t large_slots)
{
    size_t metas = (size_t)small_slots + large_slots;
    memset(p, 0, sizeof *p);
    p->small_slots = small_slots;
    p->large_slots = large_slots;
    p->meta = reserve(metas * sizeof(packet));
    p->small = reserve((size_t)small_slots * SMALL_BYTES);
    p->large = reserve((size_t)large_slots * LARGE_BYTES);
    p->free_small = reserve((size_t)small_slots * sizeof(uint32_t));
    p->free_large = reserve((size_t)large_slots * sizeof(uint32_t));
    if (!p->meta || !p->small || !p->large || !p->free_small || !p->free_large) {
        pool_close(p);
        return false;
    }
#ifdef MADV_HUGEPAGE
    madvise(p->meta, metas * sizeof(packet), MADV_HUGEPAGE); /* each hop reads a packet's 64 bytes somewhere in here */
#endif
    return true;
}

void pool_close(pool *p)
{
    size_t metas = (size_t)p->small_slots + p->large_slots;
    release(p->meta, metas * sizeof(packet));
    release(p->small, (size_t)p->small_slots * SMALL_BYTES);
    release(p->large, (size_t)p->large_slots * LARGE_BYTES);
    release(p->free_small, (size_t)p->small_slots * sizeof(uint32_t));
    release(p->free_large, (size_t)p->large_slots * sizeof(uint32_t));
    memset(p, 0, sizeof *p);
}

static uint32_t take(uint32_t *stack, uint32_t *height, uint32_t *touched, uint32_t slots)
{
    if (*height) return stack[--*height];
    return *touched < slots ? (*touched)++ : NONE;
}

uint32_t pool_take(pool *p, uint32_t bytes)
{
    uint32_t number;
    if (bytes <= SMALL_BYTES) {
        number = take(p->free_small, &p->small_free, &p->small_touched, p->small_slots);
        if (number != NONE) p->meta[number].data = p->small + (size_t)number * SMALL_BYTES;
        return number;
    }
    if (bytes > LARGE_BYTES) return NONE;
    number = take(p->free_large, &p->large_free, &p->large_touched, p->large_slots);
    if (number == NONE) return NONE;
    p->meta[p->small_slots + number].data = p->large + (size_t)number * LARGE_BYTES;
    return p->small_slots + number;
}

void pool_give(pool *p, uint32_t number)
{
    if (number < p->small_slots)
        p->free_small[p->small_free++] = number;
    else
        p->free_large[p->large_free++] = number - p->small_slots;
}

uint32_t pool_held(const pool *p, bool large)
{
    return large ? p->large_touched - p->large_free : p->small_touched - p->small_free;
}
