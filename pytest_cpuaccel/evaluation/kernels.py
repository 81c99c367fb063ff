"""The census of the kernels that a backend runs for a call."""

from __future__ import annotations

from pytest_cpuaccel.backends.toolkit import upstream
from pytest_cpuaccel.builder.random_generators import seeded
from pytest_cpuaccel.builder.state.snapshot import untouched
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.kernel_census import KernelCensus
from pytest_cpuaccel.core.private_inputs import private_inputs
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.evaluation import Evaluation


def census_of(evaluation: Evaluation, call: Call, context: EvaluationContext) -> KernelCensus | None:
    """Return the census of a call under the evaluation's backend; None where the backend has none.

    Raises:
        CpuaccelError: it can't be taken.
    """
    count = evaluation.backend.count_kernels
    if count is None:
        return _counted_by_build(evaluation, call, context)
    request, builder = evaluation.request(call), context.builder
    with untouched(evaluation.model), seeded(), upstream.contained(), builder.artifact(request) as folder:
        return count(builder.subject(request), folder, call.method, private_inputs(call.inputs))


def _counted_by_build(evaluation: Evaluation, call: Call, context: EvaluationContext) -> KernelCensus | None:
    """The census by the build itself, which it calls; where calls may leave state behind, by another build."""
    request, builder = evaluation.request(call), context.builder
    in_use = builder.build(request)
    if in_use.model.kernels is None:
        return None
    model = builder.build_anew(request) if in_use.state.names or not in_use.state.is_whole else in_use.model
    try:
        assert model.kernels is not None
        with untouched(evaluation.model), seeded(), upstream.contained():
            return model.kernels(call.method, private_inputs(call.inputs))
    finally:
        if model is not in_use.model:
            model.close()
