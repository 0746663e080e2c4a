"""How each family of models is asked to fill a hole: prompts, stops, and care at the boundary.

Sources: the model cards and tokenizers of the families; for Code Llama also its
``infilling_prompt_tokens``, for Codestral ``encode_fim`` of mistral-common.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from civilly.errors import CivillyError, UnknownNameError
from civilly.languages import language
from civilly.methods.delete import BLANKS
from civilly.methods.holes import Gap
from civilly.types import Prompt, Segment


class Slot(Enum):
    """A place in a layout where text goes; every other piece is a token of the model."""

    PREFIX = "P"
    SUFFIX = "S"
    LANGUAGE = "English name of the language, and a line break"
    SHOWN = "<unused1> and what was cut out, where that is shown"


Layout = tuple[str | Slot, ...]
P, S = Slot.PREFIX, Slot.SUFFIX


@dataclass(frozen=True, slots=True)
class FimFormat:
    """The format of one family.

    Attributes:
        name: What the user types.
        models: What it is for.
        licence: Under which terms those models are published.
        layouts: Pieces of a prompt by order: ``psm`` (prefix, suffix, middle) or ``spm`` (suffix,
            prefix, middle). The first is what the family saw most.
        stop: What ends a middle, most usual first: tokens between texts, and those for holes.
            The end of a text (the tokenizer's) does so in any case.
        begin: The token that a text begins with. Tokenizers and servers put it there themselves,
            so it is in no prompt.
        leading_space: Whether the prefix begins with the space that SentencePiece puts before a
            text; it is written here because only the prefix has it, the suffix has not.
        blank_in_prefix: Whether blanks at the prefix's end stay there. Else the middle begins with
            them, as tokens of words do.
        blank_in_suffix: Whether blanks at the suffix's beginning stay there.
        others: Further control tokens of the family, of its chats and training data.
    """

    name: str
    models: str
    licence: str
    layouts: dict[str, Layout]
    stop: tuple[str, ...]
    begin: str | None = None
    leading_space: bool = False
    blank_in_prefix: bool = False
    blank_in_suffix: bool = True
    others: tuple[str, ...] = ()

    @property
    def control(self) -> tuple[str, ...]:
        """Every control token of the family, once: no text spells one, and no middle holds one."""
        pieces = [piece for layout in self.layouts.values() for piece in layout]
        placed = [piece for piece in pieces if isinstance(piece, str)]
        begin = [self.begin] if self.begin else []
        return tuple(dict.fromkeys([*begin, *self.stop, *placed, *self.others]))

    def layout(self, order: str | None = None) -> Layout:
        """The pieces in an order; None is the family's first.

        Raises:
            CivillyError: If the family has no such order.
        """
        if order is None:
            return next(iter(self.layouts.values()))
        if order not in self.layouts:
            raise CivillyError(
                f"The family {self.name!r} has no prompts in the order {order!r}.",
                allowed=", ".join(self.layouts),
            )
        return self.layouts[order]


def _tokens(begin: str, hole: str, end: str) -> dict[str, Layout]:
    return {"psm": (begin, P, hole, S, end)}


_BIGCODE = {
    **_tokens("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    "spm": ("<fim_prefix>", "<fim_suffix>", S, "<fim_middle>", P),
}
_BIGCODE_HOLE = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<fim_pad>")
_BIGCODE_DATA = (
    "<issue_start>", "<issue_comment>", "<issue_closed>", "<jupyter_start>", "<jupyter_text>",
    "<jupyter_code>", "<jupyter_output>", "<empty_output>",
)  # fmt: skip
_STARCODER_2_DATA = (
    "<jupyter_script>", "<code_to_intermediate>", "<intermediate_to_code>", "<pr>", "<pr_status>",
    "<pr_is_merged>", "<pr_base>", "<pr_file>", "<pr_base_code>", "<pr_diff>", "<pr_diff_hunk>",
    "<pr_comment>", "<pr_event_id>", "<pr_review>", "<pr_review_state>", "<pr_review_comment>",
    "<pr_in_reply_to_review_id>", "<pr_in_reply_to_comment_id>", "<pr_diff_hunk_comment_line>",
    "<NAME>", "<EMAIL>", "<KEY>", "<PASSWORD>",
)  # fmt: skip
_PIPED = _tokens("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
_PIPED_STOP = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
_QWEN_OTHERS = (
    "<|im_start|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>",
    "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>", "<tool_call>", "</tool_call>", "<tool_response>",
    "</tool_response>", "<think>", "</think>",
)  # fmt: skip
_GEMMA_OTHERS = (
    "<pad>", "<eos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>", "[multimodal]",
    *(f"<unused{number}>" for number in range(99)),
)  # fmt: skip
_LLAMA_OTHERS = ("<unk>", "<FILL_ME>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>")
_MISTRAL_OTHERS = (
    "<unk>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]",
    "[TOOL_RESULTS]", "[/TOOL_RESULTS]",
)  # fmt: skip

_ALL = (
    FimFormat(
        name="civilly",
        models="the embedded model with our adapter",
        licence="Gemma terms (base model); Apache-2.0 (adapter)",
        layouts={
            "psm": ("<unused0>", Slot.LANGUAGE, P, Slot.SHOWN, "<unused3>", S, "<unused4>"),
            "spm": ("<unused0>", Slot.LANGUAGE, Slot.SHOWN, "<unused3>", S, "<unused4>", P),
        },
        stop=(),
        begin="<bos>",
        blank_in_suffix=False,
        others=_GEMMA_OTHERS,
    ),
    FimFormat(
        name="starcoder",
        models="bigcode/starcoder, starcoderbase (1b to 15b), tiny_starcoder_py",
        licence="bigcode-openrail-m",
        layouts=_BIGCODE,
        stop=("<|endoftext|>", "<filename>", *_BIGCODE_HOLE, "<reponame>", "<gh_stars>"),
        others=(*_BIGCODE_DATA, "<commit_before>", "<commit_msg>", "<commit_after>"),
    ),
    FimFormat(
        name="starcoder2",
        models="bigcode/starcoder2-3b, -7b, -15b",
        licence="bigcode-openrail-m",
        layouts=_BIGCODE,
        stop=("<|endoftext|>", "<file_sep>", *_BIGCODE_HOLE, "<repo_name>"),
        others=(*_BIGCODE_DATA, *_STARCODER_2_DATA),
    ),
    FimFormat(
        name="codellama",
        models="codellama/CodeLlama-7b-hf, -13b-hf and their Instruct versions",
        licence="Llama 2",
        layouts={
            "psm": ("▁<PRE>", P, "▁<SUF>", S, "▁<MID>"),
            "spm": ("▁<PRE>", "▁<SUF>", S, "▁<MID>", P),
        },
        stop=("▁<EOT>", "</s>", "▁<PRE>", "▁<SUF>", "▁<MID>"),
        begin="<s>",
        leading_space=True,
        others=_LLAMA_OTHERS,
    ),
    FimFormat(
        name="deepseek-coder",
        models="deepseek-ai/deepseek-coder-1.3b-base, -6.7b-base, -33b-base",
        licence="DeepSeek model licence",
        layouts=_tokens("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
        stop=("<｜end▁of▁sentence｜>", "<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
        begin="<｜begin▁of▁sentence｜>",
        others=("<|User|>", "<|Assistant|>", "<|EOT|>", "<pad>"),
    ),
    FimFormat(
        name="codestral",
        models="mistralai/Codestral-22B-v0.1 and the hosted codestral",
        licence="Mistral AI Non-Production License",
        layouts={"spm": ("[SUFFIX]", S, "[PREFIX]", P)},
        stop=("</s>", "[SUFFIX]", "[PREFIX]", "[MIDDLE]"),
        begin="<s>",
        leading_space=True,
        others=_MISTRAL_OTHERS,
    ),
    FimFormat(
        name="qwen2.5-coder",
        models="Qwen/Qwen2.5-Coder-0.5B, -1.5B, -3B, -7B, -14B, -32B",
        licence="Apache-2.0; the 3B: Qwen Research",
        layouts=_PIPED,
        stop=(
            "<|endoftext|>",
            "<|file_sep|>",
            "<|im_end|>",
            *_PIPED_STOP,
            "<|fim_pad|>",
            "<|repo_name|>",
        ),
        others=_QWEN_OTHERS,
    ),
    FimFormat(
        name="codegemma",
        models="google/codegemma-2b, -1.1-2b, -7b",
        licence="Gemma terms",
        layouts=_PIPED,
        stop=("<|file_separator|>", "<eos>", *_PIPED_STOP),
        begin="<bos>",
        blank_in_prefix=True,
        others=_GEMMA_OTHERS,
    ),
)

FORMATS: dict[str, FimFormat] = {each.name: each for each in _ALL}
"""All families by name."""

_NAMES = (
    (r"starcoder-?_?2", "starcoder2"),
    (r"starcoder", "starcoder"),
    (r"code-?_?llama", "codellama"),
    (r"deepseek-?_?coder", "deepseek-coder"),
    (r"codestral", "codestral"),
    (r"qwen-?_?(2\.5|3)-?_?coder", "qwen2.5-coder"),
    (r"code-?_?gemma", "codegemma"),
    (r"civilly", "civilly"),
)
"""How the families' models are called, the more special names first."""

_WITHOUT = r"code-?_?llama.*(34b|70b|python)|mamba-?_?codestral|codestral-?_?mamba"
"""Models that are called like a family and never saw a hole."""


def format_of(name: str) -> FimFormat:
    """The family of that name.

    Raises:
        UnknownNameError: If there is none.
    """
    if name not in FORMATS:
        raise UnknownNameError("family of fill-in-the-middle models", name, FORMATS)
    return FORMATS[name]


def family_of(model_name: str) -> FimFormat:
    """The family that a model's name tells: a hub id, a folder, or what a server calls it.

    Args:
        model_name: The name, or an engine's specification that ends with it.

    Raises:
        CivillyError: If the name tells none, or a model that cannot fill holes.
    """
    whole = model_name.lower().rpartition("#")[2].partition("?")[0].rstrip("/")
    for name in (whole.rpartition("/")[2], whole):  # folders above may be called anything
        if re.search(_WITHOUT, name):
            raise CivillyError(
                f"The model {model_name!r} was not trained to fill holes.",
                mend="Code Llama 7B or 13B, or Codestral-22B",
            )
        for pattern, family in _NAMES:
            if re.search(pattern, name):
                return FORMATS[family]
    raise CivillyError(
        f"The name {model_name!r} does not tell the model's fill-in-the-middle format.",
        allowed=", ".join(FORMATS),
        mend="give the option family=…",
    )


@dataclass(frozen=True, slots=True)
class Sides:
    """A hole's two sides as a prompt shows them.

    Attributes:
        prefix: What the prompt shows of the text before the hole.
        left: Blanks at its end that the prompt leaves to the middle.
        right: Blanks at the beginning of the text after it that the prompt leaves to the middle.
        suffix: What the prompt shows of the text after the hole.
    """

    prefix: str
    left: str
    right: str
    suffix: str


def sides_of(form: FimFormat, gap: Gap) -> Sides:
    """Divides a gap's surroundings; ``prefix + left`` and ``right + suffix`` are the text."""
    prefix = gap.before if form.blank_in_prefix else gap.before.rstrip(BLANKS)
    suffix = gap.after if form.blank_in_suffix else gap.after.lstrip(BLANKS)
    right = gap.after[: len(gap.after) - len(suffix)]
    return Sides(prefix, gap.before[len(prefix) :], right, suffix)


def fim_prompt(
    form: FimFormat, gap: Gap, order: str | None = None, *, show_cut: bool = False
) -> Prompt:
    """Asks for what belongs into a hole.

    Only the format's own tokens are special segments, so the user's text can spell none.

    Args:
        form: The family's format.
        gap: The hole.
        order: ``psm`` or ``spm``; None is the family's first.
        show_cut: Whether the model sees what was cut out; only in the format ``civilly``.

    Raises:
        CivillyError: If the family has no such order, or cannot show what was cut out.
    """
    layout = form.layout(order)
    if show_cut and Slot.SHOWN not in layout:
        raise CivillyError(
            f"Prompts of the family {form.name!r} cannot show what was cut out.",
            allowed="cut=hidden",
        )
    sides = sides_of(form, gap)
    lead = " " if form.leading_space and sides.prefix else ""
    filled = {
        Slot.PREFIX: (Segment(lead + sides.prefix),),
        Slot.SUFFIX: (Segment(sides.suffix),),
        Slot.LANGUAGE: (Segment(f"{language(gap.lang).name}\n"),),
        Slot.SHOWN: (Segment("<unused1>", special=True), Segment(gap.cut)) if show_cut else (),
    }
    segments: list[Segment] = []
    for piece in layout:
        segments += filled[piece] if isinstance(piece, Slot) else (Segment(piece, special=True),)
    return Prompt(tuple(segments), max_new_tokens=longest_middle(gap), control=form.control)


def longest_middle(gap: Gap) -> int:
    """The most tokens of a middle: about twice the hole's, at two bytes per token, and a few."""
    return 16 + len(gap.cut.encode("utf-8", "replace"))
