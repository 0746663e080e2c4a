"""The door of the line from text to rewrite: find → write → choose, for a batch of texts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

from civilly import __version__, arguments, registry
from civilly.data.chunks import AT_ONCE
from civilly.detect import DEFAULT
from civilly.detect.by_sentence import check_detector
from civilly.engines import DEFAULT as DEFAULT_ENGINE
from civilly.engines import check_engine, engine_of
from civilly.engines.pacing import chunks_for
from civilly.languages import AUTO
from civilly.methods.decoding import CANDIDATES, usual_candidates
from civilly.methods.ensemble import Ensemble, Member, names_of, options_of
from civilly.methods.options import check_names, with_adapter
from civilly.pipeline.choose import choose
from civilly.pipeline.find import Remembers, find, found_in_texts, with_languages
from civilly.pipeline.join import join
from civilly.pipeline.pass_by import passed_by
from civilly.pipeline.protect import KeepsProtected
from civilly.pipeline.routes import Routes
from civilly.pipeline.write import Writer
from civilly.select.strength import FREE, USUAL, checked_strength
from civilly.toolbox import Toolbox
from civilly.types import Detector, Rewrite, Rewriter, Selector, Text

DEFAULT_METHOD = "tuned"
DEFAULT_SELECTOR = "reads"
FALLBACK = "delete"
"""Its candidates stand beside those of a model: free, and civil by construction."""


class Detoxifier:
    """Rewrites toxic texts civilly.

    Args:
        method: A rewriting method of the registry, or several: ``"tuned+infill"``.
        engine: ``"embedded"``, ``"large"``, ``"gguf:FILE"``, ``"hf:ID"``, ``"openai:URL#MODEL"``
            or ``"echo"``; None: embedded.
        adapter: Folder of another adapter for ``tuned``.
        n_candidates: Candidates per text that the method makes, at least 1; None: what the method
            says, else 1, but several for a decoding that gives several, and for a high strength.
        options: Further options of the method; among several, ``infill.filler`` is that of one.
        select: A selector of the registry; None: the method's own, or ``reads``.
        strength: How much is dared, in [0, 1]: with ``reads``, which wordings are still taken; with
            the others, how far from the input they may be.
        model: A size of the product instead of an engine: ``"light"`` is embedded, ``"large"`` the
            model of the extra ``large``.
        only_toxic: Texts whose p(toxic) is below this, in [0, 1], stay as they are, and nothing but
            the detector looks at them; None: the selector says which sentences are worth a try.
        detector: A detector of the registry, which finds what is toxic: ``"context"``, ``"sae"``,
            ``"sae:FOLDER#probe"``; None: ``context``.
        route: A route file (``civilly route``), which says for each language what writes it; None:
            the one that ships, where neither method, engine, model, adapter nor options were
            chosen; ``"off"``: none.

    It may be used by several threads at once. Pickled or copied it is only what it was made of, and
    loads its models anew.

    Raises:
        UnknownNameError: If the method, the engine, the model, the selector or the detector does
            not exist.
        ModelError: If the engine's file is not there, or another kind of model.
        CivillyError: If an argument is of another kind, ``n_candidates`` is less than 1, the
            strength or ``only_toxic`` not in [0, 1], or both a model and an engine are given.
    """

    def __init__(
        self,
        method: str = DEFAULT_METHOD,
        engine: str | None = None,
        adapter: str | os.PathLike[str] | None = None,
        n_candidates: int | None = None,
        options: Mapping[str, Any] | None = None,
        select: str | None = None,
        strength: float = USUAL,
        model: str | None = None,
        only_toxic: float | None = None,
        detector: str | None = None,
        route: str | os.PathLike[str] | None = None,
    ) -> None:
        model = None if model is None else arguments.checked_name(model, "model")
        engine = engine_of(
            model, None if engine is None else arguments.checked_name(engine, "engine")
        )
        own_options = arguments.checked_options(options)
        self._made_of = {
            "method": method, "engine": engine, "adapter": adapter, "n_candidates": n_candidates,
            "options": own_options, "select": select, "strength": strength,
            "only_toxic": only_toxic, "detector": detector, "route": route,
        }  # fmt: skip
        plain = (
            method == DEFAULT_METHOD
            and not (adapter or own_options)
            and engine in (None, DEFAULT_ENGINE)
        )
        self._routes = Routes(self, route, plain=plain)
        self.method = arguments.checked_name(method, "method")
        asked = arguments.checked_candidates(n_candidates)
        chosen = with_adapter(own_options, arguments.checked_adapter(adapter))
        chosen["strength"] = checked_strength(strength)
        names = names_of(method)
        selector = DEFAULT_SELECTOR if select is None else arguments.checked_name(select, "select")
        check_names(chosen, names, selector)
        check_engine(engine)
        finds = DEFAULT if detector is None else arguments.checked_name(detector, "detector")
        check_detector(finds)
        self._modules = {name: registry.load("methods", name) for name in names}
        self._tools = Toolbox(engine, chosen, detector_spec=finds)
        self._own = {
            name: Toolbox(engine, options_of(chosen, name, names), self._tools, finds)
            for name in names
        }
        self._asked = {
            name: asked or _usual_candidates(module, self._own[name].options)
            for name, module in self._modules.items()
        }
        self.n_candidates = max(self._asked.values())
        self._select = select
        self.only_toxic = arguments.checked_least(only_toxic)

    def __getstate__(self) -> dict[str, Any]:
        return self._made_of

    def __setstate__(self, made_of: dict[str, Any]) -> None:
        Detoxifier.__init__(self, **made_of)

    def varied(self, **other: Any) -> Detoxifier:
        """One that was asked for otherwise, with the models of this one: nothing is loaded twice.

        Args:
            other: Arguments of the constructor, but for the engine and the model.

        Raises:
            CivillyError: As the constructor does.
        """
        made = Detoxifier(**{**self._made_of, **other})
        made._tools.lender = self._tools
        return made

    def with_model(self, model: str, **other: Any) -> Detoxifier:
        """One that was asked for otherwise, with another model.

        Args:
            model: A size of the product.
            other: Further arguments of the constructor.

        Raises:
            CivillyError: As the constructor does.
        """
        return Detoxifier(**{**self._made_of, "engine": engine_of(model, None), **other})

    @cached_property
    def _rewriter(self) -> Rewriter:
        made = {name: each.create(self._own[name]) for name, each in self._modules.items()}
        if len(made) == 1:
            return made.popitem()[1]  # type: ignore[no-any-return]
        return Ensemble([Member(rewriter, self._asked[name]) for name, rewriter in made.items()])

    @cached_property
    def _fallback(self) -> Rewriter | None:
        """Deletion, for methods that generate; the baselines stand alone."""
        if not getattr(self._rewriter, "generates", True):
            return None
        return registry.create("methods", FALLBACK, self._tools)  # type: ignore[no-any-return]

    @cached_property
    def _selector(self) -> Selector:
        own: str = getattr(self._rewriter, "selector", DEFAULT_SELECTOR)
        return registry.create("select", self._select or own, self._tools)  # type: ignore[no-any-return]

    def describe(self) -> dict[str, Any]:
        """What the results depend on, for journals and reports."""
        prints = {
            name: module.fingerprint(self._own[name])
            for name, module in self._modules.items()
            if hasattr(module, "fingerprint")
        }
        return {
            "civilly": __version__,
            "method": self.method,
            "engine": self._tools.engine_spec or "embedded",
            "options": {k: str(v) for k, v in sorted(self._tools.options.items())},
            "fingerprint": prints if len(self._modules) > 1 else next(iter(prints.values()), None),
            "n_candidates": self.n_candidates,
            "select": self._select,
            "only_toxic": self.only_toxic,
            "detector": self._tools.detector_spec,
            **self._routes.describe(),
        }

    def chunks(self, texts: Sequence[str], window: int = AT_ONCE) -> list[list[int]]:
        """The rows of each call of `rewrite`, for long work; see `civilly.engines.pacing`."""
        named = getattr(self._rewriter, "generates", True) and self._tools.engine_spec
        return chunks_for(texts, self._tools.engine() if named else self._tools.opened, window)

    def rewrite(self, texts: Iterable[str], langs: str | Iterable[str] = AUTO) -> list[Rewrite]:
        """Rewrites a batch: same length, same order.

        Args:
            texts: Any strings, in a list, column, array or generator; one text is a list of one.
            langs: A language, one per text, or ``"auto"`` (also per text); codes are read as
                `civilly.languages.language_code` does: ``"en"``, ``"EN"``, ``"en-US"``.

        Returns:
            One `Rewrite` per text; where nothing better was found the text itself, with the reason.

        Raises:
            UnknownNameError: If a language is not one of the 15.
            CivillyError: If ``texts`` or ``langs`` is of another kind (it says which position), or
                ``langs`` has another length than ``texts``.
        """
        given = with_languages(arguments.checked_texts(texts), langs)
        detector = Remembers(self._tools.detector)
        if self.only_toxic is None:
            return self._rewritten(given, detector)
        made = passed_by(given, detector, self.only_toxic)
        others = [text for text, passed in zip(given, made, strict=True) if passed is None]
        rewritten = iter(self._rewritten(others, detector) if others else ())
        return [passed or next(rewritten) for passed in made]

    def pass_by(
        self, texts: Iterable[str], langs: str | Iterable[str] = AUTO
    ) -> list[Rewrite | None]:
        """The results of the texts that ``only_toxic`` passes by, and None for the others.

        What `rewrite` would return of them, at the detector's speed: long work asks for these first
        and hands the others to `rewrite` in `chunks`.

        Args:
            texts: As for `rewrite`.
            langs: As for `rewrite`.

        Raises:
            UnknownNameError: As `rewrite`.
            CivillyError: As `rewrite`.
        """
        given = with_languages(arguments.checked_texts(texts), langs)
        if self.only_toxic is None:
            return [None] * len(given)
        return passed_by(given, Remembers(self._tools.detector), self.only_toxic)

    def _rewritten(self, texts: Sequence[Text], detector: Detector) -> list[Rewrite]:
        made: dict[int, Rewrite] = {}
        for writer, rows in self._routes.shared_out([text.lang for text in texts]):
            some = [texts[row] for row in rows]
            made.update(zip(rows, writer._written(some, detector), strict=True))
        return [made[row] for row in range(len(texts))]

    def _written(self, texts: Sequence[Text], detector: Detector) -> list[Rewrite]:
        """The same by this method alone, whatever a route says."""
        selector = KeepsProtected(self._selector)  # first: a model may load in the meantime
        batch = find(texts, detector)
        writer = Writer(self._rewriter, self._fallback, self.n_candidates)
        choices = choose(batch, writer, selector, detector)
        return join(batch, choices, found_in_texts(batch, detector), detector)


def _usual_candidates(module: Any, options: Mapping[str, Any]) -> int:
    """Candidates per text where the user does not say how many."""
    if hasattr(module, "CANDIDATES"):
        return int(module.CANDIDATES)
    decoding = options.get("decoding") or getattr(module, "DECODING", None)
    if options["strength"] >= FREE and decoding is None:
        return CANDIDATES
    return usual_candidates(decoding)


@lru_cache(maxsize=4)
def _shared(method: str, only_toxic: float | None) -> Detoxifier:
    return Detoxifier(method, only_toxic=only_toxic)


def rewrite(
    text: str,
    lang: str = AUTO,
    method: str = DEFAULT_METHOD,
    only_toxic: float | None = None,
) -> str:
    """Rewrites one text with the embedded default; `Detoxifier.rewrite` does many, and says why.

    Args:
        text: Any string.
        lang: One of the 15 languages, or ``"auto"``.
        method: A rewriting method.
        only_toxic: A text whose p(toxic) is below this stays as it is; see `Detoxifier`.

    Returns:
        The civil version, or the text itself when nothing better was found.

    Raises:
        UnknownNameError: If the language or the method does not exist.
        CivillyError: If an argument is no string, or ``only_toxic`` not in [0, 1].
    """
    text, lang = arguments.checked_text(text), arguments.checked_language(lang)
    least = arguments.checked_least(only_toxic)
    detoxifier = _shared(arguments.checked_name(method, "method"), least)
    return detoxifier.rewrite([text], lang)[0].rewritten
