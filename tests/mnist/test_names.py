"""Names of classes: read from a file that may be anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_mnist.mnist import Config, InputError
from tinygrad_mnist.mnist.names import load_names

lines = st.text(
    st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=40
)  # which no line breaks are


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("names") / "names.txt"


@given(
    st.lists(lines, min_size=2, max_size=12, unique=True),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig"]),
)
def test_names_stand_one_on_each_line(file, names, newline, encoding):
    file.write_bytes((newline.join(names) + 2 * newline).encode(encoding))
    assert load_names(file) == tuple(names)


@given(st.binary(max_size=300))
def test_any_bytes_are_names_or_refused_in_a_sentence(file, content):
    file.write_bytes(content)
    try:
        names = load_names(file)
    except InputError as error:
        assert str(file) in str(error)
        assert "\n" not in str(error)
    else:
        assert Config(labels=names).class_names == names


@pytest.mark.parametrize(
    ("content", "sentence"),
    {
        b"": r"labels is \(\): give 2 to 256 names of classes",
        b"a": r"labels is \('a',\): give 2 to 256",
        b"a\n\nb": "the name of class 1 is '': give 1 to 40 characters",
        b"a\n" + b"b" * 41: "the name of class 1 is 'b+': give 1 to 40",
        b"a\nb\x1b[2J": r"the name of class 1 is 'b\\x1b\[2J'",
        b"a\nb\na": "classes 0 and 2 are both named 'a': give each a name of its own",
        b"\xff\xfe": "is no text in UTF-8 .*: save it as such",
        b"a\n" * 40_000: "is too long for the names of classes: give one on each line",
        b"\n".join(b"%d" % n for n in range(257)): r"labels is \('0', .*…: give 2 to 256",
    }.items(),
)
def test_what_cannot_be_names_is_refused(file, content, sentence):
    file.write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        load_names(file)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"nowhere can't be read \(No such file.*give another"):
        load_names(tmp_path / "nowhere")
