from __future__ import annotations

from pathlib import Path

import pytest

from pytest_cpuaccel.measure.latency.pressure import read_pressure


def test_pressure_is_read_as_a_fraction(tmp_path: Path) -> None:
    psi = tmp_path / "cpu"
    psi.write_text("some avg10=12.50 avg60=0.65 total=6022212\nfull avg10=1.00 avg60=0 total=0\n")
    assert read_pressure(psi).cpu_waiting == pytest.approx(0.125)


def test_a_kernel_that_keeps_no_pressure_gives_only_the_load(tmp_path: Path) -> None:
    pressure = read_pressure(tmp_path / "missing")
    assert pressure.cpu_waiting is None
    assert pressure.load >= 0
