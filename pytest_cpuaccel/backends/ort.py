"""ONNX Runtime: Optimum's ``ORTModelFor*`` where there is one for the model, else our own export to ONNX."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_cpuaccel.backends import ort_census, ort_int8, ort_int8_static, ort_levels
from pytest_cpuaccel.backends.onnx_files import CPU, SCOPES, link_or_copy, stack_in
from pytest_cpuaccel.backends.toolkit.keeping_fp32 import holds_factor, holds_matrix
from pytest_cpuaccel.backends.toolkit.rewriting import rewrite
from pytest_cpuaccel.backends.toolkit.runtime import Converter, Ports, ReadBack, Runtime, RuntimeSession, Steps
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Requirement, Subject
from pytest_cpuaccel.core.errors import BackendUnavailableError, BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.observed_run import ObservedRun
from pytest_cpuaccel.core.precision import Precision

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.export import ExportedProgram

    from pytest_cpuaccel.backends.toolkit.module_map import ModuleMap

FILE = "model.onnx"


def export(runtime: Runtime, subject: Subject, folder: Path) -> None:
    """Write the subject's call as ONNX to ``folder``.

    Raises:
        BuildError: neither Optimum nor torch.onnx takes the model.
    """
    from pytest_cpuaccel.backends.toolkit import runtime_export as exporting

    exporting.export(runtime, subject, folder)


def load(runtime: Runtime, subject: Subject, folder: Path | None) -> BuiltModel:
    """Return the model in ``folder`` in a session of ``subject.threads`` threads.

    Raises:
        BackendUnavailableError: onnxruntime, or the class of Optimum that exported the model, does not import.
        BuildError: ONNX Runtime can't run the model.
    """
    from pytest_cpuaccel.backends.toolkit import runtime_load as loading

    assert folder is not None
    return loading.load(runtime, subject, folder)


def observe(subject: Subject, folder: Path | None, inputs: Inputs) -> ObservedRun:
    """Return what each module returns while ONNX Runtime runs the artifact in ``folder``.

    Raises:
        BuildError: the artifact doesn't tell its modules.
    """
    from pytest_cpuaccel.backends.toolkit import observing
    from pytest_cpuaccel.backends.toolkit.export_metadata import Route

    assert folder is not None
    if Route.read(folder).optimum:
        from pytest_cpuaccel.backends.toolkit import optimum_taps

        return optimum_taps.observe(_RUNTIME, _tapped, subject, folder, inputs)
    return observing.observe(_open_tapped, subject, folder, inputs)


def _write(program: ExportedProgram, inputs: Sequence[str], outputs: Sequence[str], folder: Path) -> None:
    import torch

    if importlib.util.find_spec("onnxscript") is None:
        raise BackendUnavailableError("an export of our own needs onnxscript; pip install onnxscript")
    outputs = [f"{name}_output" if name in inputs else name for name in outputs]  # ONNX has one name space for both
    _tell_calls_apart(program)
    written: Any = torch.onnx.export(
        program, (), folder / FILE, dynamo=True, verbose=False, input_names=inputs, output_names=outputs
    )
    for value in written.model.graph.initializers.values():
        value.const_value = None  # onnxscript's rules hold on to the last graph that they saw, with all its weights
    _modules(written.model.graph).write(folder)


def _tell_calls_apart(program: ExportedProgram) -> None:
    """Have the program's nodes name the calls of modules: torch.onnx writes the modules' paths alone."""
    from pytest_cpuaccel.backends.toolkit.module_map import stack_of

    for node in program.graph.nodes:
        if stack := node.meta.get("nn_module_stack"):
            places = zip(stack.items(), stack_of(node), strict=True)
            node.meta["nn_module_stack"] = {key: (place, kind) for (key, (_, kind)), place in places}


def _modules(graph: Any) -> ModuleMap:
    """The map of a graph of torch.onnx, whose nodes tell the modules that they come from."""
    from pytest_cpuaccel.backends.toolkit.module_map import Made, ModuleMap, Stack

    def stack(node: Any) -> Stack:
        return stack_in(node.metadata_props.get(SCOPES, ""))

    def made() -> Iterator[Made]:
        for node in graph:
            for value in node.outputs:
                users: list[Stack | None] = [stack(use.node) for use in value.uses()]
                users += [None] if value.is_graph_output() else []
                if value.name:
                    yield Made(value.name, stack(node), tuple(users))

    return ModuleMap.of(made())


def _open(folder: Path, inputs: Sequence[str], threads: int) -> RuntimeSession:
    return _open_with(_options, folder, inputs, threads)


def _open_with(options: Callable[[int], Any], folder: Path, inputs: Sequence[str], threads: int) -> RuntimeSession:
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / FILE, options(threads), providers=[CPU])
    return RuntimeSession(_runner(session, inputs), _read_back([session]))


def _runner(session: Any, inputs: Sequence[str]) -> Callable[[tuple[torch.Tensor, ...]], list[torch.Tensor]]:
    """A function that runs a session on tensors in the order of ``inputs``, some of which its graph may not have.

    Raises:
        BuildError: one of its inputs or outputs is bfloat16, of which ONNX Runtime can't make an array.
    """
    import torch

    for kind, items in (("input", session.get_inputs()), ("output", session.get_outputs())):
        if any(item.type == "tensor(bfloat16)" for item in items):
            raise BuildError(f"an {kind} is bfloat16, of which ONNX Runtime makes no array; cast it outside the model")
    used = {item.name for item in session.get_inputs()}
    names = [(place, name) for place, name in enumerate(inputs) if name in used]

    def run(tensors: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
        feed = {name: tensors[place].numpy() for place, name in names}
        return [torch.from_numpy(output) for output in session.run(None, feed)]

    return run


def _open_tapped(
    folder: Path, inputs: Sequence[str], wanted: Sequence[str], values: dict[str, torch.Tensor], threads: int
) -> RuntimeSession:
    """A session that also returns the wanted values, so far as the graph has them, into ``values``."""
    session, count = _tapped(folder, wanted, threads)
    outputs, run_all = [item.name for item in session.get_outputs()], _runner(session, inputs)

    def run(tensors: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
        found = run_all(tensors)
        values.update(zip(outputs, found, strict=True))
        return found[:count]

    return RuntimeSession(run, _read_back([session]))


def _tapped(folder: Path, wanted: Sequence[str], threads: int) -> tuple[Any, int]:
    """A session that returns the wanted values behind the graph's own outputs, and how many of the latter there are."""
    import onnx
    import onnxruntime

    model = onnx.load(folder / FILE, load_external_data=False)
    count = len(model.graph.output)
    there = {name for node in model.graph.node for name in node.output}
    own = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name in there - own)
    with tempfile.TemporaryDirectory() as scratch:
        for path in folder.iterdir():
            if path.is_file() and path.name != FILE:
                link_or_copy(path, Path(scratch, path.name))
        onnx.save(model, f"{scratch}/{FILE}")
        return onnxruntime.InferenceSession(f"{scratch}/{FILE}", _options(threads), providers=[CPU]), count


def _write_step(program: ExportedProgram, ports: Ports, folder: Path) -> None:
    _write(program, ports.all_inputs, ports.all_outputs, folder)


def _open_step(folder: Path, ports: Ports, threads: int) -> Steps:
    return _open_step_with(_options, folder, ports, threads)


def _open_step_with(options: Callable[[int], Any], folder: Path, ports: Ports, threads: int) -> Steps:
    """A step whose cache goes in and comes out: as the tensors of transformers' own cache, which are not copied."""
    from pytest_cpuaccel.backends.toolkit import kv_cache

    session, count = _open_with(options, folder, ports.all_inputs, threads), len(ports.outputs)

    def run(tensors: tuple[torch.Tensor, ...], cache: Any | None) -> list[torch.Tensor]:
        if kv_cache.length_of(cache):
            past = [tensor.contiguous() for tensor in kv_cache.tensors_of(cache)]
        else:
            past = [*ports.layout.of_length(len(tensors[0]), 0)]
        answers = session.run((*tensors, *past))
        if cache is not None:
            kv_cache.put(cache, answers[count:])
        return answers[:count]

    return Steps(run, session.read_back)


def _options(threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    return options


def _export_options(module: nn.Module) -> dict[str, Any]:  # noqa: ARG001
    return {}


def _load_options(options: Callable[[int], Any], threads: int) -> dict[str, Any]:
    return {"session_options": options(threads), "provider": CPU}


def _read_back_by_optimum(model: Any) -> ReadBack:
    import onnxruntime

    parts = [model, *vars(model).values()]  # an encoder-decoder holds its sessions in parts
    sessions = [getattr(part, "session", None) for part in parts]
    return _read_back([session for session in sessions if isinstance(session, onnxruntime.InferenceSession)])


def _read_back(sessions: Sequence[Any]) -> ReadBack:
    threads = max(session.get_session_options().intra_op_num_threads for session in sessions)
    return ReadBack(threads, {"provider": sessions[0].get_providers()[0]})


_RUNTIME = Runtime(
    library="optimum.onnxruntime",
    prefix="ORTModelFor",
    converter=Converter("torch.onnx", _write),
    open=_open,
    write_step=_write_step,
    open_step=_open_step,
    export_options=_export_options,
    load_options=partial(_load_options, _options),
    read_back=_read_back_by_optimum,
    has_attention=False,
)


def _load_profiled(prefix: Path, subject: Subject, folder: Path | None) -> BuiltModel:
    def options(threads: int) -> Any:
        given = _options(threads)
        given.enable_profiling = True
        given.profile_file_prefix = str(prefix)
        return given

    profiled = replace(
        _RUNTIME,
        open=partial(_open_with, options),
        open_step=partial(_open_step_with, options),
        load_options=partial(_load_options, options),
    )
    return load(profiled, subject, folder)


ORT = Backend(
    name="ort",
    summary="ONNX Runtime",
    count_kernels=partial(ort_census.count, _load_profiled),
    load=partial(load, _RUNTIME),
    export=partial(export, _RUNTIME),
    requires=(
        Requirement("torch", ">=2.8"),
        Requirement("onnx", ">=1.17"),
        Requirement("onnxruntime", ">=1.20"),
    ),
    observe=observe,
)

ORT_INT8 = replace(
    ORT,
    name="ort-int8",
    summary="ONNX Runtime, dynamic int8",
    export=partial(rewrite, ort_int8.quantise),
    precision=Precision.INT8,
    base=ORT,
    quantises=holds_matrix,
)

ORT_INT8_STATIC = replace(
    ORT_INT8,
    name="ort-int8-static",
    summary="ONNX Runtime, static int8 on calibration data",
    export=partial(rewrite, partial(ort_int8_static.quantise, _RUNTIME)),
    calibrates=True,
    quantises=holds_factor,
)


def _optimised(level: ort_levels.Level, summary: str, precision: Precision = Precision.FP32) -> Backend:
    return replace(
        ORT,
        name=f"ort-{level.name.lower()}",
        summary=f"ONNX Runtime, optimised offline at {level.name}: {summary}",
        export=partial(rewrite, partial(ort_levels.optimise, _RUNTIME, level)),
        precision=precision,
        base=ORT,
    )


ORT_O1 = _optimised(ort_levels.O1, "basic")
ORT_O2 = _optimised(ort_levels.O2, "extended, transformers' fusions")
ORT_O3 = _optimised(ort_levels.O3, "O2 and tanh GELU", Precision.FAST_GELU)
ORT_O4 = _optimised(ort_levels.O4, "O3 in float16", Precision.FP16)
