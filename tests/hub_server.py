"""A small server that speaks the hub's HTTP interface, for tests: sets, cards, sizes, rows.

It serves the sets that it is given, counts requests, and can be told to fail (``fail``: statuses
for the next requests).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class HubServer:
    """What it serves, and what it was asked.

    Attributes:
        sets: By id: ``license``, ``gated``, and ``splits``: by (config, split) their rows.
        features: By id the features, as the server of rows tells them.
    """

    sets: Mapping[str, Mapping[str, Any]]
    features: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    fail: list[int] = field(default_factory=list)
    url: str = ""

    def answer(self, path: str, query: Mapping[str, list[str]]) -> tuple[int, Any]:
        """Status and content."""
        asked = {name: values[0] for name, values in query.items()}
        if path == "/":
            return 200, {}
        if self.fail:
            return self.fail.pop(0), {"error": "not now"}
        if path == "/api/datasets":
            words = asked.get("search", "")
            found = [name for name in self.sets if words in name]
            return 200, [self.info(name) for name in found[: int(asked.get("limit", 100))]]
        if path.startswith("/api/datasets/"):
            name = unquote(path.removeprefix("/api/datasets/"))
            return (200, self.info(name)) if name in self.sets else (404, {"error": "not found"})
        name = asked.get("dataset", "")
        if name not in self.sets or self.sets[name].get("no_rows"):
            return 404, {"error": "The dataset viewer does not know it."}
        splits = self.sets[name]["splits"]
        if path == "/size":
            told = [
                {"config": config, "split": split, "num_rows": len(rows)}
                for (config, split), rows in splits.items()
            ]
            return 200, {"size": {"splits": told}}
        if path == "/rows":
            rows = splits[asked["config"], asked["split"]]
            start, length = int(asked["offset"]), int(asked["length"])
            assert length <= 100, "the server gives 100 rows at most"
            part = [
                {"row_idx": start + i, "row": row}
                for i, row in enumerate(rows[start : start + length])
            ]
            return 200, {"features": list(self.features.get(name, [])), "rows": part}
        return 404, {"error": path}

    def info(self, name: str) -> dict[str, Any]:
        """What the hub tells of a set."""
        card = {"license": self.sets[name]["license"]} if "license" in self.sets[name] else {}
        gated = self.sets[name].get("gated", False)
        sha = "0123456789abcdef0123456789abcdef01234567"
        return {"id": name, "sha": sha, "gated": gated, "cardData": card, "tags": []}


@contextmanager
def served(server: HubServer) -> Iterator[HubServer]:
    """Runs it within."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            server.asked.append(self.path)
            status, content = server.answer(parts.path, parse_qs(parts.query))
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *arguments: Any) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{running.server_port}"
    try:
        yield server
    finally:
        running.shutdown()
        running.server_close()
        thread.join()
