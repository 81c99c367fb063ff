"""A float artifact run over calibration data; the caller records the tensors in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from pytest_cpuaccel.backends.toolkit import runtime_load as loading
from pytest_cpuaccel.backends.toolkit.run_once import rehearse
from pytest_cpuaccel.backends.toolkit.runtime import Runtime
from pytest_cpuaccel.core.backend import Subject
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.inputs import Inputs


def run_over_data(runtime: Runtime, subject: Subject, folder: Path) -> None:
    """Run the artifact in ``folder`` on every item of ``subject.calibration``.

    Raises:
        UsageError: an item does not fit the call that the artifact was exported for.
        BuildError: the runtime can't run the artifact.
    """
    built = loading.load(runtime, subject, folder)
    for item in fitting_items(subject, built.accepts):
        rehearse(built.forward, item)
        if built.generate and "decoder_input_ids" in item.kwargs:
            _generate(built.generate, item)


def fitting_items(subject: Subject, accepts: Callable[[Inputs], bool]) -> Iterator[Inputs]:
    """Yield the items of ``subject.calibration``; all must be accepted.

    Raises:
        UsageError: one is not.
    """
    for place, item in enumerate(subject.calibration):
        if not accepts(item):
            raise UsageError(
                f"calibration data: item {place} has {_described(item)}, which does not fit the test's call, "
                f"{_described(subject.inputs)}"
            )
        yield item


def _generate(generate: Callable[..., Any], item: Inputs) -> None:
    """Run a few steps of an encoder-decoder: it may have another graph for all steps but the first."""
    prompt = {name: value for name, value in item.kwargs.items() if name != "decoder_input_ids"}
    generate(**prompt, max_new_tokens=3, do_sample=False)


def _described(inputs: Inputs) -> str:
    leaves = inputs.leaves()
    return ", ".join(
        f"{name.partition('.')[2]} {'x'.join(map(str, leaf.shape))}"
        for name, leaf in leaves
        if isinstance(leaf, torch.Tensor)
    )
