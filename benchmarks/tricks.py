"""Tries to fool the suites: copies, masks, cuts and polite constants; writes results/tricks.md.

Usage: python benchmarks/tricks.py [--sentences N] [--out results/tricks.md]

Data: people's judgements in the folder of the environment variable CIVILLY_DATA (default
../shared/data). Every trick is played on the sentences that the reader was not trained on
(`civilly.data.kept_apart`), and ranked among the real systems on the same sentences.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from civilly import registry
from civilly.data.kept_apart import judgement_kept_apart
from civilly.data.values import short
from civilly.languages import PARALLEL_CODES
from civilly.score.human import LEARNT_FROM, Judgement, read_judgements, resolve
from civilly.score.joint import COMPONENTS, JOINT
from civilly.score.scoring import score_texts
from civilly.toolbox import Toolbox
from civilly.types import Detector, Metric, Text
from measures import table

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("CIVILLY_DATA", ROOT.parent / "shared" / "data"))
OUT = ROOT / "benchmarks" / "results" / "tricks.md"
SUITES = ("reading", "embedded")
LEAST_JOINT = 0.2
"""People's J under which a system is none to be ranked with: it writes unrelated sentences."""
POLITE = {
    "en": "Thank you very much for your message.", "es": "Muchas gracias por su mensaje.",
    "de": "Vielen Dank für Ihre Nachricht.",
    "zh": "非常感谢您的留言。",
    "ar": "شكرا جزيلا على رسالتك.",
    "hi": "आपके संदेश के लिए बहुत धन्यवाद।", "uk": "Дуже дякую за ваше повідомлення.",
    "ru": "Большое спасибо за ваше сообщение.", "am": "ስለ መልዕክትዎ በጣም አመሰግናለሁ።",
}  # fmt: skip
SORRY = {
    "en": "I am sorry.", "es": "Lo siento.", "de": "Es tut mir leid.", "zh": "对不起。",
    "ar": "أنا آسف.", "hi": "मुझे माफ़ करें।", "uk": "Мені шкода.", "ru": "Мне жаль.",
    "am": "ይቅርታ።",
}  # fmt: skip
LEET = str.maketrans("aeiostаеіо", "43105743і0")

Trick = Callable[[Text], str]
Means = dict[str, dict[str, dict[str, float]]]
"""By language, system or trick, and score."""


def on_spans(detector: Detector, change: Callable[[str], str]) -> Trick:
    """An output that changes the toxic words alone."""

    def made(text: Text) -> str:
        result = text.text
        for span in reversed(detector.detect([text])[0].spans):
            changed = change(result[span.start : span.end])
            result = result[: span.start] + changed + result[span.end :]
        return result

    return made


def masked(span: str) -> str:
    """All but the first and the last letter as stars; all, where there are no others."""
    return f"{span[0]}{'*' * (len(span) - 2)}{span[-1]}" if len(span) > 2 else "*" * len(span)


def halved(span: str) -> str:
    """The first half of each word."""
    return " ".join(word[: (len(word) + 1) // 2] for word in span.split(" "))


def one_word_cut(detector: Detector) -> Trick:
    """The input without the first words that the detector names (else its first word)."""

    def made(text: Text) -> str:
        spans = detector.detect([text])[0].spans
        start, end = (spans[0].start, spans[0].end) if spans else (0, len(text.text.split(" ")[0]))
        return text.text[:start] + text.text[end:]

    return made


def foreign(text: Text) -> str:
    """A polite sentence of another language."""
    return POLITE["es" if text.lang == "en" else "en"]


def tricks(detector: Detector) -> dict[str, Trick]:
    """All tricks by name.

    Args:
        detector: Says which words insult.
    """
    return {
        "copy": lambda text: text.text,
        "copy with a full stop": lambda text: text.text + ".",
        "copy twice": lambda text: f"{text.text} {text.text}",
        "delete everything": lambda text: "",
        "one polite sentence": lambda text: POLITE[text.lang],
        "“I am sorry”": lambda text: SORRY[text.lang],
        "copy and a polite sentence": lambda text: f"{text.text} {POLITE[text.lang]}",
        "another language (polite English or Spanish)": foreign,
        "first half": lambda text: text.text[: len(text.text) // 2],
        "insults in leet letters": on_spans(detector, lambda span: span.translate(LEET)),
        "insults masked (f**k)": on_spans(detector, masked),
        "insults wholly masked (****)": on_spans(detector, lambda span: "*" * len(span)),
        "insults halved": on_spans(detector, halved),
        "one insult cut": one_word_cut(detector),
        "all insults cut": on_spans(detector, lambda span: ""),
    }


NEVER = (
    "insults masked (f**k)", "insults wholly masked (****)", "insults halved",
    "copy and a polite sentence",
)  # fmt: skip
"""What must rank below every real system."""


def means(metric: Metric, name: str, cases: Sequence[tuple[str, Text, str]]) -> Means:
    """Mean scores of each system and trick in each language.

    Args:
        metric: A suite.
        name: Its name.
        cases: System or trick, input and output.
    """
    scores = score_texts(metric, name, [case[1] for case in cases], [case[2] for case in cases])
    rows: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, (who, text, _) in enumerate(cases):
        rows[text.lang, who].append(place)
    found: Means = defaultdict(dict)
    for (lang, who), places in rows.items():
        found[lang][who] = {
            column: statistics.mean(values[place] for place in places)
            for column, values in scores.items()
        }
    return found


def beaten(found: Means, trick: str, systems: Mapping[str, Sequence[str]]) -> list[float]:
    """By language, the share of the real systems whose mean J is below a trick's."""
    return [
        statistics.mean(found[lang][trick][JOINT] > found[lang][name][JOINT] for name in names)
        for lang, names in systems.items()
    ]


def played(rows: Sequence[Judgement], made: Mapping[str, Trick]) -> list[tuple[str, Text, str]]:
    """All cases: what the systems wrote, and the tricks on the same sentences."""
    cases = [(row.system, Text(row.text, row.lang), row.output) for row in rows]
    inputs = dict.fromkeys(text for _, text, _ in cases)
    return cases + [(name, text, make(text)) for name, make in made.items() for text in inputs]


def judgements_kept_apart(sentences: int | None) -> list[Judgement]:
    """What people judged of the sentences that are kept apart, in the order of the languages.

    Args:
        sentences: The most of a language; None: all.
    """
    rows = read_judgements(resolve(LEARNT_FROM, DATA))
    apart = [row for row in rows if judgement_kept_apart(str(row.row["id"]))]
    found = []
    for lang in PARALLEL_CODES:
        mine = [row for row in apart if row.lang == lang]
        taken = set(list(dict.fromkeys(row.text for row in mine))[:sentences])
        found += [row for row in mine if row.text in taken]
    return found


def ranked(rows: Sequence[Judgement]) -> dict[str, list[str]]:
    """By language, the systems that people do not find useless (`LEAST_JOINT`)."""
    joint: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        joint[row.lang][row.system].append(row.scores[JOINT])
    return {
        lang: [name for name, values in of.items() if statistics.mean(values) >= LEAST_JOINT]
        for lang, of in joint.items()
    }


def cells(found: Means, who: Mapping[str, Sequence[str]], columns: Sequence[str]) -> list[str]:
    """Means over the languages, each the mean of some of its systems or tricks."""
    return [
        short(
            statistics.mean(
                statistics.mean(found[lang][name][column] for name in names)
                for lang, names in who.items()
            ),
            2,
        )
        for column in columns
    ]


def big_table(of_suite: Mapping[str, Means], systems: dict[str, list[str]]) -> str:
    """A row per trick, the suites side by side."""
    columns = {
        suite: [
            *COMPONENTS,
            JOINT,
            *(["good"] if "good" in next(iter(found["en"].values())) else []),
        ]
        for suite, found in of_suite.items()
    }
    head = ["output"]
    for suite in of_suite:
        head += [f"{suite}: {columns[suite][0]}", *columns[suite][1:], "beats"]
    body = []
    for trick in tricks(registry.create("detect", "toxicity")):
        line = [trick]
        for suite, found in of_suite.items():
            line += cells(found, {lang: [trick] for lang in systems}, columns[suite])
            line.append(f"{statistics.mean(beaten(found, trick, systems)):.0%}")
        body.append(line)
    line = ["*mean of the real systems*"]
    worst = ["*worst real system of a language*"]
    for suite, found in of_suite.items():
        line += [*cells(found, systems, columns[suite]), ""]
        low = statistics.mean(
            min(found[lang][name][JOINT] for name in names) for lang, names in systems.items()
        )
        shown = [short(low, 2) if column == JOINT else "" for column in columns[suite]]
        worst += [*shown, ""]
    return table(head, [*body, line, worst])


def verdicts(of_suite: Mapping[str, Means], systems: dict[str, list[str]]) -> str:
    """Whether what must rank below every real system does, by suite and language."""
    body = []
    for trick in NEVER:
        line = [trick]
        for found in of_suite.values():
            shares = dict(zip(systems, beaten(found, trick, systems), strict=True))
            above = [lang for lang, share in shares.items() if share > 0]
            line.append(f"{len(shares) - len(above)} of {len(shares)}")
            line.append(", ".join(above) or "–")
        body.append(line)
    head = ["trick"]
    for suite in of_suite:
        head += [f"{suite}: below every real system in", "above one in"]
    return table(head, body)


def report(sentences: int | None) -> str:
    """The page."""
    rows = judgements_kept_apart(sentences)
    systems = ranked(rows)
    cases = played(rows, tricks(registry.create("detect", "toxicity")))
    of_suite, signatures = {}, []
    for name in SUITES:
        metric = registry.create("score", name, Toolbox(None, {}))
        of_suite[name] = means(metric, name, cases)
        signatures.append(f"`{metric.signature}`")
    texts = len({(row.lang, row.text) for row in rows})
    counts = [len(names) for names in systems.values()]
    about = (
        f"{texts} sentences of TextDetox 2024 in {len(systems)} languages, none of which the "
        f"reader was trained on, against {min(counts)} to {max(counts)} systems a language on the "
        "same sentences, without references. Systems with people's J under "
        f"{LEAST_JOINT} are not ranked with. *beats*: the mean over languages of the share of "
        "systems whose mean J is below the trick's. Insults are what the n-gram model marks; "
        "where it marks nothing, a mask is a copy."
    )
    parts = ["# Tricks", about, "\n".join(signatures), big_table(of_suite, systems)]
    parts += ["## What must rank below every real system", verdicts(of_suite, systems)]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sentences", type=int, help="at most so many of a language")
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    given.out.write_text(report(given.sentences), "utf-8")
    print(given.out.read_text("utf-8"))


if __name__ == "__main__":
    main()
