/// What names a log in genesis records, seals and epoch records. Never an address or a path: those are configuration.

public struct LogReference: Sendable, Equatable {
    public enum Kind: UInt8, Sendable, CustomStringConvertible {
        case memory = 1
        case local = 2
        case kafka = 3

        public var description: String {
            switch self {
            case .memory: "memory"
            case .local: "local"
            case .kafka: "kafka"
            }
        }
    }

    public var kind: Kind
    /// Kafka's cluster id; empty for the other kinds.
    public var clusterID: String
    /// The full topic (`varve-log-e0`); for the other kinds the epoch's directory name (`e0000`).
    public var topic: String
    /// Filled in once the genesis was read.
    public var genesis: GenesisID?
    public var genesisOffset: Offset?
    /// In a seal, and in the epoch record made from it: under which name nodes have the cluster in their configuration;
    /// nil for the one they used before.
    public var cluster: String?

    public init(
        kind: Kind, clusterID: String = "", topic: String, genesis: GenesisID? = nil, genesisOffset: Offset? = nil,
        cluster: String? = nil
    ) {
        self.kind = kind
        self.clusterID = clusterID
        self.topic = topic
        self.genesis = genesis
        self.genesisOffset = genesisOffset
        self.cluster = cluster
    }

    /// Whether both name the same place; what was read from it is not compared.
    public func isSamePlace(as other: LogReference) -> Bool {
        kind == other.kind && clusterID == other.clusterID && topic == other.topic
    }

    /// `{0: kind, 1: cluster id, 2: topic, 3: genesis id, 4: genesis offset, 5: cluster name}`, the last three only when
    /// known.
    func encode(to writer: inout CBORWriter) {
        writer.map(3 + (genesis == nil ? 0 : 1) + (genesisOffset == nil ? 0 : 1) + (cluster == nil ? 0 : 1))
        writer.unsigned(0)
        writer.unsigned(kind.rawValue)
        writer.unsigned(1)
        writer.text(clusterID)
        writer.unsigned(2)
        writer.text(topic)
        if let genesis {
            writer.unsigned(3)
            writer.byteString(genesis)
        }
        if let genesisOffset {
            writer.unsigned(4)
            writer.integer(genesisOffset.value)
        }
        if let cluster {
            writer.unsigned(5)
            writer.text(cluster)
        }
    }

    static func decode(_ reader: inout CBORReader) throws(CBORFault) -> LogReference {
        var fields = try reader.map()
        guard fields >= 3, try reader.unsigned() == 0,
            let kind = Kind(rawValue: try reader.unsigned(as: UInt8.self)), try reader.unsigned() == 1
        else { throw reader.fault("no log reference") }
        let cluster = try reader.text()
        guard try reader.unsigned() == 2 else { throw reader.fault("no topic") }
        var reference = LogReference(kind: kind, clusterID: cluster, topic: try reader.text())
        fields -= 3
        var last: UInt64 = 2
        while fields > 0 {
            let key = try reader.unsigned()
            // Rising, so none is there twice: equal contents are equal bytes.
            guard key > last else { throw reader.fault("fields of a log reference that do not rise") }
            last = key
            switch key {
            case 3: reference.genesis = try reader.bytes16()
            case 4: reference.genesisOffset = try reader.logOffset()
            case 5: reference.cluster = try reader.text()
            default: throw reader.fault("an unknown field of a log reference")
            }
            fields -= 1
        }
        return reference
    }
}

extension CBORReader {
    mutating func logOffset() throws(CBORFault) -> Offset {
        let value = try integer()
        guard (0...Offset.highest).contains(value) else { throw fault("no offset") }
        return Offset(value)
    }

    mutating func position() throws(CBORFault) -> Position {
        guard let position = Position(packed: try integer()) else { throw fault("no position") }
        return position
    }
}
