"""The ONNX files of an artifact: their separate weights, and the operators that ONNX Runtime runs."""

from __future__ import annotations

import ast
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pytest_cpuaccel.backends.toolkit.keeping_fp32 import check_found, is_rounded
from pytest_cpuaccel.backends.toolkit.module_map import Stack, path_of, stack_in_name
from pytest_cpuaccel.core.backend import Subject

CPU = "CPUExecutionProvider"

SCOPES = "pkg.torch.onnx.name_scopes"
"""The name of what torch.onnx tells of the modules that a node comes from."""


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


def stack_in(scopes: str) -> Stack:
    """Return the calls of modules that a node was traced in, by the text of its scopes."""
    return tuple(ast.literal_eval(scopes or "[]")[:-1])  # the last is the node's own name


def kept_nodes(model: Any, subject: Subject) -> list[str]:
    """Return the names of the nodes that stay in fp32 with modules, for onnxruntime's quantisers.

    Raises:
        BuildFailureError: no node is known to come from what the user named.
    """
    if not subject.keep_fp32:
        return []
    known = {path for path, _ in subject.outline().named_modules(remove_duplicate=False) if path}
    made_in = {node.name: _module_of(node, known) for node in model.graph.node if node.name}
    check_found(subject, {made_in.get(node.name, "") for node in model.graph.node if is_rounded(node.op_type)})
    found = [name for name, path in made_in.items() if path in subject.keep_fp32]
    return [*found, *(f"{name}_MatMul" for name in found)]  # which a Gemm becomes before it is quantised


def _module_of(node: Any, paths: Collection[str]) -> str:
    """The path of a node's module: from torch.onnx's scopes, or from the name that its older exporter gives a node."""
    scopes = next((item.value for item in node.metadata_props if item.key == SCOPES), "")
    return path_of(stack_in(scopes) if scopes else stack_in_name(node.name, paths))
