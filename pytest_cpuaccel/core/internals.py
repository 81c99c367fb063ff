"""Private and undocumented names of other packages that this one uses, which any release may take away.

What is in the table is looked up before it is needed, so that a release without it is told of in one line.
``docs/third-party-internals.md`` shows the table.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import metadata
from typing import Any

from pytest_cpuaccel.core.errors import BuildFailureError

EVERY_RUN = ("*",)


@dataclass(frozen=True)
class Internal:
    """A name of ``distribution``, as it is imported: ``path``. ``serves`` completes "which is needed to".

    ``seen`` are the releases that have it, of those that the tests run with. ``backends`` are names or globs of those
    that need it. ``without`` says what is left out where it is gone; ``""``: nothing works then.
    ``owner()`` makes what has it as an attribute, where that is no module or class.
    """

    distribution: str
    path: str
    serves: str
    seen: str
    backends: tuple[str, ...] = EVERY_RUN
    without: str = ""
    owner: Callable[[], Any] | None = None

    @property
    def release(self) -> str:
        """Return the distribution with the release that is installed; Python's own with Python's."""
        if self.distribution == "Python":
            return f"Python {sys.version.partition(' ')[0]}"
        try:
            return f"{self.distribution} {metadata.version(self.distribution)}"
        except metadata.PackageNotFoundError:
            return self.distribution

    @property
    def module(self) -> str:
        """Return the package that it is imported from."""
        return self.path.partition(".")[0]

    def find(self) -> Any:
        """Return what stands at the path.

        Raises:
            AttributeError: nothing does.
        """
        if self.owner is not None:
            return getattr(self.owner(), self.path.rpartition(".")[2])
        return _at(self.path)

    def is_there(self) -> bool:
        """Tell whether the installed release has it."""
        try:
            self.find()
        except AttributeError:
            return False
        return True


def check_internals(backend: str = "") -> None:
    """Check that the packages which are imported have what every run needs, and what a backend needs.

    Raises:
        BuildError: one is gone; the text says which, of what release, and what does not work.
    """
    for entry in _needed(backend):
        if entry.module in sys.modules and not _is_there(entry):
            raise BuildFailureError(gone(entry))


def internal(path: str) -> Internal:
    """Return the entry of a path."""
    return next(entry for entry in INTERNALS if entry.path == path)


def gone(entry: Internal) -> str:
    """Return the sentence about a name that the installed release has no more."""
    return (
        f"{entry.release} has no {entry.path}, which is needed to {entry.serves}; it was seen in "
        f"{entry.distribution} {entry.seen}: install one of these releases"
    )


def _needed(backend: str) -> Iterator[Internal]:
    for entry in INTERNALS:
        serves = entry.backends == EVERY_RUN or any(fnmatchcase(backend, name) for name in entry.backends)
        if serves and not entry.without:
            yield entry


@functools.cache
def _is_there(entry: Internal) -> bool:
    return entry.is_there()


def _at(path: str) -> Any:
    """What stands at a dotted path; modules on the way are imported."""
    package, *names = path.split(".")
    found, here = importlib.import_module(package), package
    for name in names:
        here = f"{here}.{name}"
        found = getattr(found, name) if hasattr(found, name) else _imported(here)
    return found


def _imported(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise AttributeError(f"there is no {module}") from None


def _instance(path: str) -> Any:
    return _at(path)()


def _compiled_module() -> Any:
    return _at("torch.compile")(_instance("torch.nn.Identity"))


def _compiled_function() -> Any:
    return _at("torch.compile")(_plain)


def _traced_function() -> Any:
    return _at("torch.jit.trace")(_plain, _at("torch.ones")(1))


def _plain(value: Any) -> Any:
    return value + 1


_TORCH, _TRANSFORMERS = "2.8.0, 2.13.0", "4.45.2, 4.57.6, 5.23.0"
_COMPILING = ("inductor*", "torchao-*-inductor", "ipex-compile")
_TRACING = ("torchscript*", "ipex", "ipex-bf16", "ipex-int8*")
_EXPORTING = ("ort*", "openvino*", "aoti")

_torch = functools.partial(Internal, "torch", seen=_TORCH)
_transformers = functools.partial(Internal, "transformers", seen=_TRANSFORMERS)
_A_MODULE = functools.partial(_instance, "torch.nn.Module")
_A_CONFIG = functools.partial(_instance, "transformers.PretrainedConfig")

_REFUSE = "tell a plain tensor from one that stands for another"
_WATCH = "watch the operators that a call runs"
_REORDER = "let an operator add in another order, which shows what rounding does"
_LIGHT = "hold weights in float32 that are cast at each use"
_STATE = "find and put back the state of a model"
_TRAINING = "tell what a part in training mode does otherwise"
_COMPILE = "compile a model"
_CACHE = "keep what is compiled in a folder of our choice"
_TRACE = "trace a model"
_GUARDS = "tell the shapes that an exported program takes"

INTERNALS: tuple[Internal, ...] = (
    _torch("torch._C._functorch.is_functorch_wrapped_tensor", _REFUSE),
    _torch("torch._subclasses.FakeTensor", _REFUSE),
    _torch("torch.utils._python_dispatch.TorchDispatchMode", _WATCH),
    _torch("torch.ops.aten.add.Tensor._schema", "tell which arguments an operator writes to"),
    _torch("torch.ops.aten._softmax.default", _REORDER),
    _torch("torch.ops.aten._log_softmax.default", _REORDER),
    _torch("torch.ops.aten._cdist_forward.default", _REORDER),
    _torch("torch.ops.aten._adaptive_avg_pool2d.default", _REORDER),
    _torch("torch.ops.aten._adaptive_avg_pool3d.default", _REORDER),
    _torch("torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default", _REORDER),
    _torch("torch._C._disabled_torch_function_impl", _LIGHT),
    _torch("torch.Tensor._make_wrapper_subclass", _LIGHT),
    _torch("torch.nn.Module._apply", "cast a copy of a model"),
    _torch("torch.Tensor._version", "notice that a weight was written to"),
    _torch("torch.nn.Module._parameters", _STATE, owner=_A_MODULE),
    _torch("torch.nn.Module._buffers", _STATE, owner=_A_MODULE),
    _torch("torch.nn.modules.module._global_forward_pre_hooks", _STATE),
    _torch("torch.nn.modules.module._global_forward_hooks", _STATE),
    _torch("torch.nn.modules.batchnorm._NormBase", _TRAINING),
    _torch("torch.nn.modules.dropout._DropoutNd", _TRAINING),
    _torch(
        "torch.nn.Module._compiled_call_impl",
        "find the original of a compiled model",
        without="a model under Module.compile() is taken as it is",
    ),
    _torch(
        "torch._dynamo.OptimizedModule._orig_mod",
        "find the original of a compiled model",
        without="a model under torch.compile is refused",
        owner=_compiled_module,
    ),
    _torch(
        "torch.compile._torchdynamo_orig_callable",
        "tell a compiled function",
        without="a model that calls compiled functions is not refused",
        owner=_compiled_function,
    ),
    _torch(
        "torch.jit.trace._torchdynamo_inline",
        "find the original of a scripted function",
        without="state that a scripted function keeps is not found",
        owner=_traced_function,
    ),
    _torch("torch.utils.flop_counter.flop_registry", "count matrix products", backends=("autocast-bf16", "fastpath")),
    _torch("torch.ops.aten.mm.default._overloadpacket", "count matrix products", backends=("autocast-bf16",)),
    _torch(
        "torch.ops.aten._transformer_encoder_layer_fwd.default",
        "count the layers that ran fused",
        backends=("fastpath",),
    ),
    _torch("torch.jit._trace.TracerWarning", _TRACE, backends=_TRACING),
    _torch("torch.jit._trace.TracingCheckError", _TRACE, backends=_TRACING),
    _torch("torch._dynamo.lookup_backend", _COMPILE, backends=_COMPILING),
    _torch("torch._dynamo.exc.RestartAnalysis", _COMPILE, backends=_COMPILING),
    _torch("torch._dynamo.exc.BackendCompilerFailed", _COMPILE, backends=_COMPILING),
    _torch(
        "torch._inductor.graph.GraphLowering.save_output_code",
        "tell which kernels a compiler made",
        backends=_COMPILING,
        without="a census of kernels lacks those that a compiler made",
    ),
    _torch(
        "torch._dynamo.utils.counters",
        "count graph breaks",
        backends=_COMPILING,
        without="graph breaks are not counted",
    ),
    _torch("torch._inductor.config.patch", _COMPILE, backends=(*_COMPILING, "aoti")),
    _torch("torch._inductor.config.get_config_copy", _COMPILE, backends=("torchao-*",)),
    _torch("torch._inductor.config.freezing", "freeze weights", backends=("inductor-*",)),
    _torch("torch._inductor.runtime.cache_dir_utils.temporary_cache_dir", _CACHE, backends=(*_COMPILING, "aoti")),
    _torch("torch._inductor.aoti_compile_and_package", _COMPILE, backends=("aoti",)),
    _torch("torch._inductor.aoti_load_package", "load a compiled model", backends=("aoti",)),
    _torch("torch._guards.ShapeGuard", _GUARDS, backends=_EXPORTING),
    _torch("torch._guards.SLoc", _GUARDS, backends=_EXPORTING),
    _torch("torch.fx.experimental.symbolic_shapes.ShapeEnv.produce_guards_expression", _GUARDS, backends=_EXPORTING),
    _torch(
        "torch.nn.Module._forward_pre_hooks",
        "run an exported program without its guards",
        backends=_EXPORTING,
        owner=_A_MODULE,
    ),
    _transformers(
        "transformers.PretrainedConfig._attn_implementation",
        "switch a model's attention",
        backends=("sdpa", "bettertransformer"),
        owner=_A_CONFIG,
    ),
    _transformers(
        "transformers.PretrainedConfig._name_or_path",
        "name a model by its checkpoint",
        without="reports name a model by its class alone",
        owner=_A_CONFIG,
    ),
    _transformers(
        "transformers.GenerationMixin._update_model_kwargs_for_generation", "follow a loop of generate() step by step"
    ),
    _transformers(
        "transformers.models.auto.auto_factory._BaseAutoModelClass._model_mapping",
        "find Optimum's class for a model",
        without="models are exported by torch.export",
    ),
    Internal(
        "transformers",
        "transformers.cache_utils.DynamicLayer",
        "keep keys and values from step to step",
        "4.57.6, 5.23.0",
        without="exported decoders run the whole text at every step",
    ),
    Internal(
        "transformers",
        "transformers.integrations.sdpa_attention.sdpa_attention_forward",
        "export attention as one operator",
        "4.57.6, 5.23.0",
        without="OpenVINO gets attention written out",
    ),
    Internal(
        "transformers",
        "transformers.masking_utils.eager_mask",
        "export attention as one operator",
        "4.57.6, 5.23.0",
        without="OpenVINO gets attention written out",
    ),
    Internal(
        "optimum",
        "optimum.bettertransformer.models.base.BetterTransformerBaseLayer",
        "count the layers that were replaced",
        "1.27.0",
        backends=("bettertransformer",),
    ),
    Internal(
        "optimum",
        "optimum.bettertransformer.models.base.KNOWN_ACTIVATION_ATTRIBUTES",
        "tell activations that it takes for GELU",
        "1.27.0",
        backends=("bettertransformer",),
    ),
    Internal(
        "neural-compressor",
        "neural_compressor.config.options",
        "keep it from writing to the current folder",
        "3.7.1",
        backends=("inc-*",),
    ),
    Internal(
        "torchao",
        "torchao.utils.TorchAOBaseTensor",
        "count the weights that were quantised",
        "0.13.0, 0.18.0",
        backends=("torchao-*",),
    ),
    Internal(
        "onnxruntime",
        "onnxruntime.transformers.optimizer.MODEL_TYPES",
        "fuse the layers of a kind of model",
        "1.31.1",
        backends=("ort-o*",),
    ),
    Internal(
        "onnxruntime",
        "onnxruntime.transformers.fusion_options.FusionOptions",
        "fuse the layers of a kind of model",
        "1.31.1",
        backends=("ort-o*",),
    ),
    Internal(
        "openvino",
        "openvino.frontend.pytorch.fx_decoder.TorchFXPythonDecoder.from_exported_program",
        "tell which module made a value of an exported model",
        "2025.2.0, 2026.4.1",
        backends=("openvino*",),
        without="a wrong answer is sought in modules built alone",
    ),
    Internal(
        "pytest",
        "pytest.Session._fixturemanager",
        "see which tests may ask for a fixture while they run",
        "9.2.0",
        without="a run with such a test ends in one line that says so",
    ),
    Internal(
        "pytest",
        "pytest.Session._setupstate",
        "end fixtures that the next test doesn't share, in a process of another environment",
        "9.2.0",
        without="a test after one without a verdict may not be compared with the other environment",
    ),
    Internal(
        "pytest",
        "_pytest.unittest.TestCaseFunction._excinfo",
        "see that the body of a unittest.TestCase failed",
        "9.2.0",
        without="a test whose body failed is judged too",
    ),
    Internal(
        "Python",
        "unittest.TestCase._callTestMethod",
        "judge a unittest.TestCase with its body",
        "3.10 to 3.14",
        without="expectedFailure does not count the verdict in",
    ),
    Internal("Python", "sys._getframe", "tell who calls", "3.10 to 3.14"),
    Internal("Python", "ctypes._SimpleCData", "find and put back the state of a model", "3.10 to 3.14"),
    Internal(
        "Python",
        "argparse._SubParsersAction",
        "annotate the command line",
        "3.10 to 3.14",
        without="nothing: it is never run",
    ),
)
"""All of them, by distribution."""
