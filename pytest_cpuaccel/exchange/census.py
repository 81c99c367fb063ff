"""A kernel census in JSON."""

from __future__ import annotations

from dataclasses import asdict
from dataclasses import fields as fields_of
from typing import Any

from pytest_cpuaccel.core.kernel_census import Kernel, KernelCensus
from pytest_cpuaccel.exchange.fields import Fields


def written_census(census: KernelCensus) -> dict[str, Any]:
    """Return a census as values of JSON."""
    plain = asdict(census)
    return {**plain, "kernels": list(plain["kernels"]), "fallbacks": list(census.fallbacks)}


def read_census(fields: Fields) -> KernelCensus:
    """Return the census that an object describes.

    Raises:
        UsageError: it describes none.
    """
    fields.only(*_names(KernelCensus))
    breaks = None if fields.get("graph_breaks") is None else fields.count("graph_breaks")
    return KernelCensus(
        fields.text("source"),
        tuple(map(_read_kernel, fields.objects("kernels"))),
        fields.flag("is_complete"),
        fields.texts("fallbacks"),
        fields.optional_text("isa"),
        breaks,
    )


def _read_kernel(fields: Fields) -> Kernel:
    fields.only(*_names(Kernel))
    return Kernel(
        fields.text("op"),
        fields.count("count"),
        fields.optional_text("compute"),
        fields.optional_text("stored"),
        fields.optional_text("implementation"),
        fields.number("us"),
    )


def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(item.name for item in fields_of(kind))
