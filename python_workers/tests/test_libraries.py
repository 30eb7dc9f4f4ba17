"""Annotations with classes of numpy, pydantic, msgspec and pandas, where these are installed."""

import dataclasses
import datetime
import typing
import unittest

from pyproc_worker import _describe
from pyproc_worker._bind import bind
from pyproc_worker._checked import Invalid

try:
    import numpy
    from numpy.typing import NDArray
except ImportError:
    numpy = None
try:
    import pydantic
except ImportError:
    pydantic = None
try:
    import msgspec
except ImportError:
    msgspec = None
try:
    import pandas
except ImportError:
    pandas = None


class Library(unittest.TestCase):
    def read(self, annotation, scope=None, result=False):
        """Return the type of an annotation, its problems, and the definitions."""
        annotations = _describe.Annotations()
        found, problems = annotations.read(annotation, scope or {}, result)
        return found, problems, annotations.definitions

    def convert(self, annotation, value):
        return self.read(annotation)[0].convert(value)

    def rejects(self, annotation, value, *expected):
        """Check the errors, given as (path, text in the message, kind)."""
        with self.assertRaises(Invalid) as caught:
            self.convert(annotation, value)
        found = caught.exception.errors
        self.assertEqual([(path, kind) for path, _, kind in found], [(path, kind) for path, _, kind in expected], found)
        for (_, message, _), (_, text, _) in zip(found, expected):
            self.assertIn(text, message)


@unittest.skipIf(numpy is None, "numpy is not installed")
class NumpyTest(Library):
    def test_arrays_keep_the_meaning_of_their_numbers(self):
        rows = [
            (numpy.float32, [1, 2.5], [1, 2.5]),
            (numpy.uint8, [[0, 255]], [[0, 255]]),
            (numpy.int64, [], []),
            (numpy.bool_, [True], [True]),
            (numpy.complex64, [1.5], [1.5]),
            (numpy.str_, ["a"], ["a"]),
        ]
        for dtype, sent, value in rows:
            array = self.convert(NDArray[dtype], sent)
            self.assertEqual((array.dtype.kind, array.tolist()), (numpy.dtype(dtype).kind, value))
        for dtype, sent, text in [
            (numpy.float32, ["1"], "a number, not a str"),
            (numpy.float32, [True], "a number, not a bool"),
            (numpy.int8, [1.5], "an int, not a float"),
            (numpy.float64, [None, 1.0], "a number, not None"),
            (numpy.bool_, [1], "a bool, not an int"),
        ]:
            self.rejects(NDArray[dtype], sent, ("[0]", text, "type"))
        self.rejects(NDArray[numpy.uint8], [1, -1], ("", "from 0 to 255, not -1", "value"))
        self.rejects(NDArray[numpy.int8], [10**30], ("", "an array of int8", "value"))

    def test_items_of_several_kinds_are_not_converted_into_one_another(self):
        for annotation, sent, path, text in [
            (NDArray[numpy.int8], [1, True], "[1]", "an int, not a bool"),
            (NDArray[numpy.float32], [[1.5], [True]], "[1][0]", "a number, not a bool"),
            (NDArray[numpy.str_], ["a", 1], "[1]", "a str, not an int"),
            (numpy.ndarray, [1, "a"], "[1]", "a number, not a str"),
            (numpy.ndarray, [1, 2.5, True], "[2]", "a number, not a bool"),
            (numpy.ndarray, [True, 1], "[1]", "a bool, not an int"),
        ]:
            self.rejects(annotation, sent, (path, text, "type"))
        self.assertEqual(self.convert(NDArray[numpy.object_], [1, "a", True]).tolist(), [1, "a", True])

    def test_large_integers_keep_their_values(self):
        self.assertEqual(self.convert(NDArray[numpy.uint64], [2**64 - 1, 0]).tolist(), [2**64 - 1, 0])
        self.assertEqual(self.convert(NDArray[numpy.float64], [2**64]).tolist(), [2.0**64])
        self.rejects(numpy.ndarray, [2**63, -1], ("", "integers of 64 bits", "value"))
        self.rejects(NDArray[numpy.int64], [2**63, -1], ("", "not 9223372036854775808", "value"))
        self.rejects(NDArray[numpy.float64], [10**400], ("", "too large", "value"))

    def test_times_are_in_iso_8601(self):
        made = self.convert(NDArray[numpy.datetime64], ["2024-01-02", "2024-01-02T03:04:05Z", "NaT"])
        self.assertEqual(made[:2].tolist(), [datetime.datetime(2024, 1, 2), datetime.datetime(2024, 1, 2, 3, 4, 5)])
        for text in ("x", "now", "", "2024-01-02T03:04:05+01:00"):
            self.rejects(NDArray[numpy.datetime64], ["2024-01-02", text], ("[1]", "ISO 8601 without an offset", "value"))

    def test_an_array_that_is_one_is_passed_as_it_is(self):
        array = numpy.ones(3, "float32")
        self.assertIs(self.convert(NDArray[numpy.float32], array), array)
        self.assertIs(self.convert(numpy.ndarray, array), array)
        self.assertEqual(self.convert(NDArray[numpy.float64], array).dtype, "float64")

    def test_a_number_that_does_not_fit_a_narrower_float_is_refused(self):
        single = self.read(NDArray[numpy.float32])[0]
        self.assertEqual(single.convert([3e38, -3e38]).dtype, numpy.float32)
        self.assertTrue(numpy.isinf(single.convert(numpy.array([float("inf")]))[0]))
        for scalar, value in ((numpy.float32, [1.0, 1e300]), (numpy.float16, [70000]), (numpy.complex64, [1e300])):
            self.rejects(NDArray[scalar], value, ("", "whose values are from", "value"))

    def test_arrays_in_text_and_in_fields(self):
        scope = {"np": numpy, "NDArray": NDArray, "Any": typing.Any}
        for text in ("NDArray[np.int16]", "np.ndarray[Any, np.dtype[np.int16]]"):
            self.assertEqual(self.read(text, scope)[0].schema["x-dtype"], "int16")

        @dataclasses.dataclass
        class Image:
            pixels: NDArray[numpy.uint8]

        self.assertEqual(self.convert(Image, {"pixels": [[1]]}).pixels.dtype, "uint8")
        self.rejects(Image, {"pixels": [[256]]}, (".pixels", "not 256", "value"))

    def test_arrays_of_any_numbers(self):
        self.assertEqual(self.convert(NDArray[numpy.floating], [1.5]).tolist(), [1.5])
        self.rejects(numpy.ndarray, [{}], ("[0]", "a number or a str, not a dict", "type"))
        self.rejects(numpy.ndarray, "ab", ("", "expected an array, not a str", "type"))

    def test_scalars_are_results(self):
        for scalar, kind in [(numpy.float32, "number"), (numpy.int8, "integer"), (numpy.bool_, "boolean")]:
            found, problems, _ = self.read(scalar, result=True)
            self.assertEqual((found.schema, problems), ({"type": kind}, []))


@unittest.skipIf(pydantic is None, "pydantic is not installed")
class PydanticTest(Library):
    def setUp(self):
        class Item(pydantic.BaseModel):
            """One item."""

            n: int
            when: typing.Optional[datetime.datetime] = None

        self.Item = Item

    def test_models_are_definitions_also_inside_of_other_annotations(self):
        Item = self.Item

        @dataclasses.dataclass
        class Order:
            items: typing.List[Item]

        found, problems, definitions = self.read(typing.Optional[Order])
        self.assertEqual((list(definitions), problems), (["Order", "Item"], []))
        self.assertEqual(definitions["Order"]["properties"]["items"]["items"], {"$ref": "#/components/schemas/Item"})
        self.assertEqual(definitions["Item"]["description"], "One item.")
        self.assertEqual(found.convert({"items": [{"n": 1}]}), Order([Item(n=1)]))
        self.rejects(Order, {"items": [{"n": 1}, {"n": "x"}, {}]}, (".items[1].n", "valid integer", "type"), (".items[2].n", "missing", "missing"))

    def test_root_models_unions_and_recursion(self):
        class Numbers(pydantic.RootModel):
            root: typing.List[int]

        class Tree(pydantic.BaseModel):
            value: int
            children: "typing.List[Tree]" = []

        Tree.model_rebuild(_types_namespace={"Tree": Tree, "typing": typing})
        self.assertEqual(self.read(Numbers)[0].takes, {"array"})
        self.assertEqual(self.convert(Numbers, [1]).root, [1])
        found, _, definitions = self.read(Tree)
        self.assertEqual((found.schema, list(definitions)), ({"$ref": "#/components/schemas/Tree"}, ["Tree"]))
        self.rejects(Tree, {"value": 1, "children": [{"value": "x"}]}, (".children[0].value", "valid integer", "type"))

    def test_metadata_and_unknown_keys(self):
        Positive = typing.Annotated[int, pydantic.Field(gt=0)]
        self.assertEqual(self.read(Positive)[0].schema, {"exclusiveMinimum": 0, "type": "integer"})
        self.rejects(typing.Dict[str, Positive], {"a": 0}, (".a", "greater than 0", "value"))

        class Closed(pydantic.BaseModel):
            model_config = pydantic.ConfigDict(extra="forbid", strict=True)
            day: datetime.date

        self.assertEqual(self.convert(Closed, {"day": "2024-01-02"}).day, datetime.date(2024, 1, 2))
        self.rejects(Closed, {"day": "2024-01-02", "x": 1}, (".x", "unknown", "unknown"))

    def test_metadata_in_text_count_and_those_that_fail_are_warned_of(self):
        scope = {"Annotated": typing.Annotated, "Field": pydantic.Field}
        found, problems, _ = self.read("list[Annotated[int, Field(gt=0)]]", scope)
        self.assertEqual((found.schema["items"], problems), ({"type": "integer", "exclusiveMinimum": 0}, []))
        found, problems, _ = self.read("Annotated[int, Field(gt=missing)]", scope)
        self.assertEqual((found.schema, problems), ({"type": "integer"}, [("Annotated[...]", "NameError: name 'missing' is not defined")]))

    def test_an_exception_of_a_validator_is_an_error_of_the_argument(self):
        class Odd(pydantic.BaseModel):
            n: int

            @pydantic.field_validator("n")
            @classmethod
            def check(cls, n):
                raise (ValueError("no") if n else RuntimeError("a bug"))

        self.rejects(Odd, {"n": 1}, (".n", "no", "value"))
        self.rejects(Odd, {"n": 0}, ("", "RuntimeError: a bug", "value"))

    def test_results_have_the_schema_of_what_is_sent(self):
        class Area(pydantic.BaseModel):
            side: int

            @pydantic.computed_field
            @property
            def area(self) -> int:
                return self.side**2

        annotations = _describe.Annotations()
        annotations.read(Area, {})
        found, _ = annotations.read(Area, {}, result=True)
        properties = [list(one["properties"]) for one in annotations.definitions.values()]
        self.assertEqual(properties, [["side"], ["side", "area"]])
        self.assertEqual(found.schema, {"$ref": "#/components/schemas/Area_2"})

    def test_models_without_a_json_schema_still_validate(self):
        class Odd(pydantic.BaseModel):
            model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)
            n: int
            check: typing.Callable
            thing: unittest.TestCase

        found, problems, definitions = self.read(Odd)
        self.assertEqual((list(definitions), list(problems)), (["Odd"], []))
        self.assertEqual(definitions["Odd"]["properties"]["n"], {"title": "N", "type": "integer"})
        with self.assertRaises(Invalid) as caught:
            found.convert({"n": "x", "check": 5, "thing": 6})
        self.assertEqual([path for path, _, _ in caught.exception.errors], [".n", ".check", ".thing"])

    def test_a_model_that_cannot_validate_is_warned_of(self):
        class Open(pydantic.BaseModel):
            other: "NotDefinedAnywhere"  # noqa: F821

        found, problems, _ = self.read(Open)
        self.assertEqual(found.convert, None)
        ((_, reason),) = problems
        self.assertRegex(reason, "^the argument is passed as it is: PydanticUserError: [^\n]{,120}$")

    def test_results_are_sent_by_the_names_of_fields(self):
        class Item(pydantic.BaseModel):
            n: int = pydantic.Field(alias="N")

        def names(**options):
            definitions = self.read(Item, **options)[2]
            return list(definitions["Item"]["properties"])

        self.assertEqual((names(), names(result=True)), (["N"], ["n"]))
        Item.model_config["serialize_by_alias"] = True
        self.assertEqual(names(result=True), ["N"])

    def test_generic_models_in_text_have_their_arguments(self):
        T = typing.TypeVar("T")

        class Page(pydantic.BaseModel, typing.Generic[T]):
            item: T

        scope = {"Page": Page}
        for text in ("Page[int]", "list[Page[int]]"):
            found, problems, _ = self.read(text, scope)
            self.assertEqual(list(problems), [])
            sent = {"item": "x"}
            with self.assertRaises(Invalid) as caught:
                found.convert([sent] if "list" in text else sent)
            self.assertTrue(caught.exception.errors[0][0].endswith(".item"))
        self.assertEqual(list(self.read("Page[Missing]", scope)[1]), [("Page[...]", "NameError: name 'Missing' is not defined")])

    def test_a_field_is_no_default_of_a_parameter(self):
        def f(x: int = pydantic.Field(default=3, gt=0)):
            return x

        signature = _describe.read_signature(f)
        bound = bind(f, signature)
        self.assertTrue(signature.parameters[0].required)
        with self.assertRaises(Invalid):
            bound.absent(None)
        (warning,) = _describe.describe("f", f, signature, bound)["warnings"]
        self.assertIn("the parameter is required; write `x: Annotated[", warning)

    def test_texts_of_validators_are_one_short_line(self):
        class Odd(pydantic.BaseModel):
            n: int

            @pydantic.field_validator("n")
            @classmethod
            def check(cls, n):
                raise ValueError("a\n\tb \x1b[31m" + "c" * 1000)

        with self.assertRaises(Invalid) as caught:
            self.convert(Odd, {"n": 1})
        ((_, message, _),) = caught.exception.errors
        self.assertIn("a b \\x1b[31mccc", message)
        self.assertEqual(len(message), 300)


@unittest.skipIf(msgspec is None, "msgspec is not installed")
class MsgspecTest(Library):
    def test_structs(self):
        Item = msgspec.defstruct("Item", [("data", bytes), ("table", typing.Dict[int, str], {})])
        found, problems, definitions = self.read(typing.List[Item])
        self.assertEqual((list(definitions), problems), (["Item"], []))
        self.assertEqual(found.convert([{"data": "AAE="}])[0].data, b"\0\1")
        # MessagePack has bytes and keys that are numbers.
        self.assertEqual(found.convert([{"data": b"a", "table": {1: "a", "2": "b"}}])[0].table, {1: "a", 2: "b"})
        self.rejects(
            typing.List[Item],
            [{"data": "AAE="}, {}, {"data": "AAE=", "table": {"x": "a"}}, {"data": 5}],
            ("[1].data", "missing", "missing"),
            ("[2].table", "key: expected `int`, got `str`", "type"),
            ("[3].data", "expected `bytes`, got `int`", "type"),
        )

    def test_structs_without_a_json_schema_still_validate(self):
        Odd = msgspec.defstruct("Odd", [("n", int), ("thing", unittest.TestCase)])
        found, problems, definitions = self.read(Odd)
        self.assertEqual((list(definitions), list(problems)), (["Odd"], []))
        with self.assertRaises(Invalid) as caught:
            found.convert({"n": "x", "thing": 5})
        self.assertEqual(caught.exception.errors, [(".n", "expected `int`, got `str`", "type")])

    def test_metadata(self):
        Short = typing.Annotated[str, msgspec.Meta(max_length=2)]
        self.assertEqual(self.read(Short)[0].schema, {"type": "string", "maxLength": 2})
        self.rejects(Short, "abc", ("", "length <= 2", "value"))


@unittest.skipIf(pandas is None, "pandas is not installed")
class PandasTest(Library):
    def test_frames_are_passed_as_they_are_and_cannot_be_sent(self):
        found, problems, _ = self.read(pandas.DataFrame)
        self.assertEqual((found.convert, found.schema, problems), (None, {"x-python-type": "pandas.DataFrame"}, [("pandas.DataFrame", "")]))
        for kind, advice in [
            (pandas.DataFrame, 'return .to_dict("records")'),
            (pandas.Series, "return .to_list() or .to_dict()"),
        ]:
            self.assertEqual(self.read(kind, result=True)[1], [("pandas." + kind.__name__, advice)])
        found, problems, _ = self.read(pandas.Timestamp, result=True)
        self.assertEqual((found.schema, problems), ({"type": "string", "format": "date-time"}, []))


if __name__ == "__main__":
    unittest.main()
