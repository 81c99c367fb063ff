"""Load by a runtime: the artifact as the class of Optimum that exported it, or as a session of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from pytest_cpuaccel.backends.toolkit import decoding, optimum, serving, upstream
from pytest_cpuaccel.backends.toolkit.export_metadata import Route
from pytest_cpuaccel.backends.toolkit.prepared import PreparedCall
from pytest_cpuaccel.backends.toolkit.runtime import Facts, Runtime, RuntimeSession
from pytest_cpuaccel.backends.toolkit.seq2seq import Opened, Seq2Seq
from pytest_cpuaccel.backends.toolkit.shapes import Shapes
from pytest_cpuaccel.backends.toolkit.step import Step
from pytest_cpuaccel.backends.toolkit.upstream import silenced
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import BuiltModel, Subject
from pytest_cpuaccel.core.errors import BuildError, retold
from pytest_cpuaccel.core.inputs import Inputs

OpenSession = Callable[[Sequence[str], int], RuntimeSession]


def load(runtime: Runtime, subject: Subject, folder: Path) -> BuiltModel:
    """Return the artifact in ``folder`` as a built model.

    Raises:
        BackendUnavailableError: the runtime, or Optimum's class that exported the artifact, does not import.
        BuildError: the runtime can't run the artifact.
    """
    route = Route.read(folder)
    if route.optimum:
        return _load_by_optimum(runtime, subject, route, folder)
    if route.cache and route.cross:
        return _load_seq2seq(runtime, subject, route, folder)
    if route.cache:
        return _load_step(runtime, subject, route, folder)
    return load_program(partial(runtime.open, folder), subject, folder)


def load_program(open_session: OpenSession, subject: Subject, folder: Path) -> BuiltModel:
    """Return what :func:`runtime_export.export_program` wrote to ``folder`` as a built model.

    ``open_session(inputs, threads)`` makes a session of it, whose graph has inputs of these names.

    Raises:
        BuildError: it can't be opened.
    """
    route = Route.read(folder)
    module = subject.outline()
    call = PreparedCall.of(module, subject, route.positions)
    try:
        with silenced():
            session = open_session(call.graph.input_names, subject.threads)
    except BuildError as error:
        if any(tensor.is_complex() for tensor in call.example):
            text = f"{type(module).__name__}: a graph with complex inputs can't be opened: {error}"
            raise retold(error, text) from error
        raise
    forward = _forward(call, session)
    generate = None
    if subject.generates:
        generate = decoding.generate_without_cache(decoding.decoder(module, _checked(forward, call, route.shapes)))
    return BuiltModel(
        forward=forward,
        generate=generate,
        accepts=call.accepted_by(route.shapes),
        lacks=call.lacks,
        threads=session.read_back.threads,
        facts={"route": "torch.export", **_caching(subject, False), **route.facts, **session.read_back.facts},
    )


def _load_step(runtime: Runtime, subject: Subject, route: Route, folder: Path) -> BuiltModel:
    assert route.cache
    module = subject.outline()
    call = PreparedCall.of(module, subject, route.positions)
    step = Step.of(module, call, route.cache)
    with silenced():
        steps = runtime.open_step(folder, step.ports, subject.threads)
    return BuiltModel(
        forward=serving.forward_of(step, steps),
        generate=serving.generate_of(step, steps, route.shapes, module),
        accepts=call.accepted_by(route.shapes),
        lacks=call.lacks,
        threads=steps.read_back.threads,
        facts={"route": "torch.export", **_caching(subject, True), **route.facts, **steps.read_back.facts},
    )


def _load_seq2seq(runtime: Runtime, subject: Subject, route: Route, folder: Path) -> BuiltModel:
    assert route.cache is not None
    assert route.cross is not None
    module = subject.outline()
    call = PreparedCall.of(module, subject, None)
    plan = Seq2Seq.of(module, call, route.cache, route.cross)
    with silenced():
        opened = Opened.of(runtime, plan, folder, subject.threads)
    return BuiltModel(
        forward=serving.seq2seq_forward_of(call, opened),
        generate=serving.seq2seq_generate_of(call, opened, module),
        accepts=call.accepted_by(route.shapes),
        lacks=call.lacks,
        threads=opened.steps.read_back.threads,
        facts={"route": "torch.export", **_caching(subject, True), **route.facts, **opened.steps.read_back.facts},
    )


def _load_by_optimum(runtime: Runtime, subject: Subject, route: Route, folder: Path) -> BuiltModel:
    call = PreparedCall.of(subject.outline(), subject, route.positions)
    model = optimum.load(runtime, route.optimum, folder, subject.threads)
    graph, read_back = call.graph, runtime.read_back(model)

    def forward(*args: Any, **kwargs: Any) -> Any:
        return graph.rebuild(optimum.outputs(model, graph, call.tensors(args, kwargs)))

    return BuiltModel(
        forward=forward,
        generate=upstream.silent(model.generate) if subject.generates else None,
        accepts=call.accepted_by(route.shapes),
        lacks=call.lacks,
        attributes=model,
        threads=read_back.threads,
        facts={
            "route": f"optimum {route.optimum}",
            **_caching(subject, bool(getattr(model, "use_cache", False))),
            **route.facts,
            **read_back.facts,
        },
    )


def _caching(subject: Subject, caches: bool) -> Facts:
    """Tell whether ``generate()`` keeps keys and values from step to step."""
    return {"kv_cache": caches} if subject.generates else {}


def _forward(call: PreparedCall, session: RuntimeSession) -> Callable[..., Any]:
    run, tensors, rebuild = session.run, call.tensors, call.graph.rebuild
    takes = [tensor.dtype for tensor in call.example]
    gives = [tensor.dtype for tensor in tree.tensors(call.graph.template)]

    def forward(*args: Any, **kwargs: Any) -> Any:
        given = zip(tensors(args, kwargs), takes, strict=True)
        ready = tuple(_real(_cast(tensor.detach(), dtype)).contiguous() for tensor, dtype in given)
        return rebuild([_restored(output, dtype) for output, dtype in zip(run(ready), gives, strict=True)])

    return forward


def _real(tensor: torch.Tensor) -> torch.Tensor:
    """Return complex numbers as pairs of real ones in a further dimension, the form of both runtimes' graphs."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def _restored(output: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    if dtype.is_complex and not output.is_complex():
        output = torch.view_as_complex(output.contiguous())
    return _cast(output, dtype)


def _cast(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return tensor if tensor.dtype == dtype else tensor.to(dtype)  # ``to`` takes 1.5 us to find nothing to do


def _checked(forward: Callable[..., Any], call: PreparedCall, shapes: Shapes) -> Callable[..., Any]:
    """Return ``forward`` of a step with a check of its inputs: nobody calls ``accepts`` between two tokens."""

    def checked(**kwargs: Any) -> Any:
        step = Inputs(kwargs=decoding.of_step(kwargs))
        refusal = call.refusal(shapes, step)
        if refusal:
            raise BuildError(f"generate() makes a call that the exported graph is not right for: {refusal}")
        return forward(**step.kwargs)

    return checked
