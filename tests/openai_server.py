"""A small server that speaks OpenAI's protocol, for tests: ``python tests/openai_server.py``.

It prints its port, answers with the prompt's last line in capitals, and can be told to misbehave:
``POST /control`` with ``fail`` (statuses for the next requests), ``retry_after``, ``garble`` (how
many answers are no JSON), ``shapeless`` (how many have no choices), ``delay`` (seconds),
``no_logprobs`` (refuse that field), ``hang_up`` (how many connections to drop), ``redirect``,
``usage`` (tell tokens), ``no_suffix`` (refuse that field), ``no_fim`` (have no
``/fim/completions``), ``says`` (what it answers instead), ``judge`` (answer the questions of
``civilly.score.judge`` as one of `JUDGES`), ``garbage`` (how many answers of the judge are none),
``no_schema`` (refuse ``response_format``),
``line`` (which line of the prompt is answered in capitals instead of the last), ``one`` (give one
answer, however many are asked for).
``GET /log`` tells what it received, and how many requests it held at a time at most.
"""

from __future__ import annotations

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STATE: dict = {}
LOG: list = []
LOCK = threading.Lock()
HELD = {"now": 0, "most": 0}


def reset() -> None:
    STATE.clear()
    STATE.update(
        fail=[], retry_after=None, garble=0, shapeless=0, delay=0.0, no_logprobs=False, hang_up=0,
        redirect=None, usage=False, judge=None, garbage=0, no_suffix=False, no_fim=False,
        says=None, line=-1, one=False, no_schema=False,
    )  # fmt: skip
    LOG.clear()
    HELD.update(now=0, most=0)


def take(name: str) -> bool:
    """Whether one more misbehaviour of this kind is due."""
    with LOCK:
        due = STATE[name] > 0
        STATE[name] -= due
        return due


INSULTS = re.compile(r"\b(?:idiot|stupid|fool|дурак)\w*", re.IGNORECASE)


def just(question: str, first: str, second: str) -> str:
    """Judges by plain counting: insults, doubled words, shared words."""
    if "toxic" in question:
        counts = [len(INSULTS.findall(text)) for text in (first, second)]
    elif "fluent" in question:
        words = [text.lower().split() for text in (first, second)]
        doubled = [sum(a == b for a, b in zip(w, w[1:])) for w in words]  # noqa: B905, RUF007
        counts = [-number for number in doubled]
    else:
        a, b = ({*INSULTS.sub("", text).lower().split()} for text in (first, second))
        shared = len(a & b) / max(1, len(a | b))
        return "yes" if shared > 0.7 else "partly" if shared > 0.2 else "no"
    return "equal" if counts[0] == counts[1] else "A" if counts[0] > counts[1] else "B"


JUDGES = {
    "just": just,
    "json": lambda *case: json.dumps({"answer": just(*case)}),
    "thinking": lambda *case: f"<think>A? No, B.\n</think>\n\n**{just(*case)}.**\nBecause.",
    "first": lambda question, *_: "A" if "Which" in question else "yes",
    "second": lambda question, *_: "B" if "Which" in question else "no",
    "babbling": lambda *_: "A or B, who knows",
    "gullible": just,  # but see `judged`
}


def judged(prompt: str) -> str:
    """The verdict of the chosen judge on the two quoted texts of a prompt.

    The gullible one is just, but obeys whatever stands on a line of its own.
    """
    if take("garbage"):
        return "As a language model, A"
    orders = re.findall(r"^Verdict: (.*)$", prompt, re.MULTILINE)
    if STATE["judge"] == "gullible" and orders:
        return orders[-1]
    texts = re.findall(r'^Text [AB]: (".*")$', prompt, re.MULTILINE)
    first, second = map(json.loads, texts)
    return JUDGES[STATE["judge"]](prompt.split("\n")[0], first, second)


def between(prefix: str, suffix: str) -> str:
    """A middle that tells both sides: their words next to the hole, in capitals."""
    return f" {prefix.split()[-1].upper()}+{suffix.split()[0].upper()}"


FIM_FIELDS = {
    "model", "prompt", "suffix", "max_tokens", "temperature", "top_p", "stop", "random_seed",
}  # fmt: skip
"""Mistral's, which refuses all others."""


def answer(body: dict, chat: bool) -> dict:
    prompt = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
    said = judged(prompt) if STATE["judge"] else prompt.split("\n")[STATE["line"]].upper()
    if "suffix" in body:
        said = between(prompt, body["suffix"])
    said = STATE["says"] or said
    limit = body.get("max_tokens", body.get("max_completion_tokens"))
    words = said.split(" ")
    cut = len(words) > limit
    said = " ".join(words[:limit])
    choices = []
    for index in range(1 if STATE["one"] else body.get("n", 1)):
        text = said + "~" * index
        choice = {"index": index, "finish_reason": "length" if cut else "stop", "logprobs": None}
        if chat:
            choice["message"] = {"role": "assistant", "content": text}
        else:
            choice["text"] = text
        if body.get("logprobs"):
            values = [-0.5, -1.0 - index]
            choice["logprobs"] = (
                {"content": [{"token": "x", "logprob": value} for value in values]}
                if chat
                else {"token_logprobs": values, "tokens": ["x", "y"]}
            )
        choices.append(choice)
    spent = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(words[:limit])}
    payload = {"id": "1", "object": "answer", "choices": choices[::-1]}
    return {**payload, **({"usage": spent} if STATE["usage"] else {})}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def reply(self, status: int, payload: object, headers: dict | None = None) -> None:
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_GET(self) -> None:
        self.reply(200, {"log": LOG, "most": HELD["most"]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/control":
            reset()
            STATE.update(body)
            self.reply(200, {})
            return
        with LOCK:
            HELD["now"] += 1
            HELD["most"] = max(HELD.values())
            LOG.append({"path": self.path, "body": body, "key": self.headers["Authorization"]})
        time.sleep(STATE["delay"])
        # Before the answer: who has read it may ask again at once.
        with LOCK:
            HELD["now"] -= 1
        self.respond(body)

    def respond(self, body: dict) -> None:  # noqa: C901
        if take("hang_up"):
            self.close_connection = True
            self.connection.close()
            return
        if STATE["redirect"]:
            self.reply(307, {}, {"Location": STATE["redirect"]})
            return
        with LOCK:
            status = STATE["fail"].pop(0) if STATE["fail"] else 200
        if status != 200:
            wait = STATE["retry_after"]
            message = f"told to fail with {status}, key was {self.headers['Authorization']}"
            self.reply(
                status,
                {"error": {"message": message}},
                {} if wait is None else {"Retry-After": wait},
            )
        elif take("garble"):
            self.reply(200, b"<html>a proxy's page</html>")
        elif take("shapeless"):
            self.reply(200, {"choices": []})
        elif STATE["no_suffix"] and "suffix" in body:
            self.reply(400, {"error": {"message": "suffix is not currently supported"}})
        elif self.path.endswith("/fim/completions") and (
            STATE["no_fim"] or body.keys() - FIM_FIELDS
        ):
            status = 404 if STATE["no_fim"] else 422
            self.reply(status, {"detail": f"extra fields {sorted(body.keys() - FIM_FIELDS)}"})
        elif STATE["no_schema"] and "response_format" in body:
            self.reply(400, {"detail": "response_format is not supported"})
        elif STATE["no_logprobs"] and "logprobs" in body:
            self.reply(400, {"detail": "logprobs is not supported"})
        elif body["model"] != "parrot":
            self.reply(404, {"error": {"message": f"no model {body['model']}"}})
        else:
            chat = self.path.endswith(("/chat/completions", "/fim/completions"))
            self.reply(200, answer(body, chat))


if __name__ == "__main__":
    reset()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
