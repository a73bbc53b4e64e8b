"""A change of the limit wakes those whose limit it is, and nobody else."""

from __future__ import annotations

import threading
import time

from replay_service.insert_gate import InsertGate


class Waiters:
    """Threads that wait for limits, and the order in which they were woken."""

    def __init__(self, gate: InsertGate, limits: list[int]) -> None:
        self.gate, self.woken = gate, []
        self.threads = [threading.Thread(target=self._wait, args=(limit,)) for limit in limits]
        for thread in self.threads:
            thread.start()
        while len(gate._waiting) < len(limits):
            time.sleep(0.001)

    def _wait(self, limit: int) -> None:
        with self.gate.insert():
            self.gate.wait(limit, timeout_s=60.0)
            self.woken.append(limit)


def test_only_those_that_are_let_through_wake() -> None:
    gate = InsertGate()
    waiters = Waiters(gate, [10, 20, 30])
    with gate:
        assert gate.open(5) == 0
        assert gate.open(20) == 2
    for thread in waiters.threads[:2]:
        thread.join(60)
    assert sorted(waiters.woken) == [10, 20]
    with gate:
        gate.notify_all()
    waiters.threads[2].join(60)
    assert sorted(waiters.woken) == [10, 20, 30] and not gate._waiting


def test_a_wait_ends_at_its_deadline() -> None:
    gate = InsertGate()
    with gate.insert():
        gate.wait(10, timeout_s=0.01)
        gate.wait(10, timeout_s=-0.01)
    assert not gate._waiting


def test_the_sampler_stands_behind_a_few_inserts_and_not_behind_all_of_them() -> None:
    gate, order = InsertGate(), list[str]()

    def insert() -> None:
        with gate.insert():
            time.sleep(0.002)
            order.append("insert")

    def sample() -> None:
        with gate:
            order.append("sample")

    threads = [threading.Thread(target=insert) for _ in range(100)]
    threads.append(threading.Thread(target=sample))
    with gate:
        for thread in threads:
            thread.start()
        time.sleep(0.2)  # all of them ask by now
    for thread in threads:
        thread.join(60)
    assert len(order) == 101 and order.index("sample") < 20
