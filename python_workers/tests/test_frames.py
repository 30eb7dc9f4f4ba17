"""The golden frames that both languages test, and the reader with every way to split them."""

import json
import os
import random
import unittest

from pyproc_worker import _frames

from .harness import repository

with open(repository("tests/vectors/frames.json")) as _file:
    VECTORS = json.load(_file)

_NAMES = ("hello", "welcome", "ready", "failed", "call", "drain", "ping", "fault", "reply", "error", "pong")
KINDS = {name: getattr(_frames, name.upper()) for name in _NAMES}


def _expected(golden):
    payload = bytes.fromhex(golden["payload_hex"])
    return KINDS[golden["kind"]], golden["codec"], golden["function"], golden["call"], payload


class VectorsTest(unittest.TestCase):
    def test_golden_frames_are_what_is_encoded(self):
        self.assertGreaterEqual(len(VECTORS["frames"]), 15)
        for golden in VECTORS["frames"]:
            with self.subTest(golden["name"]):
                self.assertEqual(_frames.frame(*_expected(golden)), bytes.fromhex(golden["frame_hex"]))

    def test_golden_frames_are_decoded_however_they_are_split(self):
        for golden in VECTORS["frames"]:
            data = bytes.fromhex(golden["frame_hex"])
            for at in range(len(data) + 1):
                with self.subTest(golden["name"], at=at):
                    reader = _frames.FrameReader()
                    frames = reader.feed(data[:at]) + reader.feed(data[at:])
                    self.assertEqual(frames, [_expected(golden)])
                    self.assertTrue(reader.at_boundary())

    def test_golden_metadata_is_split_from_the_argument(self):
        for golden in VECTORS["frames"]:
            if "metadata" in golden:
                with self.subTest(golden["name"]):
                    metadata, argument = _frames.split_metadata(bytes.fromhex(golden["payload_hex"]))
                    self.assertEqual(json.loads(metadata), golden["metadata"])
                    self.assertTrue(golden["payload_hex"].endswith(argument.hex()))

    def test_invalid_lengths_are_refused(self):
        for bad in VECTORS["invalid"]:
            data = bytes.fromhex(bad["bytes_hex"])
            length = int.from_bytes(data[:4], "big")
            with self.subTest(bad["name"]):
                if bad["error"] == "unknown_kind":
                    self.assertNotIn(data[4], KINDS.values())
                else:
                    with self.assertRaises(_frames.ProtocolError):
                        _frames.check_length(length, bad["max_frame"])
                    with self.assertRaises(_frames.ProtocolError):
                        _frames.FrameReader(bad["max_frame"]).feed(data + bytes(12))

    def test_service_times_are_rounded_up_to_what_the_field_can_express(self):
        for row in VECTORS["service_times"]:
            self.assertEqual(_frames.service_time(row["microseconds"]), row["field"], row)

    def test_incomplete_frames_are_waited_for(self):
        for part in VECTORS["incomplete"]:
            with self.subTest(part["name"]):
                reader = _frames.FrameReader(part["max_frame"])
                self.assertEqual(reader.feed(bytes.fromhex(part["bytes_hex"])), [])


class ReaderTest(unittest.TestCase):
    def test_many_frames_in_random_pieces(self):
        generator = random.Random(1)
        sizes = [0, 1, 30, 65528, 65529, 200_000, 5, 70_000]
        frames = [(_frames.CALL, 3, i, i + 7, bytes([i]) * size) for i, size in enumerate(sizes)]
        data = b"".join(_frames.frame(*f) for f in frames)
        for longest in (7, 1000, 100_000):
            reader, seen, at = _frames.FrameReader(), [], 0
            while at < len(data):
                size = generator.randint(1, longest)
                room = reader.room()
                if room is not None and generator.random() < 0.5:
                    piece = data[at : at + min(size, len(room))]
                    room[: len(piece)] = piece
                    seen += reader.filled(len(piece))
                else:
                    piece = data[at : at + size]
                    seen += reader.feed(piece)
                at += len(piece)
            self.assertEqual(seen, frames)
            self.assertTrue(reader.at_boundary())


if __name__ == "__main__":
    unittest.main()
