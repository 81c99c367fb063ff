"""The releases that the tests ran with, and installed releases that are newer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from packaging.version import Version

from pytest_cpuaccel.core.backend import Requirement

TESTED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "torch": ("2.8.0", "2.13.0"),
        "transformers": ("4.45.2", "5.23.0"),
        "onnxruntime": ("1.31.1", "1.31.1"),
        "openvino": ("2025.2.0", "2026.4.1"),
        "nncf": ("2.17.0", "3.4.0"),
        "torchao": ("0.13.0", "0.18.0"),
        "optimum": ("1.27.0", "2.1.0"),
        "optimum-onnx": ("0.1.0", "0.1.0"),
        "optimum-intel": ("1.25.2", "1.27.0"),
        "intel_extension_for_pytorch": ("2.8.0", "2.8.0"),
        "neural-compressor": ("3.7.1", "3.7.1"),
    }
)
"""Distribution -> the oldest and the newest release among the pins of ``tox.ini``."""

NEWEST_TESTED: Mapping[str, str] = MappingProxyType({name: newest for name, (_, newest) in TESTED.items()})


def releases_tested(distribution: str) -> str:
    """Return the tested releases of a distribution in words; "" for one whose release is not pinned."""
    oldest, newest = TESTED.get(distribution, ("", ""))
    return oldest if oldest == newest else f"{oldest} to {newest}"


def newer_than_tested() -> Iterator[str]:
    """Yield a line for each installed distribution whose release is newer than any that was tested."""
    for name, tested in NEWEST_TESTED.items():
        installed = Requirement(name).installed
        if installed and Version(Version(installed).public) > Version(tested):  # torch's is 2.13.0+cpu
            yield f"{name} {installed}: newer than the newest tested, {tested}"
