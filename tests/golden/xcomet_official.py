"""Writes ``xcomet.json``: what the official packages say of the tiny checkpoint.

Run it where ``unbabel-comet==2.2.7`` and ``transformers==4.35.2`` are installed (not with Civilly,
which needs newer ones), on the models of ``tests/tiny_scorers.py``:

    python tests/tiny_scorers.py models
    python tests/golden/xcomet_official.py models
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import comet.encoders
import torch
from comet.encoders.bert import BERTEncoder
from comet.models.multitask.xcomet_metric import XCOMETMetric
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel, AutoTokenizer

YOU = "You people never read the article before you comment."
FOOLS = "You damn fools never read the bloody article before you comment!"
FOX = "The quick brown fox jumps over the lazy dog, 0123456789 times!"
ARABIC = "أعد صياغة النص المسيء بأدب مع الحفاظ على المعنى."
RUSSIAN = "Этот человек опять ничего не понял, почитай сначала статью."
CHINESE = "把粗鲁的句子改写成文明的句子，保留原意。"
ROWS = (  # src, mt, ref
    (FOOLS, YOU, YOU),
    (YOU, YOU, YOU),
    (RUSSIAN, "Этот человек не понял", "Этот человек опять не понял, почитай"),
    (CHINESE, "原意。", "把句子改写"),
    (ARABIC, "", ARABIC),
    (FOX, FOOLS, FOX),
    ("", "You people", "You"),
    ("ＡＢＣ ﬁ you  people\n", "ABC fi you people", "ＡＢＣ you"),
    ("brown fox 😀 comment. ", "brown fox comment.", "the fox"),
    ("[SEP] the fox", "the [PAD] fox", "fox"),
    (" ".join([FOX] * 30), " ".join([YOU] * 80), " ".join([FOOLS] * 30)),
    (" ".join([FOX] * 12), " ".join([YOU, RUSSIAN] * 10), " ".join([FOOLS] * 60)),
    (FOOLS, "never never never", YOU),
)
FORMS = ("src_scores", "ref_scores", "unified_scores")


class Deberta(BERTEncoder):
    """The encoder that XCOMET-lite registers with unbabel-comet."""

    def __init__(self, name, load_pretrained_weights=True, local_files_only=False):
        torch.nn.Module.__init__(self)
        self.tokenizer = AutoTokenizer.from_pretrained(name)
        self.model = AutoModel.from_config(AutoConfig.from_pretrained(name))

    @classmethod
    def from_pretrained(cls, *arguments):
        return cls(*arguments)

    def forward(self, input_ids, attention_mask, token_type_ids=None, **_):
        out = self.model(input_ids, attention_mask, token_type_ids, output_hidden_states=True)
        return {"all_layers": out.hidden_states, "attention_mask": attention_mask}


def judged(model, **sample):
    with torch.no_grad():
        prediction = model.predict_step(model.prepare_sample([sample], stage="predict"))
    found = prediction.metadata
    return {
        "score": prediction.scores.item(),
        "sentence_scores": [found[form].item() for form in FORMS if form in found],
        "mqm": found.mqm_scores.item(),
        "spans": [[s["start"], s["end"], s["severity"]] for s in found.error_spans[0]],
    }


def main(models: Path) -> None:
    comet.encoders.str2encoder["DeBERTa"] = Deberta
    model = XCOMETMetric(
        encoder_model="DeBERTa", pretrained_model=str(models / "mdeberta"), word_layer=8,
        validation_data=[], hidden_sizes=(3072, 1024), load_pretrained_weights=False,
        layer_transformation="softmax",
    ).eval()  # fmt: skip
    model.load_state_dict(load_file(models / "xcomet" / "model.safetensors"), strict=True)
    cases = []
    for src, mt, ref in ROWS:
        ids = model.encoder.tokenizer(mt, truncation=True, max_length=508)["input_ids"]
        cases.append(
            {"src": src, "mt": mt, "ref": ref, "ids": ids,
             "with_reference": judged(model, src=src, mt=mt, ref=ref),
             "without_reference": judged(model, src=src, mt=mt)}
        )  # fmt: skip
    target = Path(__file__).with_name("xcomet.json")
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    target.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
