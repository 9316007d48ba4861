"""The gallery shows what its code draws now."""

import re

import pytest

from tests.gallery import IMAGES, PAGE, exhibits

TEXT = PAGE.read_text("utf-8")


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    return list(exhibits(TEXT, tmp_path_factory.mktemp("gallery")))


def test_every_picture_is_drawn_from_what_its_code_makes(shown):
    old = [
        one.file for one in shown if not (IMAGES / one.file).read_text("utf-8").endswith(one.mark)
    ]
    assert old == [], "draw them anew: python -m tests.gallery"


def test_every_picture_is_on_the_page(shown):
    linked = set(re.findall(r"images/gallery/(\S+?)\)", TEXT))
    assert {path.name for path in IMAGES.iterdir()} == linked
    assert {one.file for one in shown} <= linked


def test_the_mark_of_a_picture_tells_another_one(shown):
    marks = [one.mark for one in shown]
    assert len(set(marks)) == len(marks) > 12


def test_a_picture_is_small(shown):
    assert max(path.stat().st_size for path in IMAGES.iterdir()) < 150_000
