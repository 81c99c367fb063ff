"""The self-check of a measurement that broke a limit: eager races a copy of itself, once in a session."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TypeVar

import torch

from pytest_cpuaccel.backends.registry import EAGER
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import BusyError
from pytest_cpuaccel.core.measurement.baseline import BaselineMeasurement
from pytest_cpuaccel.core.measurement.latency import LatencyMeasurement, SelfCheck
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.timed_models import fresh, timed
from pytest_cpuaccel.measure.latency.self_check import FINE, resolve
from pytest_cpuaccel.measure.latency.side import local_sides

CAP_S = 3.0
PAIRS = 30
"""The longest A/A check of a session: ``CAP_S`` seconds, or the time of ``PAIRS`` pairs if that is longer."""

ALPHA = 0.005
"""Error rate of the A/A check. One check serves the session, so its rate is not divided among the budgets of a test."""

Measurement = TypeVar("Measurement", LatencyMeasurement, BaselineMeasurement)


def self_checked(
    measurement: Measurement, call: Call, evaluation: Evaluation, context: EvaluationContext
) -> Measurement:
    """Return the measurement with the session's A/A check, or with the reason why there is none."""
    if not context.self_checks:
        call_ns = measurement.p50_ns or 0.0
        cap_s = max(CAP_S, 2 * PAIRS * call_ns / 1e9)
        if cap_s > context.race.cap_for(call_ns):
            return replace(measurement, no_self_check=f"{PAIRS} pairs of such calls take {cap_s:.0f} s")
        try:
            context.self_checks.append(_self_check(call, evaluation, context, cap_s))
        except BusyError as busy:
            return replace(measurement, no_self_check=str(busy))
    return replace(measurement, self_check=context.self_checks[0])


def _self_check(call: Call, evaluation: Evaluation, context: EvaluationContext, cap_s: float) -> SelfCheck:
    with context.alone(), torch.no_grad(), contextlib.ExitStack() as opened:
        one, other = (timed(fresh(evaluation.reference, EAGER, call, context, opened), call) for _ in range(2))
        return resolve(local_sides(one, other), replace(context.race, alpha_above=ALPHA), cap_s, FINE)
