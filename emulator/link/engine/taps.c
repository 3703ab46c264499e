/* Captures: what crosses tapped link ends, in a ring of each lane and tap that Python's thread empties.
 *
 * Invariant: a tap never stops a lane; what finds no room in its ring is counted.
 */
#include <stdlib.h>

#include "core.h"

#define TIMED 16 /* of so many tapped packets one is timed, and stands for the others */

static void keep(tap *t, uint32_t mark, double left_s, const packet *q)
{
    tap_record record = {left_s, mark, q->bytes < t->cut ? q->bytes : t->cut, q->bytes, 0};
    uint8_t *at = byte_ring_begin(&t->ring, sizeof record + record.kept);
    if (!at) {
        atomic_fetch_add_explicit(&t->lost, 1, memory_order_relaxed);
        return;
    }
    memcpy(at, &record, sizeof record);
    memcpy(at + sizeof record, q->data, record.kept);
    byte_ring_done(&t->ring, sizeof record + record.kept);
}

void tap_packet(lane *l, uint32_t taps, int32_t end, int cause, double left_s, const packet *q)
{
    if (!taps) return;
    bool timed = l->e->realtime && l->tapped++ % TIMED == 0;
    double began_s = timed ? lane_now_s(l) : 0.0;
    for (; taps; taps &= taps - 1) {
        tap *t = atomic_load_explicit(&l->taps[__builtin_ctz(taps)], memory_order_acquire);
        if (t) keep(t, (uint32_t)end << 8 | (uint32_t)cause, left_s, q);
    }
    if (timed) l->capture_s += TIMED * (lane_now_s(l) - began_s);
}

static void tap_free(tap *t)
{
    if (!t) return;
    byte_ring_close(&t->ring);
    free(t);
}

void taps_close(lane *l)
{
    for (int n = 0; n < TAPS; n++) tap_free(atomic_exchange(&l->taps[n], NULL));
}

int engine_tap_open(engine *e, int number, uint64_t room, uint32_t snaplen)
{
    if (number < 0 || number >= TAPS || atomic_load(&e->lanes[0].taps[number])) return 0;
    for (int n = 0; n < e->config.lanes; n++) {
        tap *t = calloc(1, sizeof *t);
        if (!t || !byte_ring_open(&t->ring, room)) {
            tap_free(t);
            engine_tap_close(e, number);
            return 0;
        }
        t->cut = snaplen ? VIRTIO + snaplen : UINT32_MAX;
        atomic_store_explicit(&e->lanes[n].taps[number], t, memory_order_release);
    }
    return 1;
}

/* For when no end names the tap any more: every lane has obeyed the order that says so. */
void engine_tap_close(engine *e, int number)
{
    for (int n = 0; n < e->config.lanes; n++) tap_free(atomic_exchange(&e->lanes[n].taps[number], NULL));
}

int64_t engine_tap_lost(engine *e, int number)
{
    int64_t lost = 0;
    for (int n = 0; n < e->config.lanes; n++) {
        tap *t = atomic_load_explicit(&e->lanes[n].taps[number], memory_order_acquire);
        if (t) lost += atomic_load_explicit(&t->lost, memory_order_relaxed);
    }
    return lost;
}

typedef struct { uint32_t magic, count; uint64_t bytes, lost; } batch_head;
#define COLUMNS_BYTES 20u /* left_s, mark, captured, original */

/* Moves records into a batch until the ring is empty or the room is used up. The records come one behind the other, the
 * batch has a column for each field: their number must be known first. */
static uint64_t drain(tap *t, uint8_t *out, uint64_t room, int64_t lost)
{
    batch_head head = {TAP_MAGIC, 0, 0, (uint64_t)lost};
    uint64_t bytes, kept_read = atomic_load_explicit(&t->ring.read, memory_order_relaxed);
    byte_ring view = {.bytes = t->ring.bytes, .room = t->ring.room};
    atomic_init(&view.read, kept_read);
    atomic_init(&view.written, atomic_load_explicit(&t->ring.written, memory_order_acquire));
    tap_record r;
    for (const uint8_t *at; (at = byte_ring_peek(&view, &bytes)); byte_ring_drop(&view, bytes)) {
        memcpy(&r, at, sizeof r);
        if (sizeof head + (head.count + 1ull) * COLUMNS_BYTES + head.bytes + r.kept > room) break;
        head.count++;
        head.bytes += r.kept;
    }
    if (!head.count) return 0;
    memcpy(out, &head, sizeof head);
    uint8_t *left = out + sizeof head, *marks = left + 8ull * head.count, *kept = marks + 4ull * head.count;
    uint8_t *original = kept + 4ull * head.count, *data = original + 4ull * head.count;
    for (uint32_t n = 0; n < head.count; n++) {
        const uint8_t *at = byte_ring_peek(&t->ring, &bytes);
        memcpy(&r, at, sizeof r);
        memcpy(left + 8ull * n, &r.left_s, 8);
        memcpy(marks + 4ull * n, &r.mark, 4);
        memcpy(kept + 4ull * n, &r.kept, 4);
        memcpy(original + 4ull * n, &r.original, 4);
        memcpy(data, at + sizeof r, r.kept);
        data += r.kept;
        byte_ring_drop(&t->ring, bytes);
    }
    return (uint64_t)(data - out);
}

uint64_t engine_tap_drain(engine *e, int number, uint8_t *out, uint64_t room)
{
    int64_t lost = engine_tap_lost(e, number);
    for (int n = 0; n < e->config.lanes; n++) {
        tap *t = atomic_load_explicit(&e->lanes[n].taps[number], memory_order_acquire);
        uint64_t bytes = t ? drain(t, out, room, lost) : 0;
        if (bytes) return bytes;
    }
    return 0;
}
