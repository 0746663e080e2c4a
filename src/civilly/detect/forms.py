r"""The forms of what is never rewritten: links, addresses, names, tags, code, paths, markup.

Each form is told by how it is written, never by what its letters say. No form takes a disguised
word in: ``@sshole`` (`RUDE_AT`) and ``#f*ck`` are none, ``fu.ck`` is no link and ``(idiot)`` no
markup. Every pattern looks at a bounded stretch from each place where it may begin, and begins only
there, so that the time is linear.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache

from civilly.languages import UNSPACED

Bounds = tuple[int, int]
Finder = Callable[[str], Iterator[Bounds]]
"""Stretches of a text that have one form, in order, not overlapping."""

MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06ed\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963\u135d-\u135f\u200c\u200d"
)
"""Vowel signs, accents and joiners, which belong to letters but are none to ``\\w``."""
SPACED = rf"[^\W{UNSPACED}]"
"""A letter, digit or underscore of a script whose words stand between blanks."""
_WORD = rf"[\w{MARKS}]"
_BEFORE = rf"(?<![^\W{UNSPACED}])"
"""A name, tag or link may follow Chinese characters and kana directly, but no other letter."""
_END_MARKS = ".,;:!?…'\"*_~|`)]}>»”’」』）】》。，、；：！？।؟،؛።፣‹›«“„"
"""What ends the sentence around a link rather than the link."""

# --- links and addresses ---------------------------------------------------------------------

_IN_LINK = rf"(?:[\w\-.~:/?#\[\]@!$&'()*+,;=%{MARKS}](?<![{UNSPACED}])|(?<=[/=#?&:])[{UNSPACED}]+)"
"""Chinese characters and kana belong to a link only from the beginning of a part of its path on:
without blanks nothing else tells where a link ends."""
_BARE = "com|org|net|edu|gov|info|app|dev|ru|рф|ua|укр|fr|il|jp|cn|br|uk|eu|kz|pl|ch|nl|tr|ca|au"
"""Domains that need no path to be known as such; none is a word that may follow a full stop."""
_WITH_PATH = f"{_BARE}|de|in|it|es|us|by|at|et|sa|eg|ir|io|co|me|ly|gg|gl|tv|be|to|cc|xyz|is|ai"
_LINKS = re.compile(
    rf"{_BEFORE}(?:[a-zA-Z][a-zA-Z0-9+.\-]{{1,15}}://|www\.(?=\w)){_IN_LINK}{{1,2000}}"
    rf"|(?<![\w.@\-])(?:(?=\w)[\w\-]{{1,63}}\.){{1,4}}(?:{_WITH_PATH})"
    rf"(?::\d{{2,5}})?/{_IN_LINK}{{0,2000}}"
    rf"|(?<![\w.@\-])(?:(?=\w)[\w\-]{{1,63}}\.){{0,3}}[\w\-]{{2,63}}\.(?:{_BARE})"
    rf"(?:\.[a-z]{{2}})?(?![\w@{MARKS}]|\.\w|-\w)",
    re.IGNORECASE,
)
_TARGETS = re.compile(r"(?<=\]\()(?=[^\s()]{0,300}[./#:?=])[^\s()]{1,500}(?=\))")
"""Where a link in Markdown leads."""
_ADDRESSES = re.compile(
    r"(?<![\w.+%\-@])[\w.+%\-]{1,64}@(?:[\w\-]{1,63}\.){1,5}[^\W\d_]{2,24}(?![\w@])"
)

# --- names and tags --------------------------------------------------------------------------

RUDE_AT = re.compile(
    r"[@＠](?:ss(?:es|hats?|holes?|wipes?|h0les?)?|rse(?:s|holes?)?|rsch(?:l[oö]ch(?:er)?|geigen?)?"
    r"|nus(?:es)?|nal)(?!\w)",
    re.IGNORECASE,
)
"""Words in which ``@`` is an ``a``; with any other letters behind it, it makes a name."""
_MASKED = r"(?![*$€£%]{1,9}\w|\*{3}|[@!|+#]\w)"
_NAMES = re.compile(
    rf"{_BEFORE}(?<![@＠.])[@＠](?:"
    rf"[A-Za-z0-9_](?:[A-Za-z0-9_]|[.\-](?=[A-Za-z0-9_])){{0,63}}+"
    rf"(?:@(?:[A-Za-z0-9\-]{{1,63}}\.){{1,4}}[A-Za-z]{{2,24}})?+"
    rf"|{SPACED}(?:[^\W{UNSPACED}]|[{MARKS}]){{0,63}}+"
    rf"|[{UNSPACED}]{{1,4}}+(?!\w))(?![^\W{UNSPACED}]|[{MARKS}]){_MASKED}"
    r"|(?<![\w/.])/?[ru]/[A-Za-z0-9_\-]{2,32}+(?![\w/])"
)
"""Chinese characters and kana are a name only where at most four of them end at a mark or blank."""
_TAGS = re.compile(
    rf"(?:{_BEFORE}(?<![#＃&/])[#＃]"
    rf"(?:[^\s#＃]{{1,40}}?[#＃](?![\w#])(?<=[{UNSPACED}][#＃])"
    rf"|(?=\d*[^\W\d]){_WORD}{{1,100}}+(?:-{SPACED}{{1,60}}+){{0,5}}){_MASKED})"
)

# --- markup of chats and pages ---------------------------------------------------------------

_MARKUP = re.compile(
    r"<a?:\w{1,40}:\d{1,25}>|<[@#][!&]?\w{1,40}(?:\|[^<>\s]{1,40})?>|<![a-z]{1,20}>"
    r"|<t:\d{1,15}(?::[a-zA-Z])?>|</[\w\- ]{1,60}:\d{1,25}>"
    r"|\[/?(?:b|i|u|s|url|img|quote|code|color|size|spoiler|list)(?:=[^\]\s]{1,300})?\]"
)
_EMOJI = re.compile(r"(?<![\w:]):(?:[a-zA-Z][\w+\-]{1,40}|[+\-]1):(?![\w:])")
_HTML_NAMES = (
    r"a|abbr|article|aside|audio|b|big|blockquote|body|br|button|center|code|col|dd|del"
    r"|details|div|dl|dt|em|embed|fieldset|figcaption|figure|font|footer|form|h1|h2|h3|h4|h5|h6"
    r"|head|header|hr|html|i|iframe|img|input|ins|kbd|label|legend|li|link|main|mark|meta|nav"
    r"|ol|option|p|param|path|pre|q|s|samp|script|section|select|small|source|span|strike"
    r"|strong|style|sub|summary|sup|svg|table|tbody|td|template|textarea|tfoot|th|thead|time"
    r"|title|tr|tt|u|ul|var|video|wbr"
)
_HTML = re.compile(rf"</?(?:{_HTML_NAMES})(?=[\s/>])([^<>]{{0,1000}})>", re.IGNORECASE)
_ENTITIES = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|([a-zA-Z][a-zA-Z0-9]{1,31}));")
_TEMPLATES = re.compile(
    r"\{\{[#/^&>!~\-]?\s{0,3}[\w.\-\[\]()]{1,60}(?:\s{0,3}\|\s{0,3}[\w:.\-\"']{1,40}){0,5}\s{0,3}\}\}"
    r"|\$\{\w[\w.:\-]{0,60}\}|\{\d{0,3}\}|\{(?=\w{0,40}[_.])[A-Za-z_][\w.]{0,60}\}"
    r"|%\(\w{1,40}\)[sdifrx]|(?<![\w%])%(?:\d\$)?[+\-0# ]?\d{0,3}(?:\.\d{1,2})?[sdifxu](?!\w)"
)

# --- code, paths, flags ----------------------------------------------------------------------

_FENCES = re.compile(r"(?<!`)```(?!`)(?:(?!```).){1,20000}```(?!`)", re.DOTALL)
_TICKS = re.compile(r"(?<!`)`{1,2}(?!`)")
_ROOTS = "usr|etc|home|var|tmp|opt|bin|sbin|lib|dev|proc|mnt|media|root|srv|sys|run|boot|api|v\\d"
_EXTENSIONS = (
    "py|ipynb|js|jsx|ts|tsx|mjs|txt|md|rst|json|jsonl|csv|tsv|xml|html|htm|css|scss|yml|yaml|toml"
    "|ini|cfg|conf|log|bat|ps1|exe|dll|zip|gz|tgz|bz2|xz|tar|rar|7z|pdf|docx|doc|xlsx|xls|pptx|ppt"
    "|odt|png|jpeg|jpg|gif|svg|webp|bmp|ico|mp3|mp4|wav|ogg|avi|mkv|mov|webm|cpp|hpp|java|rs|php"
    "|sql|db|sqlite|jar|apk|iso|dmg|deb|rpm|lock|bak|tmp|pem|srt|epub|parquet|safetensors|gguf|sh"
)
_PART = r"[^\W][\w.+@\-]{0,100}"
_PATHS = re.compile(
    rf"(?<![\w/.~])(?:~/|\.{{1,2}}/|/(?=(?:{_ROOTS}|Users|Library|Applications|Volumes)/))"
    rf"(?:[.]?{_PART}/){{0,20}}+(?:[.]?{_PART})?"
    rf"|(?<![\w/.])/?(?:{_PART}/){{1,20}}+[\w.+@\-]{{1,100}}(?<=\w)\.(?:{_EXTENSIONS})(?![\w/])"
    rf"|(?<!\w)[A-Za-z]:\\[^\s<>:\"|?*]{{0,400}}|(?<![\w\\])\\\\\w[^\s<>:\"|?*]{{2,400}}"
)
_FILES = re.compile(rf"(?<![\w.\-])\w[\w\-.]{{0,100}}\.(?:{_EXTENSIONS})(?![\w@])", re.IGNORECASE)
_FLAGS = re.compile(
    r"(?<![^\s(\[`«“„\"'])--[a-z][a-z0-9]{1,30}(?:-[a-z0-9]{1,30}){0,6}(?:=[\w./:@%+~\-]{1,200})?(?![\w\-])"
    r"|(?<!\S)-[A-Za-z](?!\S)"
)


def code(text: str) -> Iterator[Bounds]:
    """Fenced blocks, and what stands between two backticks, or two pairs, of one line.

    A backtick after a letter opens nothing (``don`t``), and one before a letter closes nothing.
    """
    last = 0
    for fence in _FENCES.finditer(text):
        yield from _inline_code(text, last, fence.start())
        yield fence.span()
        last = fence.end()
    yield from _inline_code(text, last, len(text))


_LETTER = re.compile(SPACED)


def _inline_code(text: str, start: int, end: int) -> Iterator[Bounds]:
    opened: dict[int, int] = {}
    for tick in _TICKS.finditer(text, start, end):
        size = tick.end() - tick.start()
        at = opened.get(size)
        closes = not _LETTER.match(text, tick.end())
        if at is not None and closes and _one_line(text, at, tick.start()):
            yield at, tick.end()
            opened.clear()
        elif not (tick.start() and _LETTER.match(text, tick.start() - 1)):
            opened[size] = tick.start()


def _one_line(text: str, start: int, end: int) -> bool:
    return text.find("\n", start, end) < 0


def _trimmed(text: str, start: int, end: int) -> Bounds:
    """Without the marks behind it, but with a bracket that it opens itself."""
    while end > start and text[end - 1] in _END_MARKS:
        if text[end - 1] == ")" and text.count("(", start, end) >= text.count(")", start, end):
            break
        end -= 1
    return start, end


def _links(text: str) -> Iterator[Bounds]:
    for found in _LINKS.finditer(text):
        start, end = _trimmed(text, *found.span())
        if end - start > 3:
            yield start, end


def _paths(text: str) -> Iterator[Bounds]:
    for found in _PATHS.finditer(text):
        start, end = _trimmed(text, *found.span())
        if end - start > 2:
            yield start, end


def _names(text: str) -> Iterator[Bounds]:
    return (m.span() for m in _NAMES.finditer(text) if not RUDE_AT.fullmatch(m[0]))


def _html(text: str) -> Iterator[Bounds]:
    """Tags that HTML knows; what is no attribute makes it a bracket around words."""
    for found in _HTML.finditer(text):
        rest = found[1].strip()
        if rest in ("", "/") or "=" in rest:
            yield found.span()


@cache
def _entity_names() -> frozenset[str]:
    from html.entities import html5

    return frozenset(html5)


def _entities(text: str) -> Iterator[Bounds]:
    for found in _ENTITIES.finditer(text):
        if found[1] is None or f"{found[1]};" in _entity_names():
            yield found.span()


def matches(pattern: re.Pattern[str]) -> Finder:
    """The finder of all that one pattern matches."""
    return lambda text: (found.span() for found in pattern.finditer(text))


FINDERS: tuple[tuple[str, Finder], ...] = (
    ("code", code),
    ("markup", matches(_MARKUP)),
    ("markup", _html),
    ("template", matches(_TEMPLATES)),
    ("link", matches(_TARGETS)),
    ("link", _links),
    ("address", matches(_ADDRESSES)),
    ("path", _paths),
    ("path", matches(_FILES)),
    ("name", _names),
    ("tag", matches(_TAGS)),
    ("emoji", matches(_EMOJI)),
    ("markup", _entities),
    ("flag", matches(_FLAGS)),
)
"""What is looked for, in this order: what one finder takes, the later ones do not see."""
