"""A bundle is read. It is data from a stranger: nothing in it is run, and nothing of it is believed unchecked."""

from __future__ import annotations

from pathlib import Path

from pytest_cpuaccel.builder.artifact import file_digest
from pytest_cpuaccel.bundles import document
from pytest_cpuaccel.bundles.bundle import DOCUMENT, LONGEST_DOCUMENT, TENSORS, Bundle
from pytest_cpuaccel.bundles.json_text import parsed
from pytest_cpuaccel.bundles.plain_file import plain_file
from pytest_cpuaccel.bundles.tensors_file import read_tensors
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.one_line import printable


def read_bundle(folder: Path) -> Bundle:
    """Return the bundle in a folder.

    Raises:
        UsageError: there is none, or it is damaged, too large, or holds what a bundle doesn't.
    """
    if not folder.is_dir():
        raise UsageError(f"{str(folder)!r} is no folder; give one that --cpu-bundles wrote")
    try:
        plain_file(folder / DOCUMENT, LONGEST_DOCUMENT)
        found = parsed((folder / DOCUMENT).read_bytes(), DOCUMENT)
        bundle = document.read(found, read_tensors(folder / TENSORS))
        if file_digest(folder / TENSORS) != found["tensors_sha256"]:
            raise UsageError(f"{TENSORS!r} is not the file whose digest {DOCUMENT!r} has")
        return bundle
    except UsageError as mistake:
        raise UsageError(f"{str(folder)!r}: {printable(str(mistake))}") from None
    except OSError as refusal:
        raise UsageError(f"{str(folder)!r} can't be read: {refusal.strerror}") from None
