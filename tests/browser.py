"""A real browser without a screen, for pages that must work in one."""

import shutil
from contextlib import contextmanager

import pytest

CHROME, DRIVER = "chromium", "chromedriver"
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)

needs_browser = pytest.mark.skipif(
    not (shutil.which(CHROME) and shutil.which(DRIVER)),
    reason="needs Chromium and its driver: the packages chromium and chromium-driver of Debian",
)


@contextmanager
def browsing(page, width=1100, height=700):
    """Open a page; no line of its script may have failed by the end."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which(CHROME)
    for switch in (*SWITCHES, f"--window-size={width},{height}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=shutil.which(DRIVER))
    browser = webdriver.Chrome(options=options, service=service)
    try:
        browser.get(page.resolve().as_uri())
        yield browser
        assert [entry["message"] for entry in browser.get_log("browser")] == []
    finally:
        browser.quit()
