"""Which code a computation runs: its module and the modules of our packages that this one imports, directly or not.

Imports are read from the source, whatever their place in it, so that what is imported when first used counts too. What
is not imported does not: a change of the report's pages makes no estimate stale. Files beside the modules (templates,
words) belong to the package that they lie in; specifications of studies are inputs and stand in no code.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path

from dagster_project import state
from dagster_project.fingerprint import files_below
from dagster_project.paths import ROOT

PACKAGES = ("analysis", "dagster_project", "expectations")
#: Packages that import every module in them by its name; who uses one entry alone names that entry's module instead.
GATHERED = ("analysis.studies.kinds", "analysis.studies.methods")
#: Files beside modules that are no code: what they say is in a computation's other inputs.
INPUTS = ("analysis/studies/*.yaml", "analysis/studies/published/*.yaml")


class Code:
    """The modules of our packages, each read once; what they import is kept by content in ``memory``, a small file."""

    def __init__(self, memory: Path | None = None, root: Path = ROOT) -> None:
        self._root, self._memory = root, memory
        self._known: dict[str, list[str]] = state.read_json(memory) if memory else {}
        self._fresh: dict[str, list[str]] = {}
        self._modules: dict[str, Path] = {}
        self._beside: dict[str, list[Path]] = {}
        self._hashes: dict[Path, str] = {}
        self._versions: dict[tuple[tuple[str, ...], tuple[str, ...]], str] = {}
        for package in PACKAGES:
            self._find(root / package)

    def version(self, modules: Collection[str], without: Collection[str] = ()) -> str:
        """One hash of these modules and all that they import.

        ``without``: packages of GATHERED whose entries count only where they are named or imported one by one.

        Raises
        ------
        ValueError
            A module that there is not.
        """
        asked = (tuple(sorted(modules)), tuple(sorted(without)))
        if asked in self._versions:
            return self._versions[asked]
        total = hashlib.sha256()
        for name in sorted(self.closure(modules, without)):
            total.update(f"{name} {self._hash(self._modules[name])}\n".encode())
            for path in self._beside.get(name, ()):
                total.update(f"{path.relative_to(self._root)} {self._hash(path)}\n".encode())
        self._versions[asked] = total.hexdigest()
        return self._versions[asked]

    def closure(self, modules: Collection[str], without: Collection[str] = ()) -> set[str]:
        """Names of these modules and of all that they import.

        A package that only re-exports what is wanted counts itself, and the one module that what is wanted comes from.
        """
        unknown = sorted(set(modules) - set(self._modules))
        if unknown:
            raise ValueError(f"There is no module {unknown[0]}.")
        found: set[str] = set()
        open_ = set(modules)
        while open_:
            name = open_.pop()
            found.add(name)
            if name not in without:
                open_ |= self._needed(name) - found
        return found | {parent for name in found for parent in _parents(name)}

    def forget(self) -> None:
        """Look at the files again: they may have been edited since."""
        self._hashes.clear()
        self._versions.clear()

    def remember(self) -> None:
        """Keep what was read anew for the next process."""
        if self._memory and self._fresh:
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            used = {self._hash(path) for path in self._modules.values()}
            state.write_json(self._memory, {sha: names for sha, names in self._known.items() if sha in used})
            self._fresh = {}

    def _find(self, folder: Path) -> None:
        for path in files_below(folder):
            parts = path.relative_to(self._root).with_suffix("").parts
            if path.suffix == ".py":
                self._modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
        for path in files_below(folder):
            if path.suffix != ".py" and not any(path.match(pattern) for pattern in INPUTS):
                package = path.parent
                while not (package / "__init__.py").exists():
                    package = package.parent
                self._beside.setdefault(".".join(package.relative_to(self._root).parts), []).append(path)

    def _needed(self, name: str) -> set[str]:
        """Modules that what a module imports comes from."""
        if name in GATHERED:
            return {module for module in self._modules if module.startswith(f"{name}.")} | self._sources(name)
        return self._sources(name)

    def _sources(self, name: str) -> set[str]:
        return {source for said in self._imports(name) if (source := self._source(*said.split(":")))}

    def _source(self, module: str, wanted: str = "") -> str | None:
        """The module that a name of a module comes from, through packages that only hand it on; None for no module."""
        if wanted and f"{module}.{wanted}" in self._modules:
            return f"{module}.{wanted}"
        if module not in self._modules:
            return None
        if wanted and module not in GATHERED and self._modules[module].name == "__init__.py":
            for said in self._imports(module):
                origin, _, name = said.partition(":")
                if name == wanted and origin != module:
                    return self._source(origin, name)
        return module

    def _imports(self, name: str) -> list[str]:
        path = self._modules[name]
        sha = self._hash(path)
        if not isinstance(self._known.get(sha), list):
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            self._known[sha] = self._fresh[sha] = sorted(set(_imported(ast.parse(path.read_bytes()), package)))
        return self._known[sha]

    def _hash(self, path: Path) -> str:
        if path not in self._hashes:
            # the place is part of it: a relative import means another module elsewhere
            said = f"{path.relative_to(self._root)}\n".encode() + path.read_bytes()
            self._hashes[path] = hashlib.sha256(said).hexdigest()
        return self._hashes[path]


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _imported(node: ast.AST, package: str) -> Iterator[str]:
    """Names of our packages that a piece of source imports when it runs, not those that only a type checker reads."""
    if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        for other in node.orelse:
            yield from _imported(other, package)
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in PACKAGES)
    elif isinstance(node, ast.ImportFrom):
        base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
        module = ".".join(part for part in (base, node.module) if part)
        if module.partition(".")[0] in PACKAGES:
            yield from (f"{module}:{alias.name}" for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from _imported(child, package)
