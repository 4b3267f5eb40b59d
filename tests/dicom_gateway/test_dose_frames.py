"""Three courses in three frames through the gateway: an object for each frame, chosen where they differ."""

import html
import json
import re
from pathlib import Path

import httpx
import pytest

from dicom_gateway.dose import record
from dicom_gateway.dose.choice import complete
from dicom_gateway.dose.ways import OBJECTS_DIFFER
from dicom_gateway.dose.work import DoseJob, make
from dicom_gateway.errors import DoseChoiceRefused
from dicom_gateway.web import create_app
from tests.dicom_gateway.dose_site import DoseSite, dose_site_of_three_frames
from tests.dicom_gateway.web_server import serving

TO_SECOND = (1, (7.0, -4.0, 2.5))
TO_THIRD = (2, (-5.0, 6.5, 3.0))
FAULT = (2, (-5.0, 31.5, 3.0))
"""The registration of the third frame, 25 mm off."""


def uids(site: DoseSite) -> dict[str, str]:
    """The objects by name."""
    return {r.name: r.sop_uid for r in site.patient.registrations}


def courses(site: DoseSite) -> list[str]:
    """The doses: of the second frame, of the image's, of the third."""
    by_label = {d.label: d.sop_uid for d in site.patient.doses}
    return [by_label[label] for label in ("plan 1", "plan 2", "第三程")]


class Page:
    """The dose page of a site, in English."""

    def __init__(self, site: DoseSite, client: httpx.Client) -> None:
        self.site, self.client = site, client
        client.cookies.set("radgate_language", "en")

    def shown(self, query: str = "") -> str:
        """The page."""
        return html.unescape(self.client.get(f"/dose/{self.site.study_uid}{query}").text)

    def asks(self, form: str) -> dict[str, tuple[str, list[str], str]]:
        """By the name of a frame's doses: the frame, what may be chosen, and what is."""
        part = self.shown()
        part = part[part.index(form) :].split("</form>")[0]
        found = re.findall(
            r'name="frame" value="([\d.]+)"><label>Registration (.*?) <select[^>]*>(.*?)</select>', part, re.DOTALL
        )
        options = r'<option value="([^"]*)"( selected)?>'
        return {
            name: (
                frame,
                [v for v, _ in re.findall(options, text)],
                "".join(v for v, s in re.findall(options, text) if s),
            )
            for frame, name, text in found
        }

    def post(self, doses: list[str], ways: dict[str, str]) -> httpx.Response:
        """Ask for a sum."""
        proof = re.search(r'name="proof" value="(\w+)"', self.shown())
        assert proof is not None
        fields = {"proof": proof[1], "dose": doses, "frame": list(ways), "registration": list(ways.values())}
        return self.client.post(f"/dose/{self.site.study_uid}/run", data=fields)


def test_a_sum_of_three_frames_rests_on_an_object_for_each_and_names_both(tmp_path: Path) -> None:
    with dose_site_of_three_frames(tmp_path / "site", [TO_SECOND, TO_THIRD]) as site:
        named = uids(site)
        started: list[str] = []
        app = create_app(site.settings, site.engine, site.store, start_dose=started.append)
        with serving(app) as address, httpx.Client(base_url=address) as client:
            page = Page(site, client)
            assert page.post(courses(site), {}).status_code == httpx.codes.SEE_OTHER
            (site.sum_id,) = started
            site.work()
            result = json.loads((site.root / "work" / "result.json").read_text())["assessment"]
            assert [(c["transform_source"], c["registration_uid"]) for c in result["courses"]] == [
                ("object", named["配准 1"]), ("same_frame", ""), ("object", named["配准 2"]),
            ]  # fmt: skip
            made = page.shown(f"?sum={site.sum_id}")
        told = re.search(r'id="dose-registered".*?</p>', made)
        assert told is not None
        assert re.search(r"A · plan 1: 配准 1 · .*; C · 第三程: 配准 2 · ", told[0])
        again = made[made.index('class="again"') :].split("</form>")[0]
        kept = re.findall(
            r'name="frame" value="([\d.]+)"><input type="hidden" name="registration" value="([\d.]+)"', again
        )
        frames = {d.sop_uid: d.frame_uid for d in site.patient.doses}
        a, _, c = (frames[uid] for uid in courses(site))
        assert dict(kept) == {a: named["配准 1"], c: named["配准 2"]}, (
            "a sum that is made again rests on the same objects"
        )


def test_where_the_objects_of_one_frame_differ_the_page_asks_frame_by_frame(tmp_path: Path) -> None:
    with dose_site_of_three_frames(tmp_path / "site", [TO_SECOND, TO_THIRD, FAULT]) as site:
        named, doses = uids(site), courses(site)
        record.keep_proposal(site.engine, complete(site.patient, doses, may_stay_open=True))
        started: list[str] = []
        app = create_app(site.settings, site.engine, site.store, start_dose=started.append)
        with serving(app) as address, httpx.Client(base_url=address) as client:
            page = Page(site, client)
            asked = page.asks('class="proposal"')
            assert {name: (offered, chosen) for name, (_, offered, chosen) in asked.items()} == {
                "A · plan 1": ([named["配准 1"], "rigid", "deformable"], named["配准 1"]),
                "C · 第三程": (["", named["配准 3"], named["配准 2"], "rigid", "deformable"], ""),
            }
            assert OBJECTS_DIFFER in page.shown()
            by_hand = page.asks('class="choose"')
            assert [offered[0] for _, offered, _ in by_hand.values()] == ["", "", ""], "automatic is the first"
            assert {frame for frame, _, _ in asked.values()} < {frame for frame, _, _ in by_hand.values()}

            by_rule = page.post(doses, {})
            assert by_rule.status_code == httpx.codes.UNPROCESSABLE_ENTITY
            assert OBJECTS_DIFFER in by_rule.text and started == []
            chosen = page.post(doses, {asked["C · 第三程"][0]: named["配准 2"]})
            assert chosen.status_code == httpx.codes.SEE_OTHER
        row = record.row_of(site.engine, started[0])
        assert row is not None
        assert set(row.choice.registrations) == {named["配准 1"], named["配准 2"]} and not row.choice.register


@pytest.mark.slow
def test_a_frame_without_an_object_is_computed_only_where_a_person_says_so(tmp_path: Path) -> None:
    with dose_site_of_three_frames(tmp_path / "site", [TO_SECOND]) as site:
        doses = courses(site)
        started: list[str] = []
        app = create_app(site.settings, site.engine, site.store, start_dose=started.append)
        with serving(app) as address, httpx.Client(base_url=address) as client:
            page = Page(site, client)
            by_rule = page.post(doses, {})
            assert by_rule.status_code == httpx.codes.UNPROCESSABLE_ENTITY
            assert "no registration object for dose C" in by_rule.text and started == []
            third = next(d.frame_uid for d in site.patient.doses if d.sop_uid == doses[2])
            assert page.post(doses, {third: "rigid"}).status_code == httpx.codes.SEE_OTHER
        row = record.row_of(site.engine, started[0])
        assert row is not None
        assert (row.choice.registrations, row.choice.register) == ((uids(site)["配准 1"],), "rigid")
        assert len(row.choice.others) == 1
        waiting = complete(site.patient, doses, may_stay_open=True)
        open_row = record.row_of(site.engine, record.ask(site.engine, waiting))
        assert open_row is not None
        job = DoseJob(
            open_row, site.root / "w", site.root / "p", site.settings, site.engine, site.store, lambda _: None
        )
        with pytest.raises(DoseChoiceRefused, match="no registration object for dose C"):
            make(job)
