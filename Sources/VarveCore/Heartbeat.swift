/// What a node says of itself in `nodes/<id>.cbor`, and what a claim says (docs/storage-format.md).
///
/// Both are small CBOR maps; a heartbeat is overwritten in place, so a CRC32C behind it tells a torn read from a whole
/// one. Nothing that is decided about data depends on either: they save work, and warn.

package import VarveModel

package struct Heartbeat: Sendable, Equatable {
    package static let format: UInt64 = 1

    package var node: String
    /// Names one process among those that ever had this node's id: wall clock at its start, in ms, raised above that of
    /// the file it found. So a later process always has the larger number, whatever the clock did.
    package var processStart: UInt64
    /// Raised at each rewrite, so that the bytes of a living node change.
    package var counter: UInt64 = 0
    package var epoch: Epoch = .first
    /// The last applied record, nil before the genesis; H and E there.
    package var applied: Position?
    package var inputChain: Digest = .zero
    package var effectChain: Bytes16 = .zero
    /// The newest adopted block and its last record.
    package var adopted: Adopted?
    /// First 8 bytes of the SHA-256 of the settings in force, as a big-endian number.
    package var settings: UInt64 = 0
    /// The newest block of the oldest list of blocks that a reader of this node still holds: files that were replaced after
    /// it may still be opened.
    package var oldestBlock: BlockNumber?
    package var version: String = ""
    /// Where its HTTP server listens, when it has one.
    package var address: String?
    /// Set by a clean stop: everything up to here was applied and nothing is written any more.
    package var stopped: Position?
    /// Set while the node is up and serves no writes: its error code, or `blockPoison`.
    package var trouble: String?
    /// `POISON` of a block that this node cannot encode. By itself the code says that it stands before a record, and whoever
    /// quarantines goes by it.
    package static let blockPoison = "POISON:block"
    package var troubleCode: String? { trouble.map { String($0.prefix { $0 != ":" }) } }
    /// A migration that this node prepares, and its answer to another's.
    package var proposal: Proposal?
    package var confirmation: Confirmation?
    /// The epoch that this node's configuration asserts; nil when it asserts none.
    package var configuredEpoch: Epoch?
    /// What stands at `applied`, for a start to compare with the log; nil when that is of an earlier epoch.
    package var record: Applied?

    package struct Applied: Sendable, Equatable {
        package var digest: Digest
        /// As the log has it.
        package var time: Int64
        /// Of that log: a file that was copied from another database's storage says nothing of this one's.
        package var log: LogTag

        package init(digest: Digest, time: Int64, log: LogTag) {
            self.digest = digest
            self.time = time
            self.log = log
        }
    }

    package struct Adopted: Sendable, Equatable {
        package var number: BlockNumber
        package var position: Position

        package init(number: BlockNumber, position: Position) {
            self.number = number
            self.position = position
        }
    }

    package init(node: String, processStart: UInt64) {
        self.node = node
        self.processStart = processStart
    }

    /// What `settings` holds.
    package static func digest(of settings: Settings) -> UInt64 {
        var writer = CBORWriter()
        settings.encode(to: &writer)
        return Digest(of: writer.bytes).first.high
    }

    /// The start of a process that finds `standing` under its own name.
    package static func start(at wallClockMs: Int64, after standing: Heartbeat?) -> UInt64 {
        max(UInt64(clamping: wallClockMs), standing.map { $0.processStart &+ 1 } ?? 0)
    }

    /// `{0: format, 1: node, 2: start, 3: counter, 4: epoch, 5: applied or null, 6: H, 7: E, 8: [block, position] or
    /// null, 9: settings, 10: oldest block or null, 11: version, 12: address or null, 13: stopped or null, 14: trouble or
    /// null}`; while a migration is prepared, or when the configuration asserts an epoch, `15: proposal or null, 16:
    /// confirmation or null`; in the latter case `17: configured epoch`; once a record of the epoch is applied all of them, `17`
    /// perhaps null, and `18: [digest, log time, log tag]` of it; then the CRC32C of these bytes, little-endian.
    package func encoded() -> Bytes {
        var w = CBORWriter(reservingCapacity: 256)
        let isMigrating = proposal != nil || confirmation != nil
        w.map(record != nil ? 19 : configuredEpoch != nil ? 18 : isMigrating ? 17 : 15)
        var next = 0
        func key(_ w: inout CBORWriter) {
            w.unsigned(next)
            next += 1
        }
        func text(_ value: String?, _ w: inout CBORWriter) { if let value { w.text(value) } else { w.null() } }
        func position(_ value: Position?, _ w: inout CBORWriter) {
            if let value { w.integer(value.packed) } else { w.null() }
        }
        key(&w); w.unsigned(Self.format)
        key(&w); w.text(node)
        key(&w); w.unsigned(processStart)
        key(&w); w.unsigned(counter)
        key(&w); w.unsigned(epoch.number)
        key(&w); position(applied, &w)
        key(&w); w.byteString(inputChain)
        key(&w); w.byteString(effectChain)
        key(&w)
        if let adopted {
            w.array(2)
            w.unsigned(adopted.number.value)
            w.integer(adopted.position.packed)
        } else {
            w.null()
        }
        key(&w); w.unsigned(settings)
        key(&w)
        if let oldestBlock { w.unsigned(oldestBlock.value) } else { w.null() }
        key(&w); w.text(version)
        key(&w); text(address, &w)
        key(&w); position(stopped, &w)
        key(&w); text(trouble, &w)
        if isMigrating || configuredEpoch != nil || record != nil {
            key(&w)
            if let proposal { proposal.encode(to: &w) } else { w.null() }
            key(&w)
            if let confirmation { confirmation.encode(to: &w) } else { w.null() }
        }
        if let configuredEpoch {
            key(&w); w.unsigned(configuredEpoch.number)
        } else if record != nil {
            key(&w); w.null()
        }
        if let record {
            key(&w)
            w.array(3)
            w.byteString(record.digest)
            w.integer(record.time)
            w.unsigned(record.log.raw)
        }
        let crc = w.bytes.withUnsafeBytes { crc32c($0) }
        return Bytes(w.bytes + (0..<4).map { UInt8(truncatingIfNeeded: crc >> (8 * $0)) })
    }

    /// Throws for torn, damaged and later ones.
    package static func decode(_ bytes: Bytes) throws(CBORFault) -> Heartbeat {
        guard bytes.count > 4 else { throw CBORReader(bytes).fault("no heartbeat") }
        let content = bytes[0..<bytes.count - 4]
        let crc = content.withUnsafeBytes { crc32c($0) }
        for i in 0..<4 where bytes[content.count + i] != UInt8(truncatingIfNeeded: crc >> (8 * UInt32(i))) {
            throw CBORReader(bytes).fault("a heartbeat with another checksum")
        }
        var r = CBORReader(content)
        let fields = try r.map()
        func key(_ expected: UInt64, _ r: inout CBORReader) throws(CBORFault) {
            guard try r.unsigned() == expected else { throw r.fault("expected field \(expected) of a heartbeat") }
        }
        func isNull(_ r: inout CBORReader) throws(CBORFault) -> Bool {
            guard try r.peek() == .simple else { return false }
            guard try r.simple() == .null else { throw r.fault("expected null") }
            return true
        }
        try key(0, &r)
        let format = try r.unsigned()
        guard format == Self.format, fields == 15 || 17...19 ~= fields else {
            throw r.fault("heartbeat format \(format) is not known")
        }
        try key(1, &r)
        let node = try r.text()
        try key(2, &r)
        var heartbeat = Heartbeat(node: node, processStart: try r.unsigned())
        try key(3, &r)
        heartbeat.counter = try r.unsigned()
        try key(4, &r)
        guard let epoch = Epoch(Int(try r.unsigned(as: UInt16.self))) else { throw r.fault("no epoch") }
        heartbeat.epoch = epoch
        func position(_ r: inout CBORReader) throws(CBORFault) -> Position? {
            if try isNull(&r) { return nil }
            guard let position = Position(packed: try r.integer()) else { throw r.fault("no position") }
            return position
        }
        try key(5, &r)
        heartbeat.applied = try position(&r)
        try key(6, &r)
        heartbeat.inputChain = try r.digest()
        try key(7, &r)
        heartbeat.effectChain = try r.bytes16()
        try key(8, &r)
        if try !isNull(&r) {
            guard try r.array() == 2 else { throw r.fault("no adopted block") }
            let number = BlockNumber(try r.unsigned())
            guard let last = try position(&r) else { throw r.fault("no position") }
            heartbeat.adopted = Adopted(number: number, position: last)
        }
        try key(9, &r)
        heartbeat.settings = try r.unsigned()
        try key(10, &r)
        if try !isNull(&r) { heartbeat.oldestBlock = BlockNumber(try r.unsigned()) }
        try key(11, &r)
        heartbeat.version = try r.text()
        try key(12, &r)
        if try !isNull(&r) { heartbeat.address = try r.text() }
        try key(13, &r)
        heartbeat.stopped = try position(&r)
        try key(14, &r)
        if try !isNull(&r) { heartbeat.trouble = try r.text() }
        if fields >= 17 {
            try key(15, &r)
            if try !isNull(&r) { heartbeat.proposal = try Proposal.decode(&r) }
            try key(16, &r)
            if try !isNull(&r) { heartbeat.confirmation = try Confirmation.decode(&r) }
        }
        if fields >= 18 {
            try key(17, &r)
            let isLeftOut = fields == 19 ? try isNull(&r) : false
            if !isLeftOut {
                guard let configured = Epoch(Int(try r.unsigned(as: UInt16.self))) else { throw r.fault("no epoch") }
                heartbeat.configuredEpoch = configured
            }
        }
        if fields == 19 {
            try key(18, &r)
            guard try r.array() == 3 else { throw r.fault("no record") }
            heartbeat.record = Applied(
                digest: try r.digest(), time: try r.integer(), log: LogTag(raw: try r.unsigned()))
        }
        try r.expectEnd()
        return heartbeat
    }
}

/// `claims/e<epoch>/<block>/<attempt>`: who said that it would write a block.
package struct Claim: Sendable, Equatable {
    package static let format: UInt64 = 1

    package var node: String
    package var processStart: UInt64

    package init(node: String, processStart: UInt64) {
        self.node = node
        self.processStart = processStart
    }

    /// `{0: format, 1: node, 2: process start}`
    package func encoded() -> Bytes {
        var w = CBORWriter()
        w.map(3)
        w.unsigned(0)
        w.unsigned(Self.format)
        w.unsigned(1)
        w.text(node)
        w.unsigned(2)
        w.unsigned(processStart)
        return Bytes(w.bytes)
    }

    package static func decode(_ bytes: Bytes) throws(CBORFault) -> Claim {
        var r = CBORReader(bytes)
        guard try r.map() == 3, try r.unsigned() == 0, try r.unsigned() == Self.format, try r.unsigned() == 1 else {
            throw r.fault("no claim")
        }
        let node = try r.text()
        guard try r.unsigned() == 2 else { throw r.fault("no claim") }
        let claim = Claim(node: node, processStart: try r.unsigned())
        try r.expectEnd()
        return claim
    }
}
