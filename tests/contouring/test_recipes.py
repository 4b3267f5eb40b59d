"""Recipes: read strictly, applied in order, every derived structure with what was done to it."""

from pathlib import Path

import numpy as np
import pytest

from contouring.coarse import drawn_on_few_voxels
from contouring.errors import RecipeRefused
from contouring.names import lookup
from contouring.recipes import Recipe, apply_recipe, load_recipe, shipped_recipes
from contouring.volumes import volume_cc
from imaging.geometry import Grid
from imaging.volume import Region

GRID = Grid(
    np.arange(23)[:, None] * np.array([0, 0, 2.5]) + [-20.0, 11.0, 100.0],
    np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), (0.9, 1.1), 61, 67, "1.2.3",
)  # fmt: skip


def box(z: slice, y: slice, x: slice) -> Region:
    mask = np.zeros(GRID.shape, dtype=np.bool_)
    mask[z, y, x] = True
    return Region.from_mask(mask)


BODY = box(slice(0, 23), slice(4, 57), slice(3, 64))
ORGAN = box(slice(4, 19), slice(12, 45), slice(14, 50))
TARGET = box(slice(8, 15), slice(20, 35), slice(22, 40))


def recipe(tmp_path: Path, text: str) -> Recipe:
    path = tmp_path / "recipe.toml"
    path.write_text(f'site = "test"\n{text}', encoding="utf-8")
    return load_recipe(path)


def test_each_site_has_a_template_with_known_names() -> None:
    recipes = shipped_recipes()

    assert set(recipes) == {"nasopharynx", "breast", "cervix", "lung", "rectum", "pancreas"}
    for each in recipes.values():
        assert each.status == "template"
        assert each.title_zh
        assert all(lookup(step.name).tg263 == step.name and step.source for step in each.steps)


@pytest.mark.parametrize("site", sorted(shipped_recipes()))
def test_each_template_runs_on_a_patient(site: str) -> None:
    each = shipped_recipes()[site]
    made = {step.name for step in each.steps}
    wanted = {name for step in each.steps for name in (*step.sources, *step.minus)} - made
    patient = {n: TARGET if "TV" in n else ORGAN for n in wanted} | {"Body": BODY}

    result = apply_recipe(each, patient, GRID)

    targets = [d for d in result.derived if d.name.startswith("PTV")]
    assert targets
    assert all(volume_cc(d.region, GRID) > volume_cc(TARGET, GRID) for d in targets)
    assert all(d.description for d in result.derived)


def test_steps_follow_each_other_and_say_what_they_did(tmp_path: Path) -> None:
    steps = recipe(tmp_path, """
[[step]]
name = "PTV"
from = ["CTV", "GTV"]
grow_mm = {left = 4, superior = 6}
inside = "Body"
[[step]]
name = "Body-PTV"
from = "Body"
minus = "PTV"
""")  # fmt: skip

    result = apply_recipe(steps, {"CTV": TARGET, "GTV": TARGET, "Body": BODY}, GRID)

    first, second = result.derived
    assert first.description == (
        "CTV + GTV, +left 4 right 0 anterior 0 posterior 0 superior 6 inferior 0 mm, inside Body"
    )
    assert not (first.region.mask() & second.region.mask()).any()
    assert first.region.mask()[11, 27, 42]
    assert not first.region.mask()[11, 27, 19]


def test_missing_structures_are_named_and_optional_steps_left_out(tmp_path: Path) -> None:
    text = '[[step]]\nname = "PTV"\nfrom = "CTV"\ngrow_mm = 5\n'

    with pytest.raises(RecipeRefused, match="CTV") as caught:
        apply_recipe(recipe(tmp_path, text), {"Body": BODY}, GRID)
    left_out = apply_recipe(recipe(tmp_path, text + "optional = true\n"), {"Body": BODY}, GRID).left_out

    assert caught.value.fields["missing"] == ["CTV"]
    assert left_out == (("PTV", "CTV missing or empty"),)


def test_a_step_that_leaves_nothing_is_refused(tmp_path: Path) -> None:
    nothing = recipe(tmp_path, '[[step]]\nname = "Body-PTV"\nfrom = "CTV"\nminus = "Body"\n')

    with pytest.raises(RecipeRefused, match="Nothing is left"):
        apply_recipe(nothing, {"CTV": TARGET, "Body": BODY}, GRID)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("not = [toml", "no valid TOML"),
        ("", "no \\[\\[step\\]\\]"),
        ('[[step]]\nname = "PTV"\n', "needs a name and what it is made from"),
        ('[[step]]\nname = "PTV"\nfrom = "CTV"\ngrow = 5\n', "unknown key 'grow'"),
        ('[[step]]\nname = "PTV"\nfrom = "CTV"\ngrow_mm = -5\n', "from 0 to 100"),
        ('[[step]]\nname = "PTV"\nfrom = "CTV"\ngrow_mm = {up = 5}\n', "unknown key 'up'"),
        ('[[step]]\nname = "PTV"\nfrom = "CTW"\n', "'CTW' is no TG-263 name"),
        ('[[step]]\nname = "PTV"\nfrom = []\n', "a name or a list"),
        ('[[step]]\nname = "PTV"\nfrom = "CTV"\nskin_mm = "3"\n', "skin_mm"),
    ],
)
def test_faults_of_a_recipe_are_found_when_it_is_read(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(RecipeRefused, match=complaint):
        recipe(tmp_path, text)


def test_a_ptv_that_does_not_hold_its_target_is_told_or_refused(tmp_path: Path) -> None:
    ptv = recipe(tmp_path, '[[step]]\nname = "PTV"\nfrom = "CTV"\ngrow_mm = 3\nskin_mm = 3\n')
    at_the_skin = box(slice(8, 15), slice(20, 35), slice(3, 25))
    hollow = box(slice(0, 23), slice(4, 57), slice(3, 64)).mask()
    hollow[TARGET.mask()] = False

    near = apply_recipe(ptv, {"CTV": at_the_skin, "Body": BODY}, GRID)

    lost = at_the_skin.mask() & ~near.derived[0].region.mask()
    cc = float(lost.sum()) * 0.9 * 1.1 * 2.5 / 1000
    share = lost.sum() / at_the_skin.voxel_count
    assert near.uncovered == (("PTV", f"{cc:.2f} cc ({share:.1%}) of CTV are not in it"),)
    assert apply_recipe(ptv, {"CTV": TARGET, "Body": BODY}, GRID).uncovered == ()
    with pytest.raises(RecipeRefused, match=r"Body does not hold them\. Give a Body that holds the target"):
        apply_recipe(ptv, {"CTV": TARGET, "Body": Region.from_mask(hollow)}, GRID)


def test_what_a_step_subtracts_is_told_not_refused(tmp_path: Path) -> None:
    low = recipe(tmp_path, '[[step]]\nname = "PTV"\nfrom = "CTV"\ngrow_mm = 3\nminus = "Brainstem"\n')

    made = apply_recipe(low, {"CTV": TARGET, "Brainstem": box(slice(8, 15), slice(20, 35), slice(22, 38))}, GRID)

    assert [name for name, _ in made.uncovered] == ["PTV"]


def test_a_step_smooths_at_constant_volume_and_tells_what_is_no_longer_within(tmp_path: Path) -> None:
    made = apply_recipe(
        recipe(tmp_path, '[[step]]\nname = "Heart"\nfrom = "Liver"\nsmooth_mm = 3\n'), {"Liver": ORGAN}, GRID
    )

    (heart,) = made.derived
    assert volume_cc(heart.region, GRID) == pytest.approx(volume_cc(ORGAN, GRID), rel=0.005)
    assert not np.array_equal(heart.region.mask(), ORGAN.mask())
    assert heart.description == "Liver, smoothed by 3 mm"
    assert "of Liver are not in it" in made.uncovered[0][1]
    with pytest.raises(RecipeRefused, match="smooth_mm lies within 0 and 20"):
        recipe(tmp_path, '[[step]]\nname = "Heart"\nfrom = "Liver"\nsmooth_mm = 21\n')


def test_a_margin_about_few_voxels_and_what_smoothing_loses_are_told(tmp_path: Path) -> None:
    steps = recipe(tmp_path, """
[[step]]
name = "PTV"
from = "GTV"
grow_mm = 5
[[step]]
name = "Heart"
from = "Liver"
smooth_mm = 3
[[step]]
name = "Heart_PRV05"
from = "Liver"
grow_mm = 5
""")  # fmt: skip
    hollow = ORGAN.mask()
    hollow[10:13, 25:29, 25:29] = False
    small, liver = box(slice(9, 14), slice(20, 29), slice(22, 31)), Region.from_mask(hollow)

    made = apply_recipe(steps, {"GTV": small, "Liver": liver}, GRID)

    assert [name for name, _ in made.remarks] == ["PTV", "Heart", "Heart"], "the step that is drawn finely says nothing"
    assert made.remarks[0][1] == drawn_on_few_voxels(small)
    assert "thin parts" in made.remarks[1][1]
    assert "holes (1 closed)" in made.remarks[2][1]
