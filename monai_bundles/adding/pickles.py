"""Which names a weights file would import when it is unpickled, read from its opcodes; nothing is unpickled here."""

import io
import pickletools
import zipfile
import zlib
from pathlib import Path

__all__ = ["UNREADABLE", "foreign_globals"]

UNREADABLE = "unreadable"
"""Instead of a name: the file is damaged, or no pickle."""

HARMLESS_PREFIXES = (
    "collections OrderedDict",
    "torch._utils _rebuild",
    "torch ",
    "torch.storage ",
    "torch.serialization _get_layout",
    "torch.nn.parameter Parameter",
    "torch._tensor _rebuild",
    "numpy dtype",
    "numpy ndarray",
    "numpy.core.multiarray ",
    "numpy._core.multiarray ",
    "numpy.dtypes ",
    "_codecs encode",
    "builtins set",
    "builtins slice",
    "builtins complex",
    "__builtin__ set",
    "__builtin__ complex",
)
"""What plain weights need: tensors, arrays, ordered mappings."""

DENIED_TORCH = frozenset({"torch load", "torch save", "torch compile", "torch hub"})


def foreign_globals(path: Path) -> tuple[str, ...]:
    """Names besides tensors, arrays and plain containers that unpickling the file would import, sorted.

    A file that is no pickle at all gives "unreadable".
    """
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                streams = [archive.read(name) for name in archive.namelist() if name.endswith(".pkl")]
        except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError):
            return (UNREADABLE,)
    else:
        streams = [path.read_bytes()]
    names: set[str] = set()
    for stream in streams:
        names |= _globals(stream)
    return tuple(sorted(name for name in names if name in DENIED_TORCH or not name.startswith(HARMLESS_PREFIXES)))


def _globals(data: bytes) -> set[str]:
    """Every "module name" that the pickles in a stream import; files of old torch hold several pickles in a row."""
    names: set[str] = set()
    stream = io.BytesIO(data)
    pickles = 0
    while stream.tell() < len(data):
        strings: list[str] = []
        memo: dict[int, str] = {}
        try:
            for opcode, argument, _ in pickletools.genops(stream):
                if opcode.name in {"GLOBAL", "INST"}:
                    names.add(str(argument))
                elif opcode.name == "STACK_GLOBAL":
                    names.add(" ".join(strings[-2:]) if len(strings) > 1 else UNREADABLE)
                elif opcode.name in {"MEMOIZE", "BINPUT", "LONG_BINPUT"} and strings:
                    memo[len(memo) if argument is None else int(str(argument))] = strings[-1]
                elif opcode.name in {"BINGET", "LONG_BINGET"} and int(str(argument)) in memo:
                    strings.append(memo[int(str(argument))])
                elif isinstance(argument, str):
                    strings.append(argument)
        except (ValueError, EOFError, IndexError, UnicodeDecodeError):
            # After the pickles of an old file come the bare numbers of its tensors.
            return names if pickles else names | {UNREADABLE}
        pickles += 1
    return names
