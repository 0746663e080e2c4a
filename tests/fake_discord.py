"""A stand-in for Discord on loopback: its gateway (a WebSocket) and what a bot posts to it.

Run as a script it runs a bot's file against the stand-in whose address ``FAKE_DISCORD`` names.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import runpy
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

BOT = {"id": "1", "username": "civilly", "discriminator": "0", "avatar": None, "bot": True}
PERSON = {"id": "2", "username": "person", "discriminator": "0", "avatar": None}
DISPATCH, IDENTIFY, HELLO = 0, 2, 10
"""Opcodes of the gateway."""


class Discord:
    """Says messages to whoever logs in, and keeps what they post.

    Args:
        messages: Texts and whether a bot said them, sent once somebody has logged in.
    """

    def __init__(self, messages: list[tuple[str, bool]]) -> None:
        self.posted: list[dict[str, Any]] = []
        self.tokens: list[str] = []
        self.address = ""
        self._ids = itertools.count(100)
        self._messages = [self._message(text, BOT if bot else PERSON) for text, bot in messages]

    def _message(self, text: str, author: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {
            "id": str(next(self._ids)), "channel_id": "10", "author": author, "content": text,
            "timestamp": "2026-11-30T12:00:00+00:00", "edited_timestamp": None, "tts": False,
            "mention_everyone": False, "mentions": [], "mention_roles": [], "attachments": [],
            "embeds": [], "pinned": False, "type": 0, **more,
        }  # fmt: skip

    async def _gateway(self, request: Any) -> Any:
        from aiohttp import web

        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"op": HELLO, "d": {"heartbeat_interval": 40_000}})
        numbers = itertools.count(1)
        async for received in socket:
            asked = received.json()
            if asked["op"] != IDENTIFY:
                continue
            self.tokens.append(asked["d"]["token"])
            ready = {"user": BOT, "guilds": [], "session_id": "s", "v": 10,
                     "resume_gateway_url": self.address,
                     "application": {"id": "1", "flags": 0}}  # fmt: skip
            events = [("READY", ready), *(("MESSAGE_CREATE", m) for m in self._messages)]
            for name, content in events:
                event = {"op": DISPATCH, "t": name, "s": next(numbers), "d": content}
                await socket.send_json(event)
        return socket

    async def _me(self, request: Any) -> Any:
        return _json(BOT)

    async def _application(self, request: Any) -> Any:
        return _json({"id": "1", "name": "civilly", "description": "", "icon": None, "flags": 0,
                      "bot_public": False, "bot_require_code_grant": False, "verify_key": "",
                      "owner": PERSON})  # fmt: skip

    async def _post(self, request: Any) -> Any:
        self.posted.append(await request.json())
        return _json(self._message(self.posted[-1]["content"], BOT))

    async def _serve(self, up: threading.Event, down: asyncio.Event) -> None:
        from aiohttp import web

        application = web.Application()
        application.add_routes([
            web.get("/", self._gateway),
            web.get("/api/v10/users/@me", self._me),
            web.get("/api/v10/oauth2/applications/@me", self._application),
            web.post("/api/v10/channels/10/messages", self._post),
        ])  # fmt: skip
        runner = web.AppRunner(application, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        self.address = f"ws://127.0.0.1:{port}/"
        up.set()
        await down.wait()
        await runner.cleanup()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serves in a thread of its own."""
        loop, up, down = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
        thread = threading.Thread(target=loop.run_until_complete, args=(self._serve(up, down),))
        thread.start()
        assert up.wait(10)
        try:
            yield
        finally:
            loop.call_soon_threadsafe(down.set)
            thread.join()
            loop.close()


def _json(content: Any) -> Any:
    from aiohttp import web

    body = json.dumps(content).encode()  # discord.py knows the type only without a charset
    return web.Response(body=body, content_type="application/json")


if __name__ == "__main__":
    import discord.gateway
    import discord.http
    import yarl

    address = os.environ["FAKE_DISCORD"]
    discord.http.Route.BASE = address.replace("ws:", "http:") + "api/v10"
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(address)
    runpy.run_path(sys.argv[1], run_name="__main__")
