"""A Discord bot that suggests a civil version below each rude message, with `civilly serve`.

pip install discord.py; DISCORD_TOKEN=… CIVILLY_URL=http://127.0.0.1:8000 python discord_bot.py
"""

import os

import aiohttp
import discord

SERVER = os.environ.get("CIVILLY_URL", "http://127.0.0.1:8000")
KEY = os.environ.get("CIVILLY_API_KEY", "")
RUDE = 0.8  # from this p(toxic) on a suggestion is made


class Bot(discord.Client):
    async def setup_hook(self) -> None:
        self.civilly = aiohttp.ClientSession(
            SERVER, headers={"X-API-Key": KEY}, timeout=aiohttp.ClientTimeout(60)
        )

    async def on_message(self, message: discord.Message) -> None:
        if message.author.bot or not message.content:
            return
        asked = {"text": message.content, "only_toxic": RUDE}
        try:
            async with self.civilly.post("/v1/rewrite", json=asked) as answer:
                answer.raise_for_status()
                result = (await answer.json())["results"][0]
        except (aiohttp.ClientError, TimeoutError) as error:  # busy or away: say nothing
            return print("no suggestion:", type(error).__name__)
        if result.get("changed"):
            pings_nobody = discord.AllowedMentions.none()
            suggestion = f"How about: {result['rewritten']}"[:2000]
            await message.reply(suggestion, mention_author=False, allowed_mentions=pings_nobody)


intents = discord.Intents(guilds=True, messages=True, message_content=True)
Bot(intents=intents).run(os.environ["DISCORD_TOKEN"])
