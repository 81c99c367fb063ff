"""The models of a race and their timed calls."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from pytest_cpuaccel.backends.registry import EAGER
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend, BuiltModel
from pytest_cpuaccel.core.build_request import BuildRequest
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import BuildError, BuildFailureError, CpuaccelError, retold
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kv_cache import is_cache
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.generation import repeatable
from pytest_cpuaccel.measure.latency.side import Sides, local_sides


def sides_in_use(call: Call, evaluation: Evaluation, context: EvaluationContext, opened: contextlib.ExitStack) -> Sides:
    """Return both sides on the builds in use. A build that would race itself gets a second one to race: the A/A row."""
    candidate = context.builder.built(evaluation.request(call))
    if evaluation.versus.name == EAGER.name:
        return local_sides(timed(candidate, call), timed(_as_built(evaluation), call))
    try:
        reference = context.builder.built(
            BuildRequest(evaluation.reference, evaluation.versus, call.method, call.inputs)
        )
        if reference is candidate:
            reference = fresh(evaluation.reference, evaluation.versus, call, context, opened)
    except CpuaccelError as error:
        text = f"{error} (latency_budget names it in vs=)"
        raise (BuildFailureError(text) if isinstance(error, BuildError) else retold(error, text)) from error
    return local_sides(timed(candidate, call), timed(reference, call))


def fresh_sides(call: Call, evaluation: Evaluation, context: EvaluationContext, opened: contextlib.ExitStack) -> Sides:
    """Return both sides on builds that nobody else uses, which ``opened`` closes."""
    return local_sides(
        timed(fresh(evaluation.model, evaluation.backend, call, context, opened), call),
        timed(fresh(evaluation.reference, evaluation.versus, call, context, opened), call),
    )


def fresh(
    model: nn.Module, backend: Backend, call: Call, context: EvaluationContext, opened: contextlib.ExitStack
) -> BuiltModel:
    """Return a build that nobody else uses, which ``opened`` closes."""
    built = context.builder.build_anew(BuildRequest(model, backend, call.method, call.inputs))
    opened.callback(built.close)
    return built


def _as_built(evaluation: Evaluation) -> BuiltModel:
    """The user's own eager model: what runs today if no backend is chosen."""
    return BuiltModel(evaluation.reference, {}, getattr(evaluation.reference, "generate", None))


def timed(built: BuiltModel, call: Call) -> Callable[[], object]:
    """Return a call of a build, without arguments; a ``generate()`` starts from the generator state of the record."""
    inputs = repeatable(call.inputs)
    run = built.method(call.method)
    if call.method == "generate":
        return partial(_seeded, run, inputs, call.rng_state)
    if call.written or _holds_cache(inputs):
        return lambda: run(*tree.clone(inputs.args), **tree.clone(dict(inputs.kwargs)))
    return partial(run, *inputs.args, **inputs.kwargs)


def _seeded(run: Callable[..., object], inputs: Inputs, rng_state: torch.Tensor) -> object:
    torch.set_rng_state(rng_state)
    return run(*inputs.args, **inputs.kwargs)


def _holds_cache(inputs: Inputs) -> bool:
    """Tell whether the call brings a key/value cache, which every call would lengthen."""
    return any(is_cache(leaf) for _, leaf in inputs.leaves())
