"""int8 weights for OpenVINO's IR, by NNCF.

Only the weights: ``openvino_int8_ptq`` quantises activations too, whose ranges must be measured on data.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pytest_cpuaccel.backends.openvino_modules import ignored_scope
from pytest_cpuaccel.backends.toolkit.keeping_fp32 import but_kept, check_is_whole
from pytest_cpuaccel.backends.toolkit.runtime import Facts
from pytest_cpuaccel.core.backend import Subject
from pytest_cpuaccel.core.errors import NothingToDoError


def compress(subject: Subject, folder: Path) -> Facts:
    """Compress the weights of every model in ``folder`` in place; the facts count the constants now in int8.

    Raises:
        BuildError: no weight could be compressed.
    """
    files = sorted(folder.rglob("*.xml"))
    check_is_whole(subject, files)
    count = sum(_compress_file(subject, file) for file in files)
    if not count:
        raise NothingToDoError(f"nothing to compress: no layer with constant weights in the graph{but_kept(subject)}")
    return {"int8_weights": count}


def _compress_file(subject: Subject, file: Path) -> int:
    import nncf
    import openvino

    read = openvino.Core().read_model(file, config={"ENABLE_MMAP": False})
    model = nncf.compress_weights(
        read,
        mode=nncf.CompressWeightsMode.INT8_ASYM,
        ignored_scope=ignored_scope(read, file.parent, subject),
    )
    openvino.save_model(model, file, compress_to_fp16=False)
    return sum(_is_compressed(operation) for operation in model.get_ops())


def _is_compressed(operation: Any) -> bool:
    """Tell whether an operation is an int8 weight; zero points don't count: they have one value a row."""
    import openvino

    if operation.get_type_name() != "Constant":
        return False
    shape = operation.get_output_shape(0)
    has_rows = math.prod(shape) > max(shape[:1], default=1)
    return has_rows and operation.get_element_type() in (openvino.Type.i8, openvino.Type.u8)
