"""Which method, adapter and base write a language: only where that was shown to be better.

A route file is made by ``civilly route`` from outputs of several systems on texts that neither
training nor choice of them saw. Of each language it names the ways to write it, best first, that a
paired randomisation test, corrected over all languages (Holm 1979), and the bootstrap interval both
found better than the shared default; where there is none, the default writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from civilly.engines import MODELS
from civilly.errors import CivillyError, DataError, ModelError, UnknownNameError
from civilly.languages import CODES
from civilly.model.adapter import adapter_digest, shipped_adapter
from civilly.score.intervals import CONFIDENCE, SEED
from civilly.score.significance import TRIALS, compare, holm

VERSION = 1
"""Of the file's form; files of another version are refused."""
DEFAULT = "default"
"""What the shared system is called among the others."""
LIGHT, LARGE = "light", "large"
MEND = "make it anew: civilly route RUNS -o route.json"


@dataclass(frozen=True, slots=True)
class Way:
    """How a language is written.

    Attributes:
        method: A rewriting method of the registry.
        model: A size of the product (`civilly.engines.MODELS`).
        adapter: Folder of the adapter: beside the route file, or the name of one that ships. None:
            the one that the method brings.
        digest: Of the adapter (`civilly.model.adapter.adapter_digest`), so that no other is taken.
    """

    method: str
    model: str = LIGHT
    adapter: str | None = None
    digest: str | None = None

    @classmethod
    def read(cls, content: Any, where: str) -> Way:
        """A way as it stands in a file.

        Raises:
            DataError: If it is none.
            UnknownNameError: If there is no such model.
        """
        try:
            way = cls(**content)
        except TypeError as error:
            raise DataError(f"{where} is no way to write: {error}.", mend=MEND) from error
        texts = (way.method, way.model, way.adapter or "", way.digest or "")
        if not all(isinstance(text, str) for text in texts):
            raise DataError(f"{where} is no way to write: {content!r}.", mend=MEND)
        if way.model not in MODELS:
            raise UnknownNameError("model", way.model, MODELS, where=f" in {where}")
        return way


@dataclass(frozen=True, slots=True)
class Finding:
    """One system against the default in one language: why it is a way, or not.

    Attributes:
        lang: The language.
        system: Its name among the outputs.
        n: Texts.
        default: Mean score of the default.
        mean: Mean score of the system.
        difference: The system's mean less that of the default.
        low: Lower end of the difference's interval; None where there is none.
        high: Upper end; None like ``low``.
        p: Of paired randomisation, two-sided.
        p_corrected: The same after Holm, over all findings.
        better: Whether both the corrected p-value and the interval say so.
    """

    lang: str
    system: str
    n: int
    default: float
    mean: float
    difference: float
    low: float | None
    high: float | None
    p: float
    p_corrected: float
    better: bool


def findings(
    scores: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    trials: int = TRIALS,
    confidence: float = CONFIDENCE,
    seed: int = SEED,
) -> list[Finding]:
    """Compares every system with the default, language by language.

    Args:
        scores: By language, then by system, `DEFAULT` among them: one score per text in [0, 1],
            higher is better, of the same texts in the same order.
        trials: Sign flips and bootstrap samples of each test; at least some hundred per language.
        confidence: Of intervals and verdicts, in (0, 1).
        seed: Of the tests.

    Raises:
        DataError: If a language has no default, or systems have not the same texts.
    """
    made: list[Finding] = []
    for lang, systems in scores.items():
        if DEFAULT not in systems:
            raise DataError(f"{lang}: there are no outputs of the system {DEFAULT!r}.")
        for name in systems:
            if name != DEFAULT:
                made.append(_compared(lang, name, systems, trials, confidence, seed))
    corrected = holm([finding.p for finding in made]) if made else []
    return [
        Finding(**{
            **asdict(finding),
            "p_corrected": p,
            "better": p <= 1 - confidence and finding.low is not None and finding.low > 0,
        })
        for finding, p in zip(made, corrected, strict=True)
    ]  # fmt: skip


def _compared(
    lang: str,
    name: str,
    systems: Mapping[str, Sequence[float]],
    trials: int,
    confidence: float,
    seed: int,
) -> Finding:
    before, after = systems[DEFAULT], systems[name]
    if len(before) != len(after) or not before:
        raise DataError(
            f"{lang}: {name!r} has {len(after)} outputs, the default {len(before)}.",
            mend="outputs of the same texts, at least one",
        )
    found = compare([before], [after], trials, confidence, seed)
    difference = found.difference
    return Finding(
        lang, name, difference.n, found.mean_a, found.mean_b, difference.mean,
        difference.low, difference.high, found.p_randomisation, 1.0, better=False,
    )  # fmt: skip


def chosen(found: Sequence[Finding]) -> dict[str, list[str]]:
    """The systems of each language that are better than the default, the best first.

    Languages without any are left out.
    """
    better: dict[str, list[Finding]] = {}
    for finding in found:
        if finding.better:
            better.setdefault(finding.lang, []).append(finding)
    return {
        lang: [each.system for each in sorted(row, key=lambda each: -each.difference)]
        for lang, row in better.items()
    }


@dataclass(frozen=True)
class Route:
    """What a route file says.

    Attributes:
        ways: By language, the ways to write it that are better than the default, best first.
        why: What was found, for people.
        about: On what: the metric's signature, the level.
        folder: Where adapters that do not ship lie.
        named: Whether the user named the file: then what is missing is an error.
    """

    ways: Mapping[str, tuple[Way, ...]] = field(default_factory=dict)
    why: tuple[Mapping[str, Any], ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    named: bool = False

    def way(self, lang: str, models: Sequence[str] = (LIGHT,)) -> Way | None:
        """The best way to write a language with the models that are there; None: the default.

        Args:
            lang: A language code; one that the file does not name has the default.
            models: Sizes of the product that can be used here.

        Raises:
            ModelError: If its adapter is missing or another one, in a file that the user named. In
                the file that ships, such a way is passed over.
        """
        for way in self.ways.get(lang, ()):
            if way.model in models:
                try:
                    self.adapter(way)
                except ModelError:
                    if self.named:
                        raise
                    continue
                return way
        return None

    def adapter(self, way: Way) -> Path | None:
        """The folder of a way's adapter; None: the one that its method brings.

        Raises:
            ModelError: If it is missing, or not the one that was compared.
        """
        if way.adapter is None:
            return None
        beside = self.folder / way.adapter if self.folder else None
        place = beside if beside and beside.is_dir() else shipped_adapter(way.adapter)
        if way.digest is not None and adapter_digest(place) != way.digest:
            raise ModelError(
                f"The adapter in {place} is not the one that the route was made for.", mend=MEND
            )
        return place


def write_route(
    found: Sequence[Finding], ways: Mapping[str, Mapping[str, Way]], about: Mapping[str, Any]
) -> str:
    """A route as JSON.

    Args:
        found: What was found.
        ways: By language, then by system, how that system wrote it.
        about: On what it was found.
    """
    content = {
        "version": VERSION,
        "about": dict(about),
        "ways": {
            lang: [asdict(ways[lang][name]) for name in names]
            for lang, names in chosen(found).items()
        },
        "why": [asdict(finding) for finding in found],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def read_route(path: Path) -> Route:
    """The route of a file.

    Raises:
        DataError: If it cannot be read, is no route, or of another version.
        UnknownNameError: If it names a language or a model that does not exist.
    """
    try:
        content = json.loads(path.read_bytes())
        version, ways = content["version"], content["ways"]
        rows = {lang: list(row) for lang, row in ways.items()} if version == VERSION else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{str(path)!r} is no route file ({error!r}).", mend=MEND) from error
    if version != VERSION:
        raise DataError(
            f"{str(path)!r} is a route file of version {version!r}.",
            allowed=f"version {VERSION}",
            mend=MEND,
        )
    for lang in rows:
        if lang not in CODES:
            raise UnknownNameError("language", lang, CODES, where=f" in {path.name}")
    read = {
        lang: tuple(Way.read(each, f"{path.name}, {lang}") for each in row)
        for lang, row in rows.items()
    }
    return Route(
        read, tuple(content.get("why", ())), content.get("about", {}), path.parent, named=True
    )


def shipped_route() -> Route:
    """The route that ships; without one, or with one that cannot be read, all is the default."""
    path = Path(str(files("civilly").joinpath("weights/route.json")))
    try:
        found = read_route(path)
    except CivillyError:
        return Route()
    return Route(found.ways, found.why, found.about, path.parent)
