"""What counts as toxic in a stream: mass, taking it out, the file, and what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from civilly.errors import CivillyError, MissingExtraError, ModelError, UnknownNameError

torch = pytest.importorskip("torch")

from civilly.model.sparse.layouts import load_sae  # noqa: E402
from civilly.model.sparse.toxic import (  # noqa: E402
    WAYS,
    About,
    Toxic,
    ToxicDirection,
    ToxicLatents,
    part_of,
    require_model,
)
from civilly.model.sparse.toxic_file import (  # noqa: E402
    names_in,
    open_toxic,
    shipped_toxic,
    write_toxic,
)

GOLDEN = Path(__file__).parent / "golden" / "sae"
NUMBERS = [3, 7, 11, 20]
WHOLE = ("jumprelu", "jumprelu_centred", "standard", "batchtopk")


def streams(seed: int = 0, count: int = 400) -> Any:
    return torch.randn(count, 8, generator=torch.Generator().manual_seed(seed)) * 2


def latents_of(name: str = "jumprelu", threshold: float = 0.1) -> ToxicLatents:
    sae = load_sae(GOLDEN / name)
    count = len(NUMBERS)
    return ToxicLatents(
        About("latents", "latents", "embedded", 3, sae.width), part_of(sae, NUMBERS),
        tuple(NUMBERS), torch.arange(1.0, count + 1), torch.full((count,), threshold),
        torch.full((count,), 2.0),
    )  # fmt: skip


def direction() -> ToxicDirection:
    vector = torch.zeros(8)
    vector[2] = 1
    return ToxicDirection(About("probe", "direction", "embedded", 3), vector, 0.5, 2.0, 3.0)


@pytest.mark.parametrize("name", WHOLE)
def test_a_part_computes_what_the_whole_does(name: str) -> None:
    sae, x = load_sae(GOLDEN / name), streams()
    wanted = sae.encode(x)[:, NUMBERS]
    assert (wanted > 0).any()
    assert torch.allclose(part_of(sae, NUMBERS).encode(x), wanted, atol=1e-5)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize(("how", "strength"), [("zero", 1.0), ("zero", 2.0), ("clamp", 1.5)])
def test_the_error_term_stays(name: str, how: str, strength: float) -> None:
    """By the whole autoencoder's own encode and decode."""
    sae, toxic, x = load_sae(GOLDEN / name), latents_of(name), streams()
    before = sae.encode(x)
    after = before.clone()
    for number in NUMBERS:
        above = before[:, number] > 0.1
        other = (1 - strength) * before[:, number] if how == "zero" else -strength * 2.0
        after[:, number] = torch.where(above, other, before[:, number])
    wanted = x + sae.decode(after) - sae.decode(before)
    assert torch.allclose(toxic.removed(x, how, strength), wanted, atol=1e-4)


def test_mass_weighs_what_exceeds_its_threshold() -> None:
    toxic, x = latents_of(threshold=0.5), streams()
    latents = load_sae(GOLDEN / "jumprelu").encode(x)[:, NUMBERS]
    wanted = [
        sum(w * a for w, a in zip((1, 2, 3, 4), row, strict=True) if a > 0.5)
        for row in latents.tolist()
    ]
    assert any(wanted)
    assert toxic.mass(x).tolist() == pytest.approx(wanted, abs=1e-4)
    assert direction().mass(x).tolist() == pytest.approx(
        [max(0.0, row[2] - 0.5) / 2 for row in x.tolist()], abs=1e-5
    )


@pytest.mark.parametrize("toxic", [latents_of(), direction()], ids=["latents", "direction"])
@pytest.mark.parametrize("how", WAYS)
def test_what_is_not_toxic_stays_and_the_rest_is_gone(toxic: Toxic, how: str) -> None:
    x = streams()
    mass, out = toxic.mass(x), toxic.removed(x, how)
    civil = mass == 0
    assert civil.any()
    assert (~civil).any()
    assert torch.equal(out[civil], x[civil])
    assert not torch.equal(out[~civil], x[~civil])
    assert torch.equal(toxic.removed(x[:40].reshape(4, 10, 8), how), out[:40].reshape(4, 10, 8))
    assert toxic.removed(x.bfloat16(), how).dtype == torch.bfloat16
    if isinstance(toxic, ToxicDirection):
        assert (toxic.mass(out) < 1e-5).all()
    if how == "zero":
        assert torch.equal(toxic.removed(x, how, 0), x)
    if how == "project":
        rows = toxic.part.decoder if isinstance(toxic, ToxicLatents) else toxic.vector[None]
        assert (out[~civil] @ rows.T).abs().max() < 1e-4


@pytest.mark.parametrize("toxic", [latents_of(), direction()], ids=["latents", "direction"])
def test_the_trace_adds_up_to_the_mass(toxic: Toxic) -> None:
    x = streams()
    traces = toxic.fired(x)
    assert [sum(each.mass for each in row) for row in traces] == pytest.approx(
        toxic.mass(x).tolist(), abs=1e-4
    )
    assert all(row == sorted(row, key=lambda each: -each.mass) for row in traces)
    names = {each.name for row in traces for each in row}
    assert names <= {*NUMBERS, "probe"}


def test_a_file_comes_back(tmp_path: Path) -> None:
    path, x = tmp_path / "toxic.safetensors", streams()
    write_toxic(path, [latents_of("jumprelu_centred"), direction()])
    first = path.read_bytes()
    write_toxic(path, [latents_of("jumprelu_centred"), direction()])
    assert path.read_bytes() == first
    assert names_in(tmp_path) == ["latents", "probe"]
    for name, before in (("latents", latents_of("jumprelu_centred")), ("probe", direction())):
        after = open_toxic(tmp_path, name)
        assert after.about == before.about
        assert torch.equal(after.mass(x), before.mass(x))
        assert torch.equal(after.removed(x, "clamp"), before.removed(x, "clamp"))


def test_what_does_not_fit_is_said() -> None:
    toxic = latents_of()
    with pytest.raises(ModelError, match=r"width 8, not 9.*made for \(embedded\)"):
        toxic.mass(torch.zeros(2, 9))
    with pytest.raises(ModelError, match="0 to 23"):
        part_of(load_sae(GOLDEN / "jumprelu"), [2, 24])
    with pytest.raises(ModelError, match="save_inference_model"):
        part_of(load_sae(GOLDEN / "topk"), [2])
    with pytest.raises(UnknownNameError, match="did you mean 'zero'"):
        toxic.removed(streams(), "zeros")
    for strength in (-1.0, float("nan"), float("inf"), True):
        with pytest.raises(CivillyError, match="from 0 on"):
            toxic.removed(streams(), "zero", strength)
    require_model(toxic, "embedded+tuned", 8)
    for model, width in (("google/gemma-2-2b", 8), ("embedded", 640)):
        with pytest.raises(ModelError, match="made for 'embedded'"):
            require_model(toxic, model, width)


def test_files_that_are_none_are_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no"):
        open_toxic(tmp_path / "gone")
    path = tmp_path / "toxic.safetensors"
    path.write_bytes(b"{}")
    with pytest.raises(ModelError, match="cannot be read"):
        open_toxic(path)
    with pytest.raises(ModelError, match="not the autoencoder's"):
        from civilly.model.sparse.layouts import save_sae

        save_sae(load_sae(GOLDEN / "jumprelu"), tmp_path / "sae")
        open_toxic(tmp_path / "sae" / "params.safetensors")
    write_toxic(path, [direction()])
    with pytest.raises(UnknownNameError, match="did you mean 'probe'"):
        open_toxic(path, "prob")


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_toxic(tmp_path / "toxic.safetensors", [direction()])
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"civilly\[sae\]"):
        open_toxic(tmp_path)


def test_what_ships_can_be_read() -> None:
    try:
        place = shipped_toxic()
    except ModelError:
        pytest.skip("none ships yet")
    assert names_in(place)[0] == "latents"
    for name in names_in(place):
        assert open_toxic(None, name).about.model == "embedded"
