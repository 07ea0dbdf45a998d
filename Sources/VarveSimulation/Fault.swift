/// Everything that can go wrong in a simulation, and how often it does in this one.
///
/// Each kind draws from a stream of its own and counts its hits, so that one hit can be left out (`kind:number`) while
/// all else stays as it is: that is how a failing schedule is shrunk.

package enum Fault: UInt8, CaseIterable, Sendable, Comparable {
    // The way into the log
    case appendLost
    case appendUnreported
    case appendDuplicated
    case appendLate
    case appendRefused
    case cancelRefused
    case produceStops
    // The log
    case brokerAway
    case fetchStops
    case logClockBack
    case logClockForward
    case offsetHole
    case foreignRecord
    case otherDatabasesRecord
    case lateGenesis
    case malformedTransaction
    case laterRecord
    case damagedFetch
    case retention
    case retentionTooShort
    case logSyncFails
    case logRecreated
    case logTruncated
    case logRefilled
    case logMirrored
    // Storage
    case putLost
    case putUnreported
    case storageUnreachable
    case storageFull
    case storageDenied
    case storageSlow
    case listingStale
    case syncFails
    case powerLoss
    case bitRot
    case fileDeleted
    case manifestRot
    case manifestDeleted
    case syncLies
    case readFails
    // Nodes
    case crash
    case crashInEffects
    case crashWhilePublishing
    case pause
    case longPause
    case clockJump
    case slowNode
    case allCrash
    case differingRead
    // Clients and operators
    case clientGone
    case sameIDOtherContent
    case retryAfterHorizon
    case idleHours
    case settingsChange
    // Epochs
    case migrate
    case migrateTwice
    case migratorDies
    case sealLost
    case targetSmaller
    case targetLost
    case crashWhileCrossing
    case crashWhileStarting
    case bump
    case bumpByConfiguration
    case commandDies
    case salvageLate
    case wrongEpoch
    case logDeleted
    case clusterUnknown
    // Garbage. New kinds come last: what older ones draw stays as it is
    case strayFile
    case collect
    case collectorDies
    // Poison
    case poisonRecord
    case poisonHere
    case quarantineDies
    // Logs lost under those who read them
    case liveDeleted
    case liveExchanged
    case liveCopied
    case liveCut
    case oldLogLost

    package var name: String { String(describing: self) }
    package init?(name: some StringProtocol) {
        guard let fault = Fault.allCases.first(where: { $0.name == name }) else { return nil }
        self = fault
    }
    package static func < (a: Fault, b: Fault) -> Bool { a.rawValue < b.rawValue }

    /// Hits in a million chances, when the kind is in the swarm; what a chance is depends on the kind (an append, a step of
    /// the nemesis, …).
    var rate: Int {
        switch self {
        case .appendLost, .appendUnreported, .appendDuplicated, .appendLate, .appendRefused: 15_000
        case .foreignRecord, .otherDatabasesRecord, .lateGenesis, .malformedTransaction, .laterRecord: 15_000
        case .offsetHole: 20_000
        case .damagedFetch: 3_000
        case .crashInEffects: 2_000
        case .crashWhilePublishing: 8_000
        case .putLost, .putUnreported: 15_000
        case .syncFails: 8_000
        case .readFails: 10_000
        case .listingStale: 100_000
        case .logSyncFails: 10_000
        case .clientGone: 20_000
        case .sameIDOtherContent: 20_000
        case .retryAfterHorizon: 30_000
        case .cancelRefused: 300_000
        case .crash, .pause: 60_000
        case .slowNode, .clockJump, .brokerAway, .fetchStops, .produceStops: 25_000
        case .logClockBack, .logClockForward: 30_000
        case .storageUnreachable, .storageFull, .storageDenied, .storageSlow: 20_000
        case .retention: 60_000
        case .settingsChange: 400_000
        case .longPause, .allCrash, .powerLoss: 10_000
        case .idleHours: 8_000
        case .bitRot, .fileDeleted, .differingRead, .retentionTooShort, .manifestRot, .manifestDeleted: 8_000
        case .syncLies: 6_000
        case .logRecreated, .logMirrored: 3_000
        case .logTruncated, .logRefilled: 8_000
        case .migrate: 40_000
        case .migrateTwice, .migratorDies: 300_000
        case .sealLost: 400_000
        case .targetSmaller: 100_000
        case .targetLost: 150_000
        case .crashWhileCrossing: 200_000
        case .crashWhileStarting: 100_000
        case .bump, .bumpByConfiguration: 3_000
        case .salvageLate, .wrongEpoch: 6_000
        case .commandDies: 500_000
        case .logDeleted: 4_000
        case .clusterUnknown: 100_000
        case .strayFile: 40_000
        case .collect: 20_000
        case .collectorDies: 300_000
        case .poisonRecord: 30_000
        case .poisonHere: 8_000
        case .quarantineDies: 300_000
        case .liveDeleted, .liveExchanged: 30_000
        case .liveCopied: 150_000
        case .liveCut: 400_000
        case .oldLogLost: 1_000_000
        }
    }

    /// In how many of a million seeds the kind is.
    var share: Int {
        switch self {
        case .collect: 200_000
        case .poisonRecord: 60_000
        case .poisonHere: 100_000
        case .strayFile, .collectorDies, .quarantineDies: 700_000
        case .liveDeleted, .liveExchanged, .liveCopied, .liveCut: 45_000
        case .oldLogLost: 350_000
        default: isGrave ? 50_000 : 450_000
        }
    }

    /// Kinds without any of which this one is nothing.
    var needs: [Fault] {
        switch self {
        case .strayFile, .collectorDies: [.collect]
        case .quarantineDies: [.poisonRecord, .poisonHere]
        case .oldLogLost: [.migrate]
        default: []
        }
    }

    /// Kinds that this one is not mixed with: where nodes stand before a record, nobody ends an epoch without its log.
    var excludes: [Fault] {
        switch self {
        case .poisonRecord, .poisonHere:
            [
                .bump, .bumpByConfiguration, .salvageLate, .wrongEpoch, .logRecreated, .logTruncated, .logRefilled,
                .logMirrored, .logDeleted, .targetLost, .retentionTooShort, .differingRead, .syncLies, .bitRot,
                .fileDeleted,
                .manifestRot, .manifestDeleted,
            ] + Fault.live
        case .differingRead, .syncLies, .bitRot, .fileDeleted, .manifestRot, .manifestDeleted, .retentionTooShort:
            Fault.live
        default: []
        }
    }

    /// With one of them, nodes watch their log in every way.
    static let live: [Fault] = [.liveDeleted, .liveExchanged, .liveCopied, .liveCut, .oldLogLost]

    /// Kinds after which nodes may stop for good, or records be gone: in few seeds only, so that the others check more.
    var isGrave: Bool {
        switch self {
        case .bitRot, .fileDeleted, .differingRead, .retentionTooShort, .manifestRot, .manifestDeleted, .syncLies: true
        case .logRecreated, .logTruncated, .logRefilled, .logMirrored, .logDeleted: true
        default: false
        }
    }
}

/// One hit that is left out.
package struct Omission: Hashable, Sendable, Comparable, CustomStringConvertible {
    package var fault: Fault
    package var number: Int
    package init(_ fault: Fault, _ number: Int) {
        self.fault = fault
        self.number = number
    }
    package var description: String { "\(fault.name):\(number)" }
    package static func < (a: Omission, b: Omission) -> Bool { (a.fault, a.number) < (b.fault, b.number) }
}

struct FaultSource {
    private var streams: [Random]
    private(set) var rates: [Int]
    /// Hits, left out or not, and those that were injected.
    private(set) var hits: [Int]
    private(set) var injected: [Int]
    private let omissions: Set<Omission>
    /// Set when the run is being brought to its end: nothing goes wrong any more.
    var isHealed = false
    private(set) var schedule: [Omission] = []

    init(_ seed: UInt64, without: Set<Fault>, omitting: Set<Omission>) {
        var chooser = Random(seed, 1)
        streams = Fault.allCases.map { Random(seed, 100 + UInt64($0.rawValue)) }
        hits = Array(repeating: 0, count: Fault.allCases.count)
        injected = hits
        omissions = omitting
        // A swarm: each seed has some kinds and not others, some of them often.
        let isCalm = chooser.chance(80_000)
        rates = Fault.allCases.map { fault in
            let isIn = chooser.chance(fault.share)
            let times = chooser.pick([1, 1, 1, 3])
            return isIn && !isCalm && !without.contains(fault) ? fault.rate * times : 0
        }
        for fault in Fault.allCases {
            let needs = fault.needs
            if !needs.isEmpty, needs.allSatisfy({ rates[Int($0.rawValue)] == 0 }) { rates[Int(fault.rawValue)] = 0 }
            guard rates[Int(fault.rawValue)] > 0 else { continue }
            for other in fault.excludes { rates[Int(other.rawValue)] = 0 }
        }
    }

    /// Whether the fault happens at this chance.
    mutating func occurs(_ fault: Fault) -> Bool {
        let i = Int(fault.rawValue)
        guard rates[i] > 0, !isHealed, streams[i].chance(rates[i]) else { return false }
        hits[i] += 1
        let omission = Omission(fault, hits[i])
        guard omissions.isEmpty || !omissions.contains(omission) else { return false }
        injected[i] += 1
        schedule.append(omission)
        return true
    }

    func hitCount(_ fault: Fault) -> Int { hits[Int(fault.rawValue)] }

    /// A draw that belongs to a fault that happens.
    mutating func within(_ fault: Fault, _ range: ClosedRange<Int>) -> Int {
        streams[Int(fault.rawValue)].spread(range)
    }
    mutating func below(_ fault: Fault, _ bound: Int) -> Int { streams[Int(fault.rawValue)].below(bound) }
}
