/// One node: the production machine and its pure companions, run by a shell that does what `VarveIndexing`'s loops do.
///
/// The shell waits, carries effects out and steps the machines with what came of them; it decides nothing. Everything in
/// here is lost at a crash.

import VarveCore
import VarveIndexing
import VarveModel
import VarveStorage

final class SimulatedNode {
    enum Phase {
        case down
        case running
        /// Reads go on, nothing else.
        case stopped(VarveError)
    }

    /// A record of this node's on its way.
    struct Pending {
        let id: Bytes16
        let sequence: UInt64
        let type: RecordType
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
        /// The newest record, and when it was handed to the log; nil while it waits in the queue.
        var sequence: UInt64 = 0
        var handedOver: Int64?
    }

    /// Somebody waits for a barrier, a flush request or settings to be read back.
    struct Passing {
        let id: Bytes16
        let client: Int?
        let call: Int
        var flushed: BlockNumber?
    }

    let index: Int
    let name: String
    var phase = Phase.down
    /// Which process of this node it is; what belongs to an earlier one comes to nothing.
    var life = 0
    var pausedUntil: Int64 = 0
    /// This node's own clock: ms that the wall clock is off, and how fast its monotonic clock goes.
    var wallOffset: Int64 = 0
    var drift: Int64 = 0
    var slowUntil: Int64 = 0
    var fetchStoppedUntil: Int64 = 0
    var produceStoppedUntil: Int64 = 0
    /// Read something else than the log holds: may differ, and must be found out.
    var isTainted = false

    var store: NodeStore!
    var blocks: BlockSet = BlockSet()
    var machine: NodeMachine!
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

    var publication: Publication?
    var todo: Publication.Effect?
    var outcome: Publication.Input?
    var trouble: VarveError?
    var liveness = Liveness(own: "")
    var idleRule = IdleRule(retentionMs: nil, share: 0)
    var heartbeat: Heartbeat?

    init(_ index: Int) {
        self.index = index
        name = "n\(index)"
    }

    var isRunning: Bool { if case .running = phase { true } else { false } }
    var isUp: Bool { if case .down = phase { false } else { true } }
    var stopped: VarveError? { if case .stopped(let error) = phase { error } else { nil } }

    /// This node's monotonic clock in ms.
    func clock(_ now: Int64) -> Int64 { (now + now / 1000 * drift / 1000) / 1000 }

    var frozenBytes: UInt64 { machine.frozen.reduce(0) { $0 + $1.draft.counts.bytes } }
    var snapshot: Snapshot { Snapshot(machine, blocks) }

    /// A header as the shell makes it: what is observed is the state at hand.
    func header(_ type: RecordType, _ id: Bytes16, expiryMs: Int64) -> RecordHeader {
        sequence += 1
        return RecordHeader(
            type: type, logTag: machine.tag, id: id, writer: writer, writerSequence: sequence,
            expiresAt: expiryMs == 0 ? 0 : machine.effectiveTime + expiryMs, observed: machine.token.position,
            inputChain: (machine.token.chainPrefix ?? 0).byteSwapped,
            effectChain: machine.effectChain.value.high.byteSwapped)
    }

    func enqueue(_ header: RecordHeader, _ payload: Bytes = Bytes()) {
        let item = Pending(
            id: header.id, sequence: header.writerSequence, type: header.type,
            bytes: Record(header: header, payload: payload).encoded())
        // A cancel overtakes what waits.
        if header.type == .cancel { queue.insert(item, at: 0) } else { queue.append(item) }
    }
}
