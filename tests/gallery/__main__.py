"""Draw the gallery anew: `python -m tests.gallery [--peers]`."""

import argparse
import tempfile

from tests.gallery import IMAGES, PAGE, exhibits


def draw_all():
    """Write every picture of the page, and a look at its steps from a browser."""
    with tempfile.TemporaryDirectory() as folder:
        for shown in exhibits(PAGE.read_text("utf-8"), folder):
            steps = isinstance(shown.made, str)
            text = shown.made if steps else shown.made.pipe("svg", encoding="utf-8")
            (IMAGES / shown.file).write_text(text.rstrip() + "\n" + shown.mark, "utf-8")
            if steps:
                photograph(IMAGES / shown.file)


def photograph(page):
    """Take a picture of a page of steps, at the middle of its way back."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    from tests.browser import browsing

    with browsing(page, width=1000, height=780) as browser:
        for _ in range(9):
            browser.find_element(By.TAG_NAME, "body").send_keys(Keys.ARROW_RIGHT)
        browser.save_screenshot(page.with_suffix(".png"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.gallery", description=__doc__)
    parser.add_argument("--peers", action="store_true", help="draw those of torchviz and torchview")
    if parser.parse_args().peers:
        from tests.gallery.peers import draw_peers

        draw_peers()
    else:
        draw_all()
