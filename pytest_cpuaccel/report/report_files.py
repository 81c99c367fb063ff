"""The files of reports: whether they can be written, and those that are written at the end of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.report import whole_file

if TYPE_CHECKING:
    from pytest_cpuaccel.report.report import Report


def check_writable(paths: Iterable[Path], where: str) -> None:
    """Check that report files can be written; this leaves nothing but the folders above them.

    ``where`` is the place of the setting that names them, for messages.

    Raises:
        UsageError: one can't be; the text names the path and the system's reason, or what an HTML file needs.
    """
    for path in paths:
        if path.suffix == ".html":
            _check_jinja(path, where)
        whole_file.check_writable(path, where)


def write_files(report: Report, paths: Iterable[Path]) -> Iterator[str]:
    """Write those of the files that hold a whole report; yield what keeps one from being written."""
    from pytest_cpuaccel.report.markdown_file import markdown

    for path in paths:
        text = ""
        if path.suffix == ".md":
            text = markdown(report)
        elif path.suffix == ".html":
            from pytest_cpuaccel.report.html_file import html  # imports Jinja2, which other reports do without

            text = html(report)
        try:
            if text:
                whole_file.write_whole(path, [text])
        except OSError as refusal:
            yield whole_file.refused(path, refusal)


def _check_jinja(path: Path, where: str) -> None:
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"{where}: {str(path)!r} needs Jinja2, which can't be imported: {error}; "
            'pip install "pytest-cpuaccel[html]"'
        ) from None
