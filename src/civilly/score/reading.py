"""STA, SIM and FL as a careful reader would see them, without references; J is their product.

Each is the geometric mean of two opinions of the judge (`civilly.score.reader`): how probable it
is that a careful reader finds no fault of that kind, and how people of the shared task of 2024
would judge it. A reader names the worst fault alone, so the first ones are chained: the product of
the three is the probability that the rewrite is good.

The judge can be pleased by a sentence that has nothing to do with the text, say a polite one that
fits everywhere. So what the suite `embedded` finds to have lost its content is another meaning to
the degree that it has lost it (`guarded`); hardly any rewrite that careful readers found good is
touched by that. An output without a letter or digit is not read: all was cut, and J is 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from civilly import __version__, registry
from civilly.data.kept_apart import judgement_kept_apart
from civilly.data.readings import FAULTS
from civilly.languages import says_something
from civilly.model.cache import fingerprint
from civilly.model.e5 import FORMAT
from civilly.model.reader_weights import shipped_reader
from civilly.score.embedded import EmbeddedSuite
from civilly.score.embedded_cache import VectorCache
from civilly.score.embedded_encoder import SIGNATURE, WIDTH, SentenceEncoder
from civilly.score.embedded_features import FeatureReader
from civilly.score.embedded_model import WEIGHTS, SuiteModel
from civilly.score.human import Judgement
from civilly.score.joint import COMPONENTS, JointSuite
from civilly.score.reader import HUMAN, MOST_TOKENS, Opinion, RewriteJudge, load
from civilly.types import Suite, Text, Tools

CHUNK = 1_000
"""Rows read at once, so that memory stays bounded."""
CONTENT = 0.5
"""From this SIM of the suite `embedded` on, an output has to do with its text."""
OF_COMPONENT = {"STA": ("insult", "kept"), "SIM": ("meaning", "overcut"), "FL": ("gap", "other")}
"""The faults that each component is about, in the order in which they are chained."""
EMPTY = Opinion(
    {fault: float(fault == "overcut") for fault in FAULTS}, 0.0, dict.fromkeys(HUMAN, 0.0)
)
"""Of an output without a letter or digit."""

OPTIONS = ()


def create(tools: Tools | None = None) -> ReadingSuite:
    """The suite with the shipped judge.

    Raises:
        ModelError: If this copy of Civilly brings none.
    """
    vectors = SentenceEncoder(VectorCache(None, SIGNATURE, WIDTH))
    features = FeatureReader(registry.create("detect", "toxicity"), vectors)
    return ReadingSuite(load(), EmbeddedSuite(features, SuiteModel.load()))


class ReadingSuite(JointSuite):
    """See the module; references are not looked at.

    Args:
        judge: Reads the rewrites.
        content: Its SIM says how much of the content is there at all.
    """

    def __init__(self, judge: RewriteJudge, content: Suite) -> None:
        self._judge = judge
        self._content = content
        self._last: dict[tuple[Text, str], Opinion] = {}

    @property
    def signature(self) -> str:
        """See `civilly.types.Metric`."""
        weights = fingerprint(shipped_reader("judge").read_bytes())
        content = fingerprint(WEIGHTS.read_bytes())
        encoder = f"multilingual-e5-small-int8|form:{FORMAT}|tokens:{MOST_TOKENS}"
        return f"reading|reader:{weights}|content:{content}|encoder:{encoder}|civilly:{__version__}"

    def components(
        self,
        inputs: Sequence[Text],
        outputs: Sequence[str],
        references: Sequence[Sequence[str]] | None = None,
    ) -> dict[str, list[float]]:
        """STA, SIM and FL of each output, in order."""
        rows = list(map(components_of, self._opinions(inputs, outputs)))
        return {name: [row[name] for row in rows] for name in COMPONENTS}

    def faults(self, inputs: Sequence[Text], outputs: Sequence[str]) -> dict[str, list[float]]:
        """See `civilly.score.joint.FaultFinder`."""
        opinions = self._opinions(inputs, outputs)
        return {fault: [opinion.faults[fault] for opinion in opinions] for fault in FAULTS}

    def learnt_from(self, judgement: Judgement) -> bool:
        """See `civilly.score.human.Learner`."""
        return not judgement_kept_apart(str(judgement.row.get("id")))

    def _opinions(self, inputs: Sequence[Text], outputs: Sequence[str]) -> list[Opinion]:
        """One per output; those of the last call are kept, since faults are asked for after J."""
        pairs = list(zip(inputs, outputs, strict=True))
        known = {pair: self._last[pair] for pair in pairs if pair in self._last}
        known |= {pair: EMPTY for pair in pairs if not says_something(pair[1])}
        unread = [pair for pair in dict.fromkeys(pairs) if pair not in known]
        for start in range(0, len(unread), CHUNK):
            some = unread[start : start + CHUNK]
            known |= zip(some, self._read(*zip(*some, strict=True)), strict=True)
        self._last = known
        return [known[pair] for pair in pairs]

    def _read(self, texts: Sequence[Text], rewrites: Sequence[str]) -> list[Opinion]:
        opinions = self._judge.opinions([text.text for text in texts], rewrites)
        content = self._content.components(texts, rewrites)["SIM"]
        return list(map(guarded, opinions, content))


def guarded(opinion: Opinion, content: float) -> Opinion:
    """An opinion, to the degree that the output has to do with its text; else another meaning.

    Args:
        opinion: What the judge says.
        content: SIM of the suite `embedded`, in [0, 1]; from `CONTENT` on nothing changes.
    """
    share = min(1.0, content / CONTENT)
    faults = {fault: share * p for fault, p in opinion.faults.items()}
    faults["meaning"] += 1.0 - share
    human = {**opinion.human, "SIM": share * opinion.human["SIM"]}
    return Opinion(faults, share * opinion.use, human)


def components_of(opinion: Opinion) -> dict[str, float]:
    """STA, SIM and FL of one opinion, each in [0, 1]."""
    chained = chain(opinion.faults)
    return {name: (chained[name] * opinion.human[name]) ** 0.5 for name in COMPONENTS}


def chain(faults: Mapping[str, float]) -> dict[str, float]:
    """Probability of no fault of a kind, given that there is none of the kinds before it.

    The product of all is the probability of ``good``.

    Args:
        faults: Probability of each of `civilly.data.readings.FAULTS`; they sum to 1.
    """
    left, found = 1.0, {}
    for name, kinds in OF_COMPONENT.items():
        rest = max(0.0, left - sum(faults[kind] for kind in kinds))
        found[name] = rest / left if left > 0 else 0.0
        left = rest
    return found
