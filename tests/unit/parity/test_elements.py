"""The figures found piece by piece are those of a plain calculation over whole tensors."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from pytest_cpuaccel.measure.parity import elements as one_pass
from pytest_cpuaccel.measure.parity import error, pieces
from pytest_cpuaccel.measure.parity.defaults import INFINITE
from pytest_cpuaccel.measure.parity.elements import Elements
from pytest_cpuaccel.measure.parity.leaves import OutputPair
from pytest_cpuaccel.measure.parity.mask import valid_elements
from pytest_cpuaccel.measure.parity.top1 import top1_share

SMALL_PIECE = 64
SHAPES = [(), (1,), (7,), (200,), (3, 50), (2, 3, 40), (2, 5, 7, 11), (1, 2, 129), (70, 3)]


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", SMALL_PIECE)
    monkeypatch.setattr(one_pass, "FEW", 0)


def values(shape: tuple[int, ...], seed: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def real(tensor: torch.Tensor) -> torch.Tensor:
    tensor = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    tensor = tensor.double()
    return tensor.masked_fill(tensor > INFINITE, torch.inf).masked_fill(tensor < -INFINITE, -torch.inf)


def check(pair: OutputPair, valid: torch.Tensor, tolerances: tuple[tuple[float, float], ...] = ((1e-3, 1e-3),)) -> None:
    """Hold all figures to a plain calculation, with and without a hint of the limit, in fp32 and in fp64."""
    for in_fp64 in (False, True):
        for hint in (None, tolerances[0], (tolerances[0][0], 0.5 * tolerances[0][1])):
            _check(pair, valid, Elements.of(pair, valid, hint, in_fp64=in_fp64), tolerances)


def _check(pair: OutputPair, valid: torch.Tensor, found: Elements, tolerances: tuple[tuple[float, float], ...]) -> None:
    actual, expected = real(pair.actual), real(pair.expected)
    wide = valid if actual.dim() == valid.dim() else valid.unsqueeze(-1).expand(actual.shape)
    finite = actual.isfinite() & expected.isfinite()
    same = (actual == expected) | (actual.isnan() & expected.isnan())
    kept, mismatched = wide & finite, wide & ~finite & ~same
    assert (found.total, found.count) == (int(wide.sum()), int(kept.sum()))
    assert found.alike == int((wide & ~finite & same).sum())
    assert found.unfit == int((wide & ~expected.isfinite()).sum())
    assert found.mismatched.count == int(mismatched.sum())
    if found.mismatched.first is not None:
        assert list(found.index(found.mismatched.first)) == mismatched.nonzero()[0].tolist()
    a, e = actual[kept], expected[kept]
    if not len(e):
        return
    difference = (a - e).abs()
    assert found.difference.largest == pytest.approx(float(difference.max()), rel=1e-6)
    assert found.are_identical == (not bool(mismatched.any()) and torch.equal(a, e))
    assert found.difference.rms(found.count) == pytest.approx(error.rms(a - e), rel=1e-4)
    assert found.expected.rms(found.count) == pytest.approx(error.rms(e), rel=1e-4)
    assert found.cosine == pytest.approx(error.cosine(a, e), abs=1e-6)
    assert found.sqnr_db == pytest.approx(error.sqnr_db(a, e), abs=1e-3)
    relative = error.used(difference, e.abs())
    assert found.largest_relative == pytest.approx(float(relative.max()), rel=1e-6)
    for rtol, atol in tolerances:
        limit = atol + rtol * e.abs()
        use, worst = error.used(difference, limit), found.worst(rtol, atol)
        assert worst.exceeded == bool((difference > limit).any())
        assert worst.use == float(use.max())
        assert float((actual - expected)[found.index(worst.place)].abs()) == worst.difference
    _check_reference(pair, found, kept)


def _check_reference(pair: OutputPair, found: Elements, kept: torch.Tensor) -> None:
    exact = None if pair.expected64 is None else real(pair.expected64)[kept]
    assert found.has_exact == (exact is not None and bool(exact.isfinite().all()))
    reference = exact if found.has_exact and exact is not None else real(pair.expected)[kept]
    assert found.reference.largest == pytest.approx(float(reference.abs().max()), rel=1e-4)
    for side in ("actual", "expected", "rounding", "running"):
        given = getattr(pair, side)
        off = found.off_by(side)
        if given is None or not bool(real(given)[kept].isfinite().all()):
            assert off is None
            continue
        assert off is not None
        difference = real(given)[kept] - reference
        assert off.rms(found.count) == pytest.approx(error.rms(difference), rel=1e-4, abs=1e-30)
        assert off.largest == pytest.approx(float(difference.abs().max()), rel=1e-5, abs=1e-30)


def whole(tensor: torch.Tensor) -> torch.Tensor:
    return valid_elements("output", tensor.shape, None)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64])
def test_of_every_shape_and_type(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    of_complex = torch.complex128 if dtype is torch.complex64 else torch.float64
    exact = values(shape, 0, of_complex)
    expected, actual = exact.to(dtype), (exact * 1.001 + 1e-4).to(dtype)
    for pair in (
        OutputPair("output", actual, expected),
        OutputPair("output", actual, expected, exact),
        OutputPair(
            "output", actual, expected, exact, rounding=(exact * 1.0005).to(dtype), running=(exact * 0.9999).to(dtype)
        ),
        OutputPair("output", actual, expected, None, rounding=(exact * 1.0005).to(dtype)),
        OutputPair("output", expected.clone(), expected, exact),
    ):
        check(pair, whole(expected), ((1e-3, 1e-3), (0.0, 1e-3), (1e-3, 0.0), (0.0, 0.0)))


SPOILT: dict[str, Callable[[torch.Tensor], None]] = {
    "nan": lambda flat: flat[5:7].fill_(math.nan),
    "inf": lambda flat: flat[::50].fill_(math.inf),
    "opposite": lambda flat: flat[3:4].fill_(-math.inf),
    "all nan": lambda flat: flat.fill_(math.nan),
    "masked scores": lambda flat: flat[10:20].fill_(torch.finfo(torch.float32).min),
    "huge": lambda flat: flat[1::2].mul_(1e25),
    "all huge": lambda flat: flat.mul_(1e29),
    "small": lambda flat: flat[1::2].mul_(1e-25),
    "tiny": lambda flat: flat.mul_(1e-20),
    "subnormal": lambda flat: flat.mul_(1e-40),
    "zeros": lambda flat: flat[::3].fill_(0.0),
    "all zero": lambda flat: flat.fill_(0.0),
    "ties": lambda flat: flat.round_(),
}


@pytest.mark.parametrize("on", ["actual", "expected", "both", "exact", "rounding"])
@pytest.mark.parametrize("kind", list(SPOILT))
def test_of_spoilt_values(kind: str, on: str) -> None:
    exact = values((4, 90), 1)
    sides = {
        "actual": exact + 1e-3,
        "expected": exact.float(),
        "exact": exact.double() + 1e-8,
        "rounding": exact * 1.01,
    }
    for side in ("actual", "expected") if on == "both" else (on,):
        SPOILT[kind](sides[side].view(-1))
    pair = OutputPair("output", sides["actual"], sides["expected"], sides["exact"], sides["rounding"])
    check(pair, whole(exact), ((1e-3, 1e-3), (1e-3, 0.0)))


def test_what_eagers_fp32_loses_is_told_from_what_is_wrong() -> None:
    exact = values((300,), 2, torch.float64)
    expected, actual = exact.float(), exact.float()
    expected[[70, 200]] = math.inf
    actual[250] = math.nan
    found = Elements.of(OutputPair("output", actual, expected, exact), whole(exact))
    assert (found.lost.count, found.lost.first) == (2, 70)
    assert (found.wrong.count, found.wrong.first) == (1, 250)


MASKS = {
    "rows": ("logits", (4, 9, 13), lambda mask: mask[1:3].fill_(False)),
    "right": ("logits", (4, 9, 13), lambda mask: mask[1:, 4:].fill_(False)),
    "scattered": ("logits", (4, 9, 13), lambda mask: mask.view(-1)[::2].fill_(False)),
    "per token": ("start_logits", (4, 9), lambda mask: mask[2, 3:].fill_(False)),
    "attention": ("attentions", (4, 3, 9, 9), lambda mask: mask[1:, 5:].fill_(False)),
    "one left": ("logits", (4, 9, 13), lambda mask: mask.view(-1)[:-1].fill_(False)),
}


@pytest.mark.parametrize("kind", list(MASKS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_under_a_mask(kind: str, dtype: torch.dtype) -> None:
    name, shape, spoil = MASKS[kind]
    mask = torch.ones(4, 9, dtype=torch.bool)
    spoil(mask)
    exact = values(shape, 3, torch.complex128 if dtype.is_complex else torch.float64)
    expected, actual = exact.to(dtype), (exact * 1.001).to(dtype)
    valid = valid_elements(name, expected.shape, mask)
    actual[~valid] = math.nan
    check(OutputPair(name, actual, expected, exact), valid)
    actual[tuple(valid.nonzero()[-1])] = math.inf
    check(OutputPair(name, actual, expected, exact), valid)


LAYOUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "transposed": lambda item: item.transpose(0, 2).contiguous().transpose(0, 2),
    "strided": lambda item: torch.stack([item, item], -1)[..., 0],
    "expanded": lambda item: item[:, :1].expand(item.shape),
    "channels last": lambda item: item[None].contiguous(memory_format=torch.channels_last)[0],
    "flipped": lambda item: item.flip(0).flip(0),
}


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_of_every_layout(layout: str) -> None:
    exact = values((5, 6, 17), 4, torch.float64)
    actual, expected = LAYOUTS[layout]((exact * 1.001).float()), LAYOUTS[layout](exact.float())
    mask = torch.ones(5, 6, dtype=torch.bool)
    mask[2:, 3:] = False
    for valid in (whole(exact), valid_elements("logits", exact.shape, mask)):
        check(OutputPair("logits", actual, expected, LAYOUTS[layout](exact)), valid)
        check(OutputPair("logits", actual.contiguous(), expected), valid)


@pytest.mark.parametrize("error_of", ["constant", "growing", "of one element", "none"])
def test_off_everywhere_or_once(error_of: str) -> None:
    expected = values((3, 100), 5)
    actual = expected.clone()
    if error_of == "constant":
        actual += 0.25
    elif error_of == "growing":
        actual += torch.arange(300.0).reshape(3, 100)
    elif error_of == "of one element":
        actual[2, 50] += 1e-3
    check(OutputPair("output", actual, expected), whole(expected), ((1e-4, 1e-4), (0.0, 0.25), (0.0, 0.0)))


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 0.5, 1.0, 1e3])
def test_the_cosine_of_answers_of_another_length(scale: float) -> None:
    expected = values((400,), 6)
    check(OutputPair("output", expected * scale, expected), whole(expected))
    check(OutputPair("output", -expected * scale, expected), whole(expected))


@pytest.mark.parametrize("kind", ["plain", "ties", "nan", "inf", "all inf"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(40,), (5, 30), (2, 3, 150), (6, 2)])
def test_top1(kind: str, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    expected = values(shape, 7, dtype)
    actual = (expected + values(shape, 8, dtype) * 0.3).to(dtype)
    for tensor in (actual, expected):
        if kind == "ties":
            tensor.round_()
        elif kind == "nan":
            tensor[..., 1] = math.nan
        elif kind == "inf":
            tensor[..., 0] = -math.inf
        elif kind == "all inf":
            tensor.fill_(-math.inf)
    masks = [whole(expected)]
    if len(shape) > 1:
        rows = torch.ones(shape, dtype=torch.bool)
        rows[1:2] = False
        per_row = rows[..., :1].expand(shape)
        masks += [rows, per_row, torch.rand(shape, generator=torch.Generator().manual_seed(9)) > 0.5]
    for valid in masks:
        hits = error.top1_hits(actual.double().nan_to_num(), expected.double().nan_to_num(), valid)
        found = top1_share(actual, expected, valid)
        assert found is not None
        assert (found.hits, found.positions) == (int(hits.sum()), hits.numel())


@pytest.mark.parametrize("rtol", [0.0, 1e-3])
def test_what_lies_a_rounding_away_from_the_limit_is_counted_as_fp64_counts_it(rtol: float) -> None:
    atol = 1e-3
    expected = values((2000,), 1)
    limit = atol + rtol * expected.double().abs()
    steps = 1 + 1e-7 * torch.randint(-9, 10, (2000,), generator=torch.Generator().manual_seed(2))
    actual = (expected.double() + limit * steps).float()
    off = (actual.double() - expected.double()).abs()
    found = Elements.of(OutputPair("x", actual, expected), torch.tensor(True).expand(2000))
    assert 0 < found.beyond(rtol, atol) < 2000
    assert found.beyond(rtol, atol) == int((off > atol + rtol * expected.double().abs()).sum())


@pytest.mark.filterwarnings("error")
def test_infinities_are_no_warning_of_numpys() -> None:
    expected = values((500,), 1)
    expected[3], expected[70] = math.inf, math.nan
    actual = expected + 1e-4
    actual[200] = -math.inf
    found = Elements.of(OutputPair("x", actual, expected), torch.tensor(True).expand(500), (1e-4, 1e-4))
    assert (found.count, found.mismatched.count) == (497, 1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_model_that_casts_its_answer_has_no_finer_one_in_fp64(dtype: torch.dtype) -> None:
    expected, exact = values((500,), 1, dtype), values((500,), 1, dtype)
    exact[7] += 1
    actual = values((500,), 1, dtype)
    actual[9] += 2
    check(OutputPair("x", actual, expected, expected64=exact), torch.tensor(True).expand(500))
