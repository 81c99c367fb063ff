"""Static int8 quantisation of ONNX files: QDQ format, weights per channel, ranges of activations from data.

As Optimum's ORTQuantizer does it for CPUs with VNNI: activations in uint8, weights in int8.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pytest_cpuaccel.backends.onnx_files import is_large, kept_nodes, operators_run, taken
from pytest_cpuaccel.backends.toolkit.keeping_fp32 import but_kept, check_is_whole
from pytest_cpuaccel.backends.toolkit.runtime import Facts, Runtime
from pytest_cpuaccel.core.backend import Subject
from pytest_cpuaccel.core.errors import BuildFailureError, NothingToDoError

_QUANTISED = ("MatMul", "Gemm", "Conv")
"""The operators that cost time. Every further operator in int8 loses accuracy and saves little."""

_INT8_OPERATORS = ("MatMulIntegerToFloat", "QLinearMatMul", "QGemm", "QLinearConv", "MatMulInteger", "ConvInteger")

Feed = Mapping[str, Any]


def quantise(runtime: Runtime, subject: Subject, folder: Path) -> Facts:
    """Quantise every ONNX file in ``folder`` in place; the facts count the operators that ONNX Runtime runs in int8.

    Raises:
        UsageError: the calibration data do not fit the model.
        BuildError: nothing in the files can be quantised, or the data reach none of a file's graph.
    """
    from pytest_cpuaccel.backends.toolkit.calibration_run import run_over_data

    files = sorted(folder.rglob("*.onnx"))
    check_is_whole(subject, files)
    feeds: list[Feed] = []
    with _recorded(feeds):
        run_over_data(runtime, subject, folder)
    reached = {file: _fed(file, feeds) for file in files}
    missed = [file.name for file, own in reached.items() if not own]
    if missed and subject.generates:  # a forward call runs no graph of later steps
        raise BuildFailureError(f"the calibration data do not reach {', '.join(missed)}")
    count = sum(_quantise_file(subject, file, own) for file, own in reached.items() if own)
    if not count:
        raise NothingToDoError(
            "nothing to quantise: ONNX Runtime runs no matrix product or convolution of this graph in int8"
            f"{but_kept(subject)}"
        )
    return {"int8_operators": count}


@contextmanager
def _recorded(feeds: list[Feed]) -> Iterator[None]:
    """Record the inputs of all ONNX Runtime sessions meanwhile, because Optimum makes its own sessions."""
    import onnxruntime

    run = onnxruntime.InferenceSession.run

    def recording(session: Any, outputs: Any, feed: Feed, *rest: Any) -> Any:
        feeds.append(dict(feed))
        return run(session, outputs, feed, *rest)

    onnxruntime.InferenceSession.run = recording
    try:
        yield
    finally:
        onnxruntime.InferenceSession.run = run


def _fed(file: Path, feeds: list[Feed]) -> list[Feed]:
    """Return the recorded inputs of this file's graph."""
    import onnx

    inputs = {item.name for item in onnx.load(file, load_external_data=False).graph.input}
    return [feed for feed in feeds if feed.keys() == inputs]


def _quantise_file(subject: Subject, file: Path, own: list[Feed]) -> int:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    model = taken(file)
    quantize_static(
        model,
        file,
        SimpleNamespace(get_next=partial(next, iter(own), None)),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=_QUANTISED,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=kept_nodes(model, subject),
        use_external_data_format=is_large(model),
    )
    operators = operators_run(file)
    return sum(operators[name] for name in _INT8_OPERATORS)
