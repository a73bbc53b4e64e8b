"""Rings, keys, priorities and draws."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chi2

from replay_service.config import SamplingConfig
from replay_service.priority import START_PRIORITY_DECAY
from replay_service.rows import pack, row_dtype
from replay_service.storage import Storage
from replay_service.table import TableEmpty, Tables
from replay_service.table_arrays import TableArrays
from replay_service.types import TransitionBatch, TransitionSpec

SPEC = TransitionSpec(2, 5, 2)
MakeTransitions = Callable[..., TransitionBatch]


def make_tables(num_tables: int, capacity: int, alpha: float = 0.6) -> Tables:
    sampling = SamplingConfig(priority_exponent=alpha)
    arrays = TableArrays.of(num_tables, capacity, SPEC, Storage(None))
    return Tables(np.arange(num_tables, dtype=np.int32), sampling, arrays, 0.99)


def append(tables: Tables, table: int, transitions: TransitionBatch) -> None:
    tables.insert(table, int(tables.count[table]), pack(transitions, row_dtype(SPEC)))


def held(tables: Tables, table: int, draws: int = 2000) -> set[float]:
    """The serial numbers that draws bring up, with every column checked against them."""
    quota = np.zeros((1, len(tables.task_id)), np.int64)
    quota[0, table] = draws
    draw = tables.sample(quota, np.random.default_rng(0))
    rows, serial = draw.rows, draw.rows["obs"][:, 0]
    np.testing.assert_array_equal(rows["next_obs"][:, 0], -serial)
    np.testing.assert_array_equal(rows["action"][:, 0], serial)
    np.testing.assert_array_equal(rows["reward"], serial + np.float32(0.125 * table))
    np.testing.assert_array_equal(rows["terminated"], serial % 3 == 0)
    assert set(draw.task_id) == {table}
    return set(serial.tolist())


@pytest.mark.parametrize(
    ("capacity", "chunks", "expected"),
    [
        pytest.param(1, [1], [0], id="capacity one"),
        pytest.param(1, [1, 1, 1], [2], id="capacity one, overwritten"),
        pytest.param(8, [3, 5], range(8), id="exactly full"),
        pytest.param(8, [8, 8], range(8, 16), id="exactly full twice"),
        pytest.param(8, [8, 1], range(1, 9), id="one over"),
        pytest.param(8, [6, 5], range(3, 11), id="wrap inside a chunk"),
        pytest.param(8, [5], range(5), id="partly filled: unwritten rows are never drawn"),
        pytest.param(7, [7, 3, 7], range(10, 17), id="capacity no power of two"),
    ],
)
def test_a_ring_holds_the_newest_rows(
    capacity: int, chunks: list[int], expected: list[int], make_transitions: MakeTransitions
) -> None:
    tables = make_tables(2, capacity)
    first = 0
    for rows in chunks:
        append(tables, 1, make_transitions(1, rows, first))
        first += rows
    assert held(tables, 1) == set(map(float, expected))
    assert tables.size.tolist() == [0, len(expected)]
    assert tables.inserted.tolist() == [0, first]


def test_asking_an_empty_table_names_its_task() -> None:
    with pytest.raises(TableEmpty, match=r"none for tasks \[1\]"):
        make_tables(2, 4).sample(np.array([[0, 1]]), np.random.default_rng(0))


def test_rows_follow_batch_by_batch_and_task_by_task(make_transitions: MakeTransitions) -> None:
    tables = make_tables(3, 4)
    for table in range(3):
        append(tables, table, make_transitions(table, 4))
    draw = tables.sample(np.array([[2, 0, 1], [1, 1, 1]]), np.random.default_rng(0))
    assert draw.task_id.tolist() == [0, 0, 2, 0, 1, 2]
    assert tables.sampled.tolist() == [3, 1, 2]


def test_new_rows_get_the_greatest_priority_set(make_transitions: MakeTransitions) -> None:
    tables = make_tables(1, 8, alpha=1.0)
    append(tables, 0, make_transitions(0, 2))
    keys = np.unique(tables.sample(np.array([[50]]), np.random.default_rng(0)).key)
    assert tables.priority_mass == pytest.approx(2.0, abs=1e-4)  # 1 before any priority is known
    tables.update_priorities(np.zeros(2, np.int64), keys, np.array([5.0, 0.5]))
    tables.update_priorities(np.zeros(1, np.int64), keys[:1], np.array([2.0]))
    append(tables, 0, make_transitions(0, 1, 2))
    assert tables.priority_mass == pytest.approx(2.0 + 0.5 + 5.0 * START_PRIORITY_DECAY, abs=1e-4)


def test_an_outlier_is_forgotten_and_the_other_table_knows_nothing_of_it(
    make_transitions: MakeTransitions,
) -> None:
    """A priority of 1e6 among ones: after 11 600 updates new rows start within ten times of what is alive."""
    tables = make_tables(2, 8, alpha=1.0)
    for table in range(2):
        append(tables, table, make_transitions(table, 2))
    draw = tables.sample(np.array([[50, 50]]), np.random.default_rng(0))
    keys = [np.unique(draw.key[draw.task_id == table]) for table in range(2)]
    tables.update_priorities(np.array([0, 1]), np.array([keys[0][0], keys[1][0]]), np.array([1e6, 3.0]))
    for _ in range(11_600):
        tables.update_priorities(np.zeros(2, np.int64), keys[0], np.ones(2))
    starts = []
    for table in range(2):
        before = tables.priority_mass[table]
        append(tables, table, make_transitions(table, 1, 2))
        starts.append(tables.priority_mass[table] - before)
    assert 1.0 <= starts[0] <= 10.0
    assert starts[1] == pytest.approx(3.0, abs=1e-4)  # only its own updates count
    for _ in range(11_600):
        tables.update_priorities(np.zeros(2, np.int64), keys[0], np.ones(2))
    assert tables._counter["max_priority"][0] == 1.0  # never below what is set


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0])
def test_frequencies_follow_p_to_the_alpha(alpha: float, make_transitions: MakeTransitions) -> None:
    """Chi-squared over 60 rows and 200 000 draws, wrong with probability 1e-6 for a right sampler."""
    rng = np.random.default_rng(3)
    tables = make_tables(2, 60, alpha)
    append(tables, 0, make_transitions(0, 60))
    append(tables, 1, make_transitions(1, 10))
    first_key = tables.sample(np.array([[500, 0]]), rng).key.min()
    priority = rng.uniform(0.01, 10, 60)
    tables.update_priorities(np.zeros(60, np.int64), first_key + np.arange(60), priority)
    draws = 200_000
    draw = tables.sample(np.array([[draws, 0]]), rng)
    probability = (priority + 1e-6) ** alpha / ((priority + 1e-6) ** alpha).sum()
    count = np.bincount(draw.key - first_key, minlength=60)
    statistic = ((count - draws * probability) ** 2 / (draws * probability)).sum()
    assert statistic < chi2.ppf(1 - 1e-6, 59)
    assert statistic > chi2.ppf(1e-6, 59)  # and no better than chance: rows are drawn independently
    np.testing.assert_allclose(draw.probability, probability[draw.key - first_key], rtol=1e-12)
    assert set(draw.table_size) == {60}


class Model:
    """The tables as one plain dictionary: (table, key) -> (serial number, priority)."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.rows: list[dict[int, tuple[int, float]]] = [{}, {}]
        self.greatest = [0.0, 0.0]
        self.stale = 0

    def decay(self, table: NDArray[np.int64], key: NDArray[np.int64]) -> None:
        """Every table of which the update names a live row."""
        for t in {int(t) for t, k in zip(table, key, strict=True) if int(k) in self.rows[t]}:
            self.greatest[t] *= START_PRIORITY_DECAY

    def update(self, table: int, key: int, priority: float) -> None:
        if key in self.rows[table]:
            self.rows[table][key] = (self.rows[table][key][0], priority)
            self.greatest[table] = max(self.greatest[table], priority)
        else:
            self.stale += 1


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.integers(0, 1), st.integers(1, 6)),
        st.tuples(st.just("sample"), st.integers(1, 5), st.integers(1, 5)),
        st.tuples(st.just("update"), st.integers(0, 9), st.integers(0, 10**6)),
    ),
    min_size=5,
    max_size=40,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(capacity=st.integers(6, 11), actions=ACTIONS)
def test_any_interleaving_matches_a_dictionary(capacity: int, actions: list[tuple[str, int, int]]) -> None:
    """Inserts, draws, and updates of any batch still in flight, in any order, against the model."""
    tables, model, in_flight = make_tables(2, capacity), Model(capacity), []
    rng = np.random.default_rng(0)
    first_key = tables._counter["first_key"].tolist()
    for action, a, b in actions:
        if action == "insert":
            first = int(tables.count[a])
            serial = np.arange(first, first + b, dtype=np.float32)
            wide = np.repeat(serial[:, None], 5, 1)
            task_id = np.full(b, a, np.int32)
            append(tables, a, TransitionBatch(wide, wide[:, :2], serial, wide, serial > 2, task_id))
            for i in range(b):
                model.rows[a][first_key[a] + first + i] = (first + i, model.greatest[a] or 1.0)
                model.rows[a].pop(first_key[a] + first + i - capacity, None)
        elif action == "sample" and all(model.rows):
            draw = tables.sample(np.array([[a, b]]), rng)
            mass = [sum((p + 1e-6) ** 0.6 for _, p in rows.values()) for rows in model.rows]
            for i, table in enumerate(draw.task_id):
                serial_number, priority = model.rows[table][int(draw.key[i])]
                assert draw.rows["obs"][i, 0] == draw.rows["reward"][i] == serial_number
                assert draw.probability[i] == pytest.approx((priority + 1e-6) ** 0.6 / mass[table], rel=1e-9)
                assert draw.table_size[i] == len(model.rows[table])
            in_flight.append((draw.task_id.astype(np.int64), draw.key))
        elif action == "update" and in_flight:
            table, key = in_flight.pop(a % len(in_flight))
            priority = np.random.default_rng(b).uniform(0, 5, len(key))
            before = model.stale
            model.decay(table, key)
            for t, k, p in zip(table, key, priority, strict=True):
                model.update(int(t), int(k), float(p))
            assert tables.update_priorities(table, key, priority) == model.stale - before
    assert tables.stale_updates == model.stale
    assert tables.size.tolist() == [len(rows) for rows in model.rows]
    expected = [sum((p + 1e-6) ** 0.6 for _, p in rows.values()) for rows in model.rows]
    np.testing.assert_allclose(tables.priority_mass, expected, rtol=1e-9)


def test_keys_of_a_lost_table_name_no_row_of_its_successor(make_transitions: MakeTransitions) -> None:
    lost = make_tables(1, 8)
    append(lost, 0, make_transitions(0, 8))
    key = lost.sample(np.array([[100]]), np.random.default_rng(0)).key
    successor = make_tables(1, 8)
    successor._counter["first_key"] += 1 << 24  # a second later
    append(successor, 0, make_transitions(0, 8))
    assert successor.update_priorities(np.zeros(100, np.int64), key, np.ones(100)) == 100


def test_counting_goes_on_from_what_a_lost_table_had_stored(make_transitions: MakeTransitions) -> None:
    tables = make_tables(2, 8)
    append(tables, 1, make_transitions(1, 3))
    for _ in range(2):
        tables.adopt_inserted(np.array([0, 1000]))
    assert tables.inserted.tolist() == [0, 1003]
    assert tables.size.tolist() == [0, 3]
