"""The kinds of exhibit, a module each: how one is read from YAML, its table, its picture and its files.

A new kind is a new module here that holds a `KIND`; its name is what studies write under ``kind``. Modules that begin
with an underscore hold what several kinds share.
"""

from importlib import import_module
from pkgutil import iter_modules

from analysis.studies.kinds._kind import File, Given, Kind, Picture

KINDS: dict[str, Kind] = {
    module.name: import_module(f"{__name__}.{module.name}").KIND
    for module in iter_modules(__path__)
    if not module.name.startswith("_")
}

__all__ = ["KINDS", "File", "Given", "Kind", "Picture"]
