"""A second engine in R, where R and its packages are on the machine: plm, and fixest and did where they are.

One process an exhibit's model; R reads a CSV and writes one. Without R nothing is asked and nothing is missing.
"""

from __future__ import annotations

import shutil
import subprocess
from functools import cache

WANTED = ("plm", "sandwich", "fixest", "did", "splm")


@cache
def packages() -> dict[str, str]:
    """Those of the wanted packages that R has here, with their versions; none where there is no R."""
    program = shutil.which("Rscript")
    if program is None:
        return {}
    names = ", ".join(f'"{name}"' for name in WANTED)
    code = f'for (p in c({names})) if (nzchar(system.file(package = p))) cat(p, as.character(packageVersion(p)), "\\n")'
    try:
        told = subprocess.run(
            [program, "--vanilla", "-e", code], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(line.split() for line in told.stdout.splitlines() if len(line.split()) == 2)
