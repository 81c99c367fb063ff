"""OpenVINO: Optimum's ``OVModelFor*`` where there is one for the model, else our own export to its IR."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_cpuaccel.backends import openvino_census, openvino_int8, openvino_int8_ptq
from pytest_cpuaccel.backends.toolkit.keeping_fp32 import holds_factor, holds_matrix
from pytest_cpuaccel.backends.toolkit.rewriting import rewrite
from pytest_cpuaccel.backends.toolkit.runtime import Converter, Ports, ReadBack, Runtime, RuntimeSession, Steps
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Requirement, Subject
from pytest_cpuaccel.core.call import Method
from pytest_cpuaccel.core.errors import BuildError, NothingToDoError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kernel_census import KernelCensus
from pytest_cpuaccel.core.observed_run import ObservedRun
from pytest_cpuaccel.core.precision import Precision

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.export import ExportedProgram

    from pytest_cpuaccel.backends.toolkit.module_map import ModuleMap

FILE = "openvino_model.xml"

_FUNCTION = re.compile(r"<(?:built-in )?function (\w+)[^>]*>")
"""A function of Python in OpenVINO's list of operators, with its address."""


def export(runtime: Runtime, subject: Subject, folder: Path) -> None:
    """Write the subject's call as OpenVINO IR to ``folder``.

    Raises:
        BuildError: neither Optimum nor OpenVINO's converter takes the model.
    """
    from pytest_cpuaccel.backends.toolkit import runtime_export as exporting

    exporting.export(runtime, subject, folder)


def load(runtime: Runtime, subject: Subject, folder: Path | None) -> BuiltModel:
    """Return the model in ``folder``, compiled for ``subject.threads`` threads.

    Raises:
        BackendUnavailableError: openvino, or the class of Optimum that exported the model, does not import.
        BuildError: OpenVINO can't run the model, or not in this precision on this CPU.
    """
    from pytest_cpuaccel.backends.toolkit import runtime_load as loading

    assert folder is not None
    return loading.load(runtime, subject, folder)


def observe(subject: Subject, folder: Path | None, inputs: Inputs) -> ObservedRun:
    """Return what each module returns while OpenVINO runs the artifact in ``folder`` in float32.

    Raises:
        BuildError: the artifact doesn't tell its modules.
    """
    from pytest_cpuaccel.backends.toolkit import observing

    return observing.observe(_open_tapped, subject, folder, inputs)


def _write(program: ExportedProgram, inputs: Sequence[str], outputs: Sequence[str], folder: Path) -> None:
    """Convert the torch program itself, not by way of ONNX, which needs two more packages.

    Both lie equally close to eager (relative errors of 1e-7 to 2e-6). The direct graph keeps more arithmetic on
    shapes: 1.3 to 1.6 times the latency for decoders of 0.2 ms, within 2 % for GPT-2 and BERT of 55 ms.
    """
    model, modules = _named(program, inputs, outputs)
    _save(model, folder)
    if modules:
        modules.write(folder)


def _write_step(program: ExportedProgram, ports: Ports, folder: Path) -> None:
    """Write a step as a stateful model: OpenVINO keeps the cache in variables, which it lets grow in place."""
    from pytest_cpuaccel.backends.toolkit.stateful import make_stateful

    model, modules = _named(program, ports.all_inputs, ports.all_outputs)
    make_stateful(model, ports.layout)
    _save(model, folder)
    if modules:
        modules.write(folder)


def _save(model: Any, folder: Path) -> None:
    import openvino

    openvino.save_model(model, folder / FILE, compress_to_fp16=False)


def _named(program: ExportedProgram, inputs: Sequence[str], outputs: Sequence[str]) -> tuple[Any, ModuleMap | None]:
    import torch

    for node in program.graph.nodes:
        if node.target is torch.ops.aten.slice.Tensor and len(node.args) == 1:
            node.args = (*node.args, 0, 0, 2**63 - 1)  # OpenVINO 2025.2 fails on bounds that are left out
    model, modules = _converted(program)
    if len(model.inputs) != len(inputs) or len(model.outputs) != len(outputs):
        raise BuildError(f"OpenVINO kept {len(model.inputs)} of {len(inputs)} inputs")
    for port, name in zip([*model.inputs, *model.outputs], [*inputs, *outputs], strict=True):
        modules = modules and modules.renamed(dict.fromkeys(port.get_names(), name))
        port.get_tensor().set_names({name})
    return model, modules


def _converted(program: ExportedProgram) -> tuple[Any, ModuleMap | None]:
    import openvino
    from openvino.frontend import OpConversionFailure

    decoder = _decoded(program)
    try:
        if decoder is None:
            return openvino.convert_model(program), None
        return openvino.convert_model(decoder), _modules(decoder.pt_module.graph)
    except OpConversionFailure as failure:  # pages on every operator, then a line or two with the reason
        raise BuildError(without_rule(str(failure).rpartition("Summary:")[2])) from failure


def _decoded(program: ExportedProgram) -> Any:
    """The program as OpenVINO decomposes it to convert it; None in a release that has no such class."""
    try:
        from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

        decode = TorchFXPythonDecoder.from_exported_program
    except (ImportError, AttributeError):
        return None
    return decode(program)


def _modules(graph: Any) -> ModuleMap:
    """The map of a graph of torch.fx: OpenVINO names a node's first output after the node, ``linear:0``."""
    from pytest_cpuaccel.backends.toolkit.module_map import Made, ModuleMap, path_of, stack_of

    called = [node for node in graph.nodes if node.op == "call_function"]
    modules = ModuleMap.of(
        Made(f"{node.name}:0", stack_of(node), tuple(None if it.op == "output" else stack_of(it) for it in node.users))
        for node in called
    )
    return replace(modules, scopes={node.name: path_of(stack_of(node)) for node in called})


def without_rule(summary: str) -> str:
    """Return the one sentence that the summary of a failed conversion comes to: the operators that OpenVINO lacks.

    What else failed is what takes their results, and is named only where nothing lacks a rule.
    """
    lines = [_FUNCTION.sub(r"\1", line.strip("- ")) for line in summary.strip().splitlines()]
    named = dict(line.split(": ", 1) for line in lines if ": " in line)
    lacking = named.get("No conversion rule found for operations")
    if lacking:
        operators = dict.fromkeys(".".join(name.strip().split(".")[:2]) for name in lacking.split(","))
        return f"it has no operator for {', '.join(operators)}"
    failed = named.get("Conversion is failed for", "")
    if "ComplexTypeMark" in failed:
        return "it has no complex numbers among inputs and outputs"
    return f"it can't convert {failed}" if failed else "; ".join(lines)


def _open(precision: str, folder: Path, inputs: Sequence[str], threads: int, *, counts: bool) -> RuntimeSession:
    import openvino

    from pytest_cpuaccel.backends.toolkit.openvino_tensors import from_openvino, to_openvino

    compiled = openvino.Core().compile_model(folder / FILE, "CPU", _config(precision, threads, counts=counts))
    request = compiled.create_infer_request()
    places = range(len(inputs))
    outputs = range(len(compiled.outputs))

    def run(tensors: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
        for place in places:
            request.set_input_tensor(place, to_openvino(tensors[place]))
        request.infer()
        return [from_openvino(request.get_output_tensor(place)) for place in outputs]

    return RuntimeSession(run, _read_back(precision, [compiled]))


def _open_tapped(
    folder: Path, inputs: Sequence[str], wanted: Sequence[str], values: dict[str, torch.Tensor], threads: int
) -> RuntimeSession:
    """A session that also returns the wanted values, so far as the graph has them, into ``values``."""
    import openvino

    from pytest_cpuaccel.backends.toolkit.openvino_tensors import from_openvino, to_openvino

    core = openvino.Core()
    model = core.read_model(folder / FILE)
    count = len(model.outputs)
    operations = [op for op in model.get_ordered_ops() if op.get_type_name() != "Result"]  # has its input's names too
    there = {name: port for op in operations for port in op.outputs() for name in port.get_names()}
    ports = {name: there[name] for name in wanted if name in there}
    model.add_outputs(list({_place(port): port for port in ports.values()}.values()))
    places = {_place(result.input_value(0)): place for place, result in enumerate(model.get_results())}
    request = core.compile_model(model, "CPU", _config("f32", threads)).create_infer_request()

    def run(tensors: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
        for place in range(len(inputs)):
            request.set_input_tensor(place, to_openvino(tensors[place]))
        request.infer()
        found = [from_openvino(request.get_output_tensor(place)) for place in range(len(places))]
        values.update((name, found[places[_place(port)]]) for name, port in ports.items())
        return found[:count]

    return RuntimeSession(run, _read_back("f32", [request.get_compiled_model()]))


def _place(port: Any) -> tuple[str, int]:
    return port.get_node().get_friendly_name(), port.get_index()


def _open_step(precision: str, folder: Path, ports: Ports, threads: int, *, counts: bool) -> Steps:
    import openvino

    from pytest_cpuaccel.backends.toolkit.stateful import run_of

    compiled = openvino.Core().compile_model(folder / FILE, "CPU", _config(precision, threads, counts=counts))
    return Steps(run_of(compiled, ports.inputs, len(ports.outputs)), _read_back(precision, [compiled]))


def _config(precision: str, threads: int, *, counts: bool = False) -> dict[str, Any]:
    """``ACCURACY`` keeps OpenVINO from reducing what the backend's name does not say: key/value caches to uint8,
    and the activations of layers with int8 weights. ``counts`` has it time every node."""
    return {
        **({"PERF_COUNT": "YES"} if counts else {}),
        "EXECUTION_MODE_HINT": "ACCURACY",
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": "1",
        "PERFORMANCE_HINT": "LATENCY",
    }


def _export_options(module: nn.Module) -> dict[str, Any]:
    """Full-size weights; and caches as inputs for encoder-decoders, as T5 with a state stops optimum-intel 1.27."""
    options = {"load_in_8bit": False, "compile": False}
    return options | {"stateful": False} if module.config.is_encoder_decoder else options  # type: ignore[union-attr]


def _load_options(precision: str, threads: int, *, counts: bool) -> dict[str, Any]:
    return {"ov_config": _config(precision, threads, counts=counts)}


def _read_back_by_optimum(precision: str, model: Any) -> ReadBack:
    parts = [model, *vars(model).values()]  # an encoder-decoder holds its compiled models in parts
    requests = [request for part in parts if (request := getattr(part, "request", None)) is not None]
    compiled = [getattr(request, "get_compiled_model", lambda r=request: r)() for request in requests]
    return _read_back(precision, compiled)


def _read_back(precision: str, compiled: Sequence[Any]) -> ReadBack:
    """Return the facts that OpenVINO reports.

    Raises:
        BuildError: it runs in another precision than requested.
        NothingToDoError: no operator takes bfloat16, in which OpenVINO runs matrix products and what lies around them.
    """
    used = {model.get_property("INFERENCE_PRECISION_HINT").to_string() for model in compiled}
    if used != {precision}:
        raise BuildError(f"OpenVINO runs in {', '.join(sorted(used))} on this CPU, was told {precision}")
    threads = max(model.get_property("INFERENCE_NUM_THREADS") for model in compiled)
    if precision != "bf16":
        return ReadBack(threads, {"precision": precision})
    operators = sum(map(_bf16_operators, compiled))
    if not operators:
        raise NothingToDoError("OpenVINO runs no operator of this model in bfloat16")
    return ReadBack(threads, {"precision": precision, "bf16_operators": operators})


def _bf16_operators(compiled: Any) -> int:
    infos = (operation.get_rt_info() for operation in compiled.get_runtime_model().get_ops())
    return sum(info["runtimePrecision"] == "bf16" for info in infos)


def _runtime(precision: str, *, counts: bool = False) -> Runtime:
    return Runtime(
        library="optimum.intel",
        prefix="OVModelFor",
        converter=Converter("OpenVINO", _write),
        open=partial(_open, precision, counts=counts),
        write_step=_write_step,
        open_step=partial(_open_step, precision, counts=counts),
        export_options=_export_options,
        load_options=partial(_load_options, precision, counts=counts),
        read_back=partial(_read_back_by_optimum, precision),
        has_attention=True,
    )


def _counting(precision: str) -> Callable[[Subject, Path | None, Method, Inputs], KernelCensus]:
    return partial(openvino_census.count, partial(load, _runtime(precision, counts=True)))


_FP32 = _runtime("f32")
_BF16 = _runtime("bf16")

OPENVINO = Backend(
    name="openvino",
    summary="OpenVINO, float32",
    load=partial(load, _FP32),
    export=partial(export, _FP32),
    requires=(Requirement("torch", ">=2.8"), Requirement("openvino", ">=2025.2")),
    count_kernels=_counting("f32"),
    observe=observe,
)

OPENVINO_BF16 = replace(
    OPENVINO,
    name="openvino-bf16",
    summary="OpenVINO, bfloat16",
    load=partial(load, _BF16),
    export=None,
    precision=Precision.BF16,
    base=OPENVINO,
    count_kernels=_counting("bf16"),
    observe=None,
)

OPENVINO_INT8 = replace(
    OPENVINO,
    name="openvino-int8",
    summary="OpenVINO, int8 weights",
    export=partial(rewrite, openvino_int8.compress),
    precision=Precision.INT8,
    base=OPENVINO,
    quantises=holds_matrix,
    requires=(*OPENVINO.requires, Requirement("nncf", ">=2.17")),
)

OPENVINO_INT8_PTQ = replace(
    OPENVINO_INT8,
    name="openvino-int8-ptq",
    summary="OpenVINO, int8 weights and activations on calibration data",
    export=partial(rewrite, partial(openvino_int8_ptq.quantise, _FP32)),
    calibrates=True,
    quantises=holds_factor,
)
