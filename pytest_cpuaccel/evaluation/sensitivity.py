"""A parity FAIL in int8 or bf16 with what each module costs, and a set of modules that in fp32 makes the mark hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from pytest_cpuaccel.backends.toolkit import upstream
from pytest_cpuaccel.builder.keep_fp32 import keep_fp32_of
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.diagnosis import Diagnosis
from pytest_cpuaccel.core.errors import CpuaccelError
from pytest_cpuaccel.core.parity_summary import ParitySummary
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.sensitivity import Sensitivity
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.diagnose.localize.reference import eager_modules
from pytest_cpuaccel.diagnose.precision import search as searching
from pytest_cpuaccel.diagnose.precision.ranking import ranking
from pytest_cpuaccel.diagnose.precision.sentences import lines
from pytest_cpuaccel.evaluation.comparer import Comparer
from pytest_cpuaccel.evaluation.following import KEEPS_STATE, seeking, takes_turn
from pytest_cpuaccel.evaluation.fresh_export import others_like
from pytest_cpuaccel.evaluation.module_rounding import module_runs, rounded_by
from pytest_cpuaccel.measure.parity.references import References

ROUNDING = (Precision.INT8, Precision.BF16)
"""The precisions in which every module is off a little."""

_NOT_RANKED = "its modules are not ranked by what they cost"

_MOST_OTHERS = 8
"""Further calls of the test that a proposed set is held to."""


def with_sensitivity(
    verdict: Verdict, call: Call, comparer: Comparer, fault: Diagnosis | None, state: object
) -> Verdict:
    """Return a FAIL with what each module costs; ``state`` is what the model keeps between calls."""
    if not takes_turn(verdict, comparer, fault, "tolerance"):
        return verdict
    found = _why_not(call, state) or _found(verdict, call, comparer)
    return replace(verdict, sensitivity=found, evidence=(*verdict.evidence, *lines(found)))


def _why_not(call: Call, state: object) -> Sensitivity | None:
    if call.method == "generate":
        return Sensitivity(note=f"{_NOT_RANKED}: generate() is not followed to them; call the model itself in a test")
    if state:
        return Sensitivity(note=f"{_NOT_RANKED}: {KEEPS_STATE}")
    return None


def _found(verdict: Verdict, call: Call, comparer: Comparer) -> Sensitivity:
    precision = comparer.evaluation.backend.precision.value
    try:
        with seeking(f"what {precision} costs", comparer), torch.no_grad():
            ranked = _ranked(call, comparer)
            return _proposed(ranked, verdict, call, comparer) if ranked.modules else ranked
    except CpuaccelError as error:
        return Sensitivity(note=f"its modules can't be ranked: {error}")


def _ranked(call: Call, comparer: Comparer) -> Sensitivity:
    evaluation = comparer.evaluation
    model, backend = evaluation.model, evaluation.backend
    rounded = rounded_by(backend, model)
    run, method = module_runs(backend, comparer.context.builder.built(evaluation.request(call)), model, rounded)
    kept = comparer.context.builder.kept_fp32(model).paths
    found = ranking(eager_modules(model, call), rounded.difference(kept), run)
    if not found.modules:
        return Sensitivity(note="it has no module that can be run alone, so that none is named")
    left_out = f"; {found.left_out} could not be run alone" if found.left_out else ""
    return Sensitivity(found.modules, f"{method}{left_out}")


def _proposed(ranked: Sensitivity, verdict: Verdict, call: Call, comparer: Comparer) -> Sensitivity:
    evaluation = comparer.evaluation
    backend, given = evaluation.backend, comparer.context.builder.kept_fp32(evaluation.model).patterns
    if backend.quantises is None:
        return replace(ranked, note=f"{backend.name} can't keep modules in fp32, so that no set of them was tried")
    paths = [each.module for each in ranked.modules]
    calls = [call, *others_like(call, evaluation)[:_MOST_OTHERS]]
    held = [(item, comparer.references(item)) for item in calls]
    search = searching.Search(lambda kept: _trial((*given, *kept), held, comparer))
    kept = search.smallest(paths)
    tried = replace(ranked, builds=search.builds, seconds=search.seconds, sqnr_before=_sqnr(verdict.measurement))
    if not kept:
        return replace(tried, note=_nothing_found(search, len(paths)))
    late = "time was over before every module of it was tried without" if search.is_late else ""
    return replace(tried, keep_fp32=(*given, *kept), sqnr_after=search.tried[kept].sqnr, note=late)


def _nothing_found(search: searching.Search, count: int) -> str:
    made = f"{search.builds} build{'s' * (search.builds != 1)} in {search.seconds:.1f} s"
    if search.is_late:
        return f"no set of modules to keep in fp32 was found: time was over after {made}"
    if count == 1:
        return "its only module can't stay in fp32: nothing would be left to round"
    most = max(search.tried, key=len, default=())
    sqnr = search.tried[most].sqnr if most else None
    reached = f": with {len(most)} of {count} modules in fp32 SQNR is {sqnr:.1f} dB" if sqnr is not None else ""
    return f"no set of modules to keep in fp32 was found with which it holds{reached} ({made})"


def _trial(kept: tuple[str, ...], held: Sequence[tuple[Call, References]], comparer: Comparer) -> searching.Trial:
    """Whether the mark holds for the first call, and no other fails, with these modules in fp32."""
    (call, references), *others = held
    evaluation, builder = comparer.evaluation, comparer.context.builder
    paths = keep_fp32_of(kept, evaluation.model, "keep_fp32").paths
    try:
        with upstream.contained(), builder.exported_anew(evaluation.request(call), paths) as built:
            found = comparer.compare(comparer.called(built, call), references)
            sqnr = found.summary.worst.sqnr_db
            if found.outcome is not Outcome.PASS:
                return searching.Trial(holds=False, sqnr=sqnr)
            taken = (pair for pair in others if built.accepts(pair[0].inputs))
            outcomes = (comparer.compare(comparer.called(built, item), theirs).outcome for item, theirs in taken)
            return searching.Trial(all(outcome is not Outcome.FAIL for outcome in outcomes), sqnr)
    except CpuaccelError:
        return searching.Trial(holds=False)


def _sqnr(measurement: object) -> float | None:
    return measurement.worst.sqnr_db if isinstance(measurement, ParitySummary) else None
