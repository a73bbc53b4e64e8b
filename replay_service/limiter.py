"""The rate limiter: holds an asynchronous run at its configured number of samples per insert."""

from __future__ import annotations

import math


class RateLimiter:
    """Reverb's samples-per-insert rule, counted in items.

    With I items ever inserted, S rows ever drawn, and the cursor D = spi * (I - min_size) - S, at all times

        -error_buffer <= D            a draw of n rows waits until D - n >= -error_buffer
         D <= error_buffer            inserts wait while I would pass min_size + (S + error_buffer) / spi

    so in the long run S = spi * (I - min_size), off by at most error_buffer rows.
    """

    def __init__(self, samples_per_insert: float, min_size: int, error_buffer: float) -> None:
        self.samples_per_insert = samples_per_insert
        self.min_size = min_size
        self.error_buffer = error_buffer
        self.inserts = 0
        self.samples = 0

    @property
    def cursor(self) -> float:
        """D: rows that may still be drawn (or, below zero, were drawn ahead) at the configured ratio."""
        return self.samples_per_insert * (self.inserts - self.min_size) - self.samples

    def can_sample(self, num_rows: int) -> bool:
        """Return whether `num_rows` more rows may be drawn now."""
        return self.inserts >= self.min_size and self.cursor - num_rows >= -self.error_buffer

    def allowed_inserts(self) -> int:
        """Return the greatest I that the rows drawn so far admit."""
        return math.floor(self.min_size + (self.samples + self.error_buffer) / self.samples_per_insert)

    def forgive(self, inserts: int) -> None:
        """Leave out the inserts beyond the first `inserts`: they refilled what was lost, and call for no samples."""
        self.min_size += max(0, self.inserts - max(inserts, self.min_size))

    def state_dict(self) -> dict[str, int]:
        """Return the counters."""
        return {"inserts": self.inserts, "samples": self.samples}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Restore the counters; the ratio and the error buffer stay those of the configuration."""
        self.inserts = state["inserts"]
        self.samples = state["samples"]


def least_error_buffer(rows_per_call: int, samples_per_insert: float, inserts_per_round: int) -> float:
    """Return the error buffer below which both sides can wait for each other.

    The sampler waits while D < rows_per_call - eb. Inserters wait, each with one chunk in hand and together
    `inserts_per_round` items, only where D > eb - spi * inserts_per_round. Both at once is impossible iff
    eb >= (rows_per_call + spi * inserts_per_round) / 2.
    """
    return (rows_per_call + samples_per_insert * inserts_per_round) / 2
