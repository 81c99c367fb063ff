"""Times of tokens: ``generate()`` calls that report each token to a timer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace

from torch import nn

from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.limit import Limit
from pytest_cpuaccel.measure.latency.call_times import Reading
from pytest_cpuaccel.measure.latency.tokens import TokenClock
from pytest_cpuaccel.recording.workload import Workload

_ASSISTED = ("assistant_model", "prompt_lookup_num_tokens", "assistant_early_exit")
"""Arguments of ``generate()`` by which one step drafts several tokens."""

_UNHEARD = "its generate() asks no stopping_criteria, by which tokens are timed"


def why_not_heard(call: Call, model: nn.Module) -> str | None:
    """Return why a call's tokens can't be timed; None if they can."""
    if call.method != "generate":
        return "only generate() has tokens that are timed; p50= holds any call"
    generate: Callable[..., object] = model.generate  # type: ignore[assignment]
    if "stopping_criteria" not in inspect.signature(generate).parameters:
        return _UNHEARD
    config = call.inputs.kwargs.get("generation_config") or getattr(model, "generation_config", None)
    settings = {**(vars(config) if config else {}), **call.inputs.kwargs}
    drafted = [name for name in _ASSISTED if settings.get(name) is not None]
    return f"{drafted[0]}= drafts several tokens in a step, which can't be told apart" if drafted else None


def heard_by(clock: TokenClock, call: Call) -> Call:
    """Return a ``generate()`` call that asks ``clock`` after every token, and whatever it asked before."""
    from transformers import StoppingCriteriaList

    given = call.inputs.kwargs.get("stopping_criteria") or ()
    criteria = StoppingCriteriaList([*given, clock])
    return replace(call, inputs=Inputs(call.inputs.args, {**call.inputs.kwargs, "stopping_criteria": criteria}))


def check_heard(limits: Mapping[str, Limit], first: Reading, workload: Workload) -> None:
    """Check that the first reading of a call has all that is limited.

    Raises:
        UsageError: too few tokens came.
    """
    reason = "only one token was generated; tpot= needs at least two" if "ttft" in first else _UNHEARD
    for name, limit in limits.items():
        if limit.quantity not in first:
            raise UsageError(f"latency_budget({name}=): {workload.label}: {reason}")
