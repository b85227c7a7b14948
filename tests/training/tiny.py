"""A causal language model of 60,000 weights that speaks ChatML, made here in a second."""

import functools
import json
import tempfile
from pathlib import Path

CHATML = (
    "{% for message in messages %}"
    "{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are tiny.<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
ITEMS = ("pizza", "milk", "roses", "aspirin", "soup", "bread", "tea", "rice")


def sft_rows(count=16):
    return [
        {
            "prompt": [
                {"role": "system", "content": "Answer as JSON."},
                {"role": "user", "content": f"Where is my {ITEMS[n % 8]}, order GW{1000 + n}?"},
            ],
            "completion": [{"role": "assistant", "content": answer(n, "On its way.")}],
        }
        for n in range(count)
    ]


def dpo_rows(count=8):
    return [
        {
            "prompt": row["prompt"],
            "chosen": row["completion"],
            "rejected": [{"role": "assistant", "content": answer(n, "No idea, sorry.")}],
        }
        for n, row in enumerate(sft_rows(count))
    ]


def answer(n, reply):
    return json.dumps({"action": "look_up", "order": f"GW{1000 + n}", "reply": reply})


@functools.cache
def folder():
    """Return the folder of the saved model and tokenizer; made once per session."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    path = Path(tempfile.mkdtemp(prefix="tiny-llama-"))
    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(path)
    torch.manual_seed(0)
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=48,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            initializer_range=0.2,  # a frozen, tied head of small weights could say nothing
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    ).save_pretrained(path)
    return path


def make_tokenizer():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    texts = [json.dumps(row) for row in sft_rows(8) + dpo_rows(8)]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=480, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token="<|endoftext|>",
    )
    tokenizer.chat_template = CHATML
    return tokenizer


def make_job(path, stage, rows, *, adapter_dir=None, replay=None, **recipe):
    """Write a job folder for the tiny model and return it."""
    path.mkdir(parents=True, exist_ok=True)
    job = {"stage": stage, "base_dir": str(folder()), "base_name": "tiny", "recipe": recipe}
    if adapter_dir:
        job["adapter_dir"] = str(adapter_dir)
    (path / "job.json").write_text(json.dumps(job))
    write_rows(path / "train.jsonl", rows)
    if replay:
        write_rows(path / "replay.jsonl", replay)
    return path


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def metrics(job):
    return [json.loads(line) for line in (job / "metrics.jsonl").read_text().splitlines()]
