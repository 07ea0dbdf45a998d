/// The pure core: everything a node decides, as a value.
///
/// `step(input)` changes the state and returns effects; the shell around it does the waiting, the log and the files.
/// There is no clock, no randomness, no I/O and no hash order in here: two machines that are given the same records have
/// the same state and would write the same bytes, whatever else happens to their processes.
///
/// Invariants: `adopted ≤ applied`; frozen blocks are consecutive and end where the open block begins; a record takes
/// effect whole or, when a step throws, not at all.

package import VarveModel

package struct NodeMachine: Sendable {
    package let database: DatabaseID
    /// The epoch whose records are stepped, and what tells them from others'.
    package internal(set) var epoch: Epoch
    package internal(set) var genesis: GenesisID
    package internal(set) var tag: LogTag
    /// Whether the epoch's genesis was applied: every later one is foreign.
    var hasGenesis: Bool
    /// How the epoch ended: nothing behind it is applied. nil while it goes on.
    package internal(set) var ending: EpochEnding?
    /// Where the epoch ends by an operator's declaration; nil while nothing is declared, or when a seal ends it.
    var declaredEnd: ParentEnd?
    /// A record ahead that is not executed, because storage's block says so.
    package internal(set) var quarantined: Position?
    package internal(set) var settings: Settings

    /// The last applied record, and what it left behind; nil before the genesis.
    package internal(set) var applied: Position?
    package internal(set) var logTime: Int64
    package internal(set) var recordDigest: Digest
    package internal(set) var effectiveTime: Int64
    package internal(set) var systemTime: Instant
    package internal(set) var inputChain: InputChain
    package internal(set) var effectChain: EffectChain

    package internal(set) var open: OpenBlock
    package internal(set) var frozen: [FrozenBlock] = []
    /// The newest adopted block, nil before the first.
    package internal(set) var adopted: Adopted?
    /// Digest of what the next manifest to adopt must name as its predecessor.
    var previous: Digest

    package internal(set) var window: IDWindow
    package internal(set) var catalog: [TableName: FieldCatalog]
    /// Length of each catalogue when the open block began.
    var catalogAtCut: [TableName: Int] = [:]
    package internal(set) var anchors: Anchors
    package internal(set) var counters = Counters()
    /// The chains at the newest positions: for `WriterWatch`, never for decisions.
    package internal(set) var trail = ChainTrail()

    package struct Adopted: Sendable, Equatable {
        package var number: BlockNumber
        package var position: Position
        package var systemTime: Instant
        package var digest: Digest
    }

    /// What was met since this machine began; for metrics, never for decisions.
    package struct Counters: Sendable, Equatable {
        package var records: UInt64 = 0
        package var foreign: UInt64 = 0
        package var rows: UInt64 = 0
        package var outcomes: [UInt64] = [0, 0, 0, 0, 0]
    }

    /// Before the first block: the genesis is the first record to be stepped.
    /// - Parameters:
    ///   - epochRecord: digest of `epochs/e0000`, the first manifest's predecessor.
    ///   - parentEnd: what an earlier epoch left behind that ended before any block.
    package init(
        database: DatabaseID, genesis: GenesisID, settings: Settings, epochRecord: Digest, epoch: Epoch = .first,
        parentEnd: ParentEnd? = nil
    ) {
        self.database = database
        self.epoch = epoch
        self.genesis = genesis
        tag = LogTag(database: database, genesis: genesis)
        hasGenesis = false
        self.settings = settings
        applied = nil
        logTime = 0
        recordDigest = .zero
        effectiveTime = 0
        systemTime = Instant(microseconds: 0)
        inputChain = InputChain(.zero)
        effectChain = EffectChain(.zero)
        open = OpenBlock(number: .first)
        previous = epochRecord
        window = IDWindow(horizon: .zero, tag: tag)
        catalog = [:]
        anchors = Anchors()
        if let parentEnd { begin(behind: parentEnd) }
    }

    /// Behind an adopted block: the state is what its manifest says, with what older blocks add to it.
    /// - Parameters:
    ///   - decisions: those behind the manifest's horizon, in order of position.
    ///   - catalog: the fields of all tables up to this block.
    package init(
        after manifest: Manifest, digest: Digest, genesis: GenesisID, decisions: some Sequence<Decision>,
        catalog: [TableName: FieldCatalog]
    ) {
        database = manifest.database
        epoch = manifest.last.epoch
        self.genesis = genesis
        tag = LogTag(database: manifest.database, genesis: genesis)
        hasGenesis = true
        settings = manifest.settings
        applied = manifest.last
        logTime = manifest.logTime
        recordDigest = manifest.recordDigest
        effectiveTime = Self.bounded(manifest.effectiveTime)
        systemTime = Self.bounded(manifest.systemTime)
        inputChain = InputChain(manifest.inputChain)
        effectChain = EffectChain(manifest.effectChain)
        open = OpenBlock(number: manifest.number.next)
        adopted = Adopted(
            number: manifest.number, position: manifest.last, systemTime: manifest.systemTime, digest: digest)
        previous = digest
        window = IDWindow(horizon: manifest.horizon, tag: tag)
        for decision in decisions { window.restore(decision) }
        self.catalog = catalog
        catalogAtCut = catalog.mapValues { $0.names.count }
        anchors = Anchors(manifest.anchors)
        trail.add(manifest.last, inputChain, effectChain)
    }

    package enum Input: Sendable {
        /// Entries of the log, in order, from the one after `applied`.
        case records(Epoch, [LoggedRecord])
        /// The manifest that stands in storage for the oldest frozen block, by whoever published it.
        case published(Manifest, Digest)
        /// The record of the next epoch says where this one ended, without a seal.
        case declaredEnd(ParentEnd)
        /// The block with this number in storage is a quarantine: its last record is not executed.
        case quarantine(BlockNumber, Position)
        /// The next epoch's record is durable: its log is read from now on.
        case enter(Epoch, GenesisID, ParentEnd)
    }

    /// An entry of the log as the machine sees it.
    package struct LoggedRecord: Sendable {
        package let offset: Offset
        package let time: Int64
        package let bytes: Bytes

        package init(offset: Offset, time: Int64, bytes: Bytes) {
            self.offset = offset
            self.time = time
            self.bytes = bytes
        }
    }

    package enum Effect: Sendable {
        /// A submission's record was read: this is what became of the submission, now or earlier.
        case decided(Decision)
        /// A record that decides nothing because its sender had looked too long ago: look again, send again.
        case void(SubmissionID)
        /// A barrier or a flush request was read. `cut`: the block it closed, or the one that was newest.
        case passed(id: Bytes16, at: Position, cut: BlockNumber?)
        /// A block is complete: write it, publish it, or adopt who did.
        case cut(FrozenBlock)
        /// The epoch is over: nothing behind this is applied before the next epoch is entered.
        case ended(EpochEnding)
        /// The oldest frozen block now lives in storage.
        case adopted(Manifest, Digest)
        /// A record of somebody else's in our log.
        case foreign(Position, reason: String)
        /// The bytes at this offset are damaged: nothing of the record was applied, and nothing behind it.
        case damaged(Offset, reason: String)
        /// The machine goes no further.
        case stopped(VarveError)
    }

    /// Throws what kept it from reading a block that the first record needs: nothing was changed. When a later one cannot be
    /// applied, those before it are: `applied` says up to where, and the rest, given again, throws.
    /// - Parameter blocks: reads the adopted blocks, which are immutable: part of the arguments, not of the world.
    package mutating func step(_ input: Input, reading blocks: some BlockLookup) throws(VarveError) -> [Effect] {
        switch input {
        case .records(let epoch, let records):
            // Behind an epoch's end nothing is content, and nothing is hashed: what a seal left out never was.
            guard epoch == self.epoch, ending == nil else { return [] }
            var effects: [Effect] = []
            effects.reserveCapacity(records.count)
            for (i, record) in records.enumerated() {
                do throws(VarveError) {
                    guard try apply(record, epoch, blocks, &effects) else { break }
                } catch {
                    // What the records before it did has to be told.
                    guard i > 0 else { throw error }
                    break
                }
            }
            return effects
        case .published(let manifest, let digest): return adopt(manifest, digest)
        case .declaredEnd(let end): return declare(end)
        case .quarantine(let number, let position): return quarantine(number, position)
        case .enter(let epoch, let genesis, let end): return enter(epoch, genesis, end)
        }
    }

    /// Compares what was published with what this machine froze; equal → the block leaves memory.
    private mutating func adopt(_ manifest: Manifest, _ digest: Digest) -> [Effect] {
        guard let oldest = frozen.first, manifest.number == oldest.number else { return [] }
        guard oldest.agrees(with: manifest, previous: previous) else {
            return [.stopped(Self.divergence(oldest, manifest, previous))]
        }
        frozen.removeFirst()
        previous = digest
        adopted = Adopted(
            number: manifest.number, position: manifest.last, systemTime: manifest.systemTime, digest: digest)
        return [.adopted(manifest, digest)]
    }

    private static func divergence(_ own: FrozenBlock, _ published: Manifest, _ previous: Digest) -> VarveError {
        let difference: String
        if published.previous != previous {
            difference = "it follows another block \(own.number.value == 0 ? "or epoch" : "")"
        } else if published.last != own.draft.last {
            difference = "it ends at \(published.last), here at \(own.draft.last)"
        } else if published.inputChain != own.draft.inputChain {
            difference =
                "the records read differ (H \(published.inputChain.shortHex), here \(own.draft.inputChain.shortHex))"
        } else if published.effectChain != own.draft.effectChain {
            difference =
                "the same records had other effects (E \(published.effectChain), here \(own.draft.effectChain))"
        } else {
            difference = "counts, fields or settings differ"
        }
        return VarveError(
            .divergence,
            "block \(own.number) in storage is not the one this node computed: \(difference). Storage is untouched, this "
                + "node has stopped; its log and node directory are the evidence",
            next: "varve blocks show \(own.number) --config node.yaml")
    }

    /// Digest that the next manifest to adopt must name as its predecessor.
    package var expectedPrevious: Digest { previous }

    /// What stands at the last applied position; nil before the epoch's first record.
    package var appliedRecord: Heartbeat.Applied? {
        applied?.epoch == epoch ? Heartbeat.Applied(digest: recordDigest, time: logTime, log: tag) : nil
    }

    /// Where a reader of the newest state stands.
    package var token: Token {
        Token(position: applied ?? .zero, chainPrefix: inputChain.value.first.high)
    }
}

/// Reads adopted blocks for the machine.
package protocol BlockLookup {
    /// The newest version of a key in adopted blocks, erased ones left out; nil when there is none.
    func newest(_ table: TableName, _ key: Key) throws(VarveError) -> StoredVersion?
}

package struct StoredVersion: Sendable {
    package let position: Position
    /// nil: deleted.
    package let document: Bytes?

    package init(position: Position, document: Bytes?) {
        self.position = position
        self.document = document
    }
}
