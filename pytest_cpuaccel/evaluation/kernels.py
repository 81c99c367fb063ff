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
    request, builder = evaluation.request(call), context.builder
    if count is None:
        kernels = builder.built(request).kernels
        if kernels is None:
            return None
        with untouched(evaluation.model), seeded(), upstream.contained():
            return kernels(call.method, private_inputs(call.inputs))
    with untouched(evaluation.model), seeded(), upstream.contained(), builder.artifact(request) as folder:
        return count(builder.subject(request), folder, call.method, private_inputs(call.inputs))
