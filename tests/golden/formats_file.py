# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Reads what memprobe writes for other programs back into one shape: {(process, frame, ..., frame):
{metric: figure}}, root first, names as folded writes them. pprof by a reader of its own, from the field
numbers that are public (github.com/google/pprof, proto/profile.proto), or by python3-protobuf.
"""
import collections
import gzip
import json
import re

INLINED = "_[i]" # behind a name in folded
METRICS = ("live-bytes", "live-blocks", "alloc-bytes", "alloc-blocks")
PPROF_TYPES = {"live-bytes": ("inuse_space", "bytes"), "live-blocks": ("inuse_objects", "count"),
               "alloc-bytes": ("alloc_space", "bytes"), "alloc-blocks": ("alloc_objects", "count")}

# {message: {number: (name, type)}}; a type in capitals is a message, + means repeated (packed if a number)
PROFILE_PROTO = {
    "Profile": {1: ("sample_type", "ValueType+"), 2: ("sample", "Sample+"), 3: ("mapping", "Mapping+"),
                4: ("location", "Location+"), 5: ("function", "Function+"), 6: ("string_table", "string+"),
                7: ("drop_frames", "int64"), 8: ("keep_frames", "int64"), 9: ("time_nanos", "int64"),
                10: ("duration_nanos", "int64"), 11: ("period_type", "ValueType"), 12: ("period", "int64"),
                13: ("comment", "int64+"), 14: ("default_sample_type", "int64")},
    "ValueType": {1: ("type", "int64"), 2: ("unit", "int64")},
    "Sample": {1: ("location_id", "uint64+"), 2: ("value", "int64+"), 3: ("label", "Label+")},
    "Label": {1: ("key", "int64"), 2: ("str", "int64"), 3: ("num", "int64"), 4: ("num_unit", "int64")},
    "Mapping": {1: ("id", "uint64"), 2: ("memory_start", "uint64"), 3: ("memory_limit", "uint64"),
                4: ("file_offset", "uint64"), 5: ("filename", "int64"), 6: ("build_id", "int64"),
                7: ("has_functions", "bool"), 8: ("has_filenames", "bool"), 9: ("has_line_numbers", "bool"),
                10: ("has_inline_frames", "bool")},
    "Location": {1: ("id", "uint64"), 2: ("mapping_id", "uint64"), 3: ("address", "uint64"), 4: ("line", "Line+"),
                 5: ("is_folded", "bool")},
    "Line": {1: ("function_id", "uint64"), 2: ("line", "int64")},
    "Function": {1: ("id", "uint64"), 2: ("name", "int64"), 3: ("system_name", "int64"), 4: ("filename", "int64"),
                 5: ("start_line", "int64")},
}


def varint(data, at):
    n = shift = 0
    while True:
        n |= (data[at] & 0x7f) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return n, at


def signed(n, kind):
    return n - (1 << 64) if kind == "int64" and n >> 63 else n


def decode(data, message="Profile"):
    """{field: value}, every field there. An unknown field or wire type is an error."""
    fields = PROFILE_PROTO[message]
    out = {name: [] if kind.endswith("+") else None if kind[0].isupper() else 0 for name, kind in fields.values()}
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        name, kind = fields[tag >> 3]
        base = kind.rstrip("+")
        if tag & 7 == 0:
            n, at = varint(data, at)
            value = [signed(n, base)]
        else:
            assert tag & 7 == 2, f"{message}.{name}: wire type {tag & 7}"
            n, at = varint(data, at)
            assert at + n <= len(data), f"{message}.{name} is cut"
            part, at = data[at:at + n], at + n
            if base[0].isupper():
                value = [decode(part, base)]
            elif base == "string":
                value = [part.decode()]
            else:
                value, i = [], 0
                while i < len(part):
                    n, i = varint(part, i)
                    value.append(signed(n, base))
        if kind.endswith("+"):
            out[name] += value
        else:
            out[name] = value[-1]
    return out


def decode_by_protobuf(data):
    """The same by python3-protobuf; ImportError without it."""
    from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory # pylint: disable=C0415
    f = descriptor_pb2.FileDescriptorProto(name="profile.proto", package="perftools.profiles", syntax="proto3")
    types = {"int64": 3, "uint64": 4, "bool": 8, "string": 9}
    for message, fields in PROFILE_PROTO.items():
        m = f.message_type.add(name=message)
        for number, (name, kind) in fields.items():
            base = kind.rstrip("+")
            field = m.field.add(name=name, number=number, label=3 if kind.endswith("+") else 1)
            field.type = types.get(base, 11)
            if base not in types:
                field.type_name = ".perftools.profiles." + base
    pool = descriptor_pool.DescriptorPool()
    pool.Add(f)
    descriptor = pool.FindMessageTypeByName("perftools.profiles.Profile")
    if hasattr(message_factory, "GetMessageClass"):
        profile = message_factory.GetMessageClass(descriptor)()
    else:
        profile = message_factory.MessageFactory(pool).GetPrototype(descriptor)()
    profile.ParseFromString(data)
    return with_numbers(json_format.MessageToDict(profile, including_default_value_fields=True,
                                                  preserving_proto_field_name=True), "Profile")


def with_numbers(value, message):
    """json_format writes 64-bit numbers as text."""
    out = {}
    for name, kind in PROFILE_PROTO[message].values():
        base, got = kind.rstrip("+"), value.get(name)
        one = (lambda v: with_numbers(v, base)) if base[0].isupper() else str if base == "string" else int # noqa: B023
        out[name] = [one(v) for v in got] if kind.endswith("+") else got if got is None else one(got)
    return out


class Pprof:
    """A checked profile: ids count from 1, every reference is there."""

    def __init__(self, packed):
        assert packed[4:8] == b"\0\0\0\0", "the gzip header has a time"
        self.data = gzip.decompress(packed)
        self.raw = p = decode(self.data)
        self.strings = p["string_table"]
        assert self.strings[0] == "" and len(set(self.strings)) == len(self.strings)
        for table in ("mapping", "location", "function"):
            assert [e["id"] for e in p[table]] == list(range(1, len(p[table]) + 1)), table
        self.comments = [self.strings[c] for c in p["comment"]]
        self.types = [(self.strings[t["type"]], self.strings[t["unit"]]) for t in p["sample_type"]]
        self.default = self.strings[p["default_sample_type"]]
        assert p["duration_nanos"] == 0

    def function(self, line):
        return self.raw["function"][self.index(line["function_id"], "function")]

    def index(self, n, table):
        assert 1 <= n <= len(self.raw[table]), (n, table)
        return n - 1

    def frames(self, sample):
        """(function, location), innermost first, inlined ones too"""
        for n in sample["location_id"]:
            location = self.raw["location"][self.index(n, "location")]
            if location["mapping_id"]:
                self.index(location["mapping_id"], "mapping")
            for line in location["line"]:
                inlined = INLINED if line is not location["line"][-1] else ""
                yield self.strings[self.function(line)["name"]] + inlined, location

    def labels(self, sample):
        found = {self.strings[l["key"]]: self.strings[l["str"]] if l["str"] else l["num"] for l in sample["label"]}
        assert len(found) == len(sample["label"])
        return found

    def stacks(self):
        out = collections.defaultdict(collections.Counter)
        for s in self.raw["sample"]:
            labels = self.labels(s)
            path = [f"{labels['process']}-{labels['pid']}", *reversed([name for name, _ in self.frames(s)])]
            for metric, kind in PPROF_TYPES.items():
                out[as_folded(path)][metric] += s["value"][self.types.index(kind)]
        return out

    def totals(self):
        return {m: sum(s["value"][self.types.index(k)] for s in self.raw["sample"]) for m, k in PPROF_TYPES.items()}


def as_folded(path):
    return tuple(re.sub("[\x85\u2028\u2029]", " ", name.replace(";", ":")) for name in path)


class JsonLines:
    """One snapshot or several: [{"header": .., "stack": [..], ...}]"""

    def __init__(self, data):
        self.lines = [json.loads(l) for l in data.decode().split("\n")[:-1]]
        assert data.endswith(b"\n")
        self.snapshots = []
        for line in self.lines:
            if line["type"] == "header":
                self.snapshots.append(collections.defaultdict(list))
            self.snapshots[-1][line["type"]].append(line)

    def stacks(self, snapshot=-1):
        s = self.snapshots[snapshot]
        names = {f["id"]: f["name"] + (INLINED if f.get("inlined") else "") for f in s["frame"]}
        comm = {p["gen"]: f"{p['comm']}-{p['pid']}" for p in s["process"]}
        out = collections.defaultdict(collections.Counter)
        for stack in s["stack"]:
            cut = [stack["cut"]] if "cut" in stack else []
            path = [comm[stack["gen"]], *cut, *(names[n] for n in stack["frames"])]
            for m in METRICS:
                out[as_folded(path)][m] += stack[m.replace("-", "_")]
        return out

    def totals(self, snapshot=-1):
        s = self.snapshots[snapshot]["summary"][0]
        return {m: s[m.replace("-", "_")] for m in METRICS}


class HeapProfile:
    """The tree's own sizes by path; its remarks."""

    def __init__(self, data):
        self.json = json.loads(data)
        self.remarks = self.json["memprobe"]
        self.own, self.rest, self.losses, self.ids = collections.Counter(), 0, [], set()
        self.walk(self.json["head"], ())
        self.total = sum(self.own.values()) + self.rest

    def walk(self, node, path):
        assert set(node) == {"callFrame", "selfSize", "id", "children"}, set(node)
        assert set(node["callFrame"]) == {"functionName", "scriptId", "url", "lineNumber", "columnNumber"}
        assert isinstance(node["selfSize"], int) and node["selfSize"] >= 0
        assert node["id"] not in self.ids
        self.ids.add(node["id"])
        name = node["callFrame"]["functionName"]
        if len(path) == 1 and name.startswith("lost: "):
            self.losses.append(name)
            return
        path += (name,)
        if name.endswith(" smaller stacks]"):
            self.rest += node["selfSize"]
        elif node["selfSize"]:
            self.own[as_folded(path[1:])] += node["selfSize"]
        for child in node["children"]:
            self.walk(child, path)

    def totals(self):
        return {m: self.remarks[m.replace("-", "_")] for m in METRICS}
