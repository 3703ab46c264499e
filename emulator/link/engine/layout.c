/* What the compiler made of abi.h: the version, then of every structure its size and the offset of each field, then the
 * constants that size arrays. Python compares this list with its own before it calls anything else (binding.py).
 *
 * Invariant: structures and fields stand here in the order of abi.h; a test reads both files and compares.
 */
#include "abi.h"

#ifndef ENGINE_BUILT_WITH
#define ENGINE_BUILT_WITH "unknown"
#endif

#define ENGINE_END(F) \
    F(queue_bytes) F(queue_packets) F(queue_s) F(jitter_s) F(duplicate) F(corrupt) F(good_to_bad) F(bad_to_good) \
    F(loss_good) F(loss_bad) F(period_s) F(sender) F(far) F(first_knot) F(knot_count) F(fine) F(flags) F(label) \
    F(label_bytes)
#define ENGINE_PORT(F) F(fd) F(node) F(end) F(ethernet)
#define ENGINE_ADDRESS(F) F(family) F(bytes) F(unused) F(dest)
#define ENGINE_CONFIG(F) \
    F(nodes) F(ends) F(dests) F(ports) F(addresses) F(lanes) F(static_routes) F(transit_routes) F(end) F(port) \
    F(address) F(live) F(may_forward) F(lane_of_node) F(ipv4) F(ipv6) F(labels) F(knot_t_s) F(knot_delay_s) \
    F(knot_rate_bps) F(knot_loss) F(knot_up) F(ring) F(ring_header_bytes) F(ring_bytes_per_row) F(ring_capacity) \
    F(at_head) F(at_delay_start_s) F(at_delay_end_s) F(at_rate_bps) F(at_loss) F(at_up) F(at_peer) F(at_next_end) \
    F(at_fine_count) F(at_fine_t_s) F(at_fine_delay_s) F(at_fine_rate_bps) F(at_fine_loss) F(at_fine_up) \
    F(fine_knots) F(step_s) F(small_slots) F(large_slots) F(handover_bytes) F(sent) F(received) F(unrouted)
#define ENGINE_LANE_REPORT(F) \
    F(lateness_sum_s) F(lateness_max_s) F(cpu_s) F(slept_s) F(overloaded_s) F(late_engine_s) F(late_scheduler_s) \
    F(late_capture_s) F(now_s) F(late_packets) F(wakeups) F(turns) F(late_rows) F(handed_over) F(late_handovers) \
    F(pool_small) F(pool_large) F(obeyed) F(turn_max_ns) F(realtime) F(unused) F(lateness)
#define ENGINE_ORDER(F) F(kind) F(end) F(set) F(clear) F(taps) F(up) F(rate_bps) F(delay_s) F(loss)
#define ENGINE_DELIVERY(F) F(at_s) F(end) F(node) F(dest) F(hops) F(size) F(bytes) F(offset)
#define ENGINE_HANDOVER(F) F(due_s) F(end) F(node) F(dest) F(hops) F(size) F(bytes)

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
#define OF engine_config
        sizeof(OF), ENGINE_CONFIG(F)
#undef OF
#define OF engine_lane_report
        sizeof(OF), ENGINE_LANE_REPORT(F)
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
        SENT_CELLS, RECEIVED_CELLS, LATENESS_BUCKETS, TAPS,
    };
    const size_t count = sizeof(layout) / sizeof(layout[0]);
    for (size_t place = 0; place < count && place < room; place++) out[place] = layout[place];
    return count;
}

const char *engine_built_with(void)
{
    return ENGINE_BUILT_WITH;
}
