/* Single functions of the engine as Python calls them, for tests against their models. Invariant: nothing here but the
 * call; the engine itself uses none of it.
 */
#include "core.h"

static uint32_t ip_at(int ethernet) { return ethernet ? VIRTIO + ETHERNET : VIRTIO; }

uint32_t engine_wire_size(const uint8_t *data, uint32_t bytes, int ethernet)
{
    return packet_wire_size(data, bytes, ip_at(ethernet));
}

void engine_set_hop_limit(uint8_t *data, uint32_t bytes, int hops) { packet_set_hop_limit(data, bytes, hops); }

uint32_t engine_complete(uint8_t *data, uint32_t bytes) { return packet_complete(data, bytes); }

uint32_t engine_segments(const uint8_t *data, uint32_t bytes, int ethernet, uint32_t first, uint32_t count,
                         uint8_t *out)
{
    return packet_cut(data, bytes, ip_at(ethernet), first, count, out);
}

uint32_t engine_icmp_error(const uint8_t *data, uint32_t bytes, const uint8_t *node, int family, int expired, int hops,
                           uint8_t *out)
{
    return icmp_error(data, bytes, node, family, expired != 0, hops, out);
}

uint32_t engine_echo_reply(const uint8_t *data, uint32_t bytes, uint8_t *out)
{
    return icmp_echo_reply(data, bytes, out);
}

void engine_random(const uint8_t *label, uint32_t bytes, double *out, int64_t count)
{
    stream s;
    stream_seed(&s, label, bytes);
    for (int64_t i = 0; i < count; i++) out[i] = stream_next(&s);
}
