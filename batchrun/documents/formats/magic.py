"""The beginnings of files that have no text: what each file is, and what to do with the file."""

from dataclasses import dataclass

from batchrun.documents.formats import Unusable

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""The container of old Office files, of Outlook's messages, and of encrypted Office files."""
ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08PK")

_PICTURE = 'recognise its text first (OCR), or send it as it is: [source] pdf = "native" or "auto"'
_OCR = "recognise its text first (OCR)"
_UNPACK = "unpack it, and take the files in it"
_WRITE_DOWN = "write down what is said in it first"
_EXPORT = "export its text or its tables first"
_CONVERT = "convert it to PDF or DOCX first"
_LEAVE_OUT = "leave it out: [source] exclude"


@dataclass(frozen=True, slots=True)
class _Beginning:
    """How files of one kind begin."""

    magic: bytes
    kind: str
    advice: str
    at: int = 0
    also: tuple[int, bytes] = (0, b"")
    """What else stands in such a file, and where, when the magic may begin a text as well."""


_BEGINNINGS = (
    _Beginning(b"\x89PNG", "a PNG image", _PICTURE),
    _Beginning(b"\xff\xd8\xff", "a JPEG image", _PICTURE),
    _Beginning(b"GIF87a", "a GIF image", _PICTURE),
    _Beginning(b"GIF89a", "a GIF image", _PICTURE),
    _Beginning(b"RIFF", "a WebP image", _PICTURE, also=(8, b"WEBP")),
    _Beginning(b"II*\0", "a TIFF image", _OCR),
    _Beginning(b"MM\0*", "a TIFF image", _OCR),
    _Beginning(b"BM", "a BMP image", _OCR, also=(6, b"\0\0\0\0")),
    _Beginning(b"\0\0\1\0", "an icon", _OCR),
    _Beginning(b"8BPS", "a Photoshop image", _OCR),
    _Beginning(b"\0\0\0\x0cjP  ", "a JPEG 2000 image", _OCR),
    _Beginning(b"ftypheic", "an HEIC image", _OCR, at=4, also=(0, b"\0\0")),
    _Beginning(b"ftypmif1", "an HEIC image", _OCR, at=4, also=(0, b"\0\0")),
    _Beginning(b"ftypavif", "an AVIF image", _OCR, at=4, also=(0, b"\0\0")),
    _Beginning(b"AT&TFORM", "a DjVu file", _CONVERT),
    _Beginning(b"\xc5\xd0\xd3\xc6", "an EPS image", _CONVERT),
    _Beginning(b"\1\0\0\0", "an EMF image", _OCR, also=(40, b" EMF")),
    _Beginning(b"\xd7\xcd\xc6\x9a", "a WMF image", _OCR),
    _Beginning(b"DICM", "a DICOM image", _LEAVE_OUT, at=128, also=(0, b"\0")),
    _Beginning(b"\x1f\x8b", "a gzip archive", _UNPACK),
    _Beginning(b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    _Beginning(b"ustar\0", "a tar archive", _UNPACK, at=257),
    _Beginning(b"ustar  \0", "a tar archive", _UNPACK, at=257),
    _Beginning(b"Rar!\x1a\7", "a RAR archive", _UNPACK),
    _Beginning(b"BZh", "a bzip2 archive", _UNPACK, also=(4, b"1AY&SY")),
    _Beginning(b"\xfd7zXZ\0", "an xz archive", _UNPACK),
    _Beginning(b"\x28\xb5\x2f\xfd", "a zstd archive", _UNPACK),
    _Beginning(b"\x04\x22\x4d\x18", "an lz4 archive", _UNPACK),
    _Beginning(b"\x1f\x9d", "a compressed file (.Z)", _UNPACK),
    _Beginning(b"MSCF\0\0\0\0", "a cabinet archive", _UNPACK),
    _Beginning(b"!<arch>\n", "an ar archive, such as a Debian package", _UNPACK),
    _Beginning(b"\xed\xab\xee\xdb", "an RPM package", _UNPACK),
    _Beginning(b"CD001", "an image of a disc", _UNPACK, at=0x8001, also=(0x8000, b"\1")),
    _Beginning(b"!BDN", "an Outlook archive (PST)", "export its messages as EML or MBOX first"),
    _Beginning(b"SQLite format 3\0", "an SQLite database", _EXPORT),
    _Beginning(b"DUCK", "a DuckDB database", 'read it with [source] type = "duckdb"', at=8, also=(13, b"\0\0\0")),
    _Beginning(b"PAR1", "a Parquet file", 'read it with [source] type = "table"', also=(4, b"\x15")),
    _Beginning(b"ARROW1\0\0", "an Arrow file", _EXPORT),
    _Beginning(b"Obj\1", "an Avro file", _EXPORT),
    _Beginning(b"\x89HDF\r\n", "an HDF5 file", _EXPORT),
    _Beginning(b"\0\1\0\0Standard", "an Access database", _EXPORT),
    _Beginning(b"bplist00", "a property list of macOS", _EXPORT),
    _Beginning(b"\xffWPC", "a WordPerfect file", _CONVERT),
    _Beginning(b"\xdb\xa5-\0", "an old Word file", _CONVERT),
    _Beginning(b"\x31\xbe\0\0", "an old Word or Write file", _CONVERT),
    _Beginning(b"\x7fELF", "a program", _LEAVE_OUT),
    _Beginning(b"MZ", "a program", _LEAVE_OUT, also=(12, b"\xff\xff")),
    _Beginning(b"\xcf\xfa\xed\xfe", "a program", _LEAVE_OUT),
    _Beginning(b"\xce\xfa\xed\xfe", "a program", _LEAVE_OUT),
    _Beginning(b"\xca\xfe\xba\xbe", "a program", _LEAVE_OUT),
    _Beginning(b"\0asm", "a program (WebAssembly)", _LEAVE_OUT),
    _Beginning(b"\0\1\0\0\0", "a font", _LEAVE_OUT),
    _Beginning(b"OTTO\0", "a font", _LEAVE_OUT),
    _Beginning(b"ttcf\0", "a font", _LEAVE_OUT),
    _Beginning(b"wOFF\0\1\0\0", "a font", _LEAVE_OUT),
    _Beginning(b"wOFFOTTO", "a font", _LEAVE_OUT),
    _Beginning(b"wOF2", "a font", _LEAVE_OUT, also=(12, b"\0")),
    _Beginning(b"ID3\2", "an audio file (MP3)", _WRITE_DOWN),
    _Beginning(b"ID3\3", "an audio file (MP3)", _WRITE_DOWN),
    _Beginning(b"ID3\4", "an audio file (MP3)", _WRITE_DOWN),
    _Beginning(b"\xff\xfb", "an audio file (MP3)", _WRITE_DOWN),
    _Beginning(b"OggS\0", "an audio or video file (Ogg)", _WRITE_DOWN),
    _Beginning(b"fLaC\0", "an audio file (FLAC)", _WRITE_DOWN),
    _Beginning(b"RIFF", "an audio file (WAV)", _WRITE_DOWN, also=(8, b"WAVE")),
    _Beginning(b"RIFF", "a video file (AVI)", _WRITE_DOWN, also=(8, b"AVI ")),
    _Beginning(b"MThd\0\0", "an audio file (MIDI)", _LEAVE_OUT),
    _Beginning(b"ftyp", "an audio or video file (MP4)", _WRITE_DOWN, at=4, also=(0, b"\0\0")),
    _Beginning(b"\x1aE\xdf\xa3", "a video file (Matroska)", _WRITE_DOWN),
    _Beginning(b"FLV\1", "a video file (Flash)", _WRITE_DOWN),
    _Beginning(b"\0\0\1\xba", "a video file (MPEG)", _WRITE_DOWN),
    _Beginning(b"\x30\x26\xb2\x75", "an audio or video file (Windows Media)", _WRITE_DOWN),
)
_AT_START = tuple({one.magic for one in _BEGINNINGS if not one.at})
_FURTHER_ON = tuple(one for one in _BEGINNINGS if one.at)


def refuse_textless(data: bytes) -> None:
    """Raise Unusable if the file is of a kind that has no text."""
    if one := _beginning_of(data):
        raise Unusable(f"{one.kind}; {one.advice}")


def is_picture(data: bytes) -> bool:
    """Whether the file is an image that a model can see."""
    one = _beginning_of(data)
    return one is not None and one.advice == _PICTURE


def _beginning_of(data: bytes) -> _Beginning | None:
    candidates = _BEGINNINGS if data.startswith(_AT_START) else _FURTHER_ON
    for one in candidates:
        where, what = one.also
        if data.startswith(one.magic, one.at) and data.startswith(what, where):
            return one
    return None
