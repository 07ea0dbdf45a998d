/// What stands in a storage and nobody needs: files of publications that lost or never ended, claims on blocks that are
/// published, signs of nodes that are long gone.
///
/// A file is garbage when no manifest names it, on the chain or off it, and its block is published, with `blocksKept` more
/// behind it. A manifest is never replaced, so nothing that comes later can name such a file: whoever is still about to
/// publish that block finds it published. That holds whatever clocks do and however long anybody sleeps, because files are
/// listed *before* manifests are read; grace and a second look come on top.

internal import VarveCore
internal import VarveIndexing
package import VarveModel
package import VarveStorage

package struct Garbage: Sendable, Equatable {
    /// Blocks behind a file's own that must be published before it can be garbage.
    package static let blocksKept: UInt64 = 3
    /// Signs of a node that was not seen for so long, by the store's own clock, are taken away.
    package static let silenceMax = Duration.seconds(30 * 24 * 3600)

    package struct Object: Sendable, Equatable {
        package var name: String
        package var bytes: UInt64

        package init(name: String, bytes: UInt64) {
            self.name = name
            self.bytes = bytes
        }
    }

    /// Block files and sidecars, by name.
    package var files: [Object] = []
    package var claims: [String] = []
    /// Heartbeats and reserves.
    package var nodes: [Object] = []

    package init() {}

    package var bytes: UInt64 { (files + nodes).reduce(0) { $0 + $1.bytes } }

    /// Reads only. Throws what makes it impossible to tell: no database, a broken chain, an unreadable manifest.
    package static func look(in store: BlockStore) async throws(VarveError) -> Garbage {
        let listed = try await listed(store)
        guard let format = try store.readFormat() else {
            throw VarveError(.storageMissing, "the storage holds no database yet", next: "check the path of storage")
        }
        // Their records name files, too, and this version cannot read them.
        for later in ["compactions/", "rewrites/"] {
            guard try store.objects.list(later).isEmpty, try store.objects.parts(later).isEmpty else {
                throw VarveError(
                    .unsupportedRecord,
                    "the storage holds \(later), of a later version of varve, which may name files that look like garbage to "
                        + "this one. Nothing was removed", next: "collect garbage with that version")
            }
        }
        let epochs = try store.epochRecords()
        await Means.breathe()
        let chain = try store.manifests(of: epochs, database: format.database)
        await Means.breathe()
        var garbage = Garbage()
        guard let newest = chain.last?.manifest else { return garbage }
        let named = try await named(store, epochs, chain.map(\.manifest))
        for name in listed.files {
            guard let place = FilePlace(name), place.block.value + blocksKept <= newest.number.value,
                !named.contains(place.file), let size = try store.objects.size(of: name)
            else { continue }
            garbage.files.append(Object(name: name, bytes: size))
        }
        garbage.claims = listed.claims.filter { $0.block <= newest.number && $0.epoch <= newest.last.epoch }.map(\.name)
        await Means.breathe()
        garbage.nodes = try silent(listed.nodes, newest, store)
        return garbage
    }

    // MARK: What is there

    private struct Listed {
        var files: [String] = []
        var claims: [(name: String, epoch: Epoch, block: BlockNumber)] = []
        var nodes: [String] = []
    }

    private static func listed(_ store: BlockStore) async throws(VarveError) -> Listed {
        var listed = Listed()
        for table in try store.objects.parts("tables/") {
            listed.files += try store.objects.list(table)
            await Means.breathe()
        }
        for epoch in try store.objects.parts("claims/") {
            guard let number = hex(epoch.dropFirst("claims/e".count).dropLast(), 4).flatMap({ Epoch(Int($0)) }) else {
                continue
            }
            for block in try store.objects.parts(epoch) {
                guard let value = hex(block.dropFirst(epoch.count + 1).dropLast(), 16) else { continue }
                for name in try store.objects.list(block) { listed.claims.append((name, number, BlockNumber(value))) }
            }
        }
        await Means.breathe()
        listed.nodes = try store.objects.list("nodes/")
        await Means.breathe()
        return listed
    }

    /// Every file that any manifest names: those off the chain, too, which are evidence. Only they are asked for by a
    /// listing, which may lag behind what stands there.
    private static func named(
        _ store: BlockStore, _ epochs: [BlockStore.StoredEpoch], _ chain: [Manifest]
    ) async throws(VarveError) -> Set<String> {
        var named = Set(chain.flatMap(fileNames))
        var onChain: [Epoch: Set<BlockNumber>] = [:]
        for manifest in chain { onChain[manifest.last.epoch, default: []].insert(manifest.number) }
        for epoch in epochs.map(\.record.epoch) {
            for number in try store.manifestNumbers(of: epoch) where onChain[epoch]?.contains(number) != true {
                await Means.breathe()
                guard let stored = try store.manifest(epoch, number) else { continue }
                named.formUnion(fileNames(stored.manifest))
            }
        }
        return named
    }

    private static func fileNames(_ manifest: Manifest) -> [String] { manifest.tables.flatMap(\.files).map(\.name) }

    /// Signs of nodes that are gone, when storage holds everything they ever said they had applied. One that was killed in
    /// the present epoch may have applied more than it came to say: a bump asks for it, so its file stays.
    private static func silent(
        _ names: [String], _ newest: Manifest, _ store: BlockStore
    ) throws(VarveError) -> [Object] {
        var found: [Object] = []
        for name in names where name.hasSuffix(".cbor") || name.hasSuffix(".reserve") {
            guard let age = try store.objects.age(of: name), age > silenceMax else { continue }
            if name.hasSuffix(".reserve") {
                // Not written again while it is whole: its node's heartbeat says whether it is needed.
                let heartbeat = name.dropLast(".reserve".count) + ".cbor"
                if names.contains(String(heartbeat)),
                    try store.objects.age(of: String(heartbeat)) ?? .zero <= silenceMax
                {
                    continue
                }
            } else {
                guard let bytes = try store.objects.get(name), let heartbeat = try? Heartbeat.decode(bytes),
                    heartbeat.applied ?? .zero <= newest.last,
                    heartbeat.stopped != nil || heartbeat.epoch < newest.last.epoch
                else { continue }
            }
            found.append(Object(name: name, bytes: try store.objects.size(of: name) ?? 0))
        }
        return found
    }

    fileprivate static func hex(_ digits: some StringProtocol, _ count: Int) -> UInt64? {
        guard digits.utf8.count == count, digits.lowercased() == digits else { return nil }
        return UInt64(digits, radix: 16)
    }
}

/// `tables/<table>/l00-b<8 hex>-b<8 hex>-c-<16 hex>.arrow`, perhaps with `.idx`: the only names that are ever collected.
/// Whatever else stands there is a later version's or a person's.
private struct FilePlace {
    /// The block file, of which this may be the sidecar.
    let file: String
    let block: BlockNumber

    init?(_ name: String) {
        let file = name.hasSuffix(".idx") ? String(name.dropLast(4)) : name
        guard let slash = file.lastIndex(of: "/"), file.hasSuffix(".arrow") else { return nil }
        let parts = file[file.index(after: slash)...].dropLast(6).split(
            separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 5, parts[0] == "l00", parts[3] == "c", parts[1] == parts[2], parts[1].first == "b",
            let block = Garbage.hex(parts[1].dropFirst(), 8), Garbage.hex(parts[4], 16) != nil
        else { return nil }
        self.file = file
        self.block = BlockNumber(block)
    }
}
