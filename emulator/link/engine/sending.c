/* The sending half of a link end: queue, transmitter, loss, and the departure with its delay.
 *
 * Departures up to t are computed when t is asked for, from logical times: a packet leaves at max(its offer, the
 * departure before) + bytes x seconds_per_byte, integrated over every change of rate, and is due at the far node after
 * the delay that holds when it leaves. Invariant: however late the lane plays, these times are the same; a change of
 * values applies to packets that have not left by then.
 */
#include "core.h"

static uint32_t ip_of(const engine *e, int32_t end) { return flag(e, end, END_ETHERNET) ? VIRTIO + ETHERNET : VIRTIO; }

static void drop(lane *l, int32_t end, uint32_t number, int cause, double t_s)
{
    static const uint8_t cell[] = {[CAUSE_QUEUE] = SENT_DROP_QUEUE, [CAUSE_LOSS] = SENT_DROP_LOSS,
                                   [CAUSE_OUTAGE] = SENT_DROP_OUTAGE, [CAUSE_OVERLOAD] = SENT_DROP_OVERLOAD};
    sending *s = &l->e->sent[end];
    sent_cells(l->e, end)[cell[cause]] += 1.0;
    if (s->taps) tap_packet(l, s->taps, end, cause, t_s, pool_at(&l->pool, number));
    pool_give(&l->pool, number);
}

/* ---- departure ---- */

static void depart(lane *l, int32_t end, sending *s, uint32_t number, double departs_s)
{
    double delay_s = s->base_s + s->slope * departs_s, *cells = sent_cells(l->e, end);
    copy copies[2] = {{number, 0.0}, {NONE, 0.0}};
    int count = 1;
    if (s->flags & (PER_PACKET | LOSSY)) count = effects_copies(l, end, number, s->loss, copies);
    if (!count) drop(l, end, number, CAUSE_LOSS, departs_s);
    for (int n = 0; n < count; n++) {
        packet *q = pool_at(&l->pool, copies[n].number);
        double due_s = departs_s + delay_s + copies[n].jitter_s;
        if (due_s < s->last_s && !(s->flags & OVERTAKES)) due_s = s->last_s; /* packets of a link keep their order */
        s->last_s = due_s;
        cells[SENT_DELAY_SUM_S] += delay_s + copies[n].jitter_s;
        if (s->taps) tap_packet(l, s->taps, end, CAUSE_SENT, departs_s, q);
        q->at_s = due_s;
        q->order = l->epoch;
        q->hops -= s->ttl_cost;
        q->node = s->peer;
        hand_over(l, end, copies[n].number);
    }
}

/* Departures up to t_s within the values that hold. */
static void serve(lane *l, int32_t end, sending *s, double t_s)
{
    double departs_s = s->departs_s;
    for (;;) {
        uint32_t number = list_remove(&s->queue, &l->pool, s->queue.head);
        depart(l, end, s, number, departs_s);
        s->idle_s = departs_s;
        if (s->queue.head == NONE) {
            s->departs_s = INFINITY;
            return;
        }
        const packet *head = pool_at(&l->pool, s->queue.head); /* enters the transmitter */
        s->queued_bytes -= head->size;
        s->left = head->size;
        s->since_s = head->at_s > departs_s ? head->at_s : departs_s;
        s->departs_s = departs_s = s->since_s + s->left * s->seconds_per_byte;
        if (departs_s > t_s || departs_s >= s->stop_s) return;
    }
}

/* ---- values ---- */

/* Takes off the head what was sent of it until t_s. */
static void account(sending *s, double t_s)
{
    if (s->queue.head == NONE || t_s <= s->since_s) return;
    if (s->flags & RUNNING) {
        double left = s->seconds_per_byte > 0.0 ? s->left - (t_s - s->since_s) / s->seconds_per_byte : 0.0;
        s->left = left > 0.0 ? left : 0.0;
    }
    s->since_s = t_s;
}

static void set_flag(sending *s, uint16_t which, bool on)
{
    s->flags = on ? s->flags | which : s->flags & (uint16_t)~which;
}

/* Brings in the values that hold at t_s, with overrides on top, and what they mean to the packets that wait. */
static void load(lane *l, int32_t end, sending *s, double t_s)
{
    holds h;
    schedule_at(l, end, t_s, &h);
    const override *o = l->overrides[end];
    uint32_t given = o ? o->given : 0;
    bool paused = o && o->paused;
    double rate_bps = given & VALUE_RATE ? o->rate_bps : h.rate_bps;
    bool up = (given & VALUE_UP ? o->up : h.up) && h.peer >= 0;
    s->peer = h.peer;
    s->stop_s = h.until_s;
    s->ttl_cost = h.ttl_cost;
    s->loss = given & VALUE_LOSS ? o->loss : h.loss;
    s->slope = 0.0;
    s->base_s = h.delay_start_s;
    if (given & VALUE_DELAY) {
        s->base_s = o->delay_s;
    } else if (h.delay_end_s != h.delay_start_s) {
        s->slope = (h.delay_end_s - h.delay_start_s) / (h.stop_s - h.start_s);
        s->base_s -= s->slope * h.start_s;
    }
    s->seconds_per_byte = rate_bps > 0.0 ? 8.0 / rate_bps : INFINITY;
    if (rate_bps > 0.0) s->admission_s_per_byte = s->seconds_per_byte;
    set_flag(s, RUNNING, up && !paused && rate_bps > 0.0);
    set_flag(s, ACCEPTS, up || paused || flag(l->e, end, END_HOLD_WHEN_DOWN));
    set_flag(s, LOSSY, s->loss > 0.0);
    if (s->queue.head == NONE) {
        s->departs_s = INFINITY;
    } else if (!(s->flags & ACCEPTS)) {
        while (s->queue.head != NONE)
            drop(l, end, list_remove(&s->queue, &l->pool, s->queue.head), CAUSE_OUTAGE, t_s);
        s->queued_bytes = 0.0;
        s->departs_s = INFINITY;
    } else {
        s->departs_s = s->flags & RUNNING ? s->since_s + s->left * s->seconds_per_byte : INFINITY;
    }
}

void sending_advance(lane *l, int32_t end, double t_s)
{
    sending *s = &l->e->sent[end];
    for (;;) {
        if (s->departs_s <= t_s && s->departs_s < s->stop_s) serve(l, end, s, t_s);
        if (t_s < s->stop_s || s->queue.head == NONE) return; /* an empty queue lives through no change */
        double at_s = s->stop_s;
        account(s, at_s);
        load(l, end, s, at_s);
    }
}

/* Before a packet is taken: what leaves by then has left, and the values are those of its time. What is loaded follows
 * from the packets alone, not from when somebody looked. */
static bool arrive_at(lane *l, int32_t end, sending *s, double t_s)
{
    if (s->flags & AWAITED) return false; /* its queue is still on the way from another host */
    sending_advance(l, end, t_s);
    if (t_s >= s->stop_s) load(l, end, s, t_s);
    return true;
}

void sending_reload(lane *l, int32_t end, double t_s)
{
    sending *s = &l->e->sent[end];
    if (s->queue.head == NONE) {
        s->stop_s = -INFINITY; /* the next packet loads */
        return;
    }
    sending_advance(l, end, t_s);
    account(s, t_s);
    load(l, end, s, t_s);
}

/* ---- queue ---- */

static bool within(const engine_end *c, double bytes, double packets, double wait_s)
{
    return bytes <= c->queue_bytes && packets <= c->queue_packets &&
           (isinf(c->queue_s) || wait_s <= c->queue_s * (1 + 1e-12));
}

/* How long a packet that joins the queue at t_s waits until its transmission starts, at the present rate. */
static double wait_of(const sending *s, double t_s)
{
    double head_s = s->left * s->admission_s_per_byte - (s->flags & RUNNING ? t_s - s->since_s : 0.0);
    return (head_s > 0.0 ? head_s : 0.0) + s->queued_bytes * s->admission_s_per_byte;
}

static double wait_packets(const sending *s) { return (double)s->queue.count - 1.0; }

/* Whether the queue takes the packet whole, after head drops where asked. */
static bool has_room(lane *l, int32_t end, sending *s, uint32_t number, double t_s)
{
    const engine_end *c = &l->e->config.end[end];
    double size = pool_at(&l->pool, number)->size;
    while (!within(c, s->queued_bytes + size, wait_packets(s) + 1.0, wait_of(s, t_s))) {
        if (!(c->flags & END_HEAD_DROP) || s->queue.count < 2) return false;
        uint32_t oldest = pool_at(&l->pool, s->queue.head)->next;
        s->queued_bytes -= pool_at(&l->pool, oldest)->size;
        drop(l, end, list_remove(&s->queue, &l->pool, oldest), CAUSE_QUEUE, t_s);
    }
    return true;
}

/* `count` segments of a merged packet from `first` on, as a packet of its own; NONE: no memory. */
static uint32_t cut(lane *l, int32_t end, uint32_t number, uint32_t first, uint32_t count)
{
    const packet *q = pool_at(&l->pool, number);
    uint32_t ip = ip_of(l->e, end), headers, segment = packet_segment(q->data, q->bytes, ip, &headers);
    uint32_t piece = pool_take(&l->pool, VIRTIO + headers + segment * count);
    if (piece == NONE) return NONE;
    packet *p = pool_at(&l->pool, piece);
    uint8_t *data = p->data;
    *p = *q;
    p->data = data;
    p->bytes = packet_cut(q->data, q->bytes, ip, first, count, data);
    p->size = packet_wire_size(data, p->bytes, ip);
    p->merged = count > 1;
    return piece;
}

/* A merged packet of one segment as a plain one, of which effects may flip a bit; itself where it cannot be cut. */
static uint32_t plain(lane *l, int32_t end, uint32_t number)
{
    uint32_t piece = cut(l, end, number, 0, 1);
    if (piece == NONE) return number;
    bool is_cut = pool_at(&l->pool, piece)->bytes > 0;
    pool_give(&l->pool, is_cut ? number : piece);
    return is_cut ? piece : number;
}

/* A merged packet that does not fit whole: its first segments that do stay in `number`, the others are dropped as one
 * packet. False: none fits, and the packet is dropped. */
static bool take_what_fits(lane *l, int32_t end, sending *s, uint32_t *number, double t_s)
{
    const engine_end *c = &l->e->config.end[end];
    packet *q = pool_at(&l->pool, *number);
    uint32_t ip = ip_of(l->e, end), segments = packet_segments(q->data, q->bytes, ip), fit = 0;
    if (segments > 1) {
        uint32_t headers, segment = packet_segment(q->data, q->bytes, ip, &headers);
        double wire = headers + segment, wait_s = wait_of(s, t_s), bytes = s->queued_bytes;
        while (fit < segments - 1 && within(c, bytes + wire, wait_packets(s) + fit + 1.0, wait_s)) {
            bytes += wire;
            wait_s += wire * s->admission_s_per_byte;
            fit++;
        }
    }
    uint32_t head = NONE, tail = NONE;
    if (fit) {
        head = cut(l, end, *number, 0, fit);
        tail = cut(l, end, *number, fit, segments - fit);
        if (head == NONE || tail == NONE) {
            if (head != NONE) pool_give(&l->pool, head);
            if (tail != NONE) pool_give(&l->pool, tail);
            fit = 0;
        }
    }
    if (!fit) {
        drop(l, end, *number, CAUSE_QUEUE, t_s);
        return false;
    }
    sent_cells(l->e, end)[SENT_PACKETS] += 1.0; /* one packet has become two */
    pool_give(&l->pool, *number);
    drop(l, end, tail, CAUSE_QUEUE, t_s);
    *number = head;
    return true;
}

static void take(lane *l, int32_t end, sending *s, uint32_t number, double t_s)
{
    if (t_s >= s->stop_s || t_s >= s->departs_s) arrive_at(l, end, s, t_s);
    double *cells = sent_cells(l->e, end), size = pool_at(&l->pool, number)->size;
    double inside = s->queue.head == NONE ? 0.0 : s->queued_bytes + pool_at(&l->pool, s->queue.head)->size;
    cells[SENT_PACKETS] += 1.0;
    cells[SENT_BYTES] += size;
    if (inside + size > MEMORY_BYTES) {
        drop(l, end, number, CAUSE_OVERLOAD, t_s);
    } else if (!(s->flags & ACCEPTS)) {
        drop(l, end, number, CAUSE_OUTAGE, t_s);
    } else if (s->queue.head == NONE) {
        list_append(&s->queue, &l->pool, number);
        s->left = size;
        s->since_s = t_s > s->idle_s ? t_s : s->idle_s;
        s->departs_s = s->flags & RUNNING ? s->since_s + s->left * s->seconds_per_byte : INFINITY;
    } else if (!(s->flags & HAS_BOUNDS) || has_room(l, end, s, number, t_s) || take_what_fits(l, end, s, &number, t_s)) {
        s->queued_bytes += pool_at(&l->pool, number)->size;
        list_append(&s->queue, &l->pool, number);
    }
}

/* Whether a merged packet may stay in one piece at this end, so that nobody need look at its bytes. */
static bool stays_whole(const sending *s, uint32_t size)
{
    return !(s->flags & (PER_PACKET | LOSSY | OVERTAKES | COUNTS_PACKETS)) && !(size * s->seconds_per_byte > PIECE_S);
}

/* Segments of which one that may not has to be: where effects or bounds look at single packets one, where the link takes
 * long as many as it sends in PIECE_S. */
static uint32_t together(const sending *s, uint32_t wire)
{
    if (s->flags & (PER_PACKET | LOSSY | OVERTAKES | COUNTS_PACKETS)) return 1;
    double many = floor(PIECE_S / (wire * s->seconds_per_byte));
    return many > 1.0 ? (uint32_t)many : 1;
}

void sending_offer(lane *l, int32_t end, uint32_t number, double t_s)
{
    sending *s = &l->e->sent[end];
    packet *q = pool_at(&l->pool, number);
    q->at_s = t_s;
    if ((t_s >= s->stop_s || t_s >= s->departs_s) && !arrive_at(l, end, s, t_s)) {
        queue_hold(l, end, number);
        return;
    }
    uint32_t segments = 1, most = 1;
    if (q->merged && !stays_whole(s, q->size)) {
        uint32_t ip = ip_of(l->e, end), headers, segment = packet_segment(q->data, q->bytes, ip, &headers);
        segments = packet_segments(q->data, q->bytes, ip);
        if (segment) most = together(s, headers + segment);
        if (segment && segments == 1 && most == 1) number = plain(l, end, number);
    }
    if (segments <= most) {
        take(l, end, s, number, t_s);
    } else {
        for (uint32_t first = 0; first < segments; first += most) {
            uint32_t count = segments - first < most ? segments - first : most;
            uint32_t piece = cut(l, end, number, first, count);
            if (piece == NONE) { /* the rest is lost, and counted as one packet */
                sent_cells(l->e, end)[SENT_PACKETS] += 1.0;
                sent_cells(l->e, end)[SENT_DROP_OVERLOAD] += 1.0;
                break;
            }
            take(l, end, s, piece, t_s);
        }
        pool_give(&l->pool, number);
    }
    if (s->departs_s <= t_s && s->departs_s < s->stop_s) serve(l, end, s, t_s); /* without a rate it leaves at once */
    sending_wake(l, end);
}

/* ---- timer ---- */

void sending_wake(lane *l, int32_t end)
{
    const sending *s = &l->e->sent[end];
    if (s->queue.head == NONE) return;
    double at_s;
    if (s->departs_s >= s->stop_s) {
        at_s = s->stop_s;
    } else if (s->flags & OVERTAKES || l->e->lane_of_node[s->peer] != l->index) {
        at_s = s->departs_s; /* it may be due before others in flight, or its due time is awaited in another lane or host */
    } else {
        at_s = s->departs_s + (s->base_s + s->slope * s->departs_s); /* nobody needs to know before it is due */
        if (at_s < s->last_s) at_s = s->last_s;
        /* Where the head is lost, the next may come sooner under the values that hold then. (Not under the same ones: a
         * delay that falls faster than time runs is longer than what is left of its stretch.) */
        if (s->flags & (PER_PACKET | LOSSY) && at_s > s->stop_s) at_s = s->stop_s;
    }
    if (at_s < INFINITY) wheel_set(&l->wheel, sending_id(end), at_s);
}

void sending_play(lane *l, int32_t end, double t_s)
{
    sending_advance(l, end, t_s);
    if (l->e->sent[end].queue.head != NONE) sending_wake(l, end);
    else if (l->e->sent[end].flags & AWAITED) queue_give_up(l, end);
}

void sending_move(engine *e, int32_t end, lane *from, lane *to, double t_s)
{
    sending *s = &e->sent[end];
    if (s->queue.head != NONE) sending_advance(from, end, t_s);
    wheel_forget(&from->wheel, sending_id(end));
    list kept = s->queue;
    list_clear(&s->queue);
    for (uint32_t number = kept.head, next; number != NONE; number = next) {
        const packet *q = pool_at(&from->pool, number);
        next = q->next;
        uint32_t moved = pool_take(&to->pool, q->bytes);
        if (moved == NONE) { /* the head's place in the transmitter passes to the next */
            if (s->queue.head == NONE && next != NONE) {
                s->queued_bytes -= pool_at(&from->pool, next)->size;
                s->left = pool_at(&from->pool, next)->size;
            } else if (s->queue.head != NONE) {
                s->queued_bytes -= q->size;
            }
            sent_cells(e, end)[SENT_DROP_OVERLOAD] += 1.0;
        } else {
            packet *p = pool_at(&to->pool, moved);
            uint8_t *data = p->data;
            *p = *q;
            p->data = data;
            memcpy(data, q->data, q->bytes);
            list_append(&s->queue, &to->pool, moved);
        }
        pool_give(&from->pool, number);
    }
    s->departs_s = s->queue.head != NONE && s->flags & RUNNING ? s->since_s + s->left * s->seconds_per_byte : INFINITY;
    sending_wake(to, end);
}

void sending_open(engine *e, int32_t end)
{
    const engine_end *c = &e->config.end[end];
    sending *s = &e->sent[end];
    memset(s, 0, sizeof *s);
    list_clear(&s->queue);
    s->departs_s = INFINITY;
    s->stop_s = s->idle_s = s->last_s = -INFINITY; /* the first offer loads */
    s->admission_s_per_byte = INFINITY;
    s->peer = -1;
    s->timer.exact = e->exact[end];
    set_flag(s, HAS_BOUNDS, !(isinf(c->queue_bytes) && isinf(c->queue_packets) && isinf(c->queue_s)));
    set_flag(s, COUNTS_PACKETS, !isinf(c->queue_packets));
    set_flag(s, PER_PACKET, c->flags & END_BURST_LOSS || c->jitter_s > 0 || c->duplicate > 0 || c->corrupt > 0);
    set_flag(s, OVERTAKES, c->flags & END_OVERTAKING);
}
