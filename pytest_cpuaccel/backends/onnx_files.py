"""The ONNX files of an artifact: their separate weights, and the operators that ONNX Runtime runs."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

CPU = "CPUExecutionProvider"


def taken(file: Path) -> Any:
    """Return the model in ``file`` with its weights, and remove the weights' own files: the caller writes them anew."""
    import onnx

    model = onnx.load(file)
    del model.graph.value_info[:]  # torch's record of shapes within the graph, which a rewritten graph contradicts
    for leftover in file.parent.glob(f"{file.name}*data"):
        leftover.unlink()
    return model


def link_or_copy(file: Path, place: Path) -> None:
    """Have ``file`` at another place too, without a copy of its content where the file system can do that."""
    try:
        os.link(file, place)
    except OSError:
        shutil.copyfile(file, place)


def is_large(model: Any) -> bool:
    """Tell whether a model may exceed protobuf's limit of 2 GiB for one file, so that its weights need another file."""
    return bool(model.ByteSize() > 2**31)


def operators_run(file: Path) -> Counter[str]:
    """Count the operators of ``file``, by type, after ONNX Runtime optimised the graph for the CPU it runs on."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = f"{folder}/{file.name}"
        onnxruntime.InferenceSession(file, options, providers=[CPU])
        optimised = onnx.load(options.optimized_model_filepath, load_external_data=False)
    return Counter(node.op_type for node in optimised.graph.node)
