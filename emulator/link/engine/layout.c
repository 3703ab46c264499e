/* What the compiler made of structures.h: the version, then of every structure its size and the offset of each field,
 * then the constants that size arrays. Python compares this list with its own before it calls anything else (binding.py).
 */
#include "abi.h"

#ifndef ENGINE_BUILT_WITH
#define ENGINE_BUILT_WITH "unknown"
#endif

size_t engine_layout(uint32_t *out, size_t room)
{
    static const uint32_t layout[] = {
        ENGINE_ABI,
#define F(field) (uint32_t)offsetof(OF, field),
#define OF engine_end
        sizeof(OF), ENGINE_END(F)
#undef OF
#define OF engine_port
        sizeof(OF), ENGINE_PORT(F)
#undef OF
#define OF engine_address
        sizeof(OF), ENGINE_ADDRESS(F)
#undef OF
#define OF engine_trunk
        sizeof(OF), ENGINE_TRUNK(F)
#undef OF
#define OF engine_config
        sizeof(OF), ENGINE_CONFIG(F)
#undef OF
#define OF engine_lane_report
        sizeof(OF), ENGINE_LANE_REPORT(F)
#undef OF
#define OF clock_probe
        sizeof(OF), CLOCK_PROBE(F)
#undef OF
#define OF trunk_report
        sizeof(OF), TRUNK_REPORT(F)
#undef OF
#define OF engine_order
        sizeof(OF), ENGINE_ORDER(F)
#undef OF
#define OF engine_delivery
        sizeof(OF), ENGINE_DELIVERY(F)
#undef OF
#define OF engine_handover
        sizeof(OF), ENGINE_HANDOVER(F)
#undef OF
#undef F
        SENT_CELLS, RECEIVED_CELLS, LATENESS_BUCKETS, TAPS, PROBES,
    };
    const size_t count = sizeof(layout) / sizeof(layout[0]);
    for (size_t place = 0; place < count && place < room; place++) out[place] = layout[place];
    return count;
}

const char *engine_built_with(void)
{
    return ENGINE_BUILT_WITH;
}
