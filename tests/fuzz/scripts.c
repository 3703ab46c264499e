/* Any packets over any small network, single and merged, well made and broken, with any bounds and effects.
 *
 * Every byte string is a network that follows knots and a script of offers and play. Whatever it says, no access is
 * wrong and no packet vanishes.
 */
#include "decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *given, size_t size)
{
    static network w;
    static uint8_t data[LARGE_BYTES];
    reader r = {given, size};
    char why[200];
    make_network(&r, &w, false);
    engine *e = engine_create(&w.config, why, sizeof why);
    if (!e) return 0;
    double t_s = 0.0;
    for (int n = 0; n < 60 && r.left; n++) {
        if (get(&r) % 4 == 0) {
            t_s += get_delay(&r);
            engine_play(e, t_s, 0);
            take_all(e);
            check_conservation(e);
        } else {
            int32_t end = (int32_t)(get(&r) % (uint32_t)w.config.ends);
            uint32_t bytes = get_packet(&r, data);
            engine_offer(e, end, t_s, data, bytes, packet_wire_size(data, bytes, w.end[end].flags & END_ETHERNET ? 24 : 10), -1, 0);
        }
    }
    check_conservation(e);
    engine_play(e, t_s + 2.0, 0);
    take_all(e);
    check_conservation(e);
    engine_destroy(e);
    return 0;
}
