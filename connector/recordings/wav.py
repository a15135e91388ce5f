"""Whether a WAV file is all there: the PBX may still be writing the one that it already serves.

The layout is RIFF's (http://soundfile.sapp.org/doc/WaveFormat/): chunks of an ID, a little-endian size and the bytes.
Asterisk writes the sizes when it closes the file, until then they are 0 (its `formats/format_wav.c`).
"""

from __future__ import annotations

import struct
from typing import BinaryIO

_UNKNOWN = 0xFFFFFFFF
"""What programs write that never learn the size, such as a pipe's."""


def what_is_missing(file: BinaryIO, size: int) -> str | None:
    """What a WAV file of `size` bytes lacks by its own header, None where it is whole or no WAV."""
    file.seek(0)
    riff = file.read(12)
    if riff[:4] != b"RIFF" or riff[8:12] != b"WAVE":
        return None
    file_size = struct.unpack("<I", riff[4:8])[0]
    if file_size != _UNKNOWN and file_size + 8 > size:
        return f"{size} of {file_size + 8} bytes are there"
    while len(header := file.read(8)) == 8:
        chunk, length = header[:4], struct.unpack("<I", header[4:])[0]
        if chunk == b"data":
            return None if length else "its audio is not there yet"
        file.seek(length + length % 2, 1)
    return "its audio is not there yet"
