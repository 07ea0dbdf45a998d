/// Payload of a seal: the record that ends an epoch and names its successor.

public struct Seal: Sendable, Equatable {
    /// The epoch that follows: always the next one.
    public var next: Epoch
    /// Its log, with genesis id and offset: the genesis stands there before the seal is written.
    public var log: LogReference

    public init(next: Epoch, log: LogReference) {
        self.next = next
        self.log = log
    }

    /// `{0: next epoch, 1: log reference}`
    public func encoded() -> Bytes {
        var writer = CBORWriter()
        writer.map(2)
        writer.unsigned(0)
        writer.unsigned(next.number)
        writer.unsigned(1)
        log.encode(to: &writer)
        return Bytes(writer.bytes)
    }

    public static func decode(_ payload: Bytes) throws(CBORFault) -> Seal {
        var reader = CBORReader(payload)
        guard try reader.map() == 2, try reader.unsigned() == 0 else { throw reader.fault("no seal") }
        let next = try reader.epoch()
        guard try reader.unsigned() == 1 else { throw reader.fault("no log reference") }
        let seal = Seal(next: next, log: try LogReference.decode(&reader))
        guard seal.log.genesis != nil, seal.log.genesisOffset != nil else {
            throw reader.fault("a log without its genesis")
        }
        try reader.expectEnd()
        return seal
    }

    /// The record of the next epoch, as every node makes it from this seal.
    /// - Parameters:
    ///   - end: what the sealed epoch left behind at the seal.
    ///   - parent: digest of the sealed epoch's own record.
    public func epochRecord(endingAt end: ParentEnd, parent: Digest) -> EpochRecord {
        EpochRecord(epoch: next, parent: parent, began: .sealed, log: log, parentEnd: end, reason: "")
    }
}
