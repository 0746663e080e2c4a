"""Serves the packaged large model in bfloat16, shaped as OpenAI's API: for runs of `civilly synth`.

``python benchmarks/large_server.py --port 8091``: what waits is answered together, up to ``--batch``
requests whose prompts begin alike; that beginning is read once and kept. llama.cpp and CTranslate2
on the same model do not use a processor's matrix units as well (docs/decisions.md, 2026-12-01).
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
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from civilly.model.large import large_training_folder

GATHER = 0.2
"""Seconds without a new request after which the batch begins."""
LEAST_HEAD = 32
"""Tokens that prompts must begin with alike, to be answered together."""


@dataclass
class Job:
    """One request."""

    ids: list[int]
    limit: int
    temperature: float
    answer: Future[tuple[str, bool, int]] = field(default_factory=Future)

    @property
    def kind(self) -> tuple[float, tuple[int, ...]]:
        """What requests must have in common to be answered together."""
        return self.temperature, tuple(self.ids[:LEAST_HEAD])


class Writer:
    """The model, and the beginnings that it has read."""

    def __init__(self, batch: int, seed: int) -> None:
        folder = str(large_training_folder())
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
        self._model: Any = model.eval()
        self._end = self.tokenizer.convert_tokens_to_ids("<|im_end|>")
        self._heads: dict[tuple[int, ...], list[tuple[Any, Any]]] = {}
        self._batch = batch
        self.waiting: queue.Queue[Job] = queue.Queue()
        torch.manual_seed(seed)

    def encode(self, text: str) -> list[int]:
        """A message in the model's chat form; nothing in it can steer the model."""
        inner = self.tokenizer(
            f"user\n{text}", add_special_tokens=False, split_special_tokens=True
        ).input_ids
        begin, after = "<|im_start|>", "<|im_end|>\n<|im_start|>assistant\n"
        frame = [self.tokenizer(part, add_special_tokens=False).input_ids for part in (begin, after)]
        return [*frame[0], *inner, *frame[1]]

    def run(self) -> None:
        """Answers what waits, without end."""
        jobs: list[Job] = []
        while True:
            try:
                jobs.append(self.waiting.get(timeout=GATHER if jobs else None))
                if len(jobs) < self._batch:
                    continue
            except queue.Empty:
                pass
            kinds = [job.kind for job in jobs]
            most = max(kinds, key=kinds.count)
            chosen = [job for job in jobs if job.kind == most][: self._batch]
            jobs = [job for job in jobs if all(job is not each for each in chosen)]
            began = time.monotonic()
            for job, made in zip(chosen, self._answers(chosen), strict=True):
                job.answer.set_result(made)
            written = sum(job.answer.result()[2] for job in chosen)
            print(f"{len(chosen)} answers, {written} tokens, {time.monotonic() - began:.1f} s",
                  f"({time.process_time():.0f} s of processor in all)", file=sys.stderr, flush=True)  # fmt: skip

    @torch.inference_mode()
    def _answers(self, jobs: list[Job]) -> list[tuple[str, bool, int]]:
        rows = [job.ids for job in jobs]
        shortest = min(map(len, rows)) - 1
        head = next((i for i in range(shortest) if len({row[i] for row in rows}) > 1), shortest)
        if len(rows) == 1:
            head = 0
        cache = self._read_head(tuple(rows[0][:head]), len(rows))
        own = [row[head:] for row in rows]
        width = max(map(len, own))
        ids = torch.tensor([[self._end] * (width - len(row)) + row for row in own])
        mask = torch.tensor([[1] * head + [0] * (width - len(r)) + [1] * len(r) for r in own])
        place = (mask.cumsum(1) - 1).clamp(min=0)[:, head:]
        written: list[list[int]] = [[] for _ in jobs]
        alive = list(range(len(jobs)))
        while alive:
            logits = self._model(
                input_ids=ids, attention_mask=mask, position_ids=place, past_key_values=cache,
                use_cache=True, logits_to_keep=1,
            ).logits[:, -1].float()  # fmt: skip
            tokens = self._chosen(logits, jobs[0].temperature)
            going = []
            for place_in_batch, (job, token) in enumerate(zip(alive, tokens.tolist(), strict=True)):
                written[job].append(token)
                if token != self._end and len(written[job]) < jobs[job].limit:
                    going.append(place_in_batch)
            if len(going) < len(alive):
                keep = torch.tensor(going, dtype=torch.long)
                if going:
                    cache.batch_select_indices(keep)
                tokens, mask, place = tokens[keep], mask[keep], place[keep]
                alive = [alive[i] for i in going]
            ids, place = tokens[:, None], place[:, -1:] + 1
            mask = torch.cat([mask, torch.ones(len(alive), 1, dtype=mask.dtype)], 1)
        return [self._read(tokens) for tokens in written]

    @staticmethod
    def _chosen(logits: Any, temperature: float) -> Any:
        if temperature == 0:
            return logits.argmax(-1)
        best, places = logits.topk(40)
        drawn = torch.multinomial((best / temperature).softmax(-1), 1)
        return places.gather(1, drawn)[:, 0]

    def _read(self, tokens: list[int]) -> tuple[str, bool, int]:
        finished = tokens[-1] == self._end
        text = self.tokenizer.decode(tokens[:-1] if finished else tokens, skip_special_tokens=True)
        return text, finished, len(tokens)

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
            copied.update(
                keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), number
            )
        return copied


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
            text, finished, count = job.answer.result()
            choice = {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop" if finished else "length",
            }
            usage = {"prompt_tokens": len(job.ids), "completion_tokens": count}
            raw = json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage})
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw.encode())

    return Handler


class Server(ThreadingHTTPServer):
    """One that lets many connect at once."""

    request_queue_size = 256
    daemon_threads = True


def main() -> None:
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
