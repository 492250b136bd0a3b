#!/usr/bin/env python3
"""Plays the attacker of doc/keys.md, from that page alone: given every row of key pages that was ever written, from wherever,
and what the places of the root hold now, it opens whatever opens, until nothing more does.

    attacker.py --instance UUID --targets FILE [--roots DIR]... [--dump NAME=FILE]... [--journal DIR]... [--data DIR]...
                [--archives DIR]... [--brute]

    --targets   a line for each leaf: "dead|live <leaf id> <check value>"
    --roots     a place of root shares; every file in it is searched for records
    --dump      of pg_dump: what is in any table that has a page's columns; NAME is what its rows are called in the report
    --journal   searched for segments of the key journal
    --data      a data directory of PostgreSQL: heap pages with whatever is left in them, and the write-ahead log
    --archives  searched for sealed archives, whose frames are tried with all keys that were found
    --brute     every key on every page, not only those with the page's check value

Prints what it was given, what it opened, and last "recovered N of M shredded, N of M living". Needs python3-cryptography, and
zstd for archives."""
import argparse
import base64
import collections
import hmac
import importlib.util
import itertools
import os
import struct
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SEALED = 12 + 8 + 64 * 32 + 16
HEADER = struct.pack("<I", (SEALED + 4) << 2)  # of a value of this length in a row of PostgreSQL
NO_KEY = bytes(32)

# where a page says it is; a row has all of it, of a row that was cut some of it may be None
Place = collections.namedtuple("Place", "tenant page parent slot level epoch kcv")


def expand(key, info):  # RFC 5869, 2.3, one block
    return hmac.digest(key, info + b"\x01", "sha256")


def check_value(key):
    return hmac.digest(expand(key, b"expunge/kcv/v1"), b"kcv", "sha256")[:16]


def files_below(top):
    for directory, _, names in os.walk(top):
        for name in sorted(names):
            path = os.path.join(directory, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield path


def contents(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:  # of a server that is running
        return b""


# ---- what it is given ------------------------------------------------------------------------------------------------


class Material:
    def __init__(self):
        self.rows = {}  # (place, sealed) -> sources
        self.scraped = {}  # sealed -> sources
        self.cut = {}  # sealed -> (epoch, check value) or (None, None): what was scraped, of which the rest of the row may be gone

    def add(self, source, place, sealed):
        self.rows.setdefault((place, sealed), set()).add(source)

    def read_dump(self, source, path):
        columns = None
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                line = line.rstrip("\n")
                if line.startswith("COPY ") and line.endswith(" FROM stdin;"):
                    columns = line[line.index("(") + 1:line.rindex(")")].split(", ")
                    if not {"tenant", "parent", "slot", "level", "epoch", "kcv", "sealed"} <= set(columns):
                        columns = None
                elif line == "\\.":
                    columns = None
                elif columns:
                    v = dict(zip(columns, line.split("\t")))
                    self.add(source, Place(v["tenant"].encode("utf-8", "surrogateescape"), int(v["id"]), int(v["parent"]), int(v["slot"]),
                                           int(v["level"]), int(v["epoch"]), bytes.fromhex(v["kcv"][3:])), bytes.fromhex(v["sealed"][3:]))

    def read_journal(self, path):
        for line in contents(path).decode().split("\n"):
            f = line.split(" ")
            if f[0] == "page" and len(f) == 10:  # other rows have no page
                tenant = b"" if f[2] == "-" else bytes.fromhex(f[2])
                self.add("journal", Place(tenant, int(f[1]), *map(int, f[3:7]), bytes.fromhex(f[7])), base64.b64decode(f[9]))

    # A row of key pages in memory order, numbers little-endian: id (8), tenant, parent (8), slot (2), level (2), -, epoch (8),
    # length and check value (1 + 16), -, live (8), length and sealed page (4 + 2084)
    def scrape(self, source, data):
        at = data.find(HEADER)
        while at >= 0:
            sealed = data[at + 4:at + 4 + SEALED]
            if len(sealed) == SEALED:
                self.scrape_row(source, data, at, sealed)
            at = data.find(HEADER, at + 1)

    def scrape_row(self, source, data, at, sealed):
        self.scraped.setdefault(sealed, set()).add(source)
        if at < 40 or data[at - 32] != 17 << 1 | 1 or data[at - 15:at - 8] != bytes(7):
            self.cut.setdefault(sealed, (None, None))  # the log leaves out what an update has in common with the row before
            return
        epoch, = struct.unpack("<q", data[at - 40:at - 32])
        kcv = data[at - 31:at - 15]
        self.cut[sealed] = (epoch, kcv)
        for n in range(1, 127):  # the tenant's name fills so many words
            begin = at - 56 - 8 * n
            size = data[begin] >> 1 if begin >= 8 and data[begin] & 1 else 0
            if size > 0 and -(-size // 8) == n and not any(data[begin + size:at - 56]):
                page, = struct.unpack("<q", data[begin - 8:begin])
                parent, slot, level = struct.unpack("<qhh", data[at - 56:at - 44])
                if page > 0 and parent >= 0 and 0 <= slot < 64:
                    self.add(source, Place(data[begin + 1:begin + size], page, parent, slot, level, epoch, kcv), sealed)

    def read_data_directory(self, top, without):
        log = []
        for path in files_below(top):
            if os.path.basename(os.path.dirname(path)) == "pg_wal":
                log.append(path)
            elif os.path.relpath(path, top) not in without:
                self.scrape("heap", contents(path))
        # segments by their names, records of one going on in the next: pages of 8 KB without their heads
        text = bytearray()
        for path in sorted(log):
            segment = contents(path)
            for at in range(0, len(segment), 8192):
                text += segment[at + (40 if at == 0 else 24):at + 8192]
        self.scrape("log", bytes(text))


def roots_held(directories):
    """All that could be a root: each share by itself, and one of each number together."""
    shares = collections.defaultdict(set)
    for directory in directories:
        for path in files_below(directory):
            data = contents(path)
            at = data.find(b"expunge/root/v1\n")
            while at >= 0:
                record = data[at:at + 144]
                if len(record) == 144:
                    shares[struct.unpack(">I", record[56:60])[0]].add(record[80:112])
                at = data.find(b"expunge/root/v1\n", at + 1)
    found = set().union(*shares.values())
    for some in itertools.product(*shares.values()):
        together = 0
        for share in some:
            together ^= int.from_bytes(share, "big")
        found.add(together.to_bytes(32, "big"))
    return found


# ---- what it does ----------------------------------------------------------------------------------------------------


class Attacker:
    def __init__(self, instance, material):
        self.instance, self.material = instance.encode(), material
        self.keys = {}  # check value -> keys
        self.ciphers = {}  # key -> cipher of pages
        self.opened, self.opened_sealed = set(), set()  # (place, sealed), sealed
        self.by_kcv = collections.defaultdict(list)
        for row in material.rows:
            self.by_kcv[row[0].kcv].append(row)

    def open(self, key, place, sealed):
        aad = b"".join(struct.pack(">I", len(part)) + part for part in (
            b"expunge/page/v1", self.instance, place.tenant,
            *(struct.pack(">q", n) for n in (place.page, place.parent, place.slot, place.level, place.epoch)), place.kcv))
        if key not in self.ciphers:
            self.ciphers[key] = AESGCM(expand(key, b"expunge/page/v1"))
        try:
            clear = self.ciphers[key].decrypt(sealed[:12], sealed[12:], aad)
        except InvalidTag:
            return []
        self.opened.add((place, sealed))
        self.opened_sealed.add(sealed)
        return [clear[8 + 32 * i:40 + 32 * i] for i in range(64)]  # whether they are said to be taken or not

    def learn(self, keys):
        """Keys that are new, and with what they open whatever that gives, to the end."""
        queue = list(keys)
        while queue:
            key = queue.pop()
            kcv = check_value(key)
            if key == NO_KEY or key in self.keys.get(kcv, ()):
                continue
            self.keys.setdefault(kcv, set()).add(key)
            for place, sealed in self.by_kcv.get(kcv, ()):
                if (place, sealed) not in self.opened:
                    queue += self.open(key, place, sealed)

    def try_cut(self):
        """What did not open in the place that was read beside it, if any was: in every place that any row names."""
        places = {place for place, _ in self.material.rows}
        where = {place[:5] for place in places}
        for sealed, (epoch, kcv) in self.material.cut.items():
            if sealed in self.opened_sealed:
                continue
            if kcv is None:
                guesses = [place for place in places if place.kcv in self.keys]
            else:
                guesses = [Place(*w, epoch, kcv) for w in where] if kcv in self.keys else []
            for place in guesses:
                for key in list(self.keys[place.kcv]):
                    self.learn(self.open(key, place, sealed))
                if sealed in self.opened_sealed:
                    break

    def brute(self):
        for key in [key for keys in self.keys.values() for key in keys]:
            for place, sealed in self.material.rows:
                if (place, sealed) not in self.opened:
                    self.learn(self.open(key, place, sealed))

    def attack(self, roots, brute):
        known = -1
        self.learn(roots)
        while known != len(self.keys):
            known = len(self.keys)
            self.try_cut()
            if brute:
                self.brute()


def try_archives(directories, attacker, leaves):
    """Frames whose own key opens with keys that were found: of shredded leaves with whichever, of living ones with their own."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "doc", "open-archive.py")
    spec = importlib.util.spec_from_file_location("open_archive", path)
    reader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reader)
    counts = collections.Counter()
    every = [key for keys in attacker.keys.values() for key in keys]
    for path in (path for directory in directories for path in files_below(directory)):
        data = contents(path)
        generation = attacker.keys.get(data[176:192]) if path.endswith(".archive") else None
        if generation is None:
            counts["unread archives"] += path.endswith(".archive")
            continue
        generation = next(iter(generation))
        archive = reader.Archive(data, data[-120:-88], generation)
        for number, entry in enumerate(archive.frames):
            leaf, = struct.unpack(">Q", entry[:8])
            state, kcv = leaves[leaf]
            info = reader.fields(b"expunge/archive/wrap/v1", archive.id, reader.u64(number))
            aad = reader.fields(b"expunge/archive/wrap/v1", archive.id, reader.u64(number), entry[:72])
            counts[state] += 1
            for key in every if state == "dead" else attacker.keys.get(kcv, ()):
                try:
                    reader.gcm_open(key + generation, info, entry[72:], aad)
                    counts["opened " + state] += 1
                except InvalidTag:
                    pass
    return counts


# ---- the report ------------------------------------------------------------------------------------------------------


def report_pages(material, attacker):
    """By their sealed bytes: where a row begins that was scraped, and so its place, may be read in more than one way."""
    where = {sealed: set(sources) for sealed, sources in material.scraped.items()}
    for (_, sealed), sources in material.rows.items():
        where.setdefault(sealed, set()).update(sources)
    for source in sorted(set().union(*where.values())):
        mine = {sealed for sealed, sources in where.items() if source in sources}
        only = {sealed for sealed in mine if where[sealed] == {source}}
        print(f"{source}: {len(mine)} pages, {len(only)} of them nowhere else; opened {len(mine & attacker.opened_sealed)}, "
              f"{len(only & attacker.opened_sealed)}")
    cut = material.cut.keys() - {sealed for _, sealed in material.rows}
    print(f"rows of which a part is left: {len(cut)}, opened {len(cut & attacker.opened_sealed)}")
    # what only heap or log show was never committed, or nobody kept it
    scraped = {sealed for sealed, sources in where.items() if sources <= {"heap", "log"}}
    print(f"scraped alone: {len(scraped)} pages, opened {len(scraped & attacker.opened_sealed)}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--instance", required=True)
    parser.add_argument("--targets", required=True)
    parser.add_argument("--brute", action="store_true")
    parser.add_argument("--without", action="append", default=[], help="a file of the data directory that is not its business")
    for name in ("roots", "dump", "journal", "data", "archives"):
        parser.add_argument("--" + name, action="append", default=[])
    given = parser.parse_args()

    material = Material()
    for dump in given.dump:
        material.read_dump(*dump.split("=", 1))
    for path in (path for directory in given.journal for path in files_below(directory)):
        if path.endswith(".journal"):
            material.read_journal(path)
    for data in given.data:
        material.read_data_directory(data, given.without)
    leaves = {}
    with open(given.targets) as file:
        for state, leaf, kcv in map(str.split, file):
            leaves[int(leaf)] = (state, bytes.fromhex(kcv))

    attacker = Attacker(given.instance, material)
    roots = roots_held(given.roots)
    attacker.attack(roots, given.brute)

    report_pages(material, attacker)
    print(f"roots tried: {len(roots)}; keys found: {sum(map(len, attacker.keys.values()))}")
    if given.archives:
        counts = try_archives(given.archives, attacker, leaves)
        print(f"frames: opened {counts['opened dead']} of {counts['dead']} shredded, {counts['opened live']} of {counts['live']} living; "
              f"unread archives: {counts['unread archives']}")
    recovered, all_of = ({state: sum(s == state and (k in attacker.keys or not count) for s, k in leaves.values())
                          for state in ("dead", "live")} for count in (True, False))
    print(f"recovered {recovered['dead']} of {all_of['dead']} shredded, {recovered['live']} of {all_of['live']} living")


if __name__ == "__main__":
    sys.exit(main())
