"""What starts or follows a run: the raw folder's sensor, and the one that tells readers of a failed refresh.

`look` and `whole` know nothing of Dagster's clock and can be tried alone.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

import dagster as dg
import pandas as pd

from dagster_project import executor, publication, status, verification
from dagster_project import raw_folder as folder
from dagster_project.ingest.contracts import Contract
from dagster_project.ingest.files import sha256
from dagster_project.paths import Paths
from dagster_project.resources import exclusive

#: As often as the daemon looks at all: a file is asked for at the second look that finds it the same.
EVERY_SECONDS = 5
#: After so many looks (ten minutes) at which a file stayed as it is without a valid end, it is no copy on its way but
#: a bad file, and the readers say so.
PATIENCE = 120
#: Twice as long as the conditions' sensor takes to ask for what follows a run of some assets.
SETTLING = timedelta(seconds=60)
#: A year that was backfilled, say, is followed by a run of its own, which may publish the very files that changed.
UNSETTLED = "Changed: {}. Waiting for another run, and for what that one leads to, which may publish the same."
COPIED = "New, changed or gone at this look, or not whole yet: {}. Waiting until the next look finds it the same."
#: Also after that run failed: the same content would fail again.
ASKED = "A run was asked for, and none is again before the file changes: {}."
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
ENDS = {".xlsx": "zip", ".xlsm": "zip", ".zip": "zip", ".parquet": "parquet"}


@dataclass
class Seen:
    """A file at the last look: size, time of change, looks since it last changed, and the hash of its content."""

    size: int
    changed: int
    looks: int = 1
    sha256: str = ""


@dataclass
class Memory:
    """What the sensor keeps between looks.

    ``files``: every file there is. ``gone``: looks since a published file was missed. ``asked``: what a run was asked
    for, file -> hash, "" if removed. ``requests``: how many runs were asked for.
    """

    files: dict[str, Seen] = field(default_factory=dict)
    gone: dict[str, int] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    requests: int = 0

    @classmethod
    def load(cls, text: str | None) -> Memory:
        kept = json.loads(text or "{}")
        files = {name: Seen(**seen) for name, seen in kept.get("files", {}).items()}
        return cls(files, kept.get("gone", {}), kept.get("asked", {}), kept.get("requests", 0))

    def dump(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)


@dataclass(frozen=True)
class Look:
    """What one look found: files that changed (file -> hash, "" if removed), files not settled yet."""

    touched: dict[str, str]
    waiting: list[str]


def whole(path: Path) -> bool:
    """Whether a file has the end that its kind must have; kinds without one always have it."""
    kind = ENDS.get(path.suffix.lower())
    if kind == "zip":
        # Excel's old format under a new name is a whole file too
        with path.open("rb") as stream:
            start = stream.read(4)
        return zipfile.is_zipfile(path) if start.startswith(b"PK") or not start else True
    if kind == "parquet":
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - 4))
            return stream.read() == b"PAR1"
    return True


def look(raw: Path, found: Mapping[str, Contract], published: Mapping[str, str], memory: Memory) -> Look:
    """Compare the raw folder with what is published and with what was asked for; updates ``memory``.

    ``published`` maps a file to the hash of the content that the publication was made of. Nothing is touched while any
    file is still being copied: a run reads all of them. What no contract claims touches nothing.
    """
    settled = _settled(raw, memory)
    memory.gone = {name: memory.gone.get(name, 0) + 1 for name in published if name not in memory.files}
    claimed = {name for name in memory.files if any(each.matches(PurePosixPath(name)) for each in found.values())}
    now = {name: memory.files[name].sha256 for name in settled & claimed}
    now |= {name: "" for name, looks in memory.gone.items() if looks > 1}
    memory.asked = {name: sha for name, sha in memory.asked.items() if now.get(name, sha) != published.get(name)}
    waiting = sorted({*(claimed - settled), *(name for name, looks in memory.gone.items() if looks == 1)})
    touched = {name: sha for name, sha in now.items() if sha != published.get(name) and memory.asked.get(name) != sha}
    return Look({} if waiting else touched, waiting)


def _settled(raw: Path, memory: Memory) -> set[str]:
    """Take note of every file; names of those that were the same at two looks and have a valid end, with their hash."""
    now: dict[str, Seen] = {}
    settled = set()
    below = folder.look(raw)
    for name, why in below.left_out.items():
        now[name] = Seen(0, 0, 1, folder.hash_of(why))
        settled.add(name)
    for name, path in below.files.items():
        try:
            about = path.stat()
            before = memory.files.get(name)
            if before and (before.size, before.changed) == (about.st_size, about.st_mtime_ns):
                seen = Seen(before.size, before.changed, before.looks + 1, before.sha256)
            else:
                seen = Seen(about.st_size, about.st_mtime_ns)
            if seen.looks > 1 and (seen.sha256 or whole(path) or seen.looks > PATIENCE):
                seen.sha256 = seen.sha256 or sha256(path)
                settled.add(name)
        except OSError:  # gone between the listing and here, or not to be read, which a run says
            continue
        now[name] = seen
    memory.files = now
    return settled


def published_files(paths: Paths) -> dict[str, str]:
    """File -> hash of its content, of the newest publication.

    Also where readers were taken back to an earlier one: the files that were bad then would bring it about again.
    """
    if not paths.published.exists():
        return {}
    newest = paths.publications / str(publication.numbers(paths)[-1])
    table = newest / "data" / "quality" / "files.parquet"
    if not table.exists() or verification.distrust(newest, "data/quality/files.parquet"):
        return {}
    rows = pd.read_parquet(table, columns=["file", "sha256"]).astype(str)
    return dict(rows.itertuples(index=False, name=None))


def raw_folder(
    paths: Paths, found: dict[str, Contract], refresh: dg.UnresolvedAssetJobDefinition
) -> dg.SensorDefinition:
    """The sensor on the raw folder."""

    @dg.sensor(
        name="raw_folder",
        job=refresh,
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            f"Looks at the raw folder every {EVERY_SECONDS} seconds. New, changed or removed files start one run, as "
            "`make run` does: it reads what changed and ends in a publication. Files still being copied are waited "
            "for: until each is whole, and the same at two looks."
        ),
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        executor.bury_dead_runs(context.instance)
        try:
            with exclusive(paths.run_lock, busy=executor.BUSY):
                pass
        except RuntimeError:
            return dg.SkipReason(executor.BUSY)
        memory = Memory.load(context.cursor)
        hurt = verification.damage(paths.published.resolve(), quick=True) if paths.published.exists() else []
        seen = look(paths.raw, found, {} if hurt else published_files(paths), memory)
        if hurt:
            context.log.warning(f"The publication is damaged and made anew: {hurt[0].file} {hurt[0].what}.")
        if not seen.touched:
            return dg.SensorResult(skip_reason=_nothing(seen, memory), cursor=memory.dump())
        if _unsettled(context.instance):
            return dg.SensorResult(skip_reason=UNSETTLED.format(_some(sorted(seen.touched))), cursor=memory.dump())
        return dg.SensorResult(run_requests=[_request(seen, memory)], cursor=memory.dump())

    return sensor


def _nothing(seen: Look, memory: Memory) -> str:
    """The one reason why a look starts nothing."""
    if seen.waiting:
        return COPIED.format(_some(seen.waiting))
    return ASKED.format(_some(sorted(memory.asked))) if memory.asked else "No file has changed."


def _some(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def _unsettled(instance: dg.DagsterInstance) -> bool:
    """Whether a run is queued or going on, or ended so recently that what follows it may not have been asked for.

    Nothing follows a run that took in everything.
    """
    now = datetime.now(UTC)
    # a run that was never started does not hold up files for ever
    unfinished = dg.RunsFilter(statuses=UNFINISHED, created_after=now - timedelta(days=1))
    just_ended = instance.get_run_records(dg.RunsFilter(updated_after=now - SETTLING))
    return bool(instance.get_run_records(unfinished, limit=1)) or any(
        not executor.WHOLE.items() <= record.dagster_run.tags.items() for record in just_ended
    )


def _request(seen: Look, memory: Memory) -> dg.RunRequest:
    """A run as `make run` makes it: it takes from what is kept whatever these files do not touch."""
    memory.asked |= seen.touched
    memory.requests += 1
    # the number tells two requests for the same content apart: a file may change back
    content = hashlib.sha256(json.dumps(sorted(seen.touched.items())).encode()).hexdigest()[:16]
    tags = {"pilotcity/files": ", ".join(sorted(seen.touched))[:200]}
    return dg.RunRequest(run_key=f"{memory.requests}:{content}", tags=tags)


def why(causes: Sequence[str], message: str | None) -> str:
    """Why a run failed, for readers: its first failed step's words, or what is known of a run that just ended."""
    if causes:
        return causes[0]
    if not message or "from outside the execution context" in message:
        return "The run's process ended before it was done: killed, out of memory, or its history could not be written."
    return message


def failed_refresh(paths: Paths) -> dg.SensorDefinition:
    """The sensor that tells readers of a failed run."""

    @dg.run_failure_sensor(
        name="failed_refresh",
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Says on every page of the report that a later refresh failed, when and why.",
    )
    def sensor(context: dg.RunFailureSensorContext) -> None:
        steps = [event.step_failure_data.error for event in context.get_step_failure_events()]
        causes = [(error.cause or error).message for error in steps if error]
        status.failed(paths, why(causes, context.failure_event.message))

    return sensor
