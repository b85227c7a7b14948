"""The embedded engine: adapter conversion, what it refuses, and (slow) real weights."""

import asyncio
import json
import os
import struct
from contextlib import asynccontextmanager
from pathlib import Path

import gguf
import httpx
import numpy as np
import pytest
from gguf.quants import dequantize

from agents.embedded import lora, merging, weights
from agents.embedded.pool import MERGED_KEPT, Limits, Places, Pool, Refused
from agents.embedded.server import create_app

URL = "/v1/chat/completions"
HIDDEN, HEADS, KEY_HEADS, HEAD_SIZE, RANK = 16, 4, 2, 4, 2
HEADS_OF_BASE = lora.Heads(query=HEADS, key=KEY_HEADS)
MODULES = {"self_attn.q_proj": (16, 16), "self_attn.k_proj": (8, 16), "mlp.down_proj": (16, 32)}


def make_base(path):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_token_list(["a", "b"])
    for module, shape in MODULES.items():
        name = f"blk.0.{lora.GGUF_NAMES[module]}.weight"
        values = np.random.default_rng(1).normal(size=shape).astype(np.float32)
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def read_model(path):
    """Return a model's matrices by GGUF's name of the module, in float32."""
    return {
        tensor.name.split(".")[2]: dequantize(tensor.data, tensor.tensor_type)
        for tensor in gguf.GGUFReader(path).tensors
    }


def write_safetensors(path, tensors, dtype="F32"):
    header, blobs, offset = {}, [], 0
    for name, values in tensors.items():
        blob = values.astype(np.float32).tobytes()
        if dtype == "BF16":
            blob = (np.frombuffer(blob, np.uint32) >> 16).astype(np.uint16).tobytes()
        span = [offset, offset + len(blob)]
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": span}
        blobs.append(blob)
        offset += len(blob)
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + b"".join(blobs))


def make_adapter(folder, modules=MODULES, dtype="F32", **config):
    folder.mkdir(parents=True, exist_ok=True)
    generator, tensors = np.random.default_rng(0), {}
    for module, (rows, columns) in modules.items():
        key = f"base_model.model.model.layers.0.{module}"
        tensors[f"{key}.lora_A.weight"] = generator.normal(size=(RANK, columns))
        tensors[f"{key}.lora_B.weight"] = generator.normal(size=(rows, RANK))
    write_safetensors(folder / lora.WEIGHTS_NAME, tensors, dtype)
    options = {"peft_type": "LORA", "r": RANK, "lora_alpha": 8, "bias": "none", **config}
    (folder / lora.CONFIG_NAME).write_text(json.dumps(options))
    return folder, tensors


class TestConversion:
    def test_changed_matrices_are_the_sum_and_the_rest_is_as_it_was(self, tmp_path):
        base = make_base(tmp_path / "base.gguf")
        only = {name: MODULES[name] for name in ("self_attn.q_proj", "mlp.down_proj")}
        folder, tensors = make_adapter(tmp_path / "adapter", only)
        merging.write_merged(folder, base, tmp_path / "out.gguf")
        before, after = (read_model(path) for path in (base, tmp_path / "out.gguf"))
        assert list(after) == list(before)
        np.testing.assert_array_equal(after["attn_k"], before["attn_k"])
        for module in only:
            name = lora.GGUF_NAMES[module]
            key = f"base_model.model.model.layers.0.{module}"
            a, b = (tensors[f"{key}.lora_{side}.weight"] for side in "AB")
            delta = lora.permute_rows(f"blk.0.{name}.weight", 8 / RANK * b, HEADS_OF_BASE) @ a
            error = np.abs(after[name] - before[name] - delta)
            assert error.max() < 0.01 * np.abs(delta).max()
        assert np.abs(after["attn_q"] - before["attn_q"]).max() > 1

    def test_what_the_base_says_of_itself_is_kept(self, tmp_path):
        base = make_base(tmp_path / "base.gguf")
        folder, _ = make_adapter(tmp_path / "adapter")
        merging.write_merged(folder, base, tmp_path / "out.gguf")
        said = [
            {name: field.contents() for name, field in gguf.GGUFReader(path).fields.items()}
            for path in (base, tmp_path / "out.gguf")
        ]
        assert said[0] == said[1]
        assert said[0]["tokenizer.ggml.tokens"] == ["a", "b"]

    def test_a_full_disk_leaves_nothing_behind(self, tmp_path, monkeypatch):
        def full(writer):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(merging, "_write", full)
        folder, _ = make_adapter(tmp_path / "artifacts" / "run")
        pool = make_pool(tmp_path, make_base(tmp_path / "base.gguf"))
        with pytest.raises(Refused, match="No space left"):
            asyncio.run(pool.load_adapter("a", str(folder)))
        assert list((tmp_path / "cache").iterdir()) == []

    def test_ranks_that_differ_are_refused(self, tmp_path):
        base = make_base(tmp_path / "base.gguf")
        folder, tensors = make_adapter(tmp_path / "adapter")
        name = next(name for name in tensors if "lora_A" in name)
        tensors[name] = tensors[name][:1]
        write_safetensors(folder / lora.WEIGHTS_NAME, tensors)
        with pytest.raises(lora.AdapterError, match="lacks A or B"):
            merging.write_merged(folder, base, tmp_path / "out.gguf")

    def test_query_and_key_rows_alternate_between_the_halves_of_each_head(self):
        rows = np.arange(KEY_HEADS * HEAD_SIZE, dtype=np.float32)[:, None]
        permuted = lora.permute_rows("blk.0.attn_k.weight", rows, HEADS_OF_BASE)
        assert permuted[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
        assert lora.permute_rows("blk.0.attn_v.weight", rows, HEADS_OF_BASE) is rows

    def test_bfloat16_is_read(self, tmp_path):
        folder, tensors = make_adapter(tmp_path / "adapter", dtype="BF16")
        for name, values in lora.read_safetensors(folder / lora.WEIGHTS_NAME):
            np.testing.assert_allclose(values, tensors[name], rtol=2**-7)

    def test_rank_stabilised_lora_scales_by_the_root_of_the_rank(self, tmp_path):
        folder, _ = make_adapter(tmp_path / "adapter", use_rslora=True)
        assert lora.read_scale(folder) == pytest.approx(8 / RANK**0.5)

    @pytest.mark.parametrize(
        ("modules", "config", "words"),
        [
            ({"self_attn.rotary": (16, 16)}, {}, "target modules may be q_proj"),
            ({"mlp.down_proj": (16, 8)}, {}, "the base model has"),
            ({"mlp.up_proj": (32, 16)}, {}, "another one"),
            (MODULES, {"use_dora": True}, "use_dora"),
            (MODULES, {"bias": "all"}, "bias"),
            (MODULES, {"peft_type": "IA3"}, "Only LoRA"),
        ],
    )
    def test_what_would_be_computed_differently_is_refused(self, tmp_path, modules, config, words):
        base = make_base(tmp_path / "base.gguf")
        folder, _ = make_adapter(tmp_path / "adapter", modules, **config)
        with pytest.raises(lora.AdapterError, match=words):
            merging.write_merged(folder, base, tmp_path / "out.gguf")
        assert not (tmp_path / "out.gguf").exists()

    def test_pickled_and_broken_weights_are_refused(self, tmp_path):
        base = make_base(tmp_path / "base.gguf")
        folder, _ = make_adapter(tmp_path / "adapter")
        (folder / lora.WEIGHTS_NAME).write_bytes(b"\xff" * 64)
        with pytest.raises(lora.AdapterError, match="not a safetensors"):
            merging.write_merged(folder, base, tmp_path / "out.gguf")
        (folder / lora.WEIGHTS_NAME).rename(folder / "adapter_model.bin")
        with pytest.raises(lora.AdapterError, match="other formats are refused"):
            merging.write_merged(folder, base, tmp_path / "out.gguf")


def make_pool(root, base):
    return Pool(Places("base", base, root / "cache", (root / "artifacts",)), Limits(slots=2))


@asynccontextmanager
async def client_of(pool):
    """A client of the app whose start-up was skipped: no model is loaded."""
    app = create_app(pool, {})
    transport = httpx.ASGITransport(app)
    async with (
        httpx.AsyncClient(timeout=120) as app.state.client,
        httpx.AsyncClient(transport=transport, base_url="http://engine", timeout=120) as client,
    ):
        yield client


def post(pool, path, body):
    async def call():
        async with client_of(pool) as client:
            return await client.post(path, json=body)

    return asyncio.run(call())


class TestRefusals:
    def test_unknown_models_get_openai_s_error(self, tmp_path):
        pool = make_pool(tmp_path, make_base(tmp_path / "base.gguf"))
        response = post(pool, URL, {"model": "none", "messages": []})
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "model_not_found"

    @pytest.mark.parametrize("path", ["elsewhere", "artifacts/../elsewhere", "artifacts/link"])
    def test_adapters_outside_the_artifacts_are_refused(self, tmp_path, path):
        make_adapter(tmp_path / "elsewhere")
        (tmp_path / "artifacts").mkdir()
        (tmp_path / "artifacts" / "link").symlink_to(tmp_path / "elsewhere")
        pool = make_pool(tmp_path, make_base(tmp_path / "base.gguf"))
        body = {"lora_name": "a", "lora_path": str(tmp_path / path)}
        response = post(pool, "/v1/load_lora_adapter", body)
        assert response.status_code == 403
        assert response.json()["error"]["code"] == "path_not_allowed"

    def test_an_adapter_is_loaded_once_and_unloaded_once(self, tmp_path):
        folder, _ = make_adapter(tmp_path / "artifacts" / "run")
        pool = make_pool(tmp_path, make_base(tmp_path / "base.gguf"))
        body = {"lora_name": "a", "lora_path": str(folder)}
        assert "added" in post(pool, "/v1/load_lora_adapter", body).text
        assert "already" in post(pool, "/v1/load_lora_adapter", body).text
        assert pool.names == ["base", "a"]
        assert post(pool, "/v1/unload_lora_adapter", body).status_code == 200
        assert post(pool, "/v1/unload_lora_adapter", body).status_code == 404

    def test_merged_files_that_nobody_used_for_long_go(self, tmp_path):
        pool = make_pool(tmp_path, make_base(tmp_path / "base.gguf"))
        for number in range(MERGED_KEPT + 2):
            folder, _ = make_adapter(tmp_path / "artifacts" / f"run{number}", lora_alpha=number + 1)
            body = {"lora_name": "first" if number == 0 else "other", "lora_path": str(folder)}
            assert post(pool, "/v1/load_lora_adapter", body).status_code == 200
            os.utime(pool.adapters[body["lora_name"]], (number, number))
        kept = set((tmp_path / "cache").iterdir())
        assert len(kept) == MERGED_KEPT + 1
        assert kept >= set(pool.adapters.values()), "what is served stays, however old"

    def test_the_base_model_s_name_can_not_be_taken(self, tmp_path):
        pool = make_pool(tmp_path, make_base(tmp_path / "base.gguf"))
        body = {"lora_name": "base", "lora_path": str(tmp_path)}
        assert post(pool, "/v1/load_lora_adapter", body).status_code == 400

    def test_bodies_that_are_no_json_object_are_refused(self, tmp_path):
        pool = make_pool(tmp_path, make_base(tmp_path / "base.gguf"))
        assert post(pool, URL, [1]).status_code == 400
        assert post(pool, URL, {"messages": []}).status_code == 400


class FakeNative:
    """A native server without a process: counts how often it was stopped."""

    def __init__(self):
        self.in_flight, self.retired, self.alive, self.stopped = 0, False, True, 0

    async def stop(self):
        self.stopped += 1


class TestPool:
    @pytest.fixture
    def pool(self, tmp_path, monkeypatch):
        async def start(options):
            return FakeNative()

        monkeypatch.setattr("agents.embedded.pool.start_native", start)
        pool = make_pool(tmp_path, make_base(tmp_path / "base.gguf"))
        pool.adapters |= {name: tmp_path / name for name in "abc"}
        return pool

    def test_the_least_recently_used_idle_model_leaves_first(self, pool):
        async def use():
            for name in ("base", "a", "b", "base", "c"):
                async with pool.lease(name):
                    assert name in pool.resident
            return list(pool.resident)

        assert asyncio.run(use()) == ["b", "base", "c"]

    def test_a_swapped_model_stops_only_after_its_running_requests(self, pool, tmp_path):
        async def swap():
            async with pool.lease("a") as old:
                pool.unload_adapter("a")
                pool.adapters["a"] = tmp_path / "new"
                async with pool.lease("a") as new:
                    assert new is not old
                assert old.stopped == 0
            await asyncio.gather(*pool._stopping)
            assert (old.stopped, new.stopped) == (1, 0)

        asyncio.run(swap())

    def test_a_model_whose_process_died_is_started_again(self, pool):
        async def use():
            async with pool.lease("a") as first:
                first.alive = False
            async with pool.lease("a") as second:
                assert second is not first

        asyncio.run(use())


class TestWeights:
    def test_a_present_file_is_taken_as_it_is(self, tmp_path):
        path = weights.base_model_path(tmp_path)
        path.parent.mkdir()
        path.write_bytes(b"GGUF")
        assert weights.ensure_base_model(tmp_path, print) == path

    def test_no_network_says_what_to_do_and_leaves_nothing(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
        with pytest.raises(weights.WeightsUnavailable, match="ENGINE_URL"):
            weights.ensure_base_model(tmp_path, lambda text: None)
        assert list((tmp_path / weights.BASE_MODEL).iterdir()) == []

    def test_a_full_disk_is_named_before_the_download(self, tmp_path, monkeypatch):
        monkeypatch.setattr(weights, "NEEDED_BYTES", 10**18)
        with pytest.raises(weights.WeightsUnavailable, match="needed on disk"):
            weights.ensure_base_model(tmp_path, lambda text: None)


@pytest.fixture(scope="module")
def real_weights():
    """The base model's file, which the browser tests share; fetched where it is absent."""
    models = Path(__file__).parents[2] / ".local" / "models"
    try:
        return weights.ensure_base_model(models, lambda text: None)
    except weights.WeightsUnavailable as missing:
        pytest.skip(str(missing).splitlines()[0])


SCHEMA = {
    "type": "object",
    "properties": {"thought": {"type": "string", "maxLength": 40}, "action": {"enum": ["reply"]}},
    "required": ["thought", "action"],
}


@pytest.mark.slow
class TestRealWeights:
    def test_base_and_adapter_answer_differently_in_the_schema_s_order(
        self, tmp_path, real_weights
    ):
        real = {"mlp.down_proj": (576, 1536)}
        folder, _ = make_adapter(tmp_path / "artifacts" / "run", real, lora_alpha=0.5)
        pool = make_pool(tmp_path, real_weights)
        answers = asyncio.run(self.ask_both(pool, folder))
        assert list(json.loads(answers["base"])) == ["thought", "action"]
        assert answers["base"] != answers["loud"]

    async def ask_both(self, pool, folder):
        form = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
        body = {"temperature": 0, "max_tokens": 80, "response_format": form}
        body["messages"] = [{"role": "user", "content": "Hello"}]
        async with client_of(pool) as client:
            await pool.load_adapter("loud", str(folder))
            answers = {}
            for model in ("base", "loud"):
                answer = (await client.post(URL, json={**body, "model": model})).json()
                answers[model] = answer["choices"][0]["message"]["content"]
            async with client.stream(
                "POST", URL, json={**body, "model": "base", "stream": True}
            ) as r:
                lines = [line async for line in r.aiter_lines() if line]
        await pool.close()
        assert lines[-1] == "data: [DONE]"
        assert json.loads(lines[-2][6:])["usage"]["completion_tokens"] > 0
        return answers
