"""Export for a runtime: through Optimum's class for the model, or else through torch.export."""

from __future__ import annotations

import gc
import inspect
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from pytest_cpuaccel.backends.toolkit import decoding, optimum, seq2seq, seq2seq_export, torch_export, upstream
from pytest_cpuaccel.backends.toolkit import step as steps
from pytest_cpuaccel.backends.toolkit.attention import sdpa_of_finite_masks, with_attention
from pytest_cpuaccel.backends.toolkit.code_line import line_in
from pytest_cpuaccel.backends.toolkit.export_metadata import Route
from pytest_cpuaccel.backends.toolkit.kv_cache import CacheLayout
from pytest_cpuaccel.backends.toolkit.prepared import PreparedCall
from pytest_cpuaccel.backends.toolkit.runtime import Converter, Runtime
from pytest_cpuaccel.backends.toolkit.shapes import Shapes
from pytest_cpuaccel.backends.toolkit.upstream import silenced
from pytest_cpuaccel.backends.toolkit.weights import drop_weights, size_of_weights
from pytest_cpuaccel.core.backend import Subject
from pytest_cpuaccel.core.errors import BuildError, BuildFailureError, CpuaccelError, retold
from pytest_cpuaccel.core.gc_freeze import give_back

if TYPE_CHECKING:
    from torch.export import ExportedProgram


def export(runtime: Runtime, subject: Subject, folder: Path) -> None:
    """Write an artifact and its route to ``folder``.

    Raises:
        BuildError: neither route takes the subject; the text has the reasons.
    """
    module = subject.fresh_module()
    if hasattr(module, "save_pretrained"):
        route = _export_transformer(runtime, subject, module, folder)
    else:
        drop_weights(module)
        route = _export_by_torch(runtime, subject, folder)
    route.write(folder)


def _export_transformer(runtime: Runtime, subject: Subject, module: nn.Module, folder: Path) -> Route:
    with silenced():
        try:
            return _export_by_optimum(runtime, subject, module, folder)
        except Exception as error:
            ours = error if isinstance(error, CpuaccelError) else upstream.build_error(error)
            refusal = retold(ours, str(ours))  # without what a traceback keeps alive
        drop_weights(module)
        gc.collect()  # frees what the failed export held of its temporary folders, which warn when they go
    shutil.rmtree(folder)
    folder.mkdir()
    try:
        if subject.generates and module.config.is_encoder_decoder:  # type: ignore[union-attr]
            route = _export_seq2seq(runtime, subject, folder)
        else:
            route = _export_by_torch(runtime, subject, folder)
    except BuildError as error:
        decisive = refusal if isinstance(refusal, BuildFailureError) else error
        raise retold(decisive, f"{error} (and Optimum: {refusal})") from error
    return replace(route, facts={**route.facts, "without_optimum": str(refusal)})


def _export_by_optimum(runtime: Runtime, subject: Subject, module: nn.Module, folder: Path) -> Route:
    optimum_class = optimum.class_for(runtime, module)
    generates = hasattr(optimum_class, "generate")
    positions = None
    if generates and "position_ids" in inspect.signature(optimum_class.forward).parameters:
        positions = decoding.positions_rule(module, subject.inputs)
    call = PreparedCall.of(module, subject, positions)
    optimum.check_call(optimum_class, call.graph)
    if subject.generates and not generates:
        raise BuildError(f"{optimum_class.__name__} has no generate()")
    optimum.export(runtime, optimum_class, module, folder)
    model = optimum.load(runtime, optimum_class.__name__, folder, subject.threads)
    missing = set(call.graph.output_names) - optimum.answered(call.graph, model, call.example)
    if missing:
        raise BuildError(f"{optimum_class.__name__} does not return {', '.join(sorted(missing))}")
    return Route(optimum.shapes(call.example), optimum_class.__name__, positions)


def export_program(converter: Converter, subject: Subject, module: nn.Module, folder: Path) -> Route:
    """Export ``module``, the subject's, by torch.export and have ``converter`` write the program to ``folder``.

    A model that cuts images into windows takes those of the call's height and width alone: with free ones torch.export
    and the exporter to ONNX take six minutes and more to simplify the sizes of a tiny Swin, in place of 9 s.

    Raises:
        BuildError: one of the two can't take the module; the text says which and why.
    """
    positions = decoding.positions_rule(module, subject.inputs) if subject.generates else None
    call = PreparedCall.of(module, subject, positions)
    image_sizes = converter.image_sizes and not _cuts_windows(module)
    with _said_of("torch.export", module):
        exported = torch_export.export(call.graph.flatten(module), call.example, image_sizes=image_sizes)
    with _said_of(converter.name, module, exported.program):
        converter.write(exported.program, call.graph.input_names, call.graph.output_names, folder)
    return Route(exported.shapes, positions=positions)


def _cuts_windows(module: nn.Module) -> bool:
    """Tell whether some part is configured to attend within windows of an image, as Swin's are."""
    return any(getattr(getattr(part, "config", None), "window_size", None) for part in module.modules())


def _export_by_torch(runtime: Runtime, subject: Subject, folder: Path) -> Route:
    why = ""
    if subject.generates:
        try:
            return _export_step(runtime, subject, folder)
        except CpuaccelError as error:
            why = str(error)
        shutil.rmtree(folder)
        folder.mkdir()
    module = _with_plain_attention(subject.fresh_module())
    route = export_program(runtime.converter, subject, module, folder)
    return replace(route, facts={"without_kv_cache": why}) if why else route


def _export_step(runtime: Runtime, subject: Subject, folder: Path) -> Route:
    """Export a decoder whose cache is kept from step to step."""
    module = subject.fresh_module()
    positions = decoding.positions_rule(module, subject.inputs)
    call = PreparedCall.of(module, subject, positions)
    with _said_of("torch.export", module):
        attentive = _with_attention_for(runtime, module)
        step = steps.Step.of(attentive, call, CacheLayout.of(attentive, call.prepare(subject.inputs)))
        expected = steps.answers(step, module)
        program = steps.export(attentive, step)
    with _said_of(runtime.converter.name, module, program):
        runtime.write_step(program, step.ports, folder)
        del program
        size = size_of_weights(module)
        for part in (module, attentive):
            drop_weights(part)
        give_back(size)
        opened = runtime.open_step(folder, step.ports, subject.threads)
        steps.check(step, opened, expected)
    shapes = Shapes.of_texts(call.example, [range(len(call.example))])
    return Route(shapes, positions=positions, cache=step.layout)


def _export_seq2seq(runtime: Runtime, subject: Subject, folder: Path) -> Route:
    """Export an encoder-decoder, which encodes once and keeps its caches from step to step."""
    module = subject.fresh_module()
    call = PreparedCall.of(module, subject, None)
    with _said_of(f"torch.export for {runtime.converter.name}", module):
        module = _with_attention_for(runtime, module)
        layout, cross, width = seq2seq.layouts_of(module, subject.inputs)
        plan = seq2seq.Seq2Seq.of(module, call, layout, cross)
        seq2seq_export.export(runtime, module, plan, width, folder)
        seq2seq.check(seq2seq.Opened.of(runtime, plan, folder, subject.threads), subject.fresh_module())
    groups = [
        [call.graph.input_names.index(name) for name in group if name in call.graph.input_names]
        for group in plan.lengths
    ]
    return Route(Shapes.of_texts(call.example, groups), cache=layout, cross=cross)


@contextmanager
def _said_of(tool: str, module: nn.Module, program: ExportedProgram | None = None) -> Iterator[None]:
    """Run a tool in silence, and put its name and the model's before what goes wrong in it.

    Where the text names an operator of the ``program``, the line of the user's code that calls it comes behind.
    """
    lines = {} if program is None else _lines_of_operators(program)
    del program
    try:
        with silenced():
            yield
    except BuildError as error:
        calling = [line for operator, line in lines.items() if _is_named(operator, str(error))]
        place = f" (at {calling[0]})" if calling else ""
        raise retold(error, f"{tool} can't take {type(module).__name__}: {error}{place}") from error


def _is_named(operator: str, text: str) -> bool:
    """Tell whether a text names an operator, ``aten.svd``, or one that it is made of, ``aten._svd_ex``."""
    return re.search(re.escape(operator).replace(r"\.", r"\._?", 1) + r"(_ex)?(?!\w)", text) is not None


def _lines_of_operators(program: ExportedProgram) -> dict[str, str]:
    """Return the line of the user's code that calls each operator: ``aten.linalg_eig`` -> ``models.py:12``."""
    calls = ((str(node.target), line_in(node.stack_trace or "")) for node in program.graph.nodes)
    return {".".join(target.split(".")[:2]): line for target, line in calls if line and "." in target}


def _with_attention_for(runtime: Runtime, module: nn.Module) -> nn.Module:
    """The module with attention in one operator where the runtime and the module's class have that."""
    try:
        return (
            with_attention(module, sdpa_of_finite_masks()) if runtime.has_attention else _with_plain_attention(module)
        )
    except BuildError:
        return _with_plain_attention(module)


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
