"""Dataclasses, NamedTuples, TypedDicts and Enums, and conversions that an interrupt ends."""

import collections
import dataclasses
import datetime
import decimal
import enum
import sys
import typing
import unittest
import uuid

from pyproc_worker import CallCancelled, _describe
from pyproc_worker._bind import bind
from pyproc_worker._checked import Invalid
from pyproc_worker._interrupt import TRANSPARENT

from .bytecodes import raise_at
from .test_types import Reading, module_of, read


class RecordsTest(Reading):
    def test_the_fields_of_dataclasses(self):
        Kind = enum.Enum("Kind", "A B")

        @dataclasses.dataclass
        class Base:
            a: int
            kind: Kind = Kind.A
            shared: typing.ClassVar[int] = 5

        @dataclasses.dataclass
        class Derived(Base):
            """A derived one."""

            b: dataclasses.InitVar[int] = 3
            c: typing.List[int] = dataclasses.field(default_factory=list)
            d: int = dataclasses.field(init=False, default=0)

            def __post_init__(self, b):
                self.d = b

        found, _, definitions = read(Derived)
        self.assertEqual(found.convert({"a": 1, "b": 7, "kind": 2}), Derived(1, Kind.B, 7))
        schema = definitions["Derived"]
        self.assertEqual(list(schema["properties"]), ["a", "kind", "b", "c"])
        self.assertEqual((schema["required"], schema["description"]), (["a"], "A derived one."))
        self.assertEqual(schema["properties"]["kind"]["default"], 1)
        self.rejects(Derived, {"d": 1, "shared": 2}, (".a", "missing"), (".d", "unknown"), (".shared", "unknown; expected a, kind, b, c"))
        value = Derived(1)
        self.assertIs(found.convert(value), value)

    def test_names_in_fields_are_those_of_the_module_that_declares_them(self):
        module_of("from datetime import date as day", "elsewhere")
        head = "from __future__ import annotations\nimport dataclasses, typing\n"
        base = module_of(head + "from datetime import date as Day\n@dataclasses.dataclass\nclass Base:\n    day: Day", "base_module")
        sys.modules["base_module"] = base
        derived = module_of(
            head + "import base_module\n@dataclasses.dataclass\nclass Derived(base_module.Base):\n"
            "    next: typing.Optional[Derived] = None\n    count: typing.ClassVar[int] = 0\n    inner: dataclasses.InitVar[int] = 1"
        )
        value = self.convert(derived.Derived, {"day": "2024-01-02", "next": {"day": "2024-01-03"}})
        self.assertEqual(value.next.day, datetime.date(2024, 1, 3))
        self.rejects(derived.Derived, {"day": "x", "next": {"day": 5}, "inner": "a"}, (".day", "date"), (".next.day", "date"), (".inner", "int"))

    def test_generic_dataclasses(self):
        T = typing.TypeVar("T")

        @dataclasses.dataclass
        class Box(typing.Generic[T]):
            value: T
            more: typing.List[T] = dataclasses.field(default_factory=list)

        self.assertEqual(self.convert(Box[int], {"value": 1, "more": [2]}), Box(1, [2]))
        self.rejects(Box[int], {"value": "a", "more": ["b"]}, (".value", "int"), (".more[0]", "int"))
        self.assertEqual(self.convert(Box, {"value": "a"}), Box("a"))
        self.assertEqual(list(read(typing.Tuple[Box[int], Box[str]])[2]), ["Box_int", "Box_str"])

    def test_keys_of_typed_dicts_that_are_not_required(self):
        if sys.version_info < (3, 11):
            self.skipTest("Required is in typing since Python 3.11")
        source = (
            "%sfrom typing import NotRequired, Required, TypedDict\nclass A(TypedDict):\n    a: int\n    b: NotRequired[int]\n"
            "class B(A, total=False):\n    c: int\n    d: Required[int]"
        )
        for head in ("", "from __future__ import annotations\n"):
            module = module_of(source % head)
            found, _, definitions = read(module.B)
            self.assertEqual(sorted(definitions["B"]["required"]), ["a", "d"])
            self.assertEqual(found.convert({"a": 1, "d": 2}), {"a": 1, "d": 2})

    def test_named_tuples_without_annotations(self):
        Pair = collections.namedtuple("Pair", "a b", defaults=[5])
        self.assertEqual(self.convert(Pair, {"a": "x"}), Pair("x", 5))
        self.rejects(Pair, {"b": 1, "c": 2}, (".a", "missing"), (".c", "unknown; expected a, b"))

    def test_a_field_whose_annotation_cannot_be_read_is_any_value_for_every_function(self):
        @dataclasses.dataclass
        class Bad:
            a: "int int"
            b: int

        annotations = _describe.Annotations()
        for _ in range(2):
            found, problems = annotations.read(Bad, {})
            self.assertEqual(found.convert({"a": [1], "b": 2}), Bad([1], 2))
            with self.assertRaises(Invalid):
                found.convert({"a": 1, "b": "x"})
            ((name, advice),) = problems
            self.assertEqual(name, "Bad.a")
            self.assertIn("SyntaxError", advice)
        self.assertEqual(annotations.definitions["Bad"]["properties"], {"a": {}, "b": {"type": "integer"}})

    def test_a_class_that_cannot_be_read_is_any_value_for_every_function(self):
        class Fields(dict):
            def items(self):
                raise RuntimeError("no fields")

        @dataclasses.dataclass
        class Bad:
            a: int

        Bad.__dataclass_fields__ = Fields()
        annotations = _describe.Annotations()
        for _ in range(2):
            found, problems = annotations.read(typing.List[Bad], {})
            self.assertEqual(found.convert([{"a": "x"}]), [{"a": "x"}])
            self.assertEqual(list(problems), [("Bad", "RuntimeError: no fields")])

    def test_a_class_may_refer_to_itself_many_times(self):
        fields = "".join("    f%d: 'typing.Optional[Node]' = None\n" % i for i in range(60))
        module = module_of("import dataclasses, typing\nclass Other: pass\n@dataclasses.dataclass\nclass Node:\n    o: Other\n" + fields)
        found, problems, _ = read(module.Node)
        self.assertEqual(list(problems), [("declared_here.Other", "")])
        self.assertEqual(found.convert({"o": 1, "f5": {"o": 2}}).f5.o, 2)

    def test_what_ends_a_call_passes_and_every_other_exception_is_an_error_of_the_argument(self):
        def exits(error):
            @dataclasses.dataclass
            class Exits:
                a: int

                def __post_init__(self):
                    raise error

            return Exits

        self.rejects(exits(SystemExit("bye")), {"a": 1}, ("", "SystemExit: bye"))
        for error in (CallCancelled("now"), KeyboardInterrupt()):
            with self.assertRaises(type(error)):
                self.convert(exits(error), {"a": 1})

    def test_enums(self):
        class Colour(enum.Enum):
            RED = "red"
            PAIR = (1, 2)
            HALF = 0.5
            ONE = 1.0

            @classmethod
            def _missing_(cls, value):
                if value == "rot":
                    return cls.RED
                if value == "bleu":
                    raise ValueError("no French names")
                if value == "odd":
                    raise RuntimeError("a bug")
                return None

        class Access(enum.Flag):
            READ = 1
            WRITE = 2

        found, _, definitions = read(Colour)
        for sent, member in [("red", "RED"), ([1, 2], "PAIR"), (0.5, "HALF"), (1, "ONE"), ("rot", "RED")]:
            self.assertIs(found.convert(sent), Colour[member])
        self.assertEqual(definitions["Colour"]["enum"], ["red", 0.5, 1.0, [1, 2]])
        for sent, text in [("bleu", "no French names"), ("odd", "RuntimeError: a bug"), ({}, "one of 'red', 0.5, 1.0"), (True, "not True")]:
            self.rejects(Colour, sent, ("", text))
        self.assertEqual(self.convert(Access, 3), Access.READ | Access.WRITE)
        self.rejects(Access, True, ("", "an Access"))
        self.assertIs(self.convert(typing.Literal[Colour.RED], "red"), Colour.RED)
        self.assertIs(self.convert("Literal[Colour.RED]", "red", {"Literal": typing.Literal, "Colour": Colour}), Colour.RED)

    def test_an_exception_of_user_code_is_an_error_of_the_argument(self):
        @dataclasses.dataclass
        class Odd:
            x: int

            def __post_init__(self):
                raise KeyError(self.x)

        self.rejects(typing.List[Odd], [{"x": 1}], ("[0]", "KeyError: 1"))


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Item:
    price: typing.Optional[float]
    day: datetime.date
    colour: Colour = Colour.RED


class EveryBytecodeTest(unittest.TestCase):
    """An interrupt in front of each bytecode of a conversion ends it, and leaves nothing behind."""

    def function(self, items: typing.List[Item], tags: typing.Set[str], *more: int):
        return [items, tags, more]

    def everywhere(self, argument, expected):
        call = bind(self.function, _describe.read_signature(self.function)).call
        count = 0
        while True:
            count += 1
            try:
                with raise_at(count, TRANSPARENT, CallCancelled) as seen:
                    outcome = call(argument)
            except Invalid as error:
                outcome = [path for path, _, _ in error.errors]
            except CallCancelled:
                continue
            self.assertEqual(outcome, expected)
            if seen[0] < count:
                return count

    def test_of_an_argument_that_fits(self):
        item = {"price": 1.5, "day": "2024-01-02", "colour": "red"}
        day = datetime.date(2024, 1, 2)
        argument = {"items": [item, {"price": None, "day": "2024-01-02"}], "tags": ["a"]}
        self.assertGreater(self.everywhere(argument, [[Item(1.5, day), Item(None, day)], {"a"}, ()]), 500)

    def test_of_an_argument_that_does_not_fit(self):
        argument = [[{"price": "x", "day": "yesterday"}, 5], ["a", 1], "more"]
        expected = ["items[0].price", "items[0].day", "items[1]", "tags[1]", "more[0]"]
        self.assertGreater(self.everywhere(argument, expected), 500)


T = typing.TypeVar("T")


@dataclasses.dataclass
class Held(typing.Generic[T]):
    item: T
    items: typing.List[T] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class HeldInt(Held[int]):
    more: str = ""


Vector = typing.List[T]


class GenericTest(Reading):
    def test_arguments_of_generics_count_in_text_and_in_bases(self):
        scope = {"Held": Held, "Vector": Vector}
        for annotation in ("Held[int]", Held[int], HeldInt):
            self.assertEqual(read(annotation, scope)[0].convert({"item": 1}).item, 1)
            self.rejects(annotation, {"item": "x", "items": ["y"]}, (".item", "an int"), (".items[0]", "an int"), scope=scope)
        self.rejects("Vector[int]", ["x"], ("[0]", "an int"), scope=scope)
        self.assertEqual(list(read("Vector[Missing]", scope)[1]), [("Vector[...]", "NameError: name 'Missing' is not defined")])

    def test_only_canonical_texts_and_known_flags_fit(self):
        for text in ("NaN", "Infinity", "1_0", " 1 "):
            self.rejects(decimal.Decimal, text, ("", "a decimal number"))
        self.rejects(uuid.UUID, "{12345678-1234-5678-1234-567812345678}", ("", "a UUID"))
        flags = enum.IntFlag("flags", {"A": 1, "B": 2})
        self.assertEqual(read(flags)[0].convert(3), 3)
        for value in (-1, 4):
            self.rejects(flags, value, ("", "a flags"))
        self.rejects(typing.Tuple[()], [1], ("", "0 items"))
        self.rejects("tuple[()]", [1], ("", "0 items"))


if __name__ == "__main__":
    unittest.main()
