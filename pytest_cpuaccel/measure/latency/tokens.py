"""When the tokens of one ``generate()`` came."""

from __future__ import annotations

from time import perf_counter_ns

import torch

from pytest_cpuaccel.measure.latency.call_times import Reading
from pytest_cpuaccel.measure.latency.turn import TimedCall, time_call


class TokenClock:
    """A stopping criterion that stops nothing: ``generate()`` asks it after every token, when it reads the clock.

    Streamers would do for greedy search and sampling, but beam search takes none. Asking costs 5 us a token.
    """

    def __init__(self) -> None:
        self._asked_ns: list[int] = []
        self._begun_ns = 0

    def __call__(self, input_ids: torch.Tensor, scores: object, **_: object) -> torch.Tensor:  # noqa: ARG002
        self._asked_ns.append(perf_counter_ns())
        return input_ids.new_zeros(input_ids.shape[0], dtype=torch.bool)

    def read(self, call: TimedCall) -> Reading:
        """Time one call that asks this clock.

        ``ttft`` is the time to its first token, ``tpot`` the mean time between one token and the next; each token is
        one for all sequences of the batch. What there are too few tokens for is left out.
        """
        self._asked_ns.clear()

        def begun() -> None:
            self._begun_ns = perf_counter_ns()
            call()

        reading: Reading = {"latency": time_call(begun)}
        if self._asked_ns:
            reading["ttft"] = self._asked_ns[0] - self._begun_ns
        if len(self._asked_ns) > 1:
            reading["tpot"] = (self._asked_ns[-1] - self._asked_ns[0]) / (len(self._asked_ns) - 1)
        return reading
