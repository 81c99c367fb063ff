"""Offline optimisation of ONNX files at Optimum's levels O1 to O4.

By Optimum's ORTOptimizer where it takes the model; else by the tool that ORTOptimizer itself calls,
``onnxruntime.transformers.optimizer``, with the same settings.
"""

from __future__ import annotations

import shutil
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_cpuaccel.backends.onnx_files import CPU, is_large, taken
from pytest_cpuaccel.backends.toolkit import upstream
from pytest_cpuaccel.backends.toolkit.crash_guard import check_survival
from pytest_cpuaccel.backends.toolkit.runtime import Facts, Runtime
from pytest_cpuaccel.core.backend import Subject
from pytest_cpuaccel.core.errors import NothingToDoError

_OPEN = "import sys, onnxruntime; onnxruntime.InferenceSession(sys.argv[1], providers=[sys.argv[2]])"


@dataclass(frozen=True)
class Level:
    """``graph`` is ONNX Runtime's own level: 1 basic, 2 extended. ``fusions`` are those made for transformers.

    ``fast_gelu`` puts the tanh approximation in place of GELU; ``fp16`` converts weights and graph, but not inputs
    and outputs, to float16.
    """

    name: str
    graph: int
    fusions: bool = False
    fast_gelu: bool = False
    fp16: bool = False


O1 = Level("O1", graph=1)
O2 = Level("O2", graph=2, fusions=True)
O3 = Level("O3", graph=2, fusions=True, fast_gelu=True)
O4 = Level("O4", graph=2, fusions=True, fast_gelu=True, fp16=True)


def optimise(runtime: Runtime, level: Level, subject: Subject, folder: Path) -> Facts:
    """Optimise every ONNX file in ``folder`` in place; the facts count nodes before and after, and what was fused.

    Raises:
        BuildError: the optimizer can't take the model, or breaks it, or, at O4, no weight became float16.
    """
    from pytest_cpuaccel.backends.toolkit.checking import check_unchanged

    before = _answer(runtime, subject, folder)
    facts = _optimise(level, subject, folder)
    check_unchanged(
        before, _answer(runtime, subject, folder), subject.inputs, f"ONNX Runtime's optimizer at {level.name}"
    )
    return facts


def _answer(runtime: Runtime, subject: Subject, folder: Path) -> Any:
    from pytest_cpuaccel.backends.toolkit import runtime_load as loading
    from pytest_cpuaccel.backends.toolkit.run_once import rehearse

    built = loading.load(runtime, subject, folder)
    try:
        return rehearse(built.forward, subject.inputs)
    finally:
        built.close()


def _optimise(level: Level, subject: Subject, folder: Path) -> Facts:
    files = sorted(folder.rglob("*.onnx"))
    nodes_before = len(_nodes(files))
    try:
        by = _optimise_by_optimum(level, folder, files) or _optimise_by_onnxruntime(level, subject, files)
    except ImportError:
        raise
    except Exception as error:
        traceback.clear_frames(error.__traceback__)  # frees the optimizer's temporary folder, which warns when it goes
        text = f"onnxruntime.transformers.optimizer fails at {level.name}: {upstream.reason(error)}"
        raise upstream.build_error(error, text) from error
    after = _nodes(files)
    facts: dict[str, str | int] = {
        "optimizer": by,
        "nodes_before": nodes_before,
        "nodes": len(after),
        "fused_operators": sum(node.domain == "com.microsoft" for node in after),
    }
    if not level.fp16:
        return facts
    halves = sum(map(_float16_weights, files))
    if not halves:
        raise NothingToDoError("nothing to convert to float16: the graph has no weights")
    for file in files:
        _check_survival(file)
    return facts | {"float16_weights": halves}


def _optimise_by_optimum(level: Level, folder: Path, files: list[Path]) -> str:
    """Return the name of the optimizer; "" if Optimum does not know the artifact's model."""
    if not (folder / "config.json").exists():
        return ""
    from optimum.onnxruntime import AutoOptimizationConfig, ORTOptimizer

    with tempfile.TemporaryDirectory() as optimised:
        try:
            optimizer = ORTOptimizer.from_pretrained(folder, file_names=[file.name for file in files])
            config = AutoOptimizationConfig.with_optimization_level(level.name)
            optimizer.optimize(config, save_dir=optimised, file_suffix="")
        except (KeyError, NotImplementedError):
            return ""
        for file in files:
            taken(file)
        for written in Path(optimised).glob("*.onnx*"):
            shutil.move(written, folder / written.name)
    return f"optimum ORTOptimizer {level.name}"


def _optimise_by_onnxruntime(level: Level, subject: Subject, files: list[Path]) -> str:
    config = getattr(subject.outline(), "config", None)
    for file in files:
        optimised = _optimised(level, file, config)
        taken(file)
        optimised.save_model_to_file(str(file), use_external_data_format=is_large(optimised.model))
    return f"onnxruntime.transformers.optimizer at {level.name}"


def _optimised(level: Level, file: Path, config: Any) -> Any:
    from onnxruntime.transformers.fusion_options import FusionOptions
    from onnxruntime.transformers.optimizer import MODEL_TYPES, optimize_model

    given = getattr(config, "model_type", "")
    # "gpt2" assumes that every Gemm has a bias; the last one of a graph by torch.export has none.
    kind = given if given in MODEL_TYPES and given != "gpt2" else "bert"
    options = FusionOptions(kind)
    options.enable_gelu_approximation = level.fast_gelu
    optimised = optimize_model(
        str(file),
        kind,
        getattr(config, "num_attention_heads", 0),  # 0: found from the graph
        getattr(config, "hidden_size", 0),
        options,
        opt_level=level.graph,
        use_gpu=level.fp16,  # as Optimum does at O4
        only_onnxruntime=not level.fusions,
    )
    if level.fp16:
        optimised.convert_float_to_float16(use_symbolic_shape_infer=True, keep_io_types=True)
    return optimised


def _check_survival(file: Path) -> None:
    """Open a model in another process first: ONNX Runtime 1.31 crashes on some in float16, such as an LSTM."""
    check_survival(_OPEN, str(file), CPU, dies="ONNX Runtime dies of {} when it opens this model in float16")


def _nodes(files: list[Path]) -> list[Any]:
    import onnx

    return [node for file in files for node in onnx.load(file, load_external_data=False).graph.node]


def _float16_weights(file: Path) -> int:
    import onnx

    weights = onnx.load(file, load_external_data=False).graph.initializer
    return sum(weight.data_type == onnx.TensorProto.FLOAT16 and bool(weight.dims) for weight in weights)
