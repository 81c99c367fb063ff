"""The file of a tolerance lock: read, refused in one line, and changed as little as can be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.option_values import Tolerances, tolerances
from pytest_cpuaccel.core.tolerance_lock import LockKey, Need, need_of
from pytest_cpuaccel.tolerances.entry import fields_of, quoted, written
from pytest_cpuaccel.tolerances.proposal import Proposal, proposal
from pytest_cpuaccel.tolerances.seen import Seen, cases_of, seen_in, texts_of
from pytest_cpuaccel.tolerances.settling import told, write
from pytest_cpuaccel.tolerances.tolerance_file import ToleranceFile, file_of, read_file

KEY = LockKey("BertModel-1a2b3c4d", "forward", "ort-int8", "logits")
NEED = Need(2e-2, 3e-2, 1e-2, 1.5e-2, 5e-3, None, "int8", ("onnxruntime 1.31.1",), "AVX512")
FILE = """\
# reviewed by the team
version = 1

# coarse, but the scores hold
[[tolerance]]
model = "BertModel-1a2b3c4d"
call = "forward"
backend = "ort-int8"   # of onnxruntime
output = "logits"
rmse = 5e-1  # agreed on
max = 0.5
tests = ["test_a.py::test_it"]

[[tolerance]]
model = "Vit"
call = "forward"
backend = "ort"
output = "output"
rmse = 1e-6
max = 1e-6
tests = ["test_a.py::test_it"]
"""
TEST = "test_a.py::test_it"


def parsed(text: str) -> ToleranceFile:
    return file_of(Path("tolerances.toml"), text)


def entry(key: LockKey) -> str:
    return written(key, fields_of(NEED, {TEST: 1}))


def seen(need: Need, **more: Need) -> Seen:
    """What the test of the file needed, and others of these names."""
    return seen_in({TEST: {KEY: need}, **{f"test_a.py::{name}": {KEY: each} for name, each in more.items()}})[KEY]


def of_backend(name: str) -> LockKey:
    return KEY._replace(backend=name)


def test_an_entry_is_read_as_it_was_written() -> None:
    key = LockKey('a "model"\\', "forward", "ort\n", "Ausgänge.0\x7f")
    found = parsed(entry(key)).entries[key]
    assert (found.rmse, found.largest) == (2e-2, 3e-2)
    assert found.facts["versions"] == ["onnxruntime 1.31.1"]
    assert found.lock("a.toml").measured_on == "onnxruntime 1.31.1, AVX512"
    assert "eager_max" not in found.facts


def test_a_lone_half_of_a_pair_becomes_a_character_that_can_be_written() -> None:
    quoted("\ud800").encode()


def test_a_need_travels_as_plain_values() -> None:
    assert need_of(NEED.as_plain()) == NEED


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("version = 1\nrmse 2", "tolerances.toml, line 2: "),
        ("version = 2", "tolerances.toml: version = 2 is not known; write version = 1"),
        ("version = 1\n[[tolerances]]\n", "tolerances.toml, line 2: no table is named 'tolerances'"),
        ("[tolerance]\nrmse = 1", "tolerances.toml, line 1: write [[tolerance]]"),
        (FILE.replace("rmse = 1e-6", 'rmse = "1e-6"'), "line 14: rmse: '1e-6' is a text; write 1e-6 without quotes"),
        (FILE.replace("rmse = 1e-6", "rmse = nan"), "line 14: rmse: nan is not a finite number"),
        (
            FILE.replace("max = 1e-6", "max = 1\nvarying_db = '3'"),
            "line 14: varying_db: '3' is a text; write 3 w",
        ),
        (FILE.replace("rmse = 1e-6", "rmse = -1"), "line 14: rmse: -1 is negative"),
        (FILE.replace("rmse = 1e-6", "rsme = 1"), "line 14: no field is named 'rsme'; did you mean 'rmse'?"),
        (FILE.replace("rmse = 1e-6\n", ""), "line 14: the entry has no 'rmse'; write rmse = 1e-3"),
        (FILE.replace('"Vit"', "3"), "line 14: model = 3 names nothing"),
        (
            FILE + entry(KEY),
            "line 22, also line 5: two entries for ort-int8: BertModel-1a2b3c4d forward 'logits'",
        ),
        ("tolerance = [3]", "entry 1: 3 is no table"),
        (FILE.replace('["test_a.py::test_it"]', "3", 1), "line 5: tests = 3 is no list of tests; write tests = ["),
        (f"a = {'1' * 5000}", "tolerances.toml: Exceeds the limit (4300"),  # the rest is Python's, by release
        (f"a = {'[' * 2000}", "tolerances.toml: values stand within values too deep to be read; mend it, or take "),
        (
            f"version = 0x{'f' * 5000}",
            "version = a whole number of more digits than Python writes is not known; write version",
        ),
        (
            FILE.replace("1e-6", f"0x{'f' * 5000}"),
            "rmse: a whole number of more digits than Python writes is not a finite",
        ),
    ],
)
def test_a_malformed_file_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(UsageError) as mistake:
        parsed(text)
    assert told in str(mistake.value)
    assert "\n" not in str(mistake.value)


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"# \xff")
    with pytest.raises(UsageError, match=r"a\.toml: byte 2 is no UTF-8; save the file as UTF-8"):
        read_file(path)


def test_new_entries_stand_in_order_and_leave_all_else_as_it_was() -> None:
    keys = [KEY._replace(model=model, output="a") for model in ("Zed", "Alpha", "Cat")]
    text = proposal(parsed(FILE), dict.fromkeys(keys, seen(NEED))).text
    kept = text
    for key in keys:
        kept = kept.replace(f"{entry(key)}\n", "").replace(f"\n{entry(key)}", "")
    assert kept == FILE
    assert [key.model for key in parsed(text).entries] == ["Alpha", "BertModel-1a2b3c4d", "Cat", "Vit", "Zed"]


def test_a_loose_entry_is_tightened_and_keeps_its_comments() -> None:
    found = proposal(parsed(FILE), {KEY: seen(NEED)})
    assert found.loose == {KEY: NEED}
    assert "# coarse, but the scores hold\n[[tolerance]]" in found.text
    assert "rmse = 2.00e-02  # agreed on\nmax = 3.00e-02\n" in found.text
    assert 'backend = "ort-int8"   # of onnxruntime' in found.text
    assert 'isa = "AVX512"\n\n[[tolerance]]\nmodel = "Vit"' in found.text


def test_an_entry_is_never_loosened() -> None:
    worse = replace(NEED, rmse=2.0, largest=2.0, measured_rmse=1.0)
    found = proposal(parsed(FILE), {KEY: seen(worse)})
    assert found.looser == {KEY: worse}
    assert found.text == FILE


def test_what_is_within_ten_times_stays() -> None:
    found = proposal(parsed(FILE), {KEY: seen(replace(NEED, rmse=6e-2, largest=6e-2))})
    assert found == Proposal(found.file)


def test_a_refused_output_is_left_out_unless_an_entry_holds_it() -> None:
    refused = Need(measured_rmse=0.4, measured_largest=0.3, refusal="FAIL by the default tolerance: it is coarse")
    found = proposal(parsed(FILE), {KEY: seen(refused), of_backend("other"): seen(refused)})
    assert found.refused == {of_backend("other"): refused}
    assert found.text == FILE


@pytest.mark.parametrize(
    "text",
    [
        "tolerance = [{model='a', call='b', backend='c', output='d', rmse=0, max=0}]",
        FILE.replace("rmse = 5e-1", '"rmse" = 5e-1'),
        FILE.replace("max = 0.5", "max = 0.5\nversions = [\n  'a',\n]"),
    ],
)
def test_a_file_that_cant_be_changed_by_line_stays_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    lines = [*write(path, {TEST: {KEY: NEED, of_backend("zzz"): NEED}})]
    assert len(lines) == 1
    assert lines[0].startswith("no tolerance was written: a.toml can't be changed by line; write ")
    assert path.read_text() == text


def test_other_line_ends_and_separators_within_texts_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    before = FILE.replace("# coarse", "# coarse\u2028[[tolerance]]").replace("\n", "\r\n")
    path.write_bytes(before.encode())
    assert [*write(path, {TEST: {of_backend("zzz"): NEED}})] == ["a.toml: 1 entry proposed, to be reviewed"]
    after = path.read_bytes()
    assert after.startswith(before[: before.index('[[tolerance]]\r\nmodel = "Vit"')].encode())
    assert after.count(b"\n") == after.count(b"\r\n")
    assert [*write(path, {TEST: {KEY: NEED}})] == ["a.toml: 0 entries proposed, 1 tightened, to be reviewed"]
    after = path.read_bytes()
    assert after.count(b"\n") == after.count(b"\r\n")


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    assert [*write(path, {TEST: {KEY: NEED}})] == ["a.toml: 1 entry proposed, to be reviewed"]
    before = path.read_text()
    assert [*write(path, {TEST: {KEY: NEED}})] == ["a.toml: 0 entries proposed"]
    assert path.read_text() == before


def test_what_changes_and_what_stays_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(FILE)
    vit = LockKey("Vit", "forward", "ort", "output")
    refused = Need(refusal="FAIL: it is wrong")
    lines = [*write(path, {TEST: {KEY: NEED, vit: NEED, of_backend("x"): NEED, of_backend("y"): refused}})]
    assert lines == [
        "a.toml: 1 entry proposed, 1 tightened, 1 would be looser and stayed, 1 refused, to be reviewed",
        "a.toml:14 would be looser: ort: Vit forward 'output' was off by rmse 1.0e-02, max 1.5e-02, allowed rmse "
        "1.0e-06, max 1.0e-06; delete the entry and write again to accept it",
        "no tolerance is proposed for y: BertModel-1a2b3c4d forward 'logits': FAIL: it is wrong",
    ]


def test_a_loose_entry_is_told_by_a_run_that_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(FILE)
    assert [*told(path, {TEST: {KEY: NEED}})] == [
        "a.toml:5 is 17 times looser than this run needed: ort-int8: BertModel-1a2b3c4d forward 'logits' is allowed "
        "rmse 5.0e-01, max 5.0e-01, and rmse 2.0e-02, max 3.0e-02 would do; --cpu-tolerances=write tightens it"
    ]


def test_needs_of_several_tests_are_covered_and_a_refusal_stands() -> None:
    larger, refused = replace(NEED, rmse=4e-2, eager_largest=7e-3), Need(refusal="no")
    assert seen(NEED, test_b=larger).need == seen(larger, test_b=NEED).need == larger
    assert seen(NEED, test_b=refused).need == seen(refused, test_b=NEED).need == refused


def test_cases_of_a_test_are_counted_and_read_back() -> None:
    found = seen_in({f"t/test_a.py::TestIt::test_b[ort-{x}]": {KEY: NEED} for x in ("1", "2", "a::b[c]")})[KEY]
    assert found.cases == {"t/test_a.py::TestIt::test_b": 3}
    cases = {"t/test_a.py::test_b": 3, "t/test_a.py::test_c": 1}
    assert texts_of(cases) == ["t/test_a.py::test_b x3", "t/test_a.py::test_c"]
    assert cases_of(texts_of(cases)) == cases


def test_part_of_a_run_takes_nothing_from_the_other_tests(tmp_path: Path) -> None:
    path, large = tmp_path / "a.toml", replace(NEED, rmse=0.5, largest=0.5, measured_rmse=0.25, measured_largest=0.25)
    both = {"test_a.py::test_it[1]": {KEY: NEED}, "test_a.py::test_it[2]": {KEY: large}}
    assert [*write(path, both)] == ["a.toml: 1 entry proposed, to be reviewed"]
    before = path.read_text()
    assert 'tests = ["test_a.py::test_it x2"]' in before
    part = {"test_a.py::test_it[1]": {KEY: NEED}}
    assert [*write(path, part)] == ["a.toml: 0 entries proposed"]
    assert [*told(path, part)] == []
    assert path.read_text() == before
    assert [*write(path, {test: {KEY: NEED} for test in both})] == [
        "a.toml: 0 entries proposed, 1 tightened, to be reviewed"
    ]


def test_a_new_test_loosens_an_entry_and_one_that_it_names_does_not(tmp_path: Path) -> None:
    path, large = tmp_path / "a.toml", replace(NEED, rmse=0.25, largest=0.01, measured_rmse=0.125)
    list(write(path, {TEST: {KEY: NEED}}))
    new = {TEST: {KEY: NEED}, "test_a.py::test_new": {KEY: large}}
    (line,) = told(path, new)
    assert line.startswith("a.toml:8 was not measured in all tests of this run: ort-int8: BertModel-1a2b3c4d forward ")
    assert [*write(path, new)] == ["a.toml: 0 entries proposed, 1 widened for new tests, to be reviewed"]
    (entry,) = read_file(path).entries.values()
    assert (entry.rmse, entry.largest) == (0.25, NEED.largest)
    assert entry.tests == {TEST: 1, "test_a.py::test_new": 1}
    worse = replace(large, rmse=0.75, measured_rmse=0.375)
    for more in ({"test_a.py::test_new": {KEY: worse}}, {TEST: {KEY: worse}, "test_a.py::test_2": {KEY: worse}}):
        needs = {**new, **more}
        assert next(write(path, needs)).endswith("0 entries proposed, 1 would be looser and stayed")


def test_a_new_test_that_an_entry_holds_is_named_in_it(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(FILE)
    small = replace(NEED, rmse=0.2, largest=0.2)
    lines = [*write(path, {"test_b.py::test_new": {KEY: small}})]
    assert lines == ["a.toml: 0 entries proposed, 1 now names new tests, to be reviewed"]
    written = path.read_text()
    assert written == FILE.replace(
        '5\ntests = ["test_a.py::test_it"', '5\ntests = ["test_a.py::test_it", "test_b.py::test_new"'
    )


def test_an_entry_that_names_no_tests_stays_as_it_was_written(tmp_path: Path) -> None:
    path, text = tmp_path / "a.toml", FILE.replace('tests = ["test_a.py::test_it"]\n', "")
    path.write_text(text)
    assert [*write(path, {TEST: {KEY: NEED}})] == ["a.toml: 0 entries proposed"]
    assert path.read_text() == text
    (line,) = told(path, {TEST: {KEY: NEED}})
    assert line.endswith("would do; it names no tests, so that it stays as you wrote it")


def test_a_limit_holds_as_it_is_written(tmp_path: Path) -> None:
    path, limit = tmp_path / "a.toml", 0.123456789
    list(write(path, {TEST: {KEY: replace(NEED, rmse=limit, measured_rmse=limit, largest=1e-300)}}))
    assert read_file(path).locks[KEY].rmse == limit


def test_the_option_takes_a_word_or_a_file() -> None:
    assert tolerances("") == Tolerances("judge", None)
    assert tolerances("off") == Tolerances("off", None)
    assert tolerances("write") == Tolerances("write", None)
    assert tolerances("write:a/b:c.toml") == Tolerances("write", Path("a/b:c.toml"))
    assert tolerances("a.toml") == Tolerances("judge", Path("a.toml"))
    for wrong in ("wrtie", "write:", "write:a.json", "on"):
        with pytest.raises(UsageError, match=r"is none of write, write:FILE\.toml, FILE\.toml and off"):
            tolerances(wrong)
