"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import WorkbenchError


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """A spare file beside `path`, which takes its place when the block ends, or goes if it fails.

    Args:
        path: what is written; the folder has to be there.

    Yields:
        Path of the spare, an empty file with the permissions that new files get.

    A folder or a file that cannot be written is a `WorkbenchError`.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "notes.txt"
        >>> with replacing(path) as spare:
        ...     _ = spare.write_text("whole")
        >>> path.read_text(), len(list(path.parent.iterdir()))
        ('whole', 1)
    """
    path = Path(path)
    spare = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        spare.touch(exist_ok=False)
        yield spare
        os.replace(spare, path)
    except OSError as problem:
        why = f"cannot be written ({problem.strerror or problem})"
        raise WorkbenchError(str(path), why, "choose another place") from problem
    finally:
        spare.unlink(missing_ok=True)
