"""Reports on every autoencoder of a folder, and writes the reports beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from civilly.data.files import write_bytes
from civilly.data.values import as_json
from civilly.engines.residual import open_subject
from civilly.errors import ModelError
from civilly.interpret.report import Report, as_markdown, report_on
from civilly.model.sparse.layouts import CONFIG, LENS_WEIGHTS, NPZ, PARAMS
from civilly.model.sparse.releases import open_sae

REPORT_JSON, REPORT_PAGE = "report.json", "report.md"


def report_folder(
    name: str,
    model: str,
    texts: Mapping[str, Sequence[str]],
    progress: Callable[[str], None],
) -> list[Report]:
    """Measures an autoencoder, or all of a run folder, on held-out texts of every language.

    Args:
        name: As `civilly.model.sparse.releases.open_sae` takes it, or a run folder of ``civilly
            train sae``, into which ``report.json`` and ``report.md`` are written.
        model: As `open_subject` takes it.
        texts: That none of them was trained on, by language.
        progress: Is told how it goes.

    Raises:
        ModelError: If there is no autoencoder, it does not fit the model, or there is no text.
    """
    run = Path(name)
    names = sorted(map(str, run.glob("layer_*"))) if _is_run(run) else [name]
    saes = [open_sae(each) for each in names]
    subject = open_subject(model)
    for sae in saes:
        subject.layer_of(sae)
    found = {lang: list(each) for lang, each in texts.items() if each}
    if not found:
        raise ModelError("There is no held-out text to report on.", mend="check --data")
    reports = [report_on(sae, subject, found, progress) for sae in saes]
    if _is_run(run):
        listed = [report.as_json() for report in reports]
        write_bytes(run / REPORT_JSON, (as_json(listed) + "\n").encode())
        write_bytes(run / REPORT_PAGE, "\n".join(map(as_markdown, reports)).encode())
    return reports


def _is_run(folder: Path) -> bool:
    single = any((folder / file).is_file() for file in (PARAMS, NPZ, LENS_WEIGHTS))
    return folder.is_dir() and not single and any(folder.glob(f"layer_*/{CONFIG}"))
