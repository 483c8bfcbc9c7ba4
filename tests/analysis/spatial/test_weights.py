"""Weights from coordinates, from GDP and from the borders of the prefectures."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from shapely.geometry import box

from analysis.spatial import (
    Weights,
    contiguity,
    distance_bands,
    economic_nested,
    great_circle,
    inverse_distance,
    prefecture_coordinates,
    prefecture_polygons,
)
from analysis.spatial.geography import prefecture_codes, prefecture_names


@pytest.fixture(scope="module")
def borders() -> Weights:
    return contiguity(prefecture_polygons(), normalise=None, isolated="keep")


PLACES = pd.DataFrame(
    {"longitude": [116.4, 121.5, 113.3, 104.1], "latitude": [39.9, 31.2, 23.1, 30.7]},
    index=["110000", "310000", "440100", "510100"],
)


def test_the_mainland_has_337_prefectures_with_894_common_borders(borders):
    assert len(prefecture_codes()) == borders.n == 337
    assert borders.matrix.nnz / 2 == 894
    assert borders.is_symmetric


def test_three_areas_in_gansu_that_are_no_prefectures_would_add_eight_borders():
    areas = ["629700", "629800", "629900"]  # a horse farm and two reserves
    assert not set(areas) & set(prefecture_codes())
    weights = contiguity(prefecture_polygons([*prefecture_codes(), *areas]), normalise=None, isolated="keep")
    assert weights.matrix.nnz / 2 == 902


def test_only_zhoushan_and_the_cities_of_hainan_touch_nobody(borders):
    assert set(prefecture_names(borders.isolated)) == {"舟山市", "海口市", "三亚市", "三沙市", "儋州市"}


def test_known_neighbours_touch(borders):
    table = borders.neighbours(prefecture_names().to_dict()).set_index("unit")
    assert set(table.loc["110000", "neighbours"].split(", ")) == {"天津市", "保定市", "张家口市", "承德市", "廊坊市"}
    assert set(table.loc["310000", "neighbours"].split(", ")) == {"苏州市", "南通市", "嘉兴市"}


def test_islands_are_linked_with_the_nearest_city_and_the_notes_say_so():
    weights = contiguity(prefecture_polygons(["330900", "330200", "330100", "460100", "440800"]), normalise=None)
    table = weights.neighbours().set_index("unit")["neighbours"]
    assert table["330900"] == "330200"  # Zhoushan and Ningbo
    assert table["460100"] == "440800"  # Haikou and Zhanjiang, across the strait
    assert weights.is_symmetric
    assert any("330900 touches no other unit" in note for note in weights.notes)
    with pytest.raises(ValueError, match="330900"):
        contiguity(prefecture_polygons(["330900", "330200"]), isolated="error")


def test_codes_without_a_polygon_are_named():
    with pytest.raises(ValueError, match="341400"):
        prefecture_polygons(["340100", "341400"])


def test_corners_count_as_borders_but_gaps_do_not():
    squares = {"a": box(0, 0, 1, 1), "b": box(1, 1, 2, 2), "c": box(1, 0, 2, 1), "d": box(2.1, 0, 3, 1)}
    weights = contiguity(squares, normalise=None, isolated="keep")
    expected = [[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(weights.matrix.toarray(), expected)
    assert weights.isolated == ["d"]


def test_great_circle_distances_are_kilometres():
    distance = great_circle(PLACES)
    assert distance[0, 1] == pytest.approx(1070, abs=5)  # Beijing to Shanghai
    degree = great_circle(pd.DataFrame({"longitude": [0, 0, 180], "latitude": [0, 1, 0]}))
    assert degree[0, 1] == pytest.approx(6371.0088 * np.pi / 180)
    assert degree[0, 2] == pytest.approx(6371.0088 * np.pi)


def test_inverse_distance_follows_power_and_cutoff():
    distance = great_circle(PLACES)
    np.fill_diagonal(distance, np.inf)
    np.testing.assert_allclose(inverse_distance(PLACES, normalise=None).matrix.toarray(), 1 / distance)
    cut = inverse_distance(PLACES, power=2, cutoff=1300, normalise=None)
    np.testing.assert_allclose(cut.matrix.toarray(), np.where(distance <= 1300, distance**-2.0, 0))
    with pytest.raises(ValueError, match="no other unit within 100 km"):
        inverse_distance(PLACES, cutoff=100)
    linked = inverse_distance(PLACES, cutoff=100, isolated="nearest")
    assert not linked.isolated
    with pytest.raises(ValueError, match="110000 and 110001 lie in the same place"):
        inverse_distance(pd.concat([PLACES, PLACES.iloc[[0]].set_axis(["110001"])]))


def test_nested_weights_multiply_nearness_by_relative_gdp():
    gdp = pd.Series({"510100": 2.0, "440100": 3.0, "310000": 4.0, "110000": 3.0})
    plain = inverse_distance(PLACES, normalise=None).matrix.toarray()
    nested = economic_nested(PLACES, gdp, normalise=None)
    np.testing.assert_allclose(nested.matrix.toarray(), plain * np.array([1, 4 / 3, 1, 2 / 3]))
    np.testing.assert_allclose(economic_nested(PLACES, gdp).row_sums, 1)
    with pytest.raises(ValueError, match="No positive GDP for 310000"):
        economic_nested(PLACES, gdp.drop("310000"))
    with pytest.raises(ValueError, match="more than one number for 310000"):
        economic_nested(PLACES, pd.concat([gdp, gdp.loc[["310000"]]]))


def test_normalisations_give_unit_row_sums_or_a_unit_spectral_radius():
    places = prefecture_coordinates(prefecture_codes()[:60])
    raw = inverse_distance(places, normalise=None)
    assert raw.is_symmetric
    assert raw.spectral_normalised().is_symmetric
    assert not raw.row_normalised().is_symmetric
    assert raw.row_normalised().constant_row_sum == pytest.approx(1)
    radius = np.abs(np.linalg.eigvals(raw.spectral_normalised().matrix.toarray())).max()
    assert radius == pytest.approx(1, rel=1e-10)


def test_eigenvalues_of_nested_weights_are_real_and_equal_the_dense_ones():
    places = prefecture_coordinates(prefecture_codes()[:40])
    weights = economic_nested(places, pd.Series(np.arange(1.0, 41), index=places.index))
    found = weights.spectrum.eigenvalues
    assert np.isrealobj(found)
    dense = np.sort(np.linalg.eigvals(weights.matrix.toarray()).real)
    np.testing.assert_allclose(np.sort(found), dense, atol=1e-10)


def test_bands_split_all_pairs():
    bands = distance_bands(PLACES, [0, 1200, 1500, 3000], normalise=None)
    assert list(bands) == ["0-1200", "1200-1500", "1500-3000"]
    total = sum(band.matrix.toarray() for band in bands.values())
    np.testing.assert_array_equal(total, 1 - np.eye(4))


def test_a_matrix_survives_saving(tmp_path):
    weights = inverse_distance(PLACES)
    weights.save(tmp_path / "weights.parquet")
    again = Weights.load(tmp_path / "weights.parquet")
    assert again.labels == weights.labels
    np.testing.assert_array_equal(again.matrix.toarray(), weights.matrix.toarray())


def test_neighbours_are_listed_by_weight():
    table = inverse_distance(PLACES).neighbours({"310000": "上海市"})
    assert table.loc[0, "neighbours"] == "上海市, 510100, 440100"
    assert table.loc[0, "count"] == 3


@pytest.mark.parametrize(
    ("matrix", "labels", "words"),
    [
        (np.ones((2, 3)), "ab", "2 x 3"),
        (1 - np.eye(2), "abc", "3 labels"),
        (1 - np.eye(2), "aa", "repeat: a"),
        (np.eye(2), "ab", "a is its own neighbour"),
        (np.array([[0, -1.0], [1, 0]]), "ab", "weights of a hold a negative"),
        (np.array([[0, 1.0], [np.nan, 0]]), "ab", "weights of b hold a negative, missing"),
    ],
)
def test_matrices_that_are_no_weights_are_refused(matrix, labels, words):
    with pytest.raises(ValueError, match=words):
        Weights(sparse.csr_array(matrix), list(labels))


def test_dense_arrays_are_taken_too_and_never_changed():
    given = np.array([[0.0, 2.0], [3.0, 0.0]])
    weights = Weights(given, ["a", "b"])
    np.testing.assert_array_equal(weights.matrix.toarray(), given)
    np.testing.assert_array_equal(given, [[0, 2], [3, 0]])


def test_subset_keeps_order_and_names_strangers():
    weights = inverse_distance(PLACES, normalise=None)
    part = weights.subset(["440100", "110000"])
    assert part.matrix.toarray()[0, 1] == weights.matrix.toarray()[2, 0]
    with pytest.raises(ValueError, match="no row for 999999"):
        weights.subset(["999999"])
