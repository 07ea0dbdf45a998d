"""Opens a block file with pyarrow and compares every cell with what was written.

usage: check_block_file.py FILE.arrow EXPECTED.ndjson
Expected, one line a row: {"key": hex, "id": .., "seq": .., "from": µs, "to": µs or null, "doc": {..} or null}
"""

import base64
import json
import re
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc

UTC = pa.timestamp("us", tz="UTC")
PLAIN = {
    "_key": pa.binary(), "_seq": pa.int64(), "_system_from": UTC, "_system_to": UTC, "_deleted": pa.bool_(),
    "_nulls": pa.list_(pa.field("item", pa.string(), nullable=False)),
}


def microseconds(column):
    return pc.cast(column, pa.int64()).to_pylist()


def instant(value):
    days, rest = divmod(value, 86_400_000_000)
    # Through Arrow's own formatting, so that nothing of ours is asked to check itself.
    text = pc.strftime(pa.array([days * 86_400_000_000 + rest], UTC), "%Y-%m-%dT%H:%M:%SZ")[0].as_py()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text), text
    return {"@type": "timestamp", "@value": text}


def cells(column):
    kind = column.type
    if kind == UTC:
        return [None if v is None else instant(v) for v in microseconds(column)]
    if kind == pa.binary():
        return [None if v is None else {"@type": "binary", "@value": base64.b64encode(v).decode()}
                for v in column.to_pylist()]
    if isinstance(kind, pa.JsonType):
        return [None if v is None else json.loads(v) for v in column.to_pylist()]
    assert kind in (pa.null(), pa.bool_(), pa.int64(), pa.float64(), pa.string()), kind
    return column.to_pylist()


def same(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return repr(a) == repr(b)


def main(path, expected_path):
    with open(expected_path, encoding="utf-8") as file:
        expected = [json.loads(line) for line in file.read().split("\n") if line]
    with pa.memory_map(path) as source:
        reader = ipc.open_file(source)
        for i in range(reader.num_record_batches):
            reader.get_batch(i).validate(full=True)
        table = reader.read_all()
    table.validate(full=True)
    assert table.schema.metadata[b"varve.format"] == b"1", table.schema.metadata
    assert table.num_rows == len(expected), (table.num_rows, len(expected))
    names = table.column_names
    assert names[:7] == ["_key", "_id", "_seq", "_system_from", "_system_to", "_deleted", "_nulls"], names[:7]
    for name, kind in PLAIN.items():
        assert table.column(name).type == kind, (name, table.column(name).type)
    fields = [name for name in names[7:] if name != "_rest"]
    assert fields == sorted(fields, key=lambda name: name.encode())
    columns = {name: cells(table.column(name)) for name in names[7:]}
    ids = cells(table.column("_id"))
    keys = table.column("_key").to_pylist()
    seq = table.column("_seq").to_pylist()
    start = microseconds(table.column("_system_from"))
    end = microseconds(table.column("_system_to"))
    deleted = table.column("_deleted").to_pylist()
    nulls = table.column("_nulls").to_pylist()
    for i, row in enumerate(expected):
        assert keys[i].hex() == row["key"] and same(ids[i], row["id"]), (i, ids[i], row)
        assert (seq[i], start[i], end[i]) == (row["seq"], row["from"], row["to"]), i
        assert deleted[i] == (row["doc"] is None), i
        found = {name: columns[name][i] for name in fields if columns[name][i] is not None}
        found.update({name: None for name in nulls[i]})
        if "_rest" in columns and columns["_rest"][i] is not None:
            found.update(columns["_rest"][i])
        assert same(found, row["doc"] or {}), (i, found, row["doc"])
    print(f"{table.num_rows} rows, {len(names)} columns, pyarrow {pa.__version__}")


main(*sys.argv[1:])
