"""Reads a rewrite out of what a model said: no labels, no quotes, no refusals."""

from __future__ import annotations

import re
from collections.abc import Sequence

_REFUSALS = (
    # English
    r"\bi(?:['’]m| am) (?:sorry|unable).{0,30} "
    r"(?:can['’]?t|cannot|won['’]t|not able to|unable to) (?:help|assist|do|fulfil|rewrite)",
    r"\bi (?:can['’]?t|cannot|can not|won['’]t|will not|am unable to) (?:help you|help with|assist|"
    r"rewrite|rephrase|provide|fulfil|comply|generate|create|engage|do that)",
    r"\bas an? (?:ai|language model|assistant)\b",
    # Spanish, Italian, French
    r"\bno puedo (?:ayudarte|ayudarle|ayudar con|reescribir|cumplir|generar|proporcionar)",
    r"\bcomo (?:una )?(?:ia|inteligencia artificial|modelo de lenguaje)\b",
    r"\bnon posso (?:aiutarti|aiutarla|aiutare con|riscrivere|soddisfare|fornire|generare)",
    r"\bcome (?:ia|intelligenza artificiale|modello linguistico)\b",
    r"\bje ne (?:peux|suis) pas (?:en mesure|vous aider|t['’]aider|réécrire|fournir|répondre à)",
    r"\ben tant qu['’](?:ia|intelligence artificielle|assistant|un modèle)\b",
    # German
    r"\bich kann (?:dir|ihnen|das|diesen text|diese anfrage|dabei|damit)\b.{0,25}\bnicht\b"
    r".{0,15}(?:helfen|umschreiben|umformulieren|erfüllen|bearbeiten)",
    r"\bals (?:eine? )?(?:ki|sprachmodell|künstliche intelligenz)\b",
    # Chinese, Japanese
    r"(?:抱歉|对不起).{0,8}(?:无法|不能)(?:帮|提供|改写|满足|协助|回答|完成)",
    r"我(?:无法|不能)(?:帮助|提供|改写|满足|协助)|作为.{0,6}(?:AI|人工智能|语言模型)",
    r"(?:申し訳|すみません|ごめんなさい).{0,30}(?:できません|できかねます)|(?:AI|言語モデル)として",
    # Arabic, Hebrew
    r"(?:لا أستطيع|لا يمكنني)\s+(?:مساعد|المساعدة|إعادة|تقديم|تلبية)",
    r"(?:كنموذج|بصفتي)\s+(?:لغ|نموذج|ذكاء)",
    r"(?:אני לא יכול|איני יכול|אינני יכול)ה?\s+(?:לעזור לך|לסייע|לנסח|לספק)|כמודל שפה",
    # Hindi, Hinglish
    r"(?:मैं|हम).{0,30}(?:मदद|सहायता|अनुरोध).{0,15}नहीं (?:कर|दे)|एक (?:एआई|भाषा मॉडल)",
    r"\b(?:main|mai|mein)\b.{0,30}\b(?:madad|help|assist|rewrite)\b.{0,10}\bnahi",
    # Ukrainian, Russian, Tatar
    r"\bя не можу (?:допомогти з|переписати|виконати|надати)",
    r"\bя не (?:могу|смогу) (?:помочь с|переписать|выполнить|предоставить)",
    r"\b(?:як|как) (?:ші|ии|мовна модель|языковая модель|штучний|искусственный интеллект)\b",
    r"\bмин.{0,30}(?:ярдәм итә|яза) алмыйм",
    # Amharic
    r"(?:ይቅርታ|አዝናለሁ).{0,40}(?:አልችልም|አይቻለኝም)",
)
"""How assistants decline, language by language; ordinary apologies do not match."""

_REFUSAL = re.compile("|".join(_REFUSALS), re.IGNORECASE)
_BULLET = re.compile(r"^(?:[-*•]\s+|\d{1,2}[.)]\s+)")
_LABEL = re.compile(
    r"^(?:output|answer|rewritten(?: text)?|result|polite version)\s*[:：]\s*", re.I
)

QUOTES = (
    *(('"', '"'), ("«", "»"), ("“", "”"), ("„", "“"), ("„", "”")),
    *(("「", "」"), ("『", "』"), ("'", "'"), ("‘", "’"), ("⟦", "⟧"), ("⟪", "⟫")),
)
"""Pairs of marks that models put around an answer."""


def is_refusal(answer: str, text: str) -> bool:
    """Whether a model declined; not if the text that was to be rewritten says such a thing, too."""
    return bool(_REFUSAL.search(answer)) and not _REFUSAL.search(text)


def read_answer(answer: str, text: str, labels: Sequence[str]) -> str | None:
    """The rewrite in a model's answer; see `first_line`.

    Returns:
        None if nothing is left or the model declined.
    """
    rewrite = first_line(answer, text, labels)
    return None if rewrite is None or is_refusal(rewrite, text) else rewrite


def first_line(answer: str, text: str, labels: Sequence[str]) -> str | None:
    """What a model's answer says first, be it a rewrite or a refusal.

    Args:
        answer: What the model said.
        text: The text that was to be rewritten. What it has itself at its ends, such as quotation
            marks, a number or a list's dash, is not taken from the answer.
        labels: Words that may stand before the rewrite, with a colon.

    Returns:
        The first line that is no announcement, without label, list mark and quotation marks; None
        if nothing is left.
    """
    for line in answer.splitlines():
        rewrite = _bare(line.strip(), text.strip(), labels)
        announces = rewrite.endswith((":", "：")) and not text.rstrip().endswith((":", "："))
        if rewrite and not announces:
            return rewrite
    return None


def _bare(line: str, text: str, labels: Sequence[str]) -> str:
    """A line without what models wrap around an answer."""
    named = re.compile(rf"^(?:{'|'.join(map(re.escape, labels))})\s*[:：]\s*", re.IGNORECASE)
    for wrapping in (_BULLET, named, _LABEL):
        if not wrapping.match(text):
            line = wrapping.sub("", line, count=1)
    if not text.startswith("**") and line.startswith("**") and line.endswith("**"):
        line = line[2:-2].strip()
    for opening, closing in QUOTES:
        if text.startswith(opening) and text.endswith(closing):
            continue
        if len(line) > 1 and line.startswith(opening) and (end := line.rfind(closing)) > 0:
            return line[1:end].strip()
    return line
