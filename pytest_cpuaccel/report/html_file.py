"""The HTML report: one page without scripts, which loads nothing. It needs Jinja2, of the extra ``html``."""

from __future__ import annotations

import re

from jinja2 import Environment, PackageLoader, StrictUndefined

from pytest_cpuaccel.report.html.page import page
from pytest_cpuaccel.report.report import Report

_UNSEEN = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Escape codes for a terminal's colours, and characters that HTML forbids."""
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def html(report: Report) -> str:
    """Return the report as one self-contained page."""
    environment = Environment(
        loader=PackageLoader("pytest_cpuaccel.report", "html/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.get_template("page.html.j2").render(page(report))
    return _SURROGATE.sub("\ufffd", _UNSEEN.sub("", text))
