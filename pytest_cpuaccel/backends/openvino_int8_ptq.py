"""int8 weights and activations for OpenVINO's IR, by NNCF's post-training quantisation on calibration data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_cpuaccel.backends.openvino_modules import ignored_scope
from pytest_cpuaccel.backends.openvino_requests import finished_requests
from pytest_cpuaccel.backends.toolkit.keeping_fp32 import but_kept, check_is_whole
from pytest_cpuaccel.backends.toolkit.runtime import Facts, Runtime
from pytest_cpuaccel.core.backend import Subject
from pytest_cpuaccel.core.errors import BuildFailureError, NothingToDoError

_HEAVY = ("FullyConnected", "MatMul", "Convolution")

Feed = dict[str, Any]


def quantise(runtime: Runtime, subject: Subject, folder: Path) -> Facts:
    """Quantise every model in ``folder`` in place.

    The facts count the FakeQuantize operations that NNCF inserted, and the matrix products and convolutions that
    OpenVINO, having compiled the result for this CPU, runs in int8.

    Raises:
        UsageError: the calibration data do not fit the model.
        BuildError: the data reach none of a file's graph, or OpenVINO runs nothing of it in int8.
    """
    from pytest_cpuaccel.backends.toolkit.calibration_run import run_over_data

    files = sorted(folder.rglob("*.xml"))
    check_is_whole(subject, files)
    feeds: list[Feed] = []
    with finished_requests(lambda request: feeds.append(_feed(request))):
        run_over_data(runtime, subject, folder)
    inserted = sum(_quantise_file(subject, file, feeds) for file in files)
    running = sum(_int8_operators(file, runtime.load_options(subject.threads)["ov_config"]) for file in files)
    if not running:
        raise NothingToDoError(
            "nothing to quantise: OpenVINO runs no matrix product or convolution of this model in int8"
            f"{but_kept(subject)}"
        )
    return {"fake_quantize": inserted, "int8_operators": running}


def _feed(request: Any) -> Feed:
    places = enumerate(request.model_inputs)
    return {port.any_name: request.get_input_tensor(place).data.copy() for place, port in places}


def _quantise_file(subject: Subject, file: Path, feeds: list[Feed]) -> int:
    import nncf
    import openvino

    model = openvino.Core().read_model(file, config={"ENABLE_MMAP": False})
    inputs = {port.any_name for port in model.inputs}
    own = [feed for feed in feeds if feed.keys() == inputs]
    if not own:
        raise BuildFailureError(f"the calibration data do not reach {file.name}")
    quantised = nncf.quantize(
        model,
        nncf.Dataset(own),
        subset_size=len(own),
        model_type=nncf.ModelType.TRANSFORMER if hasattr(subject.outline(), "config") else None,
        ignored_scope=ignored_scope(model, file.parent, subject),
    )
    openvino.save_model(quantised, file, compress_to_fp16=False)
    return sum(operation.get_type_name() == "FakeQuantize" for operation in quantised.get_ops())


def _int8_operators(file: Path, config: dict[str, Any]) -> int:
    import openvino

    compiled = openvino.Core().compile_model(file, "CPU", config)
    running = [operation.get_rt_info() for operation in compiled.get_runtime_model().get_ops()]
    return sum(info["layerType"] in _HEAVY and info["runtimePrecision"] in ("i8", "u8") for info in running)
