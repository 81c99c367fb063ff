"""Accuracy: paired, exact, and honest about how many items it takes."""

from __future__ import annotations

import functools
import math
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from pytest_cpuaccel.core.budget import AccuracyBudget
from pytest_cpuaccel.core.distribution import binomial_lower, binomial_upper, t_quantile
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.measurement.accuracy import AccuracyMeasurement, PairedScores
from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.accuracy import judge_accuracy
from pytest_cpuaccel.judge.looks import looks
from pytest_cpuaccel.judge.paired import paired_p_value, paired_upper
from pytest_cpuaccel.measure.accuracy import compare_scores
from pytest_cpuaccel.measure.flips import flips
from pytest_cpuaccel.report.facts.result import facts_of


def right_wrong(n, losses=0, gains=0):
    """Scores of the backend and of eager on n items."""
    expected = np.ones(n)
    expected[losses : losses + gains] = 0
    actual = np.ones(n)
    actual[:losses] = 0
    return actual.tolist(), expected.tolist()


def judge(scores, **budget):
    """The verdict, with its facts as reports show them."""
    verdict = judge_accuracy(compare_scores(*scores), AccuracyBudget(**budget), "ort")
    facts = dict(facts_of(Result("Mlp", "ort", "score_items", (verdict,))))
    assert verdict.sentence.startswith("ort: ")
    return SimpleNamespace(
        outcome=verdict.outcome,
        sentence=verdict.sentence.removeprefix("ort: "),
        facts={name.removeprefix("accuracy."): value for name, value in facts.items()},
    )


# Right/wrong scores


def test_equal_scores_pass_once_so_many_items_show_that_the_drop_is_allowed():
    result = judge(right_wrong(360), max_drop=0.01)
    assert result.outcome is Outcome.PASS
    assert result.facts["drop_upper"] == pytest.approx(1 - 0.05 ** (1 / 360))
    few = judge(right_wrong(20), max_drop=0.01)
    assert few.outcome is Outcome.INCONCLUSIVE
    assert "95 % upper bound 0.139" in few.sentence
    assert few.sentence.endswith('needs about 280 more items (or of="these" if these items are all there is)')


@pytest.mark.parametrize("allowed", [0.001, 0.01, 0.05, 0.3])
@pytest.mark.parametrize("graded", [False, True])
def test_the_number_of_items_that_are_said_to_be_missing_is_enough_and_not_many_fewer_are(allowed, graded):
    def equal(n):
        scores = [0.7] * n if graded else [1] * n
        return judge((scores, scores), max_drop=allowed)

    few = equal(4)
    assert few.outcome is Outcome.INCONCLUSIVE
    assert few.facts["drop_upper"] > allowed
    needed = 4 + int(few.facts["more_items"])
    assert equal(needed).outcome is Outcome.PASS
    assert equal(needed).facts["drop_upper"] <= allowed
    assert equal(needed - 1).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("gains", [0, 1, 7])
@pytest.mark.parametrize("losses", [0, 1, 4, 30])
def test_what_right_wrong_scores_are_said_to_show_never_contradicts_their_bounds(losses, gains):
    for n in (40, 200, 1000):
        for allowed in (0.0, 0.01, 0.03, 0.1):
            result = judge(right_wrong(n, losses, gains), max_drop=allowed)
            assert (result.outcome is Outcome.PASS) is (result.facts["drop_upper"] <= allowed)
            assert (result.outcome is Outcome.FAIL) is (result.facts["drop_lower"] > allowed)


def test_one_lost_item_of_few_is_inconclusive_and_says_how_many_more():
    result = judge(right_wrong(360, losses=1), max_drop=0.01)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert re.search(r"needs about \d+ more items", result.sentence)
    assert "1 lost, 0 gained" in result.sentence
    more = int(result.facts["more_items"])
    assert 20 < more < 1000


def test_a_small_drop_on_many_items_passes_and_a_large_one_fails():
    kept = judge(right_wrong(2000, losses=8, gains=5), max_drop=0.01)
    assert kept.outcome is Outcome.PASS
    assert kept.facts["drop_upper"] <= 0.01
    broken = judge(right_wrong(500, losses=30, gains=2), max_drop=0.01)
    assert broken.outcome is Outcome.FAIL
    assert broken.facts["drop_lower"] > 0.01
    assert "allowed 0.01" in broken.sentence


def test_no_drop_allowed_is_kept_by_gains():
    assert judge(right_wrong(200, losses=1, gains=12), max_drop=0.0).outcome is Outcome.PASS
    assert judge(right_wrong(200, losses=3, gains=3), max_drop=0.0).outcome is Outcome.INCONCLUSIVE


def test_bools_are_right_wrong_scores():
    result = judge(([True, False] * 50, [True, True] * 50), max_drop=0.1)
    assert result.outcome is Outcome.FAIL
    assert result.facts["lost_items"] == 50
    assert result.facts["figure"] == "0.500 (eager 1.000)"


def test_without_gains_the_bound_is_the_exact_binomial_one():
    assert paired_upper(0, 0, 360, 0.05) == pytest.approx(binomial_upper(0, 360, 0.05), abs=2e-4)


def test_at_zero_drop_the_test_agrees_with_mcnemars():
    exact_conditional = sum(math.comb(20, wins) for wins in range(4)) / 2**20
    assert paired_p_value(3, 17, 400, 0.0) == pytest.approx(exact_conditional, rel=1)


@pytest.mark.parametrize(("gain_rate", "n"), [(0.0, 100), (0.02, 100), (0.1, 60), (0.05, 150)])
def test_a_wrong_pass_and_a_wrong_fail_are_rarer_than_five_percent(gain_rate, n):
    """Drawn at the limit itself, where both tests err most; 6 % leaves room for the draw."""
    limit = 0.05
    loss_rate = gain_rate + limit
    rng = np.random.default_rng(0)
    tables = rng.multinomial(n, [loss_rate, gain_rate, 1 - loss_rate - gain_rate], size=1000)
    seen, counts = np.unique(tables[:, :2], axis=0, return_counts=True)
    seen = np.column_stack([seen, counts]).tolist()
    passed = sum(times for b, c, times in seen if paired_p_value(b, c, n, limit) <= 0.05)
    failed = sum(times for b, c, times in seen if paired_p_value(c, b, n, -limit) <= 0.05)
    assert passed / 1000 < 0.06
    assert failed / 1000 < 0.06


# Graded scores


def test_graded_scores_are_compared_item_by_item():
    rng = np.random.default_rng(1)
    expected = rng.uniform(0.2, 0.9, 600)
    kept = judge(((expected - 0.001 + rng.normal(0, 0.01, 600)).tolist(), expected.tolist()), max_drop=0.01)
    assert kept.outcome is Outcome.PASS
    assert kept.facts["drop"] == pytest.approx(0.001, abs=0.002)
    broken = judge(((expected - 0.05).tolist(), expected.tolist()), max_drop=0.01)
    assert broken.outcome is Outcome.FAIL
    unclear = judge(((expected + rng.normal(0, 0.3, 600)).tolist(), expected.tolist()), max_drop=0.01)
    assert unclear.outcome is Outcome.INCONCLUSIVE
    assert unclear.facts["more_items"] > 400


def test_one_graded_item_shows_nothing():
    assert judge(([0.5], [0.51]), max_drop=0.1).outcome is Outcome.INCONCLUSIVE
    assert judge(([0.51], [0.51]), max_drop=0.1).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("scale", [1, 100, -5])
@pytest.mark.parametrize(
    "drops",
    [[0.0] * 4, [1e-9] * 4, [0.0, 0.0, 0.0, 1e-6], [-0.001] * 4, [0.0] * 20, [0.2] * 4, [0.2, 0.2, 0.2, 0.2001]],
)
def test_a_few_graded_items_show_nothing_however_little_they_scatter(scale, drops):
    expected = [0.8 * scale] * len(drops)
    actual = [score - drop * abs(scale) for score, drop in zip(expected, drops, strict=True)]
    assert judge((actual, expected), max_drop=0.01 * abs(scale)).outcome is Outcome.INCONCLUSIVE


def test_rare_losses_of_graded_items_pass_wrongly_no_more_often_than_stated():
    """One item in 48 loses all of its score; samples of 150 show three, and a t interval would pass 19 % wrongly."""
    rng = np.random.default_rng(5)
    outcomes = []
    for _ in range(300):
        expected = rng.uniform(0.99, 1, 150)
        actual = np.where(rng.random(150) < 0.021, 0.0, expected)
        outcomes.append(judge((actual.tolist(), expected.tolist()), max_drop=0.02).outcome)
    assert outcomes.count(Outcome.PASS) / 300 <= 0.05


def test_many_graded_items_whose_drop_is_constant_are_decided():
    expected = np.linspace(0.3, 0.9, 500)
    assert judge(((expected - 0.001).tolist(), expected.tolist()), max_drop=0.01).outcome is Outcome.PASS
    assert judge(((expected - 0.05).tolist(), expected.tolist()), max_drop=0.01).outcome is Outcome.FAIL


# The given items alone


@pytest.mark.parametrize(
    ("losses", "gains", "outcome"),
    [(0, 0, Outcome.PASS), (1, 0, Outcome.PASS), (2, 0, Outcome.FAIL), (4, 3, Outcome.PASS)],
)
def test_of_these_items_a_drop_is_counted_and_nothing_inferred(losses, gains, outcome):
    result = judge(right_wrong(100, losses, gains), max_drop=0.01, of="these")
    assert result.outcome is outcome
    assert f"dropped by {(losses - gains) / 100:.3g} on these 100 items" in result.sentence
    assert f"({losses} scored lower, {gains} higher), allowed 0.01" in result.sentence
    assert "bound" not in result.sentence
    assert "drop_upper" not in result.facts


def test_of_these_items_graded_scores_and_least_scores_are_held_too():
    graded = [0.5, 0.6, 0.7], [0.52, 0.6, 0.7]
    assert judge(graded, max_drop=0.01, of="these").outcome is Outcome.PASS
    assert judge(graded, max_drop=0.001, of="these").outcome is Outcome.FAIL
    assert judge(graded, min_score=0.6, of="these").outcome is Outcome.PASS
    failed = judge(graded, min_score=0.605, of="these")
    assert failed.outcome is Outcome.FAIL
    assert failed.sentence == "scored 0.6 on these 3 items, at least 0.605 wanted"


@pytest.mark.parametrize("n", [4, 7, 30, 300, 1000])
def test_of_these_items_a_drop_as_large_as_allowed_is_allowed(n):
    for lost in (1, 2, 3):
        assert judge(right_wrong(n, losses=lost), max_drop=lost / n, of="these").outcome is Outcome.PASS
        kept = [1] * (n - lost) + [0] * lost
        assert judge((kept, kept), min_score=(n - lost) / n, of="these").outcome is Outcome.PASS


def test_graded_verdicts_at_the_limit_are_wrong_five_times_in_a_hundred():
    rng = np.random.default_rng(2)
    outcomes = []
    for _ in range(300):
        drops = 0.05 + rng.laplace(0, 0.1, 80)
        outcomes.append(judge((list(0.9 - drops), [0.9] * 80), max_drop=0.05).outcome)
    assert outcomes.count(Outcome.PASS) / 300 < 0.08
    assert outcomes.count(Outcome.FAIL) / 300 < 0.08


# Least score


@pytest.mark.parametrize(("right", "outcome"), [(96, Outcome.PASS), (91, Outcome.INCONCLUSIVE), (80, Outcome.FAIL)])
def test_a_least_score_is_held_to_the_exact_binomial_bounds(right, outcome):
    result = judge(([1] * right + [0] * (100 - right), [1] * 100), min_score=0.9)
    assert result.outcome is outcome
    assert "at least 0.9 wanted" in result.sentence
    assert ("more items" in result.sentence) is (outcome is Outcome.INCONCLUSIVE)


def test_a_least_graded_score_is_held_to_its_interval():
    scores = np.random.default_rng(3).normal(0.8, 0.05, 100).tolist()
    better = [score + 0.1 for score in scores]
    assert judge((scores, scores), min_score=0.75).outcome is Outcome.PASS
    assert judge((scores, better), min_score=0.85).outcome is Outcome.FAIL


def test_both_promises_are_kept_or_the_broken_one_is_told():
    scores = right_wrong(1000)
    both = judge(scores, max_drop=0.01, min_score=0.9)
    assert both.outcome is Outcome.PASS
    assert "no drop" in both.sentence
    assert "scored 1 on 1000 items" in both.sentence
    broken = judge(([1.0] * 897 + [0.0] * 103, [1.0] * 1000), max_drop=0.2, min_score=0.95)
    assert broken.outcome is Outcome.FAIL
    assert "dropped" not in broken.sentence


def test_a_result_on_the_limit_says_that_no_number_of_items_decides():
    result = judge(([1, 0] * 20, [1, 0] * 20), min_score=0.5)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "no number of items decides" in result.sentence
    assert 'or of="these"' in result.sentence
    assert "no number of items decides" in judge(right_wrong(300), max_drop=0.0).sentence


# Looking early


@pytest.mark.parametrize("items", [1, 64, 100, 2000, 12345])
@pytest.mark.parametrize("batch", [1, 32, 5000])
def test_the_looks_share_the_level_and_end_with_whole_batches(items, batch):
    plan = looks(items, batch)
    assert sum(look.alpha for look in plan) == pytest.approx(0.05)
    counts = [look.items for look in plan]
    assert counts == sorted(set(counts))
    assert counts[-1] == items
    assert all(count % batch == 0 for count in counts[:-1])
    assert counts[0] >= min(items, 64)


@pytest.mark.parametrize("gain_rate", [0.0, 0.03])
def test_looking_early_makes_no_more_wrong_verdicts(gain_rate):
    """At the limit itself; 6 % leaves room for the draw."""
    limit, plan, p_value = 0.08, looks(100), functools.cache(paired_p_value)
    rng = np.random.default_rng(7)
    outcomes = []
    for _ in range(400):
        drawn = rng.random(100)
        losses, gains = np.cumsum(drawn < gain_rate + limit), np.cumsum(drawn > 1 - gain_rate)
        seen = [(int(losses[look.items - 1]), int(gains[look.items - 1]), look.items, look.alpha) for look in plan]
        kept = any(p_value(lost, gained, n, limit) <= alpha for lost, gained, n, alpha in seen)
        broken = any(p_value(gained, lost, n, -limit) <= alpha for lost, gained, n, alpha in seen)
        outcomes.append((kept, broken))
    assert sum(kept for kept, _ in outcomes) / 400 < 0.06
    assert sum(broken for _, broken in outcomes) / 400 < 0.06


def test_a_smaller_level_asks_for_more_items():
    measurement = compare_scores(*right_wrong(310))
    assert judge_accuracy(measurement, AccuracyBudget(max_drop=0.01), "ort").outcome is Outcome.PASS
    strict = judge_accuracy(measurement, AccuracyBudget(max_drop=0.01), "ort", 0.04)
    assert strict.outcome is Outcome.INCONCLUSIVE
    assert "needs about 31 more items" in strict.sentence


# Items that flipped


def flipped(scores, names=("right", "wrong")):
    answers = [names[1 - int(score)] for score in scores[0]], [names[1 - int(score)] for score in scores[1]]
    return flips(PairedScores(*map(tuple, scores)), range(len(scores[0])), *answers)


def test_a_failing_verdict_lists_ten_items_that_flipped_those_lost_first():
    scores = right_wrong(400, losses=30, gains=2)
    measurement = replace(compare_scores(*scores), flipped=flipped(scores))
    verdict = judge_accuracy(measurement, AccuracyBudget(max_drop=0.01), "ort")
    assert verdict.outcome is Outcome.FAIL
    assert verdict.evidence[0] == "item 0 lost: eager answered 'right', ort 'wrong'"
    assert verdict.evidence[10] == "22 more items flipped; a JSON report has them all"
    assert len(verdict.evidence) == 11
    few = replace(measurement, flipped=measurement.flipped[-2:])
    assert judge_accuracy(few, AccuracyBudget(max_drop=0.01), "ort").evidence == (
        "item 30 gained: eager answered 'wrong', ort 'right'",
        "item 31 gained: eager answered 'wrong', ort 'right'",
    )
    assert judge_accuracy(measurement, AccuracyBudget(max_drop=0.5), "ort").evidence == ()


def test_graded_items_flip_by_half_of_their_scale():
    scores = PairedScores((0.9, 0.2, 0.4), (0.9, 0.9, 0.8))
    assert [flip.item for flip in flips(scores, [5, 7, 9], [None] * 3, [None] * 3)] == [7]
    hundred = PairedScores((90.0, 20.0, 40.0), (90.0, 90.0, 80.0))
    assert [flip.item for flip in flips(hundred, [5, 7, 9], [None] * 3, [None] * 3)] == [7]


# A metric over all items


def judge_metric(drops, items, score=0.8, **budget):
    """The verdict on a metric of this value, that lost ``drops`` over resampled items."""
    drops = np.asarray(drops)
    scores = PairedScores(tuple(score - drops), (score,) * len(drops))
    drop = float(np.nanmean(drops))
    measurement = AccuracyMeasurement(items, score - drop, score, drop, scores, metric="F1")
    return judge_accuracy(measurement, AccuracyBudget(**budget), "ort")


def test_equal_answers_of_few_items_show_nothing_of_a_metric():
    assert judge_metric([0.0] * 999, 40, max_drop=0.01).outcome is Outcome.INCONCLUSIVE
    kept = judge_metric([0.0] * 999, 299, max_drop=0.01)
    assert kept.outcome is Outcome.PASS
    assert kept.sentence.startswith("ort: F1 dropped by 0, from 0.8 to 0.8 (95 % bounds -0.00997 and 0.00997; 299 ")


def test_a_metric_is_held_to_the_bounds_that_its_resamples_show():
    spread = np.linspace(0.02, 0.08, 999)
    assert judge_metric(spread, 5000, max_drop=0.1).outcome is Outcome.PASS
    assert judge_metric(spread, 5000, max_drop=0.01).outcome is Outcome.FAIL
    unclear = judge_metric(spread, 5000, max_drop=0.06)
    assert unclear.outcome is Outcome.INCONCLUSIVE
    assert "more items" in unclear.sentence
    assert judge_metric(spread, 5000, min_score=0.7).outcome is Outcome.PASS
    assert judge_metric(spread, 5000, min_score=0.79).outcome is Outcome.FAIL


def test_a_metric_that_many_resamples_leave_undefined_is_not_decided():
    some = np.where(np.arange(999) % 30 == 0, math.nan, 0.0)
    verdict = judge_metric(some, 5000, max_drop=0.1)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "leave it undefined" in verdict.sentence


@pytest.mark.parametrize(("allowed", "outcome"), [(0.05, Outcome.PASS), (0.04, Outcome.FAIL)])
def test_of_these_items_a_metric_is_compared_and_nothing_inferred(allowed, outcome):
    measurement = AccuracyMeasurement(10, 0.75, 0.8, 0.05, metric="F1")
    verdict = judge_accuracy(measurement, AccuracyBudget(max_drop=allowed, of="these"), "ort")
    assert verdict.outcome is outcome
    assert verdict.sentence == f"ort: F1 dropped by 0.05, from 0.8 to 0.75, on these 10 items, allowed {allowed}"
    with pytest.raises(UsageError, match="values of F1 lie between 0 and 1 here, so that 1 would allow any drop"):
        judge_accuracy(measurement, AccuracyBudget(max_drop=1.0, of="these"), "ort")


# Mistakes


@pytest.mark.parametrize(
    ("actual", "expected", "message"),
    [
        ([], [], "no scores from the backend"),
        ([1.0], [1.0, 0.0], "1 scores from the backend and 2 from eager"),
        ([1.0, math.nan], [1.0, 1.0], "item 1 scored nan under the backend"),
        ([1.0], [math.inf], "item 0 scored inf under eager"),
        (["good"], [1.0], "is no number"),
    ],
)
def test_unusable_scores_are_a_usage_error_of_one_line(actual, expected, message):
    with pytest.raises(UsageError, match=message) as error:
        judge((actual, expected), max_drop=0.01)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("scores", [[1, 0, 1], [True, True, False], [0.2, 0.9, 1.0]])
@pytest.mark.parametrize("of", [None, "these"])
def test_a_drop_that_any_score_keeps_is_refused(scores, of):
    with pytest.raises(UsageError, match=r'1 would allow any drop; write "1%" or 0.01'):
        judge((scores, scores), max_drop=1.0, of=of)
    with pytest.raises(UsageError, match="would allow any drop"):
        judge((scores, scores), max_drop=5.0, of=of)


def test_a_drop_of_one_point_of_a_hundred_is_no_mistake():
    rng = np.random.default_rng(6)
    scores = rng.uniform(20, 40, 400)
    worse = scores - 0.3 + rng.normal(0, 0.5, 400)
    assert judge((worse.tolist(), scores.tolist()), max_drop=1.0).outcome is Outcome.PASS


@pytest.mark.parametrize(("least", "words"), [(90, "never reach 90; write 0.9 for 90 %"), (0, "0 would allow any")])
def test_a_least_score_that_right_wrong_scores_always_or_never_reach_is_refused(least, words):
    with pytest.raises(UsageError, match=words):
        judge(([1, 0, 1], [1, 1, 1]), min_score=least)


@pytest.mark.parametrize("of", [None, "these"])
def test_what_eager_itself_misses_is_told_and_blames_no_backend(of):
    few, most = [1] * 30 + [0] * 70, [1] * 90 + [0] * 10
    graded = [0.6 * score + 0.1 for score in few]
    for scores in ((few, few), (graded, graded), ([0] * 100, few)):
        with pytest.raises(
            UsageError, match=r"\(min_score=\): eager itself scores 0\.\d+.*, at least 0.8 wanted: no back"
        ):
            judge(scores, min_score=0.8, of=of)
    assert judge((most, few), min_score=0.8, of=of).outcome is Outcome.PASS
    with pytest.raises(UsageError, match=r"eager itself scores 0\.7"):
        judge_metric([0.0] * 999, 5000, 0.7, min_score=0.8, of=of)


def test_a_backend_fails_where_eager_seems_to_miss_a_score_only_if_it_is_worse_than_eager():
    eager = [1] * 86 + [0] * 14
    as_good = judge(([1] * 83 + [0] * 17, eager), min_score=0.9)
    assert as_good.outcome is Outcome.INCONCLUSIVE
    assert "; eager itself scores 0.86, so that it need not be the backend's doing" in as_good.sentence
    assert judge(([1] * 40 + [0] * 60, eager), min_score=0.9).outcome is Outcome.FAIL


HUNDRED = np.linspace(70, 99, 60)


@pytest.mark.parametrize(
    ("actual", "expected", "budget", "words"),
    [
        (
            [0.2, 0.9, 0.7],
            [0.3, 0.9, 0.7],
            {"min_score": 90},
            "scores lie between 0 and 1 here and never reach 90; write 0.9",
        ),
        (
            [-0.1, 0.9, 0.7],
            [0.3, 0.9, 0.7],
            {"min_score": 90},
            "lie between -1 and 1 here and never reach 90; write 0.9",
        ),
        ([0.2, 0.9, 0.7], [0.3, 0.9, 0.7], {"min_score": 900}, "never reach 900; write 0.9 for 90 %"),
        (
            HUNDRED,
            HUNDRED,
            {"min_score": 0.8},
            "eager's is 84.5, so that 0.8 would allow nearly any; write 80 for 80 %",
        ),
        (HUNDRED - 0.5, HUNDRED, {"max_drop": 0.01}, 'where 0.01 is 0.01 of 100; write "1 point" for 1 %'),
        ([-0.1, 0.5, 0.7], [0.3, 0.9, 0.7], {"max_drop": 5.0}, "lie between -1 and 1 here, so that 5 would allow any"),
    ],
)
@pytest.mark.parametrize("of", [None, "these"])
def test_a_percentage_of_fractions_and_a_fraction_of_percentages_are_told(actual, expected, budget, words, of):
    with pytest.raises(UsageError) as mistake:
        judge((list(actual), list(expected)), of=of, **budget)
    assert words in str(mistake.value)
    assert "\n" not in str(mistake.value)


def test_percentages_are_held_to_percentages():
    assert (
        judge(((HUNDRED - 0.5).tolist(), HUNDRED.tolist()), min_score=80, max_drop=1.0, of="these").outcome
        is Outcome.PASS
    )
    assert judge(((HUNDRED - 20).tolist(), HUNDRED.tolist()), max_drop=0.01).outcome is Outcome.FAIL
    with pytest.raises(
        UsageError, match=r"values of F1 lie between 0 and 1 here and never reach 90; write 0\.9 for 90 %"
    ):
        judge_metric([0.0] * 999, 5000, 0.85, min_score=90)


def test_a_budget_that_promises_nothing_is_a_usage_error():
    with pytest.raises(UsageError, match="give max_drop= or min_score="):
        judge(([1], [1]))


# Distributions, against published tables


def test_quantiles_and_bounds_agree_with_the_tables():
    assert t_quantile(0.05, 1) == pytest.approx(6.3138, abs=1e-4)
    assert t_quantile(0.05, 10) == pytest.approx(1.8125, abs=1e-4)
    assert t_quantile(0.025, 120) == pytest.approx(1.9799, abs=1e-4)
    assert t_quantile(0.005, 3) == pytest.approx(5.8409, abs=1e-4)
    assert t_quantile(0.001, 6) == pytest.approx(5.2076, abs=1e-4)
    assert t_quantile(0.0005, 22) == pytest.approx(3.7921, abs=1e-4)
    assert t_quantile(0.005, 3.5) == pytest.approx(5.0857, abs=1e-4)
    assert binomial_lower(8, 10, 0.025) == pytest.approx(0.4439, abs=1e-4)
    assert binomial_upper(8, 10, 0.025) == pytest.approx(0.9748, abs=1e-4)
    assert binomial_lower(0, 10, 0.05) == 0
    assert binomial_upper(10, 10, 0.05) == 1
