/// The running hashes over what was read (H) and over what it did (E).

/// H: `SHA-256(H before ‖ position ‖ log time as stored ‖ digest of the record)`, over every record, foreign ones too.
public struct InputChain: Sendable, Hashable {
    public private(set) var value: Digest

    public init(_ value: Digest) { self.value = value }

    public mutating func extend(position: Position, logTime: Int64, record: Digest) {
        var hash = SHA256()
        hash.update(value)
        hash.update(position.packed)
        hash.update(logTime)
        hash.update(record)
        value = hash.digest()
    }
}

/// What a decided submission did, as the effect chain sees it.
public enum Outcome: UInt8, Sendable, CustomStringConvertible {
    case committed = 1
    case aborted = 2
    case cancelled = 3
    case expired = 4

    public var description: String {
        switch self {
        case .committed: "committed"
        case .aborted: "aborted"
        case .cancelled: "cancelled"
        case .expired: "expired"
        }
    }

    public init?(name: String) {
        guard
            let outcome = [Outcome.committed, .aborted, .cancelled, .expired].first(where: { $0.description == name })
        else { return nil }
        self = outcome
    }
}

public enum EffectKind: UInt8, Sendable {
    case write = 1
    case delete = 2
    case erase = 3
}

/// E: `SHA-256(E before ‖ position ‖ outcome ‖ effects)` cut to 16 bytes, for each decided submission; an effect is
/// `table length (2) ‖ table ‖ key length (2) ‖ key ‖ kind (1) ‖ SHA-256 of the new document` (zeros for none).
public struct EffectChain: Sendable {
    public private(set) var value: Bytes16
    private var hash = SHA256()

    public init(_ value: Bytes16) { self.value = value }

    public mutating func begin(position: Position, outcome: Outcome) {
        hash = SHA256()
        hash.update(value)
        hash.update(position.packed)
        hash.update(outcome.rawValue)
    }

    public mutating func effect(table: TableName, key: Key, kind: EffectKind, document: Bytes?) {
        var name = table.text
        hash.update(UInt16(name.utf8.count))
        name.withUTF8 { hash.update(UnsafeRawBufferPointer($0)) }
        hash.update(UInt16(key.bytes.count))
        hash.update(key.bytes)
        hash.update(kind.rawValue)
        hash.update(document.map { Digest(of: $0) } ?? .zero)
    }

    public mutating func end() { value = hash.digest().first }
}
