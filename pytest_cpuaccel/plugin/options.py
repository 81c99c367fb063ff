"""The plugin's options, their ini twins, and the frozen settings that they become."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.option_values import (
    Reports,
    Tolerances,
    backend_names,
    folder,
    number_of_bytes,
    one_of,
    reports_named,
    seconds,
    threads,
    tolerances,
)
from pytest_cpuaccel.plugin.config_file import (
    FLAG,
    LIST,
    NUMBER,
    TEXT,
    Accepted,
    declared_type,
    is_written,
    written_text,
)

if TYPE_CHECKING:
    import pytest

    from pytest_cpuaccel.evaluation.localizing import Localize

Missing = Literal["fail", "skip"]
Unsupported = Literal["fail", "skip"]
Inconclusive = Literal["warn", "fail", "skip"]

CONTROLLERS_FOLDER = "cpuaccel_folder"
"""The key under which an xdist worker is told the folder that its controller was started in."""


class Settings(NamedTuple):
    """All parsed settings; ``cache_dir`` is None for the user's own cache folder.

    A named tuple, because every pytest run defines it: a dataclass takes several times as long to define.
    """

    backends: tuple[str, ...]
    model: str | None
    candidate: str | None
    task: str | None
    missing: Missing
    unsupported: Unsupported
    inconclusive: Inconclusive
    localize: Localize
    threads: int
    reports: tuple[Path, ...]
    on_github: bool
    cache_dir: Path | None
    cache_limit_bytes: int
    cache_verify: bool
    save: str | None
    against: str | None
    against_slowdown: float
    against_env: str | None
    against_packages: str | None
    against_rev: str | None
    against_processes: int
    against_as: str
    baselines_dir: Path
    bundles: Path | None
    bundle_artifact: bool
    tolerances: Tolerances
    wait_s: float

    @property
    def is_against_another(self) -> bool:
        """Return whether the run is compared with another environment."""
        return any((self.against_env, self.against_packages, self.against_rev))


class Option(NamedTuple):
    """``--cpu-NAME`` on the command line, ``cpu_NAME`` in the ini file; the command line wins.

    An option without a ``metavar`` is a flag, and true or false in the ini file.
    """

    name: str
    metavar: str
    help: str
    default: str
    parse: Callable[[str], Any]

    @property
    def flag(self) -> str:
        """Return the option as it is written on the command line."""
        return f"--cpu-{self.name}"

    @property
    def ini(self) -> str:
        """Return the setting as it is written in the ini file."""
        return f"cpu_{self.name.replace('-', '_')}"

    @property
    def accepted(self) -> Accepted:
        """Return the types that the setting may have in a TOML file."""
        return _NATIVE.get(self.name, TEXT) if self.metavar else FLAG


def _flag(text: str) -> bool:
    return one_of("true", "false")(text.lower()) == "true"


def _percentage(text: str) -> float:
    from pytest_cpuaccel.core.units import parse_percentage

    return parse_percentage(text)


def _saved_name(text: str) -> str | None:
    if not text:  # as in most runs; the import would slow down their start
        return None
    from pytest_cpuaccel.baselines.store import new_name

    return new_name(text)


def _baseline_name(text: str) -> str | None:
    if not text:
        return None
    from pytest_cpuaccel.baselines.store import checked_name

    return checked_name(text)


def _processes(text: str) -> int:
    if not text.isdecimal() or not 4 <= int(text) <= 12:
        raise UsageError(f"{text!r} is no number of processes; write one from 4 to 12")
    return int(text)


def _optional(text: str) -> str | None:
    return text or None


def _environment_in(base: Path, given: str | None) -> str | None:
    """Return an environment's path; what is relative to the current folder stays as it was given."""
    return given if given is None or base == Path.cwd() else str(_in(base, given))


def _in(base: Path, path: str | Path) -> Path:
    """Return a path that is relative to ``base`` or to a home folder as an absolute one."""
    return Path(os.path.abspath(base / os.path.expanduser(path)))  # noqa: PTH100, PTH111  (an unknown ~name is a name)


def _folder_in(base: Path, folder: Path | None) -> Path | None:
    return None if folder is None else _in(base, folder)


def _reports_in(base: Path, reports: Reports) -> Reports:
    return reports._replace(files=tuple(dict.fromkeys(_in(base, file) for file in reports.files)))


def _tolerances_in(base: Path, given: Tolerances) -> Tolerances:
    return given if given.path is None else given._replace(path=_in(base, given.path))


def _model_in(base: Path, source: str | None) -> str | None:
    """Return the path of what can only be a folder, or is one; anything else is a hub id and stays as it is."""
    if source is None:
        return None
    is_path = source.startswith((".", "/", "~")) or source.count("/") > 1
    return str(_in(base, source)) if is_path or _in(base, source).is_dir() else source


OPTIONS = (
    Option("backends", "NAMES", "backends for tests: names and globs, 'ort,openvino*', or 'all'", "", backend_names),
    Option("model", "PATH_OR_ID", "model for the eager_model fixture: a folder or a hub id", "", _optional),
    Option("candidate", "PATH_OR_ID", "another checkpoint, tested in that model's place", "", _optional),
    Option("task", "TASK", "task of --cpu-model, such as 'text-classification'", "", _optional),
    Option(
        "missing", "fail|skip", "what happens when a chosen backend isn't installed", "fail", one_of("fail", "skip")
    ),
    Option(
        "unsupported",
        "fail|skip",
        "what happens to a test of a model that its backend can't run, or has nothing to do in",
        "fail",
        one_of("fail", "skip"),
    ),
    Option(
        "inconclusive",
        "warn|fail|skip",
        "the effect of an INCONCLUSIVE verdict on its test",
        "warn",
        one_of("warn", "fail", "skip"),
    ),
    Option(
        "localize",
        "first|all|off",
        "which parity FAILs to follow to the first module that differs: the first of the run, all, or none",
        "first",
        one_of("first", "all", "off"),
    ),
    Option("threads", "N", "threads of every runtime", "1", threads),
    Option(
        "report",
        "FILES",
        "reports to write; the ending says the form: a.json, b.md, c.html; 'github' for summary and annotations there",
        "",
        reports_named,
    ),
    Option("cache-dir", "FOLDER", "where exported models are kept", "", folder),
    Option("cache-limit", "SIZE", "how much the cache may hold", "20 GB", number_of_bytes),
    Option("cache-verify", "", "read exported models whole before use, not only their size and time", "false", _flag),
    Option("save", "NAME", "baseline to save: figures, and the artifacts that were timed", "", _saved_name),
    Option("against", "NAME", "baseline to compare latencies with, by races against its artifacts", "", _baseline_name),
    Option("against-slowdown", "PERCENT", "how much longer a call may take than there", "5%", _percentage),
    Option("against-env", "FOLDER", "another environment to compare with: a venv or a Python", "", _optional),
    Option(
        "against-packages",
        "PACKAGES",
        "packages to compare with, laid over this environment: 'onnxruntime==1.22.1'",
        "",
        _optional,
    ),
    Option("against-rev", "REVISION", "a revision of this project's code to compare with", "", _optional),
    Option(
        "against-as",
        "reference|candidate",
        "whether the other environment is what today's is held to, or is held to today's",
        "reference",
        one_of("reference", "candidate"),
    ),
    Option("against-processes", "N", "the most processes a side in such a comparison, 4 to 12", "12", _processes),
    Option("baselines-dir", "FOLDER", "where baselines are kept (.cpuaccel/baselines in rootdir)", "", folder),
    Option("bundles", "FOLDER", "where a failing verdict leaves a bundle for 'cpuaccel replay'", "", folder),
    Option("bundle-artifact", "", "put the exported model, with its weights, into each bundle", "false", _flag),
    Option(
        "tolerances",
        "write|FILE|off",
        "propose tolerances to cpuaccel-tolerances.toml (write:FILE to another), judge by a file, or by none",
        "",
        tolerances,
    ),
    Option("wait", "TIME", "the longest time to wait for the machine to be free", "600 s", seconds),
)

_NATIVE = {
    "backends": LIST,
    "report": LIST,
    "threads": NUMBER,
    "cache-limit": NUMBER,
    "against-slowdown": NUMBER,
    "against-processes": NUMBER,
    "wait": NUMBER,
}
"""Option -> the types that its setting may have in a TOML file; any other takes a string, a flag a boolean too."""

_RESOLVE: dict[str, Callable[[Path, Any], Any]] = {
    "model": _model_in,
    "candidate": _model_in,
    "report": _reports_in,
    "cache-dir": _folder_in,
    "against-env": _environment_in,
    "baselines-dir": _folder_in,
    "bundles": _folder_in,
    "tolerances": _tolerances_in,
}
"""Option with paths -> the function that resolves its value in the folder that they are relative to."""

_ENVIRONMENT = ("against-env", "against-packages", "against-rev")
"""Options that name another environment."""

_NEVER_EMPTY = {
    "backends": "names no backend; leave it out to run eager alone",
    "model": "names no model; leave it out where the eager_model fixture gives one",
    "candidate": "names no model; leave it out to test eager_model itself",
    "task": "names no task; leave it out for the class that the checkpoint names",
    "save": "has no name; leave the option out where no baseline is meant",
    "against": "has no name; leave the option out where no baseline is meant",
    "against-env": "names no environment; leave the option out where none is meant",
    "against-packages": "names no package; leave the option out where none is meant",
    "against-rev": "names no revision; leave the option out where none is meant",
}
"""Option -> the message for an empty value: a variable that a CI job forgot to set would silently switch a check off.

Other options may be empty, to undo a setting of the ini file.
"""


def add_options(parser: pytest.Parser) -> None:
    """Declare every option and its ini twin."""
    group = parser.getgroup("cpuaccel", "CPU backends for PyTorch models")
    for option in OPTIONS:
        default = f" (default: {option.default})".replace("%", "%%") if option.default else ""  # argparse formats help
        takes: dict[str, Any] = {"metavar": option.metavar}
        if not option.metavar:
            takes = {"action": "store_const", "const": "true"}
        group.addoption(option.flag, dest=option.ini, default=None, help=f"{option.help}{default}", **takes)
        kind: Any = declared_type(option.accepted)
        parser.addini(option.ini, f"twin of {option.flag}", type=kind, default=None)


def read_settings(config: pytest.Config) -> Settings:
    """Return the settings in force.

    Raises:
        UsageError: a value has no meaning; the text names the option or ini setting it stands in.
    """
    values = {option.name: _read(config, option) for option in OPTIONS}
    _refuse_comparing_with_nothing(config, {name for name, value in values.items() if value is not None})
    if config.getoption("cpu_bundle_artifact") is not None and values["bundles"] is None:
        raise UsageError("--cpu-bundle-artifact needs --cpu-bundles=FOLDER")
    return Settings(
        backends=values["backends"],
        model=values["model"],
        candidate=values["candidate"],
        task=values["task"],
        missing=values["missing"],
        unsupported=values["unsupported"],
        inconclusive=values["inconclusive"],
        localize=values["localize"],
        threads=values["threads"],
        reports=values["report"].files,
        on_github=values["report"].on_github,
        cache_dir=values["cache-dir"],
        cache_limit_bytes=values["cache-limit"],
        cache_verify=values["cache-verify"],
        save=values["save"],
        against=values["against"],
        against_slowdown=values["against-slowdown"],
        against_env=values["against-env"],
        against_packages=values["against-packages"],
        against_rev=values["against-rev"],
        against_processes=values["against-processes"],
        against_as=values["against-as"],
        baselines_dir=values["baselines-dir"] or config.rootpath / ".cpuaccel" / "baselines",
        bundles=values["bundles"],
        bundle_artifact=values["bundle-artifact"],
        tolerances=_with_own_file(config, values["tolerances"]),
        wait_s=values["wait"],
    )


def _with_own_file(config: pytest.Config, given: Tolerances) -> Tolerances:
    """``write`` on the command line is about the file that the configuration file names."""
    if not given.is_written or given.path is not None or config.getoption("cpu_tolerances") is None:
        return given
    option = _option("tolerances")
    written = written_text(config, option.ini, option.accepted)
    if written is None:
        return given
    with _at(option.ini):
        return given._replace(path=_tolerances_in(_base_of_ini(config, option), tolerances(written)).path)


def is_set(config: pytest.Config) -> bool:
    """Tell whether any setting was given, on the command line or in the ini file."""
    return any(config.getoption(option.ini) is not None or is_written(config, option.ini) for option in OPTIONS)


def check_reports(settings: Settings, where: str) -> None:
    """Try now to write the reports: otherwise an error would come only with the first result.

    ``where`` is the place of the setting, for messages.

    Raises:
        UsageError: names the path and the system's reason, or what the form of the report needs.
    """
    if settings.reports:
        from pytest_cpuaccel.report.report_files import check_writable

        check_writable(settings.reports, where)


def check_baselines(settings: Settings) -> None:
    """Check the baselines now: otherwise an error would come only with the first result.

    Raises:
        UsageError: the baseline to compare with is missing or damaged; the run would overwrite it, or another file; the
            folder of baselines can't be written.
    """
    if settings.against is not None:
        from pytest_cpuaccel.baselines.store import read_baseline

        try:
            read_baseline(settings.baselines_dir, settings.against)
        except UsageError as mistake:
            raise UsageError(f"--cpu-against: {mistake}") from None
    if settings.save is None:
        return
    if settings.save == settings.against:
        raise UsageError(
            f"--cpu-save and --cpu-against both name {settings.save!r}: a failed run would become the baseline of "
            "the next one; save under another name"
        )
    from pytest_cpuaccel.baselines.store import check_free

    try:
        check_free(settings.baselines_dir, settings.save)
    except UsageError as mistake:
        raise UsageError(f"--cpu-save: {mistake}") from None
    _check_folder(settings.baselines_dir, "--cpu-save", "baselines")


def check_bundles(settings: Settings, where: str) -> None:
    """Check now that bundles can be written: otherwise an error would come only with the first failure.

    ``where`` is the place of the setting, for messages.

    Raises:
        UsageError: safetensors is missing, or the folder can't be written.
    """
    if settings.bundles is None:
        return
    from importlib.util import find_spec

    if find_spec("safetensors") is None:
        raise UsageError(f"{where}: bundles need safetensors: pip install 'pytest-cpuaccel[bundles]'")
    _check_folder(settings.bundles, where, "bundles")


def _check_folder(folder: Path, where: str, what: str) -> None:
    """Check that a folder for ``what`` can be written; it is made where it is missing.

    Raises:
        UsageError: it can't be.
    """
    import tempfile

    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryDirectory(dir=folder).cleanup()
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"{where}: {str(folder)!r} is a file, not a folder for {what}") from None
    except OSError as refusal:
        raise UsageError(f"{where}: can't write {str(folder)!r}: {refusal.strerror}") from None


def source_of(config: pytest.Config, name: str) -> str:
    """Return the place of a setting: its flag, or its ini name with the file."""
    option = _option(name)
    if config.getoption(option.ini) is not None:
        return option.flag
    if _is_overridden(config, option):
        return f"-o {option.ini}"
    return f"{option.ini} in {config.inipath.name if config.inipath else 'the ini file'}"


def _option(name: str) -> Option:
    return next(option for option in OPTIONS if option.name == name)


def current_folder(config: pytest.Config) -> Path:
    """Return the folder that pytest was started in; in an xdist worker that of its controller."""
    told = getattr(config, "workerinput", {}).get(CONTROLLERS_FOLDER)
    return Path(told) if told else config.invocation_params.dir


def _is_overridden(config: pytest.Config, option: Option) -> bool:
    return any(given.startswith(f"{option.ini}=") for given in config.getoption("override_ini") or ())


def _refuse_comparing_with_nothing(config: pytest.Config, given: set[str]) -> None:
    """Refuse an option about a comparison on a command line of a run that compares with nothing of the kind."""
    environment = "another environment: --cpu-against-env, --cpu-against-packages or --cpu-against-rev"
    needs = {
        "slowdown": ({"against", *_ENVIRONMENT}, f"--cpu-against=NAME, or {environment}"),
        "as": ({*_ENVIRONMENT}, environment),
        "processes": ({*_ENVIRONMENT}, environment),
    }
    for name, (needed, what) in needs.items():
        value = config.getoption(f"cpu_against_{name}")
        if value is not None and not needed & given:
            raise UsageError(f"--cpu-against-{name}={value} needs {what}")


def _base(config: pytest.Config, option: Option) -> Path:
    """Return the folder that an option's paths are relative to: the configuration file's for what stands there."""
    on_command_line = config.getoption(option.ini) is not None
    return current_folder(config) if on_command_line else _base_of_ini(config, option)


def _base_of_ini(config: pytest.Config, option: Option) -> Path:
    """Return the folder that paths in a setting are relative to: the current one for ``-o`` and without a file."""
    in_file = config.inipath is not None and not _is_overridden(config, option)
    return config.inipath.parent if in_file and config.inipath is not None else current_folder(config)


def _read(config: pytest.Config, option: Option) -> Any:
    given = config.getoption(option.ini)
    where = source_of(config, option.name)
    with _at(where):
        text = given if given is not None else written_text(config, option.ini, option.accepted)
    if text is None:
        return option.parse(option.default)
    if option.name in _NEVER_EMPTY and not text.replace(",", "").strip():
        raise UsageError(f"{where if given is None else f'{option.flag}={text}'} {_NEVER_EMPTY[option.name]}")
    with _at(where):
        value = option.parse(text)
    return _RESOLVE[option.name](_base(config, option), value) if option.name in _RESOLVE else value


@contextlib.contextmanager
def _at(where: str) -> Iterator[None]:
    """Name the place of a setting in a mistake that is found in it."""
    try:
        yield
    except UsageError as mistake:
        raise UsageError(f"{where}: {mistake}") from None
