/* Any datagrams between the engines of two hosts: honest ones that are lost, doubled, overtaken or damaged, and forged
 * ones that carry the right cookie.
 *
 * Every byte string is a network with rows, its split over two hosts, and a script of offers, orders, play and datagrams.
 * Whatever it says, no access is wrong, no slot is lost, and the engines give all memory back. Strings of an odd length
 * end while things are under way.
 */
#include "decode.h"

#define KEPT 16

typedef struct { uint8_t bytes[TRUNK_MOST_BYTES]; uint32_t count; } datagram;

static const uint64_t cookies[2] = {0x1234567890ABCDEF, 0xFEDCBA0987654321};

static void check_slots(engine *e)
{
    uint64_t inside = 0, held = 0;
    for (int32_t end = 0; end < e->config.ends; end++) {
        inside += (uint64_t)engine_inside(e, end, 1, NULL, 0, NULL, 0);
        inside += e->sent[end].queue.count + e->moves[end].offered.count;
        demand(e->sent_lane[end] >= 0 || !e->sent[end].queue.count, "packets wait where another host sends", end);
    }
    for (int n = 0; n < e->config.lanes; n++) {
        inside += e->lanes[n].out.count;
        held += pool_held(&e->lanes[n].pool, false) + pool_held(&e->lanes[n].pool, true);
    }
    demand(inside == held, "slots are lost, or have two owners", -1);
}

static void split(network *own, const network *whole, const uint8_t *host_of_node, engine_trunk *trunk, int host, bool early)
{
    *own = *whole;
    engine_config *c = &own->config;
    c->sent = own->sent, c->received = own->received, c->unrouted = own->unrouted, c->port = own->port;
    c->ports = 0;
    for (int32_t n = 0; n < whole->config.ports; n++)
        if (host_of_node[whole->port[n].node] == host) own->port[c->ports++] = whole->port[n];
    *trunk = (engine_trunk){1 - host, -1, cookies[host], cookies[1 - host], early ? TRUNK_MOST_BYTES : TRUNK_LEAST_BYTES, 0};
    c->host_of_node = host_of_node;
    c->trunk = trunk;
    c->trunks = 1;
    c->own_host = host;
}

/* A datagram with a head that the other side accepts, and a record or anything else behind it. */
static void forge(reader *r, engine *e, datagram *d, int from)
{
    const trunk *t = e->trunk_of_host[from];
    trunk_head head = {TRUNK_MAGIC, TRUNK_VERSION, (uint8_t)(get(r) % 8), t->end + get(r) % 8, cookies[from], 0, (uint16_t)(get(r) % 4 ? 0 : get(r)), 0,
                       (uint8_t)from, t->acked + get(r) % 4};
    if (get(r) % 16 == 0) head.begin = NO_BEGIN;
    if (get(r) % 16 == 0) head.sequence = t->end + get_wide(r);
    engine_handover m = {get_delay(r), (int32_t)(get(r) % (ENDS + 1)), (int32_t)(get(r) % (NODES + 1)), (int32_t)(get(r) % 8) - 2, (int16_t)(get(r) % 70),
                         (uint8_t)(get(r) % 4), (uint8_t)(get(r) % STEPS), get(r), get(r)};
    if (get(r) % 8 == 0) m.bytes = get_wide(r) << 8;
    if (get(r) % 8 == 0) m.due_s = get(r) % 2 ? NAN : 1e300;
    memcpy(d->bytes, &head, sizeof head);
    memcpy(d->bytes + sizeof head, &m, sizeof m);
    d->count = (uint32_t)(sizeof head + sizeof m) + get(r) * 4;
    for (uint32_t n = sizeof head + sizeof m; n < d->count; n++) d->bytes[n] = (uint8_t)get(r);
    if (get(r) % 8 == 0) d->count = get(r);
}

/* One datagram on its way from one host to the other, or what happens to it there. */
static void carry(reader *r, engine *e[2], double now_s)
{
    static datagram kept[KEPT];
    uint32_t said = get(r);
    int from = said & 1;
    datagram *d = &kept[said >> 4];
    if (said & 2) d->count = engine_trunk_pull(e[from], 1 - from, now_s, d->bytes, sizeof d->bytes);
    if ((said & 12) == 4) forge(r, e[1 - from], d, from);
    if ((said & 12) == 8 && d->count) d->bytes[get_wide(r) % d->count] = (uint8_t)get(r);
    uint8_t *exact = malloc(d->count ? d->count : 1); /* so that a byte read beyond it is seen */
    memcpy(exact, d->bytes, d->count);
    engine_trunk_push(e[1 - from], from, now_s, exact, d->count);
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *given, size_t size)
{
    static network whole, w[2];
    static uint8_t data[LARGE_BYTES];
    uint8_t host_of_node[NODES];
    engine_trunk trunks[2];
    engine *e[2];
    reader r = {given, size};
    char why[200];
    make_network(&r, &whole, true);
    for (int n = 0; n < NODES; n++) host_of_node[n] = get(&r) % 2;
    bool early = get(&r) % 2; /* sizes are tried until the engines play */
    for (int host = 0; host < 2; host++) {
        split(&w[host], &whole, host_of_node, &trunks[host], host, early);
        e[host] = engine_create(&w[host].config, why, sizeof why);
        demand(e[host], why, -1);
        if (early) engine_attend(e[host]);
    }
    double t_s = 0.0;
    for (int n = 0; n < 100 && r.left; n++) {
        uint32_t said = get(&r) % 8;
        if (said < 3) {
            int32_t end = (int32_t)(get(&r) % (uint32_t)whole.config.ends);
            uint32_t bytes = get_packet(&r, data);
            uint32_t wire = packet_wire_size(data, bytes, whole.end[end].flags & END_ETHERNET ? 24 : 10);
            for (int host = 0; host < 2; host++) engine_offer(e[host], end, t_s, data, bytes, wire, -1, 0);
        } else if (said < 6) {
            carry(&r, e, t_s + get(&r) * 1e-4);
        } else {
            t_s += get_delay(&r) / 2;
            for (int host = 0; host < 2; host++) {
                engine_play(e[host], t_s, 0);
                take_all(e[host]);
                check_slots(e[host]);
            }
        }
    }
    for (int host = 0; host < 2; host++) {
        if (size % 2 == 0) {
            engine_play(e[host], t_s + 1.0, 0);
            take_all(e[host]);
            check_slots(e[host]);
        }
        engine_destroy(e[host]);
    }
    return 0;
}
