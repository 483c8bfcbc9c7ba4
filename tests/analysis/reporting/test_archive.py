"""The zip of a study: the same bytes, every file as the manifest says, and no trust in what strangers send."""

import io
import json
import zipfile

import pytest

from analysis.reporting import archive
from analysis.reporting.archive import MANIFEST, pack, unpack

FILES = {"study/trial.yaml": b"study: trial\n", "panels/trial.parquet": b"\0" * 1000}
ABOUT = {"is_sample": True, "publication": "7", "code": {"code_sha256": "ab"}}


@pytest.fixture(scope="module")
def packed() -> bytes:
    return pack("trial", FILES, ABOUT)


def rewritten(packed: bytes, change) -> bytes:
    """The archive with its entries as ``change`` leaves them: a list of (entry, contents)."""
    with zipfile.ZipFile(io.BytesIO(packed)) as source:
        entries = [(entry, source.read(entry)) for entry in source.infolist()]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        for entry, content in change(entries):
            target.writestr(entry, content)
    return file.getvalue()


def test_what_is_packed_comes_out_and_says_what_made_it(packed: bytes) -> None:
    found = unpack(packed)
    assert found.study == "trial"
    assert found.about == ABOUT
    assert {path: content for path, content in found.files.items() if path != "README.txt"} == FILES
    assert "SAMPLE DATA" in found.files["README.txt"].decode()
    assert "make replicate ZIP=path/to/trial.zip" in found.files["README.txt"].decode()


def test_the_same_files_in_another_order_give_the_same_bytes(packed: bytes) -> None:
    assert pack("trial", dict(reversed(FILES.items())), ABOUT) == packed
    assert pack("trial", FILES, {**ABOUT, "is_sample": False}) != packed


def test_observed_data_are_not_called_a_sample() -> None:
    assert "SAMPLE" not in unpack(pack("trial", FILES, {**ABOUT, "is_sample": False})).files["README.txt"].decode()


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "a/../../b", "a\\b", "c:evil", "a//b", "./a", "a/."])
def test_a_path_that_could_lead_outside_is_refused(packed: bytes, path: str) -> None:
    hostile = rewritten(packed, lambda entries: [*entries, (zipfile.ZipInfo(path), b"x")])
    with pytest.raises(ValueError, match="could lead outside"):
        unpack(hostile)


def test_a_link_is_refused(packed: bytes) -> None:
    link = zipfile.ZipInfo("study/link")
    link.external_attr, link.create_system = 0o120777 << 16, 3
    with pytest.raises(ValueError, match="is a link"):
        unpack(rewritten(packed, lambda entries: [*entries, (link, b"/etc/passwd")]))


def test_a_file_that_the_manifest_does_not_name_and_one_that_is_not_there_are_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match=r"'more.txt', which its manifest does not name"):
        unpack(rewritten(packed, lambda entries: [*entries, (zipfile.ZipInfo("more.txt"), b"x")]))
    with pytest.raises(ValueError, match=r"names 'study/trial.yaml', which the archive does not hold"):
        unpack(rewritten(packed, lambda entries: [e for e in entries if e[0].filename != "study/trial.yaml"]))


def test_a_changed_file_is_refused(packed: bytes) -> None:
    def change(entries):
        return [(e, b"study: other\n" if e.filename == "study/trial.yaml" else content) for e, content in entries]

    with pytest.raises(ValueError, match=r"'study/trial.yaml' is not the file that the manifest names"):
        unpack(rewritten(packed, change))


def test_a_bomb_is_refused_before_it_is_unpacked(packed: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_BYTES", 10_000)
    with pytest.raises(ValueError, match=r"unpacks to .* bytes; 10,000 are the most"):
        unpack(rewritten(packed, lambda entries: [*entries, (zipfile.ZipInfo("bomb"), b"\0" * 20_000)]))
    monkeypatch.setattr(archive, "MOST_FILES", 3)
    with pytest.raises(ValueError, match="files; 3 are the most"):
        unpack(packed)


def test_a_file_that_unpacks_to_more_than_it_says_is_not_unpacked_whole(packed: bytes) -> None:
    lying = bytearray(packed)
    with zipfile.ZipFile(io.BytesIO(packed)) as source:
        size = source.getinfo("panels/trial.parquet").file_size.to_bytes(4, "little")
    while size in lying:  # the size stands in the entry's header and in the directory at the end
        at = lying.index(size)
        lying[at : at + 4] = (10).to_bytes(4, "little")
    with pytest.raises(ValueError, match=r"'panels/trial.parquet' (does not have the 1,000 bytes|cannot be unpacked)"):
        unpack(bytes(lying))


def test_a_file_and_a_folder_of_one_name_are_refused(packed: bytes) -> None:
    hostile = rewritten(packed, lambda entries: [*entries, ("panels", b"x")])
    with pytest.raises(ValueError, match="holds 'panels' as a file and as a folder"):
        unpack(hostile)


def test_an_entry_that_stands_twice_is_refused(packed: bytes) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        hostile = rewritten(packed, lambda entries: [*entries, entries[0]])
    with pytest.raises(ValueError, match="twice"):
        unpack(hostile)


@pytest.mark.parametrize(
    "manifest",
    [
        "",
        "[]",
        "{}",
        '{"format": 1}',
        '{"format": 9, "study": "trial", "files": {}}',
        f'{{"format": 1, "study": "trial", "files": {{"a": {{"sha256": "{"0" * 64}"}}}}}}',
        f'{{"format": 1, "study": "trial", "files": {{"a": {{"sha256": "{"0" * 64}", "bytes": -2}}}}}}',
    ],
)
def test_a_manifest_that_is_none_is_a_sentence(packed: bytes, manifest: str) -> None:
    with pytest.raises(ValueError, match=MANIFEST):
        unpack(rewritten(packed, lambda entries: [(zipfile.ZipInfo(MANIFEST), manifest.encode())]))


def test_a_study_with_a_name_that_is_a_path_is_refused(packed: bytes) -> None:
    def change(entries):
        for entry, content in entries:
            if entry.filename == MANIFEST:
                content = json.dumps({**json.loads(content), "study": "../x"}).encode()
            yield entry, content

    with pytest.raises(ValueError, match="not of format 1"):
        unpack(rewritten(packed, change))


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04 broken"])
def test_what_is_no_zip_is_a_sentence(content: bytes) -> None:
    with pytest.raises(ValueError, match="not a zip file"):
        unpack(content)


def test_every_cut_or_flipped_byte_ends_in_a_sentence_or_in_the_same_files(packed: bytes) -> None:
    for position in range(0, len(packed), 7):
        for broken in (
            packed[:position],
            packed[:position] + bytes([packed[position] ^ 0xFF]) + packed[position + 1 :],
        ):
            try:
                found = unpack(broken)
            except ValueError:
                continue
            assert {path: found.files[path] for path in FILES} == FILES
