"""Audits a run: looks at every checkpoint, and says where reward and referees part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from civilly.data.recipe_table import checked
from civilly.errors import DataError, MissingExtraError
from civilly.model.adapter import change_file
from civilly.train.audit.checkpoints import checkpoints, put_in
from civilly.train.audit.look import Observer, Panel
from civilly.train.audit.parting import partings
from civilly.train.audit.recipe import AuditSettings
from civilly.train.audit.referees import open_referees
from civilly.train.audit.report import Report, write_report
from civilly.train.audit.store import LookStore, seen_with
from civilly.train.audit.texts import fixed_pairs
from civilly.train.recipe import AdapterSettings, BaseSettings
from civilly.train.rewards.mixture import Combination, Rewards, RewardSettings
from civilly.train.run_folder import CONFIG_FILE, read_json

if TYPE_CHECKING:
    from civilly.train.base_model import TrainableModel

PRECISION = "computed_in"
PRODUCT: Combination = "product"


def audit_run(
    run: Path,
    data: Path,
    content: Mapping[str, Any] | None = None,
    *,
    embedded: Path | None = None,
    progress: Callable[[str], object] = lambda line: None,
) -> Report:
    """Looks at all checkpoints of a run and writes ``audit/`` into its folder.

    Args:
        run: The run folder of a training by a recipe, with checkpoints.
        data: The data folder, whose held-out pairs are rewritten.
        content: Tables of a recipe whose ``[audit]`` counts instead of the run's own.
        embedded: Folder of the embedded model in Hugging Face form; default: the shipped one.
        progress: Is told what is done, a line each.

    Returns:
        What the page says.

    Raises:
        MissingExtraError: If torch, transformers, peft or Jinja are not installed.
        DataError: If it is no run folder, has no checkpoints, or no referee is named.
        ModelError: If the model or weights cannot be loaded.
    """
    recipe = read_json(run / CONFIG_FILE).get("recipe")
    if not recipe:
        raise DataError(
            f"{run} is no run folder: it has no {CONFIG_FILE} with a recipe.",
            mend="the folder that `civilly train … -o` wrote",
        )
    given = (content if content is not None else recipe).get("audit", {})
    settings = checked(AuditSettings, given, "the table [audit]")
    if not settings.referees:
        raise DataError(
            "No referee is named.",
            mend="a table [audit.referees.NAME] with a metric, in a file for --recipe",
        )
    rewards, combine = settings.rewards, PRODUCT
    if recipe.get("rewards"):
        rewards = [RewardSettings.model_validate(each) for each in recipe["rewards"]]
        combine = recipe["combine"]
    found = checkpoints(run)
    pairs = fixed_pairs(settings, data)
    store = LookStore(run, seen_with(settings, rewards, combine, pairs))
    trainable = _model(recipe, run, embedded)
    from civilly.train.prefer.token_logprobs import Start

    start = Start(trainable.model)
    panel = Panel(pairs, Rewards(rewards, combine), open_referees(settings.referees))
    observer = Observer(trainable, start, panel)
    looks = []
    for step, folder in {0: None, **found}.items():
        weights = change_file(folder) if folder else None
        look = store.get(step, weights)
        if look is None:
            if folder:
                put_in(trainable, folder)
            look = observer.look(step)
            store.put(look, weights)
        looks.append(look)
        progress(f"step {step}: {len(looks)} of {len(found) + 1}")
    langs = [pair.lang for pair in pairs]
    verdicts = partings(looks, langs, settings.confidence, settings.checkpoints)
    report = Report(run.name, settings, pairs, looks, verdicts)
    write_report(report, run)
    return report


def _model(recipe: Mapping[str, Any], run: Path, embedded: Path | None) -> TrainableModel:
    """The model that a run trained, as it was at the start."""
    try:
        import peft  # noqa: F401 - asked for before anything is computed
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("An audit", "train", str(error.name)) from error
    from civilly.train.base_model import load_trainable

    base = BaseSettings.model_validate(recipe["base"])
    adapter = AdapterSettings.model_validate(recipe["adapter"])
    noted = read_json(run / CONFIG_FILE).get(PRECISION)
    return load_trainable(base, adapter, noted or "fp32", embedded)
