"""torch.compile with Inductor, whose compiled C++ kernels are kept on disk."""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytest_cpuaccel.core.backend import Backend, BuiltModel, Requirement, Subject
from pytest_cpuaccel.core.errors import BuildError


class Compiler:
    """Inductor as a dynamo backend that counts the graphs it compiled and how often they ran."""

    def __init__(self) -> None:
        self.graphs = 0
        self.runs = 0

    def __call__(self, graph: Any, examples: Any) -> Callable[..., Any]:
        """Return ``graph`` compiled for inputs like ``examples``."""
        from torch._dynamo import lookup_backend

        compiled = lookup_backend("inductor")(graph, examples)
        self.graphs += 1

        def run(*args: Any) -> Any:
            self.runs += 1
            return compiled(*args)

        return run


def export(subject: Subject, folder: Path) -> None:
    """Compile for the subject's call, leaving Inductor's cache, C++ kernels included, in ``folder``."""
    with cache_in(folder, subject.threads):
        compiled(subject)


def load(subject: Subject, folder: Path | None) -> BuiltModel:
    """Return the model with its ``forward`` compiled, from the kernels in ``folder`` where they serve.

    Inductor gets a copy of the folder, so that the artifact stays as exported whatever it adds.

    Raises:
        BuildError: the model can't be compiled, or runs without a single compiled graph.
    """
    import torch

    assert folder is not None
    with tempfile.TemporaryDirectory() as scratch:
        copy = shutil.copytree(folder, Path(scratch, "cache"))
        with cache_in(copy, subject.threads):
            module, compiler = compiled(subject)

    def generate(*args: Any, **kwargs: Any) -> Any:
        before = compiler.runs
        output = module.generate(*args, **kwargs)
        if compiler.runs == before:
            raise BuildError(f"{type(module).__name__}.generate() ran no compiled graph")
        return output

    return BuiltModel(
        forward=module,
        generate=generate if hasattr(module, "generate") else None,
        facts={"threads": torch.get_num_threads(), "graphs": compiler.graphs},
    )


def compiled(subject: Subject) -> tuple[Any, Compiler]:
    """A module whose every call, those of its own ``generate()`` too, runs compiled, and its compiler."""
    import torch

    from pytest_cpuaccel.build.tools import upstream
    from pytest_cpuaccel.build.tools.rehearsal import rehearse

    module = subject.fresh_module()
    compiler = Compiler()
    with upstream.contained():
        # Silent in later calls too: dynamo warns whenever it compiles, which it does again for new shapes.
        module.forward = upstream.silent(torch.compile(with_own_code(module.forward), backend=compiler))
        rehearse(module, subject.inputs)
    if not compiler.runs:
        raise BuildError(f"{type(module).__name__} ran no compiled graph: dynamo left all of it to Python")
    return module, compiler


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
    requires=(Requirement("torch", ">=2.8", "older Inductor can't keep its cache in a folder of our choice"),),
)
