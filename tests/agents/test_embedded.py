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

from agents.embedded import lora, weights
from agents.embedded.pool import Limits, Places, Pool
from agents.embedded.server import create_app

URL = "/v1/chat/completions"
HIDDEN, HEADS, KEY_HEADS, HEAD_SIZE, RANK = 16, 4, 2, 4, 2
MODULES = {"self_attn.q_proj": (16, 16), "self_attn.k_proj": (8, 16), "mlp.down_proj": (16, 32)}


def make_base(path):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    for module, shape in MODULES.items():
        name = f"blk.0.{lora.GGUF_NAMES[module]}.weight"
        writer.add_tensor(name, np.zeros(shape, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


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
    def test_every_matrix_is_written_with_its_shape_and_the_adapter_fields(self, tmp_path):
        base = make_base(tmp_path / "base.gguf")
        folder, _ = make_adapter(tmp_path / "adapter")
        lora.write_gguf_lora(folder, base, tmp_path / "out.gguf")
        reader = gguf.GGUFReader(tmp_path / "out.gguf")
        assert reader.fields["general.type"].contents() == "adapter"
        assert reader.fields["adapter.type"].contents() == "lora"
        assert reader.fields["adapter.lora.alpha"].contents() == 8.0
        shapes = {tensor.name: tuple(tensor.data.shape) for tensor in reader.tensors}
        assert shapes["blk.0.attn_q.weight.lora_a"] == (RANK, HIDDEN)
        assert shapes["blk.0.attn_k.weight.lora_b"] == (8, RANK)
        assert len(shapes) == 2 * len(MODULES)

    def test_query_and_key_rows_alternate_between_the_halves_of_each_head(self):
        rows = np.arange(KEY_HEADS * HEAD_SIZE, dtype=np.float32)[:, None]
        heads = lora.Heads(query=HEADS, key=KEY_HEADS)
        permuted = lora.permute_rows("blk.0.attn_k.weight", rows, heads)
        assert permuted[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
        assert lora.permute_rows("blk.0.attn_v.weight", rows, heads) is rows

    def test_bfloat16_is_read(self, tmp_path):
        folder, tensors = make_adapter(tmp_path / "adapter", dtype="BF16")
        for name, values in lora.read_safetensors(folder / lora.WEIGHTS_NAME):
            np.testing.assert_allclose(values, tensors[name], rtol=2**-7)

    def test_rank_stabilised_lora_scales_by_the_root_of_the_rank(self, tmp_path):
        folder, _ = make_adapter(tmp_path / "adapter", use_rslora=True)
        assert lora.read_alpha(folder) == pytest.approx(8 * RANK**0.5)

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
            lora.write_gguf_lora(folder, base, tmp_path / "out.gguf")
        assert not (tmp_path / "out.gguf").exists()

    def test_pickled_and_broken_weights_are_refused(self, tmp_path):
        base = make_base(tmp_path / "base.gguf")
        folder, _ = make_adapter(tmp_path / "adapter")
        (folder / lora.WEIGHTS_NAME).write_bytes(b"\xff" * 64)
        with pytest.raises(lora.AdapterError, match="not a safetensors"):
            lora.write_gguf_lora(folder, base, tmp_path / "out.gguf")
        (folder / lora.WEIGHTS_NAME).rename(folder / "adapter_model.bin")
        with pytest.raises(lora.AdapterError, match="other formats are refused"):
            lora.write_gguf_lora(folder, base, tmp_path / "out.gguf")


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


def real_weights():
    home = Path(os.environ.get("WOWCONSOLE_HOME") or Path(__file__).parents[2] / ".local")
    return weights.base_model_path(home / "models")


SCHEMA = {
    "type": "object",
    "properties": {"thought": {"type": "string", "maxLength": 40}, "action": {"enum": ["reply"]}},
    "required": ["thought", "action"],
}


@pytest.mark.slow
@pytest.mark.skipif(not real_weights().is_file(), reason="needs the base model's GGUF")
class TestRealWeights:
    def test_base_and_adapter_answer_differently_in_the_schema_s_order(self, tmp_path):
        real = {"mlp.down_proj": (576, 1536)}
        folder, _ = make_adapter(tmp_path / "artifacts" / "run", real, lora_alpha=0.5)
        pool = make_pool(tmp_path, real_weights())
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
