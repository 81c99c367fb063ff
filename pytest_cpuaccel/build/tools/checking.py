"""What a built model must hold to before anybody calls it."""

from __future__ import annotations

from typing import Any

import torch

from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import BuiltModel
from pytest_cpuaccel.core.call import Method
from pytest_cpuaccel.core.errors import BuildError

_MOST_CHANGE = 0.05
"""Relative RMSE. float16 and the tanh form of GELU stay below a tenth of it; a graph that is wrong seldom does."""


def check_built(built: BuiltModel, threads: int, method: Method) -> None:
    """Check that a build runs with the threads that all others have, and takes the call it was made for.

    Raises:
        BuildError: it does not.
    """
    used = built.facts.get("threads")
    if used != threads:
        raise BuildError(f"runs with {used} threads, was told {threads}; a comparison would be unfair")
    if method == "generate" and built.generate is None:
        raise BuildError("has no generate(); narrow the test with @pytest.mark.cpu_backends(exclude=...)")


def check_unchanged(before: Any, after: Any, rewriter: str) -> None:
    """Check that a graph which was rewritten to be faster still answers what it did.

    Raises:
        BuildError: it answers something else, by more than any rounding.
    """
    kept = dict(tree.named_leaves(before))
    for name, answer in tree.named_leaves(after):
        if not (isinstance(answer, torch.Tensor) and answer.is_floating_point()):
            continue
        was = kept[name].nan_to_num(0, 0, 0)
        change, size = (answer.nan_to_num(0, 0, 0) - was).norm(), was.norm()
        if change > _MOST_CHANGE * size:
            raise BuildError(
                f"{rewriter} breaks this model: {name or 'its answer'} changes by {change / size:.2g} (relative RMSE)"
            )
