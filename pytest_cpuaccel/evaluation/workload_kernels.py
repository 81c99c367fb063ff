"""The kernels that ran for a workload: counted once, when they are first asked for, and judged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from pytest_cpuaccel.backends.toolkit.weights import size_of_weights
from pytest_cpuaccel.core.budget import KernelsBudget
from pytest_cpuaccel.core.census_diff import census_diff, longest
from pytest_cpuaccel.core.diagnosis import Diagnosis
from pytest_cpuaccel.core.errors import CpuaccelError
from pytest_cpuaccel.core.kernel_census import KernelCensus
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.eager_precision import may_reduce
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.kernels import census_of
from pytest_cpuaccel.judge.kernels import judge_kernels, reduced_precision
from pytest_cpuaccel.recording.workload import Workload

_FULL = (Precision.FP32, Precision.FAST_GELU)
"""The precisions of a backend that claims to compute in fp32."""

_LARGE_BYTES = 256_000_000
"""Weights from which on a census is taken only where it is asked for or explains a FAIL: it needs them once more."""


@dataclass
class WorkloadKernels:
    """What a workload's census tells, for verdicts."""

    workload: Workload
    evaluation: Evaluation
    context: EvaluationContext

    @cached_property
    def census(self) -> KernelCensus | None:
        """The census of the workload's call; None where there is none, or where it can't be taken."""
        return self._counted[0]

    @property
    def reported(self) -> KernelCensus | None:
        """Return the census for reports; of a large model only one that was asked for already."""
        return self._counted[0] if self._is_small or "_counted" in vars(self) else None

    @cached_property
    def _counted(self) -> tuple[KernelCensus | None, str]:
        """The census, or None and why."""
        return self._census_of(self.evaluation)

    def judged(self, budget: KernelsBudget) -> Verdict:
        """Return the verdict by the mark."""
        census, why_not = self._counted
        return judge_kernels(census, budget, f"{self.evaluation.backend.name}: {self.workload.label}", why_not)

    def holding_claim(self, parity: Verdict) -> Verdict:
        """Return a parity verdict, a FAIL if the backend claims fp32 and is known to have computed in less.

        It says nothing where eager may compute in less too, and asks for no census of a large model that answers right.
        """
        backend, found = self.evaluation.backend, ""
        is_asked = parity.outcome is not Outcome.PASS or self._is_small
        if backend.precision in _FULL and is_asked and self.census is not None:
            found = reduced_precision(self.census)
        if not found or may_reduce(self.evaluation.model, self.workload.sample):
            return parity
        claim = f"{backend.name} claims fp32 and computed {found}"
        if parity.outcome is Outcome.FAIL:
            return replace(parity, diagnoses=(Diagnosis("fault", claim), *parity.diagnoses))
        about = f"{backend.name}: {self.workload.label}: "
        answer = parity.sentence.removeprefix(about)
        evidence = (f"by its answer alone {parity.outcome.value}: {answer}", *parity.evidence)
        return replace(parity, outcome=Outcome.FAIL, sentence=f"{about}{claim}", evidence=evidence)

    def beside_latency(self, verdict: Verdict) -> Verdict:
        """Return a latency verdict; a FAIL with the kernels of each side that took longest."""
        if verdict.outcome is not Outcome.FAIL:
            return verdict
        return replace(verdict, evidence=(*verdict.evidence, *self._longest()))

    def beside_baseline(self, verdict: Verdict, before: KernelCensus | None, *, with_times: bool) -> Verdict:
        """Return a verdict against a baseline with what changed since the census that the baseline has."""
        if before is None or self.census is None:
            return verdict
        lines = census_diff(before, self.census, with_times=with_times)
        return replace(verdict, evidence=(*verdict.evidence, *(f"kernels: {line}" for line in lines)))

    @property
    def _is_small(self) -> bool:
        return size_of_weights(self.evaluation.model) < _LARGE_BYTES

    def _longest(self) -> Iterator[str]:
        evaluation = self.evaluation
        versus = replace(evaluation, model=evaluation.reference, backend=evaluation.versus)
        sides = {evaluation.backend.name: self.census}
        if evaluation.versus.name != evaluation.backend.name:
            sides[evaluation.versus.name] = self._census_of(versus)[0]
        for name, census in sides.items():
            if census is not None and (kernels := longest(census)):
                yield f"longest kernels of {name}: {kernels}"

    def _census_of(self, evaluation: Evaluation) -> tuple[KernelCensus | None, str]:
        try:
            census = census_of(evaluation, self.workload.sample, self.context)
        except CpuaccelError as refusal:
            return None, str(refusal).removeprefix(f"{evaluation.backend.name}: ")
        return census, "the backend has no census of them"
