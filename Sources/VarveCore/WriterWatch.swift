/// What records tell about their writers: numbers that do not follow each other, and what the writers had read and done.
///
/// None of it changes what is applied. It finds what no error of a broker tells: a log that was swapped, cut or filled
/// anew under a running node (the identity is then proved again, before anything is applied or acknowledged), and a
/// node whose effects are other than everybody's.
///
/// Used twice for each batch: `scan` before it is applied, `compare` afterwards.

package import VarveModel

package struct WriterWatch: Sendable {
    package enum Finding: Sendable, Equatable {
        /// The writer had read other records: prove the log's identity.
        case otherInput(String)
        /// The writer read the same and did something else; `isFirst` for each writer once.
        case otherEffect(writer: UInt64, at: Position, isFirst: Bool)
        /// Two that write side by side did something else: it is this node that is wrong.
        case divergence(VarveError)
    }

    /// What a record's header says, without a look at its payload.
    private struct Header {
        let isGenesis: Bool
        let tag: UInt64
        let writer: UInt64
        let sequence: UInt64
        let observed: Position
        let input: UInt64
        let effect: UInt64

        init?(_ bytes: Bytes) {
            guard bytes.count >= Record.headerBytes else { return nil }
            let found = bytes.withUnsafeBytes { raw -> Header? in
                func load<T: FixedWidthInteger>(_ offset: Int, as: T.Type = T.self) -> T {
                    T(littleEndian: raw.loadUnaligned(fromByteOffset: offset, as: T.self))
                }
                guard load(0, as: UInt32.self) == 0x3156_5256, let observed = Position(packed: load(56)) else {
                    return nil
                }
                return Header(
                    isGenesis: raw[4] == RecordType.genesis.rawValue, tag: load(8), writer: load(32),
                    sequence: load(40), observed: observed, input: load(64, as: UInt64.self).byteSwapped,
                    effect: load(72, as: UInt64.self).byteSwapped)
            }
            guard let found else { return nil }
            self = found
        }

        private init(
            isGenesis: Bool, tag: UInt64, writer: UInt64, sequence: UInt64, observed: Position, input: UInt64,
            effect: UInt64
        ) {
            self.isGenesis = isGenesis
            self.tag = tag
            self.writer = writer
            self.sequence = sequence
            self.observed = observed
            self.input = input
            self.effect = effect
        }
    }

    private struct Claim {
        let position: Position
        let writer: UInt64
        let observed: Position
        let input: UInt64
        let effect: UInt64
    }

    /// Beyond it all are forgotten: then each writer's next number is its first.
    package static let writersMax = 4_096

    /// The newest number of each writer.
    private var sequences: [UInt64: UInt64] = [:]
    /// The last looked at: most batches have few writers.
    private var newest: (writer: UInt64, sequence: UInt64) = (0, 0)
    /// What the scanned records claim, to be compared once they are applied.
    private var claims: [Claim] = []
    /// Writers that did something else, in the order in which they were met. A process that is started again, or enters
    /// another epoch, is another writer, and the one it was is never heard again: only when an earlier one speaks after a
    /// later one are they two nodes. (docs/decisions/two-writers-two-nodes.md)
    private var suspects: [UInt64] = []
    private var isDivergent = false
    /// Beyond it the oldest are forgotten.
    private static let suspectsMax = 64

    package init() {}

    /// Why the log's identity should be proved before these records are applied; nil when nothing speaks against them.
    package mutating func scan(
        _ records: [NodeMachine.LoggedRecord], epoch: Epoch, tag: LogTag
    ) -> String? {
        var reason: String?
        for record in records {
            let position = Position(epoch, record.offset)
            guard let header = Header(record.bytes), header.tag == tag.raw || header.isGenesis else {
                reason = reason ?? "the record at \(position) is of another log"
                continue
            }
            // Genesis, and what was appended before a node ran: no writer, nothing read.
            guard header.writer != 0 else { continue }
            if let before = last(header.writer), header.sequence != before &+ 1 {
                reason =
                    reason
                    ?? "writer \(Self.name(header.writer)) numbers \(header.sequence) after \(before) at \(position)"
            }
            note(header.writer, header.sequence)
            if header.observed >= position {
                reason = reason ?? "the record at \(position) was written by one who had read \(header.observed)"
            } else if header.input != 0 {
                claims.append(
                    Claim(
                        position: position, writer: header.writer, observed: header.observed, input: header.input,
                        effect: header.effect))
            }
        }
        return reason
    }

    /// Holds what scanned records claim against what was applied; claims about forgotten positions say nothing, and a record
    /// that was not applied may have been damaged on its way.
    package mutating func compare(with trail: ChainTrail) -> [Finding] {
        defer { claims.removeAll(keepingCapacity: true) }
        var findings: [Finding] = []
        for claim in claims {
            guard let newest = trail.newest, claim.position <= newest, let mark = trail[claim.observed] else {
                continue
            }
            if mark.input != claim.input {
                findings.append(
                    .otherInput("writer \(Self.name(claim.writer)) had read other records up to \(claim.observed)"))
            } else if mark.effect != claim.effect {
                let isFirst = !suspects.contains(claim.writer)
                if isFirst {
                    if suspects.count == Self.suspectsMax { suspects.removeFirst() }
                    suspects.append(claim.writer)
                }
                findings.append(.otherEffect(writer: claim.writer, at: claim.observed, isFirst: isFirst))
                if claim.writer != suspects.last, !isDivergent {
                    isDivergent = true
                    findings.append(.divergence(divergence(claim.writer, suspects.last ?? 0, claim.observed)))
                }
            }
        }
        return findings
    }

    package static func name(_ writer: UInt64) -> String {
        let digits = String(writer, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    private func last(_ writer: UInt64) -> UInt64? {
        newest.writer == writer ? newest.sequence : sequences[writer]
    }

    private mutating func note(_ writer: UInt64, _ sequence: UInt64) {
        if newest.writer != writer {
            if newest.writer != 0 {
                if sequences.count >= Self.writersMax { sequences.removeAll() }
                sequences[newest.writer] = newest.sequence
            }
        }
        newest = (writer, sequence)
    }

    private func divergence(_ one: UInt64, _ other: UInt64, _ position: Position) -> VarveError {
        VarveError(
            .divergence,
            "the writers \(Self.name(one)) and \(Self.name(other)), two nodes that run side by side, read the same records as this node up to \(position) and had other effects, so it is this "
                + "node that is wrong. Storage is untouched, this node has stopped; its log and node directory are the "
                + "evidence",
            next: "varve log verify --config node.yaml")
    }
}
