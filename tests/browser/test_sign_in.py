"""People of a real Keycloak sign in to the dashboard and to the command line."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Request, expect

from tests.fixtures.admin_site import TEAMS, AdminSite, start_admin_site
from tests.fixtures.chromium import TIMEOUT_MS, OpenPage
from tests.fixtures.drawn_page import tab_to
from tests.fixtures.gateway import eventually
from tests.fixtures.keycloak import Keycloak

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminSite]:
    with start_admin_site(tmp_path_factory.mktemp("site"), keycloak) as running:
        yield running


def give_password(page: Page, user: str) -> None:
    """Fill in Keycloak's own form."""
    page.locator("#username").fill(user, timeout=TIMEOUT_MS)
    page.locator("#password").fill(f"{user}-pw")
    page.locator("#kc-login").click()


def sign_in(page: Page, user: str) -> None:
    page.get_by_role("button", name="Sign in").click(timeout=TIMEOUT_MS)
    give_password(page, user)


def teams_shown(page: Page) -> set[str]:
    """Once the page is drawn: the teams whose calls are in its tables."""
    heading = page.get_by_role("heading", name="Latest requests")
    expect(heading).to_be_visible(timeout=TIMEOUT_MS)
    # The tables are drawn on a canvas; what they say stands beside it for screen readers.
    expect(page.get_by_text(re.compile("model-of-")).first).to_be_attached(timeout=TIMEOUT_MS)
    return {team for team in TEAMS if page.get_by_text(f"model-of-{team}").count()}


@pytest.mark.parametrize(
    ("user", "teams"), [("carol", set(TEAMS)), ("dave", set(TEAMS)), ("alice", {"search"})]
)
def test_everybody_sees_what_their_roles_let_them(
    site: AdminSite, open_page: OpenPage, user: str, teams: set[str]
) -> None:
    with open_page(site.dashboard_url, height=1800) as page:
        sign_in(page, user)
        assert teams_shown(page) == teams
        expect(page.get_by_text(f"{user}@acme.example")).to_be_visible()


def test_who_has_no_role_is_told_so_in_words(site: AdminSite, open_page: OpenPage) -> None:
    with open_page(site.dashboard_url) as page:
        sign_in(page, "bob")
        told = page.get_by_test_id("stAlert")
        expect(told).to_contain_text("You may not see this", timeout=TIMEOUT_MS)
        expect(told).to_contain_text("Ask your team's owner")
        assert not page.get_by_text(re.compile("model-of-")).count()


def test_nobody_sees_anything_before_they_sign_in(site: AdminSite, open_page: OpenPage) -> None:
    with open_page(site.dashboard_url) as page:
        expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=TIMEOUT_MS)
        assert not page.get_by_text(re.compile("model-of-|Overview")).count()


def test_the_sign_in_uses_pkce_state_and_nonce(site: AdminSite, open_page: OpenPage) -> None:
    asked: list[dict[str, list[str]]] = []

    def note(request: Request) -> None:
        address = urlsplit(request.url)
        if address.path.endswith("/protocol/openid-connect/auth"):
            asked.append(parse_qs(address.query))

    with open_page(site.dashboard_url) as page:
        page.on("request", note)
        page.get_by_role("button", name="Sign in").click(timeout=TIMEOUT_MS)
        expect(page.locator("#username")).to_be_visible(timeout=TIMEOUT_MS)
    [question] = asked
    assert question["response_type"] == ["code"]
    assert question["code_challenge_method"] == ["S256"]
    assert len(question["code_challenge"][0]) == 43
    assert question["state"]
    assert question["nonce"]


def test_signing_out_ends_it_here_and_at_the_provider(site: AdminSite, open_page: OpenPage) -> None:
    with open_page(site.dashboard_url, height=1800) as page:
        sign_in(page, "alice")
        assert teams_shown(page) == {"search"}
        # The page that is left shows the door too, for a moment.
        with page.expect_event("domcontentloaded", timeout=TIMEOUT_MS):
            page.get_by_role("button", name="Sign out").click()
        leave = page.locator("#kc-logout")
        door = page.get_by_role("button", name="Sign in")
        # Keycloak may ask whether it is meant.
        expect(leave.or_(door).first).to_be_visible(timeout=TIMEOUT_MS)
        if leave.count():
            leave.click()
        expect(door).to_be_visible(timeout=TIMEOUT_MS)
        door.click()
        expect(page.locator("#password")).to_be_visible(timeout=TIMEOUT_MS)


def test_one_signs_in_by_keyboard(site: AdminSite, open_page: OpenPage) -> None:
    with open_page(site.dashboard_url, height=1800) as page:
        expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=TIMEOUT_MS)
        tab_to(page, "Sign in")
        page.keyboard.press("Enter")
        expect(page.locator("#kc-login")).to_be_visible(timeout=TIMEOUT_MS)
        tab_to(page, "Username")
        page.keyboard.type("alice")
        tab_to(page, "Password")
        page.keyboard.type("alice-pw")
        page.keyboard.press("Enter")
        assert teams_shown(page) == {"search"}


def test_a_sign_in_that_has_expired_is_told_in_words_and_renewed_with_a_click(
    site: AdminSite, keycloak: Keycloak, open_page: OpenPage
) -> None:
    with open_page(site.dashboard_url, height=1800) as page:
        keycloak.admin("PUT", "", json={"accessTokenLifespan": 2})
        try:
            page.get_by_role("button", name="Sign in").click(timeout=TIMEOUT_MS)
            give_password(page, "alice")
            again = page.get_by_role("button", name="Sign in again")
            drawn = page.get_by_role("heading", name="Latest requests")
            expect(drawn.or_(again).first).to_be_visible(timeout=TIMEOUT_MS)
        finally:
            keycloak.admin("PUT", "", json={"accessTokenLifespan": 300})

        def is_over() -> bool:
            page.reload()
            expect(drawn.or_(again).first).to_be_visible(timeout=TIMEOUT_MS)
            return again.is_visible()

        eventually(is_over)
        told = page.get_by_test_id("stAlert").filter(has_text="You are signed in no longer")
        expect(told).to_be_visible()
        again.click()
        # Keycloak still knows them: no password is asked for.
        assert teams_shown(page) == {"search"}


def test_the_secrets_are_in_a_file_for_its_owner_only(site: AdminSite) -> None:
    [file] = (site.logs.parent / "dashboard").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert "gatehouse-dashboard-pw" in file.read_text()
    for log in site.logs.iterdir():
        assert "gatehouse-dashboard-pw" not in log.read_text(errors="replace")


# --- the command line


def run(*arguments: str, config: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "policy_service", *arguments],
        env=environment(config, **more),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def environment(config: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "XDG_CONFIG_HOME": str(config), "COLUMNS": "200", **more}  # noqa: TID251


def login(open_page: OpenPage, site: AdminSite, config: Path, user: str) -> str:
    """Run `gatehouse login`, follow the printed address, and give what it says at the end."""
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "policy_service", "login"),
            *("--server", site.policy_url, "--no-browser", "--wait-s", "120"),
        ],
        env=environment(config),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            address = next((line for line in process.stdout if line.startswith("http")), "")
            question = parse_qs(urlsplit(address).query)
            assert question["code_challenge_method"] == ["S256"]
            assert question["state"]
            assert question["nonce"]
            assert question["redirect_uri"][0].startswith("http://127.0.0.1:")
            with open_page(address.strip()) as page:
                give_password(page, user)
                expect(page.get_by_text("You are signed in")).to_be_visible(timeout=TIMEOUT_MS)
            told = process.stdout.read()
            assert process.wait(60) == 0, told
        finally:
            process.kill()
    return told


def test_the_command_line_signs_in_refreshes_and_signs_out(
    site: AdminSite, open_page: OpenPage, tmp_path: Path
) -> None:
    assert "You are user:alice (oidc)." in login(open_page, site, tmp_path, "alice")
    kept = tmp_path / "gatehouse" / "sessions.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    before = json.loads(kept.read_text())
    who = run("whoami", "--server", site.policy_url, config=tmp_path)
    assert who.returncode == 0, who.stderr
    assert "team_owner on team:search: approvals.ask, keys.read, keys.write" in who.stdout
    # As if its time were over.
    session = before[site.policy_url]
    kept.write_text(
        json.dumps({site.policy_url: {**session, "expires_at": "2026-01-01T00:00:00Z"}})
    )
    assert run("whoami", "--server", site.policy_url, config=tmp_path).returncode == 0
    after = json.loads(kept.read_text())[site.policy_url]
    assert after["access_token"] != session["access_token"]
    out = run("logout", "--server", site.policy_url, config=tmp_path)
    assert (out.returncode, out.stdout.strip()) == (0, "Signed out."), out.stderr
    assert json.loads(kept.read_text()) == {}
    refused = run("whoami", "--server", site.policy_url, config=tmp_path)
    assert refused.returncode == 1
    assert "gatehouse login" in refused.stderr


def test_the_session_of_who_signed_out_is_over_at_the_provider(
    site: AdminSite, open_page: OpenPage, tmp_path: Path
) -> None:
    login(open_page, site, tmp_path, "bob")
    kept = tmp_path / "gatehouse" / "sessions.json"
    [(server, session)] = json.loads(kept.read_text()).items()
    assert run("logout", "--server", server, config=tmp_path).returncode == 0
    # Whoever has a copy of the file has nothing.
    stale = {server: {**session, "expires_at": "2026-01-01T00:00:00Z"}}
    kept.write_text(json.dumps(stale))
    refused = run("whoami", "--server", server, config=tmp_path)
    assert refused.returncode == 1
    assert "invalid_grant" in refused.stderr


def test_automation_uses_an_admin_token_in_the_environment(site: AdminSite, tmp_path: Path) -> None:
    database = ("--database-url", site.database_url)
    made = run(
        *("admin-tokens", "issue", "--name", "ci", "--grant", "auditor@team:search"),
        *("--expires", "1h", *database),
        config=tmp_path,
    )
    token = made.stdout.strip()
    assert token.startswith("ga-"), made.stderr
    who = run("whoami", "--server", site.policy_url, config=tmp_path, GATEHOUSE_TOKEN=token)
    assert "You are admin_token:ci (admin_token)." in who.stdout, who.stderr
    listed = run("admin-tokens", "list", *database, config=tmp_path)
    [token_id] = re.findall(r"adt_\w+", listed.stdout)
    assert "auditor@team:search" in listed.stdout
    assert token not in listed.stdout
    assert run("admin-tokens", "revoke", token_id, *database, config=tmp_path).returncode == 0
    who = run("whoami", "--server", site.policy_url, config=tmp_path, GATEHOUSE_TOKEN=token)
    assert who.returncode == 1
    assert "revoked" in who.stderr
    assert "GATEHOUSE" not in who.stderr
    for bad, told, code in (
        ("emperor@platform:*", "is no grant", 2),
        ("auditor@team:none", "team", 1),
        ("platform_admin@team:search", "platform:*", 2),
    ):
        refused = run(
            "admin-tokens", "issue", "--name", "x", "--grant", bad, *database, config=tmp_path
        )
        assert refused.returncode == code
        assert told in refused.stderr
