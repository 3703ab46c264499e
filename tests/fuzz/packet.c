/* libFuzzer target: any bytes as a packet, through every function that reads or makes one.
 *
 * The first two bytes choose the offset of the IP header and how many segments a cut has; the rest is the packet.
 * Invariant: each call gets a copy of exactly the packet's bytes, so that a read beyond them is found.
 */
#include <stdlib.h>

#include "core.h"

#define MUST(what) do { if (!(what)) abort(); } while (0)
#define LONGEST 70000u

static uint8_t cut[LARGE_BYTES], part[LARGE_BYTES], again[LARGE_BYTES];

static uint8_t *copied(const uint8_t *data, uint32_t bytes)
{
    uint8_t *copy = malloc(bytes ? bytes : 1);
    MUST(copy);
    memcpy(copy, data, bytes);
    return copy;
}

/* Cuts of `most` segments each: sizes add up, and each stands for the same single packets as its share of the whole. */
static void check_cuts(const uint8_t *data, uint32_t bytes, uint32_t ip, uint32_t most)
{
    uint32_t headers, segments = packet_segments(data, bytes, ip), segment = packet_segment(data, bytes, ip, &headers);
    uint64_t wire = 0, payload = 0;
    if (packet_cut(data, bytes, ip, 0, 1, part) == 0) {
        MUST(segments == 1 && packet_cut(data, bytes, ip, 0, UINT32_MAX, part) == 0);
        return;
    }
    MUST(segment > 0 && segments > 0);
    MUST(packet_cut(data, bytes, ip, segments, 1, part) == 0 && packet_cut(data, bytes, ip, 0, 0, part) == 0);
    for (uint32_t first = 0; first < segments; first += most) {
        uint32_t count = segments - first < most ? segments - first : most;
        uint32_t size = packet_cut(data, bytes, ip, first, most, cut);
        MUST(size > VIRTIO + headers && size <= bytes && size <= LARGE_BYTES);
        wire += packet_wire_size(cut, size, ip);
        payload += size - VIRTIO - headers;
        MUST(packet_segments(cut, size, ip) == count);
        for (uint32_t n = 0; count > 1 && n < count; n++) {
            uint32_t one = packet_cut(data, bytes, ip, first + n, 1, part);
            MUST(one == packet_cut(cut, size, ip, n, 1, again) && memcmp(part, again, one) == 0);
        }
    }
    MUST(wire == packet_wire_size(data, bytes, ip) && payload == bytes - VIRTIO - headers);
}

static void check_checksum(const uint8_t *data, uint32_t bytes, uint32_t ip)
{
    uint8_t *whole = copied(data, bytes), *flipped = copied(data, bytes);
    uint32_t bits = 0;
    double where = bytes ? data[bytes - 1] / 256.0 : 0.5;
    MUST(packet_complete(whole, bytes) == bytes);
    bool done = packet_flip(flipped, bytes, ip, where);
    for (uint32_t i = 0; i < bytes; i++) bits += (uint32_t)__builtin_popcount(flipped[i] ^ (done ? whole : data)[i]);
    MUST(bits == done);
    free(whole);
    free(flipped);
}

static void check_hop_limit(const uint8_t *data, uint32_t bytes)
{
    uint8_t *changed = copied(data, bytes);
    packet_set_hop_limit(changed, bytes, 17);
    MUST(packet_hop_limit(data, bytes) == 0 || packet_hop_limit(changed, bytes) == 17);
    free(changed);
}

/* Answers are whole packets that nothing answers again. */
static void check_answer(const uint8_t *data, uint32_t bytes, uint32_t most)
{
    static const uint8_t node[16] = {10, 0, 0, 9};
    uint8_t *answer = copied(cut, bytes);
    int from, to;
    MUST(bytes <= most);
    MUST(!address_is_group(packet_source(answer, bytes, &from), from));
    MUST(!address_is_group(packet_destination(answer, bytes, &to), to) && from == to);
    MUST(from != 4 || sum16(answer + VIRTIO, 20, 0) == 0xFFFF);
    MUST(packet_hop_limit(answer, bytes) == 64 && packet_version(data, VIRTIO + 1, VIRTIO) == from);
    MUST(icmp_echo_reply(answer, bytes, part) == 0);
    bool is_reply = answer[VIRTIO + (from == 4 ? 20 : 40)] % 129 == 0; /* no error, so one about it may be sent */
    MUST(is_reply || icmp_error(answer, bytes, node, from, true, 1, part) == 0);
    free(answer);
}

static void check_icmp(const uint8_t *data, uint32_t bytes)
{
    static const uint8_t node[16] = {10, 0, 0, 9};
    uint32_t size;
    for (int family = 4; family <= 6; family += 2) {
        for (int expired = 0; expired < 2; expired++) {
            size = icmp_error(data, bytes, node, family, expired, 1, cut);
            if (size) check_answer(data, size, VIRTIO + (family == 4 ? 576 : 1280));
        }
    }
    size = icmp_echo_reply(data, bytes, cut);
    if (size) check_answer(data, size, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    if (size < 2 || size > LONGEST) return 0;
    uint32_t bytes = (uint32_t)size - 2, ip = input[0] & 1 ? VIRTIO + ETHERNET : VIRTIO;
    uint8_t *data = copied(input + 2, bytes);
    MUST(packet_wire_size(data, bytes, ip) >= (bytes > VIRTIO ? bytes - VIRTIO : 0));
    check_cuts(data, bytes, ip, 1);
    check_cuts(data, bytes, ip, 2u + input[1]);
    check_checksum(data, bytes, ip);
    check_hop_limit(data, bytes);
    check_icmp(data, bytes);
    MUST(memcmp(data, input + 2, bytes) == 0);
    free(data);
    return 0;
}
