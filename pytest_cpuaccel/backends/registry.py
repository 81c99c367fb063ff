"""The known backends, and the selection among them by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from pytest_cpuaccel.backends import (
    aoti,
    autocast_bf16,
    bettertransformer,
    bf16,
    channels_last,
    eager,
    fastpath,
    inc,
    inductor,
    ipex,
    ipex_compile,
    ipex_int8,
    ipex_llm,
    openvino,
    ort,
    sdpa,
    torch_int8,
    torchao_int8,
    torchscript,
)
from pytest_cpuaccel.backends.other_names import OTHER_NAMES
from pytest_cpuaccel.backends.requirements import unmet_requirement
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.errors import BackendUnavailableError, UsageError
from pytest_cpuaccel.core.suggestion import suggestion

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

EAGER = eager.EAGER

BUILTIN: tuple[Backend, ...] = (
    EAGER,
    sdpa.SDPA,
    fastpath.FASTPATH,
    channels_last.CHANNELS_LAST,
    bf16.BF16,
    autocast_bf16.AUTOCAST_BF16,
    torchscript.TORCHSCRIPT,
    torchscript.TORCHSCRIPT_OPTIMIZED,
    inductor.INDUCTOR,
    inductor.INDUCTOR_FREEZING,
    inductor.INDUCTOR_MAX_AUTOTUNE,
    aoti.AOTI,
    torch_int8.TORCH_INT8,
    torchao_int8.TORCHAO_INT8,
    torchao_int8.TORCHAO_INT8_WEIGHTS,
    torchao_int8.TORCHAO_INT8_INDUCTOR,
    torchao_int8.TORCHAO_INT8_WEIGHTS_INDUCTOR,
    ort.ORT,
    ort.ORT_O1,
    ort.ORT_O2,
    ort.ORT_O3,
    ort.ORT_O4,
    ort.ORT_INT8,
    ort.ORT_INT8_STATIC,
    openvino.OPENVINO,
    openvino.OPENVINO_BF16,
    openvino.OPENVINO_INT8,
    openvino.OPENVINO_INT8_PTQ,
    ipex.IPEX,
    ipex.IPEX_BF16,
    ipex_compile.IPEX_COMPILE,
    ipex_llm.IPEX_LLM,
    ipex_int8.IPEX_INT8,
    ipex_int8.IPEX_INT8_DYNAMIC,
    inc.INC_INT8_DYNAMIC,
    inc.INC_INT8_STATIC,
    bettertransformer.BETTERTRANSFORMER,
)


def added_backends(answers: Iterable[object]) -> list[Backend]:
    """Return the backends in the answers to the hook, one answer for each implementation of it.

    Raises:
        UsageError: an answer that is no list of backends.
    """
    added: list[Backend] = []
    for answer in answers:
        if not isinstance(answer, (list, tuple)):
            raise UsageError(f"pytest_cpuaccel_backends: {answer!r} is not a list; return a list of Backend values")
        added += answer
    for backend in added:
        if not isinstance(backend, Backend):
            raise UsageError(f"pytest_cpuaccel_backends: {backend!r} is not a Backend; return a list of Backend values")
    return added


def register(backends: Iterable[Backend]) -> dict[str, Backend]:
    """Return backends by name, ours first.

    Raises:
        UsageError: two backends have one name, or one that could be read as a glob, a list or a path.
    """
    known = {backend.name: backend for backend in BUILTIN}
    for backend in backends:
        if backend.name in known or backend.name == "all":
            raise UsageError(f"pytest_cpuaccel_backends: the name {backend.name!r} is taken; choose another")
        if not _NAME.fullmatch(backend.name):
            raise UsageError(
                f"pytest_cpuaccel_backends: {backend.name!r} is no name; use letters, digits, '-', '_' and '.', the "
                "first a letter or digit"
            )
        known[backend.name] = backend
    return known


def select(wanted: Sequence[str], known: Mapping[str, Backend]) -> list[Backend]:
    """Return the backends chosen by names and globs, in the order given, each once.

    A name chooses its backend whether or not it is installed; a glob, like ``all``, chooses what is installed.

    Raises:
        UsageError: a name or glob matches no backend.
        BackendUnavailableError: a glob matches only backends that are not installed.
    """
    chosen: dict[str, Backend] = {}
    for name in wanted:
        for backend in _matching(name, known):
            chosen[backend.name] = backend
    return list(chosen.values())


def is_known(name: str, known: Mapping[str, Backend]) -> bool:
    """Tell whether a name or glob is that of a known backend, installed or not."""
    return name == "all" or any(fnmatchcase(backend, name) for backend in known)


def no_such_backend(name: object, known: Mapping[str, Backend]) -> UsageError:
    """Return the error for an unknown name, with the backends that may be meant, installed or not."""
    needing = {
        item.distribution.lower().replace("_", "-"): (backend.name,)
        for backend in reversed([*known.values()])
        for item in backend.requires
    }
    return UsageError(f"no backend named {name!r}; {suggestion(name, known, {**needing, **OTHER_NAMES})}")


def _matching(name: str, known: Mapping[str, Backend]) -> list[Backend]:
    if name in known:
        return [known[name]]
    matching = [backend for backend in known.values() if name == "all" or fnmatchcase(backend.name, name)]
    if not matching:
        raise no_such_backend(name, known)
    reasons = {backend.name: unmet_requirement(backend) for backend in matching}
    installed = [backend for backend in matching if reasons[backend.name] is None]
    if not installed:
        raise BackendUnavailableError(f"{name!r} matches no installed backend: {next(iter(reasons.values()))}")
    return installed
