"""Records judged on Spark and on DuckDB: the same ugly rows through both engines give equal tables.

One start of Spark, by Dagster, serves all of it; without Java or pyspark it skips. What stands around Spark is tested
in tests/dagster_project/test_spark.py without it.
"""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from analysis import catalogue
from dagster_project import spark
from dagster_project.assets import warehouse as assets
from dagster_project.dbt_runs import dbt_project, dbt_resource
from dagster_project.ingest import contracts
from dagster_project.paths import CONTRACTS
from dagster_project.resources import warehouse

pytestmark = pytest.mark.xdist_group("spark")

FOUND = {name: contracts.load(CONTRACTS / f"{name}.yaml") for name in ("patent_records", "court_cases")}
TABLES = ("staging.stg_patents", "staging.stg_cases", "intermediate.int_green_patents", "intermediate.int_ip_cases")
MODELS = [table.partition(".")[2] for table in TABLES]

SPACES = ("", " ", "  ", "\t", "　", "\u00a0", "\u200b", "\ufeff", "\v", "\f", "\u2003")
DATES = (
    *(
        "2015-03-01",
        "2015-3-1",
        "2015/3/1",
        "2015/03/02",
        "2015.3.1",
        "2015年3月1日",
        "2015年03月01",
        "２０１５-０３-０１",
        "２０１５年３月１日",
    ),
    *(
        "20150301",
        "2015",
        "2015-03",
        "2015年3月",
        "2015-3-1 00:00:00",
        "2015-03-01T00:00:00",
        "2015-03-01 10:11",
        "2015-02-29",
        "2016-02-29",
    ),
    *(
        "2015-13-01",
        "2015-00-10",
        "2015-04-31",
        "015-3-1",
        "15-3-1",
        "0002015-3-1",
        "12015-03-01",
        "-2015-03-01",
        "+2015-03-01",
    ),
    *(
        "2015--3-1",
        "2015-3-1-",
        "2015-3-",
        "3/1/2015",
        "待补",
        "二〇一五年三月一日",
        "epoch",
        "infinity",
        "now",
        "today",
        "null",
        "-",
        "--",
        "—",
        "无",
    ),
    *(
        "2015－03－01",
        "2015—03—01",
        "2015-03-01.",
        "2015 03 01",
        "2015-03-1a",
        "2015\\3\\1",
        "0-1-1",
        "0000-01-01",
        "9999-12-31",
        "10000-01-01",
    ),
    *(
        "2015-03-01 (BC)",
        "2015-03-01 BC",
        "2015-03-01Z",
        "2015-03-01 +08:00",
        "2015/3-1",
        "2015年3/1日",
        "2015日3月1年",
        "1e3-1-1",
        "2015-３-1",
    ),
)
KINDS = ("发明专利", "发明授权", "实用新型", "外观设计", "发明 专利", "小发明", "", "发明专利 ")
CLASSES = (
    *(
        "H01L31/042",
        "H01L31/042;A01B1/00",
        "A01B1/00",
        "A01B1/00;;",
        ";",
        "",
        "h01l31/042",
        "Ｈ01Ｌ31/042",
        "H01L 31/042",
        "H01L31／042",
        "H０１L３１/０４２",
    ),
    *(
        "HO1L31/042",
        "待定;A01B1/00",
        "待定;H01L31/042",
        "C02F",
        "31/042;1/44",
        "06-01",
        "H01L31/042(2014.01)I",
        "F24S10/40 ; E04B1/76",
        "H01L31/04①",
    ),
    *(
        "C02F99999999999/1",
        "H01L31/" + "9" * 30,
        "F03D9/25;F03D9/25",
        "B09B3/00;\u200bB09B3/00",
        "'H01L31/042'",
        'H01L"31/042',
        "H01L31/05",
        "H01L31/5",
    ),
)
ADDRESSES = (
    *(
        "浙江省杭州市西湖区浙大路38号",
        "310027 浙江省杭州市西湖区",
        "１０００８４北京市海淀区",
        "北京海淀区中关村",
        "湖北武汉市洪山区",
        "吉林省吉林市船营区",
        "吉林长春市",
    ),
    *(
        "广西壮族自治区南宁市青秀区",
        "内蒙古自治区呼和浩特市",
        "江苏省昆山市玉山镇",
        "中国广东省深圳市南山区",
        "湖北省襄樊市樊城区",
        "日本东京都港区",
        "海南省",
        "",
    ),
    *(
        "　北京市",
        "\u00a0上海市",
        "\t天津市",
        "重庆",
        "新疆维吾尔自治区伊犁哈萨克自治州",
        "“北京市”",
        "北京市's",
        '北京"市',
        "\\d北京市",
        "100084\n北京市海淀区",
        "𠮷林市",
    ),
    *(
        "黑龙江省大兴安岭地区加格达奇区",
        "内蒙古锡林郭勒盟锡林浩特市",
        "x" * 300 + "北京市",
        "云岭新市某路",
        "北京市%_",
        "😀北京市",
    ),
)
COURTS = (
    *(
        "北京知识产权法院",
        "北京市东城区人民法院",
        "上海市浦东新区人民法院",
        "浙江省杭州市中级人民法院",
        "杭州市中级人民法院",
        "云岭新市中级人民法院",
        "",
        "最高人民法院",
    ),
    *(
        " 北京知识产权法院 ",
        "北京 知识产权 法院",
        "北京知识产权法院①",
        "北京知识产权法院\u200b",
        "湖北省襄樊市中级人民法院",
        "襄阳市中级人民法院",
        "莱芜市中级人民法院",
    ),
)
CAUSES = (
    "著作权合同纠纷",
    "著作权 合同纠纷",
    "侵害发明专利权纠纷",
    "侵害商标权纠纷＊",
    "民间借贷纠纷",
    "",
    " ",
    "\u200b",
    "著作权权属、侵权纠纷",
)
DOCUMENTS = ("判决书", "裁定书", "移送裁定书", "", "移\n送")


def field(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def patents(draw: random.Random) -> list[list[str]]:
    """Every date against every other bound, then rows of anything."""
    here, green = "北京市海淀区", "H01L31/042"
    numbers = (f"CN{number}" for number in itertools.count(1))
    bounds = ("2015-02-28", "2015-03-01", "2015-03-02", "2016-02-29")
    rows = [[next(numbers), "发明专利", day, "", green, "甲", here] for day in dates(draw)]
    rows += [[next(numbers), "发明专利", bound, day, green, "甲", here] for day in dates(draw) for bound in bounds]
    rows += [[next(numbers), "发明专利", "2015-03-01", "", ipc, "甲", here] for ipc in CLASSES]
    rows += [[next(numbers), "发明专利", "2015-03-01", "", green, "甲", place] for place in ADDRESSES]
    for _ in range(1500):
        number = draw.choice(("", " ", "CN7", "CN７", "cn7", "CN 7", f"D{draw.randrange(300)}"))
        given = (draw.choice(DATES[:12]), draw.choice(("", "2016-01-01", "2015-3-1", "待补", "2014/1/1", " ", "无")))
        rows.append([number, draw.choice(KINDS), *given, draw.choice(CLASSES), "甲", draw.choice(ADDRESSES)])
    return rows


def cases(draw: random.Random) -> list[list[str]]:
    rows = []
    for _ in range(2500):
        serial = draw.randrange(400)
        number = draw.choice(
            (
                f"（2015）京73民初{serial}号",
                f"(2015)京73民初{serial}号",
                f"(2015) 京73 民初{serial}号",
                "",
                "(2015)京73民初1号*",
            )
        )
        given = (
            draw.choice(COURTS),
            draw.choice(CAUSES),
            "民事",
            "一审",
            draw.choice(("", *DATES)),
            draw.choice(DATES[:12]),
        )
        rows.append([number, *given, draw.choice(DOCUMENTS)])
    return rows


def dates(draw: random.Random) -> list[str]:
    """Dates as they are and as they must not be, with what may stand around them or get into them."""
    around = [f"{before}2015-03-01{after}" for before in SPACES for after in SPACES]
    mixed = ["".join(draw.choice("0123456789-/.年月日 　２") for _ in range(draw.randrange(6, 12))) for _ in range(300)]
    broken = []
    for _ in range(300):
        text = list(draw.choice(DATES))
        text.insert(draw.randrange(len(text) + 1), draw.choice((*SPACES, *"0129-/.年月日:T")))
        broken.append("".join(text))
    return [*DATES, *around, *mixed, *broken]


def write(raw: Path) -> None:
    """Three files of patents and two of cases; some rows stand in two of them, and one row cannot be read."""
    draw = random.Random(0)
    for name, source, rows, parts in (
        ("patents", "patent_records", patents(draw), 3),
        ("cases", "court_cases", cases(draw), 2),
    ):
        header = list(FOUND[source].columns.values())
        (raw / name).mkdir()
        for part in range(parts):
            chosen = [*rows[part::parts], *draw.sample(rows, 60)]
            lines = [",".join(field(text) for text in row) for row in chosen]
            # nothing between two commas is a missing text, and quotes around nothing an empty one
            lines.insert(40, "," * (len(header) - 1))
            if part == 0:
                lines.insert(20, ",".join(["one", *["cell"] * len(header), "too many"]))
            (raw / name / f"{2014 + part}年.csv").write_text(
                "\n".join([",".join(header), *lines, ""]), encoding="utf-8"
            )


@pytest.fixture(scope="module")
def house(make_warehouse):
    """The ugly rows, read."""
    try:
        spark.require()
    except RuntimeError as error:
        pytest.skip(str(error))
    house = make_warehouse()
    write(house.paths.raw)
    house.load(FOUND)
    return house


@pytest.fixture(scope="module")
def on_duckdb(house) -> dict[str, pd.DataFrame]:
    dbt_project(house.paths, catalogue.load(), [])
    house.dbt("run", "--target", "duckdb", "--select", "stg_provinces", "int_geography", *MODELS)
    return content(house)


@pytest.fixture(scope="module")
def result(house, on_duckdb, tmp_path_factory) -> dg.ExecuteInProcessResult:
    """What Dagster does with DBT_TARGET=spark."""
    settings = tmp_path_factory.mktemp("settings")
    (settings / "spark-defaults.conf").write_text("spark.sql.shuffle.partitions 4\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DBT_TARGET", "spark")
        patch.setenv("PILOTCITY_SPARK_MASTER", "local[2]")
        patch.setenv("PILOTCITY_MEMORY", "1GB")
        # for a run this short compiling costs more than it saves
        patch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        patch.setenv("SPARK_CONF_DIR", str(settings))
        project = dbt_project(house.paths, catalogue.load(), [])
        made = assets.dbt_models(house.paths, project, FOUND, [])
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        with dg.DagsterInstance.ephemeral() as instance:
            return dg.materialize(
                [one for one in made if one.op.name == "dbt_records"],
                instance=instance,
                resources={"dbt": dbt_resource(project)},
                run_config=quiet,
            )


@pytest.fixture(scope="module")
def on_spark(house, result) -> dict[str, pd.DataFrame]:
    house.dbt("run", "--target", "duckdb", "--select", *MODELS[2:])
    return content(house)


def content(house) -> dict[str, pd.DataFrame]:
    """Rows of the tables; records as they lie there, aggregates in order."""
    return {
        table: house.query(f"select * from {table}{' order by all' if table.startswith('inter') else ''}")
        for table in TABLES
    }


@pytest.mark.parametrize("table", TABLES)
def test_both_engines_give_the_same_table_row_for_row(on_duckdb, on_spark, table):
    ordered = on_duckdb[table].sort_values([*on_duckdb[table].columns[:2]], ignore_index=True)
    assert len(ordered) > 200
    pd.testing.assert_frame_equal(on_spark[table], ordered, check_exact=True)


@pytest.mark.parametrize(
    ("kind", "rules"),
    [
        (
            "patents",
            {
                *("unknown_year", "unknown_kind", "unknown_grant_date", "dates_out_of_order", "unknown_class"),
                *("unknown_city", "duplicate_key"),
            },
        ),
        (
            "cases",
            {
                *("unknown_date", "dates_out_of_order", "no_cause", "unknown_court", "transferred_case"),
                "duplicate_case",
            },
        ),
    ],
)
def test_the_rows_break_every_rule_and_none_is_lost(house, on_spark, kind, rules):
    judged = on_spark[f"staging.stg_{kind}"]
    assert set(judged.rule.dropna()) == rules
    assert judged.rule.isna().sum() > 100
    assert judged.records.sum() == house.query(f"select count(*) as n from raw.{kind}").n[0]


def test_dagster_shows_the_tables_and_dbts_tests_on_them(result):
    made = {
        event.asset_key.path[1]: event.materialization.metadata for event in result.get_asset_materialization_events()
    }
    assert set(made) == set(spark.MODELS)
    assert all(metadata["computed"].value and metadata["dagster/row_count"].value > 200 for metadata in made.values())
    checks = result.get_asset_check_evaluations()
    assert {check.asset_key.path[1] for check in checks} == set(spark.MODELS)
    assert all(check.passed for check in checks)


def test_nothing_outside_the_data_folder_and_nothing_of_spark_beside_the_results(house):
    left = {path.name for path in house.paths.lake.iterdir()}
    assert left == {"in", "dbt", "spark.log", *spark.MODELS, *(f"{model}.stamp" for model in spark.MODELS)}


def test_what_has_not_changed_starts_no_spark(house, on_spark, monkeypatch):
    monkeypatch.setattr(spark, "DBT", "/nowhere/dbt")
    with warehouse(house.paths) as connection:
        connection.execute("drop table staging.stg_cases")
    manifest = json.loads((house.paths.dbt_target / "manifest.json").read_text(encoding="utf-8"))
    done = spark.run(house.paths, lambda: warehouse(house.paths), manifest, spark.MODELS, print)
    assert done == dict.fromkeys(spark.MODELS, False)
    pd.testing.assert_frame_equal(content(house)["staging.stg_cases"], on_spark["staging.stg_cases"])
