"""Each row of tests/vectors/front_door.json, through a worker process, in JSON and in MessagePack."""

import base64
import importlib.util
import json
import unittest

from pyproc_worker import _frames, _msgpack

from .harness import Host, repository

with open(repository("tests/vectors/front_door.json"), encoding="utf-8") as _file:
    ROWS = json.load(_file)["rows"]
INSTALLED = [row for row in ROWS if all(map(importlib.util.find_spec, row.get("needs", ())))]
CODES = {_frames.INVALID_ARGUMENT: "invalid_argument", _frames.UNENCODABLE: "encode", _frames.RAISED: "exception"}


def of_codec(name):
    """The rows that are about a codec; a row that names none is about both."""
    return [row for row in INSTALLED if name in row.get("codecs", (name,))]


class FrontDoorTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.host = Host(repository("tests/workers/front_door.py"))
        cls.ready = cls.host.ready()
        cls.pack, cls.unpack = _msgpack.choose()

    @classmethod
    def tearDownClass(cls):
        cls.host.__exit__()

    def test_every_row_in_json(self):
        for row in of_codec("json"):
            with self.subTest(row["id"]):
                self.check(row, self.call(row, _frames.CODEC_JSON, "argument"), json.loads)

    def test_every_row_in_msgpack(self):
        unpack = type(self).unpack
        for row in of_codec("msgpack"):
            with self.subTest(row["id"]):
                which = "msgpack" if "msgpack" in row else "argument"
                self.check(row, self.call(row, _frames.CODEC_MSGPACK, which), unpack)

    def test_messagepack_has_bytes(self):
        for payload in (b"\xc4\x03\x00\x01\x02", b"\x81\xa4data\xc4\x03\x00\x01\x02", b"\xa4AAEC"):
            answer = self.host.call("bytes_base64", payload, codec=_frames.CODEC_MSGPACK)
            self.assertEqual(type(self).unpack(answer.payload), ["bytes", 3])

    def test_every_row_has_one_outcome_and_a_name_of_its_own(self):
        self.assertEqual(len({row["id"] for row in ROWS}), len(ROWS))
        for row in ROWS:
            self.assertEqual(sum(key in row for key in ("result", "errors", "error")), 1, row["id"])
        tables = {row["table"] for row in ROWS}
        self.assertLessEqual({"binding", "types", "results"}, tables)

    def call(self, row, codec, which):
        if "bytes" in row:
            codec, payload = _frames.CODEC_BYTES, base64.b64decode(row["bytes"])
        elif which not in row:
            codec, payload = codec | _frames.ABSENT, b""
        elif codec == _frames.CODEC_JSON:
            payload = row[which]
        else:
            payload = type(self).pack(row[which])
        call = self.host.start_call(row["id"], payload, codec=codec)
        return self.host.answer(call), self.host.phase(call)

    def check(self, row, answered, decode):
        answer, phase = answered
        if "result" in row:
            self.assertEqual(answer.kind, _frames.REPLY, answer.payload)
            decode = json.loads if answer.codec == _frames.CODEC_JSON else decode
            self.assertEqual(decode(answer.payload), row["result"])
            self.assertEqual(phase, 2)
            return
        if "errors" not in row:
            kind, text = row["error"]
            self.assertEqual(CODES.get(answer.code), kind, answer.payload)
            self.assertIn(text, answer.error["message"])
            return
        self.assertEqual(answer.code, _frames.INVALID_ARGUMENT, answer.payload)
        # It says, also in the slot table, that it has not run.
        self.assertEqual(phase, 0)
        found = answer.error["errors"]
        self.assertEqual([one["path"] for one in found], [path for path, _, _ in row["errors"]], found)
        for one, (_, kind, text) in zip(found, row["errors"]):
            self.assertIn(one["kind"], (kind, one["kind"]) if not kind else (kind,), found)
            self.assertIn(text, one["message"])


if __name__ == "__main__":
    unittest.main()
