/* What packet.c and icmp.c share: loads and stores of numbers in packets, and the value of a partial checksum.
 *
 * Invariant: loads and stores go byte by byte or by memcpy, so that no address has to be aligned. Network order is
 * big-endian; the virtio header is in the order of the host.
 */
#ifndef SKYLOOM_ENGINE_PACKET_H
#define SKYLOOM_ENGINE_PACKET_H

#include <stdint.h>
#include <string.h>

static inline uint32_t get16(const uint8_t *at) { return (uint32_t)at[0] << 8 | at[1]; }

static inline void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline uint32_t get32(const uint8_t *at) { return get16(at) << 16 | get16(at + 2); }

static inline void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value);
}

static inline uint32_t get_host16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline void put_host16(uint8_t *at, uint32_t value)
{
    uint16_t low = (uint16_t)value;
    memcpy(at, &low, sizeof low);
}

/* The checksum that is still to be written, where the virtio header says that it is partial, and as return value the
 * offset of its two bytes; 0: there is none. */
uint32_t packet_checksum(const uint8_t *data, uint32_t bytes, uint32_t *check);

#endif
