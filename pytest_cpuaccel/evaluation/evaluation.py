"""An evaluation: the calls and scores of one model under one backend in one test, and the test's budgets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from torch import nn

from pytest_cpuaccel.builder.state.snapshot import Snapshot
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.budget import Budgets
from pytest_cpuaccel.core.build_request import BuildRequest
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import CpuaccelError, is_refusal
from pytest_cpuaccel.evaluation.scores import Scores


@dataclass(frozen=True)
class Evaluation:
    """``model`` ran under ``backend``; it is compared with ``reference`` in eager mode.

    The two are one unless the model is a candidate: another checkpoint, pruned or distilled, to take the
    reference's place. ``versus`` is the backend that the latency budget compares with. ``test`` names the test
    in baselines. ``raised`` calls are not among ``calls``; the backend ended some of them by ``errors``. ``start`` is
    the state of the reference before the first call; None for that of now.
    """

    model: nn.Module
    reference: nn.Module
    backend: Backend
    versus: Backend
    calls: tuple[Call, ...]
    scores: Scores
    budgets: Budgets
    test: str = ""
    raised: int = 0
    errors: tuple[CpuaccelError, ...] = ()
    start: Snapshot | None = None

    def request(self, call: Call) -> BuildRequest:
        """Return the request for a build of the model that takes a call."""
        return BuildRequest(self.model, self.backend, call.method, call.inputs)

    @property
    def refusal(self) -> CpuaccelError | None:
        """Return the first refusal where the backend refused every call; None where it did not, or there was none."""
        refused = [error for error in self.errors if is_refusal(error)]
        return refused[0] if refused and len(refused) == self.raised and not self.calls else None

    @property
    def forward_calls(self) -> list[Call]:
        """Return the calls that are no ``generate()``."""
        return [call for call in self.calls if call.method == "forward"]

    @property
    def is_of_candidate(self) -> bool:
        """Tell whether another checkpoint than the reference is evaluated."""
        return self.model is not self.reference

    @property
    def label(self) -> str:
        """Return the model's name in reports: its class, and the checkpoint of a candidate."""
        name = type(self.model).__name__
        if not self.is_of_candidate:
            return name
        checkpoint = PurePath(getattr(getattr(self.model, "config", None), "_name_or_path", "")).name
        return f"{name} (candidate{' ' if checkpoint else ''}{checkpoint})"
