"""Dynamic int8 quantisation of ONNX files, as Optimum's ORTQuantizer does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_cpuaccel.build.tools.runtime import Facts
from pytest_cpuaccel.core.errors import BuildError

_INT8_OPERATORS = ("MatMulInteger", "ConvInteger", "DynamicQuantizeLSTM")


def quantise(folder: Path) -> Facts:
    """Quantise every ONNX file in ``folder`` in place; the facts count the operators that now run in int8.

    Raises:
        BuildError: nothing in them can be quantised.
    """
    count = sum(_quantise_file(file) for file in folder.glob("*.onnx"))
    if not count:
        raise BuildError("nothing to quantise: no matrix product with constant weights in the graph")
    return {"int8_operators": count}


def _quantise_file(file: Path) -> int:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(file)
    del model.graph.value_info[:]  # torch's record of shapes within the graph, which quantisation contradicts
    for leftover in file.parent.glob(f"{file.name}*data"):
        leftover.unlink()
    quantize_dynamic(model, file, weight_type=QuantType.QInt8, use_external_data_format=_is_large(model))
    nodes = onnx.load(file, load_external_data=False).graph.node
    return sum(node.op_type in _INT8_OPERATORS for node in nodes)


def _is_large(model: Any) -> bool:
    """Whether the int8 model may pass protobuf's limit of 2 GiB for one file."""
    return bool(model.ByteSize() > 2**31)
