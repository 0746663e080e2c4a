"""The pages of docs/benchmarks/, which assemble.py puts together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Part:
    """One result on a page.

    Attributes:
        file: Its Markdown, from `RESULTS`.
        command: What wrote it; empty for what people or models wrote by hand.
        heading: Its heading, where a page has several.
    """

    file: str
    command: str = ""
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of docs/benchmarks/.

    Attributes:
        name: Its file's name without suffix.
        title: Its title, by which other texts cite it.
        says: What a reader finds there, for the first page.
        data: What was measured on, and how many.
        parts: Its results.
        optional: Whether there is no page while there are no results.
    """

    name: str
    title: str
    says: str
    data: str
    parts: tuple[Part, ...]
    optional: bool = False

    @property
    def there(self) -> bool:
        """Whether there is such a page."""
        return not self.optional or all((RESULTS / part.file).exists() for part in self.parts)


_ALL = (
    Page(
        "reading",
        "Outputs read by eye",
        "labels of every fault, by language and by kind, with examples",
        "Official inputs of TextDetox 2025, drawn at random, 15 languages; 900 outputs twice, "
        "and 300 of four systems. Readers: language models, one reading each.",
        (Part("../notes/reading.md"),),
    ),
    Page(
        "candidates",
        "Candidates, read",
        "what readers say of outputs by kind: the default, sampled, filled, cut, people's, faults",
        "Texts of training sets, never official inputs (`recipes/readings`). Readers: language "
        "models who did not see whose output it is; a tenth was read by two.",
        (Part("readings.md", "benchmarks/blind_reading.py report"),),
    ),
    Page(
        "reader",
        "The reader",
        "how far the judge of rewrites agrees with readers and people, beside what chose before",
        "Readings of texts that it was not trained on, 15 languages; judgements by people of "
        "TextDetox 2024, other sentences than it was trained on.",
        (Part("reader.md", "benchmarks/reader.py"),),
    ),
    Page(
        "tricks",
        "Tricks",
        "what the suites `reading` and `embedded` say of copies, masks, cuts and polite constants",
        "Sentences of TextDetox 2024 that the reader was not trained on, nine languages.",
        (Part("tricks.md", "benchmarks/tricks.py"),),
    ),
    Page(
        "rewriting",
        "Rewriting",
        "`duplicate`, `delete` and `tuned` on held-out pairs: toxicity, chrF, similarity, fluency",
        "TextDetox 2024 dev (MultiParaDetox), the part `eval` (76–115 pairs a language), and pairs "
        "written for this project (24–34 a language). Never trained on.",
        (
            Part("rewriting_summary.md", heading="The product in short"),
            Part(
                "rewriting.md",
                "benchmarks/rewriting.py --methods duplicate delete tuned",
                "In full",
            ),
        ),
    ),
    Page(
        "leaderboard",
        "Published systems and ours",
        "systems ranked by a suite, with the shares that a reader would find good or at fault",
        "Official inputs for which outputs of other systems are public.",
        (Part("leaderboard.md", "benchmarks/leaderboard.py"),),
    ),
    Page(
        "decoding",
        "Decoding",
        "search, selection and `--strength`: quality against speed",
        "45 pairs of the part `tune`, 15 languages.",
        (Part("decoding.md", "benchmarks/decoding.py"),),
    ),
    Page(
        "infill",
        "Fill in the middle",
        "fillers, orders and prompts, on detected and on gold spans",
        "180 sentences of the part `eval`, 15 languages.",
        (
            Part("infill_detected.md", "benchmarks/infill.py", "Detected spans"),
            Part("infill_gold.md", "benchmarks/infill.py", "Gold spans"),
            Part("infill_large.md", "benchmarks/infill_large.py", "A published coder, untrained"),
        ),
    ),
    Page(
        "steering",
        "Three uses of toxic latents",
        "cutting, taking back and softening what is toxic in the stream, beside random latents, "
        "directions and a wrong layer",
        "Held-out sentences, 15 languages, the same for all.",
        (
            Part("../notes/uses_read.md", heading="Read blind"),
            Part("steering.md", "benchmarks/steering.py", "Beside the controls"),
        ),
    ),
    Page(
        "official",
        "The 9,000 official inputs",
        "how many are changed, and p(toxic) before and after, by language",
        "The test inputs of TextDetox 2025, 600 a language.",
        (
            Part("official.md", "benchmarks/official.py", "`tuned`"),
            Part("official_infill.md", "benchmarks/official.py --method infill", "`infill`"),
        ),
    ),
    Page(
        "training",
        "Training",
        "steps per second before and after, each mend by itself, and where a step spends its time",
        "Pairs of the recipe, the same few steps of each variant, beside other work.",
        (Part("training.md", "benchmarks/training.py"),),
    ),
    Page(
        "synthetic_filters",
        "Filters of synthetic data",
        "what the filters take of a published set; thresholds swept: quality by share kept",
        "`synthetic_pseudoparadetox_en` (Llama 3 8B on toxic sides of ParaDetox): for measuring "
        "only. Readings of texts that the judge was not trained on, 15 languages.",
        (
            Part(
                "synthetic_filters.md", "benchmarks/synthetic_filters.py --texts 150 --readings 150"
            ),
        ),
        optional=True,
    ),
    Page(
        "synthetic_training",
        "Training on synthetic data",
        "trainings on as many unfiltered, filtered and people's pairs, same steps, held out",
        "Trained on 400 English pairs each; judged on pairs of TextDetox 2024 dev that no training "
        "saw, parts `eval` and `tune`.",
        (Part("synthetic_training.md", "benchmarks/synthetic_training.py --seeds 1"),),
        optional=True,
    ),
    Page(
        "columns",
        "Columns",
        "an adapter for each language beside the shared one: reader, chrF, p(toxic), cost, verdict",
        "Texts that no training saw, 25 a language, and as many others that the router chose by.",
        (Part("columns.md", "benchmarks/columns.py report"),),
        optional=True,
    ),
    Page(
        "scoring",
        "Scoring",
        "how far the suite `embedded` agrees with people, and what fools it; what is published",
        "People's judgements: TextDetox 2024 (out of fold), RUSSE-2022, EMNLP-2021.",
        (Part("scoring.md", "benchmarks/scoring.py"),),
    ),
    Page(
        "detection",
        "Detection",
        "language identification; the detector in context beside the n-gram model",
        "Official inputs, clean sentences, labelled sets; no row was trained on.",
        (Part("detection.md", "benchmarks/detection.py"),),
    ),
    Page(
        "preference",
        "Learning from preferences",
        "DPO and KTO from readings, read blind beside their start; a reward that is gamed",
        "Held-out readings and pairs, fixed texts of an audit, official inputs read blind.",
        (
            Part("preference.md", heading="What learning from readers' preferences brought"),
            Part("gaming.md", heading="A reward that is gamed"),
        ),
    ),
    Page(
        "sae_spans",
        "Spans by toxic latents",
        "which words the model's own stream marks: latents, probe, random latents, wrong layer",
        "Held-out detection cases in 15 languages, spans by people (English), diffs of dev pairs.",
        (Part("sae_spans.md", "benchmarks/sae_spans.py"),),
        optional=True,
    ),
    Page(
        "serve",
        "The service",
        "throughput and latency up to ten times too much load, idle connections, thresholds",
        "Comments of `recipes/distilled_pairs`, one a request; official inputs, clean sentences.",
        (
            Part("serve.md", "benchmarks/serve.py", "Load"),
            Part("thresholds.md", "benchmarks/thresholds.py", "Thresholds"),
        ),
    ),
    Page(
        "scale",
        "Many files, mostly civil",
        "a job on Ray whose worker and driver are killed, rows per core-second, detect first",
        "5 % official inputs of TextDetox 2025 and their like, 95 % clean sentences.",
        (
            Part("scale.md", "benchmarks/scale.py --rows 4000", "A job on Ray, with kills"),
            Part("detect_first.md", "benchmarks/detect_first.py", "Detect first"),
        ),
    ),
    Page(
        "search",
        "Sets like ours",
        "all sets ranked by how alike they are to a held-out one, and whether that predicts a gain",
        "Candidates: sets of pairs, labels and clean sentences; reference: the development set of "
        "TextDetox 2024, nine languages, which nothing here was trained on.",
        (
            Part("search.md", "benchmarks/search.py FOLDER --gains RUNS/gains.json"),
            Part("../notes/search.md", heading="How to read it"),
        ),
        optional=True,
    ),
    Page(
        "trimming",
        "The trimmed model",
        "what leaving tokens out costs",
        "Official inputs and held-out pairs.",
        (Part("trimming.md", "benchmarks/trimming.py"),),
    ),
    Page(
        "quantisation",
        "Rounding to eight bits",
        "what int8 costs, with and without smoothing",
        "297 pairs of the part `tune`.",
        (Part("quantisation.md", "benchmarks/quantisation.py"),),
    ),
    Page(
        "sweep",
        "Sweep",
        "a search over adapters and hyper-parameters of an hour, and what it cannot show",
        "Held-out pairs of the part `tune`.",
        (Part("sweep.md", "benchmarks/sweep.py"),),
    ),
    Page(
        "engines",
        "Engines",
        "CTranslate2, llama.cpp and transformers on the same model",
        "96 held-out pairs, 15 languages.",
        (Part("engines.md", "benchmarks/engines.py"),),
    ),
    Page(
        "engines_large",
        "Engines of the large model",
        "CTranslate2 and llama.cpp on the large model: speed, memory, agreement with bfloat16",
        "Held-out pairs of the nine languages that the large model knows, one adapter.",
        (
            Part("engines_large.md", "benchmarks/engines.py --large"),
            Part("../notes/engines_large.md", heading="How to read it"),
        ),
        optional=True,
    ),
    Page(
        "synthetic",
        "Synthetic data",
        "accept rates by language and filter, rows accepted and rejected, refusals found",
        "Toxic texts of training sets, never held-out or official ones; invented threads. Read by "
        "a language model.",
        (Part("synthetic.md", "benchmarks/synthetic.py"),),
        optional=True,
    ),
    Page(
        "startup",
        "Start-up and size",
        "seconds to start, megabytes to install",
        "One machine, two cores.",
        (Part("startup.md", "benchmarks/startup.py"),),
    ),
)
PAGES = tuple(page for page in _ALL if page.there)
