"""What a built model must hold to before anybody calls it."""

from __future__ import annotations

from pytest_cpuaccel.core.backend import BuiltModel
from pytest_cpuaccel.core.call import Method
from pytest_cpuaccel.core.errors import BuildError


def check_built(built: BuiltModel, threads: int, method: Method) -> None:
    """Check that a build runs with the threads that all others have, and takes the call it was made for.

    Raises:
        BuildError: it does not.
    """
    used = built.facts.get("threads")
    if used != threads:
        raise BuildError(f"runs with {used} threads, was told {threads}; a comparison would be unfair")
    if method == "generate" and built.generate is None:
        raise BuildError("has no generate(); narrow the test with @pytest.mark.cpu_backends(exclude=...)")
