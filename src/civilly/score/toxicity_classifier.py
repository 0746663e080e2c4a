"""P(neutral) of a text by a sequence classifier, as the shared tasks' STA takes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from civilly.engines.requests import well_formed
from civilly.errors import ModelError
from civilly.score.models import MAX_LENGTH, ModelSource, Runtime, batches, opening


class ToxicityClassifier:
    """A two-label sequence classifier whose label 0 is neutral and label 1 toxic.

    Args:
        source: The classifier.
        tokenizer: Where its tokenizer is.
        runtime: Device, number format and batch size.

    Raises:
        MissingExtraError: If torch or transformers is not installed.
        ModelError: If it cannot be opened, lacks weights or has another number of labels.
    """

    def __init__(self, source: ModelSource, tokenizer: ModelSource, runtime: Runtime) -> None:
        self._batch = runtime.batch
        with opening("STA", tokenizer):
            from transformers import AutoTokenizer

            self._tokenizer: Any = AutoTokenizer.from_pretrained(tokenizer.name, **tokenizer.where)
        with opening("STA", source):
            self._torch, self._device, dtype = runtime.resolve()
            self._model = self._open(source, dtype).eval().to(self._device)

    def _open(self, source: ModelSource, dtype: Any) -> Any:
        from transformers import AutoModelForSequenceClassification

        model, report = AutoModelForSequenceClassification.from_pretrained(
            source.name, dtype=dtype, output_loading_info=True, **source.where
        )
        missing = sorted(report["missing_keys"])
        if missing:  # transformers would fill them with random numbers
            raise ModelError(
                f"The classifier {source.name!r} lacks {', '.join(missing)}.",
                mend="name a whole sequence classifier with --option sta=",
            )
        if model.config.num_labels != 2:
            raise ModelError(
                f"The classifier {source.name!r} has {model.config.num_labels} labels.",
                allowed="2: neutral, toxic",
                mend="name another with --option sta=",
            )
        return model

    def p_neutral(self, texts: Sequence[str]) -> list[float]:
        """``softmax(logits)[0]`` of each text, in [0, 1], in order.

        Equal texts run once and get the very same number, so that a tie is a tie.
        """
        unique = list(dict.fromkeys(map(well_formed, texts)))
        if not unique:
            return []
        encoded = self._tokenizer(unique, truncation=True, max_length=MAX_LENGTH)["input_ids"]
        found: dict[str, float] = {}
        for rows in batches([len(ids) for ids in encoded], self._batch, "STA"):
            padded = self._tokenizer.pad(
                {"input_ids": [encoded[row] for row in rows]}, return_tensors="pt"
            ).to(self._device)
            with self._torch.inference_mode():
                logits = self._model(**padded).logits.float()
            probabilities = logits.softmax(dim=-1)[:, 0].tolist()
            found.update(zip((unique[row] for row in rows), probabilities, strict=True))
        return [found[well_formed(text)] for text in texts]
