"""token.py MODULE LABEL PIN COMMAND NAME [FILE]: looks at the keys of a token, for tests, with nothing of the program's.

count: how many have this name; attributes: what it says of itself; value: tries to read it; open FILE: tries to open a
sealed record (doc/keys.md); copy: makes another of the same name; remove-one, remove-foreign: those that were brought in.
"""
import ctypes
import sys
from ctypes import POINTER, Structure, byref, c_char_p, c_ubyte, c_ulong, c_void_p, cast, create_string_buffer, sizeof

CLASS, TOKEN, PRIVATE, LABEL, VALUE = 0x0, 0x1, 0x2, 0x3, 0x11
SENSITIVE, EXTRACTABLE, LOCAL, NEVER_EXTRACTABLE, ALWAYS_SENSITIVE = 0x103, 0x162, 0x163, 0x164, 0x165
SECRET_KEY, AES_GCM = 4, 0x1087
# the places of functions in the list, after the version
INITIALIZE, FINALIZE, SLOTS, TOKEN_INFO, OPEN, LOGIN = 0, 1, 4, 6, 12, 18
COPY, DESTROY, GET, FIND_INIT, FIND, FIND_FINAL, DECRYPT_INIT, DECRYPT = 21, 22, 24, 26, 27, 28, 33, 34


class Attribute(Structure):
    _fields_ = [("type", c_ulong), ("value", c_void_p), ("length", c_ulong)]


class Mechanism(Structure):
    _fields_ = [("type", c_ulong), ("parameter", c_void_p), ("length", c_ulong)]


class Gcm(Structure):
    _fields_ = [("iv", c_void_p), ("iv_len", c_ulong), ("iv_bits", c_ulong), ("aad", c_void_p), ("aad_len", c_ulong),
                ("tag_bits", c_ulong)]


module, label, pin, command, name = sys.argv[1:6]
library = ctypes.CDLL(module)
table = c_void_p()
assert library.C_GetFunctionList(byref(table)) == 0
functions = cast(table.value + sizeof(c_void_p), POINTER(c_void_p))  # the version is padded to a pointer's size


def call(index, *arguments):
    return ctypes.CFUNCTYPE(c_ulong, *[c_ulong if isinstance(a, int) else c_void_p for a in arguments])(functions[index])(*arguments)


def must(index, *arguments):
    rv = call(index, *arguments)
    if rv != 0:
        call(FINALIZE, c_void_p())
        sys.exit("function %d: 0x%x" % (index, rv))


must(INITIALIZE, c_void_p())
n = c_ulong(64)
slots = (c_ulong * 64)()
must(SLOTS, 1, cast(slots, c_void_p), cast(byref(n), c_void_p))
slot = None
for i in range(n.value):
    info = create_string_buffer(512)
    must(TOKEN_INFO, slots[i], cast(info, c_void_p))
    if info.raw[:32].rstrip(b" ").decode() == label:
        slot = slots[i]
session = c_ulong()
must(OPEN, slot, 6, c_void_p(), c_void_p(), cast(byref(session), c_void_p))
must(LOGIN, session.value, 1, cast(c_char_p(pin.encode()), c_void_p), len(pin))

kind = c_ulong(SECRET_KEY)
text = create_string_buffer(name.encode())
template = (Attribute * 2)(Attribute(CLASS, cast(byref(kind), c_void_p), sizeof(kind)),
                           Attribute(LABEL, cast(text, c_void_p), len(name)))
must(FIND_INIT, session.value, cast(template, c_void_p), 2)
found = (c_ulong * 64)()
must(FIND, session.value, cast(found, c_void_p), 64, cast(byref(n), c_void_p))
must(FIND_FINAL, session.value)
keys = list(found[:n.value])


def says(key, attribute):
    value = c_ubyte(2)
    one = Attribute(attribute, cast(byref(value), c_void_p), 1)
    must(GET, session.value, key, cast(byref(one), c_void_p), 1)
    return value.value == 1


failed = False
if command == "count":
    print(len(keys))
elif not keys:
    failed = True
elif command == "attributes":
    names = {"token": TOKEN, "private": PRIVATE, "sensitive": SENSITIVE, "always-sensitive": ALWAYS_SENSITIVE,
             "never-extractable": NEVER_EXTRACTABLE, "local": LOCAL}
    words = [word for word in names if says(keys[0], names[word])]
    print(" ".join(words + (["extractable"] if says(keys[0], EXTRACTABLE) else ["not-extractable"])))
elif command == "value":
    room = create_string_buffer(64)
    one = Attribute(VALUE, cast(room, c_void_p), 64)
    failed = call(GET, session.value, keys[0], cast(byref(one), c_void_p), 1) != 0
elif command == "open":
    record = open(sys.argv[6], "rb").read()
    head, nonce, body = (create_string_buffer(part, len(part)) for part in (record[:60], record[60:72], record[72:232]))
    gcm = Gcm(cast(nonce, c_void_p), 12, 96, cast(head, c_void_p), 60, 128)
    mechanism = Mechanism(AES_GCM, cast(byref(gcm), c_void_p), sizeof(gcm))
    out = create_string_buffer(256)
    n = c_ulong(256)
    must(DECRYPT_INIT, session.value, cast(byref(mechanism), c_void_p), keys[0])
    must(DECRYPT, session.value, cast(body, c_void_p), 160, cast(out, c_void_p), cast(byref(n), c_void_p))
    print(out.raw[:15].decode())
elif command == "copy":
    must(COPY, session.value, keys[0], cast(template, c_void_p), 0, cast(byref(n), c_void_p))
elif command == "remove-one":
    must(DESTROY, session.value, keys[0])
elif command == "remove-foreign":
    for key in keys:
        if not says(key, LOCAL):
            must(DESTROY, session.value, key)
call(FINALIZE, c_void_p())
sys.exit(1 if failed else 0)
