"""A kernel census as one flat fact, a text in JSON, and read back."""

from __future__ import annotations

import json
from dataclasses import asdict

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.kernel_census import Kernel, KernelCensus
from pytest_cpuaccel.report.facts.scalars import Facts, known, text


def flat(census: KernelCensus | None) -> dict[str, Scalar]:
    """Return the text, none where there is no census; what is not known is left out."""
    if census is None:
        return {}
    fields = known(asdict(census))
    return {"census": json.dumps({**fields, "kernels": [known(asdict(kernel)) for kernel in census.kernels]})}


def read(facts: Facts) -> KernelCensus | None:
    """Return the census that facts hold; None where they hold none."""
    written = text(facts, "census")
    if written is None:
        return None
    fields = json.loads(written)
    kernels = tuple(Kernel(**kernel) for kernel in fields.pop("kernels"))
    return KernelCensus(**{**fields, "kernels": kernels, "fallbacks": tuple(fields.get("fallbacks", ()))})
