/* The packet engine's interface: everything that crosses between Python and C, and nothing else.
 *
 * The engine knows link ends, nodes, queues, schedule steps, ports and orders by number; it knows no names, no scenario
 * and no protocol. Link i has the ends 2i (sends from its node a to b) and 2i+1 (from b to a). Times are seconds of the
 * scenario as double, rates are bit/s, sizes are bytes. A packet is a virtio-net header of 10 bytes, for Ethernet a
 * frame header, then IPv4 or IPv6.
 *
 * Structures and constants are in structures.h. Invariant: Python checks their sizes and offsets against `engine_layout`
 * before it uses any of them.
 */
#ifndef SKYLOOM_ENGINE_ABI_H
#define SKYLOOM_ENGINE_ABI_H

#include "structures.h"

#define ENGINE_API __attribute__((visibility("default")))

typedef struct engine engine;
typedef struct clock_page clock_page;

/* ---- functions ---- */

/* NULL where memory is short or the configuration makes no sense; `why` then says what (room bytes). */
ENGINE_API engine *engine_create(const engine_config *config, char *why, size_t room);
ENGINE_API void engine_destroy(engine *e);
ENGINE_API const char *engine_built_with(void);
ENGINE_API size_t engine_layout(uint32_t *out, size_t room); /* sizes and offsets; returns how many there are */
ENGINE_API engine_lane_report *engine_report(engine *e, int lane);
ENGINE_API int64_t engine_turn_max_ns(engine *e, int lane);  /* and begins a new interval */

/* In memory: time is what the caller says; lanes are played by this thread or, with `threads`, by one thread each. */
ENGINE_API int engine_offer(engine *e, int32_t end, double t_s, const uint8_t *data, uint32_t bytes, uint32_t size,
                            int32_t dest, int32_t hops);
ENGINE_API void engine_play(engine *e, double until_s, int threads);
ENGINE_API double engine_next_s(engine *e);
ENGINE_API void engine_obey(engine *e, const engine_order *order, double t_s);
/* Packets that reached ports in memory, in the order in which they came due, as many as fit; returns how many. */
ENGINE_API int64_t engine_take(engine *e, engine_delivery *out, int64_t most, uint8_t *bytes, uint64_t room);
/* Packets inside an end: those that wait (half 0) or are in flight (half 1); returns how many there are. */
ENGINE_API int64_t engine_inside(engine *e, int32_t end, int half, engine_delivery *out, int64_t most, uint8_t *bytes,
                                 uint64_t room);
/* What holds for an end at a time: start, stop, delay at start and end, rate, loss, up, peer, until, hops it costs. */
ENGINE_API void engine_holds(engine *e, int32_t end, double t_s, double out[10]);

/* In real time. `engine_run` plays one lane in the calling thread until ORDER_STOP, from t0_ns of the run's clock on. */
ENGINE_API int engine_run(engine *e, int lane, int64_t t0_ns, int gate_fd, int realtime);
/* Numbers of orders rise by one; 0: the ring is full, try again. `engine_order_fd` is readable when some were obeyed. */
ENGINE_API int64_t engine_send(engine *e, const engine_order *order);
ENGINE_API int64_t engine_obeyed(engine *e);
ENGINE_API int engine_order_fd(engine *e);
/* Ports are not read while the gate is shut: an order that is being handed over holds for what was sent after it. */
ENGINE_API void engine_gate(engine *e, int shut);

/* Trunks to other hosts. The report is that of the host's trunk; NULL: there is none. In memory (fd -1) datagrams are
 * taken out and put in here: `pull` gives the bytes of the next one that is to be sent, 0: none now. */
ENGINE_API trunk_report *engine_trunk_report(engine *e, int host);
ENGINE_API uint32_t engine_trunk_pull(engine *e, int host, double now_s, uint8_t *out, uint32_t room);
/* Before play: probe the other hosts' clocks, find out which datagrams pass, and answer the others' probes. A trunk in
 * memory is then probed by `pull` and `push`, and sizes hold from `engine_play` on. */
ENGINE_API void engine_attend(engine *e);
/* The run's clock is what the page says of CLOCK_MONOTONIC; without a page they are one. */
ENGINE_API void engine_share_clock(engine *e, const clock_page *page);
ENGINE_API int64_t engine_run_clock_ns(engine *e, int64_t own_ns); /* which the run's clock reads then */
ENGINE_API void engine_trunk_push(engine *e, int host, double now_s, const uint8_t *datagram, uint32_t bytes);

/* Captures: tap n (0 to 31) keeps up to `room` bytes a lane until `engine_tap_drain` takes them. */
ENGINE_API int engine_tap_open(engine *e, int tap, uint64_t room, uint32_t snaplen);
ENGINE_API void engine_tap_close(engine *e, int tap);
ENGINE_API int64_t engine_tap_lost(engine *e, int tap);
/* Writes one batch (see emulator/link/taps.py) of what has been kept; returns its bytes, 0: nothing there. */
ENGINE_API uint64_t engine_tap_drain(engine *e, int tap, uint8_t *out, uint64_t room);

/* Single functions, for tests against their models in Python. */
ENGINE_API uint32_t engine_wire_size(const uint8_t *data, uint32_t bytes, int ethernet);
ENGINE_API void engine_set_hop_limit(uint8_t *data, uint32_t bytes, int hops);
ENGINE_API uint32_t engine_complete(uint8_t *data, uint32_t bytes);
/* Segments `first` to `first + count` of a merged packet, as a packet of its own; returns its bytes, 0: not merged. */
ENGINE_API uint32_t engine_segments(const uint8_t *data, uint32_t bytes, int ethernet, uint32_t first, uint32_t count,
                                    uint8_t *out);
ENGINE_API uint32_t engine_icmp_error(const uint8_t *data, uint32_t bytes, const uint8_t *node, int family, int expired,
                                      int hops, uint8_t *out);
ENGINE_API uint32_t engine_echo_reply(const uint8_t *data, uint32_t bytes, uint8_t *out);
ENGINE_API void engine_random(const uint8_t *label, uint32_t bytes, double *out, int64_t count);

#endif
