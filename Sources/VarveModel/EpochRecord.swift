/// The objects that say what a storage directory is: its format and database, and the list of its epochs.

/// `FORMAT`, the first object ever published: `{0: format, 1: database id}`.
public struct StorageFormat: Sendable, Equatable {
    public static let format: UInt64 = 1
    public var database: DatabaseID
    public init(database: DatabaseID) { self.database = database }

    public func encoded() -> Bytes {
        var writer = CBORWriter()
        writer.map(2)
        writer.unsigned(0)
        writer.unsigned(Self.format)
        writer.unsigned(1)
        writer.byteString(database)
        return Bytes(writer.bytes)
    }

    public static func decode(_ bytes: Bytes) throws(CBORFault) -> StorageFormat {
        var reader = CBORReader(bytes)
        guard try reader.map() == 2, try reader.unsigned() == 0 else { throw reader.fault("no FORMAT") }
        let format = try reader.unsigned()
        guard format == Self.format else { throw reader.fault("storage format \(format) is of a later version") }
        guard try reader.unsigned() == 1 else { throw reader.fault("no database id") }
        let result = StorageFormat(database: try reader.bytes16())
        try reader.expectEnd()
        return result
    }
}

/// One epoch, as a function of its genesis and of how the epoch before it ended. Chained by digest, never deleted.
public struct EpochRecord: Sendable, Equatable {
    public static let format: UInt64 = 1

    public var epoch: Epoch
    /// SHA-256 of the previous epoch record's bytes; zero for epoch 0.
    public var parent: Digest
    public var began: EpochBeginning
    /// With genesis id and genesis offset.
    public var log: LogReference
    public var parentEnd: ParentEnd?
    /// For a bump: what the operator accepted; empty otherwise.
    public var reason: String

    public init(
        epoch: Epoch, parent: Digest, began: EpochBeginning, log: LogReference, parentEnd: ParentEnd?, reason: String
    ) {
        self.epoch = epoch
        self.parent = parent
        self.began = began
        self.log = log
        self.parentEnd = parentEnd
        self.reason = reason
    }

    /// `{0: format, 1: epoch, 2: parent digest, 3: began, 4: log, 5: parent end or null, 6: reason}`
    public func encoded() -> Bytes {
        var writer = CBORWriter()
        writer.map(7)
        writer.unsigned(0)
        writer.unsigned(Self.format)
        writer.unsigned(1)
        writer.unsigned(epoch.number)
        writer.unsigned(2)
        writer.byteString(parent)
        writer.unsigned(3)
        writer.unsigned(began.rawValue)
        writer.unsigned(4)
        log.encode(to: &writer)
        writer.unsigned(5)
        if let parentEnd { parentEnd.encode(to: &writer) } else { writer.null() }
        writer.unsigned(6)
        writer.text(reason)
        return Bytes(writer.bytes)
    }

    public static func decode(_ bytes: Bytes) throws(CBORFault) -> EpochRecord {
        var reader = CBORReader(bytes)
        func key(_ expected: UInt64, _ reader: inout CBORReader) throws(CBORFault) {
            guard try reader.unsigned() == expected else { throw reader.fault("no epoch record") }
        }
        guard try reader.map() == 7 else { throw reader.fault("no epoch record") }
        try key(0, &reader)
        let format = try reader.unsigned()
        guard format == Self.format else { throw reader.fault("epoch record format \(format) is of a later version") }
        try key(1, &reader)
        let epoch = try reader.epoch()
        try key(2, &reader)
        let parent = try reader.digest()
        try key(3, &reader)
        guard let began = EpochBeginning(rawValue: try reader.unsigned(as: UInt8.self)) else {
            throw reader.fault("no beginning")
        }
        try key(4, &reader)
        let log = try LogReference.decode(&reader)
        guard log.genesis != nil, log.genesisOffset != nil else { throw reader.fault("a log without its genesis") }
        try key(5, &reader)
        var parentEnd: ParentEnd?
        if try reader.peek() == .simple {
            guard try reader.simple() == .null else { throw reader.fault("no parent end") }
        } else {
            parentEnd = try ParentEnd.decode(&reader)
        }
        try key(6, &reader)
        let reason = try reader.text()
        try reader.expectEnd()
        return EpochRecord(
            epoch: epoch, parent: parent, began: began, log: log, parentEnd: parentEnd, reason: reason)
    }
}
