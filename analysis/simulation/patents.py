"""Patent records of the sample world: one CSV a filing year, one row an application.

The counts of green inventions and utility models by city and year are the world's, exactly; names, addresses, classes
and dates are drawn around them. Planted rows, which must not count, are added beside them and listed in a ledger.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from analysis.simulation.draws import YEARS as WORLD_YEARS
from analysis.simulation.draws import stream
from analysis.simulation.world import World
from analysis.simulation.yearbook import FORMER_NAMES

HEADER = "申请号,专利类型,申请日,授权公告日,IPC分类号,申请人,地址"
KINDS = ("发明专利", "实用新型", "外观设计")
#: Years of application with a file.
YEARS = WORLD_YEARS[WORLD_YEARS >= 2005]
#: Nothing is published after this day, so later grants are not known.
LAST_DAY = "2023-12-31"

#: Classes named in the IPC Green Inventory, and classes far from anything in it.
GREEN = (
    "H01L31/042", "H01L31/048", "H02S20/30", "H02S40/22", "F03D9/25", "F03D7/00", "F03D1/06", "C02F1/44", "C02F3/30",
    "C02F9/14", "C02F11/12", "B01D53/78", "B01D53/50", "B01D53/86", "H01M10/44", "H01M8/04", "F24S10/40", "F24S30/42",
    "E04B1/76", "E04B1/80", "F23G5/44", "F23G7/06", "B09B3/00", "F01N3/20", "C10L5/44", "F25B30/06", "C05F17/00",
    "H02J7/35", "F23J15/02", "E03F5/14",
)  # fmt: skip
OTHER = (
    "G06F17/30", "H04L29/06", "H04W4/02", "A61K36/28", "A61B5/00", "B25J9/16", "H01R13/02", "F16L3/10", "B65D5/42",
    "A47C7/46", "G06T7/00", "B23Q3/08", "D06F37/12", "H05K7/20", "C07D401/12", "A23L33/10", "F16K31/06", "G01N33/68",
    "B21D37/10", "H04N5/225", "A01K63/04", "E05B65/06", "B29C45/26", "G09F9/30",
)  # fmt: skip
DESIGNS = ("06-01", "09-03", "12-11", "14-03", "23-01", "26-05", "07-01", "02-02")
WORDS = ("恒达", "华泰", "绿源", "中科", "金鼎", "远航", "天和", "瑞丰", "新锐", "东升", "宏图", "博远")
FIRMS = ("环保公司", "能源公司", "科技公司", "机械公司", "大学")
PLACES = (
    "高新区科技路", "经开区创业路", "工业园兴业路", "城东人民路", "城关镇建设路", "新区南京路", "开发区北京路",
    "大学城学府路", "老城区解放路", "科创园上海路",
)  # fmt: skip
ADDRESSES = 40

BAD_DATES = ("{year}-13-05", "{year}-02-30", "待补", "0{year}-6")
#: No date; a text without any figure, as 待公告, says that there is no grant yet.
BAD_GRANTS = ("{year}-13-05", "{year}-02-30", "0{year}-6", "{year}年授权")
NO_PLACES = ("日本东京都港区样例一丁目", "美国加利福尼亚州样例街", "见变更记录", "云岭新区样例路1号")
GARBLED_CLASSES = ("HO1L31/042", "分类号待定", "C02F", "31/042;1/44")
#: Serials of planted applications that no application of the world has start here.
PLANTED = 9_000_000


@dataclass(frozen=True)
class PatentFault:
    """A planted row that must not count: where it stands, which rule must catch it, and what is wrong with it.

    ``row`` is the line of the file, the header being 1. ``kind``: copy (the same row again), listed_before_grant (the
    same application as it was published, before its grant was known), bad_date (no filing date), bad_grant (no date of
    grant), granted_before_filing, no_city (an address of no city), garbled_class (no class that can be read).
    """

    file: str
    row: int
    rule: str
    kind: str
    application_number: str
    value: str


RULES = {
    "copy": "duplicate_key",
    "listed_before_grant": "duplicate_key",
    "bad_date": "unknown_year",
    "bad_grant": "unknown_grant_date",
    "granted_before_filing": "dates_out_of_order",
    "no_city": "unknown_city",
    "garbled_class": "unknown_class",
}


def write(world: World, year: int, path: Path) -> tuple[int, list[PatentFault]]:
    """Write a year's applications; returns the rows written and those planted.

    The bytes depend on the world and the year alone.
    """
    import pyarrow as pa
    from pyarrow import csv

    rng = stream(world.seed, f"patents {year}")
    city, kind, green = _applications(world, year, rng)
    n = len(city)
    day = np.sort(rng.integers(0, 365, n))
    table = pa.table(
        {
            "number": _numbers(year, kind, _serials(kind)),
            "kind": _pick(KINDS, kind),
            "filed": _days(year, day),
            "granted": _grants(year, day, kind, rng),
            "ipc": _classes(kind, green, rng),
            "applicant": _applicants(world, city, rng),
            "address": _addresses(world, year, city, rng),
        }
    )
    planted = _plant(table, year, np.flatnonzero(green & (kind < 2)), stream(world.seed, f"patent faults {year}"))
    plain = csv.WriteOptions(include_header=False, quoting_style="none", batch_size=16384)
    with path.open("wb") as sink:
        sink.write(f"{HEADER}\n".encode())
        written = 0
        for before, row, _ in planted:
            csv.write_csv(table.slice(written, before - written), sink, plain)
            sink.write(f"{','.join(row.values())}\n".encode())
            written = before
        csv.write_csv(table.slice(written), sink, plain)
    name = f"{path.parent.name}/{path.name}"
    faults = [replace(fault, file=name, row=before + place + 2) for place, (before, _, fault) in enumerate(planted)]
    return n + len(faults), faults


def _plant(
    table: Any, year: int, countable: np.ndarray, rng: np.random.Generator
) -> list[tuple[int, dict[str, str], PatentFault]]:
    """Planted rows: before which row of ``table`` each stands, its cells, and its entry but for the place.

    Each is made from a row of ``countable``, so that a rule that misses it makes the counts wrong.
    """
    granted = np.flatnonzero(table["granted"].is_valid().to_numpy())
    again = "copy" if year % 2 else "listed_before_grant"
    kinds = (again, "bad_date", "bad_grant", "granted_before_filing", "no_city", "no_city", "garbled_class")
    chosen: list[tuple[int, dict[str, str], PatentFault]] = []
    for place, kind in enumerate(kinds):
        pool = np.intersect1d(countable, granted) if kind == "listed_before_grant" else countable
        if not len(pool):
            continue
        source = int(rng.choice(pool))
        row = {name: cell or "" for name, cell in table.slice(source, 1).to_pylist()[0].items()}
        column, change = _fault(kind, row, year, place)
        number = row["number"] if kind == again else str(_numbers(year, np.array([0]), np.array([PLANTED + place]))[0])
        row |= {"number": number, **change}
        # of two equal rows the later one is the copy; otherwise any place will do
        before = int(rng.integers(source + 1 if kind == "copy" else 0, table.num_rows + 1))
        chosen.append((before, row, PatentFault("", 0, RULES[kind], kind, number, row[column])))
    return sorted(chosen, key=lambda plant: plant[0])


def _fault(kind: str, row: dict[str, str], year: int, place: int) -> tuple[str, dict[str, str]]:
    """The column that is wrong, and what a planted row says differently from the row that it was made from."""
    turn = year + place
    invention = {"kind": KINDS[0]}
    if kind == "listed_before_grant":
        return "number", {"granted": ""}
    if kind == "bad_date":
        return "filed", invention | {"filed": BAD_DATES[turn % len(BAD_DATES)].format(year=year), "granted": ""}
    if kind == "bad_grant":
        return "granted", invention | {"granted": BAD_GRANTS[turn % len(BAD_GRANTS)].format(year=year + 2)}
    if kind == "granted_before_filing":
        day = np.datetime64(row["filed"]) - 200 - place
        return "granted", invention | {"granted": str(day)}
    if kind == "no_city":
        return "address", invention | {"address": NO_PLACES[turn % len(NO_PLACES)]}
    if kind == "garbled_class":
        return "ipc", invention | {"ipc": GARBLED_CLASSES[turn % len(GARBLED_CLASSES)]}
    return "number", {}


def _applications(world: World, year: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """City, kind (0 invention, 1 utility model, 2 design) and greenness of each application, in order of filing."""
    at = int(np.flatnonzero(world.years == year)[0])
    inventions, models = world.applications("gti1")[:, at], world.applications("gti2")[:, at]
    parts = [(inventions, 0, True), (models, 1, True)]
    parts += [
        (((inventions + models) * share).astype(int) + 1, kind, False)
        for kind, share in enumerate((0.14, 0.125, 0.085))
    ]
    everyone = np.arange(len(world.cities))
    city = np.concatenate([np.repeat(everyone, counts) for counts, _, _ in parts])
    kind = np.concatenate([np.full(counts.sum(), kind) for counts, kind, _ in parts])
    green = np.concatenate([np.full(counts.sum(), green) for counts, _, green in parts])
    order = rng.permutation(len(city))
    return city[order], kind[order], green[order]


def _pick(words: Any, index: np.ndarray, mask: np.ndarray | None = None) -> Any:
    """A dictionary-encoded column of words by position; masked rows are blank."""
    import pyarrow as pa

    positions = pa.array(index.astype(np.int32), mask=mask)
    return pa.DictionaryArray.from_arrays(positions, pa.array(list(words), type=pa.string()))


def _serials(kind: np.ndarray) -> np.ndarray:
    """Serials from 1 in order of filing, one series a kind."""
    serial = np.empty(len(kind), dtype=np.int64)
    for value in range(3):
        chosen = kind == value
        serial[chosen] = np.arange(1, chosen.sum() + 1)
    return serial


def _numbers(year: int, kind: np.ndarray, serial: np.ndarray) -> Any:
    """Application numbers: CN, year, type, seven digits in order of filing, a point, the check digit (ZC 0006-2003)."""
    import pyarrow as pa

    number = (year * 10 + kind + 1) * 10_000_000 + serial
    digits = number[:, None] // 10 ** np.arange(11, -1, -1)[None, :] % 10
    check = digits @ np.array([2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]) % 11
    text = np.empty((len(kind), 16), dtype=np.uint8)
    text[:, :2] = list(b"CN")
    text[:, 2:14] = digits + ord("0")
    text[:, 14] = ord(".")
    text[:, 15] = np.where(check == 10, ord("X"), check + ord("0"))
    offsets = np.arange(len(kind) + 1, dtype=np.int32) * 16
    return pa.StringArray.from_buffers(len(kind), pa.py_buffer(offsets), pa.py_buffer(text))


def _days(year: int, day: np.ndarray, mask: np.ndarray | None = None) -> Any:
    """Days after 1 January of a year as ISO dates; masked rows are blank."""
    calendar = np.datetime64(f"{year}-01-01") + np.arange(int(day.max(initial=0)) + 1)
    return _pick(calendar.astype(str), day, mask)


def _grants(year: int, day: np.ndarray, kind: np.ndarray, rng: np.random.Generator) -> Any:
    """Grant dates: about half of inventions after some three years, nine in ten of the others within one."""
    shortest = np.array([500, 120, 60])[kind]
    granted = day + shortest + (np.array([1100, 260, 140])[kind] * rng.random(len(kind))).astype(int)
    last = int((np.datetime64(LAST_DAY) - np.datetime64(f"{year}-01-01")).astype(int))
    refused = rng.random(len(kind)) > np.array([0.5, 0.92, 0.9])[kind]
    return _days(year, np.minimum(granted, last), refused | (granted > last))


def _classes(kind: np.ndarray, green: np.ndarray, rng: np.random.Generator) -> Any:
    """IPC lists: a green application has a green class somewhere in its list, first or later; designs have Locarno."""
    pool: list[str] = []
    for first, code in enumerate(GREEN):
        other = OTHER[first % len(OTHER)]
        spaced = f"{code[:4]} {code[4:]}"
        pool += [code, f"{code};{GREEN[(first + 7) % len(GREEN)]}", f"{other};{code}", f"{spaced};{other}", code]
        pool.append(f"{code}(2006.01)I")
    plain = len(pool)
    for first, code in enumerate(OTHER):
        pool += [code, f"{code};{OTHER[(first + 5) % len(OTHER)]}", f"{code[:4]} {code[4:]}"]
    design = len(pool)
    pool += [f"{code}" for code in DESIGNS]
    low = np.where(green, 0, np.where(kind == 2, design, plain))
    high = np.where(green, plain, np.where(kind == 2, len(pool), design))
    return _pick(pool, low + ((high - low) * rng.random(len(kind))).astype(int))


def _applicants(world: World, city: np.ndarray, rng: np.random.Generator) -> Any:
    """Made-up applicants, each with 样例 (sample) in its name; one in thirty has a second one."""
    each = len(WORDS) * len(FIRMS)
    pool = []
    for name in world.cities.name_zh:
        own = [f"{name.removesuffix('市')}样例{word}{firm}" for word in WORDS for firm in FIRMS]
        pool += [f"{one};{own[i - 7]}" if i % 30 == 0 else one for i, one in enumerate(own)]
    return _pick(pool, city * each + rng.integers(0, each, len(city)))


def _addresses(world: World, year: int, city: np.ndarray, rng: np.random.Generator) -> Any:
    """Addresses under the names of the time: mostly with the province, some without, a few after a name's end."""
    place = world.cities
    pool: list[str] = []
    old_start = np.full(len(place), -1)
    for name, province in zip(place.name_zh, place.province_zh, strict=True):
        pool += _street(name, province)
    for position, (code, province) in enumerate(zip(place.city_code, place.province_zh, strict=True)):
        if _last_name(code)[0]:
            old_start[position] = len(pool)
            pool += _street(_last_name(code)[1], province)
        elif code == "370100":
            # Today's Jinan holds Laiwu, a city of its own until 2018.
            old_start[position] = len(pool)
            pool += _street("莱芜市", province) if year <= 2018 else _street("济南市莱芜区", province)
    former = np.array([0.9 if year <= _last_name(code)[0] else 0.04 for code in place.city_code])
    former[(place.city_code == "370100").to_numpy()] = 0.08
    use_old = (old_start[city] >= 0) & (rng.random(len(city)) < former[city])
    start = np.where(use_old, old_start[city], city * ADDRESSES)
    return _pick(pool, start + rng.integers(0, ADDRESSES, len(city)))


def _last_name(code: str) -> tuple[int, str]:
    """The name before today's and its last year; year 0 where no application could bear it any more."""
    last, name = FORMER_NAMES.get(code, ((0, ""),))[-1]
    return (last, name) if last >= YEARS[0] else (0, "")


def _street(city: str, province: str) -> list[str]:
    """Forty addresses in a city: six without the province, three with its short name."""
    long = "" if province == city else province
    short = long.removesuffix("省").removesuffix("壮族自治区").removesuffix("回族自治区").removesuffix("维吾尔自治区")
    starts = [""] * 6 + [short.removesuffix("自治区")] * 3 + [long] * (ADDRESSES - 9)
    return [f"{start}{city}{PLACES[i % len(PLACES)]}{i * 3 + 1}号" for i, start in enumerate(starts)]
