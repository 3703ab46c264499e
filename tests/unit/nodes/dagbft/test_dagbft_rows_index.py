"""Which fault row is tested where; `table()` is what documentation prints.

Rows are played in simulation on a jumping clock, some of them on real processes over emulated links too, and the
clauses of M1 are switched off one at a time.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parents[3]


class Place(NamedTuple):
    """A test that plays a row."""

    row: str
    what: str
    on: str  # simulation, processes or function
    file: str
    test: str


SIM, NET, PURE = "simulation", "processes", "function"
SIMULATE, FAULTS, LIARS = (
    "unit/nodes/dagbft/test_dagbft_simulate.py",
    "unit/nodes/dagbft/test_dagbft_rows_faults.py",
    "unit/nodes/dagbft/test_dagbft_byzantine.py",
)
MESSAGES, EARLY = "unit/nodes/dagbft/test_dagbft_rows_messages.py", "unit/nodes/dagbft/test_dagbft_rows_early.py"
EXECUTION, SOCKETS = "unit/nodes/dagbft/test_dagbft_rows_execution.py", "netns/nodes/dagbft/test_dagbft_faults.py"
RUN, CLAUSES = (
    "netns/nodes/dagbft/test_dagbft_primary_run.py",
    "property/nodes/dagbft/test_dagbft_consensus_properties.py",
)

PLACES = [
    Place("A1", "no fault", SIM, SIMULATE, "test_without_faults_a_leader_commits_every_second_round"),
    Place("A1", "no fault, n = 20", SIM, FAULTS, "test_twenty_validators_in_five_regions"),
    Place("A1", "no fault", NET, RUN, "test_four_validators_commit_and_answer_their_clients"),
    Place("A2", "f crashed from the start", SIM, SIMULATE, "test_f_crashed_from_the_start"),
    Place("A2", "f next leaders gone", SIM, FAULTS, "test_whoever_leads_next_is_gone"),
    Place("A3", "f + 1 crashed", SIM, SIMULATE, "test_f_plus_one_crashed_stop_it_until_one_returns"),
    Place("A4", "crash at each persist point", SIM, SIMULATE, "test_crash_at_a_persist_point_and_return"),
    Place("A4", "the same, again and again, beside a liar", SIM, FAULTS, "test_crashes_between_keeping_and_sending"),
    Place("A4", "a vote outlives a crash", SIM, MESSAGES, "test_a_vote_outlives_a_crash"),
    Place("A4", "killed and restarted", NET, RUN, "test_a_killed_validator_comes_back_from_its_store"),
    Place("A5", "restart with a wiped disk", SIM, SIMULATE, "test_a_wiped_validator_does_not_contradict_itself"),
    Place("A6", "rolling restarts", SIM, SIMULATE, "test_rolling_restarts"),
    Place("B1", "partition without a quorum", SIM, SIMULATE, "test_partition_without_a_quorum_stops_and_heals"),
    Place("B1", "schedules of faults from a seed", SIM, FAULTS, "test_schedules_of_faults_from_a_seed"),
    Place("B2", "isolated beyond the floor", SIM, SIMULATE,
          "test_an_isolated_validator_comes_back_from_below_the_floor"),
    Place("B2", "isolated beyond a short floor", SIM, FAULTS, "test_isolated_beyond_what_is_kept"),
    Place("B3", "star, bridge, one way, flapping", SIM, SIMULATE, "test_odd_partitions"),
    Place("B4", "slow leaders", SIM, SIMULATE, "test_slow_leaders_are_waited_for_or_passed_over"),
    Place("B4", "slow validator", SIM, LIARS, "test_a_slow_validator"),
    Place("B5", "the next leader held back", SIM, FAULTS, "test_a_scheduler_that_holds_back_whoever_leads_next"),
    Place("B6", "loss and jitter", SIM, SIMULATE, "test_loss_and_jitter"),
    Place("C1", "two headers for two halves", SIM, LIARS, "test_two_headers_for_two_halves"),
    Place("C1", "two headers for two halves", NET, SOCKETS, "test_a_liar_among_four"),
    Place("C2", "twins", SIM, LIARS, "test_twins_with_one_key"),
    Place("C2", "twins", NET, SOCKETS, "test_a_liar_among_four"),
    Place("C3", "double votes", SIM, LIARS, "test_double_votes_help_no_second_header"),
    Place("C4", "certificates that are none", SIM, MESSAGES, "test_certificates_that_are_refused_and_the_peer_is_kept"),
    Place("C5", "headers with wrong parents", SIM, MESSAGES, "test_headers_that_get_no_vote"),
    Place("C6", "batch withheld", SIM, LIARS, "test_a_batch_that_nobody_has_gets_no_vote"),
    Place("C6", "batch of another worker", SIM, LIARS, "test_a_batch_of_another_worker_gets_no_vote"),
    Place("C6", "batch withheld", NET, SOCKETS, "test_a_liar_among_four"),
    Place("C7", "certificates withheld", SIM, LIARS,
          "test_certificates_that_are_shown_to_one_are_fetched_through_children"),
    Place("C8", "floods", SIM, LIARS, "test_floods_leave_memory_flat"),
    Place("C9", "below the floor", SIM, MESSAGES, "test_what_is_below_the_floor_is_ignored"),
    Place("C10", "bad coin shares", SIM, LIARS, "test_bad_coin_shares_are_dropped_and_the_coin_is_right"),
    Place("E1", "a leader skips its shard", SIM, EARLY, "test_a_leader_that_leaves_out_a_block_of_its_shard"),
    Place("E2", "blocks surface late", SIM, EARLY, "test_blocks_that_surface_leaders_later"),
    Place("E3", "an owner never proposes", SIM, EARLY,
          "test_a_shard_whose_owner_is_gone_comes_back_when_the_floor_passes"),
    Place("E4", "lies about shard and keys", SIM, LIARS, "test_lies_about_shard_and_keys_are_refused_and_counted"),
    Place("E4", "writes to foreign shards", SIM, EXECUTION, "test_foreign_shards_in_a_batch_are_void"),
    Place("E5", "a gamma part never sent", SIM, EXECUTION,
          "test_a_gamma_transaction_whose_other_part_never_comes_is_given_up"),
    Place("E5", "two gammas in a cycle", SIM, EXECUTION, "test_two_gamma_transactions_in_a_cycle"),
    Place("E6", "conflicting reads", SIM, EXECUTION,
          "test_conflicting_reads_are_answered_early_less_often_and_never_wrong"),
    Place("E7", "speculation with mismatches", SIM, EXECUTION,
          "test_chains_roll_back_as_far_as_they_must_and_lose_nothing"),
    Place("E8", "long asynchrony after an early reply", SIM, EARLY,
          "test_what_was_early_comes_true_after_more_rounds_than_the_look_back"),
    Place("M1", "L, C, P, T3, mode, q, anchor", PURE, CLAUSES, "test_switching_off_a_safety_clause_is_found_out"),
    Place("M1", "L", SIM, EARLY, "test_without_the_leader_check_it_is_red"),
    Place("M1", "C", SIM, EARLY, "test_looking_past_holes_is_red"),
    Place("M1", "floor anchor", SIM, EARLY, "test_with_the_floor_at_the_leader_itself_it_is_red"),
    Place("M1", "durable votes", SIM, MESSAGES, "test_without_durable_votes_the_verdict_is_red"),
    Place("M1", "one vote a slot", SIM, MESSAGES, "test_without_the_vote_log_two_headers_of_a_slot_are_certified"),
]  # fmt: skip


def table() -> str:
    """Markdown."""
    lines = ["| Row | What | On | Test |", "| --- | --- | --- | --- |"]
    return "\n".join(
        [*lines, *(f"| {row} | {what} | {on} | `{file}::{test}` |" for row, what, on, file, test in PLACES)]
    )


def test_every_row_has_a_test_that_exists():
    rows = {f"A{k}" for k in range(1, 7)} | {f"B{k}" for k in range(1, 7)} | {f"C{k}" for k in range(1, 11)}
    rows |= {f"E{k}" for k in range(1, 9)} | {"M1"}
    assert {place.row for place in PLACES} == rows
    names: dict[str, set[str]] = {}
    for place in PLACES:
        if place.file not in names:
            tree = ast.parse((TESTS / place.file).read_text())
            names[place.file] = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert place.test in names[place.file], place
    assert table().count("\n") == len(PLACES) + 1
