"""Dynamic int8 quantisation of ONNX files: weights per channel, activations per tensor, call by call."""

from __future__ import annotations

from pathlib import Path

from pytest_cpuaccel.backends.onnx_files import is_large, kept_nodes, taken
from pytest_cpuaccel.backends.toolkit.keeping_fp32 import but_kept, check_is_whole
from pytest_cpuaccel.backends.toolkit.runtime import Facts
from pytest_cpuaccel.core.backend import Subject
from pytest_cpuaccel.core.errors import NothingToDoError

_INT8_OPERATORS = ("MatMulInteger", "ConvInteger", "DynamicQuantizeLSTM")


def quantise(subject: Subject, folder: Path) -> Facts:
    """Quantise every ONNX file in ``folder`` in place; the facts count the operators that now run in int8.

    Raises:
        BuildError: nothing in them can be quantised.
    """
    files = sorted(folder.rglob("*.onnx"))
    check_is_whole(subject, files)
    count = sum(_quantise_file(subject, file) for file in files)
    if not count:
        raise NothingToDoError(
            f"nothing to quantise: no matrix product with constant weights in the graph{but_kept(subject)}"
        )
    return {"int8_operators": count}


def _quantise_file(subject: Subject, file: Path) -> int:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = taken(file)
    quantize_dynamic(
        model,
        file,
        per_channel=True,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=kept_nodes(model, subject),
        use_external_data_format=is_large(model),
    )
    nodes = onnx.load(file, load_external_data=False).graph.node
    return sum(node.op_type in _INT8_OPERATORS for node in nodes)
