"""What a study YAML may say of every exhibit; what each kind adds is read in its own module of `kinds`."""

from __future__ import annotations

from analysis.studies.kinds import KINDS
from analysis.studies.reading import Mark, read_label
from analysis.studies.records import Exhibit, Known, Label, Study

_COMMON = ("kind", "title", "note", "published")


def read_exhibit(key: str, mark: Mark, study: Study, names: Known) -> Exhibit:
    """One exhibit: what every kind has, then what its kind adds."""
    keys = mark.mapping(None, ("kind",))
    kind = KINDS[keys["kind"].word(KINDS, "a kind of exhibit")]
    parts = mark.mapping({*_COMMON, *kind.keys})
    common = Exhibit(
        name=key,
        kind=str(keys["kind"].value),
        title=read_label(parts["title"]) if "title" in parts else Label(key.replace("_", " "), key.replace("_", " ")),
        note=read_label(parts["note"]) if "note" in parts else None,
        published=parts["published"].word(names.published, f"an exhibit of published/{study.file.name}")
        if "published" in parts
        else None,
        is_drawn=kind.picture is not None,
    )
    if not key.isidentifier():
        mark.fail(f"{key!r} must be a word of letters, digits and underscores, as in table_4.")
    return kind.read(common, mark, study, names)
