"""Redis' RDB format, in and out: bytes on one side, plain content on the other. Nothing here knows a store or a client.

    file     := "REDIS" version:4 digits, item*, 255, crc64:u64 (little-endian; from version 5 on; 0 for "not computed")
    item     := [252 expire_ms:i64le | 253 expire_s:i32le] [248 idle:len | 249 freq:u8] kind key:string value      a key
              | 254 db:len | 251 keys:len expiring:len | 250 name:string value:string                  the database; sizes; a remark
              | 245 code:string | 247 module data | 244 slot:len keys:len expiring:len                 a function library; skipped
    payload  := kind value version:u16le crc64:u64le                                                     DUMP's and RESTORE's
    len      := 00xxxxxx | 01xxxxxx x:u8 | 0x80 x:u32be | 0x81 x:u64be
    string   := len bytes | 0xc0 i8 | 0xc1 i16le | 0xc2 i32le | 0xc3 packed:len size:len LZF bytes

`Source` reads the primitives and counts bytes and checksum, `load.py` turns a kind's value into `Content`, in parts of bounded size
whatever the value's size, `file.py` walks a whole file; `dump.py` writes what they read. `listpack.py`, `ziplist.py` and `packed.py`
take Redis' compact encodings apart.

Every length, count and offset is taken for a lie until the bytes are there: a damaged input raises `BadDump`, and never makes anybody
allocate more than a small multiple of what was really read.

What is written are the plain forms (kinds 0, 1, 2, 4, 5, and 19 for streams), which every Redis from 7.0 on loads and converts to its own
compact ones: they can be written piece by piece, however large a value is.
"""

from __future__ import annotations

# kinds of values
STRING = 0
LIST = 1
SET = 2
ZSET = 3
HASH = 4
ZSET_2 = 5
MODULE_PRE_GA = 6
MODULE_2 = 7
HASH_ZIPMAP = 9
LIST_ZIPLIST = 10
SET_INTSET = 11
ZSET_ZIPLIST = 12
HASH_ZIPLIST = 13
LIST_QUICKLIST = 14
STREAM_LISTPACKS = 15
HASH_LISTPACK = 16
ZSET_LISTPACK = 17
LIST_QUICKLIST_2 = 18
STREAM_LISTPACKS_2 = 19
SET_LISTPACK = 20
STREAM_LISTPACKS_3 = 21
HASH_METADATA_PRE_GA = 22
HASH_LISTPACK_EX_PRE_GA = 23
HASH_METADATA = 24
HASH_LISTPACK_EX = 25
STREAM_LISTPACKS_4 = 26
STREAM_LISTPACKS_5 = 27
ARRAY = 28

# what may stand where a kind could
SLOT_INFO = 244
FUNCTION = 245
FUNCTION_PRE_GA = 246
MODULE_AUX = 247
IDLE = 248
FREQ = 249
AUX = 250
RESIZE_DB = 251
EXPIRE_MS = 252
EXPIRE = 253
SELECT_DB = 254
END = 255

# The highest version that can be read, and the one that is written unless something needs a higher one: Redis 7.0's.
NEWEST = 16
PLAIN = 10
