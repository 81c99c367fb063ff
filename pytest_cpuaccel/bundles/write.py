"""A bundle is written: one folder of its own, complete or not there."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_cpuaccel.builder.artifact import file_digest
from pytest_cpuaccel.bundles.artifact_files import copy_artifact
from pytest_cpuaccel.bundles.bundle import (
    ARTIFACT,
    DOCUMENT,
    LONGEST_DOCUMENT,
    MOST_BYTES,
    MOST_TENSORS,
    TENSORS,
    Bundle,
)
from pytest_cpuaccel.bundles.document import read, written
from pytest_cpuaccel.bundles.json_text import parsed
from pytest_cpuaccel.bundles.tensors_file import check_tensors, write_tensors
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.units import format_bytes

if TYPE_CHECKING:
    import torch

MOST_BUNDLES = 100
"""The most bundles in one folder."""

_LONGEST_NAME = 60


def write_bundle(bundle: Bundle, root: Path, artifact: Path | None = None) -> Path:
    """Write a bundle to a new folder in ``root``, with a copy of the artifact in the folder ``artifact``.

    Nothing else in ``root`` is touched. Return the new folder.

    Raises:
        UsageError: it holds a value that a bundle can't hold, it takes too much to be read again, or ``root`` holds
            too many.
        OSError: it can't be written.
    """
    root.mkdir(parents=True, exist_ok=True)
    if sum(1 for _ in root.glob(f"*/{DOCUMENT}")) >= MOST_BUNDLES:
        raise UsageError(f"{str(root)!r} holds {MOST_BUNDLES} bundles already; delete those that nobody needs")
    own = bundle
    if artifact is not None and bundle.artifact is not None:
        own = replace(bundle, artifact=replace(bundle.artifact, is_here=True))
    document, tensors = written(own)
    size = sum(tensor.nbytes for tensor in tensors.values())
    if size > MOST_BYTES:
        raise UsageError(f"inputs and outputs take {format_bytes(size)}; a bundle holds {format_bytes(MOST_BYTES)}")
    text = json.dumps(document, indent=1, allow_nan=False)
    if len(text) > LONGEST_DOCUMENT or len(tensors) > MOST_TENSORS:
        raise UsageError(
            f"inputs and outputs are {len(tensors)} tensors, described in {format_bytes(len(text))}; a bundle holds "
            f"{MOST_TENSORS} in {format_bytes(LONGEST_DOCUMENT)}"
        )
    _check_readable(text, tensors)
    name = f"{_readable(bundle)}-{uuid.uuid4().hex[:8]}"
    unfinished = root / f".{name}"
    unfinished.mkdir()
    try:
        write_tensors(tensors, unfinished / TENSORS)
        check_tensors(unfinished / TENSORS)
        document["tensors_sha256"] = file_digest(unfinished / TENSORS)
        if artifact is not None and own.artifact is not None:
            copy_artifact(own.artifact, artifact, unfinished / ARTIFACT)
        (unfinished / DOCUMENT).write_text(f"{json.dumps(document, indent=1)}\n", encoding="utf-8")
        return unfinished.rename(root / name)
    except BaseException:
        with contextlib.suppress(OSError):
            shutil.rmtree(unfinished)
        raise


def _check_readable(text: str, tensors: Mapping[str, torch.Tensor]) -> None:
    try:
        read(parsed(text.encode(), DOCUMENT), tensors)
    except UsageError as mistake:
        raise UsageError(f"it could not be read again: {mistake}") from None


def _readable(bundle: Bundle) -> str:
    """The test's own name and the backend, in characters that every file system takes."""
    test = bundle.test.rpartition("::")[2].partition("[")[0] or bundle.model.name
    return "-".join(re.sub(r"[^A-Za-z0-9_]+", "_", part)[:_LONGEST_NAME].strip("_") for part in (test, bundle.backend))
