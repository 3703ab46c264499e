"""Fits the constants of `[terminal]` on the published statistics of Osnabrück: `python -m benchmarks.access_fit DATA`.

DATA is a folder with `wetlinks/osnabrueck_boxplots.csv` and `wetlinks/osnabrueck_packet_loss_ecdf.csv`. Rates first:
peak, spread and 24 hourly loads, each way, so that quartiles and hourly medians meet; then round trips: processing,
grant interval and scheduler waits; rain factors; then losses. Prints the constants as TOML, and what is left of errors.
Choice of satellites: `python -m benchmarks.access_choice`.
"""

from __future__ import annotations

import csv
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from emulator.model.network import BuildOptions
from topologies.leo import Config, build
from topologies.leo.terminal_model.model import DOWN, UP, AccessModel
from topologies.leo.terminal_model.sample import rates, round_trips
from topologies.leo.terminal_model.slots import Slots
from topologies.leo.terminal_model.tables import Terminal

START = datetime(2026, 1, 1, 0, 0, 12, tzinfo=UTC)
SITE = {"lat_deg": 52.27, "lon_deg": 8.05}
NAMES = 4  # terminals for each hour of the day
SLOTS = 40
QUARTILES = (25, 50, 75)
GRANT_S = 0.005  # chosen: the boxes do not tell grants from scheduler waits, fits with 2 and 8 ms are as good
SITE_S = 0.00025  # from a point of presence's router to its host
WAY = {"down": "download_throughput", "up": "upload_throughput"}


def boxes(path: Path) -> dict[tuple[str, str], list[float]]:
    """Whisker, quartiles, whisker by (metric, group)."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    keys = ("whisker_low", "q1", "median", "q3", "whisker_high")
    return {(row["metric"], row["group"]): [float(row[key]) for key in keys] for row in rows}


def terminals(constants: Terminal, rain_mm_h: float = 0.0, names: int = NAMES, hours: int = 24) -> AccessModel:
    """`names` terminals for each hour of the day."""
    fixed = np.repeat(np.arange(24.0)[:hours], names)
    slots = Slots.of(START, constants.slot_s, constants.slot_phase_s)
    labels = [f"t{number}" for number in range(len(fixed))]
    return AccessModel(constants, slots, 1, labels, lambda t_s: fixed, lambda t_s: np.full(len(fixed), rain_mm_h))


def altered(constants: Terminal, **changes: Any) -> Terminal:
    plain = {
        name: tuple(float(item) for item in value) if isinstance(value, tuple) else float(value)
        for name, value in changes.items()
    }
    return constants.model_copy(update=plain)


def geometry_s(slots: int) -> np.ndarray:
    """Round trips of light, terminal – satellite – gateway – PoP and back, of the sites and the shell of the fit."""
    tables = {
        "shell": {"epoch": START}, "isl": {"pattern": "none"}, "gateways": {"sites": "near"},
        "ground": {"terminal": "starlink", "serving": "all",
                   "station": [{"name": f"t{number}", **SITE} for number in range(24)]},
    }  # fmt: skip
    topo = build(Config.model_validate(tables), BuildOptions(step_s=15.0))
    timeline, fibre_s = topo.timeline, topo.sites.to_home_s[0] + SITE_S
    found = []
    for instant in timeline.instants(0, slots):
        place = instant.start[instant.held.satellite]
        through = instant.assignment.gateway
        gateway = timeline.gateways.position[through]
        way = np.linalg.norm(place - timeline.stations.position, axis=1) + np.linalg.norm(place - gateway, axis=1)
        found.append(2 * (way / 299_792_458.0 + fibre_s[through]))
    return np.concatenate(found)


class Windows:
    """Rates of spans of 15 s at any load: the draws of many terminals and slots, made once."""

    def __init__(self, constants: Terminal, way: str) -> None:
        even = altered(constants, **{f"load_{way}": (0.5,) * 24})  # odds of 1: what is drawn are factors on the odds
        model, place = terminals(even), UP if way == "up" else DOWN
        slots = [model.draws(number) for number in range(START_SLOT, START_SLOT + SLOTS + 1)]
        odds = np.stack([slot.odds[place] for slot in slots], axis=1)
        alone = np.stack([slot.rate_bps[place] for slot in slots], axis=1) * (1 + odds)
        size, steps = len(model) * SLOTS, odds.shape[2]
        start = np.random.default_rng(1).integers(0, steps, (size, 1)) + np.arange(steps)
        self.odds, self.alone = (
            np.take_along_axis(np.concatenate([x[:, :-1], x[:, 1:]], axis=2).reshape(size, -1), start, axis=1)
            for x in (odds, alone)
        )

    def rates(self, odds: float) -> np.ndarray:
        return (self.alone / (1 + odds * self.odds)).mean(axis=1)

    def odds_for(self, median_bps: float) -> float:
        """Odds of load at which the median is this."""
        low, high = np.log(1e-3), np.log(1e2)
        for _ in range(16):
            middle = (low + high) / 2
            low, high = (middle, high) if np.median(self.rates(np.exp(middle))) > median_bps else (low, middle)
        return float(np.exp((low + high) / 2))


def fit_rates(constants: Terminal, targets: dict, way: str) -> Terminal:
    """Peak and spread by the quartiles of all hours, loads by the median of each hour."""
    metric = WAY[way]
    quartiles = np.array(targets[metric, "all"][1:4]) * 1e6
    medians = [targets[metric, f"hour={hour:02}"][2] * 1e6 for hour in range(24)]

    def changed(values: np.ndarray) -> Terminal:
        return altered(constants, **{f"peak_{way}_bps": values[0] * 1e6, f"load_spread_{way}": abs(values[1])})

    def miss(values: np.ndarray) -> float:
        windows = Windows(changed(values), way)
        seen = np.concatenate([windows.rates(windows.odds_for(median)) for median in medians[::4]])
        return float(np.sum((np.percentile(seen, QUARTILES) / quartiles - 1) ** 2))

    start = [getattr(constants, f"peak_{way}_bps") / 1e6, getattr(constants, f"load_spread_{way}")]
    best = minimize(miss, start, method="Nelder-Mead", options={"maxiter": 30, "xatol": 1e-2, "fatol": 1e-6})
    windows = Windows(changed(best.x), way)
    odds = np.array([windows.odds_for(median) for median in medians])
    return altered(changed(best.x), **{f"load_{way}": tuple((odds / (1 + odds)).round(3))})


class Trains:
    """Averages of trains of probes at any constants of delay: odds and places between grants, drawn once."""

    def __init__(self, constants: Terminal, light_s: np.ndarray, probes: int, span_s: float) -> None:
        model = terminals(constants)
        slots = [model.draws(number) for number in range(START_SLOT, START_SLOT + SLOTS + 1)]
        draws = np.random.default_rng(1)
        self.frame_s = constants.frame_s / 2
        self.light_s = light_s[np.arange(len(model) * SLOTS) % len(light_s)]
        start = draws.uniform(0, constants.slot_s, (len(self.light_s), 1))
        since = start + (np.arange(probes) + draws.uniform(size=(len(self.light_s), probes))) * span_s / probes
        step = (since / constants.load_step_s).astype(int)
        odds = (np.stack([slot.odds[way] for slot in slots], axis=1) for way in (UP, DOWN))
        both = (np.concatenate([x[:, :-1], x[:, 1:]], axis=2).reshape(len(self.light_s), -1) for x in odds)
        self.up, self.down = (np.take_along_axis(x, step, axis=1) for x in both)
        self.place = draws.uniform(size=since.shape)

    def ms(self, processing_s: float, grant_s: float, queue_up_s: float, queue_down_s: float) -> np.ndarray:
        waits = grant_s * (1 + self.up) * self.place + queue_up_s * self.up + queue_down_s * self.down
        return (self.light_s + processing_s + self.frame_s + waits.mean(axis=1)) * 1e3


def fit_delays(constants: Terminal, targets: dict, light_s: np.ndarray) -> Terminal:
    """Processing, grants and scheduler waits by both boxes of round trips.

    They are boxes of averages: of 10 probes a second apart to the first hop (mtr), of 250 pings to the server.
    """
    hop, ping = (np.array(targets[metric, "all"]) for metric in ("rtt_bent_pipe", "rtt_end_to_end"))
    ping = ping - (ping[2] - hop[2])  # the server's distance
    trains = [(hop, Trains(constants, light_s, *HOP)), (ping, Trains(constants, light_s, *PING))]

    def miss(values: np.ndarray) -> float:
        processing, grant, up, down = np.abs(values)
        wrong = 0.0
        for wanted, train in trains:
            seen = train.ms(processing, grant, up, down)
            wrong += float(np.sum((np.percentile(seen, QUARTILES) / wanted[1:4] - 1) ** 2))
        low = np.percentile(trains[0][1].ms(processing, grant, up, down), 0.1) / hop[0] - 1
        return wrong + 0.1 * float(low**2) + 10 * abs(grant / GRANT_S - 1)

    starts = ([0.004, 0.005, 0.002, 0.002], [0.003, 0.006, 0.0003, 0.002], [0.006, 0.005, 0.001, 0.001])
    options = {"maxiter": 600, "fatol": 1e-9}
    found = (minimize(miss, start, method="Nelder-Mead", options=options) for start in starts)
    best = min(found, key=lambda each: float(each.fun))
    processing, grant, up, down = np.abs(best.x).round(5)
    return altered(
        constants, processing_up_s=processing * 0.36, processing_down_s=processing * 0.36,
        gateway_processing_s=processing * 0.14, grant_s=grant, queue_up_s=up, queue_down_s=down,
    )  # fmt: skip


HOP, PING = (10, 10.0), (50, 5.0)  # probes and span of a train; 50 in 5 s average as 250 do


def trains_ms(constants: Terminal, light_s: np.ndarray, probes: int, span_s: float) -> np.ndarray:
    found = round_trips(terminals(constants), START_SLOT, SLOTS, probes, span_s)
    light = light_s[np.arange(found.shape[0] * found.shape[1]) % len(light_s)].reshape(*found.shape[:2], 1)
    return (found + light + 2 * constants.gateway_processing_s) * 1e3


def averages_ms(constants: Terminal, light_s: np.ndarray, probes: int, span_s: float) -> np.ndarray:
    return trains_ms(constants, light_s, probes, span_s).mean(axis=2)


def fit_rain(constants: Terminal, targets: dict) -> Terminal:
    """Medians of each class by the median without rain in this model."""
    classes = ["0-1", "1-2", "2-3", "3-4", "4-5", ">5"]
    dry = np.median(rates(terminals(constants), DOWN, START_SLOT, SLOTS))
    factors = [targets["download_throughput", f"rain_mm={name}"][2] * 1e6 / dry for name in classes]
    return altered(constants, rain_factor=tuple(round(float(factor), 3) for factor in factors))


def lost_packets(constants: Terminal, slots: int = 60) -> np.ndarray:
    """Losses in runs of 250 packets, 20 ms apart, there and back, of every terminal."""
    model = terminals(constants, names=20)
    draws = np.random.default_rng(1)
    found = []
    for number in range(START_SLOT, START_SLOT + slots):
        start = draws.uniform(0, 15, (len(model), 1))
        offsets = start + np.arange(250) * 0.02
        kept = np.ones(offsets.shape)
        for way in (UP, DOWN):
            for slot in (number, number + 1):
                here = (offsets >= 15) == (slot > number)
                inside = np.clip(offsets - 15 * (slot - number), 0, 14.999)
                values = model.at(way, slot, model.slots.begin_s(slot) + inside)
                kept *= np.where(here, (1 - values.loss) * values.up, 1.0)
        found.append((draws.uniform(size=kept.shape) > kept).sum(axis=1))
    return np.concatenate(found)


def report(constants: Terminal, targets: dict, light_s: np.ndarray) -> None:
    """What the model gives beside what was measured."""
    model = terminals(constants)
    found = {way: rates(model, place, START_SLOT, SLOTS) / 1e6 for place, way in ((DOWN, "down"), (UP, "up"))}
    ping = averages_ms(constants, light_s, *PING)
    server_ms = targets["rtt_end_to_end", "all"][2] - targets["rtt_bent_pipe", "all"][2]
    for name, seen, wanted in (
        ("bent-pipe RTT, ms", averages_ms(constants, light_s, *HOP), targets["rtt_bent_pipe", "all"]),
        ("end-to-end RTT, ms", ping + server_ms, targets["rtt_end_to_end", "all"]),
        ("download, Mbit/s", found["down"], targets["download_throughput", "all"]),
        ("upload, Mbit/s", found["up"], targets["upload_throughput", "all"]),
    ):
        quartiles = np.percentile(seen, QUARTILES)
        wide = 1.5 * (quartiles[2] - quartiles[0])
        low, high = seen[seen >= quartiles[0] - wide].min(), seen[seen <= quartiles[2] + wide].max()
        box = np.array([low, *quartiles, high])
        print(f"  {name:18}", box.round(2), "errors %", ((box / wanted - 1) * 100).round(1))
    for way, seen in found.items():
        wanted = np.array([targets[WAY[way], f"hour={hour:02}"][2] for hour in range(24)])
        wrong = np.median(seen.reshape(24, -1), axis=1) / wanted - 1
        print(f"  hourly medians {way:4} worst error {abs(wrong).max() * 100:.1f} %")
    single = trains_ms(constants, light_s, 60, 14.9)
    print("  single probes, ms  ", np.percentile(single, (0, 1, 5, 25, 50, 75, 95, 99)).round(1), end="; ")
    slots = trains_ms(constants, light_s, 50, 5.0)
    step = np.abs(np.diff(np.median(slots, axis=2), axis=1))
    print(f"median {np.median(step):.1f} p90 {np.percentile(step, 90):.1f} ms from train to train, "
          f"sd {slots.std(axis=2, ddof=1).mean():.1f} ms within one of 5 s")  # fmt: skip
    lost = lost_packets(constants)
    lossy = lost[lost > 0]
    print(f"  loss: lossless {np.mean(lost == 0):.3f}, mean {lost.mean() / 250:.4f}; of the lossy ones at most "
          + ", ".join(f"{count}: {np.mean(lossy <= count):.3f}" for count in (1, 2, 3, 5, 10, 15, 30)))  # fmt: skip


START_SLOT = Slots.of(START, 15.0, 12.0).first


def main() -> None:
    data = Path(sys.argv[1])
    targets = boxes(data / "wetlinks" / "osnabrueck_boxplots.csv")
    constants = Terminal.model_validate({})
    light_s = geometry_s(60)
    overhead = constants.overhead
    constants = altered(constants, overhead=0.0)  # rates of the model are what TCP delivers
    print("defaults"), report(constants, targets, light_s)
    constants = fit_rates(constants, targets, "down")
    constants = fit_rates(constants, targets, "up")
    constants = fit_rain(constants, targets)
    constants = fit_delays(constants, targets, light_s)
    print("fitted"), report(constants, targets, light_s)
    for name, value in altered(constants, overhead=overhead).model_dump().items():
        print(f"{name} = {value}")


if __name__ == "__main__":
    main()
