"""The promises, each with the check that finds its breaches."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pytest_cpuaccel.conformance.observation import (
    Altered,
    Answered,
    Belonging,
    Built,
    Doing,
    Event,
    Failed,
    Observation,
    Refused,
    Warned,
)
from pytest_cpuaccel.conformance.output_structure import form_faults
from pytest_cpuaccel.conformance.promise import Promise
from pytest_cpuaccel.core.budget import ParityBudget
from pytest_cpuaccel.core.kv_cache import without_state
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.rounding import REDUCED
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.evaluation.comparison import compare
from pytest_cpuaccel.judge.parity.comparison import Comparison
from pytest_cpuaccel.judge.parity.terms import Terms
from pytest_cpuaccel.measure.parity.agreement import self_agreement


def _refusals(seen: Observation) -> Iterator[str]:
    for refused in seen.of(Refused):
        if "\n" in refused.text or not refused.text.strip():
            yield _said(refused, f"the BuildError has {len(refused.text.splitlines())} lines: {refused.text!r}")
    for failed in seen.of(Failed):
        if failed.doing is Doing.BUILD:
            yield _said(failed, f"raised {failed.text}, which is no BuildError")
    if not any(seen.of(Built)):
        reasons = "; ".join(f"{refused.sample}: {refused.text}" for refused in seen.of(Refused))
        yield f"  it took no sample, so nothing was seen of it ({reasons}); pass samples of your own to observe()"


def _crashes(seen: Observation) -> Iterator[str]:
    for failed in seen.of(Failed):
        if failed.doing is not Doing.BUILD:
            yield _said(failed, f"raised {failed.text}")


def _wrong_forms(seen: Observation) -> Iterator[str]:
    for answered in seen.of(Answered):
        for fault in form_faults(answered.actual, answered.references.expected.output):
            yield _said(answered, fault)


def _wrong_answers(seen: Observation) -> Iterator[str]:
    for answered in seen.of(Answered):
        comparison = _compared(answered, seen.backend.precision)
        if comparison.outcome is Outcome.FAIL:
            yield _said(answered, "\n    ".join(_lines(comparison)))


def _false_precision(seen: Observation) -> Iterator[str]:
    """Ask for one answer that fp32 would not give: some samples may have no layer that the backend reduces."""
    if seen.backend.precision not in REDUCED:
        return
    fp32 = [(answered, _compared(answered, Precision.FP32)) for answered in seen.of(Answered)]
    if fp32 and all(comparison.outcome is Outcome.PASS for _, comparison in fp32):
        answered, comparison = fp32[0]
        claimed = seen.backend.precision.value
        yield _said(answered, f"says {claimed}, but every answer is as near eager as fp32 is: {comparison.figure}")


def _disagreements(seen: Observation) -> Iterator[str]:
    first = {answered.sample: answered for answered in seen.of(Answered) if answered.doing is Doing.CALL}
    for answered in seen.of(Answered):
        if answered.doing in (Doing.SAME_CALL, Doing.SECOND_LOAD, Doing.FIRST_AFTER_OTHER):
            disagreement = self_agreement(without_state(first[answered.sample].actual), without_state(answered.actual))
            if disagreement:
                yield _said(answered, disagreement.replace("eager disagrees", "it disagrees"))


def _rejections(seen: Observation) -> Iterator[str]:
    for built in seen.of(Built):
        if not built.accepted:
            yield _said(built, "accepts() is false of the inputs that it was built for")


def _wrong_facts(seen: Observation) -> Iterator[str]:
    for built in seen.of(Built):
        if built.read_back != built.threads or isinstance(built.read_back, bool):
            yield _said(built, f"threads is {built.read_back!r}, {built.threads} asked for")
        for name, value in built.facts.items():
            if not isinstance(value, (str, int, float)):
                yield _said(built, f"facts[{name!r}] is a {type(value).__name__}; facts are str, int, float or bool")


def _warnings(seen: Observation) -> Iterator[str]:
    for warned in seen.of(Warned):
        yield _said(warned, f"warned: {warned.text}")


def _alterations(belonging: Belonging) -> Callable[[Observation], Iterator[str]]:
    def breaches(seen: Observation) -> Iterator[str]:
        for altered in seen.of(Altered):
            if altered.belonging is belonging:
                yield _said(altered, f"{belonging.value}: {altered.change}")

    return breaches


def _compared(answered: Answered, precision: Precision) -> Comparison:
    return compare(answered.actual, answered.references, answered.inputs, Terms(ParityBudget(), precision))


def _lines(found: Comparison) -> tuple[str, ...]:
    hints = (f"hint: {diagnosis.sentence}" for diagnosis in found.diagnoses)
    return (found.sentence, *found.evidence, *hints, *found.notes)


def _said(event: Event, text: str) -> str:
    return f"  {event.sample}, {event.doing.value}: {text}"


PROMISES: tuple[Promise, ...] = (
    Promise("takes-or-refuses", "builds a model, or says in the one line of a BuildError why it can't", _refusals),
    Promise("gives-eagers-form", "returns eager's type, names, shapes and dtypes", _wrong_forms),
    Promise("gives-eagers-answer", "answers as eager does, within the rounding of its precision", _wrong_answers),
    Promise("tells-its-precision", "runs in the precision that it says, not in a finer one", _false_precision),
    Promise("agrees-with-itself", "answers the same call alike, and so does a second load", _disagreements),
    Promise("survives-other-builds", "runs, loads again and builds other weights without an exception", _crashes),
    Promise("accepts-its-own-inputs", "accepts the inputs that it was built for", _rejections),
    Promise("tells-its-threads", "reads back the number of threads that it was given", _wrong_facts),
    Promise("warns-of-nothing", "does not warn in a call, so that suites under -W error pass", _warnings),
    Promise("leaves-the-reference", "does not alter the eager model", _alterations(Belonging.REFERENCE)),
    Promise("leaves-its-inputs", "does not alter the inputs of a call", _alterations(Belonging.INPUTS)),
    Promise("leaves-its-answers", "does not alter an answer once it is given", _alterations(Belonging.ANSWER)),
    Promise("leaves-its-export", "loads from an export without altering it", _alterations(Belonging.EXPORT)),
    Promise("leaves-the-process", "leaves generators, filters, settings alone", _alterations(Belonging.PROCESS)),
    Promise("closes-what-it-opened", "holds no file or thread once it is closed", _alterations(Belonging.MACHINE)),
)
"""All promises, in the order in which a new backend usually comes to keep them."""
