"""Extremes: torch's random numbers, set to one end of their range.

A draw that seldom matters, such as a dropout of one in a thousand, matters there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

Arguments = Mapping[str, Any]
aten = torch.ops.aten

_SIGMAS = 4.0
"""Standard deviations from its mean at which a normal number counts as at an end: one in 30,000 lies beyond."""


@dataclass
class Draws:
    """The draws of one run: the generator's ``states`` before each, and whether all ``were_moved`` to an end."""

    states: list[bytes] = field(default_factory=list)
    were_moved: bool = True

    def seeded_as(self, other: Draws) -> frozenset[int]:
        """Return the places of draws that began in one state in both runs: the model seeds those itself."""
        both = enumerate(zip(self.states, other.states, strict=False))
        return frozenset(place for place, (one, another) in both if one == another)


class Drawing(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes, while entered, what is drawn from torch's own generator, and moves it to an ``end``: 0, 1, or None.

    Draws at the places ``kept`` are left as they are.
    """

    def __init__(self, end: float | None = None, kept: frozenset[int] = frozenset()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.draws = Draws()
        self._end, self._kept = end, kept

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in func.tags or not _is_default(given.get("generator")):
            return func(*args, **given)
        named = _named(func, args, given)  # before an operator in place writes to them
        before = torch.get_rng_state()
        answer = func(*args, **given)
        if torch.equal(before, torch.get_rng_state()):  # attention without dropout may draw, and doesn't
            return answer
        self.draws.states.append(before.numpy().tobytes())
        if self._end is None or len(self.draws.states) - 1 in self._kept:
            return answer
        move = _MOVES.get(func.overloadpacket)
        if move is None:
            self.draws.were_moved = False
            return answer
        return answer.copy_(move(named, answer, self._end))


def _is_default(generator: Any) -> bool:
    return generator is None or generator is torch.default_generator


def _named(func: Any, args: Any, given: Arguments) -> dict[str, Any]:
    """The arguments by name, with their defaults."""
    wanted = func._schema.arguments
    named = {item.name: item.default_value for item in wanted if item.has_default_value()}
    named |= {item.name: value for item, value in zip(wanted, args, strict=False)} | dict(given)
    return {name: value.clone() if isinstance(value, torch.Tensor) else value for name, value in named.items()}


def _bernoulli(given: Arguments, answer: torch.Tensor, end: float) -> torch.Tensor:
    chance = torch.as_tensor(given.get("p", given["self"]))
    return (chance > 0 if end else chance >= 1).to(answer.dtype).expand(answer.shape)


def _uniform(given: Arguments, answer: torch.Tensor, end: float) -> torch.Tensor:
    least, greatest = (torch.tensor(given.get(name, number), dtype=answer.dtype) for name, number in _UNIT)
    return (torch.nextafter(greatest, least) if end else least).expand(answer.shape)


_UNIT = (("from", 0.0), ("to", 1.0))


def _normal(given: Arguments, answer: torch.Tensor, end: float) -> torch.Tensor:
    mean, deviation = (torch.as_tensor(given.get(name, number)) for name, number in (("mean", 0.0), ("std", 1.0)))
    return (mean + deviation * math.copysign(_SIGMAS, end - 0.5)).expand(answer.shape)


def _integer(given: Arguments, answer: torch.Tensor, end: float) -> torch.Tensor:
    return torch.tensor(given["high"] - 1 if end else given.get("low", 0)).expand(answer.shape)


def _category(given: Arguments, answer: torch.Tensor, end: float) -> torch.Tensor:
    """The first or the last categories that can be drawn; where fewer can than are drawn, the same again."""
    places = torch.arange(1, given["self"].shape[-1] + 1)
    ranks = torch.where(given["self"] > 0, places if end else places.flip(-1), 0)
    drawn = ranks.topk(min(answer.shape[-1], ranks.shape[-1])).indices
    possible = ranks.gather(-1, drawn) > 0
    filled = torch.where(possible, drawn, drawn[..., :1])
    return torch.cat([filled, filled[..., :1].expand(*filled.shape[:-1], answer.shape[-1] - filled.shape[-1])], -1)


_MOVES: dict[Any, Callable[[Arguments, torch.Tensor, float], torch.Tensor]] = {
    aten.bernoulli_: _bernoulli,
    aten.bernoulli: _bernoulli,
    aten.rand: _uniform,
    aten.rand_like: _uniform,
    aten.uniform_: _uniform,
    aten.randn: _normal,
    aten.randn_like: _normal,
    aten.normal: _normal,
    aten.normal_: _normal,
    aten.randint: _integer,
    aten.randint_like: _integer,
    aten.multinomial: _category,
}
