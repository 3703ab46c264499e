/* Any orders to any small network: values, holds and taps, between packets, over steps in which links move between
 * lanes, and where rows are late.
 *
 * Every byte string is a network with rows and a script of orders, offers and play. Whatever it says, no access is
 * wrong and no packet vanishes.
 */
#include "decode.h"

static void give_order(engine *e, reader *r, double t_s)
{
    uint32_t said = get(r);
    engine_order order = {.kind = said % 4, .end = (int32_t)(get(r) % 16) - 2, .up = said & 16};
    order.set = get(r) & 15;
    order.clear = get(r) & 15;
    order.taps = get(r);
    order.rate_bps = get_rate(r);
    order.delay_s = get_delay(r);
    order.loss = get_share(r);
    engine_obey(e, &order, t_s);
}

static void use_taps(engine *e, reader *r)
{
    static uint8_t batch[1 << 16];
    int tap = (int)(get(r) % 8);
    switch (get(r) % 4) {
    case 0: engine_tap_open(e, tap, 1000 + 64 * get(r), get(r)); break;
    case 1: engine_tap_close(e, tap); break;
    default: while (engine_tap_drain(e, tap, batch, 200 + 16 * get(r)) > 0) {}
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *given, size_t size)
{
    static network w;
    static uint8_t data[LARGE_BYTES];
    reader r = {given, size};
    char why[200];
    make_network(&r, &w, true);
    engine *e = engine_create(&w.config, why, sizeof why);
    if (!e) return 0;
    double t_s = 0.0;
    for (int n = 0; n < 60 && r.left; n++) {
        uint32_t said = get(&r) % 8;
        if (said < 3) {
            int32_t end = (int32_t)(get(&r) % (uint32_t)w.config.ends);
            uint32_t bytes = get_packet(&r, data);
            engine_offer(e, end, t_s, data, bytes, packet_wire_size(data, bytes, w.end[end].flags & END_ETHERNET ? 24 : 10), -1, 0);
            continue;
        }
        t_s += get_delay(&r) / 2;
        engine_play(e, t_s, 0);
        take_all(e);
        if (said < 6) give_order(e, &r, t_s);
        else if (said < 7) use_taps(e, &r);
        check_conservation(e);
    }
    engine_play(e, t_s + 0.5, 0);
    take_all(e);
    check_conservation(e);
    engine_destroy(e);
    return 0;
}
