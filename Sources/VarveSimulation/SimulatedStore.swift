/// One directory that all nodes share, down to what a power loss leaves of it.
///
/// A put makes an object visible to all at once (its link), and durable when the putting call returns (its directory
/// synced). In between stands `settle`: until it has run, a power loss may take the object away, each one by itself.
/// `NodeStore` is one node's view, with the faults of its calls.

internal import VarveModel
internal import VarveStorage

/// An object's bytes; immutable.
final class StoredBytes: ObjectContents {
    let bytes: Bytes
    init(_ bytes: Bytes) { self.bytes = bytes }
    var count: Int { bytes.count }
    func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try bytes.array.withUnsafeBytes(body)
    }
}

// One simulation runs on one thread from its beginning to its end; the contract asks for Sendable.
final class SimulatedStore: @unchecked Sendable {
    private(set) var objects: [String: StoredBytes] = [:]
    /// Names by directory, in byte order.
    private var directories: [String: [String]] = [:]
    /// Visible, but not durable yet, in order.
    private(set) var unsettled: [String] = []
    /// Names of manifests that ever stood there, with their digests: they must stay what they were.
    private(set) var manifestsSeen: [String: Digest] = [:]
    private(set) var changedManifest: String?
    /// A disk that lied about syncs has lost blocks that were durable.
    private(set) var hasLostBlocks = false
    /// The newest objects: a disk that lies about syncs may lose them at a power loss.
    private var newest: [String] = []
    private var progress: [String: UInt64] = [:]
    var lastListed: [String: [String]] = [:]
    /// When intents and signs of nodes were written.
    var writtenAt: [String: Int64] = [:]

    init() {}

    func put(_ name: String, _ bytes: Bytes, by node: String) -> PutOutcome {
        if let standing = objects[name] {
            settle(name)
            return standing.bytes == bytes ? .identical : .different(standing.bytes)
        }
        place(name, StoredBytes(bytes))
        unsettled.append(name)
        newest.append(name)
        if newest.count > 8 { newest.removeFirst() }
        progress[node, default: 0] += 1
        if name.hasPrefix("blocks/") {
            let digest = Digest(of: bytes)
            if let seen = manifestsSeen.updateValue(digest, forKey: name), seen != digest { changedManifest = name }
        }
        return .created
    }

    func overwrite(_ name: String, _ bytes: Bytes) { place(name, StoredBytes(bytes)) }
    func remove(_ name: String) { place(name, nil) }
    func progress(of node: String) -> UInt64 { progress[node] ?? 0 }

    /// The object and its name are durable from now on: its directory is synced, with all names in it.
    func settle(_ name: String) {
        guard !unsettled.isEmpty else { return }
        let directory = Self.directory(of: name)
        unsettled.removeAll { Self.directory(of: $0) == directory }
    }

    private static func directory(of name: String) -> Substring {
        name[..<(name.lastIndex(of: "/") ?? name.startIndex)]
    }

    /// Names of one level below `prefix`, in byte order.
    func list(_ prefix: String) -> [String] { directories[prefix] ?? [] }

    /// What stands one level below, in byte order.
    func parts(_ prefix: String) -> [String] {
        let below = directories.keys.filter { $0.hasPrefix(prefix) && $0.utf8.count > prefix.utf8.count }.map {
            prefix + $0.dropFirst(prefix.count).prefix { $0 != "/" } + "/"
        }
        return Set(below).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    private func place(_ name: String, _ bytes: StoredBytes?) {
        let isNew = objects.updateValue(bytes ?? StoredBytes(Bytes()), forKey: name) == nil
        if bytes == nil { objects[name] = nil }
        let directory = name.lastIndex(of: "/").map { String(name[...$0]) } ?? ""
        var names = directories[directory] ?? []
        let at = names.firstIndex { !$0.utf8.lexicographicallyPrecedes(name.utf8) } ?? names.count
        if bytes == nil {
            if at < names.count, names[at] == name { names.remove(at: at) }
        } else if isNew {
            names.insert(name, at: at)
        }
        directories[directory] = names
    }

    /// What is not durable stays or goes, one by one.
    func losePower(_ keeps: () -> Bool) {
        for name in unsettled where !keeps() { place(name, nil) }
        unsettled = []
    }

    /// What a disk without honest syncs forgets.
    func loseNewest(_ keeps: () -> Bool) {
        for name in newest where !name.hasPrefix("epochs/") && name != "FORMAT" && !keeps() {
            if name.hasPrefix("blocks/") { hasLostBlocks = true }
            place(name, nil)
        }
        newest = []
    }

    func damage(_ name: String, _ bytes: Bytes?) { place(name, bytes.map { StoredBytes($0) }) }

    /// What would be there after a power loss now.
    func copyAfterPowerLoss(_ keeps: () -> Bool) -> SimulatedStore {
        let copy = SimulatedStore()
        copy.objects = objects
        copy.directories = directories
        copy.unsettled = unsettled
        copy.losePower(keeps)
        return copy
    }
}

/// What storage calls meet right now, for all nodes.
struct StorageWeather {
    var unreachableUntil: Int64 = 0
    var deniedUntil: Int64 = 0
    var fullUntil: Int64 = 0
    var slowUntil: Int64 = 0
    var lastBad: Int64 { max(unreachableUntil, deniedUntil, fullUntil, slowUntil) }
}

/// One node's view of the directory.
// One simulation runs on one thread; the contract asks for Sendable.
final class NodeStore: ObjectStore, @unchecked Sendable {
    let directory: SimulatedStore
    let node: String
    unowned let world: World?
    /// Of a procedure in virtual time.
    let process: Process?
    /// Puts whose calls have not returned yet.
    private var pending: [String] = []
    /// Whether calls return later, in an event of their own.
    var defersSettling = false
    /// Of a collector: what it is about to remove.
    var beforeRemoval: ((String) -> Void)?

    init(_ directory: SimulatedStore, _ node: String, _ world: World?, _ process: Process? = nil) {
        self.directory = directory
        self.node = node
        self.world = world
        self.process = process
    }

    var isShared: Bool { true }

    /// The put's call returns: what it wrote is durable.
    func settle() {
        for name in pending { directory.settle(name) }
        pending = []
    }

    private func check(writing: Bool) throws(VarveError) {
        guard let world else { return }
        // Between two writes a process may die; what a dead one reads is seen by nobody.
        if writing, let process, !process.makesCall() { throw Process.gone }
        if world.weather.unreachableUntil > world.now {
            throw VarveError(.storageUnreachable, "storage is away")
        }
        if !writing { return }
        if world.weather.deniedUntil > world.now { throw VarveError(.storageDenied, "storage is read-only") }
        if world.weather.fullUntil > world.now { throw VarveError(.storageFull, "storage is full") }
        if world.faults.occurs(.syncFails) { throw VarveError(.ioFatal, "a sync failed") }
    }

    func putIfAbsent(_ name: String, _ bytes: Bytes) throws(VarveError) -> PutOutcome {
        try check(writing: true)
        guard let world else { return directory.put(name, bytes, by: node) }
        if world.faults.occurs(.putLost) { throw VarveError(.storageUnreachable, "a put was lost") }
        let outcome = directory.put(name, bytes, by: node)
        if outcome == .created {
            pending.append(name)
            if name.hasPrefix("epochs/") { world.epochRecorded(name, bytes) }
            if name.hasPrefix("gc/") { world.intended(name, bytes) }
            if !world.yard.collected.isEmpty { world.checkNamed(name, bytes) }
            if world.poison.isOn { world.checkQuarantined(name, bytes) }
            // Dead between its link and its directory's sync.
            if let process, !process.makesCall() { throw Process.gone }
            if !defersSettling { settle() }
        }
        if case .different = outcome, !name.hasPrefix("claims/") { world.differingPut(name, by: node) }
        if world.faults.occurs(.putUnreported) { throw VarveError(.storageUnreachable, "a put was not answered") }
        return outcome
    }

    func persist(_ name: String) throws(VarveError) {
        try check(writing: true)
        directory.settle(name)
    }

    func get(_ name: String) throws(VarveError) -> Bytes? {
        try check(writing: false)
        return directory.objects[name]?.bytes
    }

    func size(of name: String) throws(VarveError) -> UInt64? {
        try check(writing: false)
        return directory.objects[name].map { UInt64($0.count) }
    }

    func list(_ prefix: String) throws(VarveError) -> [String] {
        try check(writing: false)
        let listed = directory.list(prefix)
        // An older state of the directory: what was added since is missing.
        if let world, let before = directory.lastListed[prefix], world.faults.occurs(.listingStale) {
            if prefix == "nodes/" { process?.shownNodes = before }
            return before
        }
        if prefix == "nodes/" { process?.shownNodes = listed }
        directory.lastListed[prefix] = listed
        return listed
    }

    func parts(_ prefix: String) throws(VarveError) -> [String] {
        try check(writing: false)
        return directory.parts(prefix)
    }

    func age(of name: String) throws(VarveError) -> Duration? {
        try check(writing: false)
        guard let world, let at = directory.writtenAt[name], directory.objects[name] != nil else { return nil }
        return .microseconds(world.now - at)
    }

    func open(_ name: String) throws(VarveError) -> (any ObjectContents)? {
        try check(writing: false)
        if let world, world.faults.occurs(.readFails) { throw VarveError(.storageUnreachable, "a read failed") }
        return directory.objects[name]
    }

    func overwrite(_ name: String, _ bytes: Bytes) throws(VarveError) {
        try check(writing: true)
        directory.overwrite(name, bytes)
        if let world {
            directory.writtenAt[name] = world.now
            world.seen(name)
        }
    }

    func remove(_ name: String) throws(VarveError) {
        try check(writing: true)
        beforeRemoval?(name)
        directory.remove(name)
    }

    func progress(of node: String) throws(VarveError) -> UInt64 { directory.progress(of: node) }
}
