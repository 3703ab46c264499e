"""Stolen time is told when it is notable, and only then."""

import pytest

from emulator.runtime.supervisor import cpu_steal


def test_readings_only_grow():
    first, second = cpu_steal.read(), cpu_steal.read()
    assert 0 <= first[0] <= second[0]
    assert first[1] <= second[1]


@pytest.mark.parametrize(("after", "told"), [((0, 0), ""), ((10, 1000), ""), ((50, 1000), "5%")])
def test_a_warning_names_the_share(after, told):
    texts = cpu_steal.warnings((0, 0), after)
    assert len(texts) == bool(told)
    assert all(told in text for text in texts)
