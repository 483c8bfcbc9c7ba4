"""What a published file may say of a paper's words, and that its faults name line and key."""

import pytest

from analysis.studies.published import published

FILE = "exhibits: {table_1: {}}\ntext:\n"


def read(tmp_path, text: str):
    (tmp_path / "trial.yaml").write_text(FILE + text, encoding="utf-8")
    return published("trial", tmp_path).text


def test_words_are_taken_apart(tmp_path) -> None:
    text = read(
        tmp_path,
        """\
  cities: 10
  years: [2001, 2003]
  event_studies: {figure_1: {base: -1, leads: 2, lags: 3}}
  definitions: [{variable: x, says: a share, scale: share, from: absent}]
  claims:
    - says: it is 0.5
      exhibit: table_1
      terms: [did]
      estimate: 0.5
      larger_than: {exhibit: table_2, model: a, term: did}
""",
    )
    assert (text.cities, text.years, text.treated_cities) == (10, (2001, 2003), None)
    assert text.event_studies["figure_1"].lags == 3
    assert text.definitions["x"].source == "absent"
    claim = text.claims[0]
    assert (claim.estimate, claim.models, claim.larger_than.model) == (0.5, (), "a")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("  citys: 10\n", ["line 3", "citys", "cities"]),
        ("  winsorized: [0.99, 0.01]\n", ["line 3", "winsorized", "comes after"]),
        ("  definitions: [{variable: x, says: y, scale: shares}]\n", ["line 3", "scale", "share"]),
        ("  definitions: [{variable: x, says: y, scale: log, from: gdp_10k}]\n", ["line 3", "from", "gdp_10k_yuan"]),
        ("  claims: [{says: y, exhibit: table_1}]\n", ["line 3", "terms", "missing"]),
    ],
)
def test_a_fault_names_line_key_and_the_nearest_word(tmp_path, line: str, words: list[str]) -> None:
    with pytest.raises(ValueError) as error:
        read(tmp_path, line)
    for word in words:
        assert word in str(error.value)


def test_a_file_without_words_has_none(tmp_path) -> None:
    (tmp_path / "trial.yaml").write_text("exhibits: {table_1: {}}\n", encoding="utf-8")
    assert published("trial", tmp_path).text.claims == ()


@pytest.mark.parametrize("name", ["ai_pilot_zones", "innovative_clusters"])
def test_every_claim_of_the_papers_speaks_of_a_printed_number(name: str) -> None:
    paper = published(name)
    keys = set(paper.table[["exhibit", "term"]].itertuples(index=False, name=None))
    models = set(paper.table[["exhibit", "model"]].itertuples(index=False, name=None))
    for claim in paper.text.claims:
        assert {(claim.exhibit, term) for term in claim.terms} <= keys, claim.says
        assert {(claim.exhibit, model) for model in claim.models} <= models, claim.says
