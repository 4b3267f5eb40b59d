import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from dicom_gateway.errors import SettingsError
from dicom_gateway.web import create_app
from dicom_gateway.web.access import SESSION_S, new_access
from tests.dicom_gateway.web_server import serving
from tests.dicom_gateway.web_site import FilledSite, copied_site, filled_site

TOKEN = "correct horse battery staple"
PAGE = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> FilledSite:
    root = tmp_path_factory.mktemp("access")
    token_file = root / "token"
    token_file.write_text(f"{TOKEN}\nsecond line\n", encoding="utf-8")
    with filled_site(root / "site", token_file) as site:
        return site


@pytest.fixture
def site(original: FilledSite, tmp_path: Path) -> Iterator[FilledSite]:
    with copied_site(original, tmp_path / "site") as copy:
        yield copy


def app_of(site: FilledSite) -> FastAPI:
    return create_app(site.settings, site.engine, site.store, resend=lambda row_id: True)


@contextmanager
def visiting(app: FastAPI) -> Iterator[httpx.Client]:
    with serving(app) as address, httpx.Client(base_url=address) as client:
        yield client


@pytest.fixture
def client(site: FilledSite) -> Iterator[httpx.Client]:
    with visiting(app_of(site)) as client:
        yield client


@pytest.fixture
def signed_in(client: httpx.Client) -> httpx.Client:
    proof = proof_in(client.get("/login").text)
    assert client.post("/login", data={"token": TOKEN, "proof": proof}).headers["Location"] == "/"
    return client


def proof_in(html: str) -> str:
    found = re.search(r'name="proof" value="([0-9a-f]+)"', html)
    assert found is not None
    return found[1]


def patient_paths(site: FilledSite) -> list[str]:
    uid = site.studies["finished"]
    return [
        "/",
        f"/study/{uid}",
        "/live/worklist",
        f"/live/study/{uid}",
        f"/study/{uid}/objects/1.2",
        "/pictures/" + "0" * 64 + ".png",
        "/quarantine",
        "/status",
        "/metrics",
        "/dicomweb/studies",
        f"/dicomweb/studies/{uid}/metadata",
    ]


def test_without_a_sign_in_nothing_is_shown(site: FilledSite, client: httpx.Client) -> None:
    for path in patient_paths(site):
        answer = client.get(path)
        assert answer.status_code == 401, path
        assert "张" not in answer.text
    assert client.get("/", headers=PAGE).headers["Location"] == "/login"
    assert client.get("/health/live").text == "ok\n"


def test_the_token_opens_a_session_that_nobody_else_can_forge(signed_in: httpx.Client) -> None:
    cookie = signed_in.cookies["radgate_session"]

    assert "张三" in signed_in.get("/").text
    assert signed_in.get("/dicomweb/studies").status_code == 200
    for forged in (cookie[:-1] + ("0" if cookie[-1] != "0" else "1"), f"9{cookie}", "", "x.y"):
        answer = httpx.get(signed_in.base_url, headers={"Cookie": f"radgate_session={forged}"})
        assert answer.status_code == 401


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(client: httpx.Client) -> None:
    proof = proof_in(client.get("/login").text)
    encrypted = {"X-Forwarded-Proto": "https"}  # as a proxy on this machine says it

    cookie = client.post("/login", data={"token": TOKEN, "proof": proof}, headers=encrypted).headers["Set-Cookie"]

    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert "Secure" in cookie


def test_a_session_ends_after_twelve_hours() -> None:
    access = new_access(TOKEN)
    access.now = lambda: 1e9
    answer = Response()
    access.open_session(Request({"type": "http", "headers": [], "scheme": "http", "path": "/"}), answer)
    cookie = answer.headers["set-cookie"].split(";")[0].encode()
    visit = Request({"type": "http", "headers": [(b"cookie", cookie)], "path": "/"})

    access.now = lambda: 1e9 + SESSION_S - 1
    assert access.is_in(visit)
    access.now = lambda: 1e9 + SESSION_S + 1
    assert not access.is_in(visit)


def test_a_wrong_token_is_refused_and_many_are_slowed_down(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicom_gateway.web.acting.FAILURE_DELAY_S", 0.0)
    proof = proof_in(client.get("/login").text)

    answers = [client.post("/login", data={"token": f"guess {n}", "proof": proof}).status_code for n in range(12)]
    right = client.post("/login", data={"token": TOKEN, "proof": proof})

    assert answers == [403] * 10 + [429] * 2
    assert right.status_code == 429


def test_signing_out_ends_the_session(signed_in: httpx.Client) -> None:
    signed_in.post("/logout", data={"proof": proof_in(signed_in.get("/").text)})

    assert signed_in.get("/").status_code == 401


@pytest.mark.parametrize("path", ["/deliveries/1/resend", "/quarantine/1/settle", "/logout", "/login"])
def test_a_form_of_another_site_changes_nothing(site: FilledSite, signed_in: httpx.Client, path: str) -> None:
    proof = proof_in(signed_in.get("/").text)
    form = {"token": TOKEN}

    missing = signed_in.post(path, data=form)
    wrong = signed_in.post(path, data={**form, "proof": "0" * 64})
    foreign = signed_in.post(path, data={**form, "proof": proof}, headers={"Origin": "https://evil.example"})
    hidden = signed_in.post(path, data={**form, "proof": proof}, headers={"Origin": "null"})

    assert [a.status_code for a in (missing, wrong, foreign, hidden)] == [403] * 4
    assert len(site.store.quarantined()) == 1


def test_a_form_of_ours_is_taken(site: FilledSite, signed_in: httpx.Client) -> None:
    proof = proof_in(signed_in.get("/").text)
    own = str(signed_in.base_url).rstrip("/")

    answer = signed_in.post("/quarantine/1/settle", data={"proof": proof}, headers={"Origin": own})

    assert answer.status_code == 303
    assert site.store.quarantined() == []


def test_a_session_cookie_never_stores_objects(signed_in: httpx.Client) -> None:
    assert signed_in.post("/dicomweb/studies", content=b"").status_code == 401


def test_an_open_server_answers_only_to_names_of_this_machine(original: FilledSite, tmp_path: Path) -> None:
    with copied_site(original, tmp_path / "open") as site:
        open_settings = type(site.settings)(store=site.settings.store)
        with visiting(create_app(open_settings, site.engine, site.store)) as client:
            local = [client.get("/", headers={"Host": h}) for h in ("127.0.0.1:8180", "localhost", "[::1]")]
            rebound = [client.get(p, headers={"Host": "evil.example"}) for p in ("/", "/dicomweb/studies")]

    assert [a.status_code for a in local] == [200] * 3
    assert [a.status_code for a in rebound] == [421] * 2


@pytest.mark.parametrize("content", ["", "short\n", "\n" + TOKEN])
def test_a_token_file_without_a_secret_stops_the_start(site: FilledSite, tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content, encoding="utf-8")
    web = type(site.settings.web)(token_file=file)
    settings = type(site.settings)(store=site.settings.store, web=web)

    with pytest.raises(SettingsError, match=r"web\.token_file"):
        create_app(settings, site.engine, site.store)


@pytest.mark.parametrize(
    "address", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/\tx", "\\\\evil"]
)
def test_the_language_link_leads_nowhere_else(client: httpx.Client, address: str) -> None:
    answer = client.get("/language", params={"to": "en", "next": address})

    assert answer.headers["Location"] == "/"


def test_every_answer_carries_the_headers_that_protect_it(signed_in: httpx.Client) -> None:
    for path in ("/", "/login", "/nothing", "/dicomweb/studies", "/static/radgate.js", "/health/ready"):
        headers = signed_in.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert policy.startswith("default-src 'none'")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        if not path.startswith("/static"):
            assert headers["Cache-Control"] == "no-store"


def test_what_is_sent_is_not_repeated_by_an_error(signed_in: httpx.Client) -> None:
    answer = signed_in.post("/deliveries/张三/resend", data={"proof": "x" * 500})

    assert answer.status_code == 422
    assert "张" not in answer.text
    assert "xxx" not in answer.text


def test_equal_tokens_sign_alike_and_different_ones_do_not() -> None:
    assert new_access("a token").key == new_access("a token").key
    assert new_access("a token").key != new_access("another").key
    assert new_access(None).key != new_access(None).key
