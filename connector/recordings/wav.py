"""Whether a WAV file is all there: the PBX may still be writing the one that it already serves.

The layout is RIFF's (http://soundfile.sapp.org/doc/WaveFormat/): chunks of an ID, a little-endian size and the bytes.
Asterisk writes the sizes when it closes the file, until then they are 0 (its `formats/format_wav.c`).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

_UNKNOWN = 0xFFFFFFFF
"""What programs write that never learn the size, such as a pipe's."""


def what_is_missing(file: BinaryIO, size: int) -> str | None:
    """What a WAV file of `size` bytes lacks by its own header, None where it is whole or no WAV."""
    file_size = _riff_size(file)
    if file_size is None:
        return None
    if file_size != _UNKNOWN and file_size + 8 > size:
        return f"{size} of {file_size + 8} bytes are there"
    return None if _data_size(file) else "its audio is not there yet"


def close_header(path: Path) -> None:
    """Gives a WAV file that its writer left open, with sizes of 0, those that it has; any other file stays as it is."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        if _riff_size(file) is None or _data_size(file) != 0 or file.tell() >= size:
            return
        begin = file.tell()
        file.seek(begin - 4)
        file.write(struct.pack("<I", size - begin))
        file.seek(4)
        file.write(struct.pack("<I", size - 8))


def _riff_size(file: BinaryIO) -> int | None:
    """What a WAV file says of its size without the first 8 bytes, None where it is no WAV; then its chunks follow."""
    file.seek(0)
    riff = file.read(12)
    if riff[:4] != b"RIFF" or riff[8:12] != b"WAVE":
        return None
    return int(struct.unpack("<I", riff[4:8])[0])


def _data_size(file: BinaryIO) -> int | None:
    """The size of the audio, which follows then, None where there is none: reads on from the chunk that is next."""
    while len(header := file.read(8)) == 8:
        chunk, length = header[:4], struct.unpack("<I", header[4:])[0]
        if chunk == b"data":
            return int(length)
        file.seek(length + length % 2, 1)
    return None
