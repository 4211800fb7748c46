"""Where compiled kernels are kept, also on machines whose home or checkout cannot be written.

numba keeps compiled code beside the source or in the user's cache folder; where neither can be
written it refuses to compile at all. `jit` is the one decorator of the kernels: it picks a folder
that works before numba decides.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path


def source_digest() -> str:
    """A short hash of all kernel sources: numba does not see that an inlined callee has changed.

    Example:
        >>> len(source_digest())
        12
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def writable_cache_folder() -> Path:
    """The folder for compiled kernels: beside the source, in the user's cache, else temporary.

    Example:
        >>> writable_cache_folder().is_absolute()
        True
    """
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    for folder in (Path(__file__).parent / "__pycache__", Path(home) / "workbench" / "numba"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder / source_digest()
        except OSError:
            continue
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"workbench-numba-{user}" / source_digest()


os.environ.setdefault("NUMBA_CACHE_DIR", str(writable_cache_folder()))

import numba  # noqa: E402  (the cache folder must be chosen before numba reads it)

jit = numba.njit(cache=True, nogil=True, error_model="numpy", boundscheck=False)


def _bitcast(name, source, target):
    """A numba function that reinterprets the bits of one scalar type as another's."""
    from numba.core import types
    from numba.extending import intrinsic

    def reinterpret(typingctx, value):
        if value != source:
            return None

        def codegen(context, builder, signature, args):
            return builder.bitcast(args[0], context.get_value_type(target))

        return target(source), codegen

    reinterpret.__name__ = name
    assert isinstance(source, types.Type)
    return intrinsic(reinterpret)


as_float32 = _bitcast("as_float32", numba.int32, numba.float32)
as_int32 = _bitcast("as_int32", numba.float32, numba.int32)
as_float64 = _bitcast("as_float64", numba.int64, numba.float64)
as_int64 = _bitcast("as_int64", numba.float64, numba.int64)
