"""Names that assets of several modules share: who owns them, and the layer and the asset that raw files begin with."""

import dagster as dg

OWNERS = ["team:pilotcity"]
RAW = "raw"
SAMPLE_WORLD = dg.AssetKey([RAW, "sample_world"])
