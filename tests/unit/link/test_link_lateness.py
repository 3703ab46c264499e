"""The lateness histogram: quantiles within a bucket, merging, and the way through msgpack and JSON."""

import json
from random import Random

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from emulator.link.lateness import SMALLEST_S, Lateness, upper_s


def filled(values):
    histogram = Lateness()
    for value in values:
        histogram.add(value)
    return histogram


def test_nothing_counted_is_nothing_late():
    assert Lateness().quantile(0.99) == Lateness().max_s == Lateness().total == 0


@given(st.lists(st.floats(SMALLEST_S * 1.01, 100.0), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_quantiles_are_at_most_one_bucket_too_large(values, share):
    histogram = filled(values)
    import math

    exact = sorted(values)[max(0, math.ceil(share * len(values) - 1e-9) - 1)]
    assert exact * (1 - 1e-12) <= histogram.quantile(share) <= exact * 1.1251


@given(st.floats(SMALLEST_S * 1.0001, 3600.0))
def test_a_value_lies_in_its_bucket(value):
    [bucket] = filled([value]).counts
    assert upper_s(bucket - 1) <= value * (1 + 1e-12)
    assert value <= upper_s(bucket) * (1 + 1e-12)


def test_early_and_tiny_values_count_as_on_time():
    histogram = filled([-1.0, 0.0, 1e-9])
    assert histogram.counts == {0: 3}
    assert histogram.quantile(0.5) <= 1e-6


def test_merging_gives_the_histogram_of_both():
    random = Random(1)
    values = [random.expovariate(1000) for _ in range(1000)]
    merged = filled(values[:300])
    merged.merge(filled(values[300:]))
    whole = filled(values)
    assert merged.counts == whole.counts
    assert merged.max_s == whole.max_s
    assert abs(merged.sum_s - whole.sum_s) < 1e-9


def test_it_survives_msgpack_and_json():
    histogram = filled([0.001, 0.002, 0.5])
    histogram.add(0.01, 7)
    for there_and_back in (lambda x: msgpack.unpackb(msgpack.packb(x)), lambda x: json.loads(json.dumps(x))):
        again = Lateness.unpack(there_and_back(histogram.pack()))
        assert again.counts == histogram.counts
        assert (again.sum_s, again.max_s, again.total) == (histogram.sum_s, histogram.max_s, 10)
