/* What a transit node answers: ICMP and ICMPv6 time exceeded and destination unreachable, and replies to echo requests
 * (RFC 792, 1122, 1812, 4443).
 *
 * Invariant: no answer to an ICMP error, to a fragment that has no header, or to or from a group address, so that
 * answers never breed.
 */
#include "core.h"

#include "packet.h"

enum { ICMP = 1, ICMP6 = 58, TTL = 64 };
enum { ECHO4 = 8, ECHO4_REPLY = 0, ECHO6 = 128, ECHO6_REPLY = 129 };
enum { DF = 0x4000, MORE_OR_LATER = 0x3FFF }; /* RFC 791: more fragments, or an offset */
enum { QUOTE4 = 548, QUOTE6 = 1232 }; /* RFC 1812: 576 bytes in all; RFC 4443: no more than the minimum MTU, 1280 */

#define BURST 50.0      /* answers */
#define PER_SECOND 50.0
#define EMPTY (-1.0)

/* RFC 792: unreachable, quench, redirect, time exceeded, bad parameter. */
static bool is_error4(int kind) { return kind == 3 || kind == 4 || kind == 5 || kind == 11 || kind == 12; }

/* `from` and `to` lie apart from `head`. */
static void put_header4(uint8_t *head, uint32_t bytes, uint32_t service, uint32_t identity, uint32_t fragment,
                        const uint8_t *from, const uint8_t *to)
{
    head[0] = 0x45;
    head[1] = (uint8_t)service;
    put16(head + 2, bytes);
    put16(head + 4, identity);
    put16(head + 6, fragment);
    head[8] = TTL;
    head[9] = ICMP;
    put16(head + 10, 0);
    memcpy(head + 12, from, 4);
    memcpy(head + 16, to, 4);
    put16(head + 10, ~sum16(head, 20, 0));
}

static void put_header6(uint8_t *head, uint32_t body, uint32_t service, const uint8_t *from, const uint8_t *to)
{
    put32(head, 6u << 28 | service << 20);
    put16(head + 4, body);
    head[6] = ICMP6;
    head[7] = TTL;
    memcpy(head + 8, from, 16);
    memcpy(head + 24, to, 16);
}

/* Sum over an ICMPv6 message and its pseudo header (RFC 8200, 8.1); `head` is its IPv6 header. */
static uint32_t sum_icmp6(const uint8_t *head, uint32_t body)
{
    return sum16(head + 40, body, sum16(head + 8, 32, body + ICMP6));
}

/* IP version of a packet between two single nodes; 0: it is none. */
static int version_of_unicast(const uint8_t *data, uint32_t bytes)
{
    int family, version;
    const uint8_t *from = packet_source(data, bytes, &version), *to = packet_destination(data, bytes, &family);
    return address_is_group(from, version) || address_is_group(to, family) ? 0 : version;
}

/* Whether an error about the packet may be sent (RFC 1812, 4.3.2.7; RFC 4443, 2.4). */
static bool may_answer(const uint8_t *data, uint32_t bytes, int family)
{
    int version = version_of_unicast(data, bytes);
    uint32_t kind;
    if (version == 0 || version != family) return false;
    kind = VIRTIO + (family == 4 ? (data[VIRTIO] & 15u) * 4 : 40);
    if (bytes < kind + 2) return false;
    if (family == 6) return data[VIRTIO + 6] != ICMP6 || data[kind] >= 128;
    if ((data[VIRTIO + 6] & 0x1F) || data[VIRTIO + 7]) return false;
    return data[VIRTIO + 9] != ICMP || !is_error4(data[kind]);
}

/* The begin of the packet, without its virtio header, as it arrived: with the hop limit that it had, and with its
 * checksum complete. Returns its bytes. */
static uint32_t quote(const uint8_t *data, uint32_t bytes, int hops, uint32_t most, uint8_t *out)
{
    uint8_t begin[VIRTIO + QUOTE6];
    uint32_t kept = bytes < VIRTIO + most ? bytes : VIRTIO + most;
    uint32_t check = 0, at = packet_checksum(data, bytes, &check);
    memcpy(begin, data, kept);
    if (at != 0 && at < kept) begin[at] = (uint8_t)(check >> 8);
    if (at != 0 && at + 1 < kept) begin[at + 1] = (uint8_t)check;
    packet_set_hop_limit(begin, kept, hops);
    memcpy(out, begin + VIRTIO, kept - VIRTIO);
    return kept - VIRTIO;
}

/* The error that `node` (its address) sends about a packet: time exceeded in transit, or destination (IPv4: host)
 * unreachable. `hops` is the hop limit with which the packet arrived. `out` has room for VIRTIO + 1280 bytes and is
 * apart from `data`. Returns the bytes of the answer; 0: none may be sent. */
uint32_t icmp_error(const uint8_t *data, uint32_t bytes, const uint8_t *node, int family, bool expired, int hops,
                    uint8_t *out)
{
    uint32_t body, header = family == 4 ? 20 : 40;
    uint8_t *head = out + VIRTIO, *message = head + header;
    int version;
    if (!may_answer(data, bytes, family)) return 0;
    body = 8 + quote(data, bytes, hops, family == 4 ? QUOTE4 : QUOTE6, message + 8);
    memset(out, 0, VIRTIO);
    memset(message, 0, 8);
    if (family == 4) {
        message[0] = expired ? 11 : 3;
        message[1] = expired ? 0 : 1;
        put16(message + 2, ~sum16(message, body, 0));
        put_header4(head, header + body, 0xC0, 0, 0, node, packet_source(data, bytes, &version));
    } else {
        message[0] = expired ? 3 : 1;
        put_header6(head, body, 0, node, packet_source(data, bytes, &version));
        put16(message + 2, ~sum_icmp6(head, body));
    }
    return VIRTIO + header + body;
}

/* Bytes of the message of an echo request (ICMP header and all behind it); 0: the packet is none, or not all of it is
 * there, or it is a fragment. */
static uint32_t echo_request(const uint8_t *data, uint32_t bytes)
{
    const uint8_t *head = data + VIRTIO;
    int version = version_of_unicast(data, bytes);
    uint32_t header, end;
    if (version == 0) return 0;
    header = version == 4 ? (head[0] & 15u) * 4 : 40;
    end = version == 4 ? get16(head + 2) : header + get16(head + 4);
    if (header < 20 || end < header + 8 || end > bytes - VIRTIO) return 0;
    if (version == 6) return head[6] == ICMP6 && head[header] == ECHO6 ? end - header : 0;
    return head[9] == ICMP && head[header] == ECHO4 && !(get16(head + 6) & MORE_OR_LATER) ? end - header : 0;
}

/* Whether the checksums of an echo request are right (RFC 1122, 3.2.1.2; RFC 792; RFC 4443, 2.3). */
static bool is_intact(const uint8_t *head, uint32_t body)
{
    uint32_t header = (head[0] & 15u) * 4;
    if (head[0] >> 4 == 6) return sum_icmp6(head, body) == 0xFFFF;
    return sum16(head, header, 0) == 0xFFFF && sum16(head + header, body, 0) == 0xFFFF;
}

/* Makes the reply of an intact request in place. What the asker knows it by stays: service (RFC 1349), IPv4 identity
 * and DF, code, identifier, sequence, payload. Options and the flow label do not. Returns the bytes of its header. */
static uint32_t turn4(uint8_t *head, uint32_t body)
{
    uint8_t from[4], to[4], service = head[1];
    uint32_t identity = get16(head + 4), dont_fragment = get16(head + 6) & DF;
    memcpy(from, head + 16, 4);
    memcpy(to, head + 12, 4);
    memmove(head + 20, head + (head[0] & 15u) * 4, body);
    head[20] = ECHO4_REPLY;
    put16(head + 22, 0);
    put16(head + 22, ~sum16(head + 20, body, 0));
    put_header4(head, 20 + body, service, identity, dont_fragment, from, to);
    return 20;
}

static uint32_t turn6(uint8_t *head, uint32_t body)
{
    uint8_t from[16], to[16];
    memcpy(from, head + 24, 16);
    memcpy(to, head + 8, 16);
    put_header6(head, body, (get16(head) >> 4) & 0xFF, from, to);
    head[40] = ECHO6_REPLY;
    put16(head + 42, 0);
    put16(head + 42, ~sum_icmp6(head, body));
    return 40;
}

/* The reply to an echo request to the node itself (RFC 792; RFC 4443, 4.2). `out` has room for LARGE_BYTES and is apart
 * from `data`. Returns its bytes; 0: the packet is no intact echo request. */
uint32_t icmp_echo_reply(const uint8_t *data, uint32_t bytes, uint8_t *out)
{
    uint8_t *head = out + VIRTIO;
    uint32_t body;
    if (bytes > LARGE_BYTES || echo_request(data, bytes) == 0) return 0;
    memcpy(out, data, bytes);
    packet_complete(out, bytes);
    body = echo_request(out, bytes); /* again: the header says where the checksum lies, and it may lie anywhere */
    if (body == 0 || !is_intact(head, body)) return 0;
    memset(out, 0, VIRTIO);
    return VIRTIO + (head[0] >> 4 == 4 ? turn4(head, body) : turn6(head, body)) + body;
}

/* Token bucket for the answers of one node: bursts of traceroute pass, a flood of unreachables does not. A new bucket
 * is full; so that a zeroed struct is a new one, `tokens` 0 stands for BURST, and none left is kept as EMPTY. Time that
 * goes back counts as standing still. */
bool allowance_take(allowance *a, double t_s)
{
    double tokens = a->tokens == 0.0 ? BURST : a->tokens == EMPTY ? 0.0 : a->tokens;
    bool granted;
    if (t_s > a->at_s) {
        tokens += (t_s - a->at_s) * PER_SECOND;
        if (tokens > BURST) tokens = BURST;
        a->at_s = t_s;
    }
    granted = tokens >= 1.0;
    if (granted) tokens -= 1.0;
    a->tokens = tokens == 0.0 ? EMPTY : tokens;
    return granted;
}
