"""The criterion for a wrong module, its sentences and its facts."""

from __future__ import annotations

from math import inf

from pytest_cpuaccel.core.localization import Localization, ModuleError
from pytest_cpuaccel.diagnose.localize.sentences import lines
from pytest_cpuaccel.report.facts import localization

FOUND = Localization(
    module="layer.1.dense",
    type="Linear",
    starts_inside=True,
    at_output=22_000.0,
    at_input=1.6,
    actual=0.5,
    expected=0.25,
    growth=tuple(ModuleError(f"layer.{number}", "Layer", 1e-7, 1e-7) for number in range(9)),
    method="hooks on 9 modules",
)


def test_the_ratio_takes_eagers_rounding_to_be_no_less_than_one_of_fp32() -> None:
    assert ModuleError("a", "A", 2.0**-20, 0.0).ratio == 16
    assert ModuleError("a", "A", 2.0**-20, 2.0**-22).ratio == 4


def test_a_found_module_takes_five_lines_with_path_ratios_and_values() -> None:
    text = lines(FOUND)
    assert len(text) == 5
    for part in (
        "'layer.1.dense' (Linear)",
        "starts inside it",
        "22,000x",
        "1.6x",
        "0.5",
        "0.25",
        "hooks on 9 modules",
    ):
        assert part in "\n".join(text)


def test_without_a_module_the_reason_is_one_line() -> None:
    assert lines(Localization(note="too large")) == ("no module is named as the first wrong one: too large",)


def test_an_error_without_end_is_said_in_a_word() -> None:
    text = "\n".join(lines(Localization(module="a", type="A", at_output=inf, at_input=0.0)))
    assert "infinite at its output, 0.0x at its input" in text


def test_facts_read_back_what_was_found_even_an_error_without_end() -> None:
    endless = ModuleError("head", "Linear", inf, 1e-7)
    for found in (FOUND, Localization(note="too large"), Localization(growth=(endless,))):
        assert localization.read(localization.flat(found)) == found
    assert localization.read(localization.flat(None)) is None
