"""Reads PNGs as Chromium writes them: 8 bits a channel, not interlaced. https://www.w3.org/TR/png-3/"""

import struct
import zlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """A picture as rows of bytes."""

    width: int
    height: int
    channels: int
    rows: list[bytes]

    def luminances(self) -> list[float]:
        """How bright each pixel is, from 0 to 1."""
        step = self.channels
        return [
            (0.2126 * row[i] + 0.7152 * row[i + 1] + 0.0722 * row[i + 2]) / 255
            for row in self.rows
            for i in range(0, len(row), step)
        ]


def size_of(png: bytes) -> tuple[int, int]:
    """Width and height."""
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def read_png(png: bytes) -> Picture:
    """A whole picture."""
    width, height = size_of(png)
    channels = {2: 3, 6: 4}[png[25]]
    length = width * channels
    data = zlib.decompress(b"".join(_chunks(png, b"IDAT")))
    rows: list[bytes] = []
    for start in range(0, len(data), length + 1):
        above = rows[-1] if rows else bytes(length)
        rows.append(_unfiltered(data[start], data[start + 1 : start + 1 + length], above, channels))
    assert len(rows) == height
    return Picture(width, height, channels, rows)


def _chunks(png: bytes, wanted: bytes) -> list[bytes]:
    found, place = [], 8
    while place < len(png):
        length, kind = struct.unpack(">I4s", png[place : place + 8])
        if kind == wanted:
            found.append(png[place + 8 : place + 8 + length])
        place += length + 12
    return found


def _unfiltered(kind: int, row: bytes, above: bytes, step: int) -> bytes:
    done = bytearray(row)
    for i, value in enumerate(row):
        left, up, corner = (done[i - step], above[i], above[i - step]) if i >= step else (0, above[i], 0)
        guess = (0, left, up, (left + up) // 2, _paeth(left, up, corner))[kind]
        done[i] = (value + guess) & 255
    return bytes(done)


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    return min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))[2]
