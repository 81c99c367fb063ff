"""The inputs of a call: positional arguments and keywords."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Inputs:
    """Arguments of one call, exactly as the caller gave them."""

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def clone(self) -> Inputs:
        """Return inputs that share no memory with these."""
        from pytest_cpuaccel.core import tree

        return Inputs(tree.clone(self.args), tree.clone(dict(self.kwargs)))

    def leaves(self) -> Iterator[tuple[str, Any]]:
        """Yield every leaf with its dotted path: ``0.0`` for the first argument, ``1.mask`` for a keyword."""
        from pytest_cpuaccel.core import tree

        return tree.named_leaves([self.args, dict(self.kwargs)])
