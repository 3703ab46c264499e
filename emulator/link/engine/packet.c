/* Bytes of a packet: addresses, hop limit, wire size, checksums, cutting of merged segments.
 *
 * A packet is a virtio-net header of 10 bytes, for Ethernet a frame header of 14, then IPv4 or IPv6, as a TUN device
 * with IFF_VNET_HDR gives it; `ip` is the offset of the IP header (10 or 24). Invariant: nothing here trusts a length
 * or an offset that the packet states; what is cut short or makes no sense is left as it is.
 */
#include "core.h"

#include "packet.h"

enum { NEEDS_CSUM = 1, GSO_UDP = 5, GSO_ECN = 0x80 };     /* virtio: flags, gso_type */
enum { AT_GSO = 1, AT_HDR_LEN = 2, AT_GSO_SIZE = 4, AT_CSUM_START = 6, AT_CSUM_OFFSET = 8 };
enum { LEAST_MERGED = 40 };                               /* bytes of a merged packet: IPv4 and TCP header */
enum { TCP_FIN_PSH = 0x09, TCP_CWR = 0x80 };

/* Where the parts of a merged packet are that can be cut. */
typedef struct {
    uint32_t segment;   /* payload bytes of each segment */
    uint32_t transport; /* offset of the TCP or UDP header */
    uint32_t body;      /* offset of the payload */
    uint32_t count;     /* segments */
    uint32_t check;     /* offset of the checksum in its header */
    bool udp, ipv4;
} merged;

/* Ones' complement sum of 16-bit big-endian words (RFC 1071), folded, not inverted. The order of bytes does not matter
 * until the end, so it adds words as the host has them. */
uint32_t sum16(const uint8_t *data, uint32_t bytes, uint32_t start)
{
    uint64_t total = 0;
    uint32_t word, at = 0;
    uint8_t tail[4] = {0}, folded[2];
    for (; bytes - at >= 4; at += 4) {
        memcpy(&word, data + at, 4);
        total += word;
    }
    for (uint32_t i = 0; at + i < bytes; i++) tail[i] = data[at + i];
    memcpy(&word, tail, 4);
    total += word;
    while (total > 0xFFFF) total = (total & 0xFFFF) + (total >> 16);
    put_host16(folded, (uint32_t)total);
    total = (uint64_t)get16(folded) + start;
    while (total > 0xFFFF) total = (total & 0xFFFF) + (total >> 16);
    return (uint32_t)total;
}

int packet_version(const uint8_t *data, uint32_t bytes, uint32_t ip)
{
    int version = bytes > ip ? data[ip] >> 4 : 0;
    return version == 4 || version == 6 ? version : 0;
}

/* An address at its place for IPv4 or IPv6 (RFC 791, 8200), where the packet has all of it. */
static const uint8_t *address(const uint8_t *data, uint32_t bytes, int *family, uint32_t at4, uint32_t at6)
{
    int version = packet_version(data, bytes, VIRTIO);
    *family = 0;
    if (version == 0 || bytes < VIRTIO + (version == 4 ? at4 + 4 : at6 + 16)) return NULL;
    *family = version;
    return data + VIRTIO + (version == 4 ? at4 : at6);
}

const uint8_t *packet_destination(const uint8_t *data, uint32_t bytes, int *family)
{
    return address(data, bytes, family, 16, 24);
}

const uint8_t *packet_source(const uint8_t *data, uint32_t bytes, int *family)
{
    return address(data, bytes, family, 12, 8);
}

/* Whether an address is multicast, broadcast, unspecified or link-local (RFC 1122, 3927, 4291): nothing that a transit
 * node forwards. What is no address (NULL, or of no family) counts as one. */
bool address_is_group(const uint8_t *at, int family)
{
    static const uint8_t unspecified[16];
    if (at == NULL) return true;
    if (family == 4) return at[0] >= 224 || at[0] == 0 || (at[0] == 169 && at[1] == 254);
    if (family != 6) return true;
    return at[0] == 0xFF || (at[0] == 0xFE && (at[1] & 0xC0) == 0x80) || memcmp(at, unspecified, 16) == 0;
}

/* TTL of IPv4, hop limit of IPv6; 0 where the packet is neither. */
int packet_hop_limit(const uint8_t *data, uint32_t bytes)
{
    int version = packet_version(data, bytes, VIRTIO);
    if (version == 4 && bytes >= VIRTIO + 20) return data[VIRTIO + 8];
    return version == 6 && bytes >= VIRTIO + 40 ? data[VIRTIO + 7] : 0;
}

/* Sets the TTL or hop limit; the IPv4 header checksum follows incrementally: ~check + ~old + new, where the words
 * differ in their high byte only (RFC 1624). The caller knows that it is a packet; what is not IPv4 counts as IPv6. */
void packet_set_hop_limit(uint8_t *data, uint32_t bytes, int hops)
{
    uint32_t limit = (uint32_t)hops & 0xFF, total;
    if (bytes < VIRTIO + 12 || packet_hop_limit(data, bytes) == hops) return;
    if (data[VIRTIO] >> 4 != 4) {
        data[VIRTIO + 7] = (uint8_t)limit;
        return;
    }
    total = (~get16(data + VIRTIO + 10) & 0xFFFF) + 0xFFFF - ((uint32_t)data[VIRTIO + 8] << 8) + (limit << 8);
    total = total % 65535 ? total % 65535 : 65535;
    data[VIRTIO + 8] = (uint8_t)limit;
    put16(data + VIRTIO + 10, ~total);
}

/* Bytes of the IP header, as far as it states them; what is not IPv4 counts as IPv6. */
static uint32_t ip_header(const uint8_t *data, uint32_t ip) { return data[ip] >> 4 == 4 ? (data[ip] & 15u) * 4 : 40; }

static bool is_udp(const uint8_t *data) { return (data[AT_GSO] & ~GSO_ECN & 0xFF) == GSO_UDP; }

/* Payload bytes of each segment of a merged packet, and header bytes before it; 0 for a single packet. The hdr_len of
 * the virtio header is only a hint (Linux gives the linear part of its buffer), so the transport header tells. */
uint32_t packet_segment(const uint8_t *data, uint32_t bytes, uint32_t ip, uint32_t *headers)
{
    uint32_t start;
    *headers = 0;
    if (bytes < ip + LEAST_MERGED || data[AT_GSO] == 0) return 0;
    start = data[0] & NEEDS_CSUM ? get_host16(data + AT_CSUM_START) : ip - VIRTIO + ip_header(data, ip);
    if (is_udp(data)) {
        *headers = start + 8;
    } else {
        if (bytes < VIRTIO + start + 13) return 0;
        *headers = start + (uint32_t)(data[VIRTIO + start + 12] >> 4) * 4;
    }
    return get_host16(data + AT_GSO_SIZE);
}

/* Bytes on the wire: of merged segments the headers count once for each segment. */
uint32_t packet_wire_size(const uint8_t *data, uint32_t bytes, uint32_t ip)
{
    uint32_t headers, segment = packet_segment(data, bytes, ip, &headers);
    uint64_t size = bytes > VIRTIO ? bytes - VIRTIO : 0;
    if (segment != 0 && headers < size) size += ((size - headers - 1) / segment) * headers;
    return size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
}

/* Whether a merged packet can be cut, and where. Beyond what the model asks, its headers must be whole, one behind the
 * other and hold the checksum at its place, and the whole must be an IP packet: the kernel refuses others as well. */
static bool find_merged(const uint8_t *data, uint32_t bytes, uint32_t ip, merged *m)
{
    uint32_t headers, least;
    int version = packet_version(data, bytes, ip);
    m->segment = packet_segment(data, bytes, ip, &headers);
    if (m->segment == 0 || version == 0 || !(data[0] & NEEDS_CSUM)) return false;
    m->udp = is_udp(data);
    m->ipv4 = version == 4;
    m->transport = VIRTIO + get_host16(data + AT_CSUM_START);
    m->body = VIRTIO + headers;
    m->check = get_host16(data + AT_CSUM_OFFSET);
    least = m->udp ? 8 : 20;
    if (bytes <= m->body || m->body < m->transport + least || m->check != (m->udp ? 6u : 16u)) return false;
    if (ip_header(data, ip) < 20 || m->transport < ip + ip_header(data, ip)) return false;
    if (bytes - ip > (m->ipv4 ? 65535u : 65575u)) return false;
    if (m->body + m->segment + 1 < ip + LEAST_MERGED) return false; /* a cut would not be seen as merged any more */
    m->count = (bytes - m->body - 1) / m->segment + 1;
    return true;
}

/* How many packets it stands for. */
uint32_t packet_segments(const uint8_t *data, uint32_t bytes, uint32_t ip)
{
    merged m;
    return find_merged(data, bytes, ip, &m) ? m.count : 1;
}

/* The virtio header of `count` segments: of one a plain packet with a partial checksum, of more a merged packet. TUN
 * refuses a hdr_len that is longer than the packet, so it is that of the headers. */
static void cut_virtio(uint8_t *out, const merged *m, uint32_t count)
{
    uint32_t headers = m->body - VIRTIO;
    out[0] = NEEDS_CSUM;
    if (count == 1) {
        memset(out + AT_GSO, 0, AT_CSUM_START - AT_GSO);
    } else {
        put_host16(out + AT_HDR_LEN, headers < 65535 ? headers : 65535);
    }
}

static void cut_ip(uint8_t *head, uint32_t bytes, bool ipv4, uint32_t first)
{
    if (!ipv4) {
        put16(head + 4, bytes - 40);
        return;
    }
    put16(head + 2, bytes);
    put16(head + 4, get16(head + 4) + first);
    put16(head + 10, 0);
    put16(head + 10, ~sum16(head, (head[0] & 15u) * 4, 0));
}

/* FIN and PSH stay with the last segment alone, CWR with the first (RFC 9293, 3168). */
static void cut_tcp(uint8_t *head, uint32_t offset, bool first, bool last)
{
    put32(head + 4, get32(head + 4) + offset);
    if (!last) head[13] &= (uint8_t)~TCP_FIN_PSH;
    if (!first) head[13] &= (uint8_t)~TCP_CWR;
}

/* Segments `first` to `first + count` of a merged packet as a packet of its own, as the kernel's segmentation would cut
 * it: one segment gives a plain packet, more a packet that is still merged. `out` has room for LARGE_BYTES and is
 * apart from `data`. Returns its bytes; 0: not merged, or it cannot be cut, or it has no such segments. */
uint32_t packet_cut(const uint8_t *data, uint32_t bytes, uint32_t ip, uint32_t first, uint32_t count, uint8_t *out)
{
    merged m;
    uint32_t offset, payload, size, pseudo;
    if (!find_merged(data, bytes, ip, &m) || count == 0 || first >= m.count) return 0;
    if (count > m.count - first) count = m.count - first;
    offset = first * m.segment;
    payload = first + count == m.count ? bytes - m.body - offset : count * m.segment;
    size = m.body + payload;
    memcpy(out, data, m.body);
    memcpy(out + m.body, data + m.body + offset, payload);
    cut_virtio(out, &m, count);
    cut_ip(out + ip, size - ip, m.ipv4, first);
    if (m.udp) put16(out + m.transport + 4, size - m.transport);
    else cut_tcp(out + m.transport, offset, first == 0, first + count == m.count);
    /* The partial checksum is the sum of the pseudo header, whose length changes from the whole to the cut. */
    pseudo = get16(data + m.transport + m.check) + 65535 - (bytes - m.transport) % 65535;
    put16(out + m.transport + m.check, (pseudo + size - m.transport) % 65535);
    return size;
}

/* The field of a partial checksum holds the sum of the pseudo header, so that the sum from `start` on is that of all
 * (virtio 1.2, 5.1.6.2). A merged packet has none: each of its segments will. */
uint32_t packet_checksum(const uint8_t *data, uint32_t bytes, uint32_t *check)
{
    uint32_t start, at;
    if (bytes < VIRTIO || !(data[0] & NEEDS_CSUM) || data[AT_GSO] != 0) return 0;
    start = VIRTIO + get_host16(data + AT_CSUM_START);
    at = start + get_host16(data + AT_CSUM_OFFSET);
    if (at + 2 > bytes) return 0;
    *check = ~sum16(data + start, bytes - start, 0) & 0xFFFF;
    if (*check == 0) *check = 0xFFFF;
    return at;
}

/* Completes the checksum where that is still partial. Returns the bytes of the packet, which do not change. */
uint32_t packet_complete(uint8_t *data, uint32_t bytes)
{
    uint32_t check, at = packet_checksum(data, bytes, &check);
    if (at == 0) return bytes;
    memset(data, 0, VIRTIO);
    put16(data + at, check);
    return bytes;
}

/* Completes the checksum, so that receivers see the error, and flips the bit at `where` (in [0, 1)) of what lies behind
 * the IP header, so that the packet still arrives. false: nothing lies there. */
bool packet_flip(uint8_t *data, uint32_t bytes, uint32_t ip, double where)
{
    uint32_t first = bytes > ip ? ip + ip_header(data, ip) : bytes;
    uint64_t bit;
    if (first >= bytes || !(where >= 0.0 && where < 1.0)) return false;
    bit = (uint64_t)(where * (double)(bytes - first) * 8.0);
    packet_complete(data, bytes);
    data[first + bit / 8] ^= (uint8_t)(1u << bit % 8);
    return true;
}
