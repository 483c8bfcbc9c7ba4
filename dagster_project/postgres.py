"""Where the run history is kept once a team shares it: a PostgreSQL server that is given, or one below the data folder.

Without either it is SQLite in DAGSTER_HOME. Panels and publications never come here. Processes are kept in services.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import secrets
import shutil
import subprocess
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from dagster_project import state
from dagster_project.paths import Paths

#: Address of a server that is there already; a password in it stays in the environment.
VARIABLE = "PILOTCITY_POSTGRES"
ROLE = "pilotcity"
DATABASE = "pilotcity"
DRIVER = "psycopg2"
#: PostgreSQL refuses to run as root; a Debian package makes this user for it.
SYSTEM_USER = "postgres"
DEBIAN = Path("/usr/lib/postgresql")
#: The path of a Unix socket holds no more bytes.
LONGEST_SOCKET = 107

#: Tables of Dagster that every run writes to; the first start makes them.
HISTORY = ("alembic_version", "event_logs", "runs")
NOT_ENCODED = (
    f"{VARIABLE} is no address that PostgreSQL understands. In a user or a password, @ is written %40, / is %2F, : is "
    "%3A, # is %23 and % is %25; or keep the password in a file: "
    "postgresql://user@host/database?passfile=/home/user/.pgpass."
)
#: What PostgreSQL says of a connection that failed -> what to do.
ADVICE = {
    "password authentication failed": f"Correct user or password in {VARIABLE}, or in the file that it names.",
    "no password supplied": f"Put it into {VARIABLE}, or into a file of mode 0600 that ?passfile= names.",
    "database .* does not exist": "Make it: createdb --owner=USER DATABASE.",
    "pg_hba.conf": "Its administrator must let this machine in (pg_hba.conf).",
}
#: One row: whether writes are refused, the encoding, who asks, where, who owns tables that may not be written, and
#: whether the history is there or may be begun.
RIGHTS = f"""
select current_setting('transaction_read_only'), current_setting('server_encoding'), current_user, current_database(), (
    select min(pg_get_userbyid(relowner)) from pg_class
    where relkind = 'r' and relnamespace = to_regnamespace(current_schema()) and relname in {HISTORY}
        and not (has_table_privilege(oid, 'insert') and has_table_privilege(oid, 'update'))
), to_regclass('runs') is not null or coalesce(has_schema_privilege(current_schema(), 'create'), false)
"""

ACCESS = f"""\
# Written by pilotcity: its role by password, whoever owns the server by being that user; nobody over the network.
local all {ROLE} scram-sha-256
local all all peer
"""


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server of our own: on a Unix socket in a folder that only its owner may enter.

    Attributes
    ----------
    folder : holds the database cluster, the socket and, in libpq's format, the password (mode 0600).
    """

    folder: Path

    @property
    def cluster(self) -> Path:
        return self.folder / "cluster"

    @property
    def passfile(self) -> Path:
        return self.folder / "pgpass"

    @property
    def lock(self) -> Path:
        """Held by the process that started the server; outside the folder, which belongs to another user."""
        return self.folder.with_name("postgres.lock")

    @property
    def url(self) -> str:
        """Its address, as psql and pg_dump take it; names the file of the password instead of holding it."""
        places = urlencode({"host": str(self.folder), "passfile": str(self.passfile)}, quote_via=quote)
        return f"postgresql://{ROLE}@/{DATABASE}?{places}"

    def command(self) -> list[str]:
        """What starts it in the foreground."""
        return [
            str(self._binary("postgres")),
            *("-D", str(self.cluster), "-k", str(self.folder)),
            *("-c", "listen_addresses="),
        ]

    def create(self) -> bool:
        """Make the cluster with a role and a database, whole or not at all; False where it is there already."""
        if self.cluster.exists():
            return False
        socket_fits(self.folder / ".s.PGSQL.5432")
        user = owner()
        fresh = self.folder / "cluster.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        for path in (self.folder, fresh):
            path.chmod(0o700)
            if user:
                os.chown(path, user.pw_uid, user.pw_gid)
        self._as_owner(["initdb", "-D", str(fresh), "--encoding=UTF8", "--no-locale", "--auth=peer", "--no-sync"])
        state.write(fresh / "pg_hba.conf", ACCESS)
        password = secrets.token_urlsafe(24)
        # on standard input, so that no other user reads it among the arguments of a process
        statements = f"create role {ROLE} login password '{password}'\ncreate database {DATABASE} owner {ROLE}\n"
        self._as_owner(["postgres", "--single", "-D", str(fresh), "postgres"], statements)
        write_secret(self.passfile, f"*:*:*:{ROLE}:{password}\n")
        state.sync_all_below(fresh)
        fresh.rename(self.cluster)
        state.sync(self.folder)
        return True

    def _binary(self, name: str) -> Path:
        return binaries(self._made_by()) / name

    def _made_by(self) -> str | None:
        version = self.cluster / "PG_VERSION"
        return version.read_text().strip() if version.exists() else None

    def _as_owner(self, command: list[str], text: str = "") -> None:
        user = owner()
        done = subprocess.run(
            [str(self._binary(command[0])), *command[1:]],
            **as_user(user),
            input=text,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        # a statement that fails says so on standard error only; it is not repeated here, as it holds the password
        failed = re.search(r"(?:ERROR|FATAL|PANIC):\s*(.*)", done.stderr)
        if done.returncode or failed:
            reason = failed.group(1) if failed else done.stderr.strip().rpartition("\n")[2]
            who = f" Every folder above it must let user {user.pw_name} in." if user else ""
            raise RuntimeError(f"{command[0]} could not set PostgreSQL up in {self.folder}: {reason}{who}")

    def wait_for_the_last_one(self, patience: float = 30.0) -> None:
        """Wait while a server whose parent was killed is still writing down what it holds."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and self._pid() and Path(f"/proc/{self._pid()}/comm").exists():
            time.sleep(0.2)

    def _pid(self) -> str:
        try:
            return (self.cluster / "postmaster.pid").read_text().partition("\n")[0]
        except OSError:
            return ""


def own(paths: Paths) -> Server:
    """The server below the data folder, whether it is there or not."""
    return Server(paths.data / "postgres")


def given() -> str | None:
    """The address that the environment names, as psql takes it; ValueError where it is none."""
    address = os.environ.get(VARIABLE)
    if not address:
        return None
    scheme, separator, rest = address.partition("://")
    if not separator or scheme not in ("postgres", "postgresql", f"postgresql+{DRIVER}"):
        raise ValueError(f"{VARIABLE} must be an address: postgresql://user:password@host:port/database.")
    before_path, _, path = rest.partition("?")[0].partition("/")
    if before_path.count("@") > 1 or "@" in path or not re.fullmatch(r"(?:%[0-9A-Fa-f]{2}|[^%])*", rest):
        raise ValueError(NOT_ENCODED)
    return f"postgresql://{rest}"


def with_driver(address: str) -> str:
    """An address as SQLAlchemy takes it, whose default driver is another one than Dagster's."""
    return address.replace("postgresql://", f"postgresql+{DRIVER}://", 1)


def chosen(paths: Paths) -> str | None:
    """The address of the server that keeps this folder's run history; None while that is SQLite."""
    server = own(paths)
    return given() or (server.url if server.cluster.exists() else None)


def settings(paths: Paths) -> str:
    """The part of dagster.yaml that names the storage; never holds a password.

    Raises
    ------
    RuntimeError
        The history is on a server that the environment does not name any more: writing on in SQLite would split it.
    """
    if given():
        return f"storage: {{postgres: {{postgres_url: {{env: {VARIABLE}}}}}}}\n"
    address = chosen(paths)
    if address:
        return f"storage: {{postgres: {{postgres_url: {json.dumps(with_driver(address))}}}}}\n"
    before = paths.home / "dagster.yaml"
    if f"env: {VARIABLE}" in state.read_text(before):
        raise RuntimeError(
            f"The run history of {paths.data} is kept on a PostgreSQL server: set {VARIABLE} to its address, or delete "
            f"{before} to begin a new history without it."
        )
    return ""


def require_driver() -> None:
    """RuntimeError with what to install where Dagster cannot speak to PostgreSQL."""
    if find_spec("dagster_postgres") is None:
        raise RuntimeError("PostgreSQL needs the optional extra: pip install --editable '.[team]'.")


def ping(address: str) -> None:
    """Connect once; RuntimeError in a sentence that names the server, without the password."""
    _connected(address).close()


def check_given(address: str) -> None:
    """RuntimeError where a given server does not answer, or where its user may not keep a history there."""
    connection = _connected(address)
    try:
        with connection.cursor() as cursor:
            cursor.execute(RIGHTS)
            refusal = _refusal(*cursor.fetchone())
    finally:
        connection.close()
    if refusal:
        raise RuntimeError(f"PostgreSQL at {place(address)} {refusal}")


def _refusal(read_only: str, encoding: str, user: str, database: str, owner: str | None, may_begin: bool) -> str:
    """Why a server cannot keep the history, and what its administrator can do; empty where it can."""
    if read_only == "on":
        return "takes no writes: it is a standby, or the user or the database is set to read only. Name another one."
    if encoding != "UTF8":
        return (
            f"keeps text as {encoding}, which cannot hold Chinese. Make another database for it: "
            f"createdb --encoding=UTF8 --template=template0 --owner={user} NAME."
        )
    if owner or not may_begin:
        begun = f", whose history {owner} began" if owner else ""
        return (
            f"lets {user} read but not write in the database {database}{begun}. Name {owner or 'its owner'} in "
            f"{VARIABLE}, or give {user} a database: createdb --owner={user} NAME."
        )
    return ""


def _connected(address: str) -> Any:
    """A connection; RuntimeError in a sentence where there is none, which never holds a part of a password."""
    import psycopg2  # type: ignore[import-untyped]
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(address)
        return psycopg2.connect(address, connect_timeout=5)
    except (ValueError, ArgumentError, psycopg2.ProgrammingError):
        raise RuntimeError(NOT_ENCODED) from None
    except psycopg2.Error as error:
        said = " ".join(str(error).split()).rstrip(".")
    advice = next((text for words, text in ADVICE.items() if re.search(words, said)), "Is the address right?")
    raise RuntimeError(
        f"PostgreSQL at {place(address)} does not answer: {said}{'' if said.endswith('?') else '.'} {advice}"
    )


def place(address: str) -> str:
    """User, host, port and database of an address, for people; never a password, in whatever part it stands."""
    from psycopg2.extensions import parse_dsn  # type: ignore[import-untyped]

    parts = parse_dsn(address)
    host = parts.get("host", "this machine") + (f":{parts['port']}" if "port" in parts else "")
    return f"{host}, database {parts.get('dbname', parts.get('user'))}, user {parts.get('user')}"


def binaries(version: str | None = None) -> Path:
    """The folder with initdb and postgres: the newest, or the one of the major version that made a cluster."""
    found = {path.parent.name: path for path in DEBIAN.glob("*/bin") if (path / "initdb").exists()}
    on_path = shutil.which("initdb")
    if version is None and on_path:
        return Path(on_path).resolve().parent
    if version in found:
        return found[version]
    if version is None and found:
        return found[max(found, key=float)]
    if on_path and version:
        said = subprocess.run([on_path, "--version"], capture_output=True, text=True, check=False).stdout
        if re.search(rf"\b{re.escape(version)}(?:\.|\b)", said):
            return Path(on_path).resolve().parent
    wanted = f"PostgreSQL {version}, which made this database," if version else "PostgreSQL"
    raise RuntimeError(
        f"{wanted} is not installed: install it (Debian: apt-get install postgresql), or set {VARIABLE} to the address "
        "of a server."
    )


def owner() -> pwd.struct_passwd | None:
    """The user that a server of our own runs as; None for the user of this process."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        raise RuntimeError(
            f"PostgreSQL refuses to run as root, and there is no user {SYSTEM_USER!r} to run it as: call this as "
            f"another user, or set {VARIABLE} to the address of a server."
        ) from None


def as_user(user: pwd.struct_passwd | None) -> dict[str, Any]:
    """Arguments of subprocess that give up root for good, groups too."""
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def write_secret(path: Path, text: str) -> None:
    """Write a file that nobody else could read at any moment."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)


def socket_fits(path: Path) -> None:
    """ValueError where the path of a Unix socket is longer than the system takes."""
    length = len(os.fsencode(path))
    if length > LONGEST_SOCKET:
        raise ValueError(
            f"{path} has {length} bytes, and the path of a socket holds {LONGEST_SOCKET}: choose a shorter folder as "
            f"PILOTCITY_DATA, or set {VARIABLE} to the address of a server."
        )
