/// One node: the production machine and its pure companions, run by a shell that does what `VarveIndexing`'s loops do.
///
/// The shell waits, carries effects out and steps the machines with what came of them; it decides nothing. Everything in
/// here is lost at a crash.

import VarveCore
import VarveIndexing
import VarveLog
import VarveModel
import VarveStorage

// One simulation runs on one thread; production code that it runs asks for Sendable.
final class SimulatedNode: @unchecked Sendable {
    enum Phase {
        case down
        /// Finds out from what to start.
        case starting
        case running
        /// Reads go on, nothing else.
        case stopped(VarveError)
    }

    /// A record of this node's that waits to be sent: numbered, and renewed for another epoch, when it is.
    struct Pending {
        /// Which wait its report concerns.
        let tag: UInt64
        var header: RecordHeader
        let payload: Bytes
    }

    /// A record on its way.
    struct Sent {
        let pending: Pending
        let bytes: Bytes
    }

    /// A submission that is being carried, with what its records are made of.
    struct Running {
        var submission: Submission
        let payload: Bytes?
        let expiryMs: Int64
        let client: Int?
        let call: Int
        /// When the wait for an answer ends.
        let deadline: Int64
        /// Of the newest record, and when it was handed to the log; nil while it waits in the queue.
        var tag: UInt64 = 0
        var handedOver: Int64?
        /// What the last look-up saw, or less.
        var seen: RecordHeader
    }

    /// Somebody waits for a barrier, a flush request, settings or a seal to be read back.
    struct Passing {
        let id: Bytes16
        let client: Int?
        let call: Int
        /// Of a procedure of this node's.
        var isOver: (() -> Void)?
    }

    let index: Int
    let name: String
    var phase = Phase.down
    /// Which process of this node it is; what belongs to an earlier one comes to nothing.
    var life = 0
    var process: Process
    var pausedUntil: Int64 = 0
    /// When it last went on after a pause.
    var resumesAt: Int64 = 0
    /// This node's own clock: ms that the wall clock is off, and how fast its monotonic clock goes.
    var wallOffset: Int64 = 0
    var drift: Int64 = 0
    var slowUntil: Int64 = 0
    var fetchStoppedUntil: Int64 = 0
    var produceStoppedUntil: Int64 = 0
    /// What its configuration says of the epoch.
    var configuredEpoch: Epoch?
    /// What it said when this process began.
    var assertedEpoch: Epoch?
    var knowsOtherCluster = true
    var startedAt: Int64 = 0
    /// Read something else than the log holds: may differ, and must be found out.
    var isTainted = false
    /// Read what its log had lost, of which storage knows nothing.
    var hasReadLost = false
    /// When its start began.
    var beganAt: Int64 = 0
    /// Where it stood when it began again by itself.
    var goesOnFrom: Position?
    var watch: LogWatch?

    var store: NodeStore!
    var places: LogPlaces!
    var blocks: BlockSet = BlockSet()
    var machine: NodeMachine!
    var epochs: [BlockStore.StoredEpoch] = []
    /// The log of the present epoch.
    var log: SimulatedLog?
    /// False from the epoch's end until the next is entered: nothing is appended.
    var isOpen = true
    var next: Int64 = 0
    var readyAt: Int64 = 0
    var isReady = false
    var fetchScheduled = false
    var lastRecordAt: Int64 = 0
    var damagedReads = 0

    var running: [Running] = []
    var passing: [Passing] = []
    var queue: [Pending] = []
    var inFlight: Int?
    /// For what is in flight, whoever waits for it.
    var patience = ReportPatience()
    var writer: UInt64 = 0
    var sequence: UInt64 = 0
    var tags: UInt64 = 0

    var publication: Publication?
    var todo: Publication.Effect?
    var outcome: Publication.Input?
    var trouble: VarveError?
    var liveness = Liveness(own: "")
    var idleRule = IdleRule(retentionMs: nil, share: 0)
    var heartbeat: Heartbeat?
    /// When this process first stored a heartbeat; nil while nobody can see it.
    var seenAt: Int64?
    /// What was quarantined while nobody could know of this process.
    var strays: Set<Position> = []
    var beats = 0
    var isMigrating = false
    var isAnswering = false
    /// Ticks tell a pause by their distance.
    var lastTick: Int64 = 0
    /// In the node's own directory: what it was applying when it ended.
    var breadcrumb = Breadcrumb()
    var caution = Caution()
    /// The poison record before which it stands.
    var standing: Position?
    /// A record that ends this node's process, and no other's, so often.
    var curse: (position: Position, traps: Int)?
    /// Which record ended how many of its processes in a row, and which one last.
    var trapped: (position: Position, count: Int, life: Int)?

    init(_ index: Int) {
        self.index = index
        name = "n\(index)"
        process = Process(name, node: index)
        process.isGone = true
    }

    var isRunning: Bool { if case .running = phase { true } else { false } }
    var isUp: Bool { if case .down = phase { false } else { true } }
    /// Answers requests.
    var isServing: Bool {
        switch phase {
        case .running, .stopped: true
        case .down, .starting: false
        }
    }
    var stopped: VarveError? { if case .stopped(let error) = phase { error } else { nil } }
    var epoch: Epoch { machine.epoch }
    var isInNewestEpoch: Bool { epochs.last?.record.epoch == epoch }

    /// This node's monotonic clock in ms.
    func clock(_ now: Int64) -> Int64 { (now + now / 1000 * drift / 1000) / 1000 }

    var frozenBytes: UInt64 { machine.frozen.reduce(0) { $0 + $1.draft.counts.bytes } }
    var snapshot: Snapshot { Snapshot(machine, blocks) }

    /// A header as the shell makes it: what is observed is the state at hand.
    func header(
        _ type: RecordType, _ id: Bytes16, expiryMs: Int64, seen: RecordHeader? = nil
    ) -> RecordHeader {
        RecordHeader(
            type: type, logTag: machine.tag, id: id, writer: writer,
            expiresAt: expiryMs == 0 ? 0 : machine.effectiveTime + expiryMs,
            observed: seen?.observed ?? machine.token.position,
            inputChain: seen?.inputChain ?? (machine.token.chainPrefix ?? 0).byteSwapped,
            effectChain: seen?.effectChain ?? machine.effectChain.value.high.byteSwapped)
    }

    @discardableResult
    func enqueue(_ header: RecordHeader, _ payload: Bytes = Bytes()) -> UInt64 {
        tags += 1
        let item = Pending(tag: tags, header: header, payload: payload)
        // A cancel overtakes what waits.
        if header.type == .cancel { queue.insert(item, at: 0) } else { queue.append(item) }
        return tags
    }

    /// As it goes to the log of the present epoch: renewed if it was made for an earlier one, and numbered.
    func sent(_ pending: Pending) -> Sent {
        var header = Crossing.renewed(
            pending.header, tag: machine.tag, writer: writer, effectiveTime: machine.effectiveTime)
        sequence += 1
        header.writerSequence = sequence
        return Sent(pending: pending, bytes: Record(header: header, payload: pending.payload).encoded())
    }
}
