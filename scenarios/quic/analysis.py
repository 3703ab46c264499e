"""Figures of a run of `quic`: what each transport delivered, measured and lost, and how long it stood at handovers.

Invariant: both are told by the same bins of 50 ms: bytes that the application of the receiver got, in order. Those of
TCP come from samples, those of QUIC from the qlog files of the two programs, which are on scenario time.
"""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import polars

    from emulator.record.load import Run
    from emulator.record.qlog import Event
    from emulator.report.drawing import Drawing

BIN_S = 0.05
SLOT_S = 15
SETTLED_S = 3.0  # of slow start, left out of the figures
AFTER_S = 5.0  # after a handover: where its stall is looked for and its losses are counted; QUIC may find them late
NAMES = {"quic": "QUIC (aioquic)", "tcp": "TCP (Linux)"}


class Flow(NamedTuple):
    """One transport's download, each part by scenario time."""

    delivered: polars.DataFrame  # t_s, bytes: of each bin
    rtt: polars.DataFrame  # t_s, rtt_s: the sender's smoothed round trip
    lost: list[float]  # times at which the sender held a packet for lost (QUIC), or had sent one again (TCP)
    overrun: int = 0  # datagrams lost in the receiver's socket, because it read too slowly


class InOrder:
    """Bytes of one stream that can be handed on, as its pieces come in any order and more than once."""

    def __init__(self) -> None:
        self._next = 0
        self._ahead: list[tuple[int, int]] = []

    def take(self, offset: int, length: int) -> int:
        """How many more bytes can be handed on after this piece."""
        before = self._next
        heappush(self._ahead, (offset, offset + length))
        while self._ahead and self._ahead[0][0] <= self._next:
            self._next = max(self._next, heappop(self._ahead)[1])
        return self._next - before


def summarise(run: Run) -> dict[str, Any]:
    """Of each transport: goodput, by the second of a slot too, round trips, losses, stalls at handovers."""
    moments = handovers(run)
    summary: dict[str, Any] = {}
    for name, flow in flows(run).items():
        settled = _mbit_s(flow).filter(_after_start())
        if settled.is_empty():
            continue
        import polars

        by_second = settled.group_by((polars.col("t_s") % SLOT_S).floor().cast(int).alias("second")).agg(
            polars.col("mbit_s").mean()
        )
        stalls_ms = [1e3 * stall_s(flow, t_s) for t_s in moments]
        rtt_ms = flow.rtt.filter(_after_start())["rtt_s"] * 1e3
        summary[name] = {
            "congestion": str(run.parameters.get("quic_congestion" if name == "quic" else "congestion", "cubic")),
            "goodput_mbit_s": _rounded(settled["mbit_s"].mean()),
            "second_of_slot": {f"s{second:02}": _rounded(each) for second, each in sorted(by_second.iter_rows())},
            "rtt_ms": {f"p{share}": _rounded(rtt_ms.quantile(share / 100, "linear")) for share in (5, 50, 95)},
            "lost": len(flow.lost),
            "lost_after_handovers": sum(any(t <= each < t + AFTER_S for t in moments) for each in flow.lost),
        }
        if name == "quic":
            summary[name]["socket_overruns"] = flow.overrun
        if stalls_ms:
            summary[name]["stall_ms"] = {
                f"at_{t_s:g}_s": _rounded(ms) for t_s, ms in zip(moments, stalls_ms, strict=True)
            }
            summary[name]["longest_stall_ms"] = _rounded(max(stalls_ms))
    return summary


def figures(run: Run) -> list[Drawing]:
    """Goodput, round trips and losses over time, a line for each transport."""
    from emulator.report import drawing

    found = flows(run)
    if not found:
        return []
    colours = dict(zip(NAMES, drawing.PALETTE, strict=False))
    goodput, rate_axes = drawing.new()
    delay, delay_axes = drawing.new()
    losses, loss_axes = drawing.new(height_in=2.8)
    for name, flow in found.items():
        rates = _mbit_s(flow, every=5)
        rate_axes.plot(rates["t_s"], rates["mbit_s"], linewidth=0.9, label=NAMES[name], color=colours[name])
        delay_axes.plot(flow.rtt["t_s"], flow.rtt["rtt_s"] * 1e3, linewidth=0.9, label=NAMES[name], color=colours[name])
        loss_axes.step(flow.lost, range(1, len(flow.lost) + 1), where="post", label=NAMES[name], color=colours[name])
    for axes, label in (
        (rate_axes, "goodput in Mbit/s"),
        (delay_axes, "smoothed round trip in ms"),
        (loss_axes, "packets lost so far"),
    ):
        drawing.over_time(axes).set_ylabel(label)
        axes.set_ylim(0, None)
        axes.legend(loc="best")
    return [
        drawing.Drawing("goodput", "Goodput of QUIC and TCP", "Bytes in order, in steps of 250 ms.", goodput),
        drawing.Drawing("delay", "Round trips as the senders see them", "Both smooth them.", delay),
        drawing.Drawing(
            "losses", "Losses", "QUIC: packets that the sender held for lost. TCP: segments sent again.", losses
        ),
    ]


def sweep_figures(table: polars.DataFrame) -> list[Drawing]:
    """Goodput by the second of a slot: a line for each transport, side by side for each value of `transport`."""
    from emulator.report import drawing

    if "transport" not in table.columns:
        return []
    columns = {name: [each for each in table.columns if each.startswith(f"{name}.second_of_slot.")] for name in NAMES}
    colours = dict(zip(NAMES, drawing.PALETTE, strict=False))
    kinds = table["transport"].unique(maintain_order=True).to_list()
    figure, places = drawing.panels(len(kinds), width_in=3.4 * len(kinds))
    highest = 0.0
    for axes, kind in zip(places, kinds, strict=True):
        rows = table.filter(table["transport"] == kind)
        for name, seconds in columns.items():
            means: dict[str, Any] = {each: rows[each].mean() for each in seconds}
            known = {int(each[-2:]): mean for each, mean in means.items() if mean is not None}
            if known:
                axes.plot(list(known), list(known.values()), "o-", markersize=3, label=NAMES[name], color=colours[name])
                highest = max(highest, *known.values())
        axes.set(title=str(kind), xlabel="second of the slot")
        axes.legend(loc="best")
    for axes in places:
        axes.set_ylim(0, 1.05 * highest or 1)
    places[0].set_ylabel("mean goodput in Mbit/s")
    caption = "Each alone over the same satellites, rates and losses, and both at once through one queue."
    return [drawing.Drawing("seconds", "QUIC and TCP through handovers", caption, figure)]


def flows(run: Run) -> dict[str, Flow]:
    """The downloads of a run, by transport."""
    found = {"quic": _quic(run), "tcp": _tcp(run)}
    return {name: flow for name, flow in found.items() if flow is not None and not flow.delivered.is_empty()}


def overruns(snmp: str) -> int:
    """RcvbufErrors of UDP in a text of /proc/net/snmp; 0 where it is not told."""
    names, values = ([line.split() for line in snmp.splitlines() if line.startswith("Udp:")] + [[], []])[:2]
    return int(dict(zip(names, values, strict=False)).get("RcvbufErrors", 0))


def _end_s(run: Run) -> float:
    """When the downloads end; what TCP still had in its buffers comes later, and counts no more."""
    return float(run.parameters.get("slots", 4) * SLOT_S)


def handovers(run: Run) -> list[float]:
    """Times of the terminal's handovers while both ends play."""
    import polars

    rows = run.own_events.filter((polars.col("kind") == "handover") & (polars.col("node") == "gs-dish"))
    return [t_s for t_s in rows["t_s"] if SETTLED_S < t_s <= _end_s(run) - AFTER_S]


def stall_s(flow: Flow, handover_s: float) -> float:
    """The longest time without progress that begins in the AFTER_S after a handover; to a bin."""
    import polars

    moving = flow.delivered.filter((polars.col("bytes") > 0) & (polars.col("t_s") >= handover_s - BIN_S))["t_s"]
    return max((later - t_s - BIN_S for t_s, later in pairwise(moving) if t_s < handover_s + AFTER_S), default=0.0)


def _tcp(run: Run) -> Flow | None:
    import polars

    samples = run.samples.filter(polars.col("program") == "tcp")
    retransmits, received = (_steps(samples, name) for name in ("tcp_retransmits", "flow_bytes"))
    if not received:
        return None
    lost = [t_s for t_s, count in retransmits for _ in range(count)]
    rtt = samples.filter(polars.col("name") == "tcp_rtt_s").select("t_s", rtt_s="value")
    pieces = [(t_s - BIN_S / 2, float(count)) for t_s, count in received]  # samples come as bins end, or a little later
    return Flow(_bins(pieces, _end_s(run)), rtt, lost)


def _steps(samples: polars.DataFrame, name: str) -> list[tuple[float, int]]:
    """Times and growth of a sample that counts, from one sample to the next; it begins anew with a connection."""
    import polars

    rows = samples.filter(polars.col("name") == name).select("t_s", "value").iter_rows()
    return [(t_s, max(0, round(now - before))) for (_, before), (t_s, now) in pairwise(rows)]


def _quic(run: Run) -> Flow | None:
    import polars

    from emulator.record import qlog

    ends = [run.path / "nodes" / node / f"{name}.qlog" for node, name in (("gs-dish", "client"), ("server", "server"))]
    if not all(path.exists() for path in ends):
        return None
    client, server = ([event for trace in qlog.read(path) for event in trace.events] for path in ends)
    rtt = [
        (event.t_s, event.data["smoothed_rtt"] / 1e3)
        for event in server
        if event.name == "recovery:metrics_updated" and "smoothed_rtt" in event.data
    ]
    lost = [event.t_s for event in server if event.name == "recovery:packet_lost"]
    schema = {"t_s": polars.Float64, "rtt_s": polars.Float64}
    snmp = ends[0].with_name("snmp.txt")
    overrun = overruns(snmp.read_text()) if snmp.exists() else 0
    return Flow(_bins(in_order(client), _end_s(run)), polars.DataFrame(rtt, schema, orient="row"), lost, overrun)


def in_order(events: list[Event]) -> list[tuple[float, float]]:
    """Times at which streams of a qlog have more to hand on, and how many bytes."""
    streams: dict[int, InOrder] = {}
    found = []
    for event in events:
        if event.name == "transport:packet_received":
            for frame in event.data["frames"]:
                if frame["frame_type"] == "stream":
                    stream = streams.setdefault(frame["stream_id"], InOrder())
                    found.append((event.t_s, float(stream.take(frame["offset"], frame["length"]))))
    return found


def _bins(pieces: list[tuple[float, float]], end_s: float) -> polars.DataFrame:
    """Bytes in bins of BIN_S, those without any included, from the first to the last that has some before `end_s`."""
    import numpy as np
    import polars

    pieces = [(t_s, count) for t_s, count in pieces if t_s < end_s]
    if not pieces:
        return polars.DataFrame(schema={"t_s": polars.Float64, "bytes": polars.Float64})
    times, counts = np.array(pieces).T
    numbers = np.floor(times / BIN_S).astype(int)
    first = numbers.min()
    total = np.bincount(numbers - first, counts)
    return polars.DataFrame({"t_s": (first + np.arange(len(total))) * BIN_S, "bytes": total})


def _mbit_s(flow: Flow, every: int = 1) -> polars.DataFrame:
    """Time and Mbit/s of each `every` bins."""
    import polars

    bins = flow.delivered.with_row_index("bin")
    return (
        bins.group_by(polars.col("bin") // every, maintain_order=True)
        .agg(polars.col("t_s").first(), (polars.col("bytes").mean() * 8 / BIN_S / 1e6).alias("mbit_s"))
        .select("t_s", "mbit_s")
    )


def _after_start() -> polars.Expr:
    import polars

    return polars.col("t_s") > SETTLED_S


def _rounded(value: Any) -> float:
    return round(float(value or 0.0), 3)
