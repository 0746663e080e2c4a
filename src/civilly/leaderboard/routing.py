"""From outputs of several systems to a route: read, checked for leaks, scored, compared."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from civilly import registry
from civilly.data.files import read_bytes
from civilly.data.io import read_table
from civilly.data.leaks import find_leaks
from civilly.data.pair_leaks import refuse_leaks
from civilly.data.pairs import read_pairs
from civilly.errors import DataError
from civilly.languages import chosen_language
from civilly.model.adapter import adapter_digest, shipped_adapter
from civilly.select.route import DEFAULT, Finding, Way, findings, write_route
from civilly.toolbox import Toolbox
from civilly.types import Suite, Text

WAY_FILE = "way.json"
"""In a system's folder: what made its outputs; ``{lang}`` in it stands for the language."""
TRAINED = "**/train.jsonl"
_COLUMNS = ("lang", "text", "output")


@dataclass(frozen=True, slots=True)
class Outputs:
    """What one system made of some texts.

    Attributes:
        name: Of the system.
        way: What made them.
        rows: Texts and outputs by language, in the order of the files.
        folder: Where they lie.
    """

    name: str
    way: Way
    rows: dict[str, list[tuple[str, str]]]
    folder: Path

    def way_of(self, lang: str) -> Way:
        """What made those of a language, with the digest of its adapter."""
        if self.way.adapter is None:
            return self.way
        named = self.way.adapter.replace("{lang}", lang)
        folder = Path(named)
        digest = adapter_digest(folder if folder.is_dir() else shipped_adapter(named))
        place = str(folder.resolve()) if folder.is_dir() else named
        return replace(self.way, adapter=place, digest=digest)


def read_systems(runs: Path) -> list[Outputs]:
    """The outputs in a folder: a folder for each system.

    Raises:
        DataError: If there are none, none is the default, a file has other columns, or systems have
            not the same texts in a language.
    """
    folders = sorted(p for p in runs.iterdir() if p.is_dir()) if runs.is_dir() else []
    systems = [_read(folder) for folder in folders]
    default = next((each for each in systems if each.name == DEFAULT), None)
    if default is None or len(systems) < 2:
        raise DataError(
            f"{str(runs)!r} holds outputs of: {', '.join(s.name for s in systems) or 'nothing'}.",
            allowed=f"a folder {DEFAULT!r} and at least one more, each with tables of lang, text "
            "and output",
            mend="civilly rewrite texts.tsv -o RUNS/default/en.tsv, and so on for each other way",
        )
    for system in systems:
        for lang, rows in system.rows.items():
            ours = [text for text, _ in default.rows.get(lang, [])]
            if [text for text, _ in rows] != ours:
                raise DataError(
                    f"{system.folder}, {lang}: its {len(rows)} texts are not the {len(ours)} of "
                    f"the system {DEFAULT!r}, in their order.",
                    mend="let both write the same file",
                )
    return systems


def _read(folder: Path) -> Outputs:
    rows: dict[str, list[tuple[str, str]]] = {}
    for path in sorted(folder.iterdir()):
        if path.name == WAY_FILE or path.is_dir():
            continue
        table = read_table(path)
        missing = [name for name in _COLUMNS if name not in table.columns]
        if missing:
            raise DataError(
                f"{path} has no column {', '.join(map(repr, missing))}.",
                allowed=", ".join(_COLUMNS),
            )
        for number, row in enumerate(table.rows, start=1):
            lang = chosen_language(str(row["lang"]), where=f", {path}, row {number}")
            rows.setdefault(lang, []).append((str(row["text"]), str(row["output"])))
    return Outputs(folder.name, _way(folder), rows, folder)


def _way(folder: Path) -> Way:
    path = folder / WAY_FILE
    if folder.name == DEFAULT and not path.exists():
        return Way("tuned")
    try:
        content = json.loads(read_bytes(path))
    except ValueError as error:
        raise DataError(f"{path} is no JSON ({error}).", mend='{"method": "tuned"}') from error
    return Way.read(content, str(path))


def refuse_trained(systems: Sequence[Outputs], folders: Sequence[Path]) -> None:
    """Makes sure that no text is like one that was trained on.

    Args:
        systems: What would be compared.
        folders: Folders of runs; every `TRAINED` in them counts.

    Raises:
        DataError: If a folder holds none.
        LeakError: If a text is.
    """
    texts = {text for system in systems for row in system.rows.values() for text, _ in row}
    for folder in folders:
        found = sorted(folder.glob(TRAINED))
        if not found:
            raise DataError(
                f"{folder} holds no train.jsonl, at any depth.",
                mend="name the folder that civilly train languages wrote",
            )
        for path in found:
            trained = [pair.toxic for pair in read_pairs(path)]
            leaks = find_leaks(trained, sorted(texts))
            refuse_leaks(
                {f"{path}, row {leak.training + 1}": leak.kind for leak in leaks},
                mend="compare on other texts, or train without these",
            )


def route_of(systems: Sequence[Outputs], suite: str, **settings: Any) -> tuple[list[Finding], str]:
    """What was found, and the route file that follows from it.

    Args:
        systems: As `read_systems` gives them.
        suite: What scores the outputs; its J decides.
        settings: Of `civilly.select.route.findings`.

    Raises:
        UnknownNameError: If there is no such suite.
        DataError: If a language has no outputs of the default.
    """
    metric = registry.create("score", suite, Toolbox(None, {}))
    scores: dict[str, dict[str, list[float]]] = {}
    for lang in dict.fromkeys(lang for system in systems for lang in system.rows):
        scores[lang] = {
            system.name: _scored(metric, lang, system.rows[lang])
            for system in systems
            if lang in system.rows
        }
    found = findings(scores, **settings)
    by_name = {system.name: system for system in systems}
    ways: dict[str, dict[str, Way]] = {}
    for each in found:
        if each.better:
            ways.setdefault(each.lang, {})[each.system] = by_name[each.system].way_of(each.lang)
    about: Mapping[str, Any] = {"metric": metric.signature, **settings}
    return found, write_route(found, ways, about)


def _scored(metric: Suite, lang: str, rows: Sequence[tuple[str, str]]) -> list[float]:
    texts = [Text(text, lang) for text, _ in rows]
    return metric.score(texts, [output for _, output in rows])
