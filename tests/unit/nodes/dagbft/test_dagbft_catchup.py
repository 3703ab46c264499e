"""Catching up: whom a late validator asks, from where, and that a liar does not hold it up."""

from nodes.dagbft.primary.catchup import Catchup

NEVER = float("inf")


def late() -> Catchup:
    catchup = Catchup(0, 4, retry_s=1.0, sync_after=10)
    catchup.note(50, held=40, now_s=0.0)
    assert catchup.ask(7, 0.0) is None  # not far enough behind
    catchup.note(51, held=40, now_s=0.0)
    assert catchup.ask(7, 0.0) == (1, 7)
    return catchup


def test_it_goes_on_with_the_peer_that_answers():
    catchup = late()
    assert catchup.ask(7, 0.5) is None
    catchup.answered(1, 20, held=40, now_s=0.5)
    assert catchup.ask(9, 0.5) == (1, 20)
    catchup.answered(1, 30, held=45, now_s=0.6)
    assert catchup.due_s == NEVER


def test_silence_moves_it_to_the_next_peer():
    catchup = late()
    assert [catchup.ask(7, t_s) for t_s in (1.0, 2.0, 3.0)] == [(2, 7), (3, 7), (1, 7)]


def test_a_lie_about_where_an_answer_ended_costs_one_retry():
    catchup = late()
    catchup.answered(1, 1 << 60, held=40, now_s=0.1)
    assert catchup.ask(7, 0.1) == (1, 1 << 60)
    assert catchup.ask(8, 1.1) == (2, 8)


def test_a_peer_that_has_nothing_more_is_not_asked_again_at_once():
    catchup = late()
    catchup.answered(1, 7, held=40, now_s=0.1)
    assert catchup.ask(7, 0.1) is None
    assert catchup.ask(7, 1.0) == (2, 7)


def test_an_answer_that_nobody_asked_for_moves_nothing():
    catchup = late()
    catchup.answered(3, 99, held=40, now_s=0.1)
    assert catchup.ask(7, 0.1) is None
    catchup.answered(1, 20, held=40, now_s=0.2)
    catchup.answered(1, 90, held=40, now_s=0.2)
    assert catchup.ask(7, 0.2) == (1, 20)
