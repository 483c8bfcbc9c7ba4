"""Names that assets of several modules share: who owns them, and the layer and the asset that raw files begin with."""

from collections.abc import Collection

import dagster as dg

OWNERS = ["team:pilotcity"]
RAW = "raw"
#: What an asset is about, by words of its key: a tag that the web page searches by.
DOMAINS = {
    "patents": ("patent", "green_ipc"),
    "court_cases": ("case", "court", "ip_causes"),
    "carbon": ("carbon", "co2"),
    "geography": ("cities", "city_names", "geograph", "code_history", "places", "units", "provinces"),
    "policies": ("polic", "treatments"),
    "efficiency": ("efficiency", "score"),
}
#: The same by the first word of the key, where the others say nothing.
LAYERS = {"publication": "publication", "report": "report", "quality": "quality", "lineage": "lineage"}
SAMPLE_WORLD = dg.AssetKey([RAW, "sample_world"])


def domain(key: dg.AssetKey, studies: Collection[str]) -> str:
    """What an asset is about, as a word: its study, a kind of records, a layer, else yearbooks."""
    first, name = key.path[0], key.path[-1]
    if first in studies or (first in ("panels", "scores") and any(name.startswith(study) for study in studies)):
        return "studies"
    if first in LAYERS:
        return LAYERS[first]
    path = "/".join(key.path)
    return next((word for word, parts in DOMAINS.items() if any(part in path for part in parts)), "yearbooks")
