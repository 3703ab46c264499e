/* Buckets of lateness and latency: 1/8 octave from 2^-20 s on, as emulator/link/lateness.py has them. */
#ifndef SKYLOOM_ENGINE_LATENESS_H
#define SKYLOOM_ENGINE_LATENESS_H

#include <math.h>

#include "structures.h"

static inline int lateness_bucket(double late_s)
{
    double octaves = late_s * 1048576.0; /* of 2^-20 s */
    if (!(octaves > 1.0)) return 0;
    int exponent;
    double mantissa = frexp(octaves, &exponent);
    int bucket = exponent * 8 + (int)((mantissa * 2.0 - 1.0) * 8) - 7;
    return bucket < LATENESS_BUCKETS ? bucket : LATENESS_BUCKETS - 1;
}

#endif
