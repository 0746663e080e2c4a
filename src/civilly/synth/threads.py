"""Invented threads: a post and its comments, for every cell of a grid; asked for as JSON."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from civilly.data.recipe_table import Count, RecipeTable, checked, read_recipe
from civilly.errors import DataError
from civilly.languages import language
from civilly.types import Prompt, Segment

LONGEST_ANSWER = 320
"""Tokens of an answer at most."""
AXES = ("topics", "registers", "personas", "kinds", "languages")
"""The grid's, from what is talked about to the language."""
Described = Annotated[dict[str, str], Field(min_length=1)]
Written = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, strict=True)]


class Grid(RecipeTable):
    """What threads are about, and who writes them: a name and its description for the model.

    Attributes:
        topics: What a post is about.
        registers: How people write there.
        personas: Who comments.
        kinds: The kinds of toxicity.
        languages: Codes.
    """

    topics: Described
    registers: Described
    personas: Described
    kinds: Described
    languages: Annotated[list[str], Field(min_length=1)]


class Example(RecipeTable):
    """A thread that shows the form of an answer; nothing of it may come back.

    Attributes:
        post: The post.
        toxic: A rude comment.
        civil: The same, civilly.
        toxicity: How toxic the rude one is.
    """

    post: str
    toxic: str
    civil: str
    toxicity: Annotated[int, Field(ge=1, le=3)]


class ThreadRecipe(RecipeTable):
    """What ``civilly synth threads`` reads.

    Attributes:
        seed: Which cells of the grid are taken.
        threads: How many cells.
        comments: Comments of a thread.
        words: Words of a post or comment, by and large.
        grid: The grid.
        example: One thread.
    """

    seed: int
    threads: Count
    comments: Annotated[int, Field(ge=1, le=8)] = 2
    words: Annotated[int, Field(ge=4, le=100)] = 15
    grid: Grid
    example: Example


def read_thread_recipe(path: Path) -> ThreadRecipe:
    """Reads and checks a recipe of threads.

    Raises:
        DataError: If a field is missing, of a wrong type or out of range.
        UnknownNameError: If there is no such field, or no such language.
    """
    recipe = checked(ThreadRecipe, read_recipe(path), str(path))
    for code in recipe.grid.languages:
        language(code)
    return recipe


@dataclass(frozen=True, slots=True)
class Cell:
    """One thread that is asked for: a name on every axis of the grid, and how it is asked for.

    Attributes:
        id: Its names, joined.
        topic: What the post is about.
        register: How people write there.
        persona: Who comments.
        kind: The kind of toxicity.
        lang: Language code.
        prompt: What the model is asked.
    """

    id: str
    topic: str
    register: str
    persona: str
    kind: str
    lang: str
    prompt: Prompt

    def row(self) -> dict[str, Any]:
        """What is written down of it beside its answers."""
        return {
            "id": self.id,
            "lang": self.lang,
            "source": "invented",
            "licence": "",
            "text": self.prompt.text[len(self.prompt.head) :],
            "cell": {
                axis: getattr(self, axis) for axis in ("topic", "register", "persona", "kind")
            },
        }


def cells(recipe: ThreadRecipe) -> list[Cell]:
    """The cells that are asked for, sorted by language; every name of an axis as often as others.

    Each axis goes through its names in an order of its own, again and again (a Latin hypercube of
    McKay et al. 1979), so that few cells cover all names.

    Raises:
        DataError: If the grid has fewer cells than are wanted.
    """
    axes: list[list[str]] = [list(getattr(recipe.grid, axis)) for axis in AXES]
    there = 1
    for names in axes:
        there *= len(names)
    if there < recipe.threads:
        raise DataError(
            f"The grid has {there} cells, and {recipe.threads} threads are wanted.",
            mend="fewer threads, or more names on an axis",
        )
    chance = random.Random(recipe.seed)
    found: dict[tuple[str, ...], None] = {}
    while len(found) < recipe.threads:
        columns = [_turns(names, recipe.threads, chance) for names in axes]
        for combination in zip(*columns, strict=True):
            if len(found) < recipe.threads:
                found[combination] = None
    order = {code: number for number, code in enumerate(recipe.grid.languages)}
    chosen = sorted(found, key=lambda names: order[names[-1]])
    return [_cell(recipe, *names) for names in chosen]


def _turns(names: Sequence[str], count: int, chance: random.Random) -> list[str]:
    turns: list[str] = []
    while len(turns) < count:
        turns += chance.sample(list(names), len(names))
    return turns[:count]


def _cell(
    recipe: ThreadRecipe, topic: str, register: str, persona: str, kind: str, lang: str
) -> Cell:
    grid, name = recipe.grid, language(lang).name
    own = (
        f"Now invent another one, all of it in {name}.\n"
        f"Topic of the post: {grid.topics[topic]}\n"
        f"Style: {grid.registers[register]}\n"
        f"Who comments: {grid.personas[persona]}\n"
        f"Kind of rudeness: {grid.kinds[kind]}\n"
        f"Language: {name}"
    )
    head = prompt_head(recipe)
    prompt = Prompt((Segment(head + own),), LONGEST_ANSWER, head=head)
    return Cell("/".join((topic, register, persona, kind, lang)), topic, register, persona, kind,
                lang, prompt)  # fmt: skip


def prompt_head(recipe: ThreadRecipe) -> str:
    """What all prompts of a recipe begin with: the instruction and the example."""
    shown = recipe.example
    comment = {"toxic": shown.toxic, "civil": shown.civil, "toxicity": shown.toxicity}
    example = json.dumps({"post": shown.post, "comments": [comment]}, ensure_ascii=False)
    return (
        f"To test a filter of insults, invent a short post of a forum and {recipe.comments} "
        f"different comments under it, each of about {recipe.words} words. Write every comment "
        "twice: as a rude user would write it, and the same civilly, with all that it says but the "
        "insults. Name no person. Say of each how toxic the rude one is: 1 rude, 2 insulting, "
        "3 hateful or threatening. Answer with JSON alone, in this form; use other words than "
        f"here:\n{example}\n\n"
    )


def prompt_version(recipe: ThreadRecipe) -> str:
    """Names everything that prompts consist of, for provenance."""
    content = json.dumps([prompt_head(recipe), recipe.grid.model_dump()], ensure_ascii=False)
    return f"threads-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


class Comment(BaseModel):
    """A comment in an answer.

    Attributes:
        toxic: As a rude user writes it.
        civil: The same, civilly.
        toxicity: 1 rude, 2 insulting, 3 hateful or threatening; 0: not toxic at all.
    """

    model_config = ConfigDict(strict=True)
    toxic: Written
    civil: Written
    toxicity: Annotated[int, Field(ge=0, le=3)]


class Thread(BaseModel):
    """The form of an answer, as a JSON schema says it to servers that hold a model to it.

    Attributes:
        post: The post.
        comments: Those under it.
    """

    post: Written
    comments: Annotated[list[Comment], Field(min_length=1)]


SCHEMA = json.dumps(Thread.model_json_schema())


@dataclass(frozen=True, slots=True)
class Parsed:
    """What an answer holds.

    Attributes:
        post: The post, or "".
        comments: Each comment, or what is wrong with it.
        wrong: What is wrong with the whole; "" if it is a thread.
    """

    post: str
    comments: list[Comment | str]
    wrong: str = ""


def parsed(answer: str) -> Parsed:
    """Reads an answer: the first JSON object in it, whatever stands around it.

    A comment that is not as it should be does not spoil the others.
    """
    start = answer.find("{")
    if start < 0:
        return Parsed("", [], "no JSON object")
    try:
        content, _ = json.JSONDecoder(strict=False).raw_decode(answer[start:])
    except (ValueError, RecursionError) as error:
        return Parsed("", [], f"no valid JSON: {error}")
    post = content.get("post")
    comments = content.get("comments")
    if not isinstance(post, str) or not post.strip():
        return Parsed("", [], "it has no post")
    if not isinstance(comments, list) or not comments:
        return Parsed("", [], "it has no comments")
    return Parsed(post.strip(), [_comment(each) for each in comments])


def _comment(content: Any) -> Comment | str:
    try:
        return Comment.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'comment'}: {first['msg']}"
