"""Generated tokens."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest
import torch

from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.tolerance_lock import Lock
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.parity.generation import judge_generation, terms_of_logits
from pytest_cpuaccel.judge.parity.questions import questions
from pytest_cpuaccel.measure.parity.forced_logits import ForcedLogits
from pytest_cpuaccel.measure.parity.generation import Generation
from pytest_cpuaccel.measure.parity.hypotheses import Preference, Scoring, preferences
from tests.unit.parity.shown import facts

PROMPT, LENGTH, VOCABULARY = 3, 9, 20


def scored(seed=0, rows=2):
    """Exact logits, and the tokens that a greedy eager would have chosen by them after a prompt."""
    exact = torch.randn(rows, LENGTH, VOCABULARY, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    ids = torch.ones(rows, LENGTH, dtype=torch.int64)
    ids[:, PROMPT:] = exact[:, PROMPT - 1 : -1].argmax(-1)
    return exact, ids


def nearly_tied(gap):
    """As ``scored``, where the second best token of row 1's position 5 is ``gap`` below the best."""
    exact, ids = scored()
    best, second = exact[1, 4].topk(2).indices.tolist()
    exact[1, 4, second] = exact[1, 4, best] - gap
    other = ids.clone()
    other[1, 5] = second
    other[1, 6:] = 7
    return exact, ids, other


def judge(
    actual, expected, exact, *, actual_logits=None, precision="fp32", prompt=PROMPT, rounding=None, lock=None, **given
):
    logits = ForcedLogits(exact.float(), exact, rounding, actual_logits)
    found = Generation(actual, expected, prompt, logits, Precision(precision), **given)
    terms = terms_of_logits(Precision(precision), lock)
    return judge_generation(found.measure(partial(questions, terms=terms)), terms)


def test_equal_tokens_pass_bare_or_in_an_output():
    exact, ids = scored()
    result = judge(ids, SimpleNamespace(sequences=ids), exact)
    assert result.outcome is Outcome.PASS
    assert result.figure == "12 of 12 tokens"
    assert judge(SimpleNamespace(sequences=ids), ids, exact).outcome is Outcome.PASS


def test_a_near_tie_passes_and_says_so():
    exact, ids, other = nearly_tied(gap=1e-7)
    result = judge(other, ids, exact)
    assert result.outcome is Outcome.PASS
    assert "near-tie" in result.sentence
    assert facts(result)["first_divergent_position"] == 5


def test_a_token_that_eager_clearly_preferred_fails_with_position_tokens_margin_and_bound():
    exact, ids, other = nearly_tied(gap=0.25)
    result = judge(other, ids, exact, actual_logits=exact.float())
    assert result.outcome is Outcome.FAIL
    assert f"token 5 of row 1 is {other[1, 5]}, eager's is {ids[1, 5]}" in result.sentence
    assert "prefers by 0.25" in result.sentence
    assert facts(result)["margin"] == pytest.approx(0.25, abs=1e-6)
    assert 0 < facts(result)["margin_bound"] < 1e-4
    assert facts(result)["kl_nats"] == pytest.approx(0, abs=1e-9)
    assert facts(result)["forced_agreement"] == 1


def test_both_margins_are_told_and_a_loop_that_contradicts_its_own_logits_is_seen():
    exact, ids, other = nearly_tied(gap=0.25)
    logits = exact.float()
    contradicted = judge(other, ids, exact, actual_logits=logits)
    assert "in one call over these tokens the backend prefers eager's too, by 0.25" in contradicted.sentence
    assert facts(contradicted)["actual_margin"] == pytest.approx(-0.25, abs=1e-6)
    assert facts(contradicted)["top5_agreement"] == 1
    swayed = logits.clone()
    swayed[1, 4, other[1, 5]] += 1
    convinced = judge(other, ids, exact, actual_logits=swayed)
    assert "the backend prefers its own by 0.75" in convinced.sentence
    assert facts(convinced)["actual_margin"] == pytest.approx(0.75, abs=1e-6)
    assert "actual_margin" not in facts(judge(other, ids, exact))


def test_the_five_best_tokens_are_compared_as_a_set():
    exact, ids = scored(rows=1)
    logits = exact.float().clone()
    fifth, sixth = logits[0, 4].topk(6).indices[4:].tolist()
    logits[0, 4, [fifth, sixth]] = logits[0, 4, [sixth, fifth]]
    first, second = logits[0, 5].topk(2).indices.tolist()
    logits[0, 5, [first, second]] = logits[0, 5, [second, first]]
    told = facts(judge(ids, ids, exact, actual_logits=logits))
    assert told["top5_agreement"] == pytest.approx(1 - 1 / (5 * (LENGTH - PROMPT)))
    assert told["forced_agreement"] == pytest.approx(1 - 1 / (LENGTH - PROMPT))


def test_every_row_must_be_a_near_tie():
    exact, ids, other = nearly_tied(gap=1e-7)
    other[0, 4] = (ids[0, 4] + 1) % VOCABULARY
    result = judge(other, ids, exact)
    assert result.outcome is Outcome.FAIL
    assert facts(result)["first_divergent_row"] == 0


@pytest.mark.parametrize(("precision", "gap"), [("bf16", 0.25), ("int8", 0.01)])
def test_in_lower_precision_the_logits_over_eagers_tokens_decide(precision, gap):
    exact, ids, other = nearly_tied(gap)
    noise = torch.randn(exact.shape, generator=torch.Generator().manual_seed(5))
    kept = judge(
        other,
        ids,
        exact,
        actual_logits=(exact + 0.01 * noise).float(),
        precision=precision,
        rounding=exact.bfloat16().float(),
    )
    assert kept.outcome is Outcome.PASS
    assert "of 12 tokens, " in kept.figure
    assert (" clear, " in kept.figure) is (precision == "int8")
    assert "sqnr_db" in facts(kept)
    broken = judge(
        other, ids, exact, actual_logits=(exact + noise).float(), precision=precision, rounding=exact.bfloat16().float()
    )
    assert broken.outcome is Outcome.FAIL
    assert facts(broken)["kl_nats"] > 0.05


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_in_lower_precision_without_logits_a_wider_margin_is_a_tie(precision):
    exact, ids, other = nearly_tied(gap=0.1)
    assert judge(other, ids, exact, precision=precision).outcome is Outcome.PASS
    assert judge(other, ids, exact).outcome is Outcome.FAIL


def test_where_eager_sampled_the_logits_decide():
    exact, ids = scored()
    sampled = ids.clone()
    sampled[0, 4] = exact[0, 3].argmin()
    other = sampled.clone()
    other[0, 4] = exact[0, 3].argmax()
    assert judge(other, sampled, exact, actual_logits=exact.float()).outcome is Outcome.PASS
    assert judge(other, sampled, exact, actual_logits=exact.float() * 1.1).outcome is Outcome.FAIL
    assert judge(other, sampled, exact).outcome is Outcome.FAIL


def test_a_beam_search_is_judged_by_whole_texts():
    exact, ids, other = nearly_tied(gap=0.25)
    near = judge(other, ids, exact, preferences=(Preference(0, 0), Preference(-1e-7, 1e-6, 1e-7)))
    assert near.outcome is Outcome.PASS
    assert "a near-tie: token 5 of row 1" in near.sentence
    clear = judge(other, ids, exact, preferences=(Preference(0, 0), Preference(0.1, 1e-6, 0.2)))
    assert clear.outcome is Outcome.FAIL
    assert "eager scores its hypothesis 0.1 above the backend's; rounding explains 1e-06" in clear.sentence
    assert "the backend scores its own 0.2 above eager's" in clear.sentence
    assert facts(clear)["margin"] == 0.1
    missed = judge(other, ids, exact, preferences=(Preference(0, 0), Preference(0.1, 1e-6, -0.1)))
    assert "in one call over each the backend scores eager's higher too, by 0.1" in missed.sentence
    better = Preference(-0.1, 1e-6, 0.1)
    found = judge(other, ids, exact, actual_logits=exact.float(), preferences=(Preference(0, 0), better))
    assert found.outcome is Outcome.PASS
    assert "which its search did not find" in found.evidence[0]


def test_a_hypothesis_is_scored_up_to_its_end_and_over_its_length():
    exact, ids = scored(rows=1)
    ids[0, 5] = 19
    logits = ForcedLogits(exact.float(), exact)
    scoring = Scoring(PROMPT, frozenset({19}), length_penalty=2.0)
    steps = exact[0].log_softmax(-1)
    sums = sum(float(steps[at - 1, ids[0, at]]) for at in range(PROMPT, 6))
    assert scoring.scores(exact, ids) == pytest.approx([sums / 3**2])
    longer = ids.clone()
    longer[0, 7] = 7
    assert scoring.scores(exact, longer) == scoring.scores(exact, ids)
    (bound,) = scoring.bounds(logits, ids, Precision.FP32)
    assert 0 < bound < 1e-4
    (same,) = preferences(scoring, (ids, logits), (longer, logits), Precision.FP32)
    assert (same.margin, same.bound, same.actual_margin) == (0, 2 * bound, None)


def test_an_encoder_decoders_first_token_is_given():
    exact = scored()[0]
    ids = torch.zeros(2, LENGTH, dtype=torch.int64)
    ids[:, 1:] = exact[:, :-1].argmax(-1)
    assert judge(ids, ids, exact, prompt=0).figure == "16 of 16 tokens"
    other = ids.clone()
    other[1, 0] = 3
    assert "given and not generated" in judge(other, ids, exact, prompt=0).sentence


def test_another_number_of_rows_or_tokens_fails():
    exact, ids = scored()
    assert "shape (1, 9)" in judge(ids[:1], ids, exact).sentence
    assert "7 tokens were returned, by eager 9" in judge(ids[:, :7], ids, exact).sentence
    longer = torch.cat([ids, ids], 1)
    longer[0, 4] = (ids[0, 4] + 1) % VOCABULARY
    assert judge(longer, ids, exact).outcome is Outcome.FAIL
    assert judge(longer[:, :7], ids, exact).outcome is Outcome.FAIL


def test_no_generated_token_is_nothing_compared():
    exact, ids = scored()
    assert "nothing was compared" in judge(ids[:, :PROMPT], ids[:, :PROMPT], exact).sentence


def decoded(noise, sharp=1.0, seed=0):
    """Logits over eager's tokens, the same with int8 rounding, and a backend's that are off by ``noise`` times that."""
    exact, ids = scored(seed)
    exact = exact * sharp
    others = (torch.randn(exact.shape, generator=torch.Generator().manual_seed(number)) for number in (1, 2))
    rounding, actual = (exact + size * 0.02 * other for size, other in zip((1, noise), others, strict=True))
    return exact, ids, rounding.float(), actual.float()


def first_near_tie(exact, ids, rounding, actual):
    """Logits and tokens where the first choice is a near-tie that the backend decides otherwise, and goes on from."""
    best, second = exact[:, PROMPT - 1].topk(2).indices.T
    rows = torch.arange(len(exact))
    apart = exact[rows, PROMPT - 1, best] - exact[rows, PROMPT - 1, second]
    for side, shift in ((exact, 1e-3), (rounding, 1e-3), (actual, -1e-3)):
        side[rows, PROMPT - 1, second] += (apart - shift).to(side.dtype)
    other = ids.clone()
    other[:, PROMPT] = second
    other[:, PROMPT + 1 :] = (ids[:, PROMPT + 1 :] + 1) % VOCABULARY
    return other


def test_an_int8_decoder_whose_clear_tokens_agree_passes_after_a_near_tie():
    exact, ids, rounding, actual = decoded(1.5)
    other = first_near_tie(exact, ids, rounding, actual)
    result = judge(other, ids, exact, actual_logits=actual, precision="int8", rounding=rounding)
    assert result.outcome is Outcome.PASS
    assert result.sentence.startswith("0 of 12 tokens agree; over eager's own tokens ")
    assert "that are no near-ties; 'logits'" in result.sentence
    assert facts(result)["clear_tokens"] == facts(result)["clear_agreeing"] > 2


def test_an_int8_decoder_none_of_whose_tokens_are_told_apart_is_not_called_right():
    level = torch.where(torch.arange(VOCABULARY) < 10, 1.0, -1.0).double()
    exact, ids, rounding, actual = decoded(1.5)
    exact, rounding, actual = (side + level - 0.999 * exact for side in (exact, rounding, actual))
    ids[:, PROMPT:] = exact[:, PROMPT - 1 : -1].argmax(-1)
    other = ids.clone()
    other[:, PROMPT:] = actual[:, PROMPT - 1 : -1].argmax(-1)
    other[:, PROMPT:] = torch.where(other == ids, (ids + 1) % 10, other)[:, PROMPT:]
    found = judge(other, ids, exact, actual_logits=actual.float(), precision="int8", rounding=rounding.float())
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "0 of 12 tokens agree" in found.sentence
    assert "all are near-ties; that says little for the answer; 'logits'" in found.sentence


def test_an_int8_decoder_that_misses_clear_tokens_fails_where_its_logits_alone_would_not():
    exact, ids, rounding, actual = decoded(1.0, sharp=3.0)
    best = exact.argmax(-1, keepdim=True)
    dropped = actual.scatter(-1, best, exact.topk(2).values[..., 1:].float() - 0.01)
    other = torch.where(torch.arange(LENGTH) < PROMPT, ids, (ids + 1) % VOCABULARY)
    found = judge(other, ids, exact, actual_logits=dropped, precision="int8", rounding=rounding)
    assert found.outcome is Outcome.FAIL
    assert "that are no near-ties" in found.sentence


def test_an_int8_loop_that_contradicts_its_own_clear_logits_fails():
    exact, ids, rounding, actual = decoded(1.0)
    other = torch.where(torch.arange(LENGTH) < PROMPT, ids, (ids + 1) % VOCABULARY)
    found = judge(other, ids, exact, actual_logits=actual, precision="int8", rounding=rounding)
    assert found.outcome is Outcome.FAIL
    assert "in 2 rows its loop took a token that they are clearly against" in found.sentence
    of_one_row = torch.cat([ids[:1], other[1:]])
    found = judge(of_one_row, ids, exact, actual_logits=actual, precision="int8", rounding=rounding)
    assert found.outcome is Outcome.INCONCLUSIVE


def test_int8_tokens_that_were_drawn_contradict_nothing():
    exact, ids, rounding, actual = decoded(1.0)
    drawn, other = ids.clone(), ids.clone()
    drawn[:, 6] = exact[:, 5].topk(2).indices[:, 1]
    other[:, 5:] = (ids[:, 5:] + 1) % VOCABULARY
    found = judge(other, drawn, exact, actual_logits=actual, precision="int8", rounding=rounding, is_sampled=True)
    assert found.outcome is Outcome.PASS


def test_an_int8_loop_that_its_own_logits_are_hardly_against_contradicts_nothing():
    exact, ids, rounding, actual = decoded(1.0)
    other = ids.clone()
    other[:, 5] = exact[:, 4].topk(2).indices[:, 1]
    for row, second in enumerate(other[:, 5].tolist()):
        for side, behind in ((exact, 1.0), (rounding, 1.0), (actual, 0.01)):
            side[row, 4, second] = side[row, 4, ids[row, 5]] - behind
    found = judge(other, ids, exact, actual_logits=actual, precision="int8", rounding=rounding)
    assert "clearly against" not in found.sentence


def test_padding_after_the_end_of_a_text_is_no_evidence():
    exact, ids, rounding, actual = decoded(1.0, sharp=3.0)
    best = exact.argmax(-1, keepdim=True)
    ids[1, PROMPT] = end = 0
    exact[1, PROMPT - 1, end] = 9
    rounding[1, PROMPT - 1, end] = actual[1, PROMPT - 1, end] = 9
    ids[1, PROMPT + 1 :] = 1
    wrong = actual.clone()
    wrong[0] = actual[0].scatter(-1, best[0], exact[0].topk(2).values[..., 1:].float() - 0.01)
    other = torch.where(torch.arange(LENGTH) < PROMPT, ids, (ids + 1) % VOCABULARY)
    other[1] = ids[1]
    asked = {"actual_logits": wrong, "precision": "int8", "rounding": rounding}
    found = judge(other, ids, exact, ends=frozenset([end]), **asked)
    assert found.outcome is Outcome.FAIL
    assert facts(found)["clear_tokens"] <= LENGTH - PROMPT + 1


def test_drawn_tokens_without_the_backends_logits_are_not_decided():
    exact, ids, other = nearly_tied(gap=0.25)
    assert judge(other, ids, exact, is_sampled=True).outcome is Outcome.INCONCLUSIVE
    assert judge(other, ids, exact).outcome is Outcome.FAIL


STRICT, WIDE = Lock(1e-9, 1e-9, "a.toml:3"), Lock(1e-2, 1e-2, "a.toml:3")


@pytest.mark.parametrize("gap", [None, 1e-7])
def test_logits_past_a_tolerance_lock_fail_whatever_the_tokens(gap):
    exact, ids, *other = scored() if gap is None else nearly_tied(gap)
    given = {"actual_logits": exact.float() * (1 + 3e-7), "logits_too": True}
    tokens = other[0] if other else ids
    assert judge(tokens, ids, exact, **given).outcome is Outcome.PASS
    wide, strict = (judge(tokens, ids, exact, **given, lock=lock) for lock in (WIDE, STRICT))
    assert wide.outcome is Outcome.PASS
    assert strict.outcome is Outcome.FAIL
    assert "'logits' is off by a relative maximum error of 4.0e-07, allowed 1.0e-09 by a.toml:3" in strict.sentence
    assert not strict.needs["logits"].refusal
    assert 3e-7 < strict.needs["logits"].rmse < 1e-5


def test_nothing_is_proposed_for_the_logits_of_wrong_tokens():
    exact, ids, other = nearly_tied(gap=0.5)
    result = judge(other, ids, exact, actual_logits=exact.float(), logits_too=True, lock=WIDE)
    assert result.outcome is Outcome.FAIL
    strict = judge(other, ids, exact, actual_logits=exact.float() * (1 + 3e-7), logits_too=True, lock=STRICT)
    assert strict.needs["logits"].refusal == result.needs["logits"].refusal
    assert result.needs["logits"].refusal.startswith("FAIL: 8 of 12 tokens agree; token 5 of row 1")


def test_a_lock_that_cannot_be_held_is_told():
    exact, ids = scored()
    result = judge(ids, ids, exact, logits_too=True, lock=WIDE)
    assert result.outcome is Outcome.PASS
    assert result.notes == ("a.toml:3 does not hold here: the backend's logits over eager's tokens are not known",)


def test_a_penalty_moves_the_margin_to_what_eager_chose_by():
    exact, ids, other = nearly_tied(gap=0.5)
    best, second = int(ids[1, 5]), int(other[1, 5])
    by = torch.full(exact.shape, torch.nan)
    by[1, 4, best] = exact[1, 4, second] + 1e-7  # the penalty leaves a near-tie

    def told(chosen_by):
        return judge(other, ids, exact, actual_logits=exact.float(), chosen_by=chosen_by)

    assert told(None).outcome is Outcome.FAIL
    assert told(torch.full(exact.shape, torch.nan)).sentence == told(None).sentence
    tied = told(by)
    assert (tied.outcome, "near-tie" in tied.sentence) == (Outcome.PASS, True)
    by[1, 4, best] = exact[1, 4, second] + 0.25
    wrong = told(by)
    assert wrong.outcome is Outcome.FAIL
    assert "which eager prefers by 0.25; rounding explains" in wrong.sentence
    assert "in one call" not in wrong.sentence
