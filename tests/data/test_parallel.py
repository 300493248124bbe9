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
