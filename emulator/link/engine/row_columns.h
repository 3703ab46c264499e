/* How the engine reads a row of the schedule: functions that give an element of a column. `row` is the begin of a
 * slot. A column of two sizes, such as [D x N], has the element (d, n) at place d * N + n. E: ends, D: destinations,
 * N: nodes, F: ends with substep tables, K: knots of each.
 * Made of emulator/schedule/row_layout.py by `python -m emulator.link.engine.header`: change that one. */
#ifndef SKYLOOM_ENGINE_ROW_COLUMNS_H
#define SKYLOOM_ENGINE_ROW_COLUMNS_H

#include <string.h>

#include "structures.h"

/* [E] delay at the begin of the step */
static inline double row_delay_start_s(const engine_config *c, const uint8_t *row, int64_t place)
{
    double value;
    memcpy(&value, row + c->at_delay_start_s + (int64_t)sizeof value * place, sizeof value);
    return value;
}

/* [E] and at its end; in between it goes in a straight line */
static inline double row_delay_end_s(const engine_config *c, const uint8_t *row, int64_t place)
{
    double value;
    memcpy(&value, row + c->at_delay_end_s + (int64_t)sizeof value * place, sizeof value);
    return value;
}

/* [E] */
static inline double row_rate_bps(const engine_config *c, const uint8_t *row, int64_t place)
{
    double value;
    memcpy(&value, row + c->at_rate_bps + (int64_t)sizeof value * place, sizeof value);
    return value;
}

/* [E] a share from 0 to 1 */
static inline double row_loss(const engine_config *c, const uint8_t *row, int64_t place)
{
    double value;
    memcpy(&value, row + c->at_loss + (int64_t)sizeof value * place, sizeof value);
    return value;
}

/* [E] 0 or 1 */
static inline uint8_t row_up(const engine_config *c, const uint8_t *row, int64_t place)
{
    uint8_t value;
    memcpy(&value, row + c->at_up + (int64_t)sizeof value * place, sizeof value);
    return value;
}

/* [E] node that receives, -1: nobody */
static inline int32_t row_peer(const engine_config *c, const uint8_t *row, int64_t place)
{
    int32_t value;
    memcpy(&value, row + c->at_peer + (int64_t)sizeof value * place, sizeof value);
    return value;
}

/* [D x N] end on which a node sends for a destination, -1: it has no route */
static inline int32_t row_next_end(const engine_config *c, const uint8_t *row, int64_t place)
{
    int32_t value;
    memcpy(&value, row + c->at_next_end + (int64_t)sizeof value * place, sizeof value);
    return value;
}

/* [F] knots used of a substep table; 0: the row's own values hold */
static inline int32_t row_substep_count(const engine_config *c, const uint8_t *row, int64_t place)
{
    int32_t value;
    memcpy(&value, row + c->at_substep_count + (int64_t)sizeof value * place, sizeof value);
    return value;
}

/* [F x K] time of each knot */
static inline double row_substep_t_s(const engine_config *c, const uint8_t *row, int64_t place)
{
    double value;
    memcpy(&value, row + c->at_substep_t_s + (int64_t)sizeof value * place, sizeof value);
    return value;
}

/* [F x K] goes in a straight line from knot to knot */
static inline double row_substep_delay_s(const engine_config *c, const uint8_t *row, int64_t place)
{
    double value;
    memcpy(&value, row + c->at_substep_delay_s + (int64_t)sizeof value * place, sizeof value);
    return value;
}

/* [F x K] holds until the next knot */
static inline double row_substep_rate_bps(const engine_config *c, const uint8_t *row, int64_t place)
{
    double value;
    memcpy(&value, row + c->at_substep_rate_bps + (int64_t)sizeof value * place, sizeof value);
    return value;
}

/* [F x K] holds until the next knot */
static inline double row_substep_loss(const engine_config *c, const uint8_t *row, int64_t place)
{
    double value;
    memcpy(&value, row + c->at_substep_loss + (int64_t)sizeof value * place, sizeof value);
    return value;
}

/* [F x K] holds until the next knot */
static inline uint8_t row_substep_up(const engine_config *c, const uint8_t *row, int64_t place)
{
    uint8_t value;
    memcpy(&value, row + c->at_substep_up + (int64_t)sizeof value * place, sizeof value);
    return value;
}

#endif
