"""What lies on disk, and nowhere else: the grammar of every record.

    record   := meta | data | expiry | garbage | system

    meta     := "M" epoch:u32 user_key            ->  tag:u8 flags:u8 [expire_ms:u64 if EXPIRES] [due_ms:u64 if PARTS] body
    body     := raw or LZ4 bytes of the small object itself                       unless RECORDS
              | oid:u64 count:u64 extras                                          if RECORDS
    data     := "D" oid:u64 kind:u8 sub           ->  by kind, below
    expiry   := "E" wake_ms:u64 epoch:u32 user_key    ->  ""       the earlier of the meta record's expire_ms and due_ms
    garbage  := "G" oid:u64 "o"                   ->  ""           the data records of one dead object
              | "G" epoch:u64 "e"                 ->  ""           everything of one dead epoch (FLUSHDB)
              | "G" oid:u64 group:u32 "g"         ->  ""           what lies below one destroyed group of a living stream
    system   := "X" name                          ->  by name

    kind     := "m"  member: hash32(member) member ->  value       of hashes (packed), sets (""), sorted sets (f64)
              | "r"  ranked: f64 member            ->  ""          a sorted set's members by score
              | "b"  bucket: lowest ranked sub     ->  count:u32   how many ranked records from here to the next bucket
              | "l"  element: position:u64         ->  packed      of lists
              | "u"  run: position:u64             ->  packed      of lists: the msgpack array of offsets, a byte each, and elements
              | "x"  entry: ms:u64 seq:u64         ->  packed      of streams: the msgpack array of fields and values in turn
              | "g"  group: group:u32              ->  array       of streams: a consumer group
              | "n"  consumer: group:u32 consumer:u32         ->  array   of the group
              | "p"  pending: group:u32 ms:u64 seq:u64        ->  consumer:u32 time:u64 count:u64    an entry not yet acknowledged
              | "o"  owned: group:u32 consumer:u32 ms:u64 seq:u64  ->  ""    the same by consumer
              | "t"  waiting: group:u32 time:u64 ms:u64 seq:u64    ->  ""    the same by when it was last delivered
              | "k"  released: group:u32 turn:u64 ms:u64 seq:u64   ->  ""    pending for nobody any more, in the order of being given back
              | "d"  producer: production:u32 producer:u32    ->  array       of streams: whose messages are remembered
              | "i"  message: production:u32 hash:16          ->  producer:u32 turn:u64 id:16 message
              | "q"  turn: production:u32 producer:u32 turn:16         ->  hash:16    of a producer's messages
              | "a"  slot: index:u64               ->  packed      of arrays
              | "c"  chunk: index:u32              ->  packed      of large strings, CHUNK bytes each but the last
              | "e"  deadline: expire_ms:u64 field ->  ""          of large hashes: the fields that expire, by time

    packed   := codec:u8 bytes, codec 0 raw, 1 LZ4
              | codec:u8 expire_ms:u64 bytes, codec 2 raw, 3 LZ4   of a hash's field that expires

A stream's extras, and the first item of its inline body, are its last id, its highest deleted id, the u64 count of entries ever added,
and an id below which there is none; an id is ms:u64 seq:u64. The inline body goes on with id and array of fields in turn. A stream that
has ever had a consumer group has records, and in its extras u32 numbers follow: the one that the next group gets, and how many there are.
Where messages are remembered (IDMP) both are there, and then, as numbers: the production's number, of the same series as the groups', for
how many seconds and how many of each producer:u32, how many were added and known already:u64, the number that the next producer gets and
how many there are:u32, how many messages:u64, and hashes:16 below and above which none is. A producer's record is a msgpack array of its
name, the turn of its next message, how many there are, and turns below and above which none is.
A group's record is a msgpack array of its name, the last id delivered, how many entries there are up to it (-1 for unknown), how many are
pending, ids below and above which none are, and the number that the next consumer gets; a consumer's of its name, when it last asked for
something and last got something (ms, -1 for never), how many entries are pending for it, and ids below and above which none are. A group
from which entries have been claimed by how long they wait has `waiting` records, of those up to an id; its record goes on with that id,
how many they are, and time and id below and above which none are. An entry that was given back (XNACK) is pending for consumer 0, with its
turn for its time. The record of a group that has had such entries has those four items, nil if there are no waiting records, and goes on
with the turn that the next one gets, how many there are, and turn and id below and above which none are.

A list's extras are its first position, its last if elements were put between others, and a byte: 1 if elements may have records of
their own, 0 if all lie in runs. Without that byte, all have records of their own. Offsets in a run count in steps of 4097, of which it
has 32, and its position is a multiple of that.

An array's extras are its cursor:u64, the index that was last inserted at or 2^64-1 for none, and indexes:u64 below and above which there
is no element. Its inline body begins with the cursor, as an integer, and goes on with index and element in turn.

A hash of which some fields expire has PARTS set, and due_ms, before which none of them does. Its inline body begins with its flags, as
below, and the array of its fields' times in ms, nil for those that do not expire. The extras of a large one are its flags:u8, how many
fields expire:u64, and a time:u64 after which none does; each of these fields has its time in its member record and a deadline record.

EDITED is set on a short string that APPEND, SETRANGE or SETBIT have changed, which Redis would then hold as it holds long ones.

SPOILED is set on a key that is known to be damaged: what its record says, and the records that belong to it, are not to be believed.
Where nothing can be said of it, the tag is 0 and the body empty.

The inline body of a hash, a set or a sorted set that Redis would keep in another form than its content tells begins with an integer, its
flags or form: what stands as a byte in the extras of a large one.

All integers are big-endian, so byte order is numeric order; f64 is order-preserving (`ordered.py`). A body is the string's bytes, or
the msgpack array of the collection's entries in order. `hash32` is the first four bytes of XXH3-64 seeded with the store's own
seed: members lie in that order, so that a cursor is a number and a random member is one seek away, and nobody outside can craft
members that fall together.

System records: "format" (the version, u32), "seed" (u64), "state" (msgpack map: log position, next oid and epoch, and per database
number its epoch and exact key count; "doubtful" are the numbers of databases whose count damage has put in doubt), written in the same
batch as what it describes. "document:" name is a packed text that belongs
to no database: "document:library:" name the msgpack array of a library's code and, for each function in turn, its name, its description
or nil, and its flags.

Tags, flags, kinds and codecs are added, never renumbered and never reused. A store of a higher FORMAT is refused at opening;
one of a lower is marked as of this one, since from then on there may be things in it that were not known then:

    2  consumer groups, fields that expire, documents; in the log the length of the segment before, and times
    3  keys that are known to be damaged, waiting and released records, producers, runs, arrays
    4  notes of records that were lost, and in their ranges what stands for a deletion (`engine/leveldb/losses.py`)
"""

from __future__ import annotations

FORMAT = 4

# tags: the first byte of a meta record
STRING = 1
HASH = 2
LIST = 3
SET = 4
ZSET = 5
STREAM = 6
ARRAY = 7

TAG_NAMES = {STRING: "string", HASH: "hash", LIST: "list", SET: "set", ZSET: "zset", STREAM: "stream", ARRAY: "array"}

# flags: the second byte of a meta record
EXPIRES = 1
RECORDS = 2
COMPRESSED = 4
PARTS = 8
EDITED = 16
SPOILED = 32

# kinds: what stands after the oid in a data record's key
MEMBER = b"m"
RANKED = b"r"
BUCKET = b"b"
ELEMENT = b"l"
LIST_RUN = b"u"
PIECE = b"c"
ENTRY = b"x"
DEADLINE = b"e"
GROUP = b"g"
CONSUMER = b"n"
PENDING = b"p"
OWNED = b"o"
WAITING = b"t"
RELEASED = b"k"
PRODUCER = b"d"
MESSAGE = b"i"
TURN = b"q"
SLOT = b"a"

CHUNK = 16 * 1024
