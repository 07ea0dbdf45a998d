/// What publications leave that lost, and the operator's `varve blocks gc`: one or two collectors at a time, which may die
/// between any two of their calls, while nodes publish, claim, take over, and sleep.
///
/// Whatever a collector removes is judged by the directory as it stands at that moment, and by every manifest that is put
/// later.

internal import VarveCore
internal import VarveIndexing
internal import VarveModel
internal import VarveRecovery
internal import VarveStorage

struct Yard {
    var collectors = 0
    var collections = 0
    /// Files that nobody will ever name, with their blocks.
    var strays: [String: UInt64] = [:]
    /// When a name was first written down in an intent.
    var intended: [String: Int64] = [:]
    /// What collectors removed below `tables/`.
    var collected: Set<String> = []

    /// Each looks at every manifest: a bound on what a run costs.
    static let collectionsMax = 8
}

extension World {
    func strikeYard() {
        if faults.occurs(.strayFile) { litter() }
        if yard.collectors < 2, yard.collections < Yard.collectionsMax, faults.occurs(.collect) { collect() }
    }

    /// Another encoding of a block, of a version that died before its manifest; or an intent that is wrong about what
    /// is there.
    private func litter() {
        if faults.below(.strayFile, 4) == 0 { return mislead() }
        let table = TableName(unchecked: ["a", "b", "c"][faults.below(.strayFile, plan.tables)])
        let block = UInt64(faults.below(.strayFile, reference.blocks.count + 3))
        let bytes = Bytes("stray \(faults.hitCount(.strayFile))")
        let file = BlockFileWriter.name(
            table: table, first: BlockNumber(block), last: BlockNumber(block), digest: Digest(of: bytes))
        for name in [file, file + ".idx"] {
            note { "\(name) is left lying" }
            _ = directory.put(name, bytes, by: "lost")
            directory.settle(name)
            yard.strays[name] = block
        }
    }

    private func mislead() {
        let files = directory.parts("tables/").flatMap { directory.list($0) }
        guard !files.isEmpty else { return }
        let names = (0...faults.below(.strayFile, 3)).map { _ in files[faults.below(.strayFile, files.count)] }
        let intent = GarbageIntent(Array(Set(names)))
        note { "an intent names \(names)" }
        _ = directory.put(intent.name, intent.encoded(), by: "lost")
        directory.settle(intent.name)
        intended(intent.name, intent.encoded())
    }

    /// `varve blocks gc`, once.
    private func collect() {
        yard.collections += 1
        yard.collectors += 1
        let process = Process("collector \(yard.collections)")
        if faults.occurs(.collectorDies) { process.callsLeft = faults.below(.collectorDies, 40) }
        process.die = { [unowned self] in
            note { "\(process.name) dies" }
            yard.collectors -= 1
            end(process)
        }
        note { "\(process.name) begins" }
        let store = NodeStore(directory, process.name, self, process)
        store.beforeRemoval = { [unowned self] name in checkRemoval(name) }
        let grace = Duration.milliseconds(plan.graceMs)
        launch(process) { () async throws(VarveError) -> GarbageCollection.Report in
            try await GarbageCollection(BlockStore(store), grace: grace).run()
        } done: { [unowned self] result in
            yard.collectors -= 1
            switch result {
            case .success(let report):
                note {
                    "\(process.name) ends: \(report.removed.count) removed, \(report.waiting.count) wait, "
                        + "\(report.garbage.claims.count) claims"
                }
                checkFiles()
                checkReopening()
            case .failure(let error):
                note { "\(process.name) fails: \(error.code) \(error.message)" }
                switch error.code {
                case .storageUnreachable, .storageFull, .storageDenied, .ioFatal: break
                case .storageMissing where directory.objects[BlockStore.formatName] == nil: break
                default:
                    guard excused.isEmpty else { break }
                    fail("a collection is refused only for a reason", "\(error.code) \(error.message)")
                }
            }
        }
    }

    // MARK: What must hold

    /// An intent came to be.
    func intended(_ name: String, _ bytes: Bytes) {
        directory.writtenAt[name] = now
        guard let intent = try? GarbageIntent.decode(bytes) else { return }
        for name in intent.names { yard.intended[name] = min(yard.intended[name] ?? now, now) }
    }

    /// A collector is about to remove an object.
    private func checkRemoval(_ name: String) {
        guard directory.objects[name] != nil else { return }
        if name.hasPrefix("claims/") { return checkClaim(name) }
        guard name.hasPrefix("tables/") else { return }
        let file = name.hasSuffix(".idx") ? String(name.dropLast(4)) : name
        let block = Self.block(of: file)
        for manifest in manifests(of: block) where Self.files(of: manifest).contains(file) {
            return fail(
                "what a manifest names is not garbage", "\(name) is of block \(block), epoch \(manifest.last.epoch)")
        }
        if excused.isEmpty, manifests(of: block).isEmpty || manifests(of: block + 1).isEmpty {
            return fail("what a block may still need is not garbage", "\(name), newest is \(reference.blocks.count)")
        }
        if plan.graceMs > 0, yard.intended[name].map({ now - $0 < plan.graceMs * 1_000 }) ?? true {
            return fail("what is removed was written down for its grace", name)
        }
        yard.collected.insert(name)
    }

    private func checkClaim(_ name: String) {
        let parts = name.split(separator: "/")
        let manifest = "blocks/\(parts[1])/\(parts[2]).cbor"
        if excused.isEmpty, directory.objects[manifest] == nil, !isOffChain(manifest) {
            fail("a claim on a block that is not published stays", name)
        }
    }

    /// An object has come to be: a manifest names nothing that was collected, unless it stands behind its epoch's end.
    func checkNamed(_ name: String, _ bytes: Bytes) {
        yard.collected.remove(name)
        guard name.hasPrefix("blocks/"), let manifest = try? Manifest.decode(bytes), !isOffChain(name) else { return }
        for file in Self.files(of: manifest) where yard.collected.contains(file) {
            fail("what a manifest names is not garbage", "\(name) names \(file), which was collected")
        }
    }

    /// Every file that a manifest names is there.
    private func checkFiles() {
        guard excused.isEmpty else { return }
        for number in 0..<UInt64(reference.blocks.count) {
            for manifest in manifests(of: number) {
                for file in Self.files(of: manifest) where directory.objects[file] == nil {
                    let name = BlockStore.manifestName(manifest.last.epoch, manifest.number)
                    guard yard.collected.contains(file), !isOffChain(name) else { continue }
                    return fail("a manifest names files that are there", "\(file) is not")
                }
            }
        }
    }

    /// Numbered above the block with which its epoch ended.
    private func isOffChain(_ manifest: String) -> Bool {
        guard let stored = directory.objects[manifest].flatMap({ try? Manifest.decode($0.bytes) }) else {
            return endsDeclared.contains { manifest.hasPrefix("blocks/e\(Self.hex($0))/") }
        }
        let next = Int(stored.last.epoch.number) + 1
        guard next < reference.beginnings.count, let end = reference.beginnings[next] else { return false }
        return end.block.map { stored.number > $0 } ?? true
    }

    private func manifests(of block: UInt64) -> [Manifest] {
        (0...Int(reference.epoch.number)).compactMap { Epoch($0) }.compactMap { epoch in
            directory.objects[BlockStore.manifestName(epoch, BlockNumber(block))].flatMap {
                try? Manifest.decode($0.bytes)
            }
        }
    }

    private static func files(of manifest: Manifest) -> [String] { manifest.tables.flatMap(\.files).map(\.name) }

    private static func hex(_ epoch: Epoch) -> Substring { String(0x10000 + Int(epoch.number), radix: 16).dropFirst() }

    /// `…/l00-b<8 hex>-…`
    private static func block(of file: String) -> UInt64 {
        let parts = file.split(separator: "/").last?.split(separator: "-") ?? []
        return parts.count > 1 ? UInt64(parts[1].dropFirst(), radix: 16) ?? 0 : 0
    }

    // MARK: The end

    /// All is mended: two runs with the grace between them leave nothing that nobody needs.
    func clearYard() {
        guard failure == nil, !isOver, excused.isEmpty, yard.collections > 0 else { return }
        for _ in 0..<2 {
            collect()
            while failure == nil, yard.collectors > 0 { step() }
            now += plan.graceMs * 1_000 + 1
            for node in nodes { node.resumesAt = max(node.resumesAt, now) }
        }
        guard failure == nil else { return }
        let left = yard.strays.filter { directory.objects[$0.key] != nil && $0.value + 4 < adoptedBlocks }
        for name in left.keys.sorted() {
            fail("garbage is collected", "\(name) is still there, \(adoptedBlocks) blocks are")
        }
        for name in directory.list("gc/") {
            let names = directory.objects[name].flatMap { try? GarbageIntent.decode($0.bytes) }?.names ?? []
            if !names.contains(where: { directory.objects[$0] != nil }) {
                fail("an intent goes once it is carried out", name)
            }
        }
    }
}
