"""Preference training: after a given prompt the model learns to prefer one answer to another.

Method: Direct Preference Optimization, Rafailov et al. 2023 (arXiv:2305.18290), with the
negative log-likelihood of the chosen answer beside it, as in Pang et al. 2024
(arXiv:2404.19733), in TRL's DPOTrainer, on LoRA adapters. Knows nothing of Django and does
not judge the result: margins rise on the training pairs also where nothing is repaired or
other answers break. Only generated answers to held-out cases and to a regression set judge.

Going on from an adapter, that adapter is trained further and its first state is the
reference; so what is saved is one adapter for the original base, not a second one on top.

    python -m training.dpo JOB_DIR        (files and exit codes: training/checkpoints.py)
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training import checkpoints, progress, rows
from training.checkpoints import Job
from training.progress import Stopping
from training.rows import Row


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the outcome besides the pairs and the model begun with."""

    epochs: int = 3  # passes over the pairs, which are few
    learning_rate: float = 5e-5  # peak, per optimiser step; 2e-4 broke answers not trained on
    warmup_steps: int = 3  # optimiser steps; the first gradients are those of few pairs
    beta: float = 0.1  # pull towards the reference; larger changes less
    sft_weight: float = 1.0  # of the chosen answer's likelihood: without it nothing was repaired
    batch_size: int = 2  # pairs per device, so four answers in memory
    gradient_accumulation: int = 2  # batches per optimiser step: four pairs a step
    max_length: int = 768  # tokens, prompt and answer; longer rows are refused, not cut
    lora_rank: int = 16  # 10 MB as float16; ignored when going on from an adapter
    lora_alpha: int = 32  # twice the rank: the usual scale of 2
    lora_dropout: float = 0.0  # the reference must differ by what was learnt alone
    threads: int = 1  # CPU cores; the engine needs the others
    seed: int = 17  # of adapters and of the pairs' order
    save_steps: int = 20  # optimiser steps between checkpoints: minutes of work to lose
    save_dtype: str = "float16"  # of the saved adapter; half the size, and the engine's own


def wrong_pair(row: Any) -> str:
    """Say what is wrong with a pair, "" if nothing."""
    wrong = (
        rows.wrong_messages(row, "prompt")
        or rows.wrong_answer(row, "chosen")
        or rows.wrong_answer(row, "rejected")
    )
    if not wrong and row["chosen"][0]["content"] == row["rejected"][0]["content"]:
        return "'chosen' and 'rejected' are the same"
    return wrong


def wrong_replay(row: Any) -> str:
    """Say what is wrong with a replayed SFT row, "" if nothing."""
    return rows.wrong_messages(row, "prompt") or rows.wrong_answer(row, "completion")


def read_examples(job: Job) -> list[tuple[str, Row]]:
    """Return train.jsonl's pairs, then replay.jsonl's rows as pairs, each with its name.

    A replayed answer is both chosen and rejected: the preference loss then has no gradient
    and the likelihood alone holds the model to what it could do before.
    """
    named = rows.read_rows(job.folder / "train.jsonl", wrong_pair)
    replay = job.folder / "replay.jsonl"
    if replay.exists():
        for name, row in rows.read_rows(replay, wrong_replay):
            answer = row["completion"]
            named.append((name, {"prompt": row["prompt"], "chosen": answer, "rejected": answer}))
    return named


def as_text(tokenizer: Any, named: list[tuple[str, Row]], max_length: int) -> list[Row]:
    """Return the pairs as the engine's text, and `length`, the longer answer's, in tokens.

    Raises:
        JobRefused: a row is too long.
    """
    examples = []
    for name, row in named:
        prompt, chosen = rows.render(tokenizer, row, "chosen")
        _, rejected = rows.render(tokenizer, row, "rejected")
        length = max(
            rows.check_length(tokenizer, prompt, answer, max_length, name)
            for answer in (chosen, rejected)
        )
        examples.append(
            {"prompt": prompt, "chosen": chosen, "rejected": rejected, "length": length}
        )
    return examples


def train_job(job: Job, stopping: Stopping) -> None:
    """Train the job's adapter and write everything that checkpoints.py lists.

    Raises:
        JobRefused: the recipe or a row can't be used; nothing was trained.
    """
    recipe = rows.read_recipe(Recipe, job.recipe)
    named = read_examples(job)
    progress.use_cores(recipe.threads)
    trainer = make_trainer(job, recipe, named)
    checkpoints.train(trainer, job, stopping)
    checkpoints.finish(trainer, job, recipe, rows=len(named))


def make_trainer(job: Job, recipe: Recipe, named: list[tuple[str, Row]]) -> Any:
    """Return TRL's trainer, ready to run, the reference's likelihoods computed."""
    # Imported here: ten seconds, and a gigabyte, that only a training process should pay.
    import torch
    from datasets import Dataset
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    tokenizer = AutoTokenizer.from_pretrained(job.base_dir)
    examples = as_text(tokenizer, named, recipe.max_length)
    gpu = torch.cuda.is_available()
    model: Any = AutoModelForCausalLM.from_pretrained(job.base_dir, dtype=torch.float32)
    if job.adapter_dir:
        model = PeftModel.from_pretrained(model, job.adapter_dir, is_trainable=True)
    trainer: Any = DPOTrainer(
        model=model,
        args=DPOConfig(
            output_dir=str(job.checkpoints),
            num_train_epochs=1,  # the order repeats the rows
            learning_rate=recipe.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=recipe.warmup_steps,
            beta=recipe.beta,
            loss_type=["sigmoid", "sft"],
            loss_weights=[1.0, recipe.sft_weight],
            precompute_ref_log_probs=True,  # once, before training, instead of in each epoch
            per_device_train_batch_size=recipe.batch_size,
            gradient_accumulation_steps=recipe.gradient_accumulation,
            max_length=recipe.max_length,
            pad_to_multiple_of=64,  # few sizes of tensor: memory is used again, not added to
            train_sampling_strategy="sequential",  # as put in order below
            seed=recipe.seed,
            bf16=progress.multiplies_bf16(),
            use_cpu=not gpu,
            gradient_checkpointing=False,  # memory is enough, time is not
            dataloader_pin_memory=gpu,
            logging_steps=1,
            logging_nan_inf_filter=False,  # a loss that is no number has to stop the run
            save_steps=recipe.save_steps,
            save_total_limit=2,
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(examples),
        processing_class=tokenizer,
        peft_config=None if job.adapter_dir else progress.new_adapter(recipe),
    )
    if "ref" in trainer.model.peft_config:
        # TRL's frozen copy of the adapter has served: checkpoints are to hold one adapter only.
        trainer.model.delete_adapter("ref")
    rows.put_in_order(trainer, examples, epochs=recipe.epochs)
    return trainer


if __name__ == "__main__":
    sys.exit(checkpoints.run(Path(sys.argv[1]), "dpo", train_job))
