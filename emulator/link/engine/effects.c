/* Random effects of a link end: loss, burst loss, duplication, corruption, jitter.
 *
 * Invariant: each effect draws from a stream of its own, named by seed, end and effect, and draws for every packet that
 * reaches it: equal seeds and equal packets give equal decisions, whatever the other effects are set to.
 */
#include <stdlib.h>

#include "core.h"

static const char *const names[STREAMS] = {"loss", "burst", "duplicate", "corrupt", "jitter"};

static double draw(lane *l, int32_t end, int which)
{
    chain *c = l->e->sent[end].chain;
    if (!c->of[which]) {
        const engine_end *config = &l->e->config.end[end];
        uint8_t label[1024];
        size_t length = strlen(names[which]);
        if (!(c->of[which] = malloc(sizeof(stream)))) return 1.0; /* no memory: the effect does not happen */
        memcpy(label, l->e->config.labels + config->label, config->label_bytes);
        memcpy(label + config->label_bytes, names[which], length);
        stream_seed(c->of[which], label, config->label_bytes + (uint32_t)length);
    }
    return stream_next(c->of[which]);
}

/* One step of the Gilbert-Elliott chain: the state changes first, then the packet meets the new state. */
static bool lost_in_burst(lane *l, int32_t end, const engine_end *c)
{
    chain *state = l->e->sent[end].chain;
    if (draw(l, end, STREAM_BURST) < (state->bad ? c->bad_to_good : c->good_to_bad)) state->bad = !state->bad;
    return draw(l, end, STREAM_BURST) < (state->bad ? c->loss_bad : c->loss_good);
}

static uint32_t duplicate(lane *l, uint32_t number)
{
    const packet *q = pool_at(&l->pool, number);
    uint32_t twin = pool_take(&l->pool, q->bytes);
    if (twin == NONE) return NONE;
    packet *p = pool_at(&l->pool, twin);
    uint8_t *data = p->data;
    *p = *q;
    p->data = data;
    memcpy(data, q->data, q->bytes);
    return twin;
}

int effects_copies(lane *l, int32_t end, uint32_t number, double loss, copy out[2])
{
    const engine_end *c = &l->e->config.end[end];
    sending *s = &l->e->sent[end];
    double *cells = sent_cells(l->e, end);
    if (!s->chain && !(s->chain = calloc(1, sizeof(chain)))) return 1;
    if (loss > 0.0 && draw(l, end, STREAM_LOSS) < loss) return 0;
    if (c->flags & END_BURST_LOSS && lost_in_burst(l, end, c)) return 0;
    int count = 1;
    if (c->duplicate > 0.0 && draw(l, end, STREAM_DUPLICATE) < c->duplicate) {
        count = 2;
        cells[SENT_DUPLICATED] += 1.0;
        out[1].number = duplicate(l, number);
    }
    uint32_t ip = c->flags & END_ETHERNET ? VIRTIO + ETHERNET : VIRTIO;
    for (int n = 0; n < count; n++) {
        if (c->corrupt > 0.0 && draw(l, end, STREAM_CORRUPT) < c->corrupt) {
            double where = draw(l, end, STREAM_CORRUPT);
            const packet *q = out[n].number == NONE ? NULL : pool_at(&l->pool, out[n].number);
            if (q && packet_flip(q->data, q->bytes, ip, where)) cells[SENT_CORRUPTED] += 1.0;
        }
        if (c->jitter_s > 0.0) out[n].jitter_s = draw(l, end, STREAM_JITTER) * 2.0 * c->jitter_s;
    }
    if (count == 2 && out[1].number == NONE) { /* no memory for the twin */
        cells[SENT_DROP_OVERLOAD] += 1.0;
        count = 1;
    }
    return count;
}
