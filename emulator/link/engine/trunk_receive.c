/* The receiving side of a trunk: datagrams in any order become records, and what is missing is asked for.
 *
 * Invariant: a record is handed on once, with the datagram that makes it whole, whatever is missing before it (each
 * datagram is taken once); what has been given up no longer holds anything back.
 */
#include <math.h>
#include <string.h>

#include "lateness.h"
#include "trunk.h"

#define LARGEST_RECORD 65600u /* bytes behind its head: a merged segment, or a queue's state */
#define FIRST_ASK_S 100e-6    /* after a gap has shown, unless two later datagrams come before */
#define AGAIN_S 300e-6        /* at least, and 1.5 times the least round trip */
#define ACKNOWLEDGE_S 1e-3    /* after data, unless something goes the other way before */
#define LEAST_ANSWER_S 500e-6 /* between two answers to beats */
#define PATIENCE_S 5e-3       /* beyond the time at which what is missing is due at the latest, as far as known */
#define LONGEST_AHEAD_S 1.0   /* that counts for this: a gap holds nothing up for longer, whatever the other host says */

static seat *seat_of(const trunk *t, uint32_t sequence) { return &t->seats[sequence % TRUNK_DATAGRAMS]; }

static bool held(const trunk *t, uint32_t sequence)
{
    const seat *s = seat_of(t, sequence);
    return s->state == COME && s->sequence == sequence;
}

static uint8_t *body_of(const trunk *t, uint32_t sequence) { return trunk_slot(t->kept_received, t->take_bytes, sequence); }

/* ---- records ---- */

/* Fetches bytes of the stream from a place on, over as many datagrams as it takes; all of them are held. */
void trunk_read(const trunk *t, uint32_t sequence, uint32_t offset, uint8_t *out, uint32_t bytes)
{
    while (bytes) {
        uint32_t left = seat_of(t, sequence)->bytes - offset, part = bytes < left ? bytes : left;
        memcpy(out, body_of(t, sequence) + offset, part);
        out += part;
        bytes -= part;
        sequence++;
        offset = 0;
    }
}

static void hand_on(trunk *t, const engine_handover *record, uint32_t sequence, uint32_t offset)
{
    uint32_t left = seat_of(t, sequence)->bytes - offset, head = sizeof *record;
    while (head && head >= left) { /* where the bytes behind the head begin */
        head -= left;
        offset = 0;
        left = seat_of(t, ++sequence)->bytes;
    }
    t->report.records_received++;
    t->report.queues_received += record->kind == RECORD_MOVED;
    t->report.bytes_received += (int64_t)sizeof *record + record->bytes;
    if (record->kind == RECORD_PACKET && record->due_s - t->report.heard_s > t->ahead_s)
        t->ahead_s = fmin(record->due_s - t->report.heard_s, LONGEST_AHEAD_S);
    t->sink(t->to, t, record, sequence, offset + head);
}

/* The record that goes on in `sequence` or ends there, if all of it is there. */
static void join(trunk *t, uint32_t sequence)
{
    uint32_t first = sequence - 1, last = sequence, bytes = 0;
    for (; held(t, last) && seat_of(t, last)->begin == NO_BEGIN; last++) {
        bytes += seat_of(t, last)->bytes;
        if (last - first > TRUNK_SPAN) return;
    }
    if (!held(t, last)) return;
    bytes += seat_of(t, last)->begin;
    for (; held(t, first) && seat_of(t, first)->begin == NO_BEGIN; first--) {
        bytes += seat_of(t, first)->bytes;
        if (last - first > TRUNK_SPAN) return;
    }
    const seat *begin = seat_of(t, first);
    if (!held(t, first) || begin->torn == NO_BEGIN) return;
    uint32_t offset = begin->torn;
    bytes += begin->bytes - offset;
    engine_handover record;
    if (bytes >= sizeof record) trunk_read(t, first, offset, (uint8_t *)&record, sizeof record);
    if (bytes < sizeof record || record.bytes > LARGEST_RECORD || record.bytes != bytes - sizeof record) {
        t->report.rejected++;
        return;
    }
    hand_on(t, &record, first, offset);
}

/* Records that begin in this datagram. */
static void parse(trunk *t, uint32_t sequence)
{
    seat *s = seat_of(t, sequence);
    const uint8_t *body = body_of(t, sequence);
    engine_handover record;
    s->torn = NO_BEGIN;
    for (uint32_t offset = s->begin; offset < s->bytes;) {
        uint32_t left = s->bytes - offset;
        if (left < sizeof record) {
            s->torn = (uint16_t)offset;
            return;
        }
        memcpy(&record, body + offset, sizeof record);
        if (record.bytes > LARGEST_RECORD) {
            t->report.rejected++;
            return;
        }
        if (left - sizeof record < record.bytes) {
            s->torn = (uint16_t)offset;
            return;
        }
        hand_on(t, &record, sequence, offset);
        offset += (uint32_t)sizeof record + record.bytes;
    }
}

/* ---- datagrams ---- */

static void look_at_gaps(trunk *t, double at_s)
{
    if (at_s < t->gaps_s) t->gaps_s = at_s;
}

/* Datagrams before `end` have been sent. When those that are missing are due is unknown; they left before now, so it is
 * no further ahead than a link's delay, and the longest one has shown in what came. */
static void expect(trunk *t, double now_s, uint32_t end)
{
    double until_s = now_s + t->ahead_s + PATIENCE_S;
    for (; t->end != end; t->end++)
        *seat_of(t, t->end) = (seat){.sequence = t->end, .state = MISSING, .ask_s = now_s + FIRST_ASK_S, .until_s = until_s};
}

static void advance(trunk *t)
{
    while (t->next != t->end && seat_of(t, t->next)->state != MISSING) t->next++;
    if (t->next == t->end) t->gaps_s = INFINITY;
}

static bool acceptable(uint32_t ahead) { return ahead < TRUNK_DATAGRAMS - TRUNK_SPAN; }

/* The newest datagram is two or more beyond this one, which so is not just overtaken. */
static void ask_at_once(trunk *t, double now_s, uint32_t sequence)
{
    if (sequence - t->next >= t->end - t->next) return;
    seat *s = seat_of(t, sequence);
    if (s->state != MISSING || s->asked) return;
    s->ask_s = now_s;
    look_at_gaps(t, now_s);
}

static void take_data(trunk *t, double now_s, const trunk_head *head, const uint8_t *body, uint32_t bytes)
{
    uint32_t sequence = head->sequence, before = t->end;
    double took_s = now_s - (double)head->sent_ns * 1e-9;
    bool known = t->end - sequence - 1 < TRUNK_DATAGRAMS && seat_of(t, sequence)->sequence == sequence;
    if (known && seat_of(t, sequence)->state == COME) {
        t->report.repeated++;
        return;
    }
    if (!bytes || bytes > t->take_bytes - sizeof *head || (head->begin != NO_BEGIN && head->begin > bytes) || (!known && !acceptable(sequence - t->next))) {
        t->report.rejected++;
        return;
    }
    if (!known) expect(t, now_s, sequence + 1);
    seat *s = seat_of(t, sequence);
    s->state = COME;
    s->bytes = (uint16_t)bytes;
    s->begin = head->begin;
    s->torn = NO_BEGIN;
    memcpy(body_of(t, sequence), body, bytes);
    if (!(head->flags & TRUNK_REPAIR)) {
        t->report.datagrams_received++;
        t->report.latency[lateness_bucket(took_s)]++;
    }
    if (head->begin != NO_BEGIN) parse(t, sequence);
    if (head->begin) join(t, sequence);
    if (s->torn != NO_BEGIN) join(t, sequence + 1);
    advance(t);
    if (t->next == t->end) return;
    look_at_gaps(t, now_s + FIRST_ASK_S);
    for (uint32_t gap = before - 2; t->end != before && gap != t->end - 2; gap++) ask_at_once(t, now_s, gap);
}

static void note_probe(trunk *t, const clock_probe *probe)
{
    trunk_report *r = &t->report;
    size_t kept = sizeof t->rtts_s / sizeof *t->rtts_s;
    uint64_t whole_ns = (uint64_t)probe->answered_ns - (uint64_t)probe->asked_ns; /* unsigned: they may be any numbers */
    uint64_t there_ns = (uint64_t)probe->told_ns - (uint64_t)probe->heard_ns;
    r->probe[r->probed % PROBES] = *probe;
    t->rtts_s[(size_t)r->probed % kept] = (double)(int64_t)(whole_ns - there_ns) * 1e-9;
    r->probed++;
    r->least_rtt_s = INFINITY;
    for (size_t n = 0; n < kept; n++) if (t->rtts_s[n] < r->least_rtt_s) r->least_rtt_s = t->rtts_s[n];
}

static void take_probe(trunk *t, instant at, int kind, const uint8_t *body)
{
    clock_probe probe;
    memcpy(&probe, body, sizeof probe);
    if (kind == TRUNK_PROBE) {
        t->answer = probe;
        t->answer.heard_ns = at.clock_ns;
        t->answer.asker = t->config.host;
        t->answers = true;
    } else if (kind == TRUNK_ANSWER) {
        probe.answered_ns = at.clock_ns;
        probe.asker = t->own_host;
        note_probe(t, &probe);
        t->result = probe;
        t->tells = true;
    } else {
        probe.asker = t->config.host;
        note_probe(t, &probe);
    }
}

static void take_beat(trunk *t, double now_s, const trunk_head *head, const uint8_t *body)
{
    trunk_beat beat;
    memcpy(&beat, body, sizeof beat);
    t->report.peer_sent = beat.records_sent;
    t->room_bytes = beat.room_bytes;
    if (!(head->flags & TRUNK_UNACKED)) return;
    double answer_s = t->told_s + LEAST_ANSWER_S > now_s ? t->told_s + LEAST_ANSWER_S : now_s;
    if (answer_s < t->beat_s) t->beat_s = answer_s;
}

/* `bytes`: of the whole datagram. In play sizes are settled: one that was under way when it began is no fault, changes nothing,
 * and has an answer only where this side takes datagrams so large, for the other host may not play yet. */
static void take_size(trunk *t, int kind, const uint8_t *body, uint32_t bytes)
{
    trunk_size size;
    memcpy(&size, body, sizeof size);
    if (bytes > t->config.datagram_bytes || t->asks != (kind == TRUNK_SIZED)) {
        t->report.rejected++;
    } else if (t->asks) {
        if (t->early && bytes > t->passes) t->passes = bytes;
    } else if (t->early || bytes <= t->take_bytes) {
        t->sized = bytes;
        if (!t->early) return;
        if (bytes > t->came) t->came = bytes;
        if (size.passes > t->passes && size.passes <= t->came) t->passes = size.passes;
    }
}

static bool fits(int kind, uint32_t bytes)
{
    if (kind == TRUNK_BEAT) return bytes >= sizeof(trunk_beat);
    if (kind >= TRUNK_SIZE) return bytes >= sizeof(trunk_size);
    return kind < TRUNK_PROBE || bytes >= sizeof(clock_probe);
}

void trunk_take(trunk *t, instant at, const uint8_t *datagram, uint32_t bytes)
{
    trunk_head head;
    if (bytes < sizeof head || bytes > TRUNK_MOST_BYTES) {
        t->report.rejected++;
        return;
    }
    memcpy(&head, datagram, sizeof head);
    const uint8_t *body = datagram + sizeof head;
    bytes -= (uint32_t)sizeof head;
    if (head.magic != TRUNK_MAGIC || head.version != TRUNK_VERSION || head.kind > TRUNK_SIZED || !fits(head.kind, bytes) ||
        head.cookie != t->config.cookie_expected || head.host != t->config.host) {
        t->report.rejected++;
        return;
    }
    t->report.heard_s = at.now_s;
    if (t->early && head.kind < TRUNK_PROBE) return; /* what it misses so it will ask for */
    trunk_acknowledged(t, head.missing);
    if (head.kind == TRUNK_DATA) {
        t->owed_bytes += bytes;
        if (t->beat_s > at.now_s + ACKNOWLEDGE_S) t->beat_s = at.now_s + ACKNOWLEDGE_S;
        take_data(t, at.now_s, &head, body, bytes);
        return;
    }
    if (!t->early && head.sequence != t->end && acceptable(head.sequence - t->end) && acceptable(head.sequence - t->next)) {
        expect(t, at.now_s, head.sequence); /* a tail that never came */
        look_at_gaps(t, at.now_s + FIRST_ASK_S);
    }
    if (head.kind == TRUNK_ASK) trunk_asked(t, body, bytes);
    else if (head.kind == TRUNK_BEAT) take_beat(t, at.now_s, &head, body);
    else if (head.kind >= TRUNK_SIZE) take_size(t, head.kind, body, bytes + (uint32_t)sizeof head);
    else take_probe(t, at, head.kind, body);
}

/* ---- asking ---- */

uint32_t trunk_ask(trunk *t, double now_s, uint8_t *body)
{
    const uint32_t most = (TRUNK_LEAST_BYTES - (uint32_t)sizeof(trunk_head) - 2) / 4;
    double rtt_s = t->report.least_rtt_s, again_s = isinf(rtt_s) || 1.5 * rtt_s < AGAIN_S ? AGAIN_S : 1.5 * rtt_s;
    uint16_t count = 0;
    t->gaps_s = INFINITY;
    for (uint32_t sequence = t->next; sequence != t->end; sequence++) {
        seat *s = seat_of(t, sequence);
        if (s->state != MISSING) continue;
        if (now_s >= s->until_s) {
            s->state = GIVEN_UP;
            t->report.given_up++;
            continue;
        }
        if (now_s >= s->ask_s && count < most) {
            memcpy(body + 2 + 4u * count++, &sequence, 4);
            s->asked = 1;
            s->ask_s = now_s + again_s;
        }
        look_at_gaps(t, s->ask_s < s->until_s ? s->ask_s : s->until_s);
    }
    advance(t);
    t->report.asked += count;
    memcpy(body, &count, 2);
    return count ? 2 + 4u * count : 0;
}
