/// How one frozen block gets into storage: written by about one node of many, adopted by all, with no leader.
///
/// A value without clock, chance or I/O: `step(input, now)` answers with effects, the shell carries each out and steps
/// again with what came of it. `now` is the node's own monotonic clock in ms. One effect waits for an input at a time;
/// `trouble` alone waits for none.
///
/// Ranks, claims and watching save work and decide nothing: whatever they do, the manifest is put if absent, files are
/// named by their digests, and a node that slept at any point and goes on finds what stands there. The order that holds:
/// every file is durable before the manifest is put; the epoch is looked at before the manifest is put; a block is
/// adopted only from what stands in storage.

package import VarveModel

package struct Publication: Sendable {
    /// Node of rank r waits r times this before it claims.
    package static let rankMs: Int64 = 500
    /// How often a node that waits looks whether the block has been published: soon at first, then twice a second.
    package static let firstLookMs: Int64 = 50
    package static let lookMs: Int64 = 500
    /// A claimant that makes no progress for this long, as the observer sees it, is overtaken.
    package static let takeoverMs: Int64 = 3_000
    /// Writing looks for a published manifest between two files after this long.
    package static let relookMs: Int64 = 1_000
    package static let retryMs: Int64 = 1_000
    /// Claims for one block; beyond, a node writes without one.
    package static let attemptsMax = 64
    /// One block in this many is encoded by an adopter too, to compare file digests.
    package static let comparedOneIn: UInt64 = 16

    package let block: FrozenBlock
    /// Digest that the manifest must name as its predecessor.
    package let previous: Digest
    package let claim: Claim
    package private(set) var counters = Counters()
    /// A claim of this process's stands in storage: it can go once the block is adopted.
    package private(set) var holdsClaim = false

    /// What happened, for metrics.
    package struct Counters: Sendable, Equatable {
        /// Claims made; of them, ones that took over from a node without progress.
        package var claimed: UInt64 = 0
        package var overtaken: UInt64 = 0
        /// Somebody else's claim stood there.
        package var lost: UInt64 = 0
        /// Went on without one.
        package var without: UInt64 = 0
        /// Files compared by encoding them again.
        package var compared: UInt64 = 0

        package init() {}
    }

    package enum Input: Sendable {
        /// The names of other nodes that are alive, or may be.
        case begin(others: [String])
        /// The time of `wait` has come.
        case woke
        /// `look`: what stands under the manifest's name.
        case manifest(Manifest, Digest)
        case noManifest
        /// `claim`: it is this node's.
        case claimed
        /// `claim`, `watch`: the newest claim that stands, whose it is (nil: unreadable), and a number that changes while its node writes.
        case standing(attempt: Int, Claim?, progress: UInt64)
        /// `write`, `compare`: the table's file; nil when the table has no rows in this block.
        case file(Manifest.File?)
        /// `checkEpoch`.
        case epochStands
        case epochEnded
        /// `put`: the manifest is ours; or, as another input, `manifest` with what stood there.
        case created(Digest)
        /// The effect failed; nothing of it holds.
        case failed(VarveError)
    }

    package enum Effect: Sendable, Equatable {
        /// Step with `woke` at or after this time.
        case wait(until: Int64)
        /// Read the manifest's name.
        case look
        /// Put this claim if absent.
        case claim(attempt: Int)
        /// Read the newest claim from `attempt` on, and how far its node is.
        case watch(attempt: Int)
        /// Encode the table and publish its file, unless one with its name and size is there; durable either way.
        case write(TableName)
        /// Encode the table and write nothing.
        case compare(TableName)
        /// Read whether the epoch that the block belongs to has a successor.
        case checkEpoch
        /// Whether the epoch's end was declared while this node did not know: it answers the same.
        case checkEnd
        /// Put the manifest if absent.
        case put(Manifest)
        /// Done: hand this to the machine, which compares it with what it froze. `isOurs`: this node has just put it.
        case adopt(Manifest, Digest, isOurs: Bool)
        /// Not done yet, for this reason; goes on by itself.
        case trouble(VarveError)
        /// The epoch has a successor: nothing of this block may be published.
        case superseded
        /// The node goes no further.
        case stop(VarveError)
    }

    private enum Phase: Sendable {
        case idle
        /// Waits its turn, looking now and then.
        case waiting
        case claiming(attempt: Int)
        case watching(Watched)
        /// Writes the files from this table on.
        case writing(table: Int)
        case checking
        case putting
        /// Encodes for comparison what another node published.
        case comparing(Manifest, Digest, table: Int)
        /// Another block stands there: because this node has read beyond its epoch's end, or because it differs.
        case differing(Manifest, Digest)
        case ended
    }

    private struct Watched: Sendable {
        var attempt: Int
        var owner: Claim?
        var progress: UInt64
        /// When progress was last seen.
        var since: Int64
    }

    private var phase = Phase.idle
    /// When this node may claim.
    private var turn: Int64 = 0
    private var lookedAt: Int64 = 0
    /// Looks since waiting began, for their distance.
    private var looks = 0
    /// A look before going on with the phase is under way.
    private var isLooking = false
    /// Files that are durable in storage, by table.
    private var files: [TableName: [Manifest.File]] = [:]
    private var failedSyncs = 0

    package init(_ block: FrozenBlock, previous: Digest, as claim: Claim) {
        self.block = block
        self.previous = previous
        self.claim = claim
    }

    package var hasEnded: Bool { if case .ended = phase { true } else { false } }

    /// Order of this node among all that may publish the block; 0 goes first.
    package static func rank(of node: String, among others: [String], _ block: BlockNumber) -> Int {
        let own = turnHash(node, block)
        return others.count { other in
            let hash = turnHash(other, block)
            return other != node && (hash, other) < (own, node)
        }
    }

    /// First 8 bytes of the SHA-256 of the node's id, a zero byte and the block's number.
    private static func turnHash(_ node: String, _ block: BlockNumber) -> UInt64 {
        var hash = SHA256()
        hash.update(Array(node.utf8) + [0])
        hash.update(block.value)
        return hash.digest().first.high
    }

    package mutating func step(_ input: Input, now: Int64) -> [Effect] {
        if case .ended = phase { return [] }
        if case .failed(let error) = input { return failed(error, now) }
        switch (phase, input) {
        case (.idle, .begin(let others)):
            turn = now + Self.rankMs * Int64(Self.rank(of: claim.node, among: others, block.number))
            phase = .waiting
            return look(now)
        case (_, .manifest(let manifest, let digest)):
            isLooking = false
            return found(manifest, digest)
        case (_, .noManifest):
            isLooking = false
            return goOn(now)
        case (.waiting, .woke), (.watching, .woke): return look(now)
        case (.claiming(let attempt), .claimed):
            counters.claimed += 1
            holdsClaim = true
            if attempt > 0 { counters.overtaken += 1 }
            return beginWriting(now)
        case (.claiming, .standing(let attempt, let owner, let progress)):
            if owner == claim {
                holdsClaim = true
                return beginWriting(now)
            }
            // What an earlier process of this node claimed, nobody writes any more.
            if let owner, owner.node == claim.node { return claim(attempt + 1, now) }
            counters.lost += 1
            looks = 0
            return watch(Watched(attempt: attempt, owner: owner, progress: progress, since: now), now)
        case (.watching(var watched), .standing(let attempt, let owner, let progress)):
            if attempt != watched.attempt || owner != watched.owner || progress != watched.progress {
                watched = Watched(attempt: attempt, owner: owner, progress: progress, since: now)
            } else if now - watched.since >= Self.takeoverMs {
                return claim(attempt + 1, now)
            }
            return watch(watched, now)
        case (.writing(let table), .file(let file)):
            files[block.draft.tables[table].name] = file.map { [$0] } ?? []
            failedSyncs = 0
            phase = .writing(table: table + 1)
            return now - lookedAt >= Self.relookMs ? look(now) : goOn(now)
        case (.checking, .epochStands):
            phase = .putting
            return [.put(block.manifest(previous: previous, files: files))]
        case (.differing(let manifest, let digest), .epochStands): return adopt(manifest, digest)
        case (.checking, .epochEnded), (.differing, .epochEnded):
            phase = .ended
            return [.superseded]
        case (.putting, .created(let digest)):
            phase = .ended
            return [.adopt(block.manifest(previous: previous, files: files), digest, isOurs: true)]
        case (.comparing(let manifest, let digest, let table), .file(let file)):
            counters.compared += 1
            return compared(file, manifest, digest, table)
        default:
            assertionFailure("publication of block \(block.number): \(input) in \(phase)")
            return look(now)
        }
    }

    private mutating func watch(_ watched: Watched, _ now: Int64) -> [Effect] {
        phase = .watching(watched)
        return [.wait(until: min(nextLook(now), max(now + 1, watched.since + Self.takeoverMs)))]
    }

    private mutating func nextLook(_ now: Int64) -> Int64 {
        looks += 1
        return now + min(Self.lookMs, Self.firstLookMs << Int64(min(looks - 1, 8)))
    }

    private mutating func look(_ now: Int64) -> [Effect] {
        isLooking = true
        lookedAt = now
        return [.look]
    }

    /// The block is not published: on with what was being done.
    private mutating func goOn(_ now: Int64) -> [Effect] {
        switch phase {
        case .waiting:
            guard now >= turn else { return [.wait(until: min(turn, nextLook(now)))] }
            return claim(0, now)
        case .watching(let watched): return [.watch(attempt: watched.attempt)]
        case .writing(let table):
            if table < block.draft.tables.count { return [.write(block.draft.tables[table].name)] }
            phase = .checking
            return [.checkEpoch]
        // A manifest that was in the way when ours was to be put is gone: begin again.
        case .idle, .claiming, .checking, .putting, .comparing, .differing, .ended:
            phase = .waiting
            return [.wait(until: now + Self.retryMs)]
        }
    }

    private mutating func claim(_ attempt: Int, _ now: Int64) -> [Effect] {
        guard attempt < Self.attemptsMax else { return goOnWithout(now) }
        phase = .claiming(attempt: attempt)
        return [.claim(attempt: attempt)]
    }

    private mutating func goOnWithout(_ now: Int64) -> [Effect] {
        if counters.without == 0 { counters.without = 1 }
        return beginWriting(now)
    }

    /// Looks once more first: whoever published has taken its claims away, so a claim may be had for a block that is
    /// there.
    private mutating func beginWriting(_ now: Int64) -> [Effect] {
        phase = .writing(table: 0)
        while case .writing(let table) = phase, table < block.draft.tables.count,
            files[block.draft.tables[table].name] != nil
        {
            phase = .writing(table: table + 1)
        }
        return look(now)
    }

    // MARK: What stands in storage

    private mutating func found(_ manifest: Manifest, _ digest: Digest) -> [Effect] {
        guard block.agrees(with: manifest, previous: previous) else {
            // Another block altogether. Where the epoch stands, the machine says in which way.
            phase = .differing(manifest, digest)
            return [.checkEnd]
        }
        for table in manifest.tables {
            if let own = files[table.name], own != table.files { return diverged(table.name, manifest) }
        }
        let isCompared = Self.turnHash(claim.node, block.number) % Self.comparedOneIn == 0
        guard isCompared else { return adopt(manifest, digest) }
        return compare(manifest, digest, from: 0)
    }

    private mutating func compare(_ manifest: Manifest, _ digest: Digest, from first: Int) -> [Effect] {
        var table = first
        while table < manifest.tables.count, files[manifest.tables[table].name] != nil { table += 1 }
        guard table < manifest.tables.count else { return adopt(manifest, digest) }
        phase = .comparing(manifest, digest, table: table)
        return [.compare(manifest.tables[table].name)]
    }

    private mutating func compared(
        _ file: Manifest.File?, _ manifest: Manifest, _ digest: Digest, _ table: Int
    ) -> [Effect] {
        let published = manifest.tables[table]
        guard (file.map { [$0] } ?? []) == published.files else { return diverged(published.name, manifest) }
        return compare(manifest, digest, from: table + 1)
    }

    private mutating func adopt(_ manifest: Manifest, _ digest: Digest) -> [Effect] {
        phase = .ended
        return [.adopt(manifest, digest, isOurs: false)]
    }

    private mutating func diverged(_ table: TableName, _ manifest: Manifest) -> [Effect] {
        phase = .ended
        return [
            .stop(
                VarveError(
                    .divergence,
                    "block \(block.number) in storage is not the one this node computed: the same records and effects were "
                        + "encoded to another file of table \(table). Storage is untouched, this node has stopped",
                    next: "varve blocks show \(block.number) --config node.yaml"))
        ]
    }

    // MARK: Failures

    private mutating func failed(_ error: VarveError, _ now: Int64) -> [Effect] {
        isLooking = false
        switch error.code {
        case .storageFull:
            // A claim is no reason to wait: the block itself may find room, or be there already.
            if case .claiming = phase { return goOnWithout(now) }
        case .storageUnreachable, .storageDenied, .blockCorrupt:
            // What was there may not be there when storage comes back, or when somebody has moved away what stands in a
            // file's place.
            files = [:]
        case .poison:
            // This node cannot encode the block: others may, and then there is nothing to compare.
            if case .comparing(let manifest, let digest, _) = phase { return adopt(manifest, digest) }
        case .ioFatal:
            // The file that could not be synced was given up; the next one is another file, once.
            failedSyncs += 1
            guard failedSyncs < 2 else { return stop(error) }
        default: return stop(error)
        }
        phase = .waiting
        turn = now + Self.retryMs
        return [.trouble(error), .wait(until: turn)]
    }

    private mutating func stop(_ error: VarveError) -> [Effect] {
        phase = .ended
        return [.stop(error)]
    }
}
