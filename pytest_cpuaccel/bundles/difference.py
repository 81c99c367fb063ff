"""How one answer differs from another, in a few words."""

from __future__ import annotations

from typing import Any

from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.call import Answer

_MOST_NAMES = 3


def difference(recorded: Any, here: Any) -> str:
    """Return how an answer differs from the recorded one; "" where it is the same, bit for bit."""
    old, new = _leaves(recorded), _leaves(here)
    if old.keys() != new.keys():
        only = sorted(old.keys() ^ new.keys())
        return f"other outputs ({', '.join(only[:_MOST_NAMES])})"
    differing = [name for name in old if not tree.same_values(old[name], new[name])]
    if not differing:
        return ""
    texts = [f"'{name}' {_by(old[name], new[name])}" for name in differing[:_MOST_NAMES]]
    more = len(differing) - len(texts)
    return f"{', '.join(texts)}{f' and {more} more' if more else ''}"


def _leaves(answer: Any) -> dict[str, Any]:
    output = answer.output if isinstance(answer, Answer) else answer
    written = dict(answer.written) if isinstance(answer, Answer) else {}
    found = {name or "output": leaf for name, leaf in tree.named_leaves(output) if leaf is not None}
    return found | {f"{name} after the call": leaf for name, leaf in written.items()}


def _by(old: Any, new: Any) -> str:
    if type(old) is not type(new) or not hasattr(old, "dtype"):
        return "differs"
    if old.shape != new.shape or old.dtype != new.dtype:
        return f"was {old.dtype} {tuple(old.shape)}, is {new.dtype} {tuple(new.shape)}".replace("torch.", "")
    if not old.is_floating_point():
        return f"differs in {int((old != new).sum())} of {old.numel()} elements"
    apart = (old.double() - new.double()).abs()
    finite = apart[apart.isfinite()]
    most = f"by at most {float(finite.max()):.3g}" if finite.numel() else "where it is not finite"
    return f"differs {most}"
