/// The small object whose creation makes a block exist.
///
/// Everything in it is a function of the log: no node, no wall clock, no version. So every node that computes it gets the
/// same bytes, and a node that would not has diverged.

public struct Manifest: Sendable, Equatable {
    /// What this version writes. Format 1 is still read: it is the same without a checksum of its own.
    public static let format: UInt64 = 2

    /// Of the bytes it was decoded from; they are made again to the byte.
    public var format = Manifest.format
    public var database: DatabaseID
    public var number: BlockNumber
    /// SHA-256 of the previous manifest's bytes; of the epoch record `e0000` for the first.
    public var previous: Digest
    /// First and last record of the block; the last one is the cut. The epoch is the last's.
    public var first: Position
    public var last: Position
    /// Of the last record: log time as stored in ms, effective time in ms.
    public var logTime: Int64
    public var effectiveTime: Int64
    /// The newest system time given to any transaction so far.
    public var systemTime: Instant
    public var inputChain: Digest
    public var effectChain: Bytes16
    public var recordDigest: Digest
    /// Position of the newest submission id that was forgotten; zero when none was.
    public var horizon: Position
    public var anchors: [Anchor]
    public var cut: CutReason
    public var counts: Counts
    public var settings: Settings
    /// Tables that have something in this block, by name.
    public var tables: [Table]

    /// The newest record that was the first at or above a multiple of 2^k, for `k` from `fromPower` to the next anchor's.
    public struct Anchor: Sendable, Equatable {
        public var fromPower: UInt8
        public var position: Position
        public var digest: Digest

        public init(fromPower: UInt8, position: Position, digest: Digest) {
            self.fromPower = fromPower
            self.position = position
            self.digest = digest
        }
    }

    public struct Counts: Sendable, Equatable {
        public var records: UInt64 = 0
        /// Decided submissions.
        public var transactions: UInt64 = 0
        /// Document versions.
        public var rows: UInt64 = 0
        /// Of payloads, and what the documents that patches made have beyond them.
        public var bytes: UInt64 = 0
        public init(records: UInt64 = 0, transactions: UInt64 = 0, rows: UInt64 = 0, bytes: UInt64 = 0) {
            self.records = records
            self.transactions = transactions
            self.rows = rows
            self.bytes = bytes
        }
    }

    public struct Table: Sendable, Equatable {
        public var name: TableName
        /// Fields seen in this block and in none before, in the order they were seen, as UTF-8.
        public var newFields: [Bytes]
        /// Keys erased in this block: every version at or before the position is hidden for ever.
        public var erasures: [Erasure]
        public var files: [File]

        public init(name: TableName, newFields: [Bytes], erasures: [Erasure], files: [File]) {
            self.name = name
            self.newFields = newFields
            self.erasures = erasures
            self.files = files
        }
    }

    public struct Erasure: Sendable, Equatable {
        public var key: Key
        public var position: Position
        public init(key: Key, position: Position) {
            self.key = key
            self.position = position
        }
    }

    /// One published file of a table.
    public struct File: Sendable, Equatable {
        /// Object key, as in `tables/users/l00-b00000003-b00000003-c-0123456789abcdef.arrow`.
        public var name: String
        public var size: UInt64
        public var digest: Digest
        public var rows: UInt64
        public var firstKey: Key
        public var lastKey: Key

        public init(name: String, size: UInt64, digest: Digest, rows: UInt64, firstKey: Key, lastKey: Key) {
            self.name = name
            self.size = size
            self.digest = digest
            self.rows = rows
            self.firstKey = firstKey
            self.lastKey = lastKey
        }
    }

    public init(
        database: DatabaseID, number: BlockNumber, previous: Digest, first: Position, last: Position, logTime: Int64,
        effectiveTime: Int64, systemTime: Instant, inputChain: Digest, effectChain: Bytes16, recordDigest: Digest,
        horizon: Position, anchors: [Anchor], cut: CutReason, counts: Counts, settings: Settings, tables: [Table]
    ) {
        self.database = database
        self.number = number
        self.previous = previous
        self.first = first
        self.last = last
        self.logTime = logTime
        self.effectiveTime = effectiveTime
        self.systemTime = systemTime
        self.inputChain = inputChain
        self.effectChain = effectChain
        self.recordDigest = recordDigest
        self.horizon = horizon
        self.anchors = anchors
        self.cut = cut
        self.counts = counts
        self.settings = settings
        self.tables = tables
    }
}

/// Why a block ends where it does.
public enum CutReason: UInt8, Sendable, CustomStringConvertible {
    case transactions = 1
    case rows = 2
    case bytes = 3
    case time = 4
    case request = 5
    case seal = 6
    case settings = 7
    case quarantine = 8

    public var description: String {
        switch self {
        case .transactions: "transactions"
        case .rows: "rows"
        case .bytes: "bytes"
        case .time: "time"
        case .request: "request"
        case .seal: "seal"
        case .settings: "settings"
        case .quarantine: "quarantine"
        }
    }
}
