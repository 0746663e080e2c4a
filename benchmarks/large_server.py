"""Serves the packaged large model in bfloat16, shaped as OpenAI's API: for `civilly synth`.

``python benchmarks/large_server.py --port 8091``: what waits is answered together, up to
``--batch`` requests whose prompts begin alike, which take the place of those that are done; the
common beginning is read once and kept. llama.cpp and
CTranslate2 use a processor's matrix units less well on the same model (docs/decisions.md).
"""

from __future__ import annotations

import argparse
import json
import queue
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch
from transformers import AttentionInterface, AutoModelForCausalLM, AutoTokenizer, DynamicCache
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface

from civilly.model.large import large_training_folder

GATHER = 0.2
"""Seconds without a new request after which the batch begins."""
TOLD_EVERY = 50
"""Answers after which the server says how far it is."""
LEAST_HEAD = 32
"""Tokens that prompts must begin with alike, to be read together."""


@dataclass(eq=False)
class Job:
    """One request, and what is written so far."""

    ids: list[int]
    limit: int
    temperature: float
    answer: Future[str] = field(default_factory=Future)
    written: list[int] = field(default_factory=list)
    finished: bool = False

    @property
    def kind(self) -> tuple[int, ...]:
        """What requests must have in common to be read together."""
        return tuple(self.ids[:LEAST_HEAD])


@dataclass
class Going:
    """What is answered at the moment.

    Attributes:
        jobs: The requests.
        cache: What the model keeps, a row each; padded on the left.
        mask: [jobs, length of the cache], 0 where it is padding.
        tokens: [jobs], the last ones, which the model has not read.
        place: [jobs], of the last ones that it has read.
    """

    jobs: list[Job]
    cache: Any
    mask: Any
    tokens: Any
    place: Any


def grouped_attention(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any, scaling: float, **_: Any
) -> tuple[Any, None]:
    """Attention of several query heads to one head of keys, without copies of that head.

    Args:
        module: The layer.
        query: [batch, heads, new, size].
        key: [batch, key heads, all, size].
        value: As the keys.
        attention_mask: [batch, 1, new, all]; added to the scores, or booleans.
        scaling: Of the scores.

    Returns:
        [batch, new, heads, size].
    """
    batch, heads, new, size = query.shape
    shared = key.shape[1]
    folded = query.reshape(batch, shared, heads // shared * new, size)
    mask = None if attention_mask is None else attention_mask.repeat(1, 1, heads // shared, 1)
    found = torch.nn.functional.scaled_dot_product_attention(
        folded, key, value, attn_mask=mask, scale=scaling
    )
    return found.reshape(batch, heads, new, size).transpose(1, 2), None


class Writer:
    """The model, and the beginnings that it has read."""

    def __init__(self, batch: int, seed: int) -> None:
        folder = str(large_training_folder())
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        AttentionInterface.register("grouped", grouped_attention)
        AttentionMaskInterface.register("grouped", ALL_MASK_ATTENTION_FUNCTIONS["eager"])
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.bfloat16, attn_implementation="grouped"
        )
        self._model: Any = model.eval()
        self._end = self.tokenizer.convert_tokens_to_ids("<|im_end|>")
        self._heads: dict[tuple[int, ...], list[tuple[Any, Any]]] = {}
        self._batch = batch
        self.waiting: queue.Queue[Job] = queue.Queue()
        self._answered = self._tokens = 0
        torch.manual_seed(seed)

    def encode(self, text: str) -> list[int]:
        """A message in the model's chat form; nothing in it can steer the model."""
        inner = self.tokenizer(
            f"user\n{text}", add_special_tokens=False, split_special_tokens=True
        ).input_ids
        begin, after = "<|im_start|>", "<|im_end|>\n<|im_start|>assistant\n"
        frame = [
            self.tokenizer(part, add_special_tokens=False).input_ids for part in (begin, after)
        ]
        return [*frame[0], *inner, *frame[1]]

    def run(self) -> None:
        """Answers what waits, without end; what is done makes room for what begins alike."""
        waiting: list[Job] = []
        going: Going | None = None
        while True:
            self._gather(waiting, wait=going is None)
            room = self._batch - (len(going.jobs) if going else 0)
            if waiting and room >= self._batch // 4:
                kinds = [job.kind for job in waiting]
                most = max(kinds, key=kinds.count)
                new = [job for job, kind in zip(waiting, kinds, strict=True) if kind == most]
                waiting = [job for job in waiting if job not in new[:room]]
                begun = self._begin(new[:room])
                going = _joined(going, begun) if going else begun
            if going:
                self._step(going)
                going = going if going.jobs else None

    def _gather(self, waiting: list[Job], wait: bool) -> None:
        """Takes in new requests; with ``wait`` until there is one, and none follows it for long."""
        while True:
            try:
                timeout = None if not waiting else GATHER
                waiting.append(
                    self.waiting.get(timeout=timeout) if wait else self.waiting.get_nowait()
                )
            except queue.Empty:
                return

    @torch.inference_mode()
    def _begin(self, jobs: list[Job]) -> Going:
        """Reads the prompts of some requests, and writes their first tokens."""
        rows = [job.ids for job in jobs]
        shortest = min(map(len, rows)) - 1
        head = next((i for i in range(shortest) if len({row[i] for row in rows}) > 1), shortest)
        cache = self._read_head(tuple(rows[0][:head]) if len(rows) > 1 else (), len(rows))
        head = cache.get_seq_length()
        own = [row[head:] for row in rows]
        width = max(map(len, own))
        ids = torch.tensor([[self._end] * (width - len(row)) + row for row in own])
        mask = torch.tensor([[1] * head + [0] * (width - len(r)) + [1] * len(r) for r in own])
        place = (mask.cumsum(1) - 1).clamp(min=0)[:, head:]
        return self._written(Going(jobs, cache, mask, ids, place))

    @torch.inference_mode()
    def _step(self, going: Going) -> None:
        """Writes one more token of each."""
        ones = torch.ones(len(going.jobs), 1, dtype=going.mask.dtype)
        going.mask = torch.cat([going.mask, ones], 1)
        going.tokens, going.place = going.tokens[:, None], going.place[:, None] + 1
        self._written(going)

    def _written(self, going: Going) -> Going:
        """Reads the tokens, writes one of each row, and takes out the rows that end with it."""
        logits = self._model(
            input_ids=going.tokens, attention_mask=going.mask, position_ids=going.place,
            past_key_values=going.cache, use_cache=True, logits_to_keep=1,
        ).logits[:, -1].float()  # fmt: skip
        going.tokens = self._chosen(logits, [job.temperature for job in going.jobs])
        going.place = going.place[:, -1]
        kept = []
        for row, (job, token) in enumerate(zip(going.jobs, going.tokens.tolist(), strict=True)):
            job.written.append(token)
            job.finished = token == self._end
            if job.finished or len(job.written) >= job.limit:
                self._end_of(job)
            else:
                kept.append(row)
        if len(kept) < len(going.jobs):
            _keep(going, kept)
        return going

    def _end_of(self, job: Job) -> None:
        text = self.tokenizer.decode(job.written, skip_special_tokens=True)
        self._answered += 1
        self._tokens += len(job.written)
        if self._answered % TOLD_EVERY == 0:
            told = f"{self._answered} answers, {self._tokens} tokens, {time.process_time():.0f} s"
            print(told, "of processor", file=sys.stderr, flush=True)
        job.answer.set_result(text)

    @staticmethod
    def _chosen(logits: Any, temperatures: list[float]) -> Any:
        """The most likely token at temperature 0, else one of the 40 most likely, drawn."""
        best, places = logits.topk(40)
        heat = torch.tensor(temperatures)[:, None]
        drawn = torch.multinomial((best / heat.clamp(min=1e-3)).softmax(-1), 1)
        drawn = torch.where(heat > 0, drawn, 0)
        return places.gather(1, drawn)[:, 0]

    def _read_head(self, head: tuple[int, ...], rows: int) -> Any:
        """What the model keeps of a beginning, for every row; read once."""
        if not head:
            return DynamicCache()
        if head not in self._heads:
            cache = DynamicCache()
            self._model(
                input_ids=torch.tensor([head]), past_key_values=cache, use_cache=True,
                logits_to_keep=1,
            )  # fmt: skip
            self._heads[head] = [(layer.keys, layer.values) for layer in cache.layers]
        copied = DynamicCache()
        for number, (keys, values) in enumerate(self._heads[head]):
            copied.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), number)
        return copied


def _keep(going: Going, rows: list[int]) -> None:
    """Leaves some rows, and no padding that all of them have."""
    kept = torch.tensor(rows, dtype=torch.long)
    going.jobs = [going.jobs[row] for row in rows]
    going.mask, going.tokens = going.mask[kept], going.tokens[kept]
    going.place = going.place[kept]
    padding = int((going.mask.sum(0).cumsum(0) == 0).sum()) if rows else 0
    going.mask = going.mask[:, padding:]
    for layer in going.cache.layers:
        layer.keys = layer.keys[kept][:, :, padding:]
        layer.values = layer.values[kept][:, :, padding:]


def _joined(one: Going, other: Going) -> Going:
    """Both, the shorter one padded on its left."""
    if not (one.jobs and other.jobs):
        return one if one.jobs else other
    width = max(one.mask.shape[1], other.mask.shape[1])

    def wide(tensor: Any, axis: int) -> Any:
        gap = width - tensor.shape[axis]
        shape = (gap, 0) if axis == 1 else (0, 0, gap, 0)
        return torch.nn.functional.pad(tensor, shape)

    cache = DynamicCache()
    for number, (a, b) in enumerate(zip(one.cache.layers, other.cache.layers, strict=True)):
        cache.update(
            torch.cat([wide(a.keys, 2), wide(b.keys, 2)]),
            torch.cat([wide(a.values, 2), wide(b.values, 2)]),
            number,
        )
    return Going(
        one.jobs + other.jobs,
        cache,
        torch.cat([wide(one.mask, 1), wide(other.mask, 1)]),
        torch.cat([one.tokens, other.tokens]),
        torch.cat([one.place, other.place]),
    )


def handler(writer: Writer) -> type[BaseHTTPRequestHandler]:
    """Answers ``POST /v1/chat/completions``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            prompt = "\n".join(message["content"] for message in body["messages"])
            job = Job(
                writer.encode(prompt), body.get("max_tokens", 128), body.get("temperature", 0.7)
            )
            writer.waiting.put(job)
            text = job.answer.result()
            choice = {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop" if job.finished else "length",
            }
            usage = {"prompt_tokens": len(job.ids), "completion_tokens": len(job.written)}
            raw = json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage})
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw.encode())

    return Handler


class Server(ThreadingHTTPServer):
    """One that lets many connect at once."""

    request_queue_size = 2_048
    daemon_threads = True


def main() -> None:
    """Serves until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8091)
    parser.add_argument("--batch", type=int, default=64, help="requests answered together")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    writer = Writer(chosen.batch, chosen.seed)
    server = Server(("127.0.0.1", chosen.port), handler(writer))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{chosen.port}/v1", flush=True)
    writer.run()


if __name__ == "__main__":
    main()
