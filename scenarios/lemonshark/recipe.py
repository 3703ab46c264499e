"""Recipe of the scenario `lemonshark`: a committee becomes a network, programs, faults and a forecast.

Invariant: the order of `validators` in the programs' configuration is the numbering of the committee everywhere, in
frames, events and figures; who crashes or is slow follows from the seed alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from random import Random
from typing import Any

from emulator.model.errors import found_and_expected
from emulator.model.tables import ParameterError, RecipeOptions
from emulator.model.units import show
from nodes.dagbft.consensus.committee import Hashed
from nodes.dagbft.consensus.core import Rules
from nodes.dagbft.consensus.rule import rule_class
from nodes.dagbft.field_types import MOST_INLINE_BYTES
from nodes.dagbft.primary.config import PrimaryConfig
from scenarios.lemonshark.floor import delays_of
from scenarios.lemonshark.forecast import forecast
from scenarios.lemonshark.parameters import Consensus, Parameters
from scenarios.lemonshark.programs import programs

__all__ = ["Parameters", "compose"]

LATE = "10 ms"  # packets may leave this late (p99): three in a hundred of a round
LATE_LAN = "100 ms"  # the same where there are no delays to keep: such a run measures throughput
SITE_OF_LAN = "us-east-1"
MOST_FORECAST = 40  # validators: more would take longer to forecast than to start
STATIONS = (
    "new-york", "stockholm", "sydney", "los-angeles", "tokyo", "london", "sao-paulo", "johannesburg", "singapore",
    "delhi", "paris", "seattle", "auckland", "dubai", "lagos", "mexico-city", "seoul", "nairobi", "santiago", "madrid",
    "mumbai", "toronto", "perth", "cairo", "lima", "berlin", "bangkok", "denver", "manila", "istanbul", "cape-town",
    "honolulu", "jakarta", "rome", "bogota", "vancouver", "buenos-aires", "warsaw", "chicago", "quito", "shanghai",
)  # fmt: skip
"""Ground stations in the order in which they are taken; the first five stand for the five regions."""


def compose(parameters: Parameters, options: RecipeOptions) -> dict[str, Any]:
    """The scenario's data. ParameterError names the parameter that cannot be; DataError: a matrix that is none."""
    _check(parameters, options)
    validators, network, access = _leo(parameters) if parameters.topology == "leo" else _wan(parameters)
    chosen = _chosen(parameters, options.seed)
    gone, slow, liars = ([validators[number] for number in numbers] for numbers in chosen)
    data: dict[str, Any] = {
        "analysis": "scenarios.lemonshark.analysis",
        **network,
        "fidelity": {"lateness_p99": LATE_LAN if parameters.topology == "lan" else LATE},
        "program": programs(parameters, validators, liars, options),
        "action": _actions(parameters, gone, [end for name in slow for end in access[name]]),
        "expect": _expects(parameters),
        "prediction": _prediction(parameters, options, network.get("wan", {}), chosen[0]),
    }
    return {key: value for key, value in data.items() if value not in ([], {})}


def _check(parameters: Parameters, options: RecipeOptions) -> None:
    faults, load, consensus = parameters.faults, parameters.load, parameters.consensus
    if faults.crash + faults.slow + faults.byzantine > parameters.validators:
        found = f"{faults.crash} that crash, {faults.slow} slow ones and {faults.byzantine} that lie"
        found += f" of {parameters.validators} validators"
        raise ParameterError("faults.crash", found, f"{parameters.validators} at most")
    if faults.at_s >= options.duration_s and faults.crash:
        raise ParameterError("faults.at", show(faults.at_s, "duration"), "a time before the end of the run")
    if faults.restart_after_s and faults.at_s + faults.restart_after_s >= options.duration_s:
        raise ParameterError("faults.restart_after", show(faults.restart_after_s, "duration"), "a time within the run")
    if load.rate and load.start_s + load.drain_s >= options.duration_s:
        expected = f"less than the run of {show(options.duration_s, 'duration')} together with `load.drain`"
        raise ParameterError("load.start", show(load.start_s, "duration"), expected)
    _check_clients(parameters)
    if load.cross_shard + load.gamma > 1:
        raise ParameterError("load.gamma", show(load.gamma, "share"), "at most 100 % together with `load.cross_shard`")
    if consensus.inline_size_bytes > MOST_INLINE_BYTES:
        raise ParameterError(
            "consensus.inline_size", show(consensus.inline_size_bytes, "size"), f"{MOST_INLINE_BYTES} B at most"
        )
    try:
        rule_class(consensus.rule)
    except ValueError as error:
        raise ParameterError("consensus.rule", repr(consensus.rule), found_and_expected(error)[1]) from None
    if consensus.protocol == "uncertified":
        _check_uncertified(parameters)
    if consensus.gc_depth < consensus.look_back + 8:
        raise ParameterError("consensus.gc_depth", str(consensus.gc_depth), f"{consensus.look_back + 8} at least")
    if parameters.network.rate_bps <= 0:
        raise ParameterError("network.rate", "0 bit/s", "a rate above 0")
    if parameters.topology == "leo":
        if parameters.network.jitter_s:
            raise ParameterError("network.jitter", show(parameters.network.jitter_s, "duration"), "none with leo")
        if parameters.leo.satellites > parameters.validators:
            found, most = str(parameters.leo.satellites), parameters.validators
            raise ParameterError("leo.satellites", found, f"at most {most}, the number of validators")
        stations = parameters.validators - parameters.leo.satellites
        if stations > len(STATIONS):
            raise ParameterError("validators", f"{stations} ground stations", f"{len(STATIONS)} at most, or satellites")
    elif parameters.leo.satellites:
        raise ParameterError("leo.satellites", str(parameters.leo.satellites), 'none without `topology = "leo"`')


def _check_uncertified(parameters: Parameters) -> None:
    """What has no meaning without certificates must be as it is by default."""
    consensus, plain = parameters.consensus, Consensus.model_validate({})
    for key in ("rule", "coin", "grace_s", "header_delay_s"):
        if (found := getattr(consensus, key)) != getattr(plain, key):
            name = key.removesuffix("_s")
            raise ParameterError(f"consensus.{name}", str(found), 'nothing with `consensus.protocol = "uncertified"`')
    if parameters.uncertified.leader_slots > parameters.validators:
        found = str(parameters.uncertified.leader_slots)
        raise ParameterError("uncertified.leader_slots", found, f"at most {parameters.validators}, one a validator")
    if parameters.faults.byzantine:
        raise ParameterError("faults.byzantine", str(parameters.faults.byzantine), "none without certificates")
    if parameters.colocated:
        raise ParameterError("colocated", "true", 'false with `consensus.protocol = "uncertified"`')


def _check_clients(parameters: Parameters) -> None:
    clients, load, faults = parameters.clients, parameters.load, parameters.faults
    called = clients.proofs or clients.reads > 0
    if called and not (load.rate or load.chains):
        raise ParameterError("load.rate", "0", "more than 0 with `clients.proofs` or `clients.reads`, or chains")
    if not clients.reads and (clients.freshness, clients.agree) != ("committed", "correct"):
        raise ParameterError("clients.reads", "0", "more than 0 with `clients.freshness` or `clients.agree`")
    if faults.byzantine and faults.behaviour == "false-results" and not called:
        raise ParameterError(
            "faults.behaviour", "'false-results'", "another without `clients.proofs` or `clients.reads`"
        )


def _wan(parameters: Parameters) -> tuple[list[str], dict[str, Any], dict[str, list[str]]]:
    """Validators, the data of their network, and the ends of each one's access link."""
    links = parameters.network
    table: dict[str, Any] = {
        "hosts": parameters.validators,
        "local": show(links.local_s, "duration"),
        "rate": show(links.rate_bps, "rate"),
        "queue": links.queue,
        "loss": show(links.loss, "share"),
        "jitter": show(links.jitter_s, "duration"),
    }
    if parameters.topology == "lan":
        table |= {"map": "five-regions", "sites": [SITE_OF_LAN]}
    elif parameters.topology == "five-regions":
        table |= {"map": "five-regions"}
    elif parameters.topology.endswith(".csv"):
        table |= {"matrix": parameters.topology}
    else:
        expected = "five-regions, lan, leo, or a CSV matrix of round trips (a name that ends in .csv)"
        raise ParameterError("topology", repr(parameters.topology), expected)
    names = [f"v{number}" for number in range(parameters.validators)]
    return names, {"topology": "topologies.wan", "wan": table}, {name: [f"{name}:up", f"*:to-{name}"] for name in names}


def _leo(parameters: Parameters) -> tuple[list[str], dict[str, Any], dict[str, list[str]]]:
    """The same with a constellation: ground stations first, then satellites spread evenly over the shell."""
    from emulator.orbit.walker import SHELLS

    shell = SHELLS.get(parameters.leo.shell)
    if shell is None:
        raise ParameterError("leo.shell", repr(parameters.leo.shell), f"one of {', '.join(SHELLS)}")
    count, links = parameters.leo.satellites, parameters.network
    if count > shell.planes * shell.per_plane:
        raise ParameterError("leo.satellites", str(count), f"{shell.planes * shell.per_plane} at most, all there are")
    stations = list(STATIONS[: parameters.validators - count])
    widths = len(str(shell.planes)), len(str(shell.per_plane))
    satellites = []
    for number in range(count):
        plane, slot = divmod(number * shell.planes * shell.per_plane // count, shell.per_plane)
        satellites.append(f"sat-{plane + 1:0{widths[0]}}{slot + 1:0{widths[1]}}")
    data = {
        "topology": "topologies.leo",
        "materialise": satellites or "ends",
        "shell": {"preset": parameters.leo.shell},
        "ground": {
            "stations": stations or ["new-york"],
            "rate_up": show(links.rate_bps, "rate") if links.rate_bps < inf else "1 Tbit/s",
            "rate_down": show(links.rate_bps, "rate") if links.rate_bps < inf else "1 Tbit/s",
            "queue": links.queue,
            "loss": show(links.loss, "share"),
        },
    }
    names = [f"gs-{name}" for name in stations] + satellites
    return names, data, {name: [f"{name}:*"] for name in names}


def _chosen(parameters: Parameters, seed: int) -> list[list[int]]:
    """Numbers of the validators that crash, of the slow ones, and of those that lie."""
    faults, n = parameters.faults, parameters.validators
    counts = (faults.crash, faults.slow, faults.byzantine)
    drawn = Random(f"{seed}/lemonshark/faults").sample(range(n), n)
    return [sorted(drawn[sum(counts[:at]) :][:count]) for at, count in enumerate(counts)]


def _actions(parameters: Parameters, gone: list[str], slow: list[str]) -> list[dict[str, Any]]:
    faults, actions = parameters.faults, []
    if gone:
        crash = {"at": show(faults.at_s, "duration"), "do": "crash", "nodes": gone}
        actions.append(crash | ({"for": show(faults.restart_after_s, "duration")} if faults.restart_after_s else {}))
    if slow:
        actions.append({"at": "0 s", "do": "set", "links": slow, "delay": show(faults.slow_by_s, "duration")})
    return actions


def _expects(parameters: Parameters) -> list[dict[str, Any]]:
    """Without a quorum nothing may be committed; else something must be, and everywhere the same."""
    faults = parameters.faults
    wrong = [{"figure": f"summary.{check}", "equals": 0} for check in ("early_wrong", "places_wrong")]
    if faults.crash + faults.byzantine > (parameters.validators - 1) // 3 and faults.byzantine:
        raise ParameterError("faults.byzantine", "more faults than a committee bears", "a third of it at most, in all")
    if faults.crash > (parameters.validators - 1) // 3 and not faults.at_s and not faults.restart_after_s:
        return [*wrong, {"figure": "summary.commits", "equals": 0}]
    if parameters.clients.proofs:
        wrong.append({"figure": "summary.proofs_contradicted", "equals": 0})
    return [*wrong, {"figure": "summary.logs_agree", "equals": True}, {"figure": "summary.commits", "at_least": 1}]


def _prediction(
    parameters: Parameters, options: RecipeOptions, wan: Mapping[str, Any], gone: list[int]
) -> dict[str, Any]:
    """What links alone make of rounds and latencies, where they stand still and faults are there from the start."""
    faults, consensus, n = parameters.faults, parameters.consensus, parameters.validators
    if (
        faults.slow
        or faults.byzantine
        or consensus.protocol == "uncertified"
        or (gone and (faults.at_s or faults.restart_after_s))
        or len(gone) > (n - 1) // 3
    ):
        return {}
    if parameters.topology == "leo" or n > MOST_FORECAST:
        return {}
    config = PrimaryConfig(
        rules=Rules(
            protocol=consensus.rule,
            schedule=Hashed(n, options.seed) if consensus.leaders == "hashed" else None,
            order="support-gated" if consensus.protocol == "support-gated" else "causal",
            look_back=consensus.look_back,
            early=consensus.protocol != "bullshark",
            keep=consensus.gc_depth,
        ),
        header_delay_s=consensus.header_delay_s,
        leader_timeout_s=consensus.leader_timeout_s,
        grace_s=consensus.grace_s,
    )
    known = forecast(delays_of(wan, options.directory), config, options.seed, frozenset(gone), options.duration_s)
    if known is None:
        return {}
    return {
        "commit_ms": round(1e3 * known.commit_s, 1),
        "early_ms": round(1e3 * known.early_s, 1),
        "early_over_commit": round(known.early_s / known.commit_s, 3),
        "early_share": round(known.early_share, 3),
        "round_ms": round(1e3 * known.round_s, 1),
    }
