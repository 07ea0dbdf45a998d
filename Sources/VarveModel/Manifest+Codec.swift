/// A manifest's bytes: one CBOR map, keys 0 to 18, and from format 2 on the CRC32C of these bytes behind it
/// (docs/storage-format.md, "Manifest").
///
/// Every manifest but the newest is also held by the digest in its successor; the checksum is for the newest.

extension Manifest {
    public func encoded() -> Bytes {
        var w = CBORWriter(reservingCapacity: 4096)
        w.map(19)
        var next: UInt64 = 0
        func key(_ w: inout CBORWriter) {
            w.unsigned(next)
            next += 1
        }
        key(&w); w.unsigned(format)
        key(&w); w.byteString(database)
        key(&w); w.unsigned(last.epoch.number)
        key(&w); w.unsigned(number.value)
        key(&w); w.byteString(previous)
        key(&w); w.integer(first.packed)
        key(&w); w.integer(last.packed)
        key(&w); w.integer(logTime)
        key(&w); w.integer(effectiveTime)
        key(&w); w.integer(systemTime.microseconds)
        key(&w); w.byteString(inputChain)
        key(&w); w.byteString(effectChain)
        key(&w); w.byteString(recordDigest)
        key(&w); w.integer(horizon.packed)
        key(&w); w.array(anchors.count)
        for anchor in anchors {
            w.array(3)
            w.unsigned(anchor.fromPower)
            w.integer(anchor.position.packed)
            w.byteString(anchor.digest)
        }
        key(&w); w.unsigned(cut.rawValue)
        key(&w); w.array(4)
        for count in [counts.records, counts.transactions, counts.rows, counts.bytes] { w.unsigned(count) }
        key(&w); settings.encode(to: &w)
        key(&w); w.array(tables.count)
        for table in tables { table.encode(to: &w) }
        guard format > 1 else { return Bytes(w.bytes) }
        let sum = w.bytes.withUnsafeBytes { crc32c($0) }
        return Bytes(w.bytes + (0..<4).map { UInt8(truncatingIfNeeded: sum >> (8 * $0)) })
    }

    public static func decode(_ bytes: Bytes) throws(CBORFault) -> Manifest {
        let format = try Self.format(of: bytes)
        var r = CBORReader(format == 1 ? bytes : try Self.checked(bytes))
        guard try r.map() == 19 else { throw r.fault("no manifest") }
        func key(_ expected: UInt64, _ r: inout CBORReader) throws(CBORFault) {
            guard try r.unsigned() == expected else { throw r.fault("expected field \(expected) of a manifest") }
        }
        try key(0, &r)
        _ = try r.unsigned()
        try key(1, &r)
        let database = try r.bytes16()
        try key(2, &r)
        let epoch = try r.epoch()
        try key(3, &r)
        let number = BlockNumber(try r.unsigned())
        try key(4, &r)
        let previous = try r.digest()
        try key(5, &r)
        let first = try r.position()
        try key(6, &r)
        let last = try r.position()
        guard last.epoch == epoch, first <= last else { throw r.fault("positions that do not fit") }
        try key(7, &r)
        let logTime = try r.integer()
        try key(8, &r)
        let effectiveTime = try r.integer()
        try key(9, &r)
        let systemTime = Instant(microseconds: try r.integer())
        try key(10, &r)
        let inputChain = try r.digest()
        try key(11, &r)
        let effectChain = try r.bytes16()
        try key(12, &r)
        let recordDigest = try r.digest()
        try key(13, &r)
        let horizon = try r.position()
        try key(14, &r)
        var anchors: [Anchor] = []
        for _ in 0..<(try r.array()) {
            guard try r.array() == 3 else { throw r.fault("no anchor") }
            anchors.append(
                Anchor(
                    fromPower: try r.unsigned(as: UInt8.self), position: try r.position(), digest: try r.digest()))
        }
        try key(15, &r)
        guard let cut = CutReason(rawValue: try r.unsigned(as: UInt8.self)) else { throw r.fault("no cut reason") }
        try key(16, &r)
        guard try r.array() == 4 else { throw r.fault("no counts") }
        let counts = Counts(
            records: try r.unsigned(), transactions: try r.unsigned(), rows: try r.unsigned(), bytes: try r.unsigned())
        try key(17, &r)
        let settings = try Settings.decode(&r)
        try key(18, &r)
        var tables: [Table] = []
        for _ in 0..<(try r.array()) { tables.append(try Table.decode(&r)) }
        try r.expectEnd()
        var manifest = Manifest(
            database: database, number: number, previous: previous, first: first, last: last, logTime: logTime,
            effectiveTime: effectiveTime, systemTime: systemTime, inputChain: inputChain, effectChain: effectChain,
            recordDigest: recordDigest, horizon: horizon, anchors: anchors, cut: cut, counts: counts,
            settings: settings, tables: tables)
        manifest.format = format
        return manifest
    }

    private static func format(of bytes: Bytes) throws(CBORFault) -> UInt64 {
        var r = CBORReader(bytes)
        guard try r.map() == 19, try r.unsigned() == 0 else { throw r.fault("no manifest") }
        let format = try r.unsigned()
        guard (1...Self.format).contains(format) else {
            throw r.fault("manifest format \(format) is of a later version")
        }
        return format
    }

    /// The bytes before the checksum, which they fit.
    private static func checked(_ bytes: Bytes) throws(CBORFault) -> Bytes {
        guard bytes.count > 4 else { throw CBORReader(bytes).fault("no manifest") }
        let content = bytes[0..<bytes.count - 4]
        let sum = content.withUnsafeBytes { crc32c($0) }
        for i in 0..<4 where bytes[content.count + i] != UInt8(truncatingIfNeeded: sum >> (8 * UInt32(i))) {
            throw CBORReader(bytes).fault("a manifest with another checksum")
        }
        return content
    }
}

extension Manifest.Table {
    /// `[name, [field…], [[key, position]…], [[name, size, digest, rows, first key, last key]…]]`
    fileprivate func encode(to w: inout CBORWriter) {
        w.array(4)
        w.text(name.text)
        w.array(newFields.count)
        for field in newFields {
            w.head(.text, UInt64(field.count))
            w.raw(field)
        }
        w.array(erasures.count)
        for erasure in erasures {
            w.array(2)
            w.byteString(erasure.key.bytes)
            w.integer(erasure.position.packed)
        }
        w.array(files.count)
        for file in files {
            w.array(6)
            w.text(file.name)
            w.unsigned(file.size)
            w.byteString(file.digest)
            w.unsigned(file.rows)
            w.byteString(file.firstKey.bytes)
            w.byteString(file.lastKey.bytes)
        }
    }

    fileprivate static func decode(_ r: inout CBORReader) throws(CBORFault) -> Manifest.Table {
        guard try r.array() == 4 else { throw r.fault("no table") }
        let text = try r.text()
        guard let name = try? TableName(stored: text) else { throw r.fault("no table name") }
        var table = Manifest.Table(name: name, newFields: [], erasures: [], files: [])
        for _ in 0..<(try r.array()) { table.newFields.append(try r.textBytes().detached()) }
        for _ in 0..<(try r.array()) {
            guard try r.array() == 2 else { throw r.fault("no erasure") }
            table.erasures.append(Manifest.Erasure(key: try r.key(), position: try r.position()))
        }
        for _ in 0..<(try r.array()) {
            guard try r.array() == 6 else { throw r.fault("no file") }
            table.files.append(
                Manifest.File(
                    name: try r.text(), size: try r.unsigned(), digest: try r.digest(), rows: try r.unsigned(),
                    firstKey: try r.key(), lastKey: try r.key()))
        }
        return table
    }
}

extension CBORReader {
    mutating func key() throws(CBORFault) -> Key {
        guard let key = Key(encoded: try byteString()) else { throw fault("no key") }
        return key.detached()
    }
}
