"""The first wrong module, from what all modules returned in one run of a backend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf

import torch

from pytest_cpuaccel.backends.toolkit.module_calls import ModuleCall
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.call_place import place_of_call
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.localization import Localization, ModuleError
from pytest_cpuaccel.core.observed_run import ObservedRun
from pytest_cpuaccel.diagnose.localize.alone import Trials
from pytest_cpuaccel.diagnose.localize.error import LIMIT, TensorError, worst_error
from pytest_cpuaccel.diagnose.localize.reference import EagerModules

_GROWTH = 3.0
"""How many times the error at its input that at its output has to be, for it to start inside a module."""


@dataclass(frozen=True)
class ObservedModules:
    """An observation beside what eager's modules gave. ``trials`` are of modules that it doesn't show."""

    eager: EagerModules
    seen: ObservedRun
    trials: Trials

    @cached_property
    def errors(self) -> dict[str, TensorError]:
        """Return the error of each module's output by its place; a place of several calls counts if all were seen."""
        outputs = self.seen.outputs
        found = {}
        for place, call in self.eager.exact.items():
            second = place_of_call(call.path, 2)
            several = second in self.eager.exact and second not in outputs
            error = self.eager.error_of(place, outputs[place]) if place in outputs and not several else None
            if error is not None:
                found[place] = error
        return found

    @cached_property
    def growth(self) -> tuple[ModuleError, ...]:
        """Return the errors in the order in which the modules returned."""
        exact = self.eager.exact
        return tuple(ModuleError(place, exact[place].type, it.error, it.rounding) for place, it in self.errors.items())

    @property
    def shows_the_fault(self) -> bool:
        """Tell whether the run that was observed answers wrong."""
        found = self.eager.error_of("", self.seen.output)
        return found is None or found.ratio > LIMIT

    def first(self) -> Localization:
        """Return the smallest module that is shown to be wrong though what it took is right.

        Modules within it that are not seen are tried alone. Where there is no such module all that are not seen are,
        as far as the first wrong output.
        """
        wrong = next((place for place, error in self.errors.items() if error.ratio > LIMIT), None)
        around = next((found for call in self._around(wrong) if (found := self._shown(call))), None)
        alone = self._wrong_alone(list(self._unseen(wrong, around and around[0])), wrong)
        if alone is not None:
            return self._said(self.trials.named(*alone, self.trials.lateness))
        if around is not None and wrong is not None:
            return self._named(*around, wrong)
        notes = (self._between(wrong) if wrong else self._all_right(), self.trials.lateness)
        return Localization(growth=self.growth, method=self._method, note="; ".join(filter(None, notes)))

    def _shown(self, call: ModuleCall) -> tuple[ModuleCall, TensorError, float] | None:
        """A call whose output is wrong, its error and the ratio at its input, if that is known to be right."""
        error, at_input = self.errors.get(call.place), self._ratio_at_input(call)
        if error is None or error.ratio <= LIMIT or at_input is None or at_input > LIMIT:
            return None
        return (call, error, at_input) if error.ratio > _GROWTH * at_input else None

    def _wrong_alone(self, calls: list[ModuleCall], wrong: str | None) -> tuple[ModuleCall, TensorError] | None:
        """The smallest of these calls that is wrong alone: those near the first wrong output are tried first."""
        near = list(dict.fromkeys([*self._upstream(wrong), *(call.place for call in self._around(wrong))]))
        found = None
        nearest = sorted(calls, key=lambda call: near.index(call.place) if call.place in near else len(near))
        while (inner := self.trials.first_of(nearest)) is not None:
            found = inner
            nearest = [call for call in calls if call.place != inner[0].place and self._is_within(call, inner[0])]
        return found

    def _upstream(self, wrong: str | None) -> Iterator[str]:
        """The place of the first wrong output, and those that what it took came from, as far as they are not seen."""
        waiting, known = [wrong], set(self.errors) - {wrong}
        while waiting:
            place = waiting.pop(0)
            if place and place not in known:
                yield place
                known.add(place)
                sources = self.eager.exact[place].sources.values()
                waiting += [each for of in sources if known.isdisjoint(of) for each in of]

    def _unseen(self, wrong: str | None, around: ModuleCall | None) -> Iterator[ModuleCall]:
        """The calls that may be at fault as far as is seen, parts before the whole: those within ``around``, or all.

        They ended before the first ``wrong`` output was made, or made it within them.
        """
        parents = {call.place for call in self._around(wrong)}
        is_over = False
        for call in self.eager.exact.values():
            if around is not None and call.place == around.place:
                return
            error = self.errors.get(call.place)
            may_be = (error is None or error.ratio > LIMIT) and (not is_over or call.place in parents)
            if call.place and may_be and self._is_within(call, around) and not self._is_wrong_before(call):
                yield call
            is_over = is_over or call.place == wrong

    def _is_within(self, call: ModuleCall, around: ModuleCall | None) -> bool:
        return around is None or any(each.place == around.place for each in self._around(call.place))

    def _is_wrong_before(self, call: ModuleCall) -> bool:
        return (self._ratio_at_input(call) or 0.0) > LIMIT

    def _said(self, found: Localization) -> Localization:
        """What a trial found, with all that was seen: in the order of the run, tried alone where it was not seen."""
        known = {each.module: each for each in (*self.trials.growth, *self.growth)}
        growth = tuple(known[place] for place in self.eager.exact if place in known)
        return replace(found, growth=growth, method=self._method)

    @property
    def _method(self) -> str:
        return f"{self.seen.method} and {self.trials.method}" if self.trials.growth else self.seen.method

    def _all_right(self) -> str:
        return f"the output of every module that could be seen is right ({len(self.errors)}), the model's is not"

    def _named(self, call: ModuleCall, error: TensorError, at_input: float, wrong: str) -> Localization:
        actual, expected = error.worst()
        within = "" if call.place == wrong else f"within it, the output of {wrong} is the first that is wrong"
        note = "; ".join(filter(None, (within, self.trials.lateness)))
        return Localization(
            module=call.place,
            type=call.type,
            starts_inside=True,
            at_output=error.ratio,
            at_input=at_input,
            actual=actual,
            expected=expected,
            growth=self.growth,
            method=self._method,
            note=note,
        )

    def _between(self, wrong: str) -> str:
        before = None
        for place, error in self.errors.items():
            if place == wrong:
                break
            before = place if error.ratio <= LIMIT else before
        last = f", and {before} the last before it that is right" if before else ""
        return f"the output of {wrong} is the first that is wrong{last}; whether its input is right could not be told"

    def _around(self, place: str | None) -> Iterator[ModuleCall]:
        """The call at a place and those that it was made within, without the model itself; none for no place."""
        while place:
            call = self.eager.exact[place]
            yield call
            place = call.within

    def _ratio_at_input(self, call: ModuleCall) -> float | None:
        """The error at a module's input; None where it is not known."""
        if self.seen.inputs is not None and call.place in self.seen.inputs:
            return self._ratio_of_seen(call, self.seen.inputs[call.place])
        ratios = [self._ratio_of_sources(call.sources.get(name, ())) for name, _ in _tensors(call.inputs)]
        known = [ratio for ratio in ratios if ratio is not None]
        if len(known) == len(ratios):
            return max(known, default=0.0)
        return None

    def _ratio_of_sources(self, sources: tuple[str, ...]) -> float | None:
        if "" in sources:
            return 0.0
        return next((self.errors[source].ratio for source in sources if source in self.errors), None)

    def _ratio_of_seen(self, call: ModuleCall, given: Inputs) -> float | None:
        rounded = self.eager.rounded[call.place].inputs
        actual = dict(_tensors(given))
        ratios = [0.0]
        for name, exact in _tensors(call.inputs):
            one, other = actual.get(name), dict(_tensors(rounded)).get(name)
            if one is None or other is None:
                return None
            if not exact.is_floating_point():
                ratios.append(0.0 if torch.equal(one, other) else inf)
                continue
            error = worst_error(one, other, exact, self.eager.mask)
            if error is None and exact.numel():
                return None
            ratios.append(error.ratio if error else 0.0)
        return max(ratios)


def _tensors(inputs: Inputs) -> list[tuple[str, torch.Tensor]]:
    leaves = tree.named_leaves((inputs.args, dict(inputs.kwargs)))
    return [(name, leaf) for name, leaf in leaves if isinstance(leaf, torch.Tensor)]
