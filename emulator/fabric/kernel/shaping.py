"""Mininet's link options (bw, delay, jitter, loss, max_queue_size) as the values of a link end.

Invariant: a link is told to do what `TCLink` documents, or a DataError says why not; nothing out of range is dropped.
"""

from __future__ import annotations

from math import inf, isfinite
from typing import Any

from emulator.model.errors import DataError
from emulator.model.network import Effects, EndSpec, PiecewiseSchedule
from emulator.model.units import split

SHAPING_OPTIONS = {"bw", "delay", "jitter", "loss", "max_queue_size"}
# Which shaper `tc` would use, and what it costs: nothing that the wire shows.
QUIET_OPTIONS = {"use_htb", "use_hfsc", "use_tbf", "latency_ms", "burst", "gro", "txo", "rxo", "speedup"}
QUEUE_BYTES = 1000 * 1514.0  # where nothing is said: 1000 full packets, as long as Linux's own queues
_SECONDS = {
    "s": 1.0, "sec": 1.0, "secs": 1.0, "ms": 1e-3, "msec": 1e-3, "msecs": 1e-3, "us": 1e-6, "usec": 1e-6,
    "usecs": 1e-6, "µs": 1e-6,
}  # fmt: skip


def plain_end(where: str, options: dict[str, Any]) -> EndSpec:
    """The link end that these Mininet options ask for; without any it is left to the caller (EndSpec())."""
    chosen = {key: options[key] for key in SHAPING_OPTIONS if options.get(key) is not None}
    if not chosen:
        return EndSpec()
    delay_s = _seconds(where, "delay", chosen.get("delay", "0ms"))
    jitter_s = _seconds(where, "jitter", chosen.get("jitter", "0ms"))
    if jitter_s > delay_s:
        raise DataError(
            f"{where}: jitter {chosen['jitter']!r} is more than the delay; packets cannot arrive before they leave"
        )
    rate_bps = _number(where, "bw", chosen.get("bw", inf), 0.0, inf, "Mbit/s, above 0") * 1e6
    if rate_bps == 0:
        raise DataError(f"{where}: bw is 0; expected Mbit/s above 0")
    loss = _number(where, "loss", chosen.get("loss", 0), 0.0, 100.0, "percent, 0 to 100") / 100
    queue = _number(where, "max_queue_size", chosen.get("max_queue_size", inf), 1, inf, "packets, 1 or more")
    # netem spreads delays evenly over delay ± jitter; Effects adds 0 to 2·jitter.
    effects = Effects(QUEUE_BYTES if queue == inf else inf, queue, jitter_s=jitter_s)
    return EndSpec(effects, PiecewiseSchedule.constant(delay_s - jitter_s, rate_bps, loss))


def _seconds(where: str, key: str, text: object) -> float:
    try:
        number, unit = split(str(text))
        value = number * _SECONDS[unit]
    except (ValueError, KeyError):
        raise DataError(f"{where}: {key} {text!r}; expected a time with its unit, such as '5ms'") from None
    if not isfinite(value) or value < 0:
        raise DataError(f"{where}: {key} {text!r}; expected a time of 0 or more")
    return value


def _number(where: str, key: str, value: object, least: float, most: float, expected: str) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = float("nan")
    if not least <= number <= most:
        raise DataError(f"{where}: {key} is {value!r}; expected {expected}")
    return number
