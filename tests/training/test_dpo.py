"""The real trainer on a tiny model made here: no download, no GPU, no database."""

import json
import shutil
import signal

import pytest

from tests.training import tiny
from training import checkpoints, dpo, progress

RECIPE = {"learning_rate": 0.01, "epochs": 3, "lora_rank": 4, "save_steps": 4, "warmup_steps": 1}


@pytest.fixture(autouse=True)
def _sigterm():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def train(job):
    return checkpoints.run(job, "dpo", dpo.train_job)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Return the folder of an adapter that changes the tiny model's answers."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(3)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(tiny.folder()),
        LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear", lora_alpha=8),
    )
    for name, weights in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.05)
    folder = tmp_path_factory.mktemp("start")
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def done(tmp_path_factory, start):
    """Return the folder of a finished job of 9 steps that began with an adapter."""
    job = tiny.make_job(
        tmp_path_factory.mktemp("dpo") / "job",
        "dpo",
        tiny.dpo_rows(),
        replay=tiny.sft_rows(12)[8:],
        adapter_dir=start,
        **RECIPE,
    )
    before = signal.getsignal(signal.SIGTERM)
    assert train(job) == 0, (job / "error.txt").read_text()
    signal.signal(signal.SIGTERM, before)
    return job


class TestAJobThatBeginsWithAnAdapter:
    def test_it_learns_to_prefer_the_chosen_answers(self, done):
        entries = tiny.metrics(done)
        assert [entry["step"] for entry in entries] == list(range(1, 10))
        assert entries[-1]["loss"] < entries[0]["loss"]
        assert max(entry["rewards/margins"] for entry in entries) > 0.1

    def test_the_reference_is_the_model_with_the_adapter(self, done):
        assert abs(tiny.metrics(done)[0]["rewards/margins"]) < 0.02

    def test_the_adapter_works_on_the_original_base(self, start, tmp_path, monkeypatch):
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        # float32, so that logits in memory and reloaded can be held together closely
        monkeypatch.setattr(progress, "multiplies_bf16", lambda: False)
        folder = tiny.make_job(
            tmp_path / "job", "dpo", tiny.dpo_rows(4), adapter_dir=start, **RECIPE
        )
        job = checkpoints.read_job(folder, "dpo")
        recipe = dpo.Recipe(**RECIPE, save_dtype="float32")
        trainer = dpo.make_trainer(job, recipe, dpo.read_examples(job))
        trainer.train()
        checkpoints.save_adapter(trainer, job, "float32")

        tokens = torch.arange(5, 45).unsqueeze(0)
        base = AutoModelForCausalLM.from_pretrained(tiny.folder())
        with torch.no_grad():
            untrained = base(tokens).logits
            begun = PeftModel.from_pretrained(base, start)(tokens).logits
            base = AutoModelForCausalLM.from_pretrained(tiny.folder())
            reloaded = PeftModel.from_pretrained(base, folder / "adapter")(tokens).logits
            in_memory = trainer.model(tokens).logits
        assert torch.allclose(reloaded, in_memory.float(), atol=1e-4)
        assert not torch.allclose(reloaded, begun, atol=0.05)
        assert not torch.allclose(begun, untrained, atol=0.05)

    def test_it_is_one_small_adapter(self, done):
        files = {path.name for path in (done / "adapter").iterdir()}
        assert files == {"adapter_config.json", "adapter_model.safetensors"}
        assert "/" not in (done / "adapter" / "adapter_config.json").read_text()

    def test_it_says_what_was_done(self, done):
        outcome = json.loads((done / "outcome.json").read_text())
        assert (outcome["steps"], outcome["rows"]) == (9, 12)
        assert outcome["replay_sha256"] == checkpoints.sha256(done / "replay.jsonl")

    def test_interrupted_it_goes_on_with_the_first_reference(self, done, tmp_path):
        job = shutil.copytree(done, tmp_path / "job")
        (job / "checkpoints" / "checkpoint-9" / "optimizer.pt").unlink()

        assert train(job) == 0
        again, before = tiny.metrics(job), tiny.metrics(done)
        assert [entry["step"] for entry in again] == list(range(1, 10))
        assert again[-1]["loss"] == before[-1]["loss"]
        assert again[-1]["rewards/margins"] == before[-1]["rewards/margins"]


def test_without_an_adapter_the_reference_is_the_base(tmp_path):
    job = tiny.make_job(tmp_path / "job", "dpo", tiny.dpo_rows(4), **RECIPE)
    assert train(job) == 0
    assert tiny.metrics(job)[0]["rewards/margins"] == pytest.approx(0, abs=0.02)
    assert (job / "adapter" / "adapter_model.safetensors").is_file()


def test_a_replayed_row_alone_moves_no_preference(tmp_path):
    same = tiny.sft_rows(12)[8:]
    folder = tiny.make_job(tmp_path / "job", "dpo", tiny.dpo_rows(4), replay=same)
    named = dpo.read_examples(checkpoints.read_job(folder, "dpo"))
    assert [name for name, _ in named[4:]] == [f"replay.jsonl row {n}" for n in range(1, 5)]
    assert all(row["chosen"] == row["rejected"] for _, row in named[4:])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"chosen": None}, "row 2: 'chosen' must be a list of messages"),
        ({"rejected": []}, "row 2: 'rejected' must be a list of messages"),
        ({"rejected": tiny.dpo_rows(2)[1]["chosen"]}, "row 2: 'chosen' and 'rejected' are the"),
        ({"prompt": [{"role": "user", "content": "why? " * 300}]}, "row 2: "),
    ],
)
def test_a_bad_pair_is_refused_by_its_number(tmp_path, changes, said):
    pairs = tiny.dpo_rows(4)
    pairs[1] |= changes
    job = tiny.make_job(tmp_path / "job", "dpo", pairs)
    assert train(job) == checkpoints.REFUSED
    assert f"train.jsonl {said}" in (job / "error.txt").read_text()
    assert not (job / "adapter").exists()
