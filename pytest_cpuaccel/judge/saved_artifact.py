"""A keepsake: what a baseline keeps of a workload beside its figures, so that a later run can race it."""

from __future__ import annotations

from dataclasses import replace

from pytest_cpuaccel.builder.artifact import copy_artifact
from pytest_cpuaccel.builder.fingerprint import inputs_signature
from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.verdict import Verdict
from pytest_cpuaccel.judge.context import EvaluationContext
from pytest_cpuaccel.judge.evaluation import Evaluation
from pytest_cpuaccel.recording.workload import Workload


def with_saved_artifact(
    latency: Verdict, workload: Workload, evaluation: Evaluation, context: EvaluationContext
) -> Verdict:
    """Return the latency verdict; where a baseline is being saved, with its artifact, now on the shelf, as a fact."""
    shelf, call = context.baselines.shelf, workload.sample
    if shelf is None:
        return latency
    facts: dict[str, Scalar] = {**latency.facts, "inputs": inputs_signature(call.inputs)}
    if evaluation.backend.exports_model:
        with context.builder.artifact(evaluation.request(call)) as folder:
            assert folder is not None
            copy_artifact(folder, shelf)
            facts["artifact"] = folder.name
    return replace(latency, facts=facts)
