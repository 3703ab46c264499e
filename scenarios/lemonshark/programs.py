"""The programs of a validator: primary, worker and client, with their configuration.

Invariant: what all validators must agree on is the same for all: a program has one configuration for all its nodes.
"""

from __future__ import annotations

from typing import Any

from emulator.model.tables import RecipeOptions
from emulator.model.units import show
from scenarios.lemonshark.observed import COLOCATED, PRIMARY, UNCERTIFIED
from scenarios.lemonshark.parameters import Parameters

LEAD_ROUNDS = {True: 2, False: 4}  # by certified: a round without certificates is over before a batch has spread


def programs(
    parameters: Parameters, validators: list[str], liars: list[str], options: RecipeOptions
) -> list[dict[str, Any]]:
    """`[[program]]` tables, in the order in which they start. `liars` run Byzantine programs instead of the others."""
    consensus, load = parameters.consensus, parameters.load
    certified = consensus.protocol != "uncertified"
    kept = {"validators": validators, "durability": parameters.durability}
    primary = {
        **kept,
        "workers": parameters.workers,
        "protocol": consensus.rule,
        "order": "support-gated" if consensus.protocol == "support-gated" else "causal",
        "early": consensus.protocol != "bullshark",
        "coin": consensus.coin,
        "leaders": consensus.leaders,
        "look_back": consensus.look_back,
        "gc_depth": consensus.gc_depth,
        "leader_timeout": show(consensus.leader_timeout_s, "duration"),
        "grace": show(consensus.grace_s, "duration"),
        "header_delay": show(consensus.header_delay_s, "duration"),
        "inline_size": show(consensus.inline_size_bytes, "size"),
    }
    if not certified:
        same = ("workers", "leaders", "look_back", "gc_depth", "leader_timeout", "inline_size")
        primary = {
            **{key: primary[key] for key in (*kept, *same)},
            "leader_slots": parameters.uncertified.leader_slots,
            "least_round": show(parameters.uncertified.least_round_s, "duration"),
            "grace": show(parameters.uncertified.grace_s, "duration"),
        }
    if parameters.clients.proofs or parameters.clients.reads:
        primary["door"] = True
    worker = {
        **kept,
        "batch_delay": show(consensus.batch_delay_s, "duration"),
        "batch_size": show(consensus.batch_size_bytes, "size"),
    }
    client = _client(parameters, validators, options) if load.rate or load.chains else {}
    honest = [name for name in validators if name not in liars]
    apart = validators
    tables = []
    if parameters.colocated:
        together: dict[str, Any] = {"validators": validators}
        for name, table in (("primary", primary), ("worker", worker), ("client", client)):
            together[name] = {key: value for key, value in table.items() if key != "validators"}
        tables.append(_program("validator", COLOCATED, honest, together))
        honest, apart = [], liars
    if honest:
        tables.append(_program("primary", PRIMARY if certified else UNCERTIFIED, honest, primary))
    if liars:
        lie = primary | {"behaviour": parameters.faults.behaviour}
        tables.append(_program("byzantine", "nodes.dagbft.byzantine.process:ByzantinePrimary", liars, lie))
    withheld = liars if parameters.faults.behaviour == "withhold-batches" else []
    for index in range(parameters.workers):
        suffix = "" if parameters.workers == 1 else f"-{index}"
        config, nodes = worker | {"index": index}, [name for name in apart if name not in withheld]
        if nodes:
            tables.append(_program(f"worker{suffix}", "nodes.dagbft.worker.process:Worker", nodes, config))
        if withheld:
            liar = "nodes.dagbft.byzantine.process:WithholdingWorker"
            tables.append(_program(f"withholding{suffix}", liar, withheld, config))
    if client and apart:
        tables.append(_program("client", "nodes.dagbft.client.process:Client", apart, client))
    return tables


def _client(parameters: Parameters, validators: list[str], options: RecipeOptions) -> dict[str, Any]:
    load, expected = parameters.load, parameters.clients
    audit: dict[str, Any] = {"proofs": expected.proofs, "reads": expected.reads / len(validators)}
    audit |= {"freshness": expected.freshness, "agree": expected.agree}
    return {
        **({"audit": audit} if expected.proofs or expected.reads else {}),
        "validators": validators,
        "workers": parameters.workers,
        "rate": load.rate / len(validators),
        "size": show(load.size_bytes, "size"),
        "start": show(load.start_s, "duration"),
        "stop": show(options.duration_s - load.drain_s, "duration"),
        "conflict": show(load.conflict, "share"),
        "cross_shard": show(load.cross_shard, "share"),
        "gamma": show(load.gamma, "share"),
        "lead_rounds": LEAD_ROUNDS[parameters.consensus.protocol != "uncertified"],
        "chains": load.chains,
        "chain_length": load.chain_length,
        "ahead": load.ahead,
        "confirm": load.confirm,
    }


def _program(name: str, run: str, nodes: list[str], config: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "nodes": nodes, "run": run, "config": config}
