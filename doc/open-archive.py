#!/usr/bin/env python3
"""Opens a sealed archive with its keys, independently of Expunge; archive.md is the format.

    open-archive.py KEYS ARCHIVE [EARLIER]...

KEYS is a file with a line for each key, in hexadecimal: "signer <public key>", "generation <key>", "leaf <id> <key>".
EARLIER are the archives that this one refers to. Rows are printed as COPY text below a line "-- table (columns)"; rows whose
leaf key is not given are counted at the end.
Needs python3 with the package cryptography, and the program zstd. Reads the whole file into memory."""
import hashlib
import hmac
import struct
import subprocess
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def fields(*parts):
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def u64(n):
    return struct.pack(">Q", n)


def u32(n):
    return struct.pack(">I", n)


def expand(key, info, n):  # RFC 5869, 2.3
    out = block = b""
    for i in range(1, 1 + -(-n // 32)):
        block = hmac.digest(key, block + info + bytes([i]), "sha256")
        out += block
    return out[:n]


def gcm_open(key, info, sealed, aad):
    once = expand(key, info, 44)
    return AESGCM(once[:32]).decrypt(once[32:], sealed, aad)


class Archive:
    def __init__(self, data, signer, generation):
        self.data, self.generation = data, generation
        footer = data[-232:]
        assert data[:16] == b"expunge/archive\n" and footer[:16] == b"expunge/footer.\n", "no archive, or truncated"
        assert data[16:24] == u32(1) + u32(192) and footer[208:] == u32(232) + u32(1) + b"expunge/archend\n", "another version"
        assert footer[112:144] == signer, "wrong signer"
        Ed25519PublicKey.from_public_bytes(signer).verify(
            footer[144:208], fields(b"expunge/archive/footer/v1") + footer[:144] + footer[208:])
        contents, length, size = struct.unpack(">QQQ", footer[48:72])
        assert size == len(data) and contents + length == size - 232, "truncated"
        assert hashlib.sha256(data[:-232]).digest() == footer[80:112], "altered"
        self.id, self.binding = data[24:56], hashlib.sha256(data[:192]).digest()
        assert footer[16:48] == self.id
        check = hmac.digest(expand(generation, b"expunge/kcv/v1", 32), b"kcv", "sha256")[:16]
        assert check == data[176:192], "wrong generation key"
        self.read_contents(contents, length)

    def chunks(self, at, length, domain, key, binding, number, data=None):
        """The texts of a row of chunks at this place; it takes length bytes, if that is known."""
        data = data or self.data
        begin, chunk, last, texts, archive = at, 0, False, [], data[24:56]
        while not last:
            head, = struct.unpack(">I", data[at:at + 4])
            last, n = bool(head >> 31), head & 0x7fffffff
            info = fields(domain, archive, u64(number), u32(chunk))
            aad = fields(domain, archive, binding, u64(number), u32(chunk), bytes([last]))
            packed = gcm_open(key, info, data[at + 4:at + 4 + n], aad)
            texts.append(subprocess.run(["zstd", "-dc"], input=packed, stdout=subprocess.PIPE, check=True).stdout)
            at, chunk = at + 4 + n, chunk + 1
        assert length in (at - begin, None), "chunks end elsewhere"
        return texts

    def read_contents(self, at, length):
        text = b"".join(self.chunks(at, length, b"expunge/archive/contents/v1", self.generation, self.binding, 0))

        def take(n):
            nonlocal text
            taken, text = text[:n], text[n:]
            return taken

        def number(n=4):
            return int.from_bytes(take(n), "big")

        self.tables = []
        for _ in range(number()):
            name, _, rows, size = take(number()).decode(), number(), number(8), number(8)
            self.tables.append((name, rows, [(take(number()).decode(), take(number()).decode()) for _ in range(number())]))
        self.files = [(take(32), take(32), number(8)) for _ in range(number())]
        self.frames = []
        left = number(8)
        for i in range((left + 1023) // 1024):
            part = self.chunks(number(8), None, b"expunge/archive/index/v1", self.generation, self.binding, i)[0]
            self.frames += [part[k:k + 120] for k in range(0, len(part), 120)]
        assert len(self.frames) == left and text == b""

    def lies_in(self, file, earlier):
        """The bytes of a file: itself, or one that it refers to."""
        if file == 0:
            return self.data
        ident, digest, size = self.files[file - 1]
        assert ident in earlier, f"archive {ident.hex()} is needed"
        data = earlier[ident]
        assert len(data) == size and hashlib.sha256(data[:-232]).digest() == digest, "another archive than the one referred to"
        return data

    def rows(self, number, leaf_keys, earlier):
        """(table, text) of a frame; None if the key of its leaf is not given."""
        entry = self.frames[number]
        leaf, _, file, sealed_as, offset, length, size, rows = struct.unpack(">QIIQQQQQ", entry[:56])
        if leaf not in leaf_keys:
            return None
        domain = b"expunge/archive/wrap/v1"
        key = gcm_open(leaf_keys[leaf] + self.generation, fields(domain, self.id, u64(number)), entry[72:],
                       fields(domain, self.id, u64(number), entry[:72]))
        pieces = []
        for text in self.chunks(offset, length, b"expunge/archive/chunk/v1", key, u64(leaf), sealed_as, self.lies_in(file, earlier)):
            while text:
                table, n = struct.unpack(">II", text[:8])
                pieces.append((table, text[8:8 + n]))
                text = text[8 + n:]
        assert sum(len(t) for _, t in pieces) == size and sum(t.count(b"\n") for _, t in pieces) == rows
        return pieces


def main():
    keys = {tuple(line.split()[:-1]): bytes.fromhex(line.split()[-1]) for line in open(sys.argv[1])}
    leaves = {int(name[1]): key for name, key in keys.items() if name[0] == "leaf"}
    data = []
    for path in sys.argv[2:]:
        with open(path, "rb") as file:
            data.append(file.read())
    archive = Archive(data[0], keys["signer",], keys["generation",])
    earlier = {bytes[24:56]: bytes for bytes in data[1:]}
    texts, withheld = [b""] * len(archive.tables), 0
    for number in range(len(archive.frames)):
        pieces = archive.rows(number, leaves, earlier)
        withheld += pieces is None
        for table, text in pieces or []:
            texts[table] += text
    for (name, _, columns), text in zip(archive.tables, texts):
        print(f"-- {name} ({', '.join(f'{column} {kind}' for column, kind in columns)})")
        sys.stdout.flush()
        sys.stdout.buffer.write(text)
    print(f"-- {withheld} of {len(archive.frames)} frames withheld")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        main()
    except InvalidTag:
        sys.exit("a key is wrong, or bytes were altered")
