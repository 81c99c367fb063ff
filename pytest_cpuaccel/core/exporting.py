"""Export and load by a runtime: through Optimum's class for the model, or else through torch.export."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.core import decoding, optimum, tree
from pytest_cpuaccel.core import export as torch_export
from pytest_cpuaccel.core.attention import with_attention
from pytest_cpuaccel.core.backend import BuiltModel, Subject
from pytest_cpuaccel.core.errors import BackendUnavailable, BuildError
from pytest_cpuaccel.core.graph import Graph
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.quiet import silenced
from pytest_cpuaccel.core.route import Route
from pytest_cpuaccel.core.runtime import Runtime, Session
from pytest_cpuaccel.core.shapes import Shapes


def export(runtime: Runtime, subject: Subject, folder: Path) -> None:
    """Write an artifact and its route to ``folder``.

    Raises:
        BuildError: neither route takes the subject; the text has the reasons.
    """
    module = subject.fresh_module()
    if hasattr(module, "save_pretrained"):
        route = _export_transformer(runtime, subject, module, folder)
    else:
        route = _export_by_torch(runtime, subject, module, folder)
    with silenced():
        proved = runtime.finish(folder)
    replace(route, facts={**route.facts, **proved}).write(folder)


def load(runtime: Runtime, subject: Subject, folder: Path) -> BuiltModel:
    """Return the artifact in ``folder`` as a built model.

    Raises:
        BackendUnavailable: the runtime, or Optimum's class that exported the artifact, does not import.
        BuildError: the runtime can't run the artifact.
    """
    route = Route.read(folder)
    module = subject.fresh_module()
    call = _Call.of(module, subject, route.positions)
    if route.optimum:
        return _load_by_optimum(runtime, subject, call, route, folder)
    return _load_by_torch(runtime, subject, call, route, folder, module)


@dataclass(frozen=True)
class _Call:
    """A subject's call as a graph, after ``prepare`` has put in what a decoder would supply by itself."""

    graph: Graph
    prepare: Callable[[Inputs], Inputs]
    example: tuple[torch.Tensor, ...]

    @staticmethod
    def of(module: nn.Module, subject: Subject, positions: str | None) -> _Call:
        prepare = _preparation(module, positions)
        inputs = prepare(subject.inputs)
        graph = Graph.of(module, inputs, subject.expected)
        return _Call(graph, prepare, graph.tensors(inputs))

    def tensors(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[torch.Tensor, ...]:
        return self.graph.tensors(self.prepare(Inputs(args, kwargs)))

    def accepted_by(self, shapes: Shapes) -> Callable[[Inputs], bool]:
        kinds = [_kind(tensor) for tensor in self.example]

        def accepts(inputs: Inputs) -> bool:
            try:
                prepared = self.prepare(inputs)
                if not self.graph.fits(prepared):
                    return False
            except BuildError:
                return False
            tensors = self.graph.tensors(prepared)
            return [_kind(tensor) for tensor in tensors] == kinds and shapes.include(
                tensor.shape for tensor in tensors
            )

        return accepts


def _preparation(module: nn.Module, positions: str | None) -> Callable[[Inputs], Inputs]:
    if positions is None:
        return lambda inputs: inputs
    signature = inspect.signature(module.forward)

    def prepare(inputs: Inputs) -> Inputs:
        try:
            given = signature.bind(*inputs.args, **inputs.kwargs).arguments
        except TypeError as mistake:
            raise BuildError(f"the call does not fit forward(): {mistake}") from None
        given.update(given.pop("kwargs", {}))
        return Inputs(kwargs=decoding.completed(given, positions))

    return prepare


def _kind(tensor: torch.Tensor) -> str:
    """What a cast would have to preserve: 0/1 masks mean other things as bool, as integers and as floats."""
    if tensor.dtype == torch.bool:
        return "bool"
    return "float" if tensor.is_floating_point() else "integer"


def _export_transformer(runtime: Runtime, subject: Subject, module: nn.Module, folder: Path) -> Route:
    try:
        return _export_by_optimum(runtime, subject, module, folder)
    except (BuildError, BackendUnavailable) as error:
        reason = str(error)
    for leftover in folder.iterdir():
        leftover.unlink()
    if subject.generates and module.config.is_encoder_decoder:  # type: ignore[union-attr]
        raise BuildError(f"{type(module).__name__}: generate() of an encoder-decoder needs Optimum: {reason}")
    route = _export_by_torch(runtime, subject, module, folder)
    return replace(route, facts={"without_optimum": reason})


def _export_by_optimum(runtime: Runtime, subject: Subject, module: nn.Module, folder: Path) -> Route:
    optimum_class = optimum.class_for(runtime, module)
    generates = hasattr(optimum_class, "generate")
    positions = None
    if generates and "position_ids" in inspect.signature(optimum_class.forward).parameters:
        positions = decoding.positions_rule(module, subject.inputs)
    call = _Call.of(module, subject, positions)
    optimum.check_call(optimum_class, call.graph)
    if subject.generates and not generates:
        raise BuildError(f"{optimum_class.__name__} has no generate()")
    optimum.export(runtime, optimum_class, module, folder)
    model = optimum.load(runtime, optimum_class.__name__, folder, subject.threads)
    missing = set(call.graph.output_names) - optimum.answered(call.graph, model, call.example)
    if missing:
        raise BuildError(f"{optimum_class.__name__} does not return {', '.join(sorted(missing))}")
    return Route(optimum.shapes(call.example), optimum_class.__name__, positions)


def _export_by_torch(runtime: Runtime, subject: Subject, module: nn.Module, folder: Path) -> Route:
    positions = decoding.positions_rule(module, subject.inputs) if subject.generates else None
    call = _Call.of(module, subject, positions)
    module = _with_plain_attention(module)
    with silenced():
        exported = torch_export.export(call.graph.flatten(module), call.example)
        runtime.write(exported.program, call.graph.input_names, call.graph.output_names, folder)
    return Route(exported.shapes, positions=positions)


def _with_plain_attention(module: nn.Module) -> nn.Module:
    """The module with attention written out, where its class has that.

    As exported, scaled_dot_product_attention makes NaN of rows that are masked throughout (the left padding of a
    decoder), which then spreads to valid positions.
    """
    if getattr(getattr(module, "config", None), "_attn_implementation", "eager") == "eager":
        return module
    try:
        return with_attention(module, "eager")
    except BuildError:
        return module


def _load_by_optimum(runtime: Runtime, subject: Subject, call: _Call, route: Route, folder: Path) -> BuiltModel:
    model = optimum.load(runtime, route.optimum, folder, subject.threads)
    graph = call.graph

    def forward(*args: Any, **kwargs: Any) -> Any:
        return graph.rebuild(optimum.outputs(model, graph, call.tensors(args, kwargs)))

    return BuiltModel(
        forward=forward,
        generate=model.generate if subject.generates else None,
        accepts=call.accepted_by(route.shapes),
        attributes=model,
        facts={"route": f"optimum {route.optimum}", **route.facts, **runtime.facts_of(model)},
    )


def _load_by_torch(
    runtime: Runtime, subject: Subject, call: _Call, route: Route, folder: Path, module: nn.Module
) -> BuiltModel:
    with silenced():
        session = runtime.open(folder, call.graph.input_names, subject.threads)
    forward = _forward(call, session)
    generate = None
    if subject.generates:
        generate = decoding.generate_without_cache(decoding.decoder(module, _checked(forward, call, route.shapes)))
    return BuiltModel(
        forward=forward,
        generate=generate,
        accepts=call.accepted_by(route.shapes),
        facts={"route": "torch.export", **route.facts, **session.facts},
    )


def _forward(call: _Call, session: Session) -> Callable[..., Any]:
    run, tensors, rebuild = session.run, call.tensors, call.graph.rebuild
    takes = [tensor.dtype for tensor in call.example]
    gives = [tensor.dtype for tensor in tree.tensors(call.graph.template)]

    def forward(*args: Any, **kwargs: Any) -> Any:
        ready = tuple(tensor.detach().to(dtype) for tensor, dtype in zip(tensors(args, kwargs), takes, strict=True))
        return rebuild([output.to(dtype) for output, dtype in zip(run(ready), gives, strict=True)])

    return forward


def _checked(forward: Callable[..., Any], call: _Call, shapes: Shapes) -> Callable[..., Any]:
    """``forward``, refusing what the graph is not right for: nobody asks ``accepts`` between two tokens."""
    accepts = call.accepted_by(shapes)

    def checked(**kwargs: Any) -> Any:
        if not accepts(Inputs(kwargs=kwargs)):
            given = ", ".join(f"{name} {tuple(item.shape)}" for name, item in kwargs.items() if hasattr(item, "shape"))
            raise BuildError(f"generate() passed what the exported graph is not right for: {given}")
        return forward(**kwargs)

    return checked
