"""Court cases of the sample world: one CSV a year of conclusion, one row a published judgment or ruling.

How many intellectual property cases the courts of a city conclude in a year is decided here and told exactly by the
files, once transfers and repeated publications are recognised. Courts are real, parties are not named.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.simulation.draws import YEARS as WORLD_YEARS
from analysis.simulation.draws import persistent, stream
from analysis.simulation.world import World

HEADER = ("案号", "法院", "案由", "案件类型", "审理程序", "立案日期", "结案日期", "文书类型")
#: Years of conclusion with a file.
YEARS = WORLD_YEARS[(WORLD_YEARS >= 2005) & (WORLD_YEARS <= 2022)]
#: Cases in a city of average protection for each 10 billion yuan of GDP, in the first and the last year.
INTELLECTUAL, OTHERS = (1.9, 1.25), (1.9, 0.9)
#: SD of ln protection between cities: with it about 85 of 281 lie above the mean.
SPREAD = 1.05

COPYRIGHT = (
    "侵害作品信息网络传播权纠纷", "著作权权属、侵权纠纷", "侵害其他著作财产权纠纷", "著作权许可使用合同纠纷",
    "侵害作品放映权纠纷",
)  # fmt: skip
BRANDS = (
    "侵害商标权纠纷", "商标使用许可合同纠纷", "不正当竞争纠纷", "侵害企业名称（商号）权纠纷", "特许经营合同纠纷",
    "虚假宣传纠纷",
)  # fmt: skip
PATENTS = (
    "侵害发明专利权纠纷", "侵害实用新型专利权纠纷", "侵害外观设计专利权纠纷", "专利权权属纠纷", "侵害技术秘密纠纷",
    "侵害植物新品种权纠纷", "侵害计算机软件著作权纠纷", "技术委托开发合同纠纷",
)  # fmt: skip
OFFENCES = ("假冒注册商标罪", "销售假冒注册商标的商品罪", "侵犯著作权罪")
GRANTS = ("商标申请驳回复审行政纠纷", "商标权无效宣告请求行政纠纷", "发明专利权无效行政纠纷")
#: Names before the revision of causes in 2011.
EARLIER = {
    "侵害商标权纠纷": "侵犯商标专用权纠纷", "侵害发明专利权纠纷": "侵犯发明专利权纠纷",
    "侵害实用新型专利权纠纷": "侵犯实用新型专利权纠纷", "侵害外观设计专利权纠纷": "侵犯外观设计专利权纠纷",
    "侵害其他著作财产权纠纷": "侵犯著作财产权纠纷", "侵害技术秘密纠纷": "侵犯商业秘密纠纷",
}  # fmt: skip
ORDINARY = (
    "民间借贷纠纷", "买卖合同纠纷", "离婚纠纷", "机动车交通事故责任纠纷", "劳动争议", "金融借款合同纠纷",
    "物业服务合同纠纷", "房屋买卖合同纠纷", "建设工程施工合同纠纷", "盗窃罪", "危险驾驶罪", "故意伤害罪",
    "行政处罚纠纷",
)  # fmt: skip
KINDS = {"罪": "刑事", "行政": "行政"}
SHORT = dict(
    zip(
        ("11", "12", "13", "14", "15", "21", "22", "23", "31", "32", "33", "34", "35", "36", "37", "41", "42", "43",
         "44", "45", "46", "50", "51", "52", "53", "54", "61", "62", "63", "64", "65"),
        "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川黔滇藏陕甘青宁新",
        strict=True,
    )
)  # fmt: skip
#: Codes in case numbers of courts that are no ordinary ones.
CODES = {
    "北京知识产权法院": "京73", "上海知识产权法院": "沪73", "广州知识产权法院": "粤73",
    "海南自由贸易港知识产权法院": "琼73", "杭州互联网法院": "浙0192", "北京互联网法院": "京0491",
    "广州互联网法院": "粤0192", "最高人民法院": "最高法", "最高人民法院知识产权法庭": "最高法知",
}  # fmt: skip
ORDINALS = {"第一": "01", "第二": "02", "第三": "03", "第四": "04", "第五": "05"}
LETTERS = {"民事": "民", "刑事": "刑", "行政": "行"}
STAGES = {"一审": "初", "二审": "终", "再审": "再"}
#: Serials of cases concluded a year after filing start here, so that no two files repeat a number.
LATER = 6000
UNKNOWN_COURTS = ("云岭新市中级人民法院", "北江口市人民法院", "海阔区人民法院", "省直人民法院")
BAD_DATES = ("2016-13-45", "待补", "20166", "二〇一六年")


@dataclass(frozen=True)
class CaseFault:
    """A planted row that must not count as a case of its own: where it stands, which rule must catch it, and why.

    ``row`` is the line of the file, the header being 1. ``kind``: copy (the same row again), correction (a later ruling
    on the same case), respelled (the same case, its court's name with the province), transfer (a ruling that sends the
    case to another court), unknown_court, bad_date, out_of_order (concluded before filed), no_cause.
    """

    file: str
    row: int
    rule: str
    kind: str
    case_number: str
    court: str


RULES = {
    "copy": "duplicate_case",
    "correction": "duplicate_case",
    "respelled": "duplicate_case",
    "transfer": "transferred_case",
    "unknown_court": "unknown_court",
    "bad_date": "unknown_date",
    "out_of_order": "dates_out_of_order",
    "no_cause": "no_cause",
}


def true_counts(world: World) -> tuple[np.ndarray, np.ndarray]:
    """Cases concluded (n, t): on intellectual property, and all others; zero outside YEARS and in very small cities."""
    n, t = len(world.cities), len(WORLD_YEARS)
    rng = stream(world.seed, "cases")
    sample = world.cities["sample"].to_numpy()
    level = np.log(world.indicators["gdp"].mean(axis=1))
    large = (level - level[sample].mean()) / level[sample].std()
    own = 0.35 * large + rng.normal(size=n)
    protection = SPREAD * (own - own[sample].mean()) / own[sample].std()
    protection = protection[:, None] + 0.12 * persistent(rng, (n, t), 0.6)
    gdp = world.indicators["gdp"] / 1e6
    small = ~world.cities.panel_286.astype(int).astype(bool).to_numpy()
    inside = np.isin(WORLD_YEARS, YEARS)[None, :] & ~small[:, None]
    usual = float(np.exp(SPREAD**2 / 2))
    rate = gdp / usual * np.exp(protection) * np.linspace(*INTELLECTUAL, t) * (0.4 + 0.6 * np.linspace(0, 1, t))
    other = gdp * np.linspace(*OTHERS, t)
    return rng.poisson(np.where(inside, rate, 0)), rng.poisson(np.where(inside, other, 0))


def write(world: World, courts: pd.DataFrame, year: int, path: Path) -> tuple[int, list[CaseFault], int]:
    """Write a year's judgments; returns rows, planted faults, and the nation's intellectual property cases."""
    rng = stream(world.seed, f"cases {year}")
    sitting = _sitting(world, courts, year)
    intellectual, others = true_counts(world)
    at = int(np.flatnonzero(year == WORLD_YEARS)[0])
    city = np.concatenate([np.repeat(np.arange(len(world.cities)), counts[:, at]) for counts in (intellectual, others)])
    ip = np.arange(len(city)) < intellectual[:, at].sum()
    court = _choose(sitting, city, ip, rng)
    above = _without_city(courts, year, int(0.02 * ip.sum()), rng)
    rows = _describe(
        pd.concat([sitting.iloc[court], above]), np.concatenate([ip, np.ones(len(above), bool)]), year, rng
    )
    national = int(ip.sum()) + len(above)
    rows, planted = _plant(rows, sitting, year, rng)
    order = np.lexsort((np.arange(len(rows)), rows["day"].to_numpy()))
    rows = rows.iloc[order].reset_index(drop=True)
    with path.open("w", encoding="utf-8", newline="") as sink:
        writer = csv.writer(sink, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(zip(*(rows[name] for name in HEADER), strict=True))
    name = f"{path.parent.name}/{path.name}"
    found = rows[rows.kind != ""]
    faults = [
        CaseFault(name, index + 2, RULES[kind], kind, number, house)
        for index, kind, number, house in zip(found.index, found.kind, found["案号"], found["法院"], strict=True)
    ]
    assert len(faults) == planted
    return len(rows), faults, national


def _sitting(world: World, courts: pd.DataFrame, year: int) -> pd.DataFrame:
    """The courts of a year in the cities of the world: ``court``, ``level``, ``code``, ``city`` (position), weights."""
    place = dict(zip(world.cities.city_code, range(len(world.cities)), strict=True))
    place |= {"371200": place["370100"]} if "370100" in place else {}
    valid = courts[_valid(courts, year) & courts.level.isin(["basic", "intermediate", "special"])]
    valid = valid.assign(city=valid.city_code.map(place)).dropna(subset="city").sort_values(["city", "court"])
    valid["city"] = valid.city.astype(int)
    name = dict(zip(world.cities.city_code, world.cities.province_zh, strict=True))
    valid["province"] = valid.city_code.replace("371200", "370100").map(name)
    busy = np.exp(stream(world.seed, "courts").normal(0, 0.8, len(courts)))
    weight = pd.Series(busy, index=courts.index)[valid.index]
    middle, special = valid.level == "intermediate", valid.court.isin(CODES)
    share = np.where(special, 0.4, np.where(middle, 0.5, 0.5 * weight / weight.groupby(valid.city).transform("sum")))
    return valid.assign(ip_weight=share, other_weight=np.where(special, 0, np.where(middle, 0.15, share))).reset_index(
        drop=True
    )


def _valid(courts: pd.DataFrame, year: int) -> pd.Series:
    start = pd.to_numeric(courts.valid_from, errors="coerce").fillna(0)
    end = pd.to_numeric(courts.valid_to, errors="coerce").fillna(9999)
    return (start <= year) & (end >= year)


def _choose(sitting: pd.DataFrame, city: np.ndarray, ip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The court of each case (position in ``sitting``), by the weights within its city."""
    chosen = np.empty(len(city), dtype=int)
    for mine, column in ((ip, "ip_weight"), (~ip, "other_weight")):
        weight = sitting[column].to_numpy()
        share = weight / sitting[column].groupby(sitting.city).transform("sum").to_numpy()
        within = sitting.assign(share=share).groupby("city").share.cumsum().to_numpy()
        ends = sitting.city.to_numpy() + np.minimum(within, 1)
        at = np.searchsorted(ends, city[mine] + rng.random(mine.sum()) * 0.999999)
        chosen[mine] = at
    if not (sitting.city.to_numpy()[chosen] == city).all():
        missing = sorted(set(city[sitting.city.to_numpy()[chosen] != city].tolist()))[0]
        raise ValueError(f"The list of courts has no court for the city in position {missing} of the list of cities.")
    return chosen


def _without_city(courts: pd.DataFrame, year: int, count: int, rng: np.random.Generator) -> pd.DataFrame:
    """High courts of provinces and the Supreme Court: cases of the nation that belong to no city."""
    municipalities = {"110000", "120000", "310000", "500000"}
    valid = courts[_valid(courts, year) & courts.level.isin(["high", "supreme"])]
    valid = valid[~valid.city_code.isin(municipalities)].assign(city=-1, province="")
    return valid.iloc[rng.integers(0, len(valid), count if len(valid) else 0)]


def _describe(houses: pd.DataFrame, ip: np.ndarray, year: int, rng: np.random.Generator) -> pd.DataFrame:
    """Everything a row says of its case, in the columns of HEADER, with ``day`` of conclusion and ``kind`` of fault."""
    n = len(houses)
    basic = (houses.level == "basic").to_numpy()
    capital = (houses.city_code == "110000").to_numpy() & ~basic
    cause = _causes(ip, basic, capital, year, rng)
    kind_of = {text: next((k for part, k in KINDS.items() if part in text), "民事") for text in set(cause)}
    kind = np.array([kind_of[text] for text in cause])
    appeal = ~basic & (rng.random(n) < 0.35)
    day = np.datetime64(f"{year}-01-01") + rng.integers(5, 364, n)
    filed = day - rng.integers(25, 420, n)
    procedure = np.where(appeal, "二审", np.where(rng.random(n) < 0.015, "再审", "一审"))
    rows = pd.DataFrame(
        {
            "案号": _numbers(houses, filed, year, kind, procedure, ip),
            "法院": _spelled(houses, rng.random(n)),
            "案由": cause,
            "案件类型": kind,
            "审理程序": procedure,
            "立案日期": _dates(filed, rng),
            "结案日期": _dates(day, rng),
            "文书类型": np.array(["判决书", "裁定书", "调解书"])[rng.choice(3, n, p=[0.6, 0.25, 0.15])],
        }
    )
    return rows.assign(
        day=day, filed=filed, court=houses.court.to_numpy(), province=houses.province.to_numpy(), ip=ip, kind=""
    )


def _causes(ip: np.ndarray, basic: np.ndarray, capital: np.ndarray, year: int, rng: np.random.Generator) -> np.ndarray:
    """Patents and secrets go to intermediate and special courts, reviews of grants to those of Beijing."""
    pools: tuple[tuple[np.ndarray, Sequence[str]], ...] = (
        (~ip, ORDINARY),
        (ip & basic, (*COPYRIGHT, *BRANDS, *OFFENCES)),
        (ip & ~basic & ~capital, (*PATENTS, *COPYRIGHT, *BRANDS)),
        (ip & capital, (*GRANTS, *PATENTS, *COPYRIGHT)),
    )
    found = np.empty(len(ip), dtype=object)
    for mine, pool in pools:
        words = [EARLIER.get(word, word) if year < 2011 else word for word in pool]
        # The first causes of a list are the frequent ones.
        chance = 1 / (1 + np.arange(len(words)))
        found[mine] = np.array(words, dtype=object)[rng.choice(len(words), mine.sum(), p=chance / chance.sum())]
    return found


def _numbers(
    houses: pd.DataFrame, filed: np.ndarray, year: int, kind: np.ndarray, procedure: np.ndarray, ip: np.ndarray
) -> list[str]:
    """Case numbers, unique within a court over all files."""
    since = filed.astype("datetime64[Y]").astype(int) + 1970
    keys = {"court": houses.court.to_numpy(), "since": since, "kind": kind, "procedure": procedure, "ip": ip}
    serial = pd.DataFrame(keys).groupby(list(keys), sort=False).cumcount().to_numpy() + 1
    serial = serial + LATER * (year - since)
    rows = zip(houses.court, houses.level, houses.code, since, kind, procedure, ip, serial, strict=True)
    return [_number(*row) for row in rows]


def _number(court: str, level: str, code: str, since: int, kind: str, procedure: str, ip: bool, serial: int) -> str:
    """A case number: the court's letters and 字第 until 2015, its code after.

    Serials of intellectual property cases are odd and of others even, because both run in one series.
    """
    place = 2 * serial - ip
    if since < 2016:
        field = "知" if ip and kind == "民事" else LETTERS[kind]
        return f"（{since}）{_letters(court, code)}{field}{STAGES[procedure]}字第{place}号"
    own = CODES.get(court, "")
    if not own:
        ordinal = next((digits for text, digits in ORDINALS.items() if f"{text}中级" in court), code[2:4])
        own = SHORT.get(code[:2], "") + {"basic": code[2:6], "high": ""}.get(level, ordinal)
    return f"（{since}）{own}{LETTERS[kind]}{STAGES[procedure]}{place}号"


def _letters(court: str, code: str) -> str:
    """The letters that stood for a court: 浙杭 of an intermediate court, 杭余 of a district's, 德清 of a county's."""
    if court in CODES and len(CODES[court]) > 3:
        return CODES[court]
    name = court.split("人民法院")[0].removesuffix("中级").removesuffix("高级")
    head, _, tail = name.partition("市")
    own = head[:1] + tail[:2] if tail else name[:2]
    return own if "中级" not in court else SHORT.get(code[:2], "") + own


def _spelled(houses: pd.DataFrame, chance: np.ndarray) -> list[str]:
    """Courts as judgments name them: half with the province before, a few with a space."""
    spelled = []
    for court, level, province, draw in zip(houses.court, houses.level, houses.province, chance, strict=True):
        usual = level != "special" and not court.startswith(province)
        long = f"{province}{court}" if draw < 0.5 and usual else court
        spelled.append(f"{long} " if draw > 0.98 else f"　{long}" if draw > 0.965 else long)
    return spelled


def _dates(days: np.ndarray, rng: np.random.Generator) -> list[str]:
    """Mostly ISO; one in ten 2016年3月5日, one in twenty 2016/3/5."""
    chance = rng.random(len(days))
    texts = []
    for iso, draw in zip(days.astype(str), chance, strict=True):
        if draw < 0.15:
            year, month, day = iso.split("-")
            iso = f"{year}年{int(month)}月{int(day)}日" if draw < 0.1 else f"{year}/{int(month)}/{int(day)}"
        texts.append(iso)
    return texts


def _plant(rows: pd.DataFrame, sitting: pd.DataFrame, year: int, rng: np.random.Generator) -> tuple[pd.DataFrame, int]:
    """Rows with copies, corrections, transfers and unusable rows added; and how many were added."""
    source = np.flatnonzero(rows.ip.to_numpy() & (rows.province != "").to_numpy())
    share = {"copy": 0.006, "correction": 0.003, "respelled": 0.003, "transfer": 0.006}
    counts = {kind: int(np.ceil(part * len(source))) for kind, part in share.items()}
    counts |= {"unknown_court": 2, "bad_date": 1, "out_of_order": 1, "no_cause": 1}
    chosen = rng.permutation(source)[: sum(counts.values())]
    kinds = np.repeat(list(counts), list(counts.values()))[: len(chosen)]
    added = rows.iloc[chosen].assign(kind=kinds).reset_index(drop=True)
    changes = [row | _changed(row, place, year, sitting, rng) for place, row in enumerate(added.to_dict("records"))]
    return pd.concat([rows, pd.DataFrame(changes, columns=rows.columns)], ignore_index=True), len(changes)


def _changed(
    row: Mapping[Any, Any], place: int, year: int, sitting: pd.DataFrame, rng: np.random.Generator
) -> dict[str, Any]:
    """What a planted row says differently from the case that it was made from."""
    day, filed = np.datetime64(row["day"], "D"), np.datetime64(row["filed"], "D")
    new = {"案号": f"{row['案号'].removesuffix('号')}之{place + 1}号"}
    if row["kind"] == "correction":
        later = min(day + 20, np.datetime64(f"{year}-12-31"))
        return {"文书类型": "补正裁定书", "结案日期": str(later), "day": later}
    if row["kind"] == "respelled":
        bare = row["法院"].strip() == row["court"] and not row["court"].startswith(row["province"])
        return {"法院": f"{row['province']}{row['court']}" if bare else row["court"]}
    if row["kind"] == "transfer":
        return _transfer(sitting.iloc[int(rng.integers(0, len(sitting)))], filed, day, year, place, rng)
    return {
        "copy": {},
        "unknown_court": new | {"法院": UNKNOWN_COURTS[int(rng.integers(0, len(UNKNOWN_COURTS)))]},
        "bad_date": new | {"结案日期": BAD_DATES[int(rng.integers(0, len(BAD_DATES)))]},
        "out_of_order": new | {"立案日期": str(day + 40), "结案日期": str(day)},
        "no_cause": new | {"案由": ""},
    }[row["kind"]]


def _transfer(
    court: Any, filed: np.datetime64, day: np.datetime64, year: int, place: int, rng: np.random.Generator
) -> dict[str, Any]:
    """A ruling by which another court had sent the case on, within the year and before the case was concluded."""
    earliest = max(filed, np.datetime64(f"{year}-01-03"))
    sent = earliest + int(rng.integers(0, max((day - earliest).astype(int), 1)))
    begun = sent - int(rng.integers(15, 60))
    since = int(str(begun)[:4])
    number = _number(court.court, court.level, court.code, since, "民事", "一审", True, 4 * LATER + place)
    return {
        "案号": number, "法院": court.court, "court": court.court, "案件类型": "民事", "审理程序": "一审",
        "文书类型": "移送管辖裁定书", "立案日期": str(begun), "结案日期": str(sent), "day": sent,
    }  # fmt: skip
