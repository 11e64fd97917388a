#!/usr/bin/env python3
"""Packs the inputs of a fuzz target into one file, and unpacks them for a fuzzer.

    corpus.py unpack FILE DIR           one file below DIR for each input
    corpus.py pack DIR FILE             the reverse
    corpus.py pack --names DIR FILE     the same with the names of the files, as the seeds have them
    corpus.py check FILE...             fails if a file is not as `pack` writes it

FILE has one line for each input: its bytes in hexadecimal, behind a name and a space if it has a name; `-` stands for
an input without bytes. The lines are sorted and none is there twice, so that a difference shows the new inputs. A line
that begins with `#` is a comment. An input without a name is unpacked under the SHA-1 of its bytes, as libFuzzer names
what it finds.
"""

import hashlib
import pathlib
import sys

HEAD = "# The inputs of a fuzz target, one for each line in hexadecimal: see corpus.py.\n"


def read(path):
    """The inputs of a file, as pairs of a name, which may be None, and bytes."""
    for number, line in enumerate(path.read_text(encoding="ascii").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        *name, digits = line.split(" ")
        if len(name) > 1:
            sys.exit(f"{path}:{number}: there is more than a name and an input")
        yield (name[0] if name else None), bytes.fromhex("" if digits == "-" else digits)


def text(inputs):
    """The inputs as the text of a file."""
    lines = {f"{name} " * (name is not None) + (content.hex() or "-") for name, content in inputs}
    return HEAD + "".join(f"{line}\n" for line in sorted(lines))


def unpack(path, directory):
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in read(path):
        (directory / (name or hashlib.sha1(content).hexdigest())).write_bytes(content)


def pack(directory, path, names):
    files = [file for file in directory.iterdir() if file.is_file()]
    path.write_text(text((file.name if names else None, file.read_bytes()) for file in files), encoding="ascii")
    print(f"{path}: {len(files)} inputs")


def check(path):
    if path.read_text(encoding="ascii") != text(read(path)):
        sys.exit(f"{path} is not sorted, or has an input twice: unpack it and pack it again")


def main():
    match sys.argv[1:]:
        case ["unpack", path, directory]:
            unpack(pathlib.Path(path), pathlib.Path(directory))
        case ["pack", "--names", directory, path]:
            pack(pathlib.Path(directory), pathlib.Path(path), names=True)
        case ["pack", directory, path]:
            pack(pathlib.Path(directory), pathlib.Path(path), names=False)
        case ["check", *paths] if paths:
            for path in paths:
                check(pathlib.Path(path))
        case _:
            sys.exit(__doc__)


main()
