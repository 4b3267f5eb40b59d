"""Whether an expression of a configuration is harmless, judged from its syntax and lists of names; nothing is run.

MONAI evaluates every string that begins with `$` as Python. What stands here lets through what is known to be harmless
and names the rest. Three rules carry it: a dotted name must be on the list of `monai_bundles.adding.allowed`; of any
other value only the members on that list may be used; and what is harmless only with certain arguments (`RULES`) may be
called by its name alone and never be passed on. So no value that an expression can hold is a module or a callable that
could do harm, and calling a value is harmless too.
"""

import ast
import builtins
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from monai_bundles.adding.allowed import NETWORKS, allowed
from monai_bundles.adding.replacing import REFERENCES, with_references

__all__ = [
    "USUAL_NAMES",
    "fetches",
    "foreign_argument",
    "foreign_expression",
    "import_in",
    "named_by",
    "refers_to_import",
]

PARSER_NAMES = {"monai": "monai", "torch": "torch", "np": "numpy", "numpy": "numpy"}
"""What MONAI gives to every expression."""

USUAL_NAMES = {**{name: name for name in allowed().importable}, **PARSER_NAMES, "Path": "pathlib.Path"}
"""What names stand for in an expression that is judged by itself."""

ARGUMENTS: Mapping[str, tuple[object, ...]] = {
    "_debug_": (),
    "allow_pickle": (False,),
    "compile": (False, None),
    "compile_kwargs": (None,),
    "pickle_module": (),
    "pretrained": (False, None),
    "pretrained_backbone": (False, None),
    "pretrained_url": (None,),
    "weights_only": (True,),
}
"""Arguments that decide whether foreign code is loaded, fetched or compiled, and what they may be anywhere."""


FETCHING = ("EfficientNetBN", "EfficientNetBNFeatures")
"""Networks that fetch weights where nobody forbids it by `pretrained`."""


@dataclass(frozen=True)
class Rule:
    """What a function may be given: so many arguments by position, and these by name."""

    positional: int
    named: frozenset[str]


RULES = {
    "torch.load": Rule(2, frozenset({"f", "map_location", "weights_only", "mmap"})),
    "numpy.load": Rule(1, frozenset({"file", "allow_pickle"})),
    "open": Rule(2, frozenset({"file", "mode", "encoding", "errors", "newline"})),
    "print": Rule(99, frozenset({"sep", "end"})),
    "setattr": Rule(3, frozenset()),
}

READING = ("r", "rt", "rb")
SWITCHES = ("torch.backends.cudnn", "torch.backends.cuda.matmul", "torch.backends.mkldnn")

PLAIN = (
    ast.Constant,
    ast.List,
    ast.Tuple,
    ast.Set,
    ast.Dict,
    ast.BinOp,
    ast.UnaryOp,
    ast.BoolOp,
    ast.Compare,
    ast.IfExp,
    ast.Slice,
    ast.Starred,
    ast.JoinedStr,
    ast.FormattedValue,
)
"""Syntax that is harmless where its parts are."""


def foreign_expression(text: str, names: Mapping[str, str] | None = None, imports: Iterable[str] = ()) -> str:
    """What in an expression (with its `$`) is not on the lists, in a few words; empty where all of it is.

    Parameters
    ----------
    names
        What names stand for that are not Python's own, as dotted names.
    imports
        Ids of the entries that are import statements: no expression may refer to them.

    Examples
    --------
    >>> foreign_expression("$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')")
    ''
    >>> foreign_expression("$__import__('os').system('true')")
    'the name __import__ and the name system'
    """
    source = with_references(text)[1:]
    statement = import_in(text)
    try:
        if statement is not None:
            return named_by(statement)[2]
        body = ast.parse(source).body
        if len(body) != 1 or not isinstance(body[0], ast.Expr):
            return "Python that cannot be read"
        judge = Judge(USUAL_NAMES if names is None else names, frozenset(imports))
        judge.value(body[0].value, frozenset())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "Python that cannot be read"
    return " and ".join(sorted(judge.said))


def import_in(text: str) -> ast.Module | None:
    """The statements of an expression that MONAI takes for an import; None where it is none."""
    try:
        tree = ast.parse(text[1:])
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree if tree.body and isinstance(tree.body[0], ast.Import | ast.ImportFrom) else None


def named_by(tree: ast.Module) -> tuple[str, str, str]:
    """What an import binds, the dotted name that it stands for, and what is wrong with it."""
    statement = tree.body[0]
    if len(tree.body) > 1:
        return "", "", f"more than an import ({ast.unparse(tree.body[1])[:60]})"
    if isinstance(statement, ast.ImportFrom):
        module = "" if statement.level else statement.module or ""
        full = f"{module}.{statement.names[0].name}"
        known = full in allowed().full | allowed().modules or full in RULES
    elif isinstance(statement, ast.Import):
        full = statement.names[0].name
        known = full in allowed().importable or full in allowed().modules
    else:
        return "", "", "Python that cannot be read"
    bound = statement.names[0].asname or statement.names[0].name
    if len(statement.names) > 1 or not known:
        return bound, full, f"the import of {', '.join(_source(statement, a.name) for a in statement.names)}"
    taken = bound.startswith("_") or hasattr(builtins, bound) or PARSER_NAMES.get(bound, full) != full
    return bound, full, f"the import of {full} as {bound}" if taken else ""


def _source(statement: ast.Import | ast.ImportFrom, name: str) -> str:
    return name if isinstance(statement, ast.Import) else f"{statement.module or '.'}.{name}"


def foreign_argument(name: str, value: object) -> str:
    """What is wrong with a named argument whose value stands in the configuration."""
    if name in ARGUMENTS and not any(value is harmless for harmless in ARGUMENTS[name]):
        return f"the argument {name}"
    return ""


@dataclass
class Judge:
    """Goes through one expression and notes what is not on the lists."""

    names: Mapping[str, str]
    imports: frozenset[str]
    said: set[str] = field(default_factory=set)

    def value(self, node: ast.expr, local: frozenset[str]) -> None:
        """Judge a value; `local` are the names that a lambda or a comprehension around it binds."""
        if isinstance(node, ast.Name | ast.Attribute) and (full := self.dotted(node, local)):
            self._full_name(full)
        elif isinstance(node, ast.Name):
            self._name(node, local)
        elif isinstance(node, ast.Attribute):
            self._member(node.attr)
            self.value(node.value, local)
        elif isinstance(node, ast.Call):
            self._call(node, local)
        elif isinstance(node, ast.Subscript):
            if not self._reference(node, local):
                self.value(node.value, local)
            self.value(node.slice, local)
        elif isinstance(node, ast.Lambda):
            self._lambda(node, local)
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp):
            self.value(node.elt, self._generators(node.generators, local))
        elif isinstance(node, ast.DictComp):
            inside = self._generators(node.generators, local)
            self.value(node.key, inside)
            self.value(node.value, inside)
        elif isinstance(node, PLAIN):
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self.value(child, local)
        else:
            self.said.add(f"Python that is not judged ({type(node).__name__})")

    def dotted(self, node: ast.expr, local: frozenset[str]) -> str:
        """The full name that a chain of attributes stands for; empty where it begins with a value."""
        if isinstance(node, ast.Attribute):
            start = self.dotted(node.value, local)
            return f"{start}.{node.attr}" if start else ""
        if isinstance(node, ast.Name) and node.id not in local:
            return self.names.get(node.id, "")
        return ""

    def _full_name(self, full: str) -> None:
        """A dotted name must be on the list, or be a harmless member of what is."""
        parts = full.split(".")
        for end in range(len(parts), 1, -1):
            if (known := ".".join(parts[:end])) in allowed().full:
                if not known.startswith(NETWORKS) and all(part in allowed().members for part in parts[end:]):
                    return
                break
        self.said.add(f"the name {full}")

    def _name(self, node: ast.Name, local: frozenset[str]) -> None:
        if node.id not in local and node.id not in allowed().builtins:
            self.said.add(f"the name {node.id}")

    def _member(self, name: str) -> None:
        if name not in allowed().members:
            self.said.add(f"the name {name}")

    def _reference(self, node: ast.Subscript, local: frozenset[str]) -> bool:
        """Whether it is a reference to an entry; none may lead to an import, which would make a module a value."""
        if not isinstance(node.value, ast.Name) or node.value.id != REFERENCES or REFERENCES in local:
            return False
        if not isinstance(node.slice, ast.Constant) or not isinstance(node.slice.value, str):
            return False
        if refers_to_import(node.slice.value, self.imports):
            self.said.add(f"the import that @{node.slice.value} refers to")
        return True

    def _lambda(self, node: ast.Lambda, local: frozenset[str]) -> None:
        given = node.args
        for default in (*given.defaults, *(d for d in given.kw_defaults if d is not None)):
            self.value(default, local)
        arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs]
        arguments += [a for a in (given.vararg, given.kwarg) if a is not None]
        bound = {a.arg for a in arguments}
        self._binds(bound)
        self.value(node.body, local | bound)

    def _generators(self, generators: list[ast.comprehension], local: frozenset[str]) -> frozenset[str]:
        """The names inside a comprehension."""
        for generator in generators:
            self.value(generator.iter, local)
            bound = self._targets(generator.target)
            self._binds(bound)
            local = local | bound
            for condition in generator.ifs:
                self.value(condition, local)
        return local

    def _targets(self, target: ast.expr) -> set[str]:
        """Names that a comprehension binds; an attribute or an item would change something else."""
        if isinstance(target, ast.Name):
            return {target.id}
        if isinstance(target, ast.Starred):
            return self._targets(target.value)
        if isinstance(target, ast.Tuple | ast.List):
            return {name for element in target.elts for name in self._targets(element)}
        self.said.add(f"an assignment to {ast.unparse(target)}")
        return set()

    def _binds(self, bound: Iterable[str]) -> None:
        self.said |= {f"the name {name}" for name in bound if name.startswith("__")}

    def _call(self, node: ast.Call, local: frozenset[str]) -> None:
        name = self._called(node, local)
        for keyword in node.keywords:
            self._keyword(keyword)
        arguments = list(node.args)
        if (text := self._text_replaced(node, local)) is not None:
            self.value(text, local)
        elif name in RULES:
            self._ruled(name, node, local)
            # The first argument of setattr is a module, which is no value anywhere else.
            arguments = arguments[1:] if name == "setattr" else arguments
        elif name.startswith(NETWORKS) and name in allowed().full:
            if node.args:
                self.said.add(f"arguments of {name} without their names")
            if fetches(name, [k.arg or "" for k in node.keywords]):
                self.said.add(f"the weights that {name} fetches")
        else:
            self.value(node.func, local)
        for argument in (*arguments, *(k.value for k in node.keywords)):
            self.value(argument, local)

    def _called(self, node: ast.Call, local: frozenset[str]) -> str:
        """The full name of what is called, or one of Python's own; empty for a value."""
        if isinstance(node.func, ast.Name) and node.func.id not in local:
            return self.names.get(node.func.id, node.func.id)
        return self.dotted(node.func, local)

    def _text_replaced(self, node: ast.Call, local: frozenset[str]) -> ast.expr | None:
        """The text in which a call of `replace` replaces; a path's method of that name would move the file."""
        if not isinstance(node.func, ast.Attribute) or node.func.attr != "replace":
            return None
        text = node.func.value
        if isinstance(text, ast.Call):
            name = self._called(text, local)
            sure = name == "str" or name.startswith("os.path.") or self._text_replaced(text, local) is not None
        else:
            sure = isinstance(text, ast.JoinedStr) or (isinstance(text, ast.Constant) and isinstance(text.value, str))
        return text if sure else None

    def _keyword(self, keyword: ast.keyword) -> None:
        if keyword.arg is None:
            self.said.add("arguments that are not written out (**)")
        elif keyword.arg in ARGUMENTS:
            value = keyword.value.value if isinstance(keyword.value, ast.Constant) else keyword
            if said := foreign_argument(keyword.arg, value):
                self.said.add(said)

    def _ruled(self, name: str, node: ast.Call, local: frozenset[str]) -> None:
        """Judge the arguments of a function that is harmless only with some."""
        rule = RULES[name]
        starred = any(isinstance(a, ast.Starred) for a in node.args)
        if len(node.args) > rule.positional or (starred and name != "print"):
            self.said.add(f"arguments of {name} by their position")
        self.said |= {f"the argument {k.arg} of {name}" for k in node.keywords if k.arg not in rule.named}
        if name == "open":
            modes = [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "mode")]
            if any(not isinstance(m, ast.Constant) or m.value not in READING for m in modes):
                self.said.add("a file that is opened to write")
        if name == "setattr":
            first = self.dotted(node.args[0], local) if node.args else ""
            literal = all(isinstance(a, ast.Constant) for a in node.args[1:])
            if first not in SWITCHES or not literal:
                self.said.add(f"setattr of {ast.unparse(node.args[0]) if node.args else 'nothing'}")


def fetches(network: str, arguments: Iterable[str]) -> bool:
    """Whether a network that is built with arguments of these names fetches weights."""
    return network.rpartition(".")[2] in FETCHING and "pretrained" not in arguments


def refers_to_import(identifier: str, imports: Iterable[str]) -> bool:
    """Whether an entry is an import statement or holds one."""
    return any(identifier in ("", i) or i.startswith(f"{identifier}::") for i in imports)
