"""Reads YAML within limits: recipes, values of `--set`, config.yaml of a run, the header of a model card.

YAML can do more than a recipe needs, and what it can do beyond surprises: an unquoted date becomes a date and 12:30
becomes 750; a key that stands twice counts once; few lines of aliases make a billion values; a tag makes an object of
another type. Here a value is a text, a number, true, false, null, a list or a mapping with texts as keys, and every
surprise is an error with its line.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml
from yaml.events import AliasEvent
from yaml.nodes import MappingNode, Node, ScalarNode

MOST_VALUES = 100_000
"""Values of one file, each alias counted with all that it stands for."""
DEEPEST = 40
"""Levels of lists and mappings in each other."""
MOST_DIGITS = 18
"""Digits of an integer."""
_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "merge")}
_INT, _STR, _MERGE = (f"tag:yaml.org,2002:{name}" for name in ("int", "str", "merge"))


def parse_yaml(text: str) -> Any:
    """The value of a YAML document. Raises ValueError with line and reason where there is none within the limits."""
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        return None if root is None else _unshared(loader.construct_document(root))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except yaml.YAMLError as error:
        raise ValueError(_fault(error)) from error
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """Checks the nodes before it makes values of them."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as the base class has it)
        first: [(tag, pattern) for tag, pattern in resolvers if tag in _TAGS - {_INT}]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        try:
            super().__init__(text)
        except yaml.YAMLError as error:
            raise ValueError(_fault(error)) from error
        self._depth = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: Node | None, index: Any) -> Node:
        event: Any = self.peek_event()
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise _at(event, f"the tag {tag!r}; a recipe needs none")
        self._depth += 1
        if self._depth > DEEPEST:
            raise _at(event, f"nested too deeply: more than {DEEPEST} levels")
        node = super().compose_node(parent, index)
        self._depth -= 1
        assert node is not None
        if isinstance(event, AliasEvent):
            if id(node) not in self._sizes:
                raise _at(event, f"the alias {event.anchor!r} stands inside what it stands for")
            return node
        _check_keys(node)
        self._sizes[id(node)] = 1 + sum(self._sizes[id(part)] for part in _parts(node))
        if self._sizes[id(node)] > MOST_VALUES:
            raise _at(node, f"aliases make more than {MOST_VALUES} values of it")
        return node

    def construct_scalar(self, node: Node) -> Any:
        value = super().construct_scalar(node)  # pyright: ignore[reportArgumentType]
        if isinstance(value, str) and ("\0" in value or any("\ud800" <= sign <= "\udfff" for sign in value)):
            raise _at(node, "holds a NUL character or half of a surrogate pair, which are not text")
        return value

    def construct_decimal(self, node: ScalarNode) -> int:
        digits = str(self.construct_scalar(node))
        if not re.fullmatch(rf"[-+]?[0-9]{{1,{MOST_DIGITS}}}", digits):
            raise _at(node, f"an integer of {len(digits)} signs: expected at most {MOST_DIGITS} digits")
        return int(digits)


_Loader.add_implicit_resolver(_INT, re.compile(r"[-+]?[0-9]+$"), list("-+0123456789"))
_Loader.add_constructor(_INT, _Loader.construct_decimal)


def _unshared(value: Any) -> Any:
    """The value, in which no two places are one object: what changes in one place must not change in another."""
    if isinstance(value, dict):
        return {key: _unshared(part) for key, part in value.items()}
    return [_unshared(part) for part in value] if isinstance(value, list) else value


def _check_keys(node: Node) -> None:
    """Raises YAMLError where a mapping has a key that is no text, or one that stands twice."""
    if not isinstance(node, MappingNode):
        return
    keys = set()
    for key, _ in node.value:
        if not isinstance(key, ScalarNode) or key.tag not in (_STR, _MERGE):
            raise _at(key, "a key that is no text")
        if key.value in keys:
            raise _at(key, f"the key {key.value[:80]!r} stands twice")
        keys.add(key.value)


def _parts(node: Node) -> Iterator[Node]:
    for part in node.value if not isinstance(node, ScalarNode) else ():
        yield from part if isinstance(part, tuple) else (part,)


def _at(place: Any, reason: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=reason, problem_mark=place.start_mark)


def _fault(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        return f"the character {chr(error.character)!r} at position {error.position}, which no text has"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem or error.context}"
    return " ".join(str(error).split())
