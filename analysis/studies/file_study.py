"""What a study YAML may say where its panel comes from a file, and the study that this makes.

The file is read for the names of its columns, against which each word of the YAML is checked. How a panel is made of it
is in `file_panel`; everything below the panel is said as in other studies (`written`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from analysis.documents import Different, Document, DocumentError, Location, Strict, Text, Word, faults, hint, validate
from analysis.studies import file_panel
from analysis.studies.records import FilePanel, Known, Label, Study, Variable, by_year, lagged
from analysis.studies.table_file import Table, read_table
from analysis.studies.written import (
    Controls,
    Effects,
    Role,
    WrittenStudy,
    WrittenVariable,
    Years,
    label_of,
)

#: Columns of data/reference/cities.csv that estimators read by their names.
RESERVED = ("city_code", "year")
#: Keys whose texts are for people: a column's name in them is no reference to it.
PROSE = frozenset({"title", "label", "note", "heading", "paper", "treatment_label", "panel", "study", "unit"})
ALL = "all"


class WrittenPanel(Strict):
    """The file that a panel comes from, and which of its columns are the keys and the treatment."""

    file: Text
    sheet: Text | None = None
    unit: Text
    time: Text
    treatment: Text | None = None
    adoption: Text | None = None

    @model_validator(mode="after")
    def _one_treatment(self) -> WrittenPanel:
        if (self.treatment is None) == (self.adoption is None):
            raise ValueError(
                "a panel needs either `treatment`, a column of 0 and 1, or `adoption`, a column with the first treated "
                "year"
            )
        return self


class _Panel(BaseModel):
    model_config = ConfigDict(extra="ignore")
    panel: WrittenPanel


Column = Annotated[str, Word("a column of numbers in the panel's file", of=("columns",))]


def _not_here(value: Any) -> Any:
    raise ValueError("a study from a file does not have this key: its rows and treatment stand in the file")


Absent = Annotated[Any, BeforeValidator(_not_here), WithJsonSchema({"not": {}})]


class WrittenFileVariable(WrittenVariable):
    """A column of the panel, drawn from the file. What is done to its values is done as in other studies."""

    name: Text
    role: Role = "other"
    source: Column | None = Field(default=None, alias="from", description="Column of the file that it is drawn from.")
    formula: Absent = None


class FileSample(Strict):
    """Which rows of the file the panel has; all of them where nothing is said."""

    years: Years | None = None
    exclude: Annotated[tuple[Annotated[str, Word("a unit of the panel's file", of=("units",))], ...], Different()] = ()


class WrittenFileStudy(WrittenStudy):
    """A study whose panel comes from a file."""

    policy: Absent = ""
    policy_scope: Absent = ()
    last_month: Absent = 12
    intensity: Absent = None
    other_panels: Absent = Field(default_factory=dict)
    efficiency: Absent = Field(default_factory=dict)
    policies: Absent = Field(default=(), validate_default=False)
    treatment: Text = "treated"
    sample: FileSample = Field(default_factory=FileSample)  # type: ignore[assignment]
    variables: Literal["all"] | tuple[WrittenFileVariable, ...]  # type: ignore[assignment]
    controls: Controls = ()
    fixed_effects: Effects = ("unit", "time")
    cluster: Effects = ("unit",)
    panel: WrittenPanel

    @field_validator("variables", mode="before")
    @classmethod
    def _names_stand_for_columns(cls, value: Any, info: ValidationInfo) -> Any:
        """A plain text in the list is a column under its own name."""
        if isinstance(value, str) and value != ALL:
            raise ValueError(f"expected {ALL!r} or a list of columns, found {value!r}")
        if not isinstance(value, list):
            return value
        columns = (info.context or {}).get("columns", ())
        wrong: dict[Location, str] = {}
        entries = []
        for at, entry in enumerate(value):
            entry = {"name": str(entry)} if isinstance(entry, (str, int)) else entry
            if isinstance(entry, dict) and "from" not in entry and isinstance(entry.get("name"), str):
                entry = {**entry, "from": entry["name"]}
                if entry["name"] not in columns:
                    where = (at, "name") if isinstance(value[at], dict) else (at,)
                    said = "is not a column of numbers in the panel's file"
                    wrong[where] = f"{entry['name']!r} {said}{hint(entry['name'], columns)}"
            entries.append(entry)
        if wrong:
            raise faults(wrong)
        return entries

    @field_validator("sample", "variables", "policies", "groups", "weights", "other_panels")
    @classmethod
    def _may_be_named_below(cls, part: Any, info: ValidationInfo) -> Any:
        context = info.context if info.context is not None else {}
        if info.field_name == "sample":
            context["years"] = part.years or context["years"]
        if info.field_name == "variables":
            names = list(context["columns"]) if part == ALL else [variable.name for variable in part]
            context["measured"] = context["variables"] = names
            context["group_columns"] = [info.data.get("treatment"), *names]
        if info.field_name in ("groups", "weights"):
            context[info.field_name] = [getattr(entry, "name", entry) for entry in part]
        return part

    @field_validator("variables", "policies", "groups")
    @classmethod
    def _names_differ(cls, parts: Any, info: ValidationInfo) -> Any:
        above = [info.data.get("treatment"), *(info.context or {}).get("keys", ())]
        if info.field_name == "groups":
            above += (info.context or {}).get("variables", [])
        wrong: dict[Location, str] = {}
        for at, part in enumerate(parts if isinstance(parts, tuple) else ()):
            if part.name in above:
                wrong[at, "name"] = f"a column {part.name!r} stands in the panel already."
            above.append(part.name)
        if wrong:
            raise faults(wrong)
        return parts


def is_file_study(document: Document) -> bool:
    """Whether a study names a file."""
    return isinstance(document.value, dict) and "panel" in document.value


def load(
    document: Document, names: Known, source: Path | None = None
) -> tuple[Document, WrittenFileStudy, Study, Known]:
    """The document with names as estimators take them, what it says, the study without exhibits, and its names.

    Parameters
    ----------
    source
        Where the file is, if not where the YAML says.

    Raises
    ------
    DocumentError
        With every fault of the YAML, a file that cannot be read and columns that it does not have among them.
    """
    said = validate(_Panel, document).panel
    panel, table, years = _panel(document, said, names, source)
    known = _known(names, panel, table)
    inside = _renamed(document, panel.aliases, {panel.unit: "unit", panel.time: "time"})
    columns = [panel.aliases.get(name, name) for name in _columns(panel, table)]
    keys = (panel.unit, panel.time, "adoption", *((panel.place,) if panel.place else ()))
    units = [file_panel.unit_text(value) for value in table.frame[panel.unit].dropna().unique()]
    context: dict[str, Any] = {
        **{key: getattr(known, key) for key in ("city_columns", "city_numbers", "flags", "cities", "city_values")},
        "columns": columns,
        "years": years,
        "units": units,
        "keys": keys,
    }
    written = validate(WrittenFileStudy, inside, context)
    treatment = _treatment(document, written, panel, table)
    panel = replace(panel, exclude=written.sample.exclude)
    return inside, written, _study(written, panel, table, treatment, years, document.path), known


def _panel(
    document: Document, said: WrittenPanel, names: Known, source: Path | None
) -> tuple[FilePanel, Table, tuple[int, int]]:
    """The file's keys, treatment, places and names, each checked against the file."""

    def fault(key: str, error: Exception | str) -> DocumentError:
        return DocumentError(document.fault(("panel", key), str(error)))

    path = source or _inside(document.path, said.file)
    if path is None:
        outside = "lies outside the own folder; put it into panels/ there, so that the study is whole."
        raise fault("file", f"{said.file!r} {outside}")
    try:
        table = read_table(path, said.sheet)
    except ValueError as error:
        raise fault("sheet" if "has no sheet" in str(error) else "file", error) from None
    columns = {key: getattr(said, key) for key in ("unit", "time", "treatment", "adoption") if getattr(said, key)}
    found = []
    for key, name in columns.items():
        try:
            file_panel.column_of(table, name, f"`{key}`")
        except ValueError as error:
            found.append(document.fault(("panel", key), str(error)))
        if name in [other for earlier, other in columns.items() if earlier != key]:
            found.append(document.fault(("panel", key), f"{name!r} is named for two of the panel's keys."))
    if found:
        raise DocumentError(*found)
    try:
        when = file_panel.periods(table, said.time)
    except ValueError as error:
        raise fault("time", error) from None
    if when.isna().all():
        raise fault("time", f"{table.path.name}: the column {said.time!r} is empty.")
    codes, _ = file_panel.unit_places(table, said.unit, names.places)
    own = {str(column) for column in table.frame.columns}
    as_coded = all(file_panel.unit_text(value) == code for value, code in codes.items())
    place = None if as_coded else next(name for name in file_panel.PLACE if name not in own)
    taken = own - {said.unit, said.time, said.adoption}
    panel = FilePanel(
        file=said.file,
        path=path,
        sheet=said.sheet,
        unit=said.unit,
        time=said.time,
        treatment=said.treatment,
        adoption=said.adoption,
        place=place,
        cities=bool(codes),
        aliases={name: f"{name} (column)" for name in RESERVED if name in taken},
        words=tuple(file_panel.worded(table, (said.unit, said.time, said.treatment, said.adoption, "adoption"))),
    )
    return panel, table, (int(when.min()), int(when.max()))


def _inside(study: Path, file: str) -> Path | None:
    """Where a file of the own folder is, named from there; None for one outside."""
    named = PurePosixPath(file)
    if named.is_absolute() or ".." in named.parts:
        return None
    return study.resolve().parent.parent / named


def _columns(panel: FilePanel, table: Table) -> list[str]:
    """Columns of numbers that may be variables, by the file's own names."""
    return file_panel.measurable(table, (panel.unit, panel.time, panel.treatment, panel.adoption, "adoption"))


def _known(names: Known, panel: FilePanel, table: Table) -> Known:
    """What exhibits may name: the file's columns of words, and what is known of cities where the units are such."""
    words = [panel.aliases.get(name, name) for name in panel.words]
    units = {file_panel.unit_text(value) for value in table.frame[panel.unit].dropna().unique()}
    if not panel.cities:
        return replace(names, city_columns=tuple(words), city_values={}, cities=frozenset(units))
    joined = [name for name in names.city_columns if name not in words]
    values = {name: held for name, held in names.city_values.items() if name in joined}
    return replace(names, city_columns=(*joined, *words), city_values=values, cities=frozenset(names.cities | units))


def _treatment(document: Document, written: WrittenFileStudy, panel: FilePanel, table: Table) -> str:
    """The name of the 0/1 column: the file's own, or of the one that is made from the year of adoption."""
    stated = "treatment" in written.model_fields_set
    if panel.treatment is not None:
        if stated and written.treatment != panel.treatment:
            said = f"the treatment is {panel.treatment!r}, as `panel` says; leave this key out."
            raise DocumentError(document.fault(("treatment",), said))
        return panel.treatment
    if written.treatment in table.frame.columns:
        said = f"{written.treatment!r} is a column of {table.path.name}; name the column made by `treatment:`."
        raise DocumentError(document.fault(("treatment",), said))
    return written.treatment


def _study(
    written: WrittenFileStudy, panel: FilePanel, table: Table, treatment: str, years: tuple[int, int], path: Path
) -> Study:
    own = {inside: name for name, inside in panel.aliases.items()}
    if written.variables == ALL:
        names = [panel.aliases.get(name, name) for name in _columns(panel, table)]
        entries = [WrittenFileVariable.model_validate({"name": name, "from": name}) for name in names]
    else:
        entries = list(written.variables)  # type: ignore[arg-type]
    defaults = {key: getattr(written, key) for key in ("interpolate", "max_gap", "winsorize")}
    variables = tuple(_variable(entry, written, defaults, table, own) for entry in entries)
    span = written.sample.years or years
    variables, controls = lagged(variables, by_year(written.controls, span), written.controls_lag)
    return Study(
        name=written.study,
        title=written.title.label,
        citation=written.paper.citation if written.paper else None,
        doi=written.paper.doi if written.paper else None,
        policy="",
        policy_scope=(),
        treatment=treatment,
        treatment_label=label_of(written.treatment_label, _said(table, treatment).en),
        cities="",
        years=span,
        other_panels={},
        variables=variables,
        efficiency=(),
        policies=(),
        groups=tuple(group.record for group in written.groups),
        outcomes=written.outcomes,
        controls=controls,
        fixed_effects=written.fixed_effects,
        cluster=written.cluster,
        exhibits=(),
        note=written.note.label if written.note else None,
        file=path,
        weights={name: matrix.record(name, variables) for name, matrix in written.weights.items()},
        panel=panel,
    )


def _said(table: Table, column: str) -> Label:
    """The file's own label of a column, or its name."""
    text = table.labels.get(column, column)
    return Label(text, text)


def _variable(
    entry: WrittenFileVariable,
    written: WrittenFileStudy,
    defaults: Mapping[str, Any],
    table: Table,
    own: Mapping[str, str],
) -> Variable:
    made = entry.record(defaults, dict.fromkeys([entry.source or entry.name], ""))
    source = own.get(made.source, made.source)
    role = "outcome" if entry.name in written.outcomes else "control" if entry.name in written.controls else "other"
    # a column under another name keeps that name where the file says nothing of it
    said = _said(table, source) if source in table.labels else Label(*2 * (own.get(entry.name, entry.name),))
    return replace(
        made,
        source=source,
        role=entry.role if "role" in entry.model_fields_set else role,
        label=made.label if entry.label else said,
        unit=made.unit.strip(),
    )


def _renamed(document: Document, aliases: Mapping[str, str], keys: Mapping[str, str]) -> Document:
    """The document with columns under the names that estimators take, where the file's own are taken by keys.

    Effects and clusters may name the file's key columns, which are "unit" and "time" there.
    """
    lines: dict[Location, int] = {}

    def walk(value: Any, here: Location, there: Location, prose: bool) -> Any:
        lines[there] = document.lines[here]
        if not prose and isinstance(value, str) and any(key in ("fixed_effects", "cluster") for key in here):
            return keys.get(value, aliases.get(value, value))
        if isinstance(value, dict):
            names = {key: key if prose else aliases.get(key, key) for key in value}
            return {
                names[key]: walk(each, (*here, key), (*there, names[key]), prose or key in PROSE)
                for key, each in value.items()
            }
        if isinstance(value, list):
            return [walk(each, (*here, at), (*there, at), prose) for at, each in enumerate(value)]
        return value if prose or not isinstance(value, str) else aliases.get(value, value)

    value = walk(document.value, (), (), False)
    return Document(document.path, value, lines)
