/* Random streams: the Mersenne Twister (MT19937, Matsumoto and Nishimura 1998), seeded from a name.
 *
 * Invariant: a stream gives the numbers that `random.Random(name).random()` gives in CPython, bit for bit, so that a
 * run repeats whichever of the two drew.
 */
#include "core.h"

#include "packet.h"

enum { N = 624, M = 397, DIGEST = 64, BLOCK = 128 };

static const uint64_t round_constant[80] = {
    0x428A2F98D728AE22, 0x7137449123EF65CD, 0xB5C0FBCFEC4D3B2F, 0xE9B5DBA58189DBBC,
    0x3956C25BF348B538, 0x59F111F1B605D019, 0x923F82A4AF194F9B, 0xAB1C5ED5DA6D8118,
    0xD807AA98A3030242, 0x12835B0145706FBE, 0x243185BE4EE4B28C, 0x550C7DC3D5FFB4E2,
    0x72BE5D74F27B896F, 0x80DEB1FE3B1696B1, 0x9BDC06A725C71235, 0xC19BF174CF692694,
    0xE49B69C19EF14AD2, 0xEFBE4786384F25E3, 0x0FC19DC68B8CD5B5, 0x240CA1CC77AC9C65,
    0x2DE92C6F592B0275, 0x4A7484AA6EA6E483, 0x5CB0A9DCBD41FBD4, 0x76F988DA831153B5,
    0x983E5152EE66DFAB, 0xA831C66D2DB43210, 0xB00327C898FB213F, 0xBF597FC7BEEF0EE4,
    0xC6E00BF33DA88FC2, 0xD5A79147930AA725, 0x06CA6351E003826F, 0x142929670A0E6E70,
    0x27B70A8546D22FFC, 0x2E1B21385C26C926, 0x4D2C6DFC5AC42AED, 0x53380D139D95B3DF,
    0x650A73548BAF63DE, 0x766A0ABB3C77B2A8, 0x81C2C92E47EDAEE6, 0x92722C851482353B,
    0xA2BFE8A14CF10364, 0xA81A664BBC423001, 0xC24B8B70D0F89791, 0xC76C51A30654BE30,
    0xD192E819D6EF5218, 0xD69906245565A910, 0xF40E35855771202A, 0x106AA07032BBD1B8,
    0x19A4C116B8D2D0C8, 0x1E376C085141AB53, 0x2748774CDF8EEB99, 0x34B0BCB5E19B48A8,
    0x391C0CB3C5C95A63, 0x4ED8AA4AE3418ACB, 0x5B9CCA4F7763E373, 0x682E6FF3D6B2B8A3,
    0x748F82EE5DEFB2FC, 0x78A5636F43172F60, 0x84C87814A1F0AB72, 0x8CC702081A6439EC,
    0x90BEFFFA23631E28, 0xA4506CEBDE82BDE9, 0xBEF9A3F7B2C67915, 0xC67178F2E372532B,
    0xCA273ECEEA26619C, 0xD186B8C721C0C207, 0xEADA7DD6CDE0EB1E, 0xF57D4F7FEE6ED178,
    0x06F067AA72176FBA, 0x0A637DC5A2C898A6, 0x113F9804BEF90DAE, 0x1B710B35131C471B,
    0x28DB77F523047D84, 0x32CAAB7B40C72493, 0x3C9EBE0A15C9BEBC, 0x431D67C49C100D4C,
    0x4CC5D4BECB3E42B6, 0x597F299CFC657E2A, 0x5FCB6FAB3AD6FAEC, 0x6C44198C4A475817,
};

static uint64_t turned(uint64_t x, int bits) { return x >> bits | x << (64 - bits); }

static uint64_t get64(const uint8_t *at) { return (uint64_t)get32(at) << 32 | get32(at + 4); }

/* One block of SHA-512 (FIPS 180-4, 6.4.2). */
static void sha512_block(uint64_t state[8], const uint8_t *block)
{
    uint64_t w[80], v[8], one, two;
    for (int i = 0; i < 16; i++) w[i] = get64(block + 8 * i);
    for (int i = 16; i < 80; i++) {
        one = turned(w[i - 15], 1) ^ turned(w[i - 15], 8) ^ w[i - 15] >> 7;
        two = turned(w[i - 2], 19) ^ turned(w[i - 2], 61) ^ w[i - 2] >> 6;
        w[i] = w[i - 16] + one + w[i - 7] + two;
    }
    memcpy(v, state, sizeof v);
    for (int i = 0; i < 80; i++) {
        one = v[7] + (turned(v[4], 14) ^ turned(v[4], 18) ^ turned(v[4], 41)) + ((v[4] & v[5]) ^ (~v[4] & v[6]));
        one += round_constant[i] + w[i];
        two = turned(v[0], 28) ^ turned(v[0], 34) ^ turned(v[0], 39);
        two += (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
        memmove(v + 1, v, 7 * sizeof v[0]);
        v[4] += one;
        v[0] = one + two;
    }
    for (int i = 0; i < 8; i++) state[i] += v[i];
}

/* SHA-512 (FIPS 180-4). */
static void sha512(const uint8_t *data, uint32_t bytes, uint8_t digest[DIGEST])
{
    uint64_t state[8] = {
        0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1,
        0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179,
    };
    uint8_t end[2 * BLOCK] = {0};
    uint32_t whole = bytes / BLOCK * BLOCK, rest = bytes - whole, padded = rest < BLOCK - 16 ? BLOCK : 2 * BLOCK;
    for (uint32_t at = 0; at < whole; at += BLOCK) sha512_block(state, data + at);
    for (uint32_t i = 0; i < rest; i++) end[i] = data[whole + i];
    end[rest] = 0x80;
    put32(end + padded - 8, bytes >> 29);
    put32(end + padded - 4, bytes << 3);
    for (uint32_t at = 0; at < padded; at += BLOCK) sha512_block(state, end + at);
    for (int i = 0; i < 8; i++) {
        put32(digest + 8 * i, (uint32_t)(state[i] >> 32));
        put32(digest + 8 * i + 4, (uint32_t)state[i]);
    }
}

/* The seed is the number whose big-endian bytes are the label and its digest. */
typedef struct { const uint8_t *label; uint64_t bytes; uint8_t digest[DIGEST]; } seed;

/* Its byte at `place`, counted from the lowest; 0 beyond its end. */
static uint32_t seed_byte(const seed *s, uint64_t place)
{
    if (place < DIGEST) return s->digest[DIGEST - 1 - place];
    place -= DIGEST;
    return place < s->bytes ? s->label[s->bytes - 1 - place] : 0;
}

static uint32_t seed_word(const seed *s, uint64_t place)
{
    uint32_t word = 0;
    for (int i = 3; i >= 0; i--) word = word << 8 | seed_byte(s, 4 * place + (uint64_t)i);
    return word;
}

/* How many 32-bit words it has without leading zeros, at least one. */
static uint64_t seed_words(const seed *s)
{
    uint64_t bytes = s->bytes + DIGEST;
    while (bytes > 1 && seed_byte(s, bytes - 1) == 0) bytes--;
    return (bytes + 3) / 4;
}

static void fill(uint32_t state[N], uint32_t first)
{
    state[0] = first;
    for (uint32_t i = 1; i < N; i++) state[i] = 1812433253u * (state[i - 1] ^ state[i - 1] >> 30) + i;
}

/* The place after `i`; behind the last comes the second, as the first takes the last's number. */
static uint32_t step(uint32_t state[N], uint32_t i)
{
    if (++i < N) return i;
    state[0] = state[N - 1];
    return 1;
}

/* init_by_array of the authors' code with the words of the number, as CPython's random_seed. */
void stream_seed(stream *s, const uint8_t *label, uint32_t bytes)
{
    seed from = {.label = label, .bytes = bytes};
    uint32_t *state = s->state, i = 1;
    uint64_t words, word = 0;
    sha512(label, bytes, from.digest);
    words = seed_words(&from);
    fill(state, 19650218u);
    for (uint64_t left = words > N ? words : N; left > 0; left--) {
        uint32_t mixed = (state[i - 1] ^ state[i - 1] >> 30) * 1664525u;
        state[i] = (state[i] ^ mixed) + seed_word(&from, word) + (uint32_t)word;
        i = step(state, i);
        if (++word == words) word = 0;
    }
    for (int left = N - 1; left > 0; left--) {
        state[i] = (state[i] ^ (state[i - 1] ^ state[i - 1] >> 30) * 1566083941u) - i;
        i = step(state, i);
    }
    state[0] = 0x80000000u;
    s->index = N;
}

static void renew(stream *s)
{
    uint32_t *state = s->state;
    for (uint32_t i = 0; i < N; i++) {
        uint32_t y = (state[i] & 0x80000000u) | (state[(i + 1) % N] & 0x7FFFFFFFu);
        state[i] = state[(i + M) % N] ^ y >> 1 ^ (y & 1 ? 0x9908B0DFu : 0);
    }
    s->index = 0;
}

static uint32_t next32(stream *s)
{
    uint32_t y;
    if (s->index >= N) renew(s);
    y = s->state[s->index++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9D2C5680u;
    y ^= y << 15 & 0xEFC60000u;
    return y ^ y >> 18;
}

/* A number in [0, 1) of 53 bits (genrand_res53). */
double stream_next(stream *s)
{
    uint32_t high = next32(s) >> 5, low = next32(s) >> 6;
    return (high * 67108864.0 + low) * (1.0 / 9007199254740992.0);
}
