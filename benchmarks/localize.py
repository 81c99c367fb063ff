"""How often the first wrong module is named, over all architectures, with one fault planted in one module.

Run with ``python -m benchmarks.localize`` (some minutes). Name architectures to run only those, and one way of finding
the module: ``alone``, in which each module is built by itself, or a backend, ``ort`` or ``openvino``, which is given
the faulty model to export. As each export takes seconds, a backend gets a third of an architecture's faults, in one
place each. A fault counts where the answer shows it: off by more than ten times eager's own rounding. Of a module that
nothing calls, such as the output projection of nn.MultiheadAttention, the one that reads its weights holds the fault.
"wrong" is a named module that does not hold it. ``-v`` prints every fault.

Exits with 1 where a module was wrong, or an error of the plugin's own kept it from being looked for.
"""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial, wraps
from math import inf
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate
from torch import nn

from pytest_cpuaccel.backends.registry import BUILTIN
from pytest_cpuaccel.backends.toolkit import upstream
from pytest_cpuaccel.backends.toolkit.attention import with_attention
from pytest_cpuaccel.backends.toolkit.in_place import AlteredModel, load_altered, observe_altered
from pytest_cpuaccel.backends.toolkit.module_calls import ModuleCalls
from pytest_cpuaccel.backends.toolkit.run_once import rehearse
from pytest_cpuaccel.builder.private_copy import private_copy
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Subject
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import BackendUnavailableError, BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.diagnose.localize import localize as localize_module
from pytest_cpuaccel.diagnose.localize.localize import RightAnswer, WrongCall, localize
from pytest_cpuaccel.zoo.architectures import ARCHITECTURES

EXPORTING = {backend.name: backend for backend in BUILTIN if backend.name in ("ort", "openvino")}

EXACT, AROUND, NOTHING, WRONG = "named exactly", "a module around it", "nothing", "wrong"
UNSEEN, REFUSED, ERROR = "not seen in the answer", "does not run with it", "an error of ours"
WORDS = (EXACT, AROUND, NOTHING, WRONG, UNSEEN, REFUSED, ERROR)


@dataclass(frozen=True)
class Planted:
    """A fault: ``fits`` tells whether a module can have it, ``plant`` alters the module."""

    name: str
    fits: Callable[[nn.Module], bool]
    plant: Callable[[nn.Module], None]


def _wrong_weight(part: Any) -> None:
    part.weight.data.reshape(len(part.weight), -1)[:, 0] += 0.1


def _no_bias(part: Any) -> None:
    part.bias.data.zero_()


def _transposed(part: Any) -> None:
    part.weight.data.copy_(part.weight.data.t().clone())


def _wrong_eps(part: Any) -> None:
    setattr(part, "eps" if hasattr(part, "eps") else "variance_epsilon", 1e-2)


def _tanh_gelu(part: Any) -> None:
    def forward(given: torch.Tensor) -> torch.Tensor:
        return nn.functional.gelu(given, approximate="tanh")

    part.forward = forward


def _no_mask(part: Any) -> None:
    forward = part.forward

    @wraps(forward)  # an export asks for the names of the arguments
    def without(*args: Any, **kwargs: Any) -> Any:
        masks = ("attention_mask", "mask", "key_padding_mask")
        args = tuple(None if _is_mask(value) else value for value in args)
        return forward(*args, **{name: None if name in masks else value for name, value in kwargs.items()})

    part.forward = without


def _is_mask(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.dim() == 4 and value.shape[1] == 1


def _has(part: nn.Module, name: str) -> bool:
    return isinstance(getattr(part, name, None), torch.Tensor)


def _is_norm(part: nn.Module) -> bool:
    return "Norm" in type(part).__name__ and (hasattr(part, "eps") or hasattr(part, "variance_epsilon"))


NO_MASK = Planted("no mask in one layer", lambda part: type(part).__name__.endswith("Attention"), _no_mask)
FAULTS = (
    Planted("a wrong weight", lambda part: _has(part, "weight") and not list(part.children()), _wrong_weight),
    Planted("no bias", lambda part: _has(part, "bias") and not list(part.children()), _no_bias),
    Planted(
        "a transposed weight",
        lambda part: isinstance(part, nn.Linear) and part.in_features == part.out_features,
        _transposed,
    ),
    Planted("a wrong eps", _is_norm, _wrong_eps),
    Planted("tanh GELU", lambda part: "GELU" in type(part).__name__, _tanh_gelu),
    NO_MASK,
)


def main() -> int:
    """Print how often each fault was named; return the exit code."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    localize_module.SECONDS = inf  # as on a machine that nobody else uses
    way = next((name for name in sys.argv[1:] if name in ("alone", *EXPORTING)), "hooks")
    given = [name for name in sys.argv[1:] if name not in (way, "-v")]
    found: dict[str, Counter[str]] = {fault.name: Counter() for fault in FAULTS}
    slowest = 0.0
    for number, architecture in enumerate(ARCHITECTURES):
        if given and architecture.name not in given:
            continue
        model = _with_biases(architecture.make())
        if way in EXPORTING:
            model = _with_plain_attention(model)
        for turn, fault in enumerate(FAULTS, number):
            places = _places(model, fault)
            if way in EXPORTING:
                places = places[number % len(places) :][:1] if turn % 3 == 0 and places else []
            for path in places:
                begin = time.process_time()
                case = _Case(private_copy(model), architecture.inputs(model), fault, path)
                word, said = _tried(case, way)
                spent = time.process_time() - begin
                slowest = max(slowest, spent)
                found[fault.name][word] += 1
                if word in (NOTHING, WRONG, REFUSED, ERROR) or "-v" in sys.argv:
                    print(f"{architecture.name}, {fault.name} in {path}: {word}: {said}; {spent:.1f} s", flush=True)
    rows = [(name, *(counts[word] for word in WORDS)) for name, counts in found.items()]
    rows.append(("all", *(sum(row[column] for row in rows) for column in range(1, len(WORDS) + 1))))
    print(tabulate(rows, ("fault", *WORDS)))
    print(f"slowest: {slowest:.1f} s of CPU")
    return int(any(counts[word] for counts in found.values() for word in (WRONG, ERROR)))


def _with_biases(model: nn.Module) -> nn.Module:
    """The model with biases that are not zero, as they are in a fresh one."""
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model


def _with_plain_attention(model: nn.Module) -> nn.Module:
    """The model with the attention that an export writes: it would be made anew of its weights, without a fault."""
    try:
        return with_attention(model, "eager")
    except BuildError:
        return model


def _places(model: nn.Module, fault: Planted) -> list[str]:
    """The first, the middle and the last module that can have a fault."""
    fitting = [path for path, part in model.named_modules() if path and fault.fits(part)]
    return list(dict.fromkeys(fitting[at] for at in (0, len(fitting) // 2, -1))) if fitting else []


@dataclass(frozen=True)
class _Case:
    """A fault, to be planted in the module at ``path``."""

    model: nn.Module
    inputs: Inputs
    fault: Planted
    path: str

    def broken(self) -> nn.Module:
        """Return a copy of the model with the fault."""
        copied = private_copy(self.model)
        self.fault.plant(copied.get_submodule(self.path))
        return copied


def _tried(case: _Case, way: str) -> tuple[str, str]:
    """What came of looking for a fault, as one of ``WORDS``, and what was said."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            with upstream.contained():
                wrong = _wrong_call(case, way, Path(scratch))
        except (BuildError, BackendUnavailableError) as error:
            return REFUSED, str(error)
        try:
            said = localize(wrong)
        except Exception:
            return ERROR, traceback.format_exc()
    if isinstance(said, RightAnswer):
        return UNSEEN, f"{said.ratio:.1f} times eager's rounding"
    return _word(case, said.module), f"{said.module or '-'}; {said.note}; {said.method}"


def _wrong_call(case: _Case, way: str, scratch: Path) -> WrongCall:
    model, inputs = case.model, case.inputs
    subject = Subject(lambda: private_copy(model), inputs, rehearse(model, inputs), threads=1)
    backend = _exporting(case, EXPORTING[way]) if way in EXPORTING else _backend(case, way)
    folder = scratch if backend.export else None
    if folder:
        backend.run_export(subject, folder)
    built = backend.load(subject, folder)
    answer = tree.clone(rehearse(built.forward, inputs))
    built.close()
    return WrongCall(model, backend, Call("forward", inputs, answer), subject, folder)


def _exporting(case: _Case, backend: Backend) -> Backend:
    """The backend, but that it exports each module with the fault where that is in the module."""
    holds = "_holds_the_fault"
    setattr(case.model.get_submodule(case.path), holds, True)

    def export(subject: Subject, folder: Path) -> None:
        assert backend.export is not None

        def faulty() -> nn.Module:
            module = subject.fresh_module()
            for part in module.modules():
                if hasattr(part, holds):
                    case.fault.plant(part)
            return module

        backend.export(replace(subject, fresh_module=faulty), folder)

    return replace(backend, name="broken", export=export)


def _backend(case: _Case, way: str) -> Backend:
    broken = case.broken()
    if way != "alone":
        return Backend(
            name="broken",
            summary="one fault",
            load=partial(load_altered, partial(_altered, broken)),
            observe=partial(observe_altered, partial(_altered, broken)),
        )

    def load(subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
        module = subject.fresh_module()
        if isinstance(module, type(broken)):
            return BuiltModel(broken)
        own = broken.get_submodule(case.path)
        for part in [item for item in broken.modules() if _is_like(item, module, own)]:
            return BuiltModel(part)
        return BuiltModel(module)

    return Backend(name="broken", summary="one fault", load=load)


def _is_like(item: nn.Module, module: nn.Module, own: nn.Module) -> bool:
    """Tell whether ``item`` of the broken model, which holds the fault, is the one that ``module`` was copied of."""
    return type(item) is type(module) and any(part is own for part in item.modules())


def _altered(broken: nn.Module, subject: Subject) -> AlteredModel:  # noqa: ARG001
    return AlteredModel(broken, dict)


def _word(case: _Case, module: str) -> str:
    if not module:
        return NOTHING
    named = dict(case.model.named_modules(remove_duplicate=False))
    own, said = named[_called(case)], named[module.partition("#")[0]]
    if said is own or _share(said, named[case.path]) or (case.fault is NO_MASK and _is_its_core(said, own)):
        return EXACT
    return AROUND if any(part is own for part in said.modules()) else WRONG


def _called(case: _Case) -> str:
    """The path of the smallest module around the fault that is called."""
    calls = ModuleCalls()
    with calls.watching(case.model):
        rehearse(case.model, case.inputs)
    called, path = {call.path for call in calls.finished}, case.path
    while path not in called and path:
        path = path.rpartition(".")[0]
    return path


def _is_its_core(said: nn.Module, own: nn.Module) -> bool:
    """Tell whether a module is the part of an attention that takes the mask."""
    return NO_MASK.fits(said) and any(part is said for part in own.modules())


def _share(one: nn.Module, other: nn.Module) -> bool:
    """Tell whether two modules have a weight in common, and so a fault in it."""
    return any(own is its for own in one.parameters(recurse=False) for its in other.parameters(recurse=False))


if __name__ == "__main__":
    sys.exit(main())
