"""The page of the API in a real browser."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from hpcobs.http.routes import ROUTES
from tests.local.services import Service
from tests.waiting import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium.webdriver.remote.webelement import WebElement

DRIVER = shutil.which("chromedriver")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

pytestmark = pytest.mark.skipif(DRIVER is None, reason="chromium-driver is not installed")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("docs") / "data", "--no-simulate") as running:
        yield running


@pytest.fixture(scope="module")
def page(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    for argument in (*QUIET, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    browser.get(f"{service.url}/v1/docs")
    WebDriverWait(browser, WAIT_SECONDS).until(
        lambda _: browser.find_elements(By.TAG_NAME, "details")
    )
    yield browser
    browser.quit()


def operation(page: webdriver.Chrome, heading: str) -> WebElement:
    found = [
        element
        for element in page.find_elements(By.TAG_NAME, "details")
        if element.find_element(By.TAG_NAME, "summary").text.startswith(heading)
    ]
    assert found, heading
    return found[0]


def test_page_has_every_route_with_scope(page: webdriver.Chrome) -> None:
    for route in ROUTES:
        summary = operation(page, f"{route.method}\n{route.path}\n").text.splitlines()
        assert summary[-1] == (route.scope or "no token")


def test_route_can_be_tried_with_token(page: webdriver.Chrome, service: Service) -> None:
    page.find_element(By.ID, "token").send_keys(service.token)
    jobs = operation(page, "GET\n/v1/jobs\n")
    jobs.find_element(By.TAG_NAME, "summary").click()
    jobs.find_element(By.CSS_SELECTOR, 'input[aria-label="limit"]').send_keys("7")
    jobs.find_element(By.TAG_NAME, "button").click()
    output = jobs.find_element(By.TAG_NAME, "pre")
    WebDriverWait(page, WAIT_SECONDS).until(lambda _: "X-Correlation-Id" in output.text)
    assert output.text.startswith("GET /v1/jobs?limit=7\n200")
    assert '"limit": 7' in output.text


def test_browser_console_has_no_errors(page: webdriver.Chrome) -> None:
    entries = page.get_log("browser")  # type: ignore[no-untyped-call]
    assert [entry["message"] for entry in entries] == []
