"""What readers are told of a refresh that failed after the publication they see.

Every page of the site shows <data>/refresh_failed.html while it is there (as an object without a script, so that pages
open offline); the publication itself is not touched.
"""

from __future__ import annotations

import datetime
import html
import re

from dagster_project import state
from dagster_project.paths import Paths

LONGEST = 400
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>A later refresh failed</title>
<style>body {{ margin: 0; font: 1rem/1.4 system-ui, sans-serif }}
p {{ margin: 0; padding: .6rem .8rem; border-left: .3rem solid #b3261e; background: #fdecea; color: #410e0b }}</style>
<p role="alert"><strong>A later refresh failed on {when}.</strong> These pages show publication {number}, the last good
one.{sample} Why it failed: {why}</p>
</html>
"""


def failed(paths: Paths, why: str) -> None:
    """Say on every page that a refresh failed just now, and why."""
    if not paths.published.exists():
        return
    when = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    plain = re.sub(r"\s+", " ", why).strip()
    text = plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}…"
    page = PAGE.format(
        when=when,
        number=paths.published.resolve().name,
        sample=" SAMPLE DATA." if paths.is_sample else "",
        why=html.escape(text),
    )
    state.write(paths.refresh_failed, page)


def published(paths: Paths) -> None:
    """A publication answers whatever failed before it."""
    paths.refresh_failed.unlink(missing_ok=True)
