import threading

import pytest

from bench.parallel import in_order


def test_results_come_in_order():
    assert list(in_order(lambda x: x * x, range(100), workers=7)) == [x * x for x in range(100)]


def test_an_exception_is_raised_at_its_place():
    results = in_order(lambda x: 1 // (3 - x), range(9), workers=2)
    assert [next(results) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_little_is_done_ahead_of_what_is_taken():
    started = []
    lock = threading.Lock()

    def work(x):
        with lock:
            started.append(x)
        return x

    results = in_order(work, range(1000), workers=2)
    next(results)
    results.close()
    assert len(started) <= 9


def test_what_is_worked_on_and_waits_weighs_no_more_than_is_allowed():
    begun, weights = [], [3, 3, 3, 20, 3, 3, 9]

    def work(weight):
        begun.append(weight)
        return weight

    count = 0
    for weight in in_order(work, weights, 4, weigh=lambda weight: weight, most=10):
        count += 1
        in_flight = weights[count:][: len(begun) - count]
        assert sum(in_flight) <= 10 or len(in_flight) == 1
        assert weight == weights[count - 1]
    assert count == len(weights)
