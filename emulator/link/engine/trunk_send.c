/* The sending side of a trunk: records become datagrams, which are kept until the other host has them.
 *
 * Invariant: datagrams are built in the ring in which they are kept, so neighbours lie side by side and go to the kernel
 * in one piece; a record begins in the first free byte behind the one before it, unless the datagram was sent by then.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "trunk.h"

#define BATCH_S 100e-6        /* that the first record of a datagram waits for others */
#define URGENT_S 1e-3         /* what is due so soon, or within a round trip more, does not wait */
#define UNACKED_BYTES (4u << 20)
#define UNKNOWN_ROOM (64u << 10) /* until the other host has told its own */
#define WAITING 1024u         /* datagrams that wait for acknowledgement before ports have to */
#define FIRST_BEAT_S 500e-6   /* after the last data */
#define BEAT_S 1e-3           /* then, twice as long each time, until all is acknowledged */
#define IDLE_BEAT_S 0.25

static const uint32_t sizes[] = {TRUNK_MOST_BYTES, TRUNK_USUAL_BYTES, TRUNK_LEAST_BYTES}; /* that are tried before play */

static uint8_t *reserve(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

bool trunk_open(trunk *t, const engine_trunk *config, uint8_t own_host, trunk_sink *sink, void *to)
{
    size_t ring = (size_t)TRUNK_DATAGRAMS * config->datagram_bytes;
    memset(t, 0, sizeof *t);
    t->config = *config;
    t->own_host = own_host;
    t->sink = sink;
    t->to = to;
    t->kept_sent = reserve(ring);
    t->kept_received = reserve(ring);
    t->sent_bytes = calloc(TRUNK_DATAGRAMS, sizeof *t->sent_bytes);
    t->seats = calloc(TRUNK_DATAGRAMS, sizeof *t->seats);
    t->room_bytes = UNKNOWN_ROOM;
    t->own_room_bytes = UNACKED_BYTES;
    t->asks = own_host > config->host;
    t->report.datagram_bytes = t->datagram_bytes = t->take_bytes = config->datagram_bytes & ~7u; /* heads are written in place */
    t->acked = t->sent = t->built = t->next = t->end = TRUNK_FIRST;
    trunk_begin(t, config->fd >= 0);
    t->report.least_rtt_s = INFINITY;
    for (size_t n = 0; n < sizeof t->rtts_s / sizeof *t->rtts_s; n++) t->rtts_s[n] = INFINITY;
    for (uint32_t n = 0; t->seats && n < TRUNK_DATAGRAMS; n++) t->seats[n].state = GIVEN_UP;
    return t->kept_sent && t->kept_received && t->sent_bytes && t->seats;
}

/* What both hosts know to pass. The one that asks takes no more than has come back to it; the other one sends no more
 * than it was told of that, and takes whatever has come to it: so neither sends what the other has no room for. */
static void agree(trunk *t)
{
    uint32_t passes = t->passes > TRUNK_LEAST_BYTES ? t->passes : TRUNK_LEAST_BYTES;
    t->datagram_bytes = passes & ~7u;
    t->take_bytes = !t->asks && t->came > passes ? t->came : passes;
    t->report.datagram_bytes = passes;
}

void trunk_begin(trunk *t, bool early)
{
    if (t->early && !early) agree(t);
    t->early = early;
    t->probe_every_s = early ? EARLY_PROBE_S : PROBE_S;
    t->flush_s = t->gaps_s = INFINITY;
    t->report.heard_s = -INFINITY;
    t->ahead_s = 0.0;
    t->beat_s = t->told_s = t->probe_s = t->size_s = t->retry_s = -INFINITY;
    t->beat_every_s = BEAT_S;
}

void trunk_close(trunk *t)
{
    size_t ring = (size_t)TRUNK_DATAGRAMS * t->config.datagram_bytes;
    if (t->kept_sent) munmap(t->kept_sent, ring);
    if (t->kept_received) munmap(t->kept_received, ring);
    free(t->sent_bytes);
    free(t->seats);
}

/* ---- building ---- */

static trunk_head head_of(const trunk *t, int kind, uint32_t sequence)
{
    return (trunk_head){TRUNK_MAGIC, TRUNK_VERSION, (uint8_t)kind, sequence, t->config.cookie_sent, 0, NO_BEGIN, 0, t->own_host, 0};
}

static uint8_t *slot_of(const trunk *t, uint32_t sequence) { return trunk_slot(t->kept_sent, t->datagram_bytes, sequence); }

static trunk_head *head_at(const trunk *t, uint32_t sequence) { return (trunk_head *)(void *)slot_of(t, sequence); }

static void close_open(trunk *t)
{
    if (!t->open_bytes) return;
    t->sent_bytes[t->built % TRUNK_DATAGRAMS] = (uint16_t)t->open_bytes;
    t->built++;
    t->open_bytes = 0;
    t->flush_s = INFINITY;
}

/* Appends bytes to the stream, over as many datagrams as it takes. */
static void put(trunk *t, const void *from, uint32_t bytes, double flush_s)
{
    const uint8_t *at = from;
    while (bytes) {
        if (t->open_bytes == t->datagram_bytes) close_open(t);
        if (!t->open_bytes) {
            trunk_head head = head_of(t, TRUNK_DATA, t->built);
            memcpy(head_at(t, t->built), &head, sizeof head);
            t->open_bytes = sizeof head;
        }
        uint32_t room = t->datagram_bytes - t->open_bytes, part = bytes < room ? bytes : room;
        memcpy(slot_of(t, t->built) + t->open_bytes, at, part);
        t->open_bytes += part;
        at += part;
        bytes -= part;
        if (flush_s < t->flush_s) t->flush_s = flush_s;
    }
}

/* The next record begins here, if the datagram has said of none where it begins. */
static void mark_begin(trunk *t)
{
    trunk_head *head = head_at(t, t->built);
    if (head->begin == NO_BEGIN) head->begin = (uint16_t)(t->open_bytes - sizeof *head);
}

bool trunk_add(trunk *t, double now_s, const engine_handover *record, const uint8_t *bytes)
{
    uint32_t whole = (uint32_t)sizeof *record + record->bytes, body = t->datagram_bytes - (uint32_t)sizeof(trunk_head);
    if (t->built - t->acked + whole / body + 2 >= TRUNK_DATAGRAMS) {
        t->report.dropped++;
        return false;
    }
    double rtt_s = t->report.least_rtt_s, flush_s = now_s + BATCH_S;
    if (record->due_s - now_s < URGENT_S + (isinf(rtt_s) ? 0.0 : rtt_s)) flush_s = now_s;
    if (t->open_bytes == t->datagram_bytes) close_open(t);
    bool fresh = !t->open_bytes;
    put(t, record, sizeof *record, flush_s);
    if (fresh) { /* its head lies whole in the datagram that it begins */
        head_at(t, t->built)->begin = 0;
    }
    put(t, bytes, record->bytes, flush_s);
    mark_begin(t);
    t->report.records_sent++;
    t->report.queues_sent += record->kind == RECORD_MOVED;
    t->report.bytes_sent += whole;
    return true;
}

/* ---- what goes out ---- */

static trunk_span control(trunk *t, instant at, int kind, const void *body, uint32_t bytes)
{
    trunk_head head = head_of(t, kind, t->sent);
    head.sent_ns = (int64_t)(at.now_s * 1e9);
    head.missing = t->next;
    memcpy(t->control, &head, sizeof head);
    if (bytes) memmove(t->control + sizeof head, body, bytes);
    t->owed_bytes = 0;
    t->told_s = at.now_s;
    return (trunk_span){t->control, (uint32_t)sizeof head + bytes, (uint32_t)sizeof head + bytes};
}

static trunk_span beat(trunk *t, instant at)
{
    const trunk_report *r = &t->report;
    trunk_beat body = {t->records_out, r->records_received, (uint32_t)r->repaired, (uint32_t)r->given_up, t->own_room_bytes, 0};
    bool unacked = t->acked != t->sent;
    t->beat_s = at.now_s + (unacked ? t->beat_every_s : IDLE_BEAT_S);
    t->beat_every_s = 2 * t->beat_every_s < IDLE_BEAT_S ? 2 * t->beat_every_s : IDLE_BEAT_S;
    trunk_span span = control(t, at, TRUNK_BEAT, &body, sizeof body);
    if (unacked) ((trunk_head *)(void *)t->control)->flags = TRUNK_UNACKED;
    return span;
}

/* A datagram that is nothing but so large. */
static trunk_span padded(trunk *t, instant at, int kind, uint32_t bytes)
{
    trunk_size body = {t->passes, 0};
    control(t, at, kind, &body, sizeof body);
    memset(t->control + sizeof(trunk_head) + sizeof body, 0, bytes - sizeof(trunk_head) - sizeof body);
    return (trunk_span){t->control, bytes, bytes};
}

/* The next size to try; 0: not now. */
static uint32_t size_to_try(trunk *t, double now_s)
{
    if (!t->asks || !t->early || now_s < t->size_s) return 0;
    t->size_s = now_s + EARLY_PROBE_S;
    uint32_t size = sizes[t->tries++ % (sizeof sizes / sizeof *sizes)];
    return size <= t->config.datagram_bytes ? size : 0;
}

static trunk_span probe(trunk *t, instant at)
{
    clock_probe body = {.asked_ns = at.clock_ns, .asker = t->own_host};
    t->probe_s = at.now_s + t->probe_every_s;
    return control(t, at, TRUNK_PROBE, &body, sizeof body);
}

static uint32_t window_of(const trunk *t)
{
    uint32_t bytes = t->room_bytes < UNACKED_BYTES ? t->room_bytes : UNACKED_BYTES;
    uint32_t datagrams = bytes / t->datagram_bytes;
    return datagrams > 2 ? datagrams : 2;
}

static void stamp(trunk *t, instant at, uint32_t sequence, uint8_t flags)
{
    trunk_head *head = head_at(t, sequence);
    head->sent_ns = (int64_t)(at.now_s * 1e9);
    head->missing = t->next;
    head->flags = flags;
}

static trunk_span repair(trunk *t, instant at)
{
    while (t->again_count) {
        uint32_t sequence = t->again[t->again_first];
        t->again_first = (t->again_first + 1) % 1024;
        t->again_count--;
        if (sequence - t->acked >= t->sent - t->acked) continue;
        stamp(t, at, sequence, TRUNK_REPAIR);
        t->report.repaired++;
        uint32_t bytes = t->sent_bytes[sequence % TRUNK_DATAGRAMS];
        return (trunk_span){slot_of(t, sequence), bytes, bytes};
    }
    return (trunk_span){NULL, 0, 0};
}

/* Datagrams that lie side by side: all full but the last. */
static trunk_span data(trunk *t, instant at, uint32_t segments)
{
    uint32_t window = window_of(t), under_way = t->sent - t->acked, most = under_way < window ? window - under_way : 0;
    uint32_t waiting = t->built - t->sent, until_wrap = TRUNK_DATAGRAMS - t->sent % TRUNK_DATAGRAMS, segment = t->datagram_bytes;
    if (segments < most) most = segments;
    if (waiting < most) most = waiting;
    if (until_wrap < most) most = until_wrap;
    if (65507 / segment < most) most = 65507 / segment;
    uint32_t bytes = 0, count = 0;
    while (count < most) {
        uint32_t one = t->sent_bytes[(t->sent + count) % TRUNK_DATAGRAMS];
        stamp(t, at, t->sent + count, 0);
        bytes += one;
        count++;
        if (one < segment) break;
    }
    if (!count) return (trunk_span){NULL, 0, 0};
    const uint8_t *first = slot_of(t, t->sent);
    t->sent += count;
    if (t->sent == t->built && !t->open_bytes) t->records_out = t->report.records_sent;
    t->report.datagrams_sent += count;
    t->told_s = at.now_s;
    t->beat_s = at.now_s + FIRST_BEAT_S;
    t->beat_every_s = BEAT_S;
    t->owed_bytes = 0;
    return (trunk_span){first, bytes, count > 1 ? segment : bytes};
}

trunk_span trunk_next(trunk *t, instant at, uint32_t segments)
{
    if (at.now_s >= t->gaps_s) {
        uint32_t bytes = trunk_ask(t, at.now_s, t->control + sizeof(trunk_head));
        if (bytes) return control(t, at, TRUNK_ASK, t->control + sizeof(trunk_head), bytes);
    }
    if (t->answers) {
        t->answers = false;
        t->answer.told_ns = at.clock_ns;
        return control(t, at, TRUNK_ANSWER, &t->answer, sizeof t->answer);
    }
    if (t->tells) {
        t->tells = false;
        return control(t, at, TRUNK_RESULT, &t->result, sizeof t->result);
    }
    if (t->asks && at.now_s >= t->probe_s) return probe(t, at);
    uint32_t size = t->sized ? t->sized : size_to_try(t, at.now_s);
    if (size) {
        int kind = t->sized ? TRUNK_SIZED : TRUNK_SIZE;
        t->sized = 0;
        return padded(t, at, kind, size);
    }
    trunk_span span = repair(t, at);
    if (span.bytes) return span;
    if (t->open_bytes && (at.now_s >= t->flush_s || t->open_bytes == t->datagram_bytes)) close_open(t);
    span = data(t, at, segments);
    if (!span.bytes && (at.now_s >= t->beat_s || t->owed_bytes >= t->own_room_bytes / 4)) span = beat(t, at);
    t->full = t->built - t->sent > WAITING;
    return span;
}

double trunk_wake_s(const trunk *t, double now_s)
{
    if (t->kept.bytes) return t->retry_s;
    double wake_s = t->beat_s;
    if (t->flush_s < wake_s) wake_s = t->flush_s;
    if (t->gaps_s < wake_s) wake_s = t->gaps_s;
    if (t->asks && t->probe_s < wake_s) wake_s = t->probe_s;
    bool sends = t->built != t->sent && t->sent - t->acked < window_of(t);
    return sends || t->again_count || t->answers || t->tells || t->sized ? now_s : wake_s;
}

void trunk_acknowledged(trunk *t, uint32_t missing)
{
    if (missing - t->acked <= t->sent - t->acked) t->acked = missing;
}

void trunk_asked(trunk *t, const uint8_t *body, uint32_t bytes)
{
    uint16_t count;
    if (bytes < 2) {
        t->report.rejected++;
        return;
    }
    memcpy(&count, body, 2);
    if (bytes < 2 + 4u * count) {
        t->report.rejected++;
        return;
    }
    for (uint32_t n = 0; n < count && t->again_count < 1024; n++) {
        uint32_t sequence;
        memcpy(&sequence, body + 2 + 4 * n, 4);
        if (sequence - t->acked < t->sent - t->acked) t->again[(t->again_first + t->again_count++) % 1024] = sequence;
    }
}
