"""The real trainer on a tiny model made here: no download, no GPU, no database."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.training import tiny
from training import checkpoints, rows, sft

RECIPE = {"learning_rate": 0.02, "epochs": 3, "lora_rank": 4, "save_steps": 5, "warmup_steps": 1}
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _sigterm():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def train(job):
    return checkpoints.run(job, "sft", sft.train_job)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Return the folder of a finished job of 12 steps."""
    job = tiny.make_job(tmp_path_factory.mktemp("sft") / "job", "sft", tiny.sft_rows(), **RECIPE)
    before = signal.getsignal(signal.SIGTERM)
    assert train(job) == 0, (job / "error.txt").read_text()
    signal.signal(signal.SIGTERM, before)
    return job


class TestAFinishedJob:
    def test_it_learns(self, done):
        losses = [entry["loss"] for entry in tiny.metrics(done)]
        assert losses[-1] < losses[0] / 2

    def test_it_tells_every_step_once(self, done):
        entries = tiny.metrics(done)
        assert [entry["step"] for entry in entries] == list(range(1, 13))
        assert {entry["total_steps"] for entry in entries} == {12}
        assert entries[0].keys() >= {"at", "loss", "learning_rate", "grad_norm", "seconds"}

    def test_it_says_what_was_done(self, done):
        outcome = json.loads((done / "outcome.json").read_text())
        assert outcome["steps"] == 12
        assert outcome["rows"] == 16
        assert outcome["tokens"] == tiny.metrics(done)[-1]["num_tokens"]
        assert outcome["train_sha256"] == checkpoints.sha256(done / "train.jsonl")
        assert outcome["recipe"]["epochs"] == 3
        assert outcome["versions"].keys() == set(checkpoints.LIBRARIES)

    def test_the_adapter_is_small_and_names_no_path(self, done):
        from safetensors.torch import load_file

        files = {path.name for path in (done / "adapter").iterdir()}
        assert files == {"adapter_config.json", "adapter_model.safetensors"}
        tensors = load_file(done / "adapter" / "adapter_model.safetensors")
        assert {str(tensor.dtype) for tensor in tensors.values()} == {"torch.float16"}
        config = (done / "adapter" / "adapter_config.json").read_text()
        assert json.loads(config)["base_model_name_or_path"] == "tiny"
        assert "/" not in config

    def test_it_keeps_two_checkpoints(self, done):
        names = {path.name for path in (done / "checkpoints").glob("checkpoint-*")}
        assert names == {"checkpoint-10", "checkpoint-12"}

    def test_running_it_again_trains_nothing(self, done):
        before = (done / "metrics.jsonl").read_text()
        assert train(done) == 0
        assert (done / "metrics.jsonl").read_text() == before

    def test_the_adapter_can_be_trained_further(self, done, tmp_path):
        job = tiny.make_job(
            tmp_path / "job", "sft", tiny.sft_rows(), adapter_dir=done / "adapter", **RECIPE
        )
        assert train(job) == 0
        assert tiny.metrics(job)[0]["loss"] < tiny.metrics(done)[0]["loss"] / 2


class TestAnInterruptedJob:
    def test_it_goes_on_from_the_newest_complete_checkpoint(self, done, tmp_path):
        job = shutil.copytree(done, tmp_path / "job")
        shutil.rmtree(job / "adapter")
        (job / "outcome.json").unlink()
        (job / "checkpoints" / "checkpoint-12" / "trainer_state.json").write_text('{"global')
        with (job / "metrics.jsonl").open("a") as stream:
            stream.write('{"step": 13, "lo')

        assert train(job) == 0
        again, before = tiny.metrics(job), tiny.metrics(done)
        assert [entry["step"] for entry in again] == list(range(1, 13))
        assert again[:10] == before[:10]
        assert [e["loss"] for e in again[10:]] == [e["loss"] for e in before[10:]]
        assert again[-1]["num_tokens"] == before[-1]["num_tokens"]
        assert again[-1]["seconds"] > again[9]["seconds"]
        assert (job / "adapter" / "adapter_model.safetensors").is_file()

    def test_it_does_not_go_on_with_other_rows(self, done, tmp_path):
        job = shutil.copytree(done, tmp_path / "job")
        tiny.write_rows(job / "train.jsonl", tiny.sft_rows(4))
        assert train(job) == checkpoints.REFUSED
        assert "changed after training began" in (job / "error.txt").read_text()


def test_the_same_seed_gives_the_same_losses(done, tmp_path):
    job = tiny.make_job(tmp_path / "job", "sft", tiny.sft_rows(), **RECIPE)
    assert train(job) == 0
    assert [e["loss"] for e in tiny.metrics(job)] == [e["loss"] for e in tiny.metrics(done)]


def test_the_loss_covers_the_answer_and_its_end_and_nothing_else(tmp_path):
    from transformers import AutoTokenizer

    folder = tiny.make_job(tmp_path / "job", "sft", tiny.sft_rows(4))
    job = checkpoints.read_job(folder, "sft")
    trainer = sft.make_trainer(job, sft.Recipe(), sft.read_examples(job))
    tokenizer = AutoTokenizer.from_pretrained(tiny.folder())
    expected = {
        tokenizer.apply_chat_template(row["prompt"], tokenize=False, add_generation_prompt=True): (
            row["completion"][0]["content"] + "<|im_end|>"
        )
        for row in tiny.sft_rows(4)
    }
    taught = {}
    for example in trainer.train_dataset:
        tokens, labels = example["input_ids"], example["labels"]
        begin = labels.count(-100)
        assert labels == [-100] * begin + tokens[begin:]
        taught[tokenizer.decode(tokens[:begin])] = tokenizer.decode(tokens[begin:])
    assert taught == expected


def test_rows_come_once_an_epoch_and_like_beside_like():
    lengths = [n % 40 for n in range(80)]
    order = rows.order(lengths, epochs=2, batch=4, seed=17)
    assert sorted(order[:80]) == sorted(order[80:]) == list(range(80))
    assert order[:80] != order[80:]
    assert order == rows.order(lengths, epochs=2, batch=4, seed=17)
    assert order != rows.order(lengths, epochs=2, batch=4, seed=18)
    batches = [[lengths[n] for n in order[start : start + 4]] for start in range(0, 160, 4)]
    assert sum(max(batch) - min(batch) for batch in batches) / len(batches) < 10


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"prompt": []}, "row 3: 'prompt' must be a list of messages"),
            ({"prompt": [{"role": "user"}]}, "row 3: a message of 'prompt' has no role"),
            ({"completion": [{"role": "user", "content": "x"}]}, "row 3: 'completion' must be"),
            ({"completion": [{"role": "assistant", "content": " "}]}, "row 3: a message of"),
        ],
    )
    def test_a_row_of_bad_shape(self, tmp_path, changes, said):
        examples = tiny.sft_rows(4)
        examples[2] |= changes
        job = tiny.make_job(tmp_path / "job", "sft", examples)
        assert train(job) == checkpoints.REFUSED
        assert said in (job / "error.txt").read_text()

    def test_a_row_that_is_too_long_by_its_number(self, tmp_path):
        examples = tiny.sft_rows(4)
        examples[1]["prompt"][1]["content"] *= 20
        job = tiny.make_job(tmp_path / "job", "sft", examples, max_length=100)
        assert train(job) == checkpoints.REFUSED
        assert "train.jsonl row 2: " in (job / "error.txt").read_text()
        assert "tokens, more than max_length 100" in (job / "error.txt").read_text()
        assert not (job / "metrics.jsonl").exists()

    def test_no_rows(self, tmp_path):
        job = tiny.make_job(tmp_path / "job", "sft", [])
        assert train(job) == checkpoints.REFUSED
        assert "train.jsonl has no rows" in (job / "error.txt").read_text()

    @pytest.mark.parametrize("recipe", [{"rate": 1}, {"epochs": "2"}, {"epochs": -1}])
    def test_a_recipe_it_does_not_know(self, recipe):
        with pytest.raises(rows.JobRefused, match="recipe"):
            rows.read_recipe(sft.Recipe, recipe)

    def test_a_job_of_another_stage(self, tmp_path):
        job = tiny.make_job(tmp_path / "job", "dpo", tiny.sft_rows(4))
        assert train(job) == checkpoints.REFUSED

    def test_refusing_a_row_loads_no_torch(self, tmp_path):
        job = tiny.make_job(tmp_path / "job", "sft", [{"prompt": "hello"}])
        code = (
            "import sys; from pathlib import Path; from training import checkpoints, sft\n"
            f"code = checkpoints.run(Path({str(job)!r}), 'sft', sft.train_job)\n"
            "sys.exit(99 if 'torch' in sys.modules or 'django' in sys.modules else code)"
        )
        ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
        assert ran.returncode == checkpoints.REFUSED


@pytest.mark.slow
class TestTheProcess:
    def start(self, job):
        return subprocess.Popen(
            [sys.executable, "-m", "training.sft", str(job)], cwd=ROOT, start_new_session=True
        )

    def wait_for_step(self, process, job, step):
        for _ in range(1200):
            if process.poll() is not None:
                raise AssertionError(f"ended with {process.returncode}")
            if (job / "metrics.jsonl").exists() and len(tiny.metrics(job)) >= step:
                return
            time.sleep(0.05)
        raise AssertionError("no step in a minute")

    def test_killed_it_goes_on_and_ends_as_if_it_was_not(self, tmp_path):
        recipe = {**RECIPE, "epochs": 40, "save_steps": 4}
        job = tiny.make_job(tmp_path / "job", "sft", tiny.sft_rows(), **recipe)
        process = self.start(job)
        self.wait_for_step(process, job, 14)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kept = tiny.metrics(job)[:8]

        assert self.start(job).wait(120) == 0
        entries = tiny.metrics(job)
        assert [entry["step"] for entry in entries] == list(range(1, 161))
        assert entries[:8] == kept
        assert json.loads((job / "outcome.json").read_text())["steps"] == 160

    def test_told_to_stop_it_leaves_a_checkpoint(self, tmp_path):
        recipe = {**RECIPE, "epochs": 500, "save_steps": 100000}
        job = tiny.make_job(tmp_path / "job", "sft", tiny.sft_rows(), **recipe)
        process = self.start(job)
        self.wait_for_step(process, job, 3)
        os.killpg(process.pid, signal.SIGTERM)

        assert process.wait(60) == 143
        last = tiny.metrics(job)[-1]["step"]
        assert checkpoints.newest_complete(job / "checkpoints").name == f"checkpoint-{last}"
        assert not (job / "outcome.json").exists()
        assert not (job / "error.txt").exists()
