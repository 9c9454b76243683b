import json
import struct
from pathlib import Path

import pytest

from pytest_batchguard.errors import IsolationError
from pytest_batchguard.isolation.messages import LARGEST_FRAME, Decoder, encode

MESSAGES = [
    {"kind": "progress", "step": 3},
    {"kind": "end"},
    {"kind": "report", "text": "ä → 日本", "list": [1, None, 2.5]},
]


def frame(body):
    return struct.pack(">I", len(body)) + body


def refusal(stream):
    with pytest.raises(IsolationError) as caught:
        list(Decoder().feed(stream))
    return str(caught.value)


def test_frame_is_a_length_and_json():
    encoded = encode({"kind": "end"})
    assert struct.unpack(">I", encoded[:4])[0] == len(encoded) - 4
    assert json.loads(encoded[4:]) == {"kind": "end"}


def test_messages_come_out_as_they_went_in_and_in_order():
    assert list(Decoder().feed(b"".join(map(encode, MESSAGES)))) == MESSAGES


def test_stream_may_be_cut_anywhere():
    decoder = Decoder()
    stream = b"".join(map(encode, MESSAGES))
    received = [message for byte in stream for message in decoder.feed(bytes([byte]))]
    assert received == MESSAGES


def test_message_is_held_back_until_it_is_whole():
    decoder = Decoder()
    encoded = encode(MESSAGES[0])
    assert list(decoder.feed(encoded[:-1])) == []
    assert list(decoder.feed(encoded[-1:] + encode(MESSAGES[1])[:3])) == MESSAGES[:1]


def test_messages_before_garbage_are_read():
    received = []
    with pytest.raises(IsolationError):
        received.extend(Decoder().feed(encode(MESSAGES[0]) + frame(b"garbage")))
    assert received == MESSAGES[:1]


def test_nothing_is_no_message():
    assert list(Decoder().feed(b"")) == []


def test_what_json_does_not_know_travels_as_text():
    assert list(Decoder().feed(encode({"kind": "a", "path": Path("/x")}))) == [{"kind": "a", "path": "/x"}]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"\xff\xfe\x00",
        b"[]",
        b"5",
        b"null",
        b"{}",
        b'{"kind": 5}',
        b'{"kind": null}',
        b'{"kind": "end"',
        b'{"kind": "end"} {"kind": "end"}',
    ],
)
def test_frame_that_is_no_message_is_refused(body):
    assert refusal(frame(body)).startswith("the process sent what is not a message")


def test_refusal_shows_the_beginning_of_what_was_sent_and_no_more():
    assert "b'Traceback" in refusal(frame(b"Traceback" * 1000))
    assert len(refusal(frame(b"Traceback" * 1000))) < 200


def test_nesting_without_end_is_refused_like_other_garbage():
    assert refusal(frame(b"[" * 200_000)).startswith("the process sent what is not a message")


def test_text_in_place_of_frames_is_refused_by_its_length():
    assert "at most" in refusal(b"GARBAGE, and more of it")


def test_frame_of_the_largest_size_is_waited_for():
    assert list(Decoder().feed(struct.pack(">I", LARGEST_FRAME) + b"{")) == []


def test_frame_beyond_the_largest_size_is_refused_at_once():
    assert refusal(struct.pack(">I", LARGEST_FRAME + 1)) == (
        f"the process sent a frame of {LARGEST_FRAME + 1} bytes; at most {LARGEST_FRAME} are allowed"
    )


def test_good_messages_before_garbage_do_not_save_it():
    assert refusal(encode(MESSAGES[0]) + b"\xff\xff\xff\xff").startswith("the process sent a frame of 4294967295 bytes")
