"""Supervised fine-tuning: the model learns to write a given answer after a given prompt.

Method: cross-entropy on the answer's tokens only, in TRL's SFTTrainer, on LoRA adapters,
Hu et al. 2021 (arXiv:2106.09685). Knows nothing of Django and does not judge the result:
only generated answers to held-out prompts do.

    python -m training.sft JOB_DIR        (files and exit codes: training/checkpoints.py)
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
    """Everything that decides the outcome besides the rows and the base model."""

    epochs: int = 2  # passes over the rows; two brought a 135M model to 100 % valid JSON
    learning_rate: float = 5e-4  # peak, per optimiser step; adapters want ten times full tuning's
    warmup_steps: int = 5  # optimiser steps; fresh adapters are zero, so a short one is enough
    batch_size: int = 4  # rows per device and step; more does not make a CPU faster
    gradient_accumulation: int = 1  # batches per optimiser step
    max_length: int = 768  # tokens, prompt and answer; longer rows are refused, not cut
    lora_rank: int = 16  # 10 MB as float16; ignored when going on from an adapter
    lora_alpha: int = 32  # twice the rank: the usual scale of 2
    lora_dropout: float = 0.0  # few passes over varied rows need none, and it costs time
    threads: int = 1  # CPU cores; the engine needs the others
    seed: int = 17  # of adapters and of the rows' order
    save_steps: int = 20  # optimiser steps between checkpoints: minutes of work to lose
    save_dtype: str = "float16"  # of the saved adapter; half the size, and the engine's own


def wrong_shape(row: Any) -> str:
    """Say what is wrong with an SFT row, "" if nothing."""
    return rows.wrong_messages(row, "prompt") or rows.wrong_answer(row, "completion")


def read_examples(job: Job) -> list[tuple[str, Row]]:
    """Return train.jsonl's rows, then replay.jsonl's, each with its name for messages."""
    paths = [job.folder / "train.jsonl", job.folder / "replay.jsonl"]
    return [
        named
        for path in paths
        if path.exists() or path is paths[0]
        for named in rows.read_rows(path, wrong_shape)
    ]


def as_text(tokenizer: Any, named: list[tuple[str, Row]], max_length: int) -> list[Row]:
    """Return prompts and completions as the engine's text, and their `length` in tokens.

    Raises:
        JobRefused: a row is too long.
    """
    examples = []
    for name, row in named:
        prompt, completion = rows.render(tokenizer, row, "completion")
        length = rows.check_length(tokenizer, prompt, completion, max_length, name)
        examples.append({"prompt": prompt, "completion": completion, "length": length})
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
    """Return TRL's trainer, ready to run."""
    # Imported here: ten seconds, and a gigabyte, that only a training process should pay.
    import torch
    from datasets import Dataset
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    tokenizer = AutoTokenizer.from_pretrained(job.base_dir)
    examples = as_text(tokenizer, named, recipe.max_length)
    gpu = torch.cuda.is_available()
    model: Any = AutoModelForCausalLM.from_pretrained(job.base_dir, dtype=torch.float32)
    if job.adapter_dir:
        model = PeftModel.from_pretrained(model, job.adapter_dir, is_trainable=True)
    trainer: Any = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(job.checkpoints),
            num_train_epochs=1,  # the order repeats the rows
            learning_rate=recipe.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=recipe.warmup_steps,
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
    rows.put_in_order(trainer, examples, epochs=recipe.epochs)
    return trainer


if __name__ == "__main__":
    sys.exit(checkpoints.run(Path(sys.argv[1]), "sft", train_job))
