"""``cpuaccel gate``: a checkpoint or a function's model, judged without a test."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_cpuaccel.builder.eager import run_eager
from pytest_cpuaccel.cli.main import main
from pytest_cpuaccel.core.budget import Budgets
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.gate.budgets import Limits
from pytest_cpuaccel.gate.example import Examined
from pytest_cpuaccel.gate.examples import examined_checkpoint
from pytest_cpuaccel.zoo.architectures import ARCHITECTURES

transformers = pytest.importorskip("transformers")

MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x):
        return self.layer(x)

class Branching(Net):
    def forward(self, x):
        return self.layer(x) if x.sum() > 0 else -self.layer(x)

def net():
    torch.manual_seed(0)
    return Net().eval(), [torch.ones(2, 4), {"x": torch.ones(3, 4)}]

def branching():
    torch.manual_seed(0)
    return Branching().eval(), [torch.ones(2, 4), -torch.ones(2, 4)]

def training():
    return Net(), torch.ones(2, 4)

def alone():
    return Net().eval()

def lists():
    return Net().eval(), (1, [2.0])

def five():
    return Net().eval(), torch.ones(2, 5)

def local():
    class Local(Net):
        pass

    return Local().eval(), [torch.ones(2, 4), torch.ones(3, 4)]

class Exiting(Net):
    def forward(self, x):
        raise SystemExit(3)

class Nothing(Net):
    def forward(self, x):
        self.layer(x)

class Word(Net):
    def forward(self, x):
        return "word"

def leaving():
    raise SystemExit(0)

def exits_when_called():
    return Exiting().eval(), torch.ones(2, 4)

async def later():
    return Net().eval(), torch.ones(2, 4)

def nothing():
    return Nothing().eval(), torch.ones(2, 4)

def word():
    return Word().eval(), torch.ones(2, 4)

def no_arguments():
    return Net().eval(), ()

def no_keywords():
    return Net().eval(), [{}]

def raising():
    return {}["key"]

def takes(path):
    return path

model = Net().eval()
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a module of the user, which is the current one."""
    (tmp_path / "served.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("import no_such_package\n")
    (tmp_path / "leaves.py").write_text("raise SystemExit(0)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield tmp_path
    for name in ("served", "broken", "leaves"):
        sys.modules.pop(name, None)


@pytest.fixture
def parity_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is timed: what is tested is not how fast the models are."""
    monkeypatch.setattr(Limits, "budgets", lambda limits, _: Budgets(parity=limits.parity))


def saved(name: str, folder: Path, **settings: Any) -> Path:
    """Save an architecture of the zoo to a folder."""
    model: Any = next(item for item in ARCHITECTURES if item.name == name).make()
    for key, value in settings.items():
        setattr(model.config, key, value)
    model.save_pretrained(folder)
    return folder


def with_tokenizer(folder: Path) -> Path:
    """Save a tokenizer that knows 120 words beside a checkpoint; anything else is unknown to it."""
    tokenizers = pytest.importorskip("tokenizers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "my", "parcel", "invoice", "has", "two", "in"]
    vocabulary = {word: number for number, word in enumerate([*words, *(f"w{number}" for number in range(108))])}
    raw = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    raw.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]", "eos_token": "[SEP]"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=raw, model_max_length=64, **special).save_pretrained(folder)
    return folder


def examined(folder: Path, task: str | None = None) -> Examined:
    from pytest_cpuaccel.builder.load_model import eager_model_of

    return examined_checkpoint(str(folder), eager_model_of(folder, task), task)


def results(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text())["results"]
    return found


def test_a_checkpoint_is_measured_in_all_and_passes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = with_tokenizer(saved("bert", here / "bert"))
    reports = "--cpu-report=run.json,run.md,run.html"
    assert main(["gate", str(folder), "--cpu-backends=torchscript", reports, "--max-slowdown=10000%"]) == 0
    told = capsys.readouterr()
    short, long = results(here / "run.json")
    assert (short["call"].split("x")[0], long["call"].split("x")[0]) == ("forward 1", "forward 2")
    for found in (short, long):
        assert found["parity"]["verdict"] == "PASS"
        assert found["latency"]["p50_ns"] > 0
        assert found["latency"]["ratio"] > 0
        assert found["startup"]["cold_start_ns"] > 0
        assert "build_ns" not in found["startup"]
        assert found["memory"]["peak_bytes"] > found["memory"]["artifact_bytes"] > 0
    begun, finished = told.err.splitlines()[-2:]
    assert begun == "torchscript: begun"
    assert finished.startswith("torchscript: 2 PASS, in ")
    assert "2 PASS in " in told.out.splitlines()[-1]
    assert "torchscript" in (here / "run.md").read_text()
    assert "torchscript" in (here / "run.html").read_text()


def test_a_limit_that_is_broken_fails(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", "served:net", "--cpu-backends=torchscript", "--artifact=1B"]) == 1
    assert "artifact is " in capsys.readouterr().out
    assert not (here / "run.json").exists()


def test_what_no_fresh_process_can_run_is_noted_once(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["gate", "served:local", "--cpu-backends=torchscript", "--cpu-report=run.json"]
    assert main(arguments) == 0
    (note,) = (line for line in capsys.readouterr().out.splitlines() if "fresh process" in line)
    assert note.startswith("note: start-up and peak memory have no limit and are left out, as no fresh process can run")
    assert "Local can't be sent to a fresh process" in note
    for found in results(here / "run.json"):
        assert "startup" not in found
        assert found["memory"]["artifact_bytes"] > 0
    assert main([*arguments, "--peak=100 GB"]) == 1
    assert "torchscript: forward 2x4: Local can't be sent to a fresh process" in capsys.readouterr().out


@pytest.mark.usefixtures("parity_alone")
def test_a_wrong_answer_fails_with_its_evidence(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", "served:branching", "--cpu-backends=torchscript", "--cpu-report=run.json"]) == 1
    assert "torchscript: forward 2x4: 'output' is off by a relative RMSE" in capsys.readouterr().out
    assert [found["outcome"] for found in results(here / "run.json")] == ["failed"]


@pytest.mark.usefixtures("parity_alone", "here")
def test_tolerances_of_the_command_line_count(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", "served:branching", "--cpu-backends=torchscript", "--parity=atol=100"]) == 0
    assert "PASS" in capsys.readouterr().out


@pytest.mark.usefixtures("parity_alone")
def test_it_is_held_to_a_tolerance_lock(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"model": "Net-a8f84254", "call": "forward", "backend": "bf16", "output": "output"}
    lines = ["version = 1", "[[tolerance]]", *(f'{name} = "{value}"' for name, value in entry.items())]
    (here / "own.toml").write_text("\n".join([*lines, "rmse = 1e-9", "max = 1e-9"]))
    assert main(["gate", "served:net", "--cpu-backends=bf16"]) == 0
    assert main(["gate", "served:net", "--cpu-backends=bf16", "--cpu-tolerances=own.toml"]) == 1
    assert "allowed 1.0e-09 by own.toml:2; the default tolerance would pass it" in capsys.readouterr().out


@pytest.mark.usefixtures("parity_alone")
def test_a_backend_that_refuses_has_its_line_and_the_others_go_on(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gate", "served:net", "--cpu-backends=fastpath,torchscript", "--cpu-report=run.json"]) == 1
    refused, *judged = results(here / "run.json")
    assert refused["ending"]["kind"] == "refused"
    assert "nn.TransformerEncoderLayer" in refused["ending"]["reason"]
    assert [found["parity"]["verdict"] for found in judged] == ["PASS", "PASS"]
    told = capsys.readouterr().out
    assert "2 PASS, 1 refused in" in told
    (reason,) = (line for line in told.splitlines() if line.startswith("refused fastpath: "))
    assert reason == f"refused fastpath: {refused['ending']['reason']}"


@pytest.mark.usefixtures("parity_alone", "here")
def test_one_that_a_glob_chose_may_refuse_unless_told_otherwise() -> None:
    assert main(["gate", "served:net", "--cpu-backends=fastpat*,torchscript"]) == 0
    assert main(["gate", "served:net", "--cpu-backends=fastpat*,torchscript", "--cpu-unsupported=fail"]) == 1


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("./nowhere", "no folder './nowhere'; give a folder that save_pretrained wrote, or a hub id"),
        ("nowhere/", "no folder 'nowhere/'"),
        ("served:nte", "served has no 'nte'; did you mean 'net'?"),
        ("serve:net", "no module 'serve' in "),
        ("served:model", "served:model is a Net, not a function"),
        ("served:training", "Net is in training mode"),
        ("served:alone", "served:alone returns a Net; return (model, inputs)"),
        ("served:lists", "served:lists: the second value has no tensor in it"),
        ("served:takes", "served:takes takes arguments (missing a required argument: 'path')"),
        ("served:", "'served:' names no function; write module:function, such as served:ranker"),
        (":net", "':net' names no function; write module:function"),
        ("a:b:c", "'a:b:c' names no function; write module:function"),
        ("served.py", "'served.py' is a file; give served:function"),
        ("served.py:net", "'served.py:net' names a file; write module:function, served:net"),
        ("served:nosuch", "served has no 'nosuch'; there are: net, branching, training, "),
        ("served:leaving", "served:leaving raises SystemExit"),
        ("leaves:net", "leaves:net: importing leaves raises SystemExit"),
        ("served:exits_when_called", "Exiting raises SystemExit when called"),
        ("served:later", "served:later is async; write a function without async"),
        ("served:nothing", "Nothing returns None without a tensor in it"),
        ("served:word", "Word returns a str without a tensor in it"),
        ("served:no_arguments", "served:no_arguments: the second value is an empty tuple; return (model, inputs)"),
        ("served:no_keywords", "served:no_keywords: item 0 of the inputs is an empty dict; return (model, inputs)"),
    ],
)
def test_a_model_that_cannot_be_had_is_one_line(source: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", source, "--cpu-backends=torchscript"]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert line in told


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("source", "frame", "line"),
    [
        ("broken:net", "import no_such_package", "importing broken raises ModuleNotFoundError"),
        ("served:raising", 'return {}["key"]', "served:raising raises KeyError"),
        ("served:five", "return self.layer(x)", "Net raises RuntimeError on item 0 of the inputs"),
    ],
)
def test_the_users_own_error_keeps_its_traceback(
    source: str, frame: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gate", source, "--cpu-backends=torchscript"]) == 2
    told = capsys.readouterr().err
    assert frame in told
    assert line in told.splitlines()[-1]
    assert "/pytest_cpuaccel/" not in told


@pytest.mark.usefixtures("here")
def test_a_task_that_the_checkpoint_cannot_do_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = saved("vit", tmp_path / "vit")
    assert main(["gate", str(folder), "--cpu-backends=torchscript", "--task=fill-mask"]) == 2
    assert "is a ViTForImageClassification, and transformers has no AutoModelForMaskedLM" in capsys.readouterr().err
    assert main(["gate", str(folder), "--cpu-backends=torchscript", "--task=image-clasification"]) == 2
    assert "--task: no task 'image-clasification'; did you mean 'image-classification'?" in capsys.readouterr().err


@pytest.mark.usefixtures("parity_alone", "here")
def test_ctrl_c_keeps_what_was_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from pytest_cpuaccel.gate.run import Gate

    rows: Callable[..., Iterator[Any]] = Gate._rows

    def interrupted(gate: Gate, backend: Any) -> Iterator[Any]:
        if backend.name == "bf16":
            raise KeyboardInterrupt
        yield from rows(gate, backend)

    monkeypatch.setattr(Gate, "_rows", interrupted)
    arguments = ["gate", "served:net", "--cpu-backends=torchscript,bf16", "--cpu-report=run.json,run.md"]
    assert main(arguments) == 130
    assert [found["backend"] for found in results(tmp_path / "run.json")] == ["torchscript", "torchscript"]
    assert "torchscript" in (tmp_path / "run.md").read_text()
    assert "2 PASS" in capsys.readouterr().out


@pytest.mark.parametrize("architecture", [item for item in ARCHITECTURES if item.is_transformer], ids=lambda a: a.name)
def test_a_checkpoint_without_files_gets_inputs_that_it_takes(architecture: Any, tmp_path: Path) -> None:
    found = examined(saved(architecture.name, tmp_path / "checkpoint"))
    first, second = found.examples
    assert first.method == ("generate" if architecture.generates else "forward")
    shapes = []
    for example in (first, second):
        run_eager(found.model, example.method, example.inputs)
        tensor = next(value for value in example.inputs.kwargs.values() if isinstance(value, torch.Tensor))
        shapes.append(tensor.shape)
    assert [shape[0] for shape in shapes] == [1, 2]
    if "input_ids" in first.inputs.kwargs:
        assert shapes[1][1] > shapes[0][1]
        assert any("has no tokenizer: the token ids are drawn at random" in note for note in found.notes)


def test_a_tokenizer_makes_the_inputs(tmp_path: Path) -> None:
    found = examined(with_tokenizer(saved("bert", tmp_path / "checkpoint")))
    assert not found.notes
    short, long = (example.inputs.kwargs for example in found.examples)
    assert set(short["input_ids"].flatten().tolist()) <= {1, *range(5, 12)}
    assert int(long["attention_mask"][1].sum()) < long["attention_mask"].shape[1]


def test_prompts_are_padded_on_the_left(tmp_path: Path) -> None:
    found = examined(with_tokenizer(saved("llama", tmp_path / "checkpoint")))
    _, long = found.examples
    assert long.method == "generate"
    assert long.inputs.kwargs["attention_mask"][1].tolist()[0] == 0
    run_eager(found.model, "generate", long.inputs)


def test_masked_models_get_a_mask_to_fill(tmp_path: Path) -> None:
    found = examined(with_tokenizer(saved("albert", tmp_path / "checkpoint")))
    for example in found.examples:
        assert (example.inputs.kwargs["input_ids"] == 4).any()


def test_a_tokenizer_of_another_model_is_told(tmp_path: Path) -> None:
    folder = with_tokenizer(saved("bert", tmp_path / "checkpoint"))
    settings = json.loads((folder / "config.json").read_text())
    config = transformers.BertConfig(**{**settings, "vocab_size": 10})
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    with pytest.raises(UsageError, match=r"its tokenizer gives id 1\d, and BertForSequenceClassification has 10 t"):
        examined(folder)


def test_another_class_than_the_saved_one_is_noted(tmp_path: Path) -> None:
    found = examined(with_tokenizer(saved("bert", tmp_path / "checkpoint")), "token-classification")
    (note,) = found.notes
    assert "was saved as a BertForSequenceClassification and is loaded as a BertForTokenClassification" in note


def test_weights_that_the_checkpoint_lacks_are_noted(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pytest_cpuaccel.builder.load_model import eager_model_of

    folder = saved("bert", here / "bert")
    model: Any = transformers.AutoModel.from_pretrained(folder)
    model.save_pretrained(folder)
    settings = json.loads((folder / "config.json").read_text())
    config = {**settings, "architectures": ["BertForSequenceClassification"]}
    (folder / "config.json").write_text(json.dumps(config))
    notes: list[str] = []
    eager_model_of(folder, say=notes.append)
    assert notes == [
        f"'{folder}' lacks weights of BertForSequenceClassification, which are random: "
        "classifier.bias, classifier.weight"
    ]
    assert main(["gate", str(folder), "--cpu-backends=torchscript", "--cpu-report=run.json,run.md,run.html"]) == 0
    assert f"note: {notes[0]}" in capsys.readouterr().out
    assert notes[0] in json.loads((here / "run.json").read_text())["notes"]
    assert "classifier.bias" in (here / "run.md").read_text()
    assert "classifier.bias" in (here / "run.html").read_text()


@pytest.mark.parametrize("positions", [8, 16, 24])
@pytest.mark.parametrize("prepare", [lambda folder: folder, with_tokenizer], ids=["ids", "tokenizer"])
def test_prompts_and_new_tokens_fit_the_positions(
    prepare: Callable[[Path], Path], positions: int, tmp_path: Path
) -> None:
    config = transformers.GPT2Config(
        vocab_size=120, n_positions=positions, n_embd=16, n_layer=1, n_head=2, bos_token_id=1, eos_token_id=1
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path)
    found = examined(prepare(tmp_path))
    for example in found.examples:
        given = example.inputs.kwargs
        assert given["input_ids"].shape[1] + given["max_new_tokens"] <= positions
        run_eager(found.model, "generate", example.inputs)


@pytest.mark.parametrize("prepare", [lambda folder: folder, with_tokenizer], ids=["ids", "tokenizer"])
def test_multiple_choice_has_choices(prepare: Callable[[Path], Path], tmp_path: Path) -> None:
    tiny = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
    model = transformers.BertForMultipleChoice(transformers.BertConfig(vocab_size=120, **tiny))
    model.save_pretrained(tmp_path)
    found = examined(prepare(tmp_path))
    for example in found.examples:
        assert example.inputs.kwargs["input_ids"].shape[1] == 2
        run_eager(found.model, "forward", example.inputs)


def test_pytest_without_tests_points_to_the_gate(mlp_project: pytest.Pytester) -> None:
    result = mlp_project.runpytest_inprocess("--cpu-model=served/model", "--cpu-task=ner", "--cpu-backends=twin")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    command = "cpuaccel gate served/model --task=ner --cpu-backends=twin"
    result.stdout.fnmatch_lines([f"cpuaccel: there is no test here; without one: {command}"])
    mlp_project.makepyfile("def test_it(): pass")
    for further in ((), ("-k", "nothing")):
        result = mlp_project.runpytest_inprocess("--cpu-model=served/model", *further)
        result.stdout.no_fnmatch_line("*cpuaccel gate*")
