"""What is read of YAML that people write, and how its faults are told, whatever the document is about."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from analysis.documents import Between, Different, DocumentError, Kind, OneOrMore, Strict, Text, Word, read, validate


class Circle(Strict):
    kind: Literal["circle"]
    radius: Annotated[float, Between(0, 10)]


class Square(Strict):
    kind: Literal["square"]
    side: Annotated[int, Between(1, 5)] = Field(alias="width")


class Drawing(Strict):
    title: Text
    colours: Annotated[tuple[Annotated[str, Word("a colour", ("black",), ("paints",))], ...], OneOrMore()] = ()
    shapes: list[Annotated[Circle | Square, Field(discriminator="kind"), Kind("a shape")]]
    sizes: Annotated[tuple[int, ...], Different()] = ()


@pytest.fixture
def draw(tmp_path: Path):
    def _draw(text: str, **context: object) -> Drawing:
        path = tmp_path / "drawing.yaml"
        path.write_text(text, encoding="utf-8")
        return validate(Drawing, read(path, aliases=True, kind="drawings"), context)

    return _draw


def test_every_fault_is_told_in_the_order_of_the_file(draw) -> None:
    text = """\
title: 5
colours: [black, rad]
shapes:
  - {kind: circle, radius: .inf}
  - {kind: square, widht: 2}
  - {kind: sqare, width: 2}
  - {kind: square, width: 2.5}
  - circle
sizes: [1, 2, 1]
"""
    with pytest.raises(DocumentError) as caught:
        draw(text, paints=["red"])
    assert [str(fault).removeprefix("drawing.yaml, ") for fault in caught.value.faults] == [
        "line 1, key 'title': expected a text, found 5.",
        "line 2, key 'colours[2]': 'rad' is not a colour; the nearest is 'red'.",
        "line 4, key 'shapes[1].radius': expected a number from 0 to 10, found inf.",
        "line 5, key 'shapes[2].widht': 'widht' is not a key that is known here; the nearest is 'width'.",
        "line 6, key 'shapes[3].kind': 'sqare' is not a shape; the nearest is 'square'.",
        "line 7, key 'shapes[4].width': expected a whole number from 1 to 5, found 2.5.",
        "line 8, key 'shapes[5]': expected keys and values, found 'circle'.",
        "line 9, key 'sizes[3]': 1 stands in the list twice.",
    ]
    assert str(caught.value) == str(caught.value.faults[0])


def test_names_that_a_fault_above_kept_from_being_read_are_not_faults_of_their_own(draw) -> None:
    assert draw("{title: x, colours: rad, shapes: []}").colours == ("rad",)


def test_values_that_stand_elsewhere_keep_the_line_where_they_are_written(draw) -> None:
    text = "title: x\nshapes:\n  - &one\n    kind: circle\n    radius: 20\n  - {kind: square, width: 1}\n  - *one\n"
    with pytest.raises(DocumentError) as caught:
        draw(text)
    assert [(fault.line, fault.key) for fault in caught.value.faults] == [
        (5, "shapes[1].radius"),
        (5, "shapes[3].radius"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)),
            "100,000",
        ),
        ("a: &a [*a]\n", "for itself"),
        ("a: *b\n", "undefined alias|nothing above it"),
        ("a: 1\n---\nb: 2\n", "second document"),
        ("a: 2013-99-99\n", "quote it"),
        ("? [a]\n: b\n", "plain text"),
        ("<<: {a: 1}\n<<: {b: 1}\n", "stands twice"),
    ],
)
def test_what_is_no_plain_tree_of_values_is_refused(draw, text: str, said: str) -> None:
    with pytest.raises(DocumentError, match=f"drawing.yaml, line [0-9]+.*({said})"):
        draw(text)


def test_a_file_that_is_read_again_is_as_it_stands_whatever_was_done_to_what_was_read(tmp_path: Path) -> None:
    path = tmp_path / "drawing.yaml"
    path.write_text("a: [1]\n")
    read(path).value["a"].append(2)
    assert read(path).value == {"a": [1]}
    path.write_text("a: [3]\n")
    assert read(path).value == {"a": [3]}
