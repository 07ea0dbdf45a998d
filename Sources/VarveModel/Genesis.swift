/// Payloads of the records that are no transactions: genesis, flush request, settings.

/// The first record of an epoch's log: which database, which epoch, how it began, and the settings in force.
public struct Genesis: Sendable, Equatable {
    public var database: DatabaseID
    public var epoch: Epoch
    /// The log as its creator named it; genesis id and offset are not yet known in it.
    public var log: LogReference
    public var began: EpochBeginning
    public var settings: Settings
    /// The epoch before this one, if there was any.
    public var parent: Parent?

    public struct Parent: Sendable, Equatable {
        public var genesis: GenesisID
        /// Declared end of a lost or restored parent; after a seal the end follows from the seal.
        public var end: ParentEnd?

        public init(genesis: GenesisID, end: ParentEnd? = nil) {
            self.genesis = genesis
            self.end = end
        }
    }

    public init(
        database: DatabaseID, epoch: Epoch, log: LogReference, began: EpochBeginning, settings: Settings,
        parent: Parent? = nil
    ) {
        self.database = database
        self.epoch = epoch
        self.log = log
        self.began = began
        self.settings = settings
        self.parent = parent
    }

    /// `{0: database, 1: epoch, 2: log, 3: began, 4: settings, 5: parent}`, the last only when there is one.
    public func encoded() -> Bytes {
        var writer = CBORWriter()
        writer.map(parent == nil ? 5 : 6)
        writer.unsigned(0)
        writer.byteString(database)
        writer.unsigned(1)
        writer.unsigned(epoch.number)
        writer.unsigned(2)
        log.encode(to: &writer)
        writer.unsigned(3)
        writer.unsigned(began.rawValue)
        writer.unsigned(4)
        settings.encode(to: &writer)
        if let parent {
            writer.unsigned(5)
            writer.map(parent.end == nil ? 1 : 2)
            writer.unsigned(0)
            writer.byteString(parent.genesis)
            if let end = parent.end {
                writer.unsigned(1)
                end.encode(to: &writer)
            }
        }
        return Bytes(writer.bytes)
    }

    public static func decode(_ payload: Bytes) throws(CBORFault) -> Genesis {
        var reader = CBORReader(payload)
        let fields = try reader.map()
        guard fields == 5 || fields == 6, try reader.unsigned() == 0 else { throw reader.fault("no genesis") }
        let database = try reader.bytes16()
        guard try reader.unsigned() == 1 else { throw reader.fault("no epoch") }
        let epoch = try reader.epoch()
        guard try reader.unsigned() == 2 else { throw reader.fault("no log reference") }
        let log = try LogReference.decode(&reader)
        guard try reader.unsigned() == 3, let began = EpochBeginning(rawValue: try reader.unsigned(as: UInt8.self)),
            try reader.unsigned() == 4
        else { throw reader.fault("no beginning") }
        var genesis = Genesis(
            database: database, epoch: epoch, log: log, began: began, settings: try Settings.decode(&reader))
        if fields == 6 {
            guard try reader.unsigned() == 5 else { throw reader.fault("no parent") }
            let count = try reader.map()
            guard count == 1 || count == 2, try reader.unsigned() == 0 else { throw reader.fault("no parent") }
            genesis.parent = Parent(genesis: try reader.bytes16())
            if count == 2 {
                guard try reader.unsigned() == 1 else { throw reader.fault("no parent end") }
                genesis.parent?.end = try ParentEnd.decode(&reader)
            }
        }
        try reader.expectEnd()
        return genesis
    }
}

/// Payload of a flush request: `{0: block number}`. It cuts that block if it is still the open one.
public struct FlushRequest: Sendable, Equatable {
    public var block: BlockNumber
    public init(block: BlockNumber) { self.block = block }

    public func encoded() -> Bytes {
        var writer = CBORWriter()
        writer.map(1)
        writer.unsigned(0)
        writer.unsigned(block.value)
        return Bytes(writer.bytes)
    }

    public static func decode(_ payload: Bytes) throws(CBORFault) -> FlushRequest {
        var reader = CBORReader(payload)
        guard try reader.map() == 1, try reader.unsigned() == 0 else { throw reader.fault("no flush request") }
        let request = FlushRequest(block: BlockNumber(try reader.unsigned()))
        try reader.expectEnd()
        return request
    }
}

/// How an epoch came to be.
public enum EpochBeginning: UInt8, Sendable, CustomStringConvertible {
    case initial = 0
    case sealed = 1
    case lost = 2
    case restored = 3

    public var description: String {
        switch self {
        case .initial: "initial"
        case .sealed: "sealed"
        case .lost: "lost"
        case .restored: "restored"
        }
    }
}

/// Where an epoch ended: what its successor starts from.
public struct ParentEnd: Sendable, Equatable {
    public var position: Position
    public var inputChain: Digest
    public var effectChain: Bytes16
    /// The newest block at that end; nil when there was none.
    public var block: BlockNumber?
    public var effectiveTime: Int64
    public var systemTime: Instant

    public init(
        position: Position, inputChain: Digest, effectChain: Bytes16, block: BlockNumber?, effectiveTime: Int64,
        systemTime: Instant
    ) {
        self.position = position
        self.inputChain = inputChain
        self.effectChain = effectChain
        self.block = block
        self.effectiveTime = effectiveTime
        self.systemTime = systemTime
    }

    /// `[position, H, E, block or null, effective ms, system µs]`
    func encode(to writer: inout CBORWriter) {
        writer.array(6)
        writer.integer(position.packed)
        writer.byteString(inputChain)
        writer.byteString(effectChain)
        if let block { writer.unsigned(block.value) } else { writer.null() }
        writer.integer(effectiveTime)
        writer.integer(systemTime.microseconds)
    }

    static func decode(_ reader: inout CBORReader) throws(CBORFault) -> ParentEnd {
        guard try reader.array() == 6 else { throw reader.fault("no parent end") }
        let position = try reader.position()
        let inputChain = try reader.digest()
        let effectChain = try reader.bytes16()
        var block: BlockNumber?
        if try reader.peek() == .simple {
            guard try reader.simple() == .null else { throw reader.fault("no block number") }
        } else {
            block = BlockNumber(try reader.unsigned())
        }
        return ParentEnd(
            position: position, inputChain: inputChain, effectChain: effectChain, block: block,
            effectiveTime: try reader.integer(), systemTime: Instant(microseconds: try reader.integer()))
    }
}

extension CBORReader {
    mutating func epoch() throws(CBORFault) -> Epoch {
        guard let epoch = Epoch(try unsigned(as: Int.self)) else { throw fault("no epoch") }
        return epoch
    }
}
