"""Whether an expression or a target of a configuration is harmless, judged from its syntax and an allow-list.

MONAI evaluates every string that begins with `$` as Python. What stands here lets through what the Model Zoo's bundles
commonly write (devices, lists of files, arithmetic, MONAI's own functions) and names the rest.
"""

import ast
import re

__all__ = ["foreign_expression", "foreign_target"]

MODULES_TEXT = (
    "collections csv datetime einops functools glob ignite itertools json logging math monai numpy operator os "
    "pandas pathlib random re scipy torch torchvision typing"
)
MODULES = frozenset(MODULES_TEXT.split())
"""Modules that may be imported: well-known libraries, of which the functions below are not used."""

ALIASES = {"np": "numpy", "pd": "pandas", "F": "torch"}

BUILTINS_TEXT = (
    "abs all any bool dict enumerate False filter float int isinstance iter len list map max min next None open "
    "print range reversed round set setattr slice sorted str sum True tuple type zip"
)
BUILTINS = frozenset(BUILTINS_TEXT.split())

DENIED_TEXT = (
    "builtins call check_call check_output chmod classes compile cpp_extension ctypes ctypeslib distributed "
    "download_and_extract download_url dump environ eval exec execl execv f2py fork getattr hub import_module "
    "importlib inspect kill library load_library load_module_from_file load_state_dict_from_url load_url makedirs "
    "mkdir multiprocessing ops optional_import os package pickle Popen popen putenv read_pickle remove removedirs "
    "rename require_pkg rmdir rmtree run_cmd run_debug save savez shutil socket spawn startfile subprocess "
    "symlink_to sys system to_csv to_pickle tofile touch unlink urlopen urlretrieve write write_bytes write_text"
)
DENIED = frozenset(DENIED_TEXT.split())
"""Names that reach files, processes or other code, wherever they stand after a dot."""

OS_NAMES = frozenset({"path", "listdir", "sep", "getcwd", "cpu_count"})

REFERENCE = re.compile(r"[@%]\w*(?:(?:::|#)\w+)*")


def foreign_expression(text: str) -> str:
    """What in an expression (with its `$`) is not on the allow-list, in a few words; empty where all of it is.

    Examples
    --------
    >>> foreign_expression("$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')")
    ''
    >>> foreign_expression("$__import__('os').system('true')")
    'the name __import__ and the name system'
    """
    source = REFERENCE.sub("_reference", text[1:].strip())
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return "Python that cannot be read"
    own = {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    own |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    found = {said for node in ast.walk(tree) if (said := _foreign_node(node, own))}
    return " and ".join(sorted(found))


def foreign_target(target: str) -> str:
    """What in a `_target_` is not on the allow-list; empty where it is MONAI's, or a part of torch or numpy."""
    if "." not in target:
        return ""
    root, *rest = target.split(".")
    if root not in {"monai", "torch", "numpy", "ignite", "torchvision"}:
        return f"the target {target}"
    denied = [part for part in rest if part in DENIED or part.startswith("_")]
    return f"the target {target}" if denied or target == "monai.bundle.scripts" or "monai.bundle" in target else ""


def _foreign_node(node: ast.AST, own: set[str]) -> str:
    """What is wrong with one node of the syntax tree."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or "."]
        foreign = [name for name in names if name.partition(".")[0] not in MODULES]
        if isinstance(node, ast.ImportFrom) and not foreign:
            foreign = [a.name for a in node.names if a.name in DENIED or a.name.startswith("_")]
        return f"the import of {foreign[0]}" if foreign else ""
    if isinstance(node, ast.Attribute):
        if node.attr.startswith("_") or node.attr in DENIED:
            return f"the name {node.attr}"
        if isinstance(node.value, ast.Name) and node.value.id == "os" and node.attr not in OS_NAMES:
            return f"the name os.{node.attr}"
        return ""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        known = node.id in BUILTINS | own | MODULES or node.id in ALIASES or node.id == "_reference"
        is_module_member = node.id[:1].isupper() and node.id.isidentifier()
        return "" if known or is_module_member or node.id in {"x", "i", "device"} else f"the name {node.id}"
    if isinstance(node, ast.Call):
        return _foreign_call(node)
    if isinstance(node, ast.keyword) and node.arg in {"allow_pickle", "weights_only", "trust_repo", "shell"}:
        harmless = isinstance(node.value, ast.Constant) and node.value.value is (node.arg == "weights_only")
        return "" if harmless else f"the argument {node.arg}"
    return ""


def _foreign_call(node: ast.Call) -> str:
    """`open` only reads, and `setattr` only sets switches of torch's back ends."""
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name == "open":
        modes = list(node.args[1:2]) + [k.value for k in node.keywords if k.arg == "mode"]
        reads = all(isinstance(m, ast.Constant) and m.value in {"r", "rb", "rt"} for m in modes)
        return "" if reads else "a file that is opened to write"
    if name == "setattr":
        first = ast.unparse(node.args[0]) if node.args else ""
        return "" if first.startswith("torch.backends.") else f"setattr of {first}"
    return ""
