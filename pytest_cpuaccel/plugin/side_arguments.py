"""The command line of a side: that of this session, without what writes files, selects, or starts processes."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

_LONG = (
    "--basetemp",
    "--benchmark",
    "--boxed",
    "--cache-",
    "--color",
    "--cov",
    "--cpu-against",
    "--cpu-bundle",
    "--cpu-cache-dir",
    "--cpu-localize",
    "--cpu-report",
    "--cpu-save",
    "--cpu-tolerances",
    "--dist",
    "--exitfirst",
    "--failed-first",
    "--ff",
    "--forked",
    "--html",
    "--json-report",
    "--junit",
    "--last-failed",
    "--lf",
    "--lfnf",
    "--log-file",
    "--looponfail",
    "--maxfail",
    "--maxprocesses",
    "--maxschedchunk",
    "--new-first",
    "--nf",
    "--no-cov",
    "--numprocesses",
    "--pastebin",
    "--pdb",
    "--px",
    "--report-log",
    "--rsyncdir",
    "--self-contained-html",
    "--stepwise",
    "--sw",
    "--testrunuid",
    "--trace",
    "--tx",
)
"""Beginnings of options that a side does not get, with their values."""
_SHORT = ("-n", "-x", "-f", "-d")


ARGUMENTS = "cpuaccel_side_arguments"
"""The key under which an xdist worker, which has no command line, is told what its controller's leaves for a side."""


def arguments_for_sides(config: pytest.Config) -> list[str]:
    """Return what the session's command line, and its ``addopts``, leave for a side."""
    told = getattr(config, "workerinput", {}).get(ARGUMENTS)
    if told is not None:
        return list(told)
    positional = set(config.known_args_namespace.file_or_dir)
    given = [*config.getini("addopts"), *shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))]
    given += map(str, config.invocation_params.args)
    return list(_kept(given, positional))


def side_arguments(config: pytest.Config, scratch: Path) -> tuple[str, ...]:
    """Return the arguments of pytest for one process, whose temporary files lie in ``scratch``."""
    return (
        *arguments_for_sides(config),
        "-o",
        "addopts=",
        "-o",
        "log_file=",
        "-p",
        "no:cacheprovider",
        f"--basetemp={scratch / 'tmp'}",
    )


def _kept(given: Sequence[str], positional: set[str]) -> Iterator[str]:
    was_dropped = False
    for argument in given:
        is_option = argument.startswith("-") and len(argument) > 1
        if is_option:
            was_dropped = argument.startswith(_LONG) or _is_short(argument)
            if not was_dropped:
                yield argument
            was_dropped = was_dropped and "=" not in argument
        elif not was_dropped or argument in positional:
            yield argument
            was_dropped = False
        else:
            was_dropped = False


def _is_short(argument: str) -> bool:
    return not argument.startswith("--") and argument.startswith(_SHORT)
