"""torch.compile with Inductor, whose compiled C++ kernels are kept on disk."""

from __future__ import annotations

import functools
import inspect
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_cpuaccel.backends.inductor_census import code_noted, count_compiled, graph_breaks_so_far
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Requirement, Scalar, Subject
from pytest_cpuaccel.core.call_place import place_of_call
from pytest_cpuaccel.core.errors import BuildError, NothingToDoError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.observed_run import ObservedRun

if TYPE_CHECKING:
    from pytest_cpuaccel.backends.toolkit.operator_record import OperatorRecord


class Compiler:
    """A dynamo backend, by default Inductor, that counts the graphs it compiled and how often they ran.

    ``options`` are settings of ``torch._inductor.config``. ``frozen_weights`` counts those compiled in as constants.
    """

    def __init__(self, options: Mapping[str, Scalar], backend: str = "inductor") -> None:
        self.options = dict(options)
        self.backend = backend
        self.graphs = 0
        self.runs = 0
        self.frozen_weights = 0
        self.codes: list[str] = []
        self.ran: list[int] = []
        self.watch: OperatorRecord | None = None
        self._breaks: tuple[int, int | None] = (-1, None)

    @property
    def breaks_seen(self) -> int | None:
        """Return how often dynamo broke a graph in the first call; None where later calls compiled more."""
        graphs, breaks = self._breaks
        return breaks if graphs == self.graphs else None

    @contextmanager
    def counting_breaks(self) -> Iterator[None]:
        """Count the breaks of the graph that is compiled meanwhile."""
        before = graph_breaks_so_far()
        yield
        after = graph_breaks_so_far()
        self._breaks = self.graphs, None if before is None or after is None else after - before

    def __call__(self, graph: Any, examples: Any) -> Callable[..., Any]:
        """Return ``graph`` compiled for inputs like ``examples``."""
        from torch._dynamo import lookup_backend
        from torch._dynamo.exc import RestartAnalysis
        from torch._inductor import config

        from pytest_cpuaccel.backends.toolkit.upstream import silenced

        codes: list[str] = []
        try:
            with silenced(), config.patch(self.options), code_noted(codes):  # autotuning prints what it tried
                compiled = lookup_backend(self.backend)(graph, examples)
        except BuildError as error:
            if isinstance(error.__cause__, RestartAnalysis):  # dynamo's own signal to begin again
                raise error.__cause__ from None
            raise
        number, self.graphs = self.graphs, self.graphs + 1
        self.codes.append("\n".join(codes))
        self.frozen_weights += sum(1 for _ in graph.parameters())

        def run(*args: Any) -> Any:
            self.runs += 1
            try:
                if self.watch is None:
                    return compiled(*args)
                self.ran.append(number)
                with self.watch:
                    return compiled(*args)
            except NameError as error:  # torch 2.8 forgets sizes of Whisper's generate() when it freezes weights
                raise BuildError(f"{self.backend}'s code for this call is broken: {error}") from error

        return run


def export(subject: Subject, folder: Path) -> None:
    """Compile for the subject's call, leaving Inductor's cache, C++ kernels included, in ``folder``."""
    export_module(subject.fresh_module(), subject, folder)


def load(subject: Subject, folder: Path | None) -> BuiltModel:
    """Return the model with its ``forward`` compiled, from the kernels in ``folder`` where they serve.

    Raises:
        BuildError: the model can't be compiled, or runs without a single compiled graph.
    """
    return load_module(subject.fresh_module(), subject, folder)


def export_module(module: Any, subject: Subject, folder: Path, backend: str = "inductor") -> None:
    """Compile ``module`` for the subject's call, leaving Inductor's cache in ``folder``."""
    with cache_in(folder, subject.threads):
        compile_module(module, subject, backend)


def load_module(module: Any, subject: Subject, folder: Path | None, backend: str = "inductor") -> BuiltModel:
    """Return ``module`` compiled, from the kernels in ``folder`` where they serve.

    Inductor gets a copy of the folder, so that the artifact stays as exported whatever it adds.
    """
    import torch

    assert folder is not None
    with tempfile.TemporaryDirectory() as scratch:
        copy = shutil.copytree(folder, Path(scratch, "cache"))
        with cache_in(copy, subject.threads):
            compiler = compile_module(module, subject, backend)

    frozen = {"frozen_weights": compiler.frozen_weights} if compiler.frozen_weights else {}

    def generate(*args: Any, **kwargs: Any) -> Any:
        before = compiler.runs
        output = module.generate(*args, **kwargs)
        if compiler.runs == before:
            raise NothingToDoError(f"{type(module).__name__}.generate() ran no compiled graph")
        return output

    return BuiltModel(
        forward=module,
        generate=generate if hasattr(module, "generate") else None,
        threads=torch.get_num_threads(),
        facts={"graphs": compiler.graphs, **frozen},
        kernels=partial(count_compiled, compiler, module),
    )


def compile_module(module: Any, subject: Subject, backend: str) -> Compiler:
    """Have every call of ``module``, those of its own ``generate()`` too, run compiled; return the compiler."""
    from pytest_cpuaccel.backends.toolkit import upstream
    from pytest_cpuaccel.backends.toolkit.run_once import rehearse

    freezes = subject.options.get("freezing", False)
    compiler = Compiler(subject.options, backend)
    with upstream.contained():
        # Silent in later calls too: dynamo warns whenever it compiles, which it does again for new shapes.
        forward = _refusing(upstream.silent(_compiled(with_own_code(module.forward), compiler)))
        module.forward = freezing(forward) if freezes else forward
        with compiler.counting_breaks():
            rehearse(module, subject.inputs)
    if not compiler.runs:
        raise NothingToDoError(f"{_name(subject)} ran no compiled graph: dynamo left all of it to Python")
    if freezes and not compiler.frozen_weights:
        raise NothingToDoError(f"{_name(subject)} has no weights that a compiled graph could freeze")
    return compiler


def _compiled(function: Callable[..., Any], compiler: Compiler) -> Callable[..., Any]:
    """Return ``function`` compiled on its own, however often code that it calls was compiled for other models.

    Dynamo counts recompilations of a part behind a graph break for all models of a session together, and runs it in
    Python from the ninth on. A release that can't count apart gets a higher limit during each call.
    """
    import torch
    from torch._dynamo import config

    compiles: Callable[..., Callable[..., Any]] = torch.compile
    if "isolate_recompiles" in inspect.signature(compiles).parameters:
        return compiles(function, backend=compiler, isolate_recompiles=True)
    compiled = compiles(function, backend=compiler)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        before, config.recompile_limit = config.recompile_limit, config.accumulated_recompile_limit
        try:
            return compiled(*args, **kwargs)
        finally:
            config.recompile_limit = before

    return call


def observe(subject: Subject, folder: Path | None, inputs: Inputs) -> ObservedRun:
    """Return what each module of a model gives that is compiled with hooks on its modules.

    Their outputs are outputs of the compiled graph then, so that it fuses less than one without hooks.
    """
    from pytest_cpuaccel.backends.toolkit.run_once import rehearse

    module = subject.fresh_module()
    seen: dict[str, Any] = {}

    def noting(path: str) -> Callable[..., None]:
        def note(part: Any, args: Any, output: Any) -> None:  # noqa: ARG001
            number = 1
            while (place := place_of_call(path, number)) in seen:
                number += 1
            seen[place] = output

        return note

    for path, part in module.named_modules():
        if path:
            part.register_forward_hook(noting(path))
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch, "cache") if folder is None else shutil.copytree(folder, Path(scratch, "cache"))
        with cache_in(copy, subject.threads):
            compile_module(module, subject, "inductor")
            seen.clear()
            output = rehearse(module, inputs)
    return ObservedRun(seen, output, f"hooks on {len(seen)} modules, set before compiling")


def _refusing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function``; a call with a graph that can't be compiled is refused in one line."""
    from torch._dynamo.exc import BackendCompilerFailed

    from pytest_cpuaccel.backends.toolkit import upstream

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except BackendCompilerFailed as error:
            raise upstream.build_error(error, f"can't compile this call: {upstream.reason(error)}") from error

    return call


def _name(subject: Subject) -> str:
    """Return the name of the user's class; the compiled module may be a GraphModule that was made of it."""
    return type(subject.outline()).__name__


def freezing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` so that everything it compiles has frozen weights.

    Dynamo reads this setting too, so Inductor's options are not enough; and any call with a new shape compiles. Setting
    it by hand costs 4 us a call, ``config.patch`` ten times that.
    """
    from torch._inductor import config

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        before, config.freezing = config.freezing, True
        try:
            return function(*args, **kwargs)
        finally:
            config.freezing = before

    return call


def with_own_code(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` behind a code object of its own.

    Dynamo counts recompilations per code object and silently runs eager from the ninth on: without this, the
    ninth model of a session would not be compiled, whatever its class.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    call.__code__ = call.__code__.replace()
    return functools.update_wrapper(call, function, updated=())


@contextmanager
def cache_in(folder: Path, threads: int) -> Iterator[None]:
    """Keep what Inductor compiles in ``folder``, for ``threads`` threads.

    ``torch.compiler.save_cache_artifacts`` leaves out the C++ kernels, which take most of the time on a CPU.
    The thread count is compiled in, but part of torch 2.8's own key only when it is set explicitly.
    """
    from torch._inductor import config
    from torch._inductor.runtime.cache_dir_utils import temporary_cache_dir

    with temporary_cache_dir(str(folder)), config.patch({"cpp.threads": threads}):
        yield


INDUCTOR = Backend(
    name="inductor",
    summary="torch.compile with Inductor",
    load=load,
    export=export,
    observe=observe,
    requires=(Requirement("torch", ">=2.8", "older Inductor can't keep its cache in a folder of our choice"),),
    caches=True,
)

INDUCTOR_FREEZING = replace(
    INDUCTOR,
    name="inductor-freezing",
    summary="torch.compile with Inductor, weights compiled in as constants",
    options={"freezing": True},
)

# What mode="max-autotune" sets, without what it sets for GPUs alone. On a CPU it chooses among kernels for
# matrix products with constant weights only, hence the freezing.
INDUCTOR_MAX_AUTOTUNE = replace(
    INDUCTOR,
    name="inductor-max-autotune",
    summary="torch.compile with Inductor, the fastest of several kernels for each matrix product",
    options={"max_autotune": True, "freezing": True},
)
