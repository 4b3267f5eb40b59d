"""The dose pages over HTTP: who may see them, what they refuse, and slices that are the arrays."""

import ast
import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from pydicom import dcmread

from contouring.dose.assess import BLOCKING
from dicom_gateway.dose import record
from dicom_gateway.dose.page_data import keep_page_data, slice_bytes
from dicom_gateway.errors import UnknownObject
from dicom_gateway.web import create_app
from reports.dose.sentences import sentence_words
from tests.dicom_gateway.dose_site import DoseSite, dose_site
from tests.dicom_gateway.web_server import serving
from tests.reports.dose_case import made_report, with_picture

TOKEN = "a-token-of-the-test-0123456789"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DoseSite]:
    root = tmp_path_factory.mktemp("pages")
    (root / "token").write_text(TOKEN)
    with dose_site(root / "site", root / "token") as made:
        made.make()
        yield made


@pytest.fixture
def started() -> list[str]:
    return []


@pytest.fixture
def client(site: DoseSite, started: list[str]) -> Iterator[httpx.Client]:
    app = create_app(site.settings, site.engine, site.store, start_dose=started.append)
    with (
        serving(app) as address,
        httpx.Client(base_url=address, headers={"Authorization": f"Bearer {TOKEN}"}) as client,
    ):
        client.cookies.set("radgate_language", "en")
        yield client


def paths(site: DoseSite) -> list[str]:
    base = f"/dose/{site.study_uid}/sums/{site.sum_id}"
    return ["/dose", f"/dose/{site.study_uid}", f"{base}/page.json", f"{base}/state", f"{base}/slice/axial/3"]


def test_every_address_needs_a_sign_in(site: DoseSite, client: httpx.Client) -> None:
    for path in paths(site):
        assert client.get(path).status_code == httpx.codes.OK, path
        stranger = client.get(path, headers={"Authorization": "Bearer wrong"})
        assert stranger.status_code == httpx.codes.UNAUTHORIZED, path
        assert "张三" not in stranger.text


def test_answers_carry_the_strict_policy_and_are_not_kept(site: DoseSite, client: httpx.Client) -> None:
    for path in paths(site):
        headers = client.get(path).headers
        assert "script-src 'self'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "tail", ["slice/axial/-1", "slice/axial/9999", "slice/oblique/1", "slice/axial/x", "slice/..%2F..%2Fpage/1"]
)
def test_what_is_no_slice_is_not_found(site: DoseSite, client: httpx.Client, tail: str) -> None:
    answer = client.get(f"/dose/{site.study_uid}/sums/{site.sum_id}/{tail}")

    assert answer.status_code in {404, 422}


def test_a_sum_is_found_under_its_own_study_only(site: DoseSite, client: httpx.Client) -> None:
    for study, sum_id in (("1.2.3", site.sum_id), (site.study_uid, "0" * 40), (site.study_uid, "..")):
        assert client.get(f"/dose/{study}/sums/{sum_id}/page.json").status_code == httpx.codes.NOT_FOUND
    assert client.get("/dose/1.2.3").status_code == httpx.codes.NOT_FOUND


def test_a_slice_is_the_image_and_the_doses_on_its_plane(site: DoseSite) -> None:
    image = np.load(site.pages / "image.npy")
    doses = [np.load(f) for f in sorted(site.pages.glob("dose*.npy"))]
    grid = json.loads((site.pages / "grid.json").read_text())
    meta = json.loads((site.pages / "page.json").read_text())["planes"]["axial"]
    assert meta["through"] == 0

    data = slice_bytes(site.pages, "axial", 8)

    (length,) = struct.unpack("<I", data[:4])
    head = json.loads(data[4 : 4 + length])
    at = 4 + length
    count = head["image"][0] * head["image"][1]
    shown = np.frombuffer(data, "<i2", count, at).reshape(head["image"])
    turned = shown[:: -1 if meta["flip_down"] else 1, :: -1 if meta["flip_across"] else 1]
    assert np.array_equal(turned, image[8])
    at += -(-2 * count // 4) * 4
    place = grid["start"][0] + grid["step"][0] * 8
    low, share = int(place), place - int(place)
    for number, dose in enumerate(doses):
        size = head["dose"][0] * head["dose"][1]
        found = np.frombuffer(data, "<f4", size, at + 4 * size * number).reshape(head["dose"])
        found = found[:: -1 if meta["flip_down"] else 1, :: -1 if meta["flip_across"] else 1]
        wanted = dose[low] * (1 - share) + dose[low + 1] * share
        assert np.allclose(found, wanted, rtol=0, atol=1e-4, equal_nan=True)
    assert {n for n, _ in head["contours"]} == {0, 1}, "target and cord are drawn on this plane"


def test_the_page_has_quality_and_picture_of_a_computed_registration(site: DoseSite, client: httpx.Client) -> None:
    folder = site.root / "registered"
    folder.mkdir()
    report = with_picture(made_report(folder))
    before = [(site.pages / name, (site.pages / name).read_bytes()) for name in ("page.json", "grid.json")]
    base = f"/dose/{site.study_uid}/sums/{site.sum_id}"
    assert client.get(f"{base}/registration/B").status_code == httpx.codes.NOT_FOUND
    try:
        keep_page_data(site.pages, report, dcmread(folder / "rtstruct.dcm"))

        page, picture = client.get(f"{base}/page.json").json(), client.get(f"{base}/registration/B")
        stranger = client.get(f"{base}/registration/B", headers={"Authorization": "Bearer wrong"})
        others = [client.get(f"{base}/registration/{n}").status_code for n in ("A", "AB", "b", "B.png", "..%2Fpage")]
    finally:
        (site.pages / "registration_B.png").unlink()
        for path, data in before:
            path.write_bytes(data)

    assert picture.content == report.assessment.courses[1].quality.picture_png  # type: ignore[union-attr]
    assert picture.headers["Content-Type"] == "image/png" and picture.headers["Cache-Control"] == "no-store"
    assert "img-src 'self'" in picture.headers["Content-Security-Policy"]
    assert stranger.status_code == httpx.codes.UNAUTHORIZED and set(others) == {httpx.codes.NOT_FOUND}
    (found,) = page["registrations"]
    assert (found["letter"], found["there_and_back_mm"]["text"], found["has_picture"]) == ("B", "0.23", True)
    assert [(r["structure"]["zh"], r["dice"]["text"], r["jacobian"]["text"], r["folds"]) for r in found["rows"]] == [
        ("全身", "0.999", "-0.031", True),
        ("PTV_7000", "—", "0.707", False),
        ("Parotid_L", "0.877", "-0.031", True),
        ("SpinalCord", "0.912", "0.811", False),
    ]
    assert page["not_reviewed"]["en"] == "computed, not reviewed"
    assert "registrations" in json.loads(before[0][1]) and json.loads(before[0][1])["registrations"] == []


def test_a_folder_without_a_sum_has_no_slices(tmp_path: Path) -> None:
    with pytest.raises(UnknownObject):
        slice_bytes(tmp_path, "axial", 0)


def form(client: httpx.Client, site: DoseSite) -> tuple[str, list[str]]:
    """Proof and doses of the form on the page."""
    page = client.get(f"/dose/{site.study_uid}").text
    proof = re.search(r'name="proof" value="(\w+)"', page)
    assert proof is not None
    part = page[page.index('<form class="choose"') :]
    return proof[1], re.findall(r'type="checkbox" name="dose" value="([^"]+)"', part)


def test_a_form_asks_for_a_sum_and_the_service_is_told(
    site: DoseSite, client: httpx.Client, started: list[str]
) -> None:
    proof, doses = form(client, site)
    ratios = {"ratio_of": ["SpinalCord", "Lung_L"], "ratio": ["2.5", ""]}
    fields = {"proof": proof, "dose": doses, "known": doses, "fractions": ["31", ""], "limits": "lung", **ratios}

    answer = client.post(f"/dose/{site.study_uid}/run", data=fields)

    assert answer.status_code == httpx.codes.SEE_OTHER
    assert len(started) == 1
    row = record.row_of(site.engine, started[0])
    assert row is not None
    assert (row.state, row.choice.fractions, row.choice.site) == ("QUEUED", (31, None), "lung")
    assert row.choice.alpha_beta == (("SpinalCord", 2.5),)
    assert answer.headers["location"] == f"/dose/{site.study_uid}?sum={row.id}"
    assert "dose-working" in client.get(answer.headers["location"]).text


@pytest.mark.parametrize(
    ("changes", "status", "sentence"),
    [
        ({"proof": "forged"}, 403, ""),
        ({"dose": []}, 422, "two doses or more"),
        ({"fractions": ["0", ""]}, 422, "whole number"),
        ({"fractions": ["3.5", ""]}, 422, "whole number"),
        ({"ratio_of": ["SpinalCord"], "ratio": ["0"]}, 422, "Alpha/beta"),
        ({"ratio_of": ["SpinalCord"], "ratio": ["two"]}, 422, "Alpha/beta"),
        ({"structures": "1.2.3"}, 422, "no structure set"),
        ({"registration": "magic"}, 422, ""),
    ],
)
def test_a_wrong_form_changes_nothing_and_says_why(
    site: DoseSite, client: httpx.Client, started: list[str], changes: dict[str, object], status: int, sentence: str
) -> None:
    proof, doses = form(client, site)
    fields: dict[str, object] = {"proof": proof, "dose": doses, "known": doses, "fractions": ["", ""], **changes}

    answer = client.post(f"/dose/{site.study_uid}/run", data=fields)

    assert answer.status_code == status
    assert sentence in answer.text
    assert started == []


def test_a_proposal_can_be_dismissed_and_leaves_the_list(site: DoseSite, client: httpx.Client) -> None:
    choice = next(r for r in record.rows_of_studies(site.engine) if r.id == site.sum_id).choice
    with_other = type(choice).from_json({**choice.to_json(), "structures": "2.25.9"})
    record.keep_proposal(site.engine, with_other)
    assert "badge state-proposed" in client.get("/dose").text
    proof, _ = form(client, site)

    client.post(f"/dose/{site.study_uid}/dismiss", data={"proof": proof, "sum_id": with_other.proposal_id})

    assert "badge state-proposed" not in client.get("/dose").text


def test_without_a_service_nothing_can_be_asked_for(site: DoseSite) -> None:
    with (
        serving(create_app(site.settings, site.engine, site.store)) as address,
        httpx.Client(base_url=address, headers={"Authorization": f"Bearer {TOKEN}"}) as client,
    ):
        assert 'class="primary"' not in client.get(f"/dose/{site.study_uid}").text


def messages(path: Path, wanted: str) -> list[str]:
    """Sentences that a module raises (or returns, where `wanted` is a function), with 7 for what is filled in."""

    def text(node: ast.expr | None) -> str:
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else ""
        if isinstance(node, ast.JoinedStr):
            return "".join(str(v.value) if isinstance(v, ast.Constant) else "7" for v in node.values)
        return ""

    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            name = node.exc.func.id if isinstance(node.exc.func, ast.Name) else ""
            if name not in {"ValueError", "HTTPException", "UnknownObject"}:
                found.append(text(node.exc.args[0]))
        if isinstance(node, ast.FunctionDef) and node.name == wanted:
            found += [text(n.value) for n in ast.walk(node) if isinstance(n, ast.Return)]
    return [f for f in found if f]


def test_every_refusal_and_reason_of_a_sum_has_chinese_words() -> None:
    import contouring.dose
    import dicom_gateway.dose
    import dicom_gateway.web

    library = Path(contouring.dose.__file__).parent
    gateway, web = (Path(m.__file__ or "").parent for m in (dicom_gateway.dose, dicom_gateway.web))
    modules = [f for f in library.glob("*.py") if f.name != "openkbp.py"]
    modules += [library / "limits" / "verdict.py", *gateway.glob("*.py"), web / "dose_routes.py"]
    said = [
        m for f in modules for m in messages(f, {"candidates.py": "_unfit", "verdict.py": "_misfit"}.get(f.name, ""))
    ]
    said += list(BLOCKING.values())

    assert len(said) > 70
    assert [m for m in said if sentence_words(m)[0] == m and not m.startswith("There is no such")] == []


def test_a_refusal_is_told_in_the_language_of_the_page(site: DoseSite, client: httpx.Client) -> None:
    client.cookies.set("radgate_language", "zh")
    page = client.get(f"/dose/{site.study_uid}").text
    proof = re.findall(r'name="proof" value="([^"]*)"', page)[0]

    answer = client.post(f"/dose/{site.study_uid}/run", data={"proof": proof, "dose": []})

    assert answer.status_code == 422
    assert "累加需要两个或更多剂量" in answer.text
